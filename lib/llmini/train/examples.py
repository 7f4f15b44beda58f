"""Training examples: from prompts and answers to labelled token ids, packs and batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.settings import UserError

if TYPE_CHECKING:
    import torch

    from llmini.train.recipes import Recipe

IGNORED = -100  # a label that is no target


@dataclass(frozen=True)
class Example:
    """A prompt and the answer to learn, as text or as token ids (a teacher's, its end token included if it ended).

    Without a prompt (None) the response is a document, learned from its first token to EOS. ``id`` finds the cached
    teacher states; ``language`` is what shares and losses are logged by.
    """

    id: str
    language: str
    prompt: str | None
    response: str | tuple[int, ...]


class Encoded(NamedTuple):
    """Token ids of a prompt and its answer, and labels of the same length (-100: no target)."""

    ids: list[int]
    labels: list[int]


def examples(prompts: Iterable[Any], recipe: Recipe, cache: Any = None) -> list[Example]:
    """Examples of ``prompts`` (of `llmini.train.prompts`) with the answers that ``recipe.responses`` asks for.

    cache: the teacher's answers. Raises UserError for a prompt without a reference, or without a cached answer.
    """
    made = []
    answers = {} if cache is None else {answer.id: tuple(answer.ids) for answer in cache.responses}
    for prompt in prompts:
        if recipe.responses == "reference":
            response = prompt.reference
            if response is None:
                raise UserError(f"prompt {prompt.id} has no reference answer: take the gold split, or the teacher's")
        else:
            response = answers.get(prompt.id)
            if response is None:
                raise UserError(f"the teacher's cache has no answer to {prompt.id}: answer these prompts first")
        made.append(Example(prompt.id, prompt.language, prompt.prompt, response))
    return made


def digest(examples: Sequence[Example]) -> str:
    """SHA-256 of the examples in their order."""
    state = hashlib.sha256()
    for example in examples:
        row = [example.id, example.language, example.prompt, example.response]
        state.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    return state.hexdigest()


def encode(example: Example, tokenizer: Any, recipe: Recipe) -> Encoded:
    """Prompt and answer as token ids and labels, cut at ``recipe.max_length``.

    The first token is never a label: nothing comes before it, and in a pack another document does.
    """
    from llmini.train.teacher import ends, prompt_ids, reply_ids

    if example.prompt is None:
        ids = document_ids(example.response, tokenizer)
        return Encoded(ids[: recipe.max_length], [IGNORED, *ids[1:]][: recipe.max_length])
    prompt, answer = prompt_ids(tokenizer, example.prompt), example.response
    answer = reply_ids(tokenizer, answer) if isinstance(answer, str) else list(answer)  # a cut one has no end to learn
    if not recipe.eos and answer and answer[-1] in ends(tokenizer):
        answer.pop()
    masked = len(prompt) if recipe.completion_only else 1
    ids = prompt + answer
    labels = [IGNORED] * masked + ids[masked:]
    return Encoded(ids[: recipe.max_length], labels[: recipe.max_length])


def document_ids(text: str, tokenizer: Any) -> list[int]:
    """A document's token ids with one BOS before it, where the tokenizer has one, and EOS after it."""
    first = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    last = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return [*first, *tokenizer(text, add_special_tokens=False)["input_ids"], *last]


def dataset(encoded: Sequence[Encoded], recipe: Recipe) -> Any:
    """A `datasets.Dataset` with the per-token columns input_ids, labels and examples (index into ``encoded``).

    Packed, a row holds several documents (best fit, decreasing); else one. An example whose prompt fills
    ``max_length`` has nothing to learn and is left out. Raises UserError when none is left.
    """
    from datasets import Dataset

    used = [index for index, row in enumerate(encoded) if any(label != IGNORED for label in row.labels)]
    if not used:
        raise UserError(f"no example has an answer within max_length {recipe.max_length}: raise it, or give examples")
    made = Dataset.from_dict({
        "input_ids": [encoded[index].ids for index in used], "labels": [encoded[index].labels for index in used],
        "examples": [[index] * len(encoded[index].ids) for index in used],
    })  # fmt: skip
    return pack(made, recipe.max_length) if recipe.packing else made


def pack(rows: Any, length: int) -> Any:
    """Rows joined to at most ``length`` tokens each, none of them cut (TRL's best-fit decreasing)."""
    import datasets
    from trl import pack_dataset

    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        return pack_dataset(rows, length).remove_columns("seq_lengths")
    finally:
        if shown:
            datasets.enable_progress_bars()


@dataclass(frozen=True)
class Collator:
    """Rows to tensors (batch, longest): input_ids, labels, examples (-1 is padding), position_ids, attention_mask.

    Packed rows come without a mask: positions that start again at 0 tell transformers where a document begins, and it
    keeps documents apart (block-diagonal under eager and sdpa attention). Padding is a document of its own there.
    """

    pad: int
    packing: bool

    def __call__(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        def column(name: str, fill: int) -> torch.Tensor:
            return pad_sequence([torch.tensor(row[name]) for row in rows], batch_first=True, padding_value=fill)

        batch = {"input_ids": column("input_ids", self.pad), "labels": column("labels", IGNORED),
                 "examples": column("examples", -1)}  # fmt: skip
        owner = batch["examples"]
        if not self.packing:
            batch["attention_mask"] = (owner >= 0).long()
            return batch
        place = torch.arange(owner.shape[1]).expand_as(owner)
        first = torch.ones_like(owner, dtype=torch.bool)
        first[:, 1:] = owner[:, 1:] != owner[:, :-1]
        batch["position_ids"] = place - torch.where(first, place, 0).cummax(1).values
        return batch

"""The teacher answers every prompt greedily; its answers and last hidden states go to a :class:`Cache`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini import settings
from llmini.settings import UserError
from llmini.train.cache import Cache, Shard, Writer, digest, tokenizer_hash

if TYPE_CHECKING:
    import torch

    from llmini.train.prompts import Prompt

__all__ = ["Cache", "Turn", "answer", "check_tokenizers", "ends", "prompt_ids", "reply_ids", "states"]
TURN_ENDS = ("<|end|>", "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end_of_text|>")
"""Tokens that close a turn in the chat formats of the studied models."""
PROBES = ("The bank lends 1,250 dinars at 3.5%.", "يقرض المصرف 1250 دينارًا.", "  two  spaces\n\tand a tab, don't")


class Turn(NamedTuple):
    """A prompt with a response that is given: text, or token ids that end as the model ends its turn."""

    id: str
    prompt: str
    response: str | Sequence[int]


def answer(teacher: Any, tokenizer: Any, prompts: Sequence[Prompt], folder: str | Path, *, max_new_tokens: int = 64,
           batch_tokens: int = 4096, shard: int = 256, store_dtype: torch.dtype | None = None,
           progress: Callable[[Iterable], Iterable] = settings.progress) -> Cache:  # fmt: skip
    """Answer every prompt greedily through the chat template and cache response and last hidden states.

    A response ends with the first of :func:`ends`, or is cut at ``max_new_tokens``. Prompts are batched by length
    within a shard of ``shard`` prompts, at most ``batch_tokens`` padded tokens at once. The states come from one
    forward pass over prompt and response, right-padded: training with a live teacher sees the same. They are stored in
    ``store_dtype``, by default the teacher's own (fp32 as bf16). Shards that are done and whole are kept, so that an
    interrupted run continues. In fp32 the batch does not change an answer; in bf16 near ties may fall otherwise.
    Raises UserError when the folder holds answers of another run, a prompt is there twice, or the teacher's logits are
    not its output embedding times its hidden states.
    """
    lines = [(prompt.id, prompt_ids(tokenizer, prompt.prompt)) for prompt in prompts]
    stops = ends(tokenizer, teacher)

    def responses(part: list[tuple[str, list[int]]]) -> list[list[int]]:
        return generate(teacher, tokenizer, [ids for _, ids in part], stops, max_new_tokens, batch_tokens)

    return _fill(teacher, tokenizer, lines, responses, folder, {"max_new_tokens": max_new_tokens}, batch_tokens, shard,
                 store_dtype, progress)  # fmt: skip


def states(teacher: Any, tokenizer: Any, sequences: Sequence[Turn], folder: str | Path, *, batch_tokens: int = 4096,
           shard: int = 256, store_dtype: torch.dtype | None = None,
           progress: Callable[[Iterable], Iterable] = settings.progress) -> Cache:  # fmt: skip
    """Cache the teacher's last hidden states over responses that are given, such as references; otherwise as
    :func:`answer`. A response given as text gets the token that ends a turn (:func:`reply_ids`)."""
    lines = [(turn.id, prompt_ids(tokenizer, turn.prompt)) for turn in sequences]
    given = {turn.id: reply_ids(tokenizer, turn.response) if isinstance(turn.response, str) else list(turn.response)
             for turn in sequences}  # fmt: skip
    empty = next((name for name, ids in given.items() if not ids), None)
    if empty is not None:
        raise UserError(f"the response to prompt {empty} is empty: leave it out")
    note = {"responses": digest(sorted(given.items()))}
    return _fill(teacher, tokenizer, lines, lambda part: [given[name] for name, _ in part], folder, note, batch_tokens,
                 shard, store_dtype, progress)  # fmt: skip


def check_tokenizers(teacher_tokenizer: Any, student_tokenizer: Any) -> None:
    """Refuse a teacher and a student whose tokens differ: the rows of their distributions would not correspond.

    Padding rows of the models beyond the tokenizer do not count. Raises UserError with the first token id that stands
    for different strings, or with a sentence that the two split differently.
    """
    theirs, ours = _strings(teacher_tokenizer), _strings(student_tokenizer)
    for number in range(max(len(theirs), len(ours))):
        one, two = theirs.get(number), ours.get(number)
        if one != two:
            raise UserError(f"teacher and student have different tokenizers: id {number} is {_name(one)} for the "
                            f"teacher and {_name(two)} for the student; distil into a model of the teacher's family, "
                            "or use seq_kd, which needs text alone")  # fmt: skip
    for probe in PROBES:
        one, two = (t(probe, add_special_tokens=False)["input_ids"] for t in (teacher_tokenizer, student_tokenizer))
        if one != two:
            place = next(i for i in range(len(one) + 1) if one[i : i + 1] != two[i : i + 1])
            first, second = ([theirs.get(i) for i in ids[place : place + 1]] for ids in (one, two))
            raise UserError(f"teacher and student split {probe!r} differently: token {place} is {first} for the "
                            f"teacher and {second} for the student; give both the same tokenizer files")  # fmt: skip


def prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Token ids of one user turn as the chat template writes it, up to where the answer begins."""
    if not getattr(tokenizer, "chat_template", None):
        raise UserError("the tokenizer has no chat template: take an instruction-tuned model, or set one")
    turn = [{"role": "user", "content": prompt}]
    return list(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=True, return_dict=False))


def reply_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of an answer with the token that ends its turn, led in as the chat template does (by a space, say)."""
    asked, said = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    before = tokenizer.apply_chat_template([asked], add_generation_prompt=True, tokenize=False)
    whole = tokenizer.apply_chat_template([asked, said], tokenize=False)
    lead = whole[len(before) : whole.rindex("b")] if whole.startswith(before) else ""
    return [*tokenizer(lead + text.strip(), add_special_tokens=False)["input_ids"], turn_end(tokenizer)]


def turn_end(tokenizer: Any) -> int:
    """The token that the chat template writes after an answer; EOS where it writes none of :data:`TURN_ENDS`."""
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    tail = text[text.rindex("b") + 1 :]
    found = [(tail.index(mark), mark) for mark in {*TURN_ENDS, tokenizer.eos_token} if mark and mark in tail]
    mark = min(found)[1] if found else tokenizer.eos_token
    if mark is None:
        raise UserError("the tokenizer has no end-of-turn or EOS token: set tokenizer.eos_token")
    return tokenizer.convert_tokens_to_ids(mark)


def ends(tokenizer: Any, model: Any = None) -> list[int]:
    """Every token that ends an answer: of the chat template, of the tokenizer and of the model's generation config."""
    found = {turn_end(tokenizer), tokenizer.eos_token_id}
    known = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found.update(known if isinstance(known, list) else [known])
    return sorted(token for token in found if token is not None)


def _fill(teacher: Any, tokenizer: Any, lines: list[tuple[str, list[int]]], responses: Callable, folder: str | Path,
          note: dict, batch_tokens: int, shard: int, store_dtype: Any, progress: Callable) -> Cache:  # fmt: skip
    """Write the shards of ``lines`` (id, prompt ids) that ``folder`` lacks; ``responses`` answers a part of them."""
    import torch

    from llmini.measure.logits import Split

    split = Split(teacher)
    if split.whole or getattr(split.head, "bias", None) is not None or not split.head.weight.is_floating_point():
        reason = split.whole or "its output embedding has a bias or is quantized"
        raise UserError(f"hidden states of this teacher do not give its logits ({reason}): distil with a live teacher")
    default = torch.bfloat16 if split.dtype == torch.float32 else split.dtype
    home = Path(str(teacher.config._name_or_path))
    header = {
        "model": home.parent.name if home.name == "checkpoint" else home.name, "weights": _fingerprint(teacher),
        "tokenizer": tokenizer_hash(tokenizer), "ends": ends(tokenizer, teacher),
        "dtype": str(store_dtype or default).removeprefix("torch."), "width": split.head.weight.shape[1],
        "vocabulary": split.head.weight.shape[0], "shard": shard, **note,
    }  # fmt: skip
    writer = Writer(Path(folder), header, [(name, digest(ids)) for name, ids in lines], split.head.weight)
    was = teacher.training
    teacher.eval()
    try:
        with torch.no_grad():
            for number in progress(writer.missing(), desc="teacher"):
                part = lines[number * shard : (number + 1) * shard]
                found = responses(part)
                hidden = _states(split, tokenizer, [ids for _, ids in part], found, batch_tokens)
                texts = tokenizer.batch_decode(found, skip_special_tokens=True)
                rows = torch.cat(hidden)
                agree = _agree(split, rows, torch.tensor([token for ids in found for token in ids]))
                stored = rows.to(getattr(torch, header["dtype"]))
                if not torch.isfinite(stored).all():
                    raise UserError(f"hidden states overflow {header['dtype']}: run the teacher in bf16")
                writer.write(number, Shard([name for name, _ in part], found, texts, stored), agree)
    finally:
        teacher.train(was)
    return Cache.open(folder, verify=False)


def generate(teacher: Any, tokenizer: Any, prompts: list[list[int]], stops: list[int], max_new_tokens: int,
              batch_tokens: int) -> list[list[int]]:  # fmt: skip
    """Greedy responses, each up to and including the first of ``stops``."""
    import torch
    from transformers import GenerationConfig

    pad = stops[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    plain = GenerationConfig(do_sample=False, num_beams=1, max_new_tokens=max_new_tokens, eos_token_id=stops,
                             pad_token_id=pad)  # fmt: skip
    found: list[list[int]] = [[] for _ in prompts]
    with _config(teacher, plain):  # the model's own may hold a repetition penalty, which is not greedy
        for batch in _batches([len(ids) + max_new_tokens for ids in prompts], batch_tokens):
            width = max(len(prompts[i]) for i in batch)
            ids = torch.tensor([[pad] * (width - len(prompts[i])) + prompts[i] for i in batch])
            mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in batch])
            out = teacher.generate(input_ids=ids.to(teacher.device), attention_mask=mask.to(teacher.device))
            for i, row in zip(batch, out[:, width:].tolist(), strict=True):
                stop = next((place for place, token in enumerate(row) if token in stops), len(row) - 1)
                found[i] = row[: stop + 1]
    return found


def _states(split: Any, tokenizer: Any, prompts: list[list[int]], responses: list[list[int]],
            batch_tokens: int) -> list[torch.Tensor]:  # fmt: skip
    """The last hidden states (response tokens, width) on the CPU that predict each response token."""
    import torch

    lengths = [len(one) + len(two) for one, two in zip(prompts, responses, strict=True)]
    found: list[Any] = [None] * len(prompts)
    for batch in _batches(lengths, batch_tokens):
        width = max(lengths[i] for i in batch)
        ids = torch.tensor([[*prompts[i], *responses[i], *[tokenizer.pad_token_id or 0] * (width - lengths[i])]
                            for i in batch])  # fmt: skip
        mask = torch.tensor([[1] * lengths[i] + [0] * (width - lengths[i]) for i in batch])
        hidden = split.hidden(ids, attention_mask=mask.to(split.device)).cpu()
        for row, i in zip(hidden, batch, strict=True):
            found[i] = row[len(prompts[i]) - 1 : lengths[i] - 1].clone()
    return found


def _agree(split: Any, rows: torch.Tensor, tokens: torch.Tensor) -> int:
    """How many response tokens are the teacher's first choice by its states: all of a greedy answer, but for ties."""
    count = 0
    for start in range(0, len(rows), split.rows):
        part = slice(start, start + split.rows)
        count += int((split.logits(rows[part].to(split.device)).argmax(1).cpu() == tokens[part]).sum())
    return count


def _batches(lengths: list[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of sequences in batches of like length, at most ``batch_tokens`` when padded (one sequence at least)."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@contextlib.contextmanager
def _config(model: Any, config: Any) -> Iterator[None]:
    kept, model.generation_config = model.generation_config, config
    try:
        yield
    finally:
        model.generation_config = kept


def _fingerprint(model: Any) -> str:
    """A hash of the start of every weight: it tells two trained models apart without reading all their bytes."""
    import torch

    starts = ((name, weight.shape, weight.detach().flatten()[:256].cpu().contiguous().view(torch.uint8))
              for name, weight in model.named_parameters())  # fmt: skip
    return digest([(name, tuple(shape), start.tolist()) for name, shape, start in starts])


def _strings(tokenizer: Any) -> dict[int, str]:
    return {number: token for token, number in tokenizer.get_vocab().items()}


def _name(token: str | None) -> str:
    return "no token" if token is None else repr(token)

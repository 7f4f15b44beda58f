"""The teacher's side of the loss: its last hidden states at the labelled positions, read from a cache or run live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError
from llmini.train.cache import Cache, digest, tokenizer_hash
from llmini.train.examples import IGNORED, Example

if TYPE_CHECKING:
    import torch

    from llmini.train.examples import Encoded


class Cached:
    """Rows of a `Cache`, found by example id. ``head`` (teacher's vocabulary, width).

    Raises UserError for an example whose labels are not the tokens that the cache holds states of.
    """

    def __init__(self, cache: Cache, examples: Sequence[Example], encoded: Sequence[Encoded], dtype: torch.dtype,
                 device: torch.device) -> None:  # fmt: skip
        self.cache, self.dtype, self.device = cache, dtype, device
        self.names = [example.id for example in examples]
        self.head = cache.head.to(device, dtype)
        known = {response.id: response.ids for response in cache.responses}
        for example, (_, labels) in zip(examples, encoded, strict=True):
            if example.id not in known:
                raise UserError(f"the teacher's cache holds no answer to {example.id}: run the teacher over its prompt")
            wanted = [label for label in labels if label != IGNORED]
            if wanted != known[example.id][: len(wanted)]:
                raise UserError(f"the answer to {example.id} is not the one that the teacher's cache has states of: "
                                "cache the states of these answers, or train on the cached ones")  # fmt: skip

    def hidden(self, inputs: dict[str, Any], chosen: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
        """States (n, width) for the n labelled positions of a batch, whose examples are ``owners`` (n,)."""
        import torch

        order, counts = owners.unique_consecutive(return_counts=True)
        rows = [self.cache.hidden(self.names[index])[:count]
                for index, count in zip(order.tolist(), counts.tolist(), strict=True)]  # fmt: skip
        return torch.cat(rows).to(self.device, self.dtype)


class Live:
    """A teacher in memory, run over each batch. ``head`` (teacher's vocabulary, width)."""

    def __init__(self, model: Any, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self.split = split(model.eval(), "teacher")
        self.head = self.split.head.weight.detach().to(device, dtype)

    def hidden(self, inputs: dict[str, Any], chosen: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
        """States (n, width) for the labelled positions ``chosen`` (batch, length - 1) of a batch."""
        import torch

        given = {name: value.to(self.split.device) for name, value in inputs.items()}
        with torch.no_grad():
            hidden = self.split.decoder(**given, use_cache=False).last_hidden_state
        return hidden[:, :-1][chosen.to(hidden.device)].to(self.device, self.dtype)


def targets(teacher: Any, examples: Sequence[Example], encoded: Sequence[Encoded], dtype: torch.dtype,
            device: torch.device) -> Cached | Live:  # fmt: skip
    """The side of a `Cache` or of a live (model, tokenizer)."""
    if isinstance(teacher, Cache):
        return Cached(teacher, examples, encoded, dtype, device)
    return Live(teacher[0], dtype, device)


def check_teacher(teacher: Any, tokenizer: Any) -> None:
    """Refuse a teacher whose tokens are not the student's. Raises UserError with the first that differs."""
    from llmini.train.teacher import check_tokenizers

    if not isinstance(teacher, Cache):
        check_tokenizers(teacher[1], tokenizer)
    elif teacher.tokenizer_hash != tokenizer_hash(tokenizer):
        raise UserError(f"the teacher's cache was made with another tokenizer{first_difference(teacher, tokenizer)}: "
                        "distil into a model of its family, or use seq_kd, which needs text alone")  # fmt: skip


def first_difference(cache: Cache, tokenizer: Any) -> str:
    """In words, the first token of the cached answers that ``tokenizer`` reads otherwise; empty if there is none."""
    for name, ids, text in cache.responses:
        for end in range(1, len(ids) + 1):
            mine = tokenizer.decode(ids[:end], skip_special_tokens=True).rstrip("\ufffd")  # half a letter
            if not text.startswith(mine):
                place = len(tokenizer.decode(ids[: end - 1], skip_special_tokens=True))
                return (f" (id {ids[end - 1]} is {tokenizer.decode(ids[end - 1])!r} for the student, where the "
                        f"teacher's answer to {name} goes on {text[place:place + 12]!r})")  # fmt: skip
    return ""


def identity(teacher: Any) -> str:
    """A hash that tells teachers apart: of a cache's manifest, or of the start of every weight of a live one."""
    import torch

    if isinstance(teacher, Cache):
        return digest(teacher.manifest)
    return digest([(name, weight.detach().flatten()[:256].cpu().contiguous().view(torch.uint8).tolist())
                   for name, weight in teacher[0].named_parameters()])  # fmt: skip


def split(model: Any, role: str) -> Any:
    """The model taken apart (`measure.logits.Split`), so that logits are its head's weight times its hidden states.

    Raises UserError for one whose logits are more: soft-capped, rescaled, biased or from a quantized head.
    """
    from llmini.measure.logits import Split

    parts = Split(model)
    reason = parts.whole
    if reason is None and getattr(parts.head, "bias", None) is not None:
        reason = "its output embedding has a bias"
    if reason is None and not parts.head.weight.is_floating_point():
        reason = "its output embedding is quantized"
    if reason:
        raise UserError(f"this {role} cannot be distilled from hidden states ({reason}): choose a model without that")
    return parts

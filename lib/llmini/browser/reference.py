"""What PyTorch says of a checkpoint: its own class over the stored weights in fp32, one module in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmini.browser import graph

if TYPE_CHECKING:
    import numpy

    from llmini.browser.weights import Source

MARGIN = 1e-3
"""Where PyTorch's own best two logits are closer than this, either token is right."""


@dataclass(frozen=True)
class Truth:
    """PyTorch's greedy answer ``tokens`` to the prompt ``ids``, and its logits (rows, vocabulary): of the last ``kept``
    tokens of the prompt, then of every token of the answer but the last."""

    ids: list[int]
    tokens: list[int]
    logits: numpy.ndarray

    @property
    def kept(self) -> int:
        """Tokens of the prompt whose logits are there."""
        return len(self.logits) - len(self.tokens) + 1

    @property
    def sure(self) -> int:
        """Tokens of the answer before the first that is chosen by less than :data:`MARGIN`."""
        import numpy

        best = numpy.partition(self.logits[self.kept - 1 :], -2)[:, -2:]
        close = numpy.flatnonzero(~(best[:, 1] - best[:, 0] >= MARGIN))
        return int(close[0]) if len(close) else len(self.tokens)


def model(config: Any, source: Source) -> Any:
    """The model of a checkpoint: transformers' class, whose modules read their weights when they are called and let go
    of them after. Integers are dequantized in fp32 (`weights.Source.dense`)."""
    import torch

    made = graph.empty(config)

    def hang(module: Any, names: dict[str, str]) -> None:
        bare = {name: getattr(module, name) for name in names}

        def take(*_: Any) -> None:
            for name, stored in names.items():
                setattr(module, name, torch.nn.Parameter(torch.from_numpy(source.dense(stored)), requires_grad=False))

        def leave(*_: Any) -> None:
            for name, parameter in bare.items():
                setattr(module, name, parameter)

        module.register_forward_pre_hook(take)
        module.register_forward_hook(leave)

    for path, module in made.named_modules():
        names = {name: f"{path}.{name}" for name, _ in module.named_parameters(recurse=False)}
        if names:
            hang(module, names)
    return made


def greedy(model: Any, ids: Sequence[int], tokens: int, draft: Sequence[int] = (), rows: int | None = None) -> Truth:
    """PyTorch's greedy continuation of ``ids``, without a cache; with the logits of the last ``rows`` tokens of the
    prompt (default all).

    draft: what it may be. PyTorch reads it in one pass and goes on by itself from the first token that it would not
    have chosen, as in speculative decoding: the result is its own whatever the draft says.
    """
    import torch

    kept = min(rows or len(ids), len(ids))
    answer = list(draft)[:tokens]
    while True:
        with torch.no_grad():
            logits = model(torch.tensor([[*ids, *answer]]), use_cache=False,
                           logits_to_keep=kept + len(answer)).logits[0].float()  # fmt: skip
        own = logits[kept - 1 :].argmax(-1).tolist()
        right = next((place for place, token in enumerate(answer) if token != own[place]), len(answer))
        answer = [*answer[:right], own[right]][:tokens]
        if len(answer) == tokens and right >= tokens - 1:
            return Truth(list(ids), answer, logits[: kept + tokens - 1].numpy())

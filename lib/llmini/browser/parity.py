"""ONNX against PyTorch: logits, and the tokens that greedy decoding chooses, with and without a filled cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError

if TYPE_CHECKING:
    import numpy

LOGITS = 1e-4
"""Largest difference of a logit between the dense graph and PyTorch, both in fp32."""
MARGIN = 1e-3
"""Where PyTorch's own best two logits are closer than this, either token is right: the comparison ends there."""


class ParityError(UserError):
    """The exported graph does not say what the model says."""


@dataclass(frozen=True)
class Parity:
    """``logits``: largest difference over all prompts, in prefill and step by step. ``tokens``: greedy tokens compared;
    ``ties``: prompts whose comparison ended at a margin under :data:`MARGIN`."""

    logits: float
    tokens: int
    ties: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Session:
    """An exported graph under ONNX Runtime on the CPU, with its cache."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.empty = {put.name: (put.shape[1], put.shape[3]) for put in self.session.get_inputs()
                      if put.name.startswith("past_key_values")}  # fmt: skip
        self.outputs = [put.name for put in self.session.get_outputs()]
        self.reset()

    def reset(self) -> None:
        """Forget what was said."""
        import numpy

        self.length = 0
        self.past = {name: numpy.zeros((1, heads, 0, width), numpy.float32)
                     for name, (heads, width) in self.empty.items()}  # fmt: skip

    def step(self, ids: Sequence[int]) -> numpy.ndarray:
        """Logits (tokens, vocabulary) of further tokens."""
        import numpy

        total = self.length + len(ids)
        feed = {"input_ids": numpy.array([ids], numpy.int64), "attention_mask": numpy.ones((1, total), numpy.int64),
                "position_ids": numpy.arange(self.length, total, dtype=numpy.int64)[None], **self.past}  # fmt: skip
        logits, *present = self.session.run(self.outputs, feed)
        self.past = {name.replace("present", "past_key_values"): value
                     for name, value in zip(self.outputs[1:], present, strict=True)}  # fmt: skip
        self.length = total
        return logits[0]


def greedy(model: Any, ids: Sequence[int], tokens: int) -> tuple[list[int], numpy.ndarray]:
    """PyTorch's greedy continuation and its logits (prompt and continuation - 1, vocabulary), fp32, without a cache."""
    import torch

    chosen = list(ids)
    with torch.no_grad():
        for _ in range(tokens):
            logits = model(torch.tensor([chosen], device=model.device), use_cache=False).logits[0].float().cpu()
            chosen.append(int(logits[-1].argmax()))
    return chosen[len(ids) :], logits.numpy()


def parity(path: Path, prompts: Sequence[Sequence[int]], truths: Sequence[tuple[list[int], numpy.ndarray]],
           tolerance: float = LOGITS) -> Parity:  # fmt: skip
    """Hold the graph ``path`` against PyTorch over token ids of prompts; ``truths`` is :func:`greedy` of each.

    Each prompt is read at once (prefill), then greedy tokens one by one through the cache. Raises ParityError when a
    logit differs by more than ``tolerance`` or a token by more than a tie explains.
    """
    import numpy

    session = Session(path)
    worst, compared, ties = 0.0, 0, 0
    for number, (ids, (expected, logits)) in enumerate(zip(prompts, truths, strict=True)):
        session.reset()
        found = session.step(ids)
        worst = max(worst, float(numpy.abs(found - logits[: len(ids)]).max()))
        last = found[-1]
        for place, token in enumerate(expected):
            truth = logits[len(ids) - 1 + place]
            best = numpy.partition(truth, -2)[-2:]
            if best[1] - best[0] < MARGIN:
                ties += 1
                break
            if int(last.argmax()) != token:
                raise ParityError(f"{path.name}: prompt {number} continues with token {int(last.argmax())} instead of "
                                  f"{token} at place {place}: the export is not the model")  # fmt: skip
            compared += 1
            if place + 1 < len(expected):
                last = session.step([token])[-1]
                worst = max(worst, float(numpy.abs(last - logits[len(ids) + place]).max()))
        if worst > tolerance:
            raise ParityError(f"{path.name}: logits differ by {worst:.2g} from PyTorch's (limit {tolerance:.0e})")
    return Parity(worst, compared, ties)

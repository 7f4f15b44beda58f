"""ONNX against PyTorch: logits, and the tokens that greedy decoding chooses, with and without a filled cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError

if TYPE_CHECKING:
    import numpy

    from llmini.browser.reference import Truth

LOGITS = 1e-4
"""Largest difference of a logit between the graph and PyTorch, both in fp32."""
READ = 512  # tokens of a prompt that are read at once: their logits are in memory together
LEAN = 2**30  # bytes of weights from which they stay in their files, mapped, with no copies made for speed


class ParityError(UserError):
    """The exported graph does not say what the model says."""


@dataclass(frozen=True)
class Parity:
    """``logits``: largest difference over all prompts, in prefill and step by step. ``tokens``: greedy tokens that are
    PyTorch's; ``ties``: prompts whose comparison ended where PyTorch's best two are closer than `reference.MARGIN`;
    ``wrong``: prompts that continue otherwise."""

    logits: float
    tokens: int
    ties: int
    wrong: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Session:
    """An exported graph under ONNX Runtime on the CPU, with its cache."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # as in the application: integers are widened once, and no activation is rounded to multiply with them
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        if sum(file.stat().st_size for file in path.parent.glob(f"{path.name}_data*")) > LEAN:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.add_session_config_entry("session.disable_prepacking", "1")
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

    def read(self, ids: Sequence[int], kept: int) -> numpy.ndarray:
        """Logits (kept, vocabulary) of the last tokens of a new prompt, read :data:`READ` at a time."""
        import numpy

        self.reset()
        found: list[numpy.ndarray] = []
        for start in range(0, len(ids), READ):
            found = [numpy.concatenate([*found, self.step(ids[start : start + READ])])[-kept:]]
        return found[0]

    def greedy(self, ids: Sequence[int], tokens: int) -> list[int]:
        """The graph's own continuation of a prompt."""
        chosen = [int(self.read(ids, 1)[-1].argmax())]
        while len(chosen) < tokens:
            chosen.append(int(self.step(chosen[-1:])[-1].argmax()))
        return chosen


def measure(session: Session, truths: Sequence[Truth]) -> Parity:
    """Hold a graph against PyTorch: each prompt is read, then PyTorch's answer token by token through the cache."""
    import numpy

    worst, compared, ties, wrong = numpy.float32(0), 0, 0, 0
    for truth in truths:
        found = session.read(truth.ids, truth.kept)
        rows = [found, *(session.step([token]) for token in truth.tokens[:-1])]
        found = numpy.concatenate(rows)
        worst = numpy.maximum(worst, numpy.abs(found - truth.logits).max())  # unlike max, keeps NaN
        chosen = found[truth.kept - 1 :].argmax(-1)[: truth.sure]
        off = numpy.flatnonzero(chosen != truth.tokens[: truth.sure])
        compared += int(off[0]) if len(off) else truth.sure
        wrong += bool(len(off))
        ties += truth.sure < len(truth.tokens) and not len(off)
    return Parity(float(worst), compared, ties, wrong)


def hold(name: str, found: Parity, limit: float) -> None:
    """Raise ParityError when a logit differs by more than ``limit``, or a token by more than a tie explains."""
    if not found.logits <= limit:
        raise ParityError(f"{name}: logits differ by {found.logits:.2g} from PyTorch's (limit {limit:.0e}): the export "
                          "is not the model")  # fmt: skip
    if found.wrong:
        raise ParityError(f"{name}: {found.wrong} prompts continue otherwise than PyTorch's: the export is not the "
                          "model")  # fmt: skip

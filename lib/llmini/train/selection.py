"""Which tokens to distil on: one small interface, four rules and the absence of one.

A rule scores every labelled token and then chooses by the scores, so that a batch can be ranked without ever holding
the logits of all its tokens at once. ``keep`` does both steps on logits that are at hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from llmini.settings import UserError

if TYPE_CHECKING:
    import torch


class Rule(Protocol):
    """What :func:`llmini.train.losses.distillation_loss` asks of a rule.

    ``needs_batch``: ``choose`` compares the tokens of a batch, so it wants the scores of all of them at once.
    ``needs_student``, ``needs_teacher``: whose logits ``score`` reads; it is given None for the other's.
    """

    needs_batch: bool
    needs_student: bool
    needs_teacher: bool

    def score(self, student_logits: Any, teacher_logits: Any, labels: torch.Tensor) -> torch.Tensor:
        """One number a token, shape (n,), from logits (n, V), left as they are, and the labels (n,) they predict."""
        ...

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """Which tokens to keep, boolean (n,)."""
        ...

    def keep(self, student_logits: Any, teacher_logits: Any, labels: torch.Tensor) -> torch.Tensor:
        """Which tokens to keep, boolean (n,), from logits (n, V) of student and teacher."""
        ...


class Scored:
    """``keep`` in terms of ``score`` and ``choose``."""

    needs_batch: ClassVar[bool] = False
    needs_student: ClassVar[bool] = False
    needs_teacher: ClassVar[bool] = False

    def keep(self, student_logits: Any, teacher_logits: Any, labels: torch.Tensor) -> torch.Tensor:
        """Boolean (n,). Raises UserError when the rule reads logits that are None."""
        for who, needed, logits in (("student", self.needs_student, student_logits),
                                    ("teacher", self.needs_teacher, teacher_logits)):  # fmt: skip
            if needed and logits is None:
                raise UserError(f"the selection rule {type(self).__name__.lower()} reads the {who}: give a {who}")
        return self.choose(self.score(student_logits, teacher_logits, labels))


@dataclass(frozen=True)
class Everything(Scored):
    """Every labelled token."""

    def score(self, student_logits: Any, teacher_logits: Any, labels: torch.Tensor) -> torch.Tensor:
        """Ones."""
        return labels.new_ones(len(labels))

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """All."""
        return scores.bool()


@dataclass(frozen=True)
class Confidence(Scored):
    """The study's gate: c_t = max softmax(z_teacher / T) > theta (its table 3, row SELECT-KD).

    T flattens the distribution: the same theta keeps fewer tokens at T = 2 than at T = 1.
    """

    theta: float
    temperature: float
    needs_teacher: ClassVar[bool] = True

    def score(self, student_logits: Any, teacher_logits: Any, labels: torch.Tensor) -> torch.Tensor:
        """The teacher's highest probability at the temperature, in fp32 at least."""
        z = precise(teacher_logits) / self.temperature
        return (z.amax(1) - z.logsumexp(1)).exp()

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """Above theta, strictly."""
        return scores > self.theta


@dataclass(frozen=True)
class Verified(Scored):
    """SelecTKD, greedy Top-k: the student's first choice is kept where the teacher has it among its k first.

    Source: Huang et al. (2025), arXiv 2510.24021, with weight 0 for rejected tokens. Ties count for the student.
    """

    k: int
    needs_student: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True

    def score(self, student_logits: Any, teacher_logits: Any, labels: torch.Tensor) -> torch.Tensor:
        """The teacher's rank of the student's proposal among the tokens that both have, 0 for its first."""
        shared = min(student_logits.shape[1], teacher_logits.shape[1])  # the rest is padding of the embeddings
        proposal = student_logits[:, :shared].argmax(1, keepdim=True)
        teacher = teacher_logits[:, :shared]
        return (teacher > teacher.gather(1, proposal)).sum(1)

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """Of rank below k."""
        return scores < self.k


@dataclass(frozen=True)
class Entropy(Scored):
    """The share of the batch where the student is least certain: the highest entropies of softmax(z_student).

    Source: SE-KD of Tavor et al. (2026), arXiv 2602.01395, which keeps a fifth.
    """

    share: float
    needs_batch: ClassVar[bool] = True
    needs_student: ClassVar[bool] = True

    def score(self, student_logits: Any, teacher_logits: Any, labels: torch.Tensor) -> torch.Tensor:
        """Entropy in nats, in fp32 at least."""
        z = precise(student_logits)
        z = z - z.amax(1, keepdim=True)
        p = z.exp()
        mass = p.sum(1)
        return mass.log() - p.mul_(z).sum(1) / mass  # H = log Σe^z - Σ p z

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """The budget's highest; of equal ones the earlier."""
        return highest(scores, self.share)


@dataclass(frozen=True)
class Random(Scored):
    """A control: as many tokens as :class:`Entropy` keeps at the same share, drawn blindly.

    The draw is a function of the seed and of the batch's labels, so that a resumed run repeats it; to draw anew for
    the same batch in a later epoch, give another seed.
    """

    share: float
    seed: int = 0
    needs_batch: ClassVar[bool] = True

    def score(self, student_logits: Any, teacher_logits: Any, labels: torch.Tensor) -> torch.Tensor:
        """Uniform numbers, the same on every device."""
        import hashlib

        import torch

        text = f"{self.seed}/{labels.tolist()}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little", signed=True)
        draw = torch.Generator().manual_seed(seed)
        return torch.rand(len(labels), generator=draw, dtype=torch.float64).to(labels.device)

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """The budget's highest."""
        return highest(scores, self.share)


@dataclass(frozen=True)
class Budget(Scored):
    """A gate at a fixed budget: the share of the batch that it values most, whatever its threshold.

    The confidence gate values the teacher's confidence; verification values the teacher's probability of the student's
    first choice. So rules are compared at an equal number of tokens.
    """

    gate: Confidence | Verified
    share: float
    needs_batch: ClassVar[bool] = True
    needs_teacher: ClassVar[bool] = True

    @property
    def needs_student(self) -> bool:
        """As the gate."""
        return self.gate.needs_student

    def score(self, student_logits: Any, teacher_logits: Any, labels: torch.Tensor) -> torch.Tensor:
        """What the gate values, higher for better, in fp32 at least."""
        if isinstance(self.gate, Confidence):
            return self.gate.score(student_logits, teacher_logits, labels)
        shared = min(student_logits.shape[1], teacher_logits.shape[1])
        proposal = student_logits[:, :shared].argmax(1, keepdim=True)
        z = precise(teacher_logits)[:, :shared]
        return z.gather(1, proposal)[:, 0] - z.logsumexp(1)

    def choose(self, scores: torch.Tensor) -> torch.Tensor:
        """The budget's highest."""
        return highest(scores, self.share)


def everything() -> Everything:
    """Keep every labelled token."""
    return Everything()


def confidence(theta: float = 0.7, temperature: float = 2.0, share: float = 1.0) -> Confidence | Budget:
    """Keep where the teacher is surer than theta (0 <= theta < 1) at the temperature (> 0).

    With a share below 1, keep that share of the batch instead, where it is surest.
    """
    if not 0 <= theta < 1:
        raise UserError(f"theta is a probability, at least 0 and below 1, not {theta}")
    if not (temperature > 0 and math.isfinite(temperature)):
        raise UserError(f"the temperature is a number above 0, not {temperature}")
    gate = Confidence(float(theta), float(temperature))
    return gate if check_share(share) == 1 else Budget(gate, float(share))


def verified(k: int = 1, share: float = 1.0) -> Verified | Budget:
    """Keep where the student's greedy token is among the teacher's k first (k >= 1).

    With a share below 1, keep that share of the batch instead, where the teacher holds it likeliest.
    """
    if isinstance(k, bool) or int(k) != k or k < 1:
        raise UserError(f"k is a whole number of tokens, at least 1, not {k}")
    gate = Verified(int(k))
    return gate if check_share(share) == 1 else Budget(gate, float(share))


def entropy(share: float = 0.2) -> Entropy:
    """Keep the share (above 0, at most 1) of the batch with the highest student entropy."""
    return Entropy(check_share(share))


def random(share: float = 0.2, seed: int = 0) -> Random:
    """Keep a random share (above 0, at most 1) of the batch."""
    return Random(check_share(share), int(seed))


def rule(name: str, **options: Any) -> Rule:
    """A rule by name: none, confidence (theta, temperature, share), verified (k, share), entropy (share), random
    (share, seed).

    Raises UserError for another name, an option that the rule does not have, and a value out of range.
    """
    import inspect

    makers = {"none": everything, "confidence": confidence, "verified": verified, "entropy": entropy,
              "random": random}  # fmt: skip
    if name not in makers:
        raise UserError(f"unknown selection rule {name!r}: choose one of {', '.join(makers)}")
    known = list(inspect.signature(makers[name]).parameters)
    for option in options:
        if option not in known:
            text = f"its options are {', '.join(known)}" if known else "it has no options"
            raise UserError(f"the selection rule {name} has no option {option!r}: {text}")
    return makers[name](**options)


def check_share(share: float) -> float:
    """The share as a float; raises UserError outside (0, 1]."""
    if not 0 < share <= 1:
        raise UserError(f"the kept share is above 0 and at most 1, not {share}")
    return float(share)


def budget(share: float, count: int) -> int:
    """How many of ``count`` tokens a share is: rounded to the nearest, at least one of any."""
    return min(count, max(1, math.floor(share * count + 0.5)))


def highest(scores: torch.Tensor, share: float) -> torch.Tensor:
    """Boolean (n,), true for exactly :func:`budget` tokens: those with the highest scores, of equal ones the first."""
    import torch

    kept = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    kept[scores.argsort(descending=True, stable=True)[: budget(share, len(scores))]] = True
    return kept


def precise(logits: torch.Tensor) -> torch.Tensor:
    """Logits in fp32, or in fp64 where they are that already."""
    import torch

    return logits if logits.dtype == torch.float64 else logits.float()

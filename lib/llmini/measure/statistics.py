"""Paired comparisons of two models over the same items: exact McNemar, bootstrap intervals, Holm, Wilson.

NumPy alone: the report imports this module, and the report never imports torch.
"""

from __future__ import annotations

from fractions import Fraction
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

CHUNK = 4_000_000  # resampled indices held at once: 32 MB


def mcnemar(first: ArrayLike, second: ArrayLike) -> dict[str, float]:
    """Exact two-sided McNemar test of two models' right/wrong outcomes on the same items.

    ``first``, ``second``: (items,) of 0/1 or booleans. Returns ``only_first`` and ``only_second`` (items that one model
    alone got right), ``n`` and ``p`` = min(1, 2 P[X <= min(b, c)]), X ~ Binomial(b + c, 1/2), in exact integers.
    Source: McNemar (1947); the exact form as in Fagerland, Lydersen and Laake (2013), eq. 5.
    Raises ValueError when the shapes differ or a value is neither 0 nor 1.
    """
    a, b = _outcomes(first), _outcomes(second)
    if a.shape != b.shape:
        raise ValueError(f"outcomes of {a.size} and {b.size} items are not paired")
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_first + only_second
    term = total = 1  # C(n, 0), then C(n, i) by its recurrence: no rounding at any n
    for i in range(min(only_first, only_second)):
        term = term * (discordant - i) // (i + 1)
        total += term
    p = min(1.0, float(Fraction(2 * total, 1 << discordant)))
    return {"only_first": only_first, "only_second": only_second, "n": int(a.size), "p": p}


def paired_bootstrap(first: ArrayLike, second: ArrayLike, *, clusters: ArrayLike | None = None,
                     strata: ArrayLike | None = None, resamples: int = 10_000, confidence: float = 0.95,
                     seed: int = 0) -> dict[str, float]:  # fmt: skip
    """Percentile bootstrap interval of mean(second) - mean(first), items resampled as pairs.

    ``first``, ``second``: (items,) of any numbers. ``clusters`` (items,): items of one cluster are drawn together, for
    items that share a fact or a passage. ``strata`` (items,): each stratum is resampled on its own and the strata's
    means are averaged unweighted, as a group mean over tasks is. Returns ``diff, low, high, stderr, n``.
    Source: Efron and Tibshirani (1993), ch. 13. Raises ValueError for no items, unpaired shapes or values not finite.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"values of shapes {a.shape} and {b.shape} are not paired")
    if not a.size:
        raise ValueError("no items to resample")
    delta = b - a
    if not np.isfinite(delta).all():
        raise ValueError("values must be finite")
    if resamples < 1 or not 0 < confidence < 1:
        raise ValueError("resamples must be positive and confidence between 0 and 1")
    rng = np.random.default_rng(seed)
    labels = np.zeros(a.size, dtype=int) if strata is None else _codes(strata, a.size, "strata")
    units = np.arange(a.size) if clusters is None else _codes(clusters, a.size, "clusters")
    draws, diff = np.zeros(resamples), 0.0
    for label in range(labels.max() + 1):
        inside = labels == label
        _, unit = np.unique(units[inside], return_inverse=True)
        sums, counts = np.bincount(unit, weights=delta[inside]), np.bincount(unit)
        draws += _resample(sums, counts, resamples, rng)
        diff += delta[inside].mean()
    draws, diff = draws / (labels.max() + 1), diff / (labels.max() + 1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return {"diff": float(diff), "low": float(low), "high": float(high),
            "stderr": float(draws.std(ddof=1)) if resamples > 1 else 0.0, "n": int(a.size)}  # fmt: skip


def holm(p: ArrayLike) -> np.ndarray:
    """Holm's step-down adjusted p values, in the order given: reject where they are at most alpha.

    ``p``: any shape, values in [0, 1]; NaN (a comparison that was not made) stays NaN and does not count.
    Source: Holm (1979). Raises ValueError for a value outside [0, 1].
    """
    p = np.asarray(p, dtype=float)
    made = ~np.isnan(p)
    if ((p[made] < 0) | (p[made] > 1)).any():
        raise ValueError("p values lie between 0 and 1")
    adjusted, flat = np.full(p.shape, np.nan), p[made]
    order = np.argsort(flat, kind="stable")
    steps = np.maximum.accumulate(flat[order] * np.arange(flat.size, 0, -1))
    result = np.empty_like(flat)
    result[order] = np.minimum(1.0, steps)
    adjusted[made] = result
    return adjusted


def wilson(successes: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> tuple[Any, Any]:
    """Wilson score interval of a share: (low, high), arrays of the inputs' broadcast shape or plain floats.

    Source: Wilson (1927). ``n`` = 0 gives (0, 1). Raises ValueError unless 0 <= successes <= n.
    """
    k, n = np.broadcast_arrays(np.asarray(successes, dtype=float), np.asarray(n, dtype=float))
    if ((k < 0) | (k > n)).any():
        raise ValueError("successes lie between 0 and n")
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    centre = (k + z2 / 2) / (n + z2)
    # k (n - k) / n, with 0 for no items at all
    spread = np.sqrt(z2) / (n + z2) * np.sqrt(np.divide(k * (n - k), n, out=np.zeros(n.shape), where=n > 0) + z2 / 4)
    low, high = np.clip(centre - spread, 0, 1), np.clip(centre + spread, 0, 1)
    low, high = np.where(k == 0, 0.0, low), np.where(k == n, 1.0, high)
    return (float(low), float(high)) if low.ndim == 0 else (low, high)


def _outcomes(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise ValueError("outcomes are one 0 or 1 per item")
    return array.astype(bool)


def _codes(labels: ArrayLike, size: int, name: str) -> np.ndarray:
    """Labels as 0, 1, 2 …; raises ValueError unless there is one per item."""
    labels = np.asarray(labels)
    if labels.shape != (size,):
        raise ValueError(f"{name} must name one label per item")
    return np.unique(labels, return_inverse=True)[1]


def _resample(sums: np.ndarray, counts: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Means (resamples,) of units drawn with replacement; a unit is a cluster with its sum and its item count."""
    kinds, share = np.unique(np.stack([sums, counts]), axis=1, return_counts=True)
    if kinds.shape[1] <= 64:  # right/wrong outcomes: few distinct units, so draw how often each comes up
        drawn = rng.multinomial(len(sums), share / len(sums), size=resamples)
        return (drawn @ kinds[0]) / (drawn @ kinds[1])
    means, step = np.empty(resamples), max(1, CHUNK // len(sums))
    for start in range(0, resamples, step):
        picked = rng.integers(len(sums), size=(min(step, resamples - start), len(sums)))
        means[start : start + step] = sums[picked].sum(axis=1) / counts[picked].sum(axis=1)
    return means

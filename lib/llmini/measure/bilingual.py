"""How alike a model behaves in English and Arabic: paired accuracy, consistency and calibration, with intervals.

``pairs`` is a frame with a row per question that was asked in both languages: ``item, category, en_correct, ar_correct,
en_confidence, ar_confidence``; a confidence is the probability of the chosen option. Gaps are English minus Arabic;
shares and gaps are fractions, not percent. Functions raise UserError for input that has no such measures.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from llmini.measure.statistics import CHUNK, wilson
from llmini.settings import UserError

if TYPE_CHECKING:
    import pandas

LANGUAGES = {"en": "English", "ar": "Arabic"}
BINS = 10
MODES = 160  # cosine modes, and points of the integral, of the smooth calibration error
NARROWEST = 0.01  # the narrowest kernel these modes resolve
TAILS = (0.025, 0.975)
NULL_DRAWS = 2000  # enough for a 97.5th percentile


def accuracy(pairs: pandas.DataFrame) -> dict[str, float]:
    """Share of right answers in each language."""
    pairs = check(pairs)
    return {code: float(pairs[f"{code}_correct"].mean()) for code in LANGUAGES}


def lpg(pairs: pandas.DataFrame, absolute: bool = False) -> float:
    """Language performance gap: English accuracy minus Arabic; the study prints the absolute value."""
    found = accuracy(pairs)
    gap = found["en"] - found["ar"]
    return abs(gap) if absolute else gap


def clcs(pairs: pandas.DataFrame) -> dict[str, float | None]:
    """Cross-lingual consistency, the study's: share of pairs right in both languages or wrong in both.

    ``clcs``; ``chance``, what independent answers of these accuracies would reach, p q + (1 - p)(1 - q); ``kappa``,
    Cohen's (1960) (clcs - chance) / (1 - chance), None where chance is 1: all pairs right, or all wrong.
    """
    pairs = check(pairs)
    english, arabic = pairs["en_correct"], pairs["ar_correct"]
    same, chance, kappa = _agreement(english.mean(), arabic.mean(), (english == arabic).mean())
    return {"clcs": float(same), "chance": float(chance), "kappa": None if np.isnan(kappa) else float(kappa)}


def confidence_gap(pairs: pandas.DataFrame) -> float:
    """Mean English confidence minus mean Arabic."""
    pairs = check(pairs)
    return float((pairs["en_confidence"] - pairs["ar_confidence"]).mean())


def brier(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Mean squared difference of the chosen option's confidence and its correctness, (items,) each (Brier, 1950)."""
    confidence, correct = _answers(confidence, correct)
    return float(((confidence - correct) ** 2).mean())


def ece(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS, equal_mass: bool = False) -> float:
    """Binned expected calibration error: sum over bins of |mean correctness - mean confidence|, weighted by items.

    Bins are of equal width, (0, 1/bins] and so on (Guo et al., 2017), or hold equally many items. Few items make it
    large even for a calibrated model.
    """
    confidence, correct = _answers(confidence, correct)
    residuals = (correct - confidence) / len(confidence)
    if not equal_mass:
        return float(_binned(residuals[None], confidence, bins)[0])
    order = np.argsort(confidence, kind="stable")
    return float(sum(abs(part.sum()) for part in np.array_split(residuals[order], bins)))


def smooth_ece(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Smooth calibration error: residuals smoothed by a Gaussian of width s, |.| integrated; s is its own result.

    smECE_s = integral over t in [0, 1] of |1/n sum_i K_s(t, confidence_i) (correct_i - confidence_i)|, where K_s is the
    Gaussian reflected at 0 and 1, and smECE = s where smECE_s = s. Source: Blasiok and Nakkiran (2023), "Smooth ECE",
    arXiv:2309.12236. K_s is diagonal in the cosines: K_s(t, c) = sum_k (2 - [k=0]) exp(-(pi k s)^2 / 2) cos(pi k t)
    cos(pi k c), exact up to kernels narrower than 0.01, which are not resolved.
    """
    confidence, correct = _answers(confidence, correct)
    return float(_smooth((correct - confidence)[None] / len(confidence), confidence)[0])


def behaviour(pairs: pandas.DataFrame, seed: int = 0, resamples: int = 10_000) -> list[dict[str, Any]]:
    """Every measure of the pairs with a 95 % interval: rows of ``metric, language, value, low, high, n``.

    Per language: acc, ece, ece_smooth, brier. Of both (language empty): lpg, lpg_abs, clcs, clcs_chance, clcs_kappa
    (no row where it is undefined), confidence_gap. ``n`` is the number of pairs. Pairs are resampled whole, so that a
    gap keeps the pairing; intervals are percentiles of ``resamples`` (Efron and Tibshirani, 1993, ch. 13), except:

    - acc and clcs, plain shares, have Wilson's, which keep their width where every answer is right;
    - lpg_abs spans the absolute values of what lpg's interval spans;
    - a calibration error is biased upwards, and resampling it doubles the bias: percentiles alone miss the truth of a
      well calibrated model nearly always. Its interval is the hull of the percentile interval and of that reflected
      about the value, and begins at 0 where a perfectly calibrated model of these confidences reaches the value in
      2.5 % of draws or more. It is wide; it covered the truth in 92 to 99 % of simulations with 40 and 320 pairs.
    """
    pairs = check(pairs)
    if resamples < 1:
        raise UserError(f"an interval needs resamples: {resamples} is none")
    n, rng = len(pairs), np.random.default_rng(seed)
    values = {key: float(value[0]) for key, value in _measures(np.ones((1, n)), pairs).items()}
    step = max(1, CHUNK // n)
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    parts = [_measures(rng.multinomial(n, np.full(n, 1 / n), size=size).astype(float), pairs) for size in sizes]
    draws = {key: np.concatenate([part[key] for part in parts]) for key in values}
    ends = {key: np.nanquantile(draws[key], TAILS) for key, value in values.items() if not np.isnan(value)}
    for code, (confidence, _) in _answered(pairs).items():
        for metric, limit in _calibrated(confidence, rng).items():
            low, high = ends[metric, code]
            value = values[metric, code]
            low, high = min(low, 2 * value - high), max(high, 2 * value - low)
            ends[metric, code] = (0.0 if value <= limit else max(0.0, low), min(1.0, high))
    for key in (("acc", "en"), ("acc", "ar"), ("clcs", "")):
        ends[key] = wilson(round(values[key] * n), n)
    low, high = ends["lpg", ""]
    ends["lpg_abs", ""] = (max(0.0, low, -high), max(-low, high))
    return [{"metric": metric, "language": language, "value": values[metric, language], "low": float(low),
             "high": float(high), "n": n} for (metric, language), (low, high) in ends.items()]  # fmt: skip


def subsets(pairs: pandas.DataFrame, size: int, draws: int = 10_000, seed: int = 0) -> pandas.DataFrame:
    """What a study of ``size`` of these pairs would have found: ``acc_en, acc_ar, lpg, clcs`` of each of ``draws``.

    Each row is a random subset without replacement; the study drew one of 15 and one of 30. The spread of a column is
    how far such a study's number can lie from that of all pairs; it is no more than the sampling of these very pairs,
    so that a subset's own interval (:func:`behaviour` of it) is wider still.
    """
    import pandas

    pairs = check(pairs)
    if not 1 <= size <= len(pairs):
        raise UserError(f"no subset of {size} pairs among {len(pairs)}: choose 1 to {len(pairs)}")
    rng, found = np.random.default_rng(seed), []
    english, arabic = (pairs[f"{code}_correct"].to_numpy() for code in LANGUAGES)
    step = max(1, CHUNK // len(pairs))
    for start in range(0, draws, step):
        order = rng.random((min(step, draws - start), len(pairs)))
        picked = order.argpartition(size - 1, axis=1)[:, :size]
        a, b = english[picked], arabic[picked]
        found.append(np.stack([a.mean(1), b.mean(1), a.mean(1) - b.mean(1), (a == b).mean(1)], axis=1))
    return pandas.DataFrame(np.concatenate(found), columns=["acc_en", "acc_ar", "lpg", "clcs"])


def items(pairs: pandas.DataFrame, benchmark: str) -> pandas.DataFrame:
    """The pairs as rows of ``Record.add_items``, a row per pair and language, English first; ``task`` is the category.

    Columns as :data:`llmini.measure.outcomes.COLUMNS`, and ``confidence``: a record of these yields the pairs again.
    """
    import pandas

    from llmini.measure.outcomes import COLUMNS

    pairs = check(pairs)
    rows = [pandas.DataFrame({
        "benchmark": benchmark, "task": pairs["category"], "language": code, "item_id": pairs["item"].astype(str),
        "correct": pairs[f"{code}_correct"] == 1, "correct_norm": None, "choice": None, "gold_nll": np.nan,
        "cluster": pairs["item"].astype(str), "confidence": pairs[f"{code}_confidence"],
    }) for code in LANGUAGES]  # fmt: skip
    found = pandas.concat(rows, ignore_index=True)[[*COLUMNS, "confidence"]]
    return found.astype({"correct_norm": "boolean", "choice": "Int64"})


def check(pairs: pandas.DataFrame) -> pandas.DataFrame:
    """The frame with plain numbers; raises UserError where a column, an outcome or a confidence is amiss."""
    import pandas

    columns = [f"{code}_{part}" for part in ("correct", "confidence") for code in LANGUAGES]
    missing = [name for name in ("item", "category", *columns) if name not in pairs]
    if missing:
        raise UserError(f"the pairs lack the column {missing[0]!r}: take them from llmini.measure.pairs")
    if pairs.empty:
        raise UserError("no pairs: ask at least one question in both languages")
    twins = pairs.loc[pairs["item"].duplicated(), "item"]
    if len(twins):
        raise UserError(f"pair {twins.iloc[0]!r} occurs twice: keep one row a pair")
    numbers = pairs[columns].apply(pandas.to_numeric, errors="coerce").astype(float)
    for name in columns:
        code, part = name.split("_")
        fine = numbers[name].isin([0, 1]) if part == "correct" else numbers[name].between(0, 1)
        if not fine.all():
            bad, kind = pairs.loc[~fine].iloc[0], "0 or 1" if part == "correct" else "a probability"
            what = f"{LANGUAGES[code]} {name} of pair {bad['item']!r} is {bad[name]}"
            raise UserError(f"{what}, not {kind}: score the pair again")
    return pairs.assign(**numbers)


def _answered(pairs: pandas.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Language -> (confidence, correct)."""
    return {code: tuple(pairs[f"{code}_{part}"].to_numpy() for part in ("confidence", "correct")) for code in LANGUAGES}


def _answers(confidence: ArrayLike, correct: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if confidence.ndim != 1 or confidence.shape != correct.shape or not confidence.size:
        raise UserError("calibration needs one confidence and one outcome per item, and at least one item")
    if not ((confidence >= 0) & (confidence <= 1)).all() or not np.isin(correct, (0, 1)).all():
        raise UserError("confidences are probabilities and outcomes 0 or 1: score the items again")
    return confidence, correct


def _measures(counts: np.ndarray, pairs: pandas.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """(metric, language) -> (draws,), from how often each draw holds each pair, (draws, pairs); kappa may be NaN."""
    n, answered = len(pairs), _answered(pairs)
    (sure_en, english), (sure_ar, arabic) = answered["en"], answered["ar"]
    acc = {("acc", "en"): counts @ english / n, ("acc", "ar"): counts @ arabic / n}
    gap = acc["acc", "en"] - acc["acc", "ar"]
    same, chance, kappa = _agreement(*acc.values(), counts @ (english == arabic).astype(float) / n)
    joint = {"lpg": gap, "lpg_abs": np.abs(gap), "clcs": same, "clcs_chance": chance, "clcs_kappa": kappa}
    found = acc | {(metric, ""): value for metric, value in joint.items()}
    for code, (confidence, correct) in answered.items():
        residuals = counts * ((correct - confidence) / n)
        found["ece", code] = _binned(residuals, confidence, BINS)
        found["ece_smooth", code] = _smooth(residuals, confidence)
        found["brier", code] = counts @ (confidence - correct) ** 2 / n
    return found | {("confidence_gap", ""): counts @ (sure_en - sure_ar) / n}


def _agreement(p: Any, q: Any, same: Any) -> tuple[Any, Any, Any]:
    """Agreement, its chance level and kappa of outcomes with shares p and q of right answers."""
    chance = p * q + (1 - p) * (1 - q)
    with np.errstate(invalid="ignore"):
        return same, chance, np.where(chance < 1, (same - chance) / np.where(chance < 1, 1 - chance, 1), np.nan)


def _binned(residuals: np.ndarray, confidence: np.ndarray, bins: int) -> np.ndarray:
    """Binned errors (draws,) of weighted residuals (draws, items)."""
    place = np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), confidence) - 1, 0, bins - 1)
    return np.abs(residuals @ (place[:, None] == np.arange(bins)).astype(float)).sum(axis=1)


@cache
def _cosines() -> np.ndarray:
    """cos(pi k t) at the points of the integral, with the kernel's factor: (modes, points)."""
    k, t = np.arange(MODES)[:, None], (np.arange(MODES) + 0.5) / MODES
    return np.where(k == 0, 1, 2) * np.cos(np.pi * k * t)


def _smooth(residuals: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Smooth errors (draws,) of weighted residuals (draws, items): roots of smECE_s - s, which falls with s."""
    k = np.pi * np.arange(MODES)
    modes = residuals @ np.cos(confidence[:, None] * k)

    def excess(width: np.ndarray) -> np.ndarray:
        kernel = np.exp(-0.5 * (np.maximum(width, NARROWEST)[:, None] * k) ** 2)
        return np.abs((modes * kernel) @ _cosines()).mean(axis=1) - width

    left = np.zeros(len(modes))
    above = excess(left)
    right = above.copy()  # the error at width 0, which no wider kernel exceeds
    below = excess(right)
    for _ in range(10):  # regula falsi, Illinois: the end that stays is given half its weight
        span = above - below
        root = np.where(span > 0, (right * above - left * below) / np.where(span > 0, span, 1), left)
        now = excess(root)
        up = now > 0
        left, right = np.where(up, root, left), np.where(up, right, root)
        above, below = np.where(up, now, above / 2), np.where(up, below / 2, now)
    return root


def _calibrated(confidence: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """97.5th percentile of both calibration errors if each answer were right with the probability stated."""
    residuals = ((rng.random((NULL_DRAWS, len(confidence))) < confidence) - confidence) / len(confidence)
    errors = {"ece": _binned(residuals, confidence, BINS), "ece_smooth": _smooth(residuals, confidence)}
    return {metric: float(np.quantile(error, TAILS[1])) for metric, error in errors.items()}

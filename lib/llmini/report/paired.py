"""Compressed models against their dense baselines, item by item: damage, retention and their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from llmini.report import labels

if TYPE_CHECKING:
    import numpy
    import pandas

    from llmini.report.measured import Results

RESAMPLES = 4000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Outcomes:
    """Right and wrong answers of several runs to the same items of one language.

    ``right``: (items, runs) of 0/1; ``task``, ``cluster``: (items,) labels. The mean is the benchmark's own:
    over items for ArabicMMLU, over the five tasks for metabench.
    """

    language: str
    runs: tuple[str, ...]
    right: numpy.ndarray
    task: numpy.ndarray
    cluster: numpy.ndarray

    def strata(self) -> numpy.ndarray | None:
        """The task of each item where the mean is over tasks, None where it is over items."""
        return self.task if self.language == "en" else None

    def means(self) -> numpy.ndarray:
        """Mean accuracy (percent) per run: (runs,)."""
        import numpy

        groups = [self.task == name for name in numpy.unique(self.task)] if self.language == "en" else [slice(None)]
        return 100 * numpy.mean([self.right[group].mean(axis=0) for group in groups], axis=0)

    def draws(self, resamples: int = RESAMPLES, seed: int = 0) -> numpy.ndarray:
        """Bootstrap means (percent): (resamples, runs). Each task's clusters are drawn with replacement, the runs
        together, so that differences and ratios of columns are paired. Source: Efron and Tibshirani (1993), ch. 13.
        """
        import numpy

        sums, totals = [], []
        for inside, counts in weights(tuple(self.task), tuple(self.cluster), resamples, seed):
            # Counts of 0/1 outcomes are exact in 32 bits; the divisions below are not.
            sums.append((counts @ self.right[inside].astype(numpy.float32)).astype(float))
            totals.append(counts.sum(axis=1, keepdims=True, dtype=float))
        if self.language == "en":
            return 100 * numpy.mean([own / count for own, count in zip(sums, totals, strict=True)], axis=0)
        return 100 * sum(sums) / sum(totals)


@lru_cache(maxsize=4)
def weights(task: tuple[str, ...], cluster: tuple[str, ...], resamples: int, seed: int) -> list[tuple]:
    """Per task: its items (boolean mask) and how often each comes up in every resample, (resamples, items)."""
    import numpy

    names, units = numpy.array(task), numpy.array(cluster)
    rng, out = numpy.random.default_rng(seed), []
    for name in numpy.unique(names):
        inside = names == name
        _, unit = numpy.unique(units[inside], return_inverse=True)
        drawn = rng.multinomial(unit.max() + 1, numpy.full(unit.max() + 1, 1 / (unit.max() + 1)), size=resamples)
        out.append((inside, drawn[:, unit].astype(numpy.float32)))
    return out


def outcomes(results: Results, runs: list[str], language: str) -> Outcomes | None:
    """Per-item outcomes of ``runs`` on the items that all of them answered; None when there are none.

    GSM8K is left out, as it is from the metabench mean.
    """
    table = _wide(results, language)
    if table is None or not len(runs) or any(run not in table.columns for run in runs):
        return None
    shared = table[list(dict.fromkeys(runs))].dropna()
    if shared.empty:
        return None
    keys = shared.index
    right = shared[list(runs)].to_numpy(dtype=float)
    task, cluster = keys.get_level_values("task").to_numpy(str), keys.get_level_values("cluster").to_numpy(str)
    return Outcomes(language, tuple(runs), right, task, cluster)


def _wide(results: Results, language: str) -> pandas.DataFrame | None:
    """Items of one language's suite as (task, item, cluster) x run, kept for the life of ``results``."""
    store = results.__dict__.setdefault("_wide", {})
    if language not in store:
        store[language] = _pivot(results.items, labels.SUITES[language])
    return store[language]


def _pivot(items: pandas.DataFrame, suite: str) -> pandas.DataFrame | None:
    if items.empty:
        return None
    wanted = {f"pocket_{suite}", suite}
    part = items[items["benchmark"].astype(str).isin(wanted) & (items["task"].astype(str) != "gsm8k")]
    part = part[["run_id", "task", "item_id", "cluster", "correct"]]
    if part.empty:
        return None
    part = part.assign(**{name: part[name].astype(str) for name in ("run_id", "task", "item_id")})
    # An item without a cluster is its own.
    alone = part["cluster"].isna() | (part["cluster"].astype(str) == "")
    part["cluster"] = part["cluster"].astype(str).where(~alone, part["item_id"])
    part["correct"] = part["correct"].astype(float)
    part = part.drop_duplicates(["run_id", "task", "item_id"])
    return part.pivot(index=["task", "item_id", "cluster"], columns="run_id", values="correct")


def drawn(results: Results, runs: list[str | None], language: str) -> numpy.ndarray | None:
    """Bootstrap means (percent) of ``runs`` over the items they share, (resamples, runs); None when there are none.

    Runs that answered the same items are drawn together once, whoever asks for them.
    """
    if any(run is None for run in runs):
        return None
    store = _kept(results, "draws", "", language, lambda results, _, code: _drawn(results, code))
    groups = [store.get(run) for run in runs]
    if None not in groups and len({id(group) for group, _ in groups}) == 1:
        return groups[0][0][:, [place for _, place in groups]]
    found = outcomes(results, runs, language)
    return None if found is None else found.draws()


def _drawn(results: Results, language: str) -> dict[str, tuple[numpy.ndarray, int]]:
    """Run -> the draws of all runs that answered the same items, and its column there."""
    table = _wide(results, language)
    groups: dict[bytes, list[str]] = {}
    for run in [] if table is None else table.columns:
        groups.setdefault(table[run].notna().to_numpy().tobytes(), []).append(run)
    out: dict[str, tuple[numpy.ndarray, int]] = {}
    for names in groups.values():
        found = outcomes(results, names, language)
        if found is not None:
            draws = found.draws()
            out |= {run: (draws, place) for place, run in enumerate(names)}
    return out


def interval(draws: numpy.ndarray) -> tuple[float, float]:
    """Percentile interval of the draws at :data:`CONFIDENCE`."""
    import numpy

    tail = 50 * (1 - CONFIDENCE)
    low, high = numpy.nanpercentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def retention(results: Results, run: str, language: str) -> dict[str, float]:
    """``value, low, high``: retention of ``run`` (percent of its dense baseline) with its paired interval.

    ``value`` comes from the results table; ``low`` and ``high`` are NaN without items.
    """
    return _kept(results, "retention", run, language, _retention)


def _retention(results: Results, run: str, language: str) -> dict[str, float]:
    dense = results.dense(run)
    base = results.mean(dense, language).value
    value = 100 * results.mean(run, language).value / base if base else math.nan
    draws = drawn(results, [dense, run], language)
    if draws is None:
        return {"value": value, "low": math.nan, "high": math.nan}
    low, high = interval(100 * draws[:, 1] / draws[:, 0])
    return {"value": value, "low": low, "high": high}


def damage(results: Results, run: str, language: str) -> dict[str, float]:
    """Accuracy lost by ``run`` against its dense baseline, points: ``diff`` (negative is loss), ``low``, ``high``,
    ``only_dense``, ``only_run`` (items that one of them alone got right), ``p`` (exact McNemar), ``n``.

    NaN where the results or the items are missing.
    """
    return _kept(results, "damage", run, language, _damage)


def _damage(results: Results, run: str, language: str) -> dict[str, float]:
    from llmini.measure import statistics

    dense = results.dense(run)
    diff = results.mean(run, language).value - results.mean(dense, language).value
    out = dict.fromkeys(("low", "high", "only_dense", "only_run", "p", "n"), math.nan)
    found = outcomes(results, [dense, run], language) if dense else None
    if found is None:
        return {"diff": diff, **out}
    before, after = found.right.T
    test = statistics.mcnemar(before, after)
    spread = statistics.paired_bootstrap(before, after, clusters=found.cluster, strata=found.strata(),
                                         resamples=RESAMPLES)  # fmt: skip
    return {"diff": diff, "low": 100 * spread["low"], "high": 100 * spread["high"], "p": test["p"], "n": test["n"],
            "only_dense": test["only_first"], "only_run": test["only_second"]}  # fmt: skip


def gap(results: Results, run: str) -> dict[str, float]:
    """Arabic loss minus English loss of one run in points (positive: Arabic lost more), with its interval.

    Losses are dense minus compressed mean accuracy; the two languages' items are resampled apart.
    """
    return _kept(results, "gap", run, "", lambda results, run, _: _gap(results, run))


def _gap(results: Results, run: str) -> dict[str, float]:
    dense = results.dense(run)
    loss = {code: results.mean(dense, code).value - results.mean(run, code).value for code in labels.SUITES}
    found = {code: drawn(results, [dense, run], code) for code in labels.SUITES}
    out = {"ar": loss["ar"], "en": loss["en"], "value": loss["ar"] - loss["en"], "low": math.nan, "high": math.nan}
    if all(part is not None for part in found.values()):
        lost = {code: part[:, 0] - part[:, 1] for code, part in found.items()}
        out["low"], out["high"] = interval(lost["ar"] - lost["en"])
    return out


def dense_gap(results: Results, run: str | None) -> dict[str, float]:
    """English minus Arabic mean accuracy of one model (points) with its interval: the gap before compression."""
    value = results.mean(run, "en").value - results.mean(run, "ar").value
    found = {code: drawn(results, [run], code) for code in labels.SUITES}
    if any(part is None for part in found.values()):
        return {"value": value, "low": math.nan, "high": math.nan}
    low, high = interval(found["en"][:, 0] - found["ar"][:, 0])
    return {"value": value, "low": low, "high": high}


def _kept(results: Results, kind: str, run: str, language: str, compute: object) -> dict[str, float]:
    """Compute once per results: tables and figures ask for the same intervals."""
    store = results.__dict__.setdefault("_paired", {})
    if (kind, run, language) not in store:
        store[(kind, run, language)] = compute(results, run, language)
    return store[(kind, run, language)]

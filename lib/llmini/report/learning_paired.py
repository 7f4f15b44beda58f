"""Distilled students against each other, item by item and seed by seed: differences with their intervals.

Items and training seeds are drawn together (Owen, 2007, "The pigeonhole bootstrap"): an interval speaks of other
questions and of other seeds alike, as far as the seeds that were run can.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmini.report import labels, learning_runs, paired

if TYPE_CHECKING:
    import numpy
    import pandas

    from llmini.report.measured import Results

BINS = 10
RESAMPLES = 2000  # of a behaviour run: its smooth ECE is most of what this report computes
NOTHING = {"value": math.nan, "low": math.nan, "high": math.nan, "n": 0, "seeds": 0}
Pairs = list[tuple[str, str]]


def scores(results: Results, pairs: Pairs, side: str) -> dict[str, float]:
    """Accuracy of the second run of each pair minus the first's, points, mean over the pairs (one for a seed).

    ``side``: ``ar`` (ArabicMMLU), ``en`` (metabench), ``both`` (their mean) or ``gsm8k``. Returns ``value, low, high,
    n, seeds``; 95 % interval, NaN without items.
    """
    if not pairs:
        return dict(NOTHING)
    sides = tuple(labels.SUITES) if side == "both" else (side,)
    found = [_drawn(results, pairs, each) for each in sides]
    value = sum(point for point, _, _ in found) / len(sides)
    count = sum(n for *_, n in found)
    if any(draws is None for _, draws, _ in found):
        return {**NOTHING, "value": value, "seeds": len(pairs)}
    return _spread(value, sum(draws for _, draws, _ in found) / len(sides), count)


def _drawn(results: Results, pairs: Pairs, side: str) -> tuple[float, numpy.ndarray | None, int]:
    """Mean difference, its draws over items (resamples, pairs), and the number of items."""
    runs = [run for pair in pairs for run in pair]
    cells = [learning_runs.score(results, run, side).value for run in runs]
    value = sum(cells[1::2]) / len(pairs) - sum(cells[::2]) / len(pairs)
    found = _answers(results, runs) if side == "gsm8k" else paired.outcomes(results, runs, side)
    if found is None:
        return value, None, 0
    draws = found.draws()
    return value, draws[:, 1::2] - draws[:, ::2], len(found.task)


def _answers(results: Results, runs: list[str]) -> paired.Outcomes | None:
    """Outcomes on GSM8K, which the English mean leaves out."""
    items = results.items
    part = items[items["task"].astype(str).eq("gsm8k") & items["run_id"].isin(runs)]
    if part.empty:
        return None
    part = part.assign(run_id=part["run_id"].astype(str), item_id=part["item_id"].astype(str),
                       correct=part["correct"].astype(float))  # fmt: skip
    table = part.pivot(index="item_id", columns="run_id", values="correct").dropna()
    if any(run not in table for run in runs) or table.empty:
        return None
    names = table.index.to_numpy(str)
    return paired.Outcomes("gsm8k", tuple(runs), table[runs].to_numpy(), names.astype("U1"), names)


def _spread(value: float, draws: numpy.ndarray, n: int) -> dict[str, float]:
    """Percentile interval of the mean over seeds: draws over items (resamples, seeds), seeds drawn with replacement."""
    import numpy

    seeds = draws.shape[1]
    weights = numpy.random.default_rng(1).multinomial(seeds, numpy.full(seeds, 1 / seeds), size=len(draws)) / seeds
    low, high = paired.interval((draws * weights).sum(axis=1))
    return {"value": value, "low": low, "high": high, "n": n, "seeds": seeds}


def questions(results: Results, run: str) -> pandas.DataFrame | None:
    """A behaviour run's answers to the pair questions, as :mod:`llmini.measure.bilingual` takes them; None without.

    Columns ``item, category, cluster, en_correct, ar_correct, en_confidence, ar_confidence``, in the items' order.
    """
    store = results.__dict__.setdefault("_questions", {})
    if run not in store:
        store[run] = _questions(results.items, run)
    return store[run]


def _questions(items: pandas.DataFrame, run: str) -> pandas.DataFrame | None:
    if "confidence" not in items:
        return None
    own = items[(items["run_id"] == run) & items["benchmark"].astype(str).str.endswith(learning_runs.PAIRS)]
    if own.empty:
        return None
    sides = {}
    for code in labels.SUITES:
        part = own[own["language"].astype(str) == code]
        part = part.assign(item=part["item_id"].astype(str)).set_index("item")
        sides[code] = part[["correct", "confidence"]].astype(float).add_prefix(f"{code}_")
    # Both languages say the same of a pair: category and cluster are read from the last.
    clusters = part["cluster"].astype(str) if "cluster" in part else part.index
    about = part.assign(category=part["task"].astype(str), cluster=clusters)
    table = about[["category", "cluster"]].join(sides["en"], how="inner").join(sides["ar"], how="inner")
    table["cluster"] = table["cluster"].where(~table["cluster"].isin(["", "nan", "None"]), table.index)
    return table.reset_index()


def behaviour(results: Results, run: str | None) -> dict[tuple[str, str], dict[str, float]]:
    """(metric, language) -> ``value, low, high, n`` of a behaviour run, from its items by `measure.bilingual`.

    Shares and gaps in percent and points. Without items, the recorded values with NaN for their intervals.
    """
    from llmini.measure import bilingual

    store = results.__dict__.setdefault("_behaviour", {})
    if run not in store:
        table = questions(results, run) if run else None
        if table is None:
            store[run] = _recorded(results, run)
        else:
            rows = bilingual.behaviour(table, resamples=RESAMPLES)
            store[run] = {(row["metric"], row["language"]): _scaled(row) for row in rows}
    return store[run]


def _scaled(row: dict[str, Any]) -> dict[str, float]:
    scale = 100 if row["metric"] in (*learning_runs.SHARES, "acc") else 1
    return {"value": scale * row["value"], "low": scale * row["low"], "high": scale * row["high"], "n": row["n"]}


def _recorded(results: Results, run: str | None) -> dict[tuple[str, str], dict[str, float]]:
    import pandas

    rows = results.rows[(results.rows["run_id"] == run) & results.rows["benchmark"].astype(str).str.endswith("pairs")]
    found = {}
    for row in rows.itertuples():
        share = row.metric in (*learning_runs.SHARES, "acc") and row.unit not in ("percent", "points")
        count = 0 if pandas.isna(row.n) else int(row.n)
        found[(row.metric, row.language)] = {"value": float(row.value) * (100 if share else 1), "low": math.nan,
                                             "high": math.nan, "n": count}  # fmt: skip
    return found


def behaviours(results: Results, pairs: Pairs, metric: str, language: str = "") -> dict[str, float]:
    """A behaviour metric of the second run of each pair minus the first's, mean over the pairs, as :func:`scores`.

    ``metric``: ``acc`` of a language or of ``both``, ``ece`` of a language, ``lpg``, ``lpg_abs``, ``clcs``; in points.
    """
    runs = list(dict.fromkeys(run for pair in pairs for run in pair))
    point, draws, n = _measured(results, runs, metric, language)
    if not pairs or draws is None:
        return dict(NOTHING)
    first, second = ([runs.index(pair[side]) for pair in pairs] for side in (0, 1))
    return _spread(float((point[second] - point[first]).mean()), draws[:, second] - draws[:, first], n)


def level(results: Results, runs: list[str], metric: str, language: str = "") -> dict[str, float]:
    """A behaviour metric's mean over ``runs`` (one for a seed), as :func:`behaviours`; as recorded without items."""
    point, draws, n = _measured(results, runs, metric, language)
    if draws is None:
        values = [value(results, run, metric, language) for run in runs]
        return {**NOTHING, "value": sum(values) / len(values) if values else math.nan, "seeds": len(values)}
    return _spread(float(point.mean()), draws, n)


def value(results: Results, run: str | None, metric: str, language: str = "") -> float:
    """A behaviour metric of :func:`behaviours` of one run without its interval, in points; NaN when absent."""
    import numpy

    table = questions(results, run) if run else None
    if table is None:
        return _recorded(results, run).get((metric, language), NOTHING)["value"]
    return float(_measure(numpy.ones((1, len(table))), table, metric, language)[0])


def _measured(results: Results, runs: list[str], metric: str, language: str) -> tuple[Any, Any, int]:
    """Values (runs,) and draws (resamples, runs) over the pairs that every run answered; a cluster's pairs together."""
    import numpy

    tables = [questions(results, run) for run in runs]
    if not tables or any(table is None for table in tables):
        return None, None, 0
    shared = set.intersection(*(set(table["item"]) for table in tables))
    tables = [table[table["item"].isin(shared)].sort_values("item") for table in tables]
    if not shared:
        return None, None, 0
    weights = drawn(tuple(tables[0]["cluster"]))
    ones = numpy.ones((1, len(shared)))
    point = numpy.array([_measure(ones, table, metric, language)[0] for table in tables])
    return point, numpy.stack([_measure(weights, table, metric, language) for table in tables], axis=1), len(shared)


def drawn(clusters: tuple[str, ...]) -> numpy.ndarray:
    """How often each item comes up in every resample of the clusters: (resamples, items)."""
    return paired.weights(("",) * len(clusters), clusters, paired.RESAMPLES, 0)[0][1].astype(float)


def _measure(weights: numpy.ndarray, table: pandas.DataFrame, metric: str, language: str) -> numpy.ndarray:
    """The metric in points under each row of weights (draws, pairs); definitions as in `measure.bilingual`."""
    import numpy

    total = weights.sum(axis=1)
    right = {code: table[f"{code}_correct"].to_numpy() for code in labels.SUITES}
    if metric == "acc":
        asked = sum(right.values()) / len(right) if language == "both" else right[language]
        return 100 * weights @ asked / total
    if metric == "clcs":
        return 100 * weights @ (right["en"] == right["ar"]).astype(float) / total
    if metric == "ece":
        sure = table[f"{language}_confidence"].to_numpy()
        place = numpy.clip(numpy.searchsorted(numpy.linspace(0, 1, BINS + 1), sure) - 1, 0, BINS - 1)
        inside = (place[:, None] == numpy.arange(BINS)).astype(float)
        return 100 * numpy.abs(weights @ (inside * (right[language] - sure)[:, None])).sum(axis=1) / total
    gap = 100 * weights @ (right["en"] - right["ar"]) / total
    return numpy.abs(gap) if metric == "lpg_abs" else gap

"""Accuracy retention under the study's two formulas, and the sizes behind its goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmini.report import labels, reported

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results


def ratio_of_sums(scores: Sequence[float], dense: Sequence[float]) -> float:
    """100 · Σ scores / Σ dense: the average retention of the study's quantization figure (Figure 8)."""
    total = sum(dense)
    return 100.0 * sum(scores) / total if total else math.nan


def mean_of_ratios(scores: Sequence[float], dense: Sequence[float]) -> float:
    """Mean of 100 · score / dense: the average retention of the study's pruning figure (Figure 10)."""
    if not all(dense) or not len(dense):
        return math.nan
    return 100.0 * sum(score / base for score, base in zip(scores, dense, strict=True)) / len(dense)


def line(scores: dict[str, float], dense: dict[str, float]) -> dict[str, float]:
    """Retention per language and both averages, percent, from mean accuracies ``{"ar": …, "en": …}``.

    Keys: ``ar``, ``en``, ``ratio_of_sums``, ``mean_of_ratios``; NaN where an input is NaN.
    """
    pairs = [(scores[language], dense[language]) for language in labels.SUITES]
    out = {language: mean_of_ratios([scores[language]], [dense[language]]) for language in labels.SUITES}
    return {**out, "ratio_of_sums": ratio_of_sums(*zip(*pairs, strict=True)),
            "mean_of_ratios": mean_of_ratios(*zip(*pairs, strict=True))}  # fmt: skip


def published() -> pandas.DataFrame:
    """Retention of every published compressed model: index (model, method)."""
    import pandas

    means = reported.means()
    rows = {
        (model, method): line(means.loc[(model, method)], means.loc[(model, labels.DENSE)])
        for model, method in means.index
        if method != labels.DENSE
    }
    return pandas.DataFrame.from_dict(rows, orient="index").rename_axis(["model", "method"])


def of(results: Results, run: str | None) -> dict[str, float]:
    """Measured retention of one run against its dense baseline, as :func:`line`."""
    dense = results.dense(run)
    means = [{code: results.mean(name, code).value for code in labels.SUITES} for name in (run, dense)]
    return line(*means)


def size_share(results: Results, run: str | None, metric: str = "size_packed") -> float:
    """Size of ``run`` as a percentage of its dense baseline's, NaN when either was not measured."""
    size, dense = (results.cell(name, metric).value for name in (run, results.dense(run)))
    return 100.0 * size / dense if dense else math.nan

"""Do encoders tuned on little data fall faster under pruning? Retention by share of the data, over three seeds."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from llmini.report import encoders, labels, verdict
from llmini.report.display import frame, span
from llmini.report.encoders import SHARES, data, find, over_seeds, score, seeds
from llmini.report.encoders_sweeps import NER

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

PHASES = ("before", "after")
FLOOR = 5.0  # percent F1 of the dense encoder below which a share of it says nothing
MEAN = "mean of 10 to 95 %"


def retention(results: Results, code: str, phase: str, share: float) -> dict[int, dict[float, float]]:
    """Seed -> sparsity -> percent of that seed's own dense F1 that is left, tested on the language it was tuned on."""
    own = {"model": NER, "task": "ner", "trained": code, "share": share}
    start = seeds(find(results, **own, method="dense", part="prune"))
    out: dict[int, dict[float, float]] = {}
    for line in find(results, **own, method="magnitude", phase=phase):
        before = score(results, start.get(line.seed), code).value
        if before > FLOOR:
            out.setdefault(line.seed, {})[line.sparsity] = 100 * score(results, line, code).value / before
    return out


def summary(curve: dict[float, float]) -> float:
    """Mean retention over the swept sparsities, each as wide as the steps around it (trapezes)."""
    points = sorted(curve.items())
    if len(points) < 2:
        return math.nan
    area = sum((b - a) * (x + y) / 2 for (a, x), (b, y) in itertools.pairwise(points))
    return area / (points[-1][0] - points[0][0])


def compared(results: Results, code: str, phase: str, share: float) -> dict[float | str, dict[str, float]]:
    """Sparsity, and the mean over all, -> retention with ``share`` of the data minus retention with all of it, points:
    paired by seed, with Student's interval over the seeds.
    """
    small, whole = (retention(results, code, phase, one) for one in (share, 1.0))
    both = sorted(set(small) & set(whole))
    levels = sorted({level for seed in both for level in set(small[seed]) & set(whole[seed])})
    out: dict[float | str, dict[str, float]] = {
        level: over_seeds(small[seed][level] - whole[seed][level] for seed in both
                          if level in small[seed] and level in whole[seed]) for level in levels}  # fmt: skip
    out[MEAN] = over_seeds(summary(small[seed]) - summary(whole[seed]) for seed in both)
    return out


def languages(results: Results) -> list[str]:
    """Languages for which encoders were tuned on less than all of the data and pruned."""
    found = {line.trained for line in find(results, model=NER, task="ner", method="magnitude") if line.share < 1}
    return [code for code in encoders.languages(results) if code in found]


def table(results: Results) -> pandas.DataFrame:
    """Retention for every share of the data, and the difference from all of the data with its interval and verdict."""
    rows = []
    for code in languages(results):
        for phase in PHASES:
            for share in SHARES:
                kept = retention(results, code, phase, share)
                if not kept:
                    continue
                dense = [
                    score(results, line, code).value
                    for line in seeds(
                        find(results, model=NER, task="ner", trained=code, share=share, method="dense", part="prune")
                    ).values()
                ]
                levels = sorted({level for curve in kept.values() for level in curve})
                row = {"language": labels.LANGUAGES[code], "pruned": f"{phase} tuning", "data": data(share),
                       ("Dense", "F1, %"): span(over_seeds(dense), 1)}  # fmt: skip
                row |= {("F1 left, % of dense", f"{100 * level:g} %"): encoders.mean(
                    curve.get(level, math.nan) for curve in kept.values()) for level in levels}  # fmt: skip
                cell = {"value": math.nan, "low": math.nan, "high": math.nan} if share == 1 else \
                    compared(results, code, phase, share)[MEAN]  # fmt: skip
                row[("Against all of the data", "points of retention, mean")] = (
                    "–" if share == 1 else span(cell, 1, True)
                )
                row[("Against all of the data", "falls faster")] = "–" if share == 1 else verdict.falls(cell)
                rows.append(row)
    note = ("Retention is F1 over the same seed's F1 before pruning. The difference is taken at each seed, averaged "
            "over sparsities of 10 to 95 %, and given with Student's 95 % interval over three seeds; the verdict is "
            "read off that interval.")  # fmt: skip
    digits = {f"{level} %": 0 for level in range(101)}
    return frame(
        rows, ["language", "pruned", "data"], f"Little data and pruning, {labels.tier(results.tier)}", note, digits
    )


def verdicts(results: Results) -> dict[tuple[str, str, float], tuple[str, dict[str, float]]]:
    """(language, phase, share) -> verdict on "falls faster than with all of the data", and the difference behind it."""
    out = {}
    for code in languages(results):
        for phase in PHASES:
            for share in SHARES[1:]:
                cell = compared(results, code, phase, share)[MEAN]
                if not math.isnan(cell["value"]):
                    out[(code, phase, share)] = (verdict.falls(cell), cell)
    return out

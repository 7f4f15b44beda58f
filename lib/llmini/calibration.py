"""How far `llmini.costs` is off: its estimates held against the measured pocket grid.

    python -m llmini.calibration

The speed of the machine that made the committed results, the seconds that a run takes whatever its model, and how
much longer each method takes than its arithmetic are fitted on the runs of all models but one and tried on those of the
one left out, in turn for each model. The error is |estimate - measured| / measured. The pocket models are alike in
size: how the formula goes over to a 7B model is not tested by this.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass, replace
from typing import Any

from llmini import costs, grid, needs
from llmini.compress import options, plan
from llmini.costs import Device, Work
from llmini.settings import UserError, data

PARTS = ("measured", "compressed")


@dataclass(frozen=True)
class Case:
    """A run of the committed results: a part of its work and the seconds that it took."""

    run_id: str
    model: str
    method: str
    part: str
    work: Work
    seconds: float


def cases(tier: str = "pocket") -> list[Case]:
    """Every run of the quantization and pruning families with its measured seconds; two parts where it compresses."""
    import pandas

    path = data("results", f"{tier}_runs.csv")
    if not path.is_file():
        raise UserError(f"{path} is missing: `make study-all` and `make publish` write it")
    table = pandas.read_csv(path, keep_default_na=False).set_index("run_id")
    told, found = costs.workload(tier), []
    for run in {run.run_id: run for job in grid.jobs(tier) for run in job.runs}.values():
        if run.family not in ("quant", "prune") or run.run_id not in table.index:
            continue
        shape, line = needs.shape(run.model, tier), table.loc[run.run_id]
        found.append(Case(run.run_id, run.model, run.method, "measured", needs.measuring(shape, told),
                          float(line["seconds"])))  # fmt: skip
        spent = json.loads(line["recipe"]).get("seconds", {}) if line["recipe"] else {}
        took = sum(spent.get(step, 0.0) for step in ("quantize", "prune", "calibrate", "save"))
        if run.method != "dense" and took:
            made = run.recipe()
            asked = options.request(made.get("quant"), made.get("prune"), made.get("prune_config"))
            windows = tuple(told["calibration"]) if plan.reads_text(asked) else (0, 0)
            found.append(Case(run.run_id, run.model, run.method, "compressed",
                              replace(plan.work(shape, asked, windows), fixed=0.0), took))  # fmt: skip
    return found


def fit(found: list[Case]) -> dict[str, Any]:
    """``speed`` in operations a second, ``fixed`` seconds, ``slower``: method -> how many times longer its checkpoint
    is measured than a plain one, ``overhead``: method -> how many times longer it compresses than its arithmetic takes.
    """
    measured = [case for case in found if case.part == "measured"]
    plain = [case for case in measured if case.method not in needs.SLOWER]
    typical = statistics.median(case.seconds for case in plain)
    # Models alike in size do not tell speed and fixed seconds apart: a third is taken as fixed.
    fixed = typical / 3
    speed = statistics.median(case.work.flops16 / (case.seconds - fixed) for case in plain if case.seconds > fixed)
    slower = {}
    for method in {case.method for case in measured}:
        mine = [case.seconds for case in measured if case.method == method]
        slower[method] = max(0.5, statistics.median(mine) / typical)
    made = [case for case in found if case.part == "compressed"]
    ratios: dict[str, list[float]] = {}
    for case in made:
        work = case.work.flops16 / speed + case.work.flops32 / speed
        ratios.setdefault(case.method, []).append(case.seconds / max(work, 1e-3))
    return {"fixed": fixed, "speed": speed, "slower": slower,
            "overhead": {method: statistics.median(values) for method, values in ratios.items()}}  # fmt: skip


def estimate(case: Case, told: dict[str, Any]) -> float:
    """Seconds by the formula with fitted constants."""
    device = Device("fitted", None, 0.0, told["speed"], told["speed"], 1e12)
    if case.part == "measured":
        return costs.seconds(replace(case.work, fixed=told["fixed"]), device) * told["slower"].get(case.method, 1.0)
    work = case.work.flops16 / told["speed"] + case.work.flops32 / told["speed"]
    return max(work, 1e-3) * told["overhead"].get(case.method, statistics.median(told["overhead"].values()))


def errors(found: list[Case]) -> list[tuple[Case, float]]:
    """Each case with its relative error, its own model left out of the fit."""
    made = []
    for model in dict.fromkeys(case.model for case in found):
        told = fit([case for case in found if case.model != model])
        made += [(case, abs(estimate(case, told) - case.seconds) / case.seconds) for case in found
                 if case.model == model]  # fmt: skip
    return made


def summary(tier: str = "pocket") -> list[dict[str, Any]]:
    """Per part and for whole runs: number of cases, median error, and the error that nine in ten stay below."""
    found = cases(tier)
    made = errors(found)
    rows = []
    for part in PARTS:
        mine = sorted(error for case, error in made if case.part == part)
        rows.append({"part": part, "cases": len(mine), "median": statistics.median(mine),
                     "nine in ten": mine[int(0.9 * (len(mine) - 1))]})  # fmt: skip
    told = {}
    for model in dict.fromkeys(case.model for case in found):
        fitted = fit([case for case in found if case.model != model])
        for case in found:
            if case.model == model:
                one, two = told.get(case.run_id, (0.0, 0.0))
                told[case.run_id] = (one + estimate(case, fitted), two + case.seconds)
    total = [sum(values) for values in zip(*told.values(), strict=True)]
    each = sorted(abs(one - two) / two for one, two in told.values())
    rows.append({"part": "a run", "cases": len(each), "median": statistics.median(each),
                 "nine in ten": each[int(0.9 * (len(each) - 1))]})  # fmt: skip
    rows.append({"part": "the grid", "cases": 1, "median": abs(total[0] - total[1]) / total[1],
                 "nine in ten": abs(total[0] - total[1]) / total[1]})  # fmt: skip
    return rows


def families(tier: str = "pocket") -> dict[str, float]:
    """Family -> the median over its runs of the plan's estimate, by its own constants and the fitted speed, over the
    measured seconds. A kernel's start and its imports are in the estimate and not in a record's seconds."""
    import pandas

    speed = fit(cases(tier))["speed"]
    here = Device("fitted", None, 1e12, speed, speed, 1e10)
    took = pandas.read_csv(data("results", f"{tier}_runs.csv"), keep_default_na=False).set_index("run_id")["seconds"]
    ratios: dict[str, list[float]] = {}
    for job in grid.jobs(tier):
        for run in job.runs:
            if run.run_id in took.index:
                planned = costs.seconds(needs.need(run, job, here).work, here)
                ratios.setdefault(job.family, []).append(planned / float(took[run.run_id]))
    return {family: statistics.median(found) for family, found in ratios.items()}


def main() -> None:
    print(f"{'estimate of':<14}{'cases':>7}{'median error':>14}{'nine in ten below':>19}")
    for row in summary():
        print(f"{row['part']:<14}{row['cases']:>7}{row['median']:>13.0%} {row['nine in ten']:>18.0%}")
    print("\nthe plan's estimate / measured, median of a family's runs:")
    for family, ratio in families().items():
        print(f"{family:<14}{ratio:>7.1f}")


if __name__ == "__main__":
    main()

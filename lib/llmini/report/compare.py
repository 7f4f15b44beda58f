"""Hold a new results table against the committed one: cells within tolerance, and cells outside, by name.

python -m llmini.report.compare data/results/pocket.csv runs/pocket/pocket.csv
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmini.records import COLUMNS
from llmini.report import labels
from llmini.settings import UserError

if TYPE_CHECKING:
    import pandas

KEY = ["run_id", "metric", "benchmark", "task", "language"]
# Of the machine, not of the model.
TIMING = ("tokens_per_second", "latency_ms", "latency_low", "latency_high", "peak_memory", "memory_resident",
          "memory_runtime", "memory_gpu", "seconds")  # fmt: skip
SHOWN = 40  # lines of a list before the rest is counted


class Tolerance(NamedTuple):
    """|new - committed| may reach max(relative · |committed|, absolute, items / n)."""

    relative: float = 0.0
    absolute: float = 0.0
    items: float = 0.0


# Weights and texts are fixed, so sizes are exact and a dense model repeats closely; rounding differs between
# processors and thread counts, and compression amplifies it, so compressed runs get more room.
TOLERANCES = {
    "size_disk": Tolerance(relative=1e-4),
    "size_resident": Tolerance(relative=1e-4),
    "size_packed": Tolerance(relative=2e-3),
    "size_nonzero": Tolerance(relative=2e-3),
    "compression_ratio": Tolerance(relative=2e-3),
    "perplexity": Tolerance(relative=0.02),
    "bits_per_byte": Tolerance(relative=0.01),
    "kl_to_dense": Tolerance(relative=0.1, absolute=5e-4),
    "acc": Tolerance(items=2),
    "acc_norm": Tolerance(items=2),
    "exact_match": Tolerance(items=2),
    "flip_rate": Tolerance(items=4),
    "gold_nll": Tolerance(relative=0.03, absolute=0.01),
    "lpg": Tolerance(items=4),
    "lpg_abs": Tolerance(items=4),
    "clcs": Tolerance(items=4),
    "clcs_chance": Tolerance(absolute=0.01),
    "clcs_kappa": Tolerance(absolute=0.03),
    "ece": Tolerance(absolute=0.02),
    "ece_smooth": Tolerance(absolute=0.02),
    "brier": Tolerance(absolute=0.01),
    "confidence_gap": Tolerance(absolute=0.01),
    "selected_share": Tolerance(absolute=0.02),
}
# Training follows a difference in the last digit to other weights: a trained student repeats as another seed would.
TRAINED = {
    **TOLERANCES,
    "perplexity": Tolerance(relative=0.1),
    "bits_per_byte": Tolerance(relative=0.05),
    "kl_to_dense": Tolerance(relative=0.2, absolute=0.02),
    "gold_nll": Tolerance(relative=0.15, absolute=0.1),
    **dict.fromkeys(("acc", "acc_norm", "exact_match"), Tolerance(absolute=0.1)),
    **dict.fromkeys(("flip_rate", "lpg", "lpg_abs", "clcs", "clcs_chance"), Tolerance(absolute=0.08)),
    **dict.fromkeys(("ece", "ece_smooth", "brier", "confidence_gap", "selected_share"), Tolerance(absolute=0.05)),
    "clcs_kappa": Tolerance(absolute=0.15),
}
OTHER = Tolerance(relative=0.05)
MEAN_ITEMS = 4  # a group mean gathers the drift of all its tasks: twice the items
UNCOUNTED = 0.01  # for a share whose number of items is not recorded
DENSE = 0.25  # share of a relative or absolute tolerance that a dense run may use


def allowed(metric: str, method: str, task: str, committed: float, n: float) -> float:
    """How far a cell may be from its committed value."""
    trained = method in labels.STAGES[1:] or method in labels.CONTROLS.values()
    tolerance = (TRAINED if trained else TOLERANCES).get(metric, OTHER)
    share = DENSE if method in (labels.DENSE, labels.BASE) and not metric.startswith("size_") else 1.0
    items = max(tolerance.items, MEAN_ITEMS) if tolerance.items and task == "mean" else tolerance.items
    by_items = (items / n if n and not math.isnan(n) else UNCOUNTED) if items else 0.0
    return max(share * tolerance.relative * abs(committed), share * tolerance.absolute, by_items) + 1e-12


@dataclass(frozen=True)
class Comparison:
    """Two results tables, cell by cell. ``cells``: those in both, with ``committed``, ``new``, ``allowed``, ``within``;
    ``missing``: committed cells that a repeated run lacks; ``fresh``: cells that are not committed; ``unrepeated``:
    committed runs that were not run again (a core study covers part of the grid); ``timings``: cells not compared.
    """

    cells: pandas.DataFrame
    missing: pandas.DataFrame
    fresh: pandas.DataFrame
    unrepeated: list[str]
    timings: int

    @property
    def outside(self) -> pandas.DataFrame:
        return self.cells[~self.cells["within"].astype(bool)]

    @property
    def agrees(self) -> bool:
        """Whether every repeated cell is within its tolerance and none is missing."""
        return self.outside.empty and self.missing.empty


def read(path: str | Path) -> pandas.DataFrame:
    """A results table. Raises UserError when it is missing or lacks a column."""
    import pandas

    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} is missing: run `make study` first")
    table = pandas.read_csv(path, keep_default_na=False, na_values={"value": [""], "stderr": [""], "n": [""]})
    if lacking := [column for column in COLUMNS if column not in table]:
        raise UserError(f"{path} lacks the column {lacking[0]!r}: make it again with `make study`")
    return table


def compare(committed: pandas.DataFrame, new: pandas.DataFrame) -> Comparison:
    """Join two results tables on :data:`KEY` and judge each shared cell."""
    timings = int(new["metric"].isin(TIMING).sum())
    old, new = (table[~table["metric"].isin(TIMING)].drop_duplicates(KEY) for table in (committed, new))
    repeated = set(new["run_id"])
    both = old.merge(new[[*KEY, "value"]], on=KEY, how="outer", suffixes=("", "_new"), indicator=True)
    cells = both[both["_merge"] == "both"].rename(columns={"value": "committed", "value_new": "new"})
    cells = cells[[*KEY, "method", "n", "committed", "new"]].reset_index(drop=True)
    cells["allowed"] = [allowed(c.metric, c.method, c.task, c.committed, c.n) for c in cells.itertuples()]
    cells["within"] = (cells["new"] - cells["committed"]).abs() <= cells["allowed"]
    gone = both[(both["_merge"] == "left_only") & both["run_id"].isin(repeated)]
    unrepeated = sorted(set(old["run_id"]) - repeated)
    return Comparison(cells, gone[KEY], both.loc[both["_merge"] == "right_only", KEY], unrepeated, timings)


def name(cell: object) -> str:
    """A cell by name: ``pocket-quant-allam_7b-w4a16 acc pocket_arabicmmlu/stem (ar)``."""
    place = "/".join(part for part in (cell.benchmark, cell.task) if part)
    words = (cell.run_id, cell.metric, place, f"({cell.language})" if cell.language else "")
    return " ".join(word for word in words if word)


def text(comparison: Comparison) -> str:
    """The comparison as a person reads it."""
    outside = comparison.outside
    total = len(comparison.cells)
    lines = [f"against the committed results: {total - len(outside)} of {total} cells within tolerance"]
    if len(outside):
        lines += [f"{len(outside)} outside:", *_some(
            f"  {name(cell)}: {cell.new:.6g}, committed {cell.committed:.6g}, allowed ±{cell.allowed:.2g}"
            for cell in outside.itertuples())]  # fmt: skip
    for cells, words in ((comparison.missing, "committed but not measured this time"),
                         (comparison.fresh, "measured this time but not committed")):  # fmt: skip
        if len(cells):
            lines += [f"{len(cells)} {words}:", *_some(f"  {name(cell)}" for cell in cells.itertuples())]
    if comparison.unrepeated:
        lines.append(f"{len(comparison.unrepeated)} committed runs were not part of this study (`make study-all`)")
    if comparison.timings:
        lines.append(f"{comparison.timings} timings and memory peaks are of this machine and are not compared")
    return "\n".join(lines)


def _some(lines: object) -> list[str]:
    lines = list(lines)
    rest = len(lines) - SHOWN
    return lines if rest <= 0 else [*lines[:SHOWN], f"  and {rest} more"]


def summary(committed: str | Path, new: str | Path) -> str:
    """Compare two results files and say what agrees, what does not, by name. Raises UserError for a bad file."""
    return text(compare(read(committed), read(new)))


def main(arguments: list[str] | None = None) -> int:
    """Print the summary; exit code 1 with ``--strict`` when a cell is outside or missing, 2 for a bad file."""
    parser = argparse.ArgumentParser(description="Hold a new results table against the committed one.")
    parser.add_argument("committed")
    parser.add_argument("new")
    parser.add_argument("--strict", action="store_true", help="exit with 1 unless every cell agrees")
    options = parser.parse_args(arguments)
    try:
        found = compare(read(options.committed), read(options.new))
    except UserError as fault:
        print(f"compare: {fault}", file=sys.stderr)
        return 2
    print(text(found))
    return 1 if options.strict and not found.agrees else 0


if __name__ == "__main__":
    sys.exit(main())

"""The measured results: one tidy table and its per-item outcomes, whatever rows exist."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.origin import REHEARSAL
from llmini.records import COLUMNS
from llmini.report import intact, labels
from llmini.settings import UserError, root

if TYPE_CHECKING:
    import pandas

ITEM_COLUMNS = ["benchmark", "task", "language", "item_id", "correct", "cluster", "run_id"]
RUN_COLUMNS = ["family", "model", "variant", "method", "sparsity", "mask", "calibration", "seed", "outliers"]
FAMILIES = ("quant", "prune")  # what the compression tables are made of
MB = 1e6  # "MB" of the pocket tier are 10**6 bytes; "GB" of the study are 2**30
# A variant's slug says the same as its params; it is read where the params leave something out.
SPARSITY, PATTERN = re.compile(r"-(\d\d)(?=-|$)"), re.compile(r"-(\d+)of(\d+)")
LANGUAGE, SEED = re.compile(r"-(en|ar|mixed)(?=-|$)"), re.compile(r"-s(\d+)")


class Cell(NamedTuple):
    """One measurement; NaN where nothing was measured. Accuracies are percent."""

    value: float
    stderr: float
    n: float


NOTHING = Cell(math.nan, math.nan, math.nan)


@dataclass(frozen=True, eq=False)
class Results:
    """A tier's measurements.

    ``rows``: columns of :data:`llmini.records.COLUMNS`; ``items``: per-item outcomes with ``run_id`` (may be empty);
    ``runs``: one line per run (index ``run_id``), its params parsed into :data:`RUN_COLUMNS`; ``provenance``: run id ->
    seconds, device, versions and the like, as ``{tier}_runs.csv`` has them (may be empty).
    """

    tier: str
    rows: pandas.DataFrame
    items: pandas.DataFrame
    runs: pandas.DataFrame
    cells: dict[tuple, Cell] = field(repr=False)
    provenance: dict[str, dict[str, object]] = field(default_factory=dict, repr=False)

    def cell(self, run: str | None, metric: str, benchmark: str = "", task: str = "", language: str = "") -> Cell:
        """The measurement of ``run``; :data:`NOTHING` when absent. ``benchmark`` drops the tier's prefix.

        ``language=""`` matches a row of any language.
        """
        return self.cells.get((run, metric, benchmark, task, language), NOTHING)

    def mean(self, run: str | None, language: str) -> Cell:
        """Mean accuracy (percent) on ArabicMMLU (``ar``) or metabench (``en``), as the contracts define it."""
        return self.cell(run, "acc", labels.SUITES[language], "mean")

    def perplexity(self, run: str | None, language: str, protocol: str = "") -> Cell:
        """Perplexity of the tier's text in ``language``; ``protocol="first"`` is the study's first-window variant."""
        pattern = re.compile(r"(world|wikitext2)(_ar|_en)?" + (r"_first\d+" if protocol else "") + "$")
        for name in self._kept("texts", lambda: self._texts()).get((run, language), ()):
            if pattern.match(name):
                return self.cells[run, "perplexity", name, "", language]
        return NOTHING

    def _texts(self) -> dict[tuple[str, str], list[str]]:
        """(run, language) -> the texts whose perplexity was measured."""
        out: dict[tuple[str, str], list[str]] = {}
        for run, metric, text, task, language in self.cells:
            if metric == "perplexity" and not task:
                out.setdefault((run, language), []).append(text)
        return {key: sorted(names) for key, names in out.items()}

    def _kept(self, key: object, compute: Callable[[], Any]) -> Any:
        """Compute once for these results: tables and figures ask for the same thing again and again."""
        store = self.__dict__.setdefault("_store", {})
        if key not in store:
            store[key] = compute()
        return store[key]

    def divergence(self, run: str | None, language: str) -> Cell:
        """KL-to-dense in nats a token on the text of ``language``."""
        return self.cell(run, "kl_to_dense", "", "", language)

    def select(self, **where: object) -> pandas.DataFrame:
        """The runs whose parsed columns equal ``where``."""
        runs = self.runs
        for column, wanted in where.items():
            runs = runs[runs[column] == wanted]
        return runs

    def run(self, model: str, method: str, *, sparsity: float | None = None, mask: str = "0:0",
            calibration: str = "en", seed: int | None = None, outliers: bool = False) -> str | None:  # fmt: skip
        """The run id of one configuration, None when it was not run.

        Defaults are the study's: 50 % sparsity, unstructured, English calibration, the lowest seed present.
        """
        wanted = (0.0 if method not in labels.PRUNE else 0.5) if sparsity is None else sparsity
        key = ("run", model, method, wanted, mask, calibration, seed, outliers)
        return self._kept(key, lambda: self._run(*key[1:]))

    def _run(self, model: str, method: str, wanted: float, mask: str, calibration: str, seed: int | None,
             outliers: bool) -> str | None:  # fmt: skip
        runs = self.select(model=model, method=method, mask=mask, outliers=outliers)
        runs = runs[((runs["sparsity"] - wanted).abs() < 1e-6) & runs["calibration"].isin(["", calibration])]
        if seed is not None:
            runs = runs[runs["seed"] == seed]
        if runs.empty:
            return None
        # A plain variant (`w4a16`) goes before its twin in the seed comparison (`w4a16-en-s0`).
        return min(runs.index, key=lambda run: (runs.at[run, "seed"], len(run), run))

    def dense(self, run: str | None) -> str | None:
        """The dense baseline of ``run``: same model, same outlier rescale if measured, same family if measured."""
        return self._kept(("dense", run), lambda: self._dense(run))

    def _dense(self, run: str | None) -> str | None:
        if run is None or run not in self.runs.index:
            return None
        line = self.runs.loc[run]
        runs = self.select(model=line["model"], method=labels.DENSE)
        if runs.empty:
            return None
        same = lambda name: (runs.at[name, "outliers"] != line["outliers"], runs.at[name, "family"] != line["family"])  # noqa: E731
        return min(runs.index, key=lambda name: (*same(name), name))

    def models(self) -> list[str]:
        """Models with any run, in the house's order."""
        return self._kept("models", lambda: labels.rank(self.runs["model"], labels.MODELS))

    def studied(self) -> list[str]:
        """The measured models without the control, which belongs to one comparison alone."""
        return [name for name in self.models() if not name.endswith("_control")]

    def methods(self, among: tuple[str, ...] = labels.METHODS) -> list[str]:
        """Methods of ``among`` with any run, in order."""
        there = self._kept("methods", lambda: set(self.runs["method"]))
        return [name for name in among if name in there]


def load(folder: str | Path = "data/results", tier: str = "pocket", families: tuple[str, ...] = FAMILIES) -> Results:
    """Read ``FOLDER/{tier}.csv`` and ``FOLDER/{tier}_items.parquet``; a missing file is an empty table.

    ``folder`` is taken from the checkout's root unless absolute. Raises UserError when a file is there but is not a
    results table (:mod:`llmini.report.intact`), or holds runs of a rehearsal among those of another tier.
    """
    import pandas

    folder = root() / folder
    path, item_path = folder / f"{tier}.csv", folder / f"{tier}_items.parquet"
    rows = pandas.DataFrame(columns=COLUMNS)
    if path.exists():
        rows = pandas.read_csv(path, keep_default_na=False, na_values={"value": [""], "stderr": [""], "n": [""]})
    items = pandas.read_parquet(item_path) if item_path.exists() else pandas.DataFrame(columns=ITEM_COLUMNS)
    run_path = folder / f"{tier}_runs.csv"
    runs = pandas.read_csv(run_path, keep_default_na=False) if run_path.exists() else None
    if path.exists():
        intact.check(path, rows, items, runs)
        if tier != REHEARSAL and (rows["tier"] == REHEARSAL).any():
            raise UserError(f"{path} holds a rehearsal's numbers, of made-up weights: delete it")
    return build(rows, items, tier, runs, families)


def build(rows: pandas.DataFrame, items: pandas.DataFrame | None = None, tier: str = "pocket",
          provenance: pandas.DataFrame | None = None, families: tuple[str, ...] = FAMILIES) -> Results:  # fmt: skip
    """A :class:`Results` from frames in the records' format; rows of another tier or family are left out.

    Where all rows are a rehearsal's, as in its notebooks, the results are of the tier ``rehearsal``.
    """
    import pandas

    if len(rows) and (rows["tier"] == REHEARSAL).all():
        tier = REHEARSAL
    rows = rows[(rows["tier"] == tier) & rows["family"].isin(families)].reset_index(drop=True)
    if items is None or items.empty:
        items = pandas.DataFrame(columns=ITEM_COLUMNS)
    items = items[items["run_id"].isin(set(rows["run_id"]))]
    heads = rows.drop_duplicates("run_id")
    lines = [(line.run_id, *_run(line)) for line in heads.itertuples()]
    runs = pandas.DataFrame(lines, columns=["run_id", *RUN_COLUMNS]).set_index("run_id")
    cells = {}
    for row in rows.itertuples():
        scale = 100.0 if row.metric in ("acc", "acc_norm", "exact_match") and row.unit != "percent" else 1.0
        error = float(row.stderr) * scale if not pandas.isna(row.stderr) else math.nan
        count = float(row.n) if not pandas.isna(row.n) else math.nan
        cell = Cell(float(row.value) * scale, error, count)
        benchmark = suite(row.benchmark)
        for name in {benchmark, ""} if row.metric in ("kl_to_dense", "bits_per_byte") else {benchmark}:
            for language in {row.language, ""}:
                cells.setdefault((row.run_id, row.metric, name, row.task, language), cell)
    made = {} if provenance is None else {line["run_id"]: line for line in provenance.to_dict("records")}
    return Results(tier, rows, items, runs, cells, made)


def suite(benchmark: str) -> str:
    """``pocket_arabicmmlu`` -> ``arabicmmlu``: one name for one suite in every tier."""
    return benchmark.removeprefix("pocket_")


def _run(line: object) -> tuple:
    """Family, model, variant, method and the parsed params of one run, in :data:`RUN_COLUMNS` order."""
    params = json.loads(line.params) if isinstance(line.params, str) and line.params else {}
    variant = line.variant
    pattern, digits, language, seed = (expression.search(variant) for expression in (PATTERN, SPARSITY, LANGUAGE, SEED))
    mask = params.get("mask_structure") or (f"{pattern[1]}:{pattern[2]}" if pattern else "0:0")
    sparsity = params.get("sparsity")
    if sparsity is None:
        sparsity = int(digits[1]) / 100 if digits else 0.5 if line.method in labels.PRUNE else 0.0
    calibration = params.get("calibration_language") or (language[1] if language else "")
    number = params.get("seed")
    number = int(seed[1]) if number is None and seed else int(number or 0)
    outliers = bool(params.get("outliers")) or variant.endswith("-outliers")
    return (line.family, line.model, variant, line.method, float(sparsity), mask, calibration, number, outliers)

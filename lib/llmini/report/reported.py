"""The published numbers of ``data/reported``, under this project's ids and metric names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmini.settings import UserError, data

if TYPE_CHECKING:
    import pandas

GIB = 2**30
COLUMNS = ["table", "model", "method", "sparsity", "benchmark", "task", "language", "metric", "value", "unit"]
# The compression part of the study: sizes, perplexities, means, per-task scores, parameter counts.
COMPRESSION = (6, 7, 8, 9, 10, 11, 20, 21, 22)
NAMES = {
    "method": {"fp16": "dense"},
    "benchmark": {"arabic_mmlu": "arabicmmlu"},
    "task": {"social_studies": "social_science"},
    "metric": {
        "mean_accuracy": "acc",
        "accuracy": "acc",
        "exact_match_flexible": "exact_match",
        "model_size_gb": "size",
        "original_size_gb": "size",
        "pruned_size_gb": "size",
        "parameter_count": "parameters",
    },
}
UNITS = {"size": "bytes", "acc": "percent", "acc_norm": "percent", "exact_match": "percent"}


def load(name: str) -> pandas.DataFrame:
    """The file ``data/reported/NAME*.csv`` as it stands, read as text where it is not numeric.

    ``name`` is ``table_08``, ``curriculum``, ``derived_claims``, … Raises UserError when there is no such file.
    """
    import pandas

    exact = data("reported", f"{name}.csv")
    found = [exact] if exact.exists() else sorted(data("reported").glob(f"{name}_*.csv"))
    if len(found) != 1:
        raise UserError(f"data/reported holds no table {name!r}: restore it with `git checkout data/reported`")
    return pandas.read_csv(found[0])


def table(number: int) -> pandas.DataFrame:
    """Table ``number`` of the study's compression part as tidy rows of :data:`COLUMNS`.

    ``sparsity`` is a fraction (0 unless pruned). Sizes are bytes (the printed "GB" are GiB), accuracies percent.
    """
    import pandas

    rows = load(f"table_{number:02d}")
    pruned = number in (9, 10, 11, 21, 22)
    rows = rows.assign(sparsity=rows["sparsity_or_bits"].astype(float) / 100 if pruned else 0.0)
    for column in ("benchmark", "task", "language"):
        if column not in rows:
            rows[column] = ""
    rows = rows.replace(NAMES)
    both = rows["method"] == "sparsegpt_or_wanda"
    rows = pandas.concat([rows[~both], *(rows[both].assign(method=name) for name in ("sparsegpt", "wanda"))])
    rows["value"] = rows["value"].astype(float).where(rows["metric"] != "size", rows["value"] * GIB)
    rows["unit"] = rows["metric"].map(UNITS).fillna("")
    return rows[COLUMNS].reset_index(drop=True)


def compression() -> pandas.DataFrame:
    """All tables of :data:`COMPRESSION` in one frame; a number printed in two tables appears twice."""
    import pandas

    return pandas.concat([table(number) for number in COMPRESSION], ignore_index=True)


def value(rows: pandas.DataFrame, **where: object) -> float:
    """The one ``value`` of the rows whose columns equal ``where``, or NaN when the study prints none."""
    for column, wanted in where.items():
        rows = rows[rows[column] == wanted]
    return float(rows["value"].iloc[0]) if len(rows) else float("nan")


def means() -> pandas.DataFrame:
    """Mean accuracies of Tables 8 and 11 (percent): index (model, method), columns ``ar`` and ``en``."""
    import pandas

    rows = pandas.concat([table(8), table(11)]).drop_duplicates(["model", "method", "language"])
    return rows.pivot(index=["model", "method"], columns="language", values="value")


def sizes() -> pandas.Series:
    """Sizes of Tables 6 and 9 (bytes): index (model, method)."""
    import pandas

    rows = pandas.concat([table(6), table(9)])
    rows = rows[rows["metric"] == "size"].drop_duplicates(["model", "method"])
    return rows.set_index(["model", "method"])["value"]

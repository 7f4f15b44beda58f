"""The data dictionary of ``data/results``: what every column means, written as a page and held against the files.

    python -m llmini.report.dictionary        # write data/results/README.md from dictionary.yaml
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.records import write_atomic
from llmini.settings import root

if TYPE_CHECKING:
    import pandas

TABLES = ("metrics", "items", "runs")
PAGE = Path("data", "results", "README.md")


@cache
def dictionary() -> dict[str, Any]:
    """``dictionary.yaml``: table -> file, about, columns; and the metrics."""
    import yaml

    return yaml.safe_load(Path(__file__).with_name("dictionary.yaml").read_text(encoding="utf8"))


def read(folder: Path, tier: str, table: str) -> pandas.DataFrame:
    """One of the three files of a results folder, empty cells as missing."""
    import pandas

    path = folder / dictionary()[table]["file"].format(tier=tier)
    return pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path, low_memory=False)


def faults(frame: pandas.DataFrame, table: str) -> list[str]:
    """What in ``frame`` is not as the dictionary says, in words; nothing where all is."""
    told = dictionary()[table]["columns"]
    out = [f"{name}: in no dictionary" for name in frame if name not in told]
    for name, entry in told.items():
        if name not in frame:
            out += [] if entry.get("empty") else [f"{name}: missing"]
            continue
        column = frame[name]
        if column.isna().any() and not entry.get("empty"):
            out.append(f"{name}: {int(column.isna().sum())} empty cells")
        out += [f"{name}: {words}" for words in wrong(column.dropna(), entry)]
    if table == "metrics" and "metric" in frame:
        out += [f"metric {name}: in no dictionary" for name in sorted(set(frame["metric"]) - set(metrics()))]
    return out


def wrong(column: pandas.Series, entry: dict[str, Any]) -> list[str]:
    """Faults of filled cells: kind, values, bounds."""
    import pandas

    out, kind = [], entry["kind"]
    if "values" in entry and (strange := sorted(set(map(str, column.unique())) - set(entry["values"]))):
        out.append(f"{strange[0]} is none of {', '.join(entry['values'])}")
    if kind in ("number", "count"):
        numbers = pandas.to_numeric(column, errors="coerce")
        if numbers.isna().any():
            out.append("not every cell is a number")
        if kind == "count" and (numbers.dropna() % 1 != 0).any():
            out.append("not every cell is a whole number")
        for bound, beyond in (("least", numbers < entry.get("least", -float("inf"))),
                              ("most", numbers > entry.get("most", float("inf")))):  # fmt: skip
            if beyond.any():
                out.append(f"{numbers[beyond].iloc[0]:g} is beyond {bound} {entry[bound]}")
    if kind == "flag" and not set(map(str, column.unique())) <= {"True", "False"}:
        out.append("not every cell is true or false")
    if kind == "json":
        out += [f"{text[:40]} is no JSON" for text in map(str, column.unique()) if not _parses(text)][:1]
    return out


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def metrics() -> dict[str, dict[str, str]]:
    """Metric -> unit and meaning."""
    return dictionary()["metrics_of"]


def page() -> str:
    """``data/results/README.md``."""
    lines = ["# Results, column by column", "",
             "Written from `lib/llmini/report/dictionary.yaml` by `python -m llmini.report.dictionary`; a test holds "
             "the files against it. Licence: CC BY 4.0."]  # fmt: skip
    for table in TABLES:
        told = dictionary()[table]
        lines += ["", f"## `{told['file']}`", "", f"{told['about'][0].upper()}{told['about'][1:]}.", "",
                  "| column | kind | may be empty | meaning |", "| --- | --- | --- | --- |"]  # fmt: skip
        lines += [f"| `{name}` | {entry['kind']} | {'yes' if entry.get('empty') else 'no'} | {entry['about']} |"
                  for name, entry in told["columns"].items()]  # fmt: skip
    lines += ["", "## Metrics", "", "| metric | unit | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {entry['unit'] or '–'} | {entry['about']} |" for name, entry in metrics().items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    write_atomic(root() / PAGE, lambda path: path.write_text(page(), encoding="utf8"))
    print(PAGE)


if __name__ == "__main__":
    main()

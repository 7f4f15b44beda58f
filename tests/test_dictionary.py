"""The data dictionary against the committed files, and against files that are not as it says."""

import re
from pathlib import Path

import pandas
import pytest
import yaml

from llmini import schema
from llmini.records import COLUMNS
from llmini.report import dictionary
from llmini.settings import root

FOLDER = root() / "data" / "results"


@pytest.mark.parametrize("table", dictionary.TABLES)
def test_the_committed_files_are_as_the_dictionary_says(table):
    assert dictionary.faults(dictionary.read(FOLDER, "pocket", table), table) == []


def test_it_knows_every_column_family_and_metric_of_a_record():
    told = dictionary.dictionary()["metrics"]["columns"]
    assert list(told) == COLUMNS
    assert set(told["family"]["values"]) == set(schema.FAMILIES)
    assert set(dictionary.metrics()) == set(schema.METRICS)


def test_units_are_those_of_the_results():
    rows = dictionary.read(FOLDER, "pocket", "metrics")
    for name, entry in dictionary.metrics().items():
        found = set(rows.loc[rows["metric"] == name, "unit"].dropna().unique())
        assert found <= {entry["unit"], "points", "percent", "ratio"} - {""} or found == {entry["unit"]}, (name, found)


@pytest.mark.parametrize(("change", "words"), [
    ({"tier": ["moon"]}, "tier: moon is none of pocket, small, full, rehearsal"),
    ({"value": ["high"]}, "value: not every cell is a number"),
    ({"n": [1.5]}, "n: not every cell is a whole number"),
    ({"stderr": [-1]}, "stderr: -1 is beyond least 0"),
    ({"params": ["{"]}, "params: { is no JSON"),
    ({"metric": ["taste"]}, "metric taste: in no dictionary"),
    ({"model": [None]}, "model: 1 empty cells"),
    ({"extra": [1]}, "extra: in no dictionary"),
])  # fmt: skip
def test_what_is_not_as_it_says_is_told(change, words):
    row = {"tier": ["pocket"], "family": ["quant"], "model": ["allam_7b"], "variant": ["w8a8"], "method": ["w8a8"],
           "params": ["{}"], "benchmark": [""], "task": [""], "language": [""], "metric": ["acc"], "value": [0.5],
           "unit": [""], "stderr": [0.1], "n": [10], "run_id": ["r"]}  # fmt: skip
    assert dictionary.faults(pandas.DataFrame(row), "metrics") == []
    assert words in dictionary.faults(pandas.DataFrame({**row, **change}), "metrics")


def test_the_page_is_the_dictionarys():
    assert (root() / dictionary.PAGE).read_text() == dictionary.page()


STATED = ("Where", "Why", "Language", "Writers", "Checked by", "Contains", "Licence", "Not for")


def test_every_source_has_a_data_statement():
    """Every folder of data/, every corpus of the registry and ACAI's corpus is stated, with every field."""
    text = (root() / "docs" / "data_statements.md").read_text()
    sections = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    for section in sections:
        fields = re.findall(r"^- \*\*(.+?)\*\*: \S", section, re.MULTILINE)
        assert tuple(fields) == STATED, section.split("\n")[0]
    places = " ".join(re.findall(r"^- \*\*Where\*\*: (.+)$", text, re.MULTILINE))
    for folder in (root() / "data").iterdir():
        if folder.is_dir() and folder.name not in ("corpora", "evaluation"):  # a registry, and tasks of external data
            assert f"data/{folder.name}" in places, folder.name
    for part in ("world", "tasks", "dialects", "grammar"):
        assert f"data/pocket/{part}" in places
    registry = yaml.safe_load((root() / "data" / "corpora" / "registry.yaml").read_text())
    assert all(f"`{name}`" in text for name in registry)
    for path in re.findall(r"`((?:data|acai|lib|docs|tests)/[^`*]+)`", text):
        assert Path(root(), path).exists(), path


def test_the_citation_is_whole():
    cited = yaml.safe_load((root() / "CITATION.cff").read_text())
    assert {"cff-version", "title", "message", "authors", "version", "license"} <= set(cited)
    assert cited["cff-version"] == "1.2.0" and cited["license"] in (root() / "LICENSE").read_text()
    assert f'version = "{cited["version"]}"' in (root() / "pyproject.toml").read_text()

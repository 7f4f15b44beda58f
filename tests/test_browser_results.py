"""The browser's rows in the report: from the committed results, and said to be missing where they are."""

import pandas
import pytest

from llmini.report import browser_results, display, measured
from llmini.settings import root


@pytest.fixture(scope="module")
def table():
    text = dict.fromkeys(("benchmark", "task", "language", "unit"), "")
    return pandas.read_csv(root() / "data" / "results" / "pocket.csv", float_precision="round_trip").fillna(text)


def build(rows):
    return measured.build(rows, None, "pocket", None, browser_results.FAMILIES)


def test_forms_and_agents_are_the_results(table):
    found = build(table)
    rows = table[table["family"] == "browser"].set_index(["benchmark", "task", "metric", "language"])["value"]
    forms = browser_results.forms_table(found)
    dense, packed = (rows["onnx", form, "size_disk"].iloc[0] for form in ("dense", "q4dq"))
    assert forms["download, MB"].tolist()[0] == pytest.approx(dense / 1e6)
    assert 100 * packed / dense in forms["of dense, %"].tolist()
    agents = browser_results.agents_table(found)
    assert len(agents) == 6
    assert agents.loc["Bani · باني", ("English", "right, %")] == pytest.approx(
        100 * rows["acai_agents", "bani", "acc", "en"]
    )
    text = browser_results.answer(found).text
    assert f"{display.number(100 * packed / dense, 0)} % of the dense one" in text and text.count("\n") == 1


def test_nothing_is_said_to_be_missing(table):
    found = build(table[table["family"] != "browser"])
    assert len(browser_results.forms_table(found)) == len(browser_results.agents_table(found)) == 0
    assert browser_results.answer(found).text.startswith("Not measured.")

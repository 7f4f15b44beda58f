"""The headline's two findings: what a model of equal facts keeps of the gap, and the language of the calibration."""

import dataclasses

import pandas
import pytest

from llmini.report import conclusions, findings, measured
from llmini.settings import root
from reporting import nothing, results


@pytest.fixture(scope="module")
def committed():
    return measured.load("data/results", "pocket")


@pytest.fixture(scope="module")
def rows():
    return pandas.read_csv(root() / "data" / "results" / "pocket.csv")


def test_the_headline_holds_both(committed):
    english, arabic = conclusions.closing(committed).text.split("\n")
    for part, text in zip(findings.headline(committed), (english, arabic), strict=True):
        assert part and text.endswith(part)


def test_the_leads_are_those_of_the_results_table(committed, rows):
    dense = rows[(rows["method"] == "dense") & (rows["metric"] == "acc") & (rows["task"] == "mean")]
    text, arabic = findings.control_gap(committed)
    for run in ("pocket-quant-allam_7b-dense", "pocket-quant-allam_7b_control-dense"):
        mean = dense[dense["run_id"] == run].set_index("benchmark")["value"]
        lead = f"{100 * (mean['pocket_metabench'] - mean['pocket_arabicmmlu']):.1f}"
        assert f"by {lead} points" in text and f"{lead} نقطة لصالح الإنجليزية" in arabic


def test_the_distances_are_those_of_the_results_table(committed, rows):
    kl = rows[rows["metric"] == "kl_to_dense"].set_index(["run_id", "language"])["value"]
    run = "pocket-quant-allam_7b-w4a16"
    for text in findings.calibration(committed):
        for name in (run, f"{run}-ar"):
            for code in ("ar", "en"):
                one, other = kl[name, code], kl[f"{run}_rtn", code]
                assert f"({one:.4f} against {other:.4f})" in text or f"({one:.4f} مقابل {other:.4f})" in text


def changed(found, run, code, value, stderr):
    cells = {key: cell._replace(value=value, stderr=stderr)
             if key[0] == run and key[1] == "kl_to_dense" and key[-1] == code else cell
             for key, cell in found.cells.items()}  # fmt: skip
    return dataclasses.replace(found, cells=cells)


@pytest.mark.parametrize("value, stderr, words", [
    (0.001, 0.0001, "is, against plain rounding, closer on Arabic text"),
    (0.9, 0.001, "is, against plain rounding, farther on Arabic text"),
    (0.07, 0.1, "is, against plain rounding, not measurably closer on Arabic text"),
])  # fmt: skip
def test_closer_is_said_where_the_intervals_do_not_meet(value, stderr, words):
    found = changed(results(), "pocket-quant-allam_7b-w4a16", "ar", value, stderr)
    english, arabic = findings.calibration(found)
    assert words in english
    assert ("لا يثبت أنها أقرب في النص العربي" in arabic) is ("not" in words)
    assert "its own language alone" not in english


def test_each_text_helps_its_own_language_alone_only_if_it_does():
    found = results()
    for run, code, value in (("w4a16", "ar", 0.08), ("w4a16-ar", "en", 0.033)):
        found = changed(found, f"pocket-quant-allam_7b-{run}", code, value, 0.01)
    assert findings.calibration(found)[0].endswith("each text measurably helps its own language only.")


def test_without_its_runs_nothing_is_found():
    assert findings.headline(nothing()) == ("", "")
    assert conclusions.closing(nothing()).text.startswith("Not measured")

"""Reliability, categories and costs: cells against a plain computation, and sections without results."""

import math

import numpy
import pytest

from llmini.measure.statistics import wilson
from llmini.report import categories, costs, labels, learning_paired, learning_runs, reliability
from llmini.report.display import show
from reporting import nothing, results
from reporting_kd import results as distilled


@pytest.fixture(scope="module")
def found():
    return results()


@pytest.fixture(scope="module")
def learned():
    return distilled(core=True)


def test_bins_hold_every_answer_once_and_their_own_shares(learned):
    run = learning_runs.find(learned, "sft_kd", behaviour=True)[0]
    table = learning_paired.questions(learned, run)
    for code in labels.SUITES:
        sure, right = table[f"{code}_confidence"].to_numpy(), table[f"{code}_correct"].to_numpy()
        told = reliability.bins(learned, run, code)
        assert sum(one.n for one in told) == len(table)
        error = 0.0
        for low in numpy.arange(10) / 10:
            inside = (sure > low) & (sure <= low + 0.1) | ((low == 0) & (sure == 0))
            if inside.any():
                error += inside.sum() * abs(right[inside].mean() - sure[inside].mean())
        assert reliability.error(told) == pytest.approx(100 * error / len(table), abs=1e-6)
        assert reliability.lean(told) == pytest.approx(100 * (sure.mean() - right.mean()))
        for one in told:
            assert (one.low / 100, one.high / 100) == pytest.approx(wilson(round(one.right * one.n / 100), one.n))


def test_the_recorded_ece_is_the_diagrams(learned):
    """Ten equal bins, as the records' ECE: the two agree on the committed results too."""
    own = learning_runs.load()
    for method, (results_, run) in reliability.chosen(own).items():
        for code in labels.SUITES:
            told = learning_runs.value(results_, run, "ece", code)
            assert reliability.error(reliability.bins(results_, run, code)) == pytest.approx(told, abs=0.02), method


def test_reliability_with_and_without_results(learned):
    assert "ECE goes from" in reliability.answer(learned).text and 'dir="rtl"' in reliability.answer(learned).html
    assert "SelecTKD" in show(reliability.table(learned)).text
    assert len(reliability.figure(learned).axes) == 4
    assert "Not measured" in reliability.answer(nothing()).text
    assert "not measured" in show(reliability.table(nothing())).text
    assert reliability.figure(nothing()).axes[0].texts[0].get_text().startswith("not measured")


def test_a_categorys_retention_is_its_scores_ratio_with_an_interval_around_it(found):
    run = found.run("allam_7b", "wanda")
    for _, suite, task, metric in categories.TASKS:
        cell = categories.retention(found, run, suite, task, metric)
        scores = [found.cell(which, metric, suite, task).value for which in (run, found.dense(run))]
        assert cell["value"] == pytest.approx(100 * scores[0] / scores[1])
        assert cell["low"] <= cell["value"] + 1e-6 and cell["value"] <= cell["high"] + 1e-6


def test_published_categories_are_the_tables(found):
    assert categories.published("allam_7b", "int4", "metabench", "arc") == pytest.approx(100 * 32.41 / 59.31)
    assert categories.published("allam_7b", "wanda", "arabicmmlu", "stem") == pytest.approx(
        100 * categories.printed()["allam_7b", "wanda", "arabicmmlu", "stem"]
        / categories.printed()["allam_7b", "dense", "arabicmmlu", "stem"])  # fmt: skip
    assert math.isnan(categories.published("qwen3_8b", "int8", "metabench", "arc"))


def test_categories_with_and_without_results(found):
    assert "keeps least" in categories.answer(found).text and "أقلّ مجالات" in categories.answer(found).html
    assert len(categories.table(found)) == len(labels.QUANT) + len(labels.PRUNE)
    assert "Not measured" in categories.answer(nothing()).text and len(categories.table(nothing())) == 0
    assert categories.figure(nothing()).axes[0].images and not categories.figure(nothing()).axes[1].images


def test_costs_are_read_from_the_recipe(found):
    run = found.run("allam_7b", "w4a16")
    found.provenance[run] = {"recipe": '{"seconds": {"total": 12.5}, "peak_memory": {"device": 3e9, "host": 1e9}}'}
    other = found.run("allam_7b", "wanda")
    found.provenance[other] = {"recipe": '{"seconds": {"total": 2.5}, "peak_memory": {"host": 1e9}}'}
    assert costs.of(found, run)[:2] == (12.5, 3e9) and costs.of(found, other)[:2] == (2.5, 1e9)
    assert costs.of(found, run).packed == found.cell(run, "size_packed").value
    told = costs.answer(found).text
    assert "Wanda (2.5 s) to W4A16 (GPTQ) (12.5 s)" in told
    assert costs.figure(found).axes and costs.figure(nothing()).axes
    assert "Not measured" in costs.answer(nothing()).text

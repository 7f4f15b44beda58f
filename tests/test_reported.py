"""The published numbers: every file parses, and the study's own arithmetic comes out of them again."""

import subprocess
import sys

import pytest

from llmini.report import labels, reported, retention
from llmini.settings import UserError, data


@pytest.mark.parametrize("number", reported.COMPRESSION)
def test_tables_parse_under_the_projects_ids(number):
    table = reported.table(number)
    assert list(table.columns) == reported.COLUMNS and table["value"].notna().all()
    assert set(table["model"]) <= set(labels.STUDIED) and set(table["method"]) <= set(labels.METHODS)
    tasks = {"", "mean"}.union(*labels.TASKS.values())
    assert set(table["task"].fillna("")) <= tasks and set(table["language"]) <= {"", "ar", "en"}
    assert not set(table["metric"]) & {"accuracy", "mean_accuracy", "model_size_gb"}


def test_every_file_is_read():
    for path in data("reported").glob("*.csv"):
        assert len(reported.load(path.stem)), path.name


def test_an_unknown_table_is_one_clear_line():
    with pytest.raises(UserError, match="no table 'table_99'"):
        reported.load("table_99")


def test_the_tasks_have_the_studys_metrics():
    for number in (20, 22):
        table = reported.table(number)
        for suite, tasks in labels.TASKS.items():
            for task, metric in tasks.items():
                part = table[(table["benchmark"] == suite) & (table["task"] == task)]
                assert set(part["metric"]) == {metric}, (number, task)


def test_sizes_follow_from_the_parameter_counts_of_table_21():
    counts, sizes = reported.table(21), reported.sizes()
    for row in counts.itertuples():
        printed = sizes[(row.model, row.method)] / reported.GIB
        assert round(row.value * 2 / reported.GIB, 2) == pytest.approx(printed, abs=1e-9), (row.model, row.method)


def test_compression_ratios_of_tables_6_and_9_follow_from_their_sizes():
    sizes = reported.sizes()
    for number in (6, 9):
        table = reported.table(number)
        for row in table[table["metric"] == "compression_ratio"].itertuples():
            ratio = sizes[(row.model, "dense")] / sizes[(row.model, row.method)]
            assert ratio == pytest.approx(row.value, abs=0.0101), (row.model, row.method)  # one is printed truncated


def printed(section: str, words: str) -> dict:
    """method or model -> the printed average retention, from the checked claims."""
    claims = reported.load("derived_claims")
    claims = claims[(claims["section"] == section) & claims["claim"].str.contains(words)]
    return {row.claim.split()[0]: float(row.claimed_value) for row in claims.itertuples()}


def test_ratio_of_sums_gives_figure_8():
    claims = printed("4.2.3", "average retention .Figure 8")
    kept = retention.published()
    assert set(claims) == {"int8", "w8a8", "w8a16", "int4", "w4a16"}
    for method, value in claims.items():
        assert kept.loc[("allam_7b", method), "ratio_of_sums"] == pytest.approx(value, abs=0.05), method


@pytest.mark.parametrize(
    "method, words", [("sparsegpt", "SparseGPT retention .Figure 10"), ("wanda", "Wanda retention")]
)
def test_mean_of_ratios_gives_figure_10(method, words):
    claims = printed("4.3.3", words)
    kept = retention.published()
    assert len(claims) >= 3
    for model, value in claims.items():
        assert kept.loc[(model, method), "mean_of_ratios"] == pytest.approx(value, abs=0.015), model


def test_the_two_formulas_differ_and_are_what_their_names_say():
    assert retention.ratio_of_sums([40, 60], [80, 80]) == pytest.approx(62.5)
    assert retention.mean_of_ratios([40, 60], [50, 80]) == pytest.approx(77.5)
    assert retention.ratio_of_sums([40, 60], [50, 80]) == pytest.approx(100 / 130 * 100)
    assert retention.mean_of_ratios([1], [0]) != retention.mean_of_ratios([1], [0])  # NaN


def test_the_report_never_imports_torch():
    code = ("import sys, pkgutil, importlib, llmini.report as r\n"
            "[importlib.import_module(f'llmini.report.{m.name}') for m in pkgutil.iter_modules(r.__path__)]\n"
            "from llmini.report import conclusions, measured, comparisons\n"
            "comparisons.paired_table(measured.load('nowhere')); conclusions.closing(measured.load('nowhere'))\n"
            "assert 'torch' not in sys.modules and 'transformers' not in sys.modules")  # fmt: skip
    subprocess.run([sys.executable, "-c", code], check=True)

"""Comparing a new results table with the committed one."""

import pandas
import pytest

from llmini.report import compare
from llmini.settings import UserError
from reporting import tables

RUN = "pocket-quant-allam_7b-w4a16"


@pytest.fixture(scope="module")
def rows():
    return tables(20)[0]


def changed(rows, metric, by, run=RUN, task=None):
    new = rows.copy()
    cell = (new["run_id"] == run) & (new["metric"] == metric)
    if task is not None:
        cell &= new["task"] == task
    assert cell.any()
    new.loc[cell, "value"] += by
    return compare.compare(rows, new)


def test_the_same_table_agrees(rows):
    found = compare.compare(rows, rows)
    assert found.agrees and found.cells["within"].all() and len(found.cells) > 1000
    assert found.timings == rows["metric"].isin(compare.TIMING).sum()


@pytest.mark.parametrize("metric, task, by, within", [
    ("acc", "stem", 2 / 20, True), ("acc", "stem", -3 / 20, False), ("exact_match", "gsm8k", 2 / 20, True),
    ("acc", "mean", 4 / 100, True), ("acc", "mean", 5 / 100, False), ("perplexity", None, 0.05, True),
    ("perplexity", None, 0.5, False), ("kl_to_dense", None, 0.0005, True), ("kl_to_dense", None, 0.05, False),
    ("size_disk", None, 1, True), ("size_disk", None, 5000, False), ("peak_memory", None, 1e9, True),
])  # fmt: skip
def test_tolerances(rows, metric, task, by, within):
    assert changed(rows, metric, by, task=task).agrees is within


def test_a_dense_model_gets_less_room(rows):
    dense = "pocket-quant-allam_7b-dense"
    assert not changed(rows, "perplexity", 0.05, run=dense).agrees
    assert changed(rows, "perplexity", 0.01, run=dense).agrees


def test_what_is_outside_is_named_with_its_numbers(rows):
    text = compare.text(changed(rows, "acc", -0.5, task="stem"))
    assert "1 outside:" in text
    assert f"{RUN} acc pocket_arabicmmlu/stem (ar): " in text and "committed" in text and "allowed ±0.1" in text


def test_missing_fresh_and_unrepeated_are_told_apart(rows):
    core = rows[rows["model"] != "qwen3_8b"]
    core = core[~((core["run_id"] == RUN) & (core["metric"] == "gold_nll"))]
    extra = core[core["run_id"] == RUN].assign(run_id="pocket-quant-allam_7b-new")
    found = compare.compare(rows, pandas.concat([core, extra]))
    assert len(found.missing) == 2 and set(found.missing["metric"]) == {"gold_nll"}
    assert set(found.fresh["run_id"]) == {"pocket-quant-allam_7b-new"}
    assert found.unrepeated and all("qwen3_8b" in run for run in found.unrepeated)
    text = compare.text(found)
    assert "2 committed but not measured this time" in text and "were not part of this study" in text
    assert not found.agrees


def test_a_part_of_the_grid_agrees(rows):
    assert compare.compare(rows, rows[rows["family"] == "quant"]).agrees


def test_long_lists_are_cut(rows):
    found = compare.compare(rows, rows.assign(value=rows["value"] * 2 + 1))
    assert f"  and {len(found.outside) - compare.SHOWN} more" in compare.text(found)


def test_no_value_is_outside(rows):
    new = rows.copy()
    new.loc[new["metric"] == "acc", "value"] = float("nan")
    assert not compare.compare(rows, new).agrees


def test_the_command_reads_files_and_sets_its_exit_code(rows, tmp_path, capsys):
    paths = [tmp_path / name for name in ("committed.csv", "new.csv")]
    for path, table in zip(paths, (rows, rows.assign(value=rows["value"] * 3)), strict=True):
        table.to_csv(path, index=False, float_format="%.6g")
    assert compare.main([str(paths[0]), str(paths[0]), "--strict"]) == 0
    assert compare.main([str(paths[0]), str(paths[1])]) == 0
    assert compare.main([str(paths[0]), str(paths[1]), "--strict"]) == 1
    assert "cells within tolerance" in capsys.readouterr().out
    assert compare.main([str(tmp_path / "none.csv"), str(paths[1])]) == 2
    assert "run `make study` first" in capsys.readouterr().err


def test_a_file_that_is_no_table_is_one_clear_line(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    with pytest.raises(UserError, match="lacks the column"):
        compare.summary(tmp_path / "a.csv", tmp_path / "a.csv")


@pytest.mark.parametrize("method, metric, drift, within", [
    ("token_kd", "acc", 0.05, True), ("token_kd", "acc", 0.2, False), ("base", "acc", 0.05, False),
    ("sft_control_3", "kl_to_dense", 0.015, True), ("base", "perplexity", 0.2, False),
    ("seq_kd", "perplexity", 0.2, True),
    ("base", "lpg", 0.01, True), ("selectkd", "lpg", 0.05, True), ("base", "lpg", 0.05, False),
    ("w4a16", "acc", 0.05, False),
])  # fmt: skip
def test_a_trained_student_may_drift_as_another_seed_would_and_nothing_else(method, metric, drift, within):
    committed = {"perplexity": 5.0, "kl_to_dense": 0.05}.get(metric, 0.5)
    assert (drift <= compare.allowed(metric, method, "mean", committed, 334)) is within

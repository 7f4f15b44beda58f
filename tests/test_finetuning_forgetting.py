"""Joined checkpoints, paired differences, the forgetting matrix and transfer between the stages."""

import math
import subprocess
import sys

import numpy
import pytest

from llmini.measure import statistics
from llmini.report import display, finetuning_paired, finetuning_runs, forgetting
from llmini.report.finetuning_paired import GENERAL, SKILLS, taught
from reporting_ft import Rule, build, nothing, results, tables
from test_tables import Grid

TABLES = [forgetting.matrix_table, forgetting.transfer_table, forgetting.perplexity_table, forgetting.ablation_table]
BY_NAME = {"ids": lambda made: made.__name__}


@pytest.fixture(scope="module")
def core():
    return results(ablations=False, seeds="0", distilled=False)


@pytest.fixture(scope="module")
def found():
    return results()


def skill(task):
    return next(one for one in SKILLS if one.task == task)


def test_the_report_needs_no_torch():
    names = ", ".join(f"finetuning_{name}" for name in ("answers", "claims", "damage", "merge", "tables"))
    code = f"import sys; from llmini.report import finetuning, {names}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_checkpoint_has_one_run_and_each_benchmark_one_record(found):
    own = finetuning_runs.joined(found)
    assert own is finetuning_runs.joined(own)
    run = finetuning_runs.find(found, "selectkd")[1]
    assert run.startswith("pocket-finetune-")
    assert not any("int4" in name or "behaviour" in name for name in own.runs.index)
    assert found.cell(run, "acc", "dialect", "culture").value == own.cell(run, "acc", "dialect", "culture").value
    # Both families asked the pairs; the distillation's 160 are not mixed with the 120 of this one.
    pairs = own.items[(own.items["run_id"] == run) & (own.items["benchmark"] == "pairs")]
    assert len(pairs) == 2 * 120
    token = finetuning_runs.find(found, "token_kd")[0]
    assert own.runs.at[token, "family"] == "kd"
    assert not math.isnan(own.cell(token, "lpg", "pairs", "mean").value)
    assert not math.isnan(own.mean(token, "ar").value)


def test_main_runs_and_ablations_are_told_apart(found):
    assert set(finetuning_runs.find(found, "ft_v1", 3)) == {0, 1, 2}
    main, bare = (finetuning_runs.find(found, "ft_v1", 3, **options)[2] for options in ({}, {"replay": 0}))
    assert bare == main.replace("stage3", "stage3-replay0")
    assert finetuning_runs.find(found, "ft_v1", 2, replay=0) == finetuning_runs.find(found, "ft_v1", 2)
    assert finetuning_runs.after(found, "ft_v1", 0, start="base") == finetuning_runs.find(found, "base")
    settings = [finetuning_runs.curriculum(*pair) for pair in finetuning_runs.ablated(found)]
    assert settings == ["FT-v1, stages mixed", "FT-v1, stages reversed", "FT-v1, no replay", "FT-v1, from Base",
                        "FT-V2, LoRA on an NF4 base", "FT-V2, from Base"]  # fmt: skip
    assert finetuning_runs.changed({"order": "", "replay": 0.1, "start": "selectkd", "stage": 3, "seed": 1}) == {}


def test_names_bear_seeds_where_there_are_several(found, core):
    names = finetuning_runs.names(finetuning_runs.lines(found)).values()
    assert {"Base", "FT-v1, stage 3, no replay, seed 1", "SelecTKD, seed 0"} <= set(names)
    assert "FT-V2, stage 2" in finetuning_runs.names(finetuning_runs.lines(core)).values()


@pytest.mark.parametrize("task", ["morphology", "gec", "gsm8k"])
def test_a_difference_of_one_skill_is_the_paired_bootstrap_over_clusters(core, task):
    first, last = (finetuning_runs.after(core, "ft_v1", stage) for stage in (0, 3))
    cell = finetuning_paired.against(core, first, last, (skill(task),))
    items = core.items[core.items["task"] == task].set_index("item_id")
    before, after = (items[items["run_id"] == runs[0]].sort_index() for runs in (first, last))
    direct = statistics.paired_bootstrap(before["correct"], after["correct"], clusters=before["cluster"])
    assert cell["value"] == pytest.approx(100 * (after["correct"].mean() - before["correct"].mean()))
    assert cell["n"] == 80 and cell["seeds"] == 1
    assert (cell["low"], cell["high"]) == pytest.approx((100 * direct["low"], 100 * direct["high"]), abs=1.6)


def test_a_difference_of_several_skills_and_seeds_is_the_mean_of_theirs(found):
    first, last = (finetuning_runs.after(found, "ft_v2", stage) for stage in (0, 3))
    own = finetuning_runs.joined(found)
    alone = [finetuning_paired.difference(own, [([(first[seed], last[seed])], (one,))])["value"]
             for seed in (0, 1, 2) for one in GENERAL]  # fmt: skip
    whole = finetuning_paired.against(own, first, last, GENERAL)
    assert whole["value"] == pytest.approx(numpy.mean(alone)) and whole["seeds"] == 3
    assert whole["low"] < whole["value"] < whole["high"]


def test_runs_that_were_asked_fewer_items_are_compared_on_what_they_share(core):
    rows, items = core.rows, core.items
    run = finetuning_runs.after(core, "ft_v1")[0]
    cut = items[~((items["run_id"] == run) & (items["task"] == "culture") & (items["item_id"] == "culture-7"))]
    short = finetuning_paired.start(finetuning_runs.joined(build(rows, cut)), "ft_v1", (skill("culture"),))
    other = finetuning_paired.start(finetuning_runs.joined(build(rows, cut)), "ft_v2", (skill("culture"),))
    assert short["n"] == 79 and other["n"] == 80 and not math.isnan(short["low"])


def test_without_items_there_is_a_value_and_no_interval(core):
    bare = finetuning_runs.joined(build(core.rows, None))
    cell = finetuning_paired.start(bare, "ft_v1", GENERAL)
    same = finetuning_paired.start(finetuning_runs.joined(core), "ft_v1", GENERAL)
    assert cell["value"] == pytest.approx(same["value"]) and math.isnan(cell["low"]) and math.isnan(cell["high"])


def test_the_matrix_holds_means_over_seeds_and_changes_from_the_start(found):
    cells = forgetting.matrix(found, "ft_v1")
    own = finetuning_runs.joined(found)
    for stage in (0, 2):
        runs = finetuning_runs.after(found, "ft_v1", stage).values()
        values = [own.cell(run, "acc", "dialect", "morphology").value for run in runs]
        assert cells[stage]["morphology"]["value"] == pytest.approx(sum(values) / 3)
    moved = cells[2]["morphology"]
    assert moved["change"] == pytest.approx(moved["value"] - cells[0]["morphology"]["value"])
    table = forgetting.matrix_table(found)
    assert table.loc[("FT-v1", "stage 2"), ("Stage 1", "morphology")] == pytest.approx(moved["value"])
    assert table.loc[("FT-v1", "stage 2, change"), ("Stage 1", "morphology")] == display.span(
        {**moved, "value": moved["change"]}, sign=True)  # fmt: skip
    assert table.loc[("FT-v1", "start"), ("Written answers", "wrong script, %")] == 0
    assert table.loc[("FT-v1", "stage 3"), ("Written answers", "wrong script, %")] == pytest.approx(2.0)


SCORES = {  # percent after the start and stages 1 to 3
    **dict.fromkeys(("morphology", "correction", "punctuation", "gec"), (20, 60, 50, 40)),
    "dialect_id": (20, 25, 70, 60), "normalize": (20, 25, 50, 60), "code_switch": (20, 25, 30, 80),
    "culture": (20, 25, 30, 70),
}  # fmt: skip


def by_hand(seeds="0"):
    """Results whose scores are those of :data:`SCORES`, without items."""
    rows, _, _ = tables(seeds=seeds, ablations=False, count=4, pairs=4)
    for place, row in rows[rows["task"].isin(SCORES) & rows["metric"].isin(("acc", "exact_match"))].iterrows():
        stage = 0 if "stage" not in row["variant"] else int(row["variant"].partition("stage")[2][0])
        rows.loc[place, "value"] = SCORES[row["task"]][stage] / 100
    return build(rows, None)


def test_transfer_agrees_with_a_computation_by_hand():
    own = by_hand()
    assert forgetting.stages(own, "ft_v1")[2] == pytest.approx({1: 50, 2: 70, 3: 30})
    moved = forgetting.transfer(own, "ft_v1")
    # Backward: tasks of stage 1 go from 60 to 40, that of stage 2 alone from 70 to 60.
    assert moved["backward"]["value"] == pytest.approx(((40 - 60) + (60 - 70)) / 2)
    # Forward: the task of stage 2 after stage 1 and those of stage 3 after stage 2, against 20 at the start.
    assert moved["forward"]["value"] == pytest.approx(((25 - 20) + ((30 + 30) / 2 - 20)) / 2)
    table = forgetting.transfer_table(own)
    assert table.loc[("FT-v1", "stage 3"), "backward transfer"] == "−15.0"
    assert table.loc[("FT-v1", "stage 1"), "stage 2's own"] == pytest.approx(25)


def test_transfer_takes_the_seeds_that_every_stage_has(found):
    rows = found.rows[~found.rows["run_id"].str.endswith("ft_v1-stage2-s1")]
    cell = forgetting.transfer(build(rows, found.items), "ft_v1")["backward"]
    assert cell["seeds"] == 2
    none = forgetting.transfer(build(rows[~rows["variant"].str.startswith("ft_v1-stage2")], found.items), "ft_v1")
    assert none["backward"]["seeds"] == 0 and math.isnan(none["backward"]["value"])


def test_replay_changes_the_last_stage_alone(found):
    with_, without = (forgetting.stages(found, "ft_v1", **options) for options in ({}, {"replay": 0}))
    assert all(with_[stage] == without[stage] for stage in (0, 1, 2)) and with_[3] != without[3]
    table = forgetting.ablation_table(found)
    assert table.loc[("FT-v1", "as the study"), ("Tasks of stage 1", "against")] == "–"
    ends = [finetuning_runs.after(found, "ft_v1", **options) for options in ({}, {"replay": 0})]
    cell = finetuning_paired.against(finetuning_runs.joined(found), *ends, taught(1))
    assert table.loc[("FT-v1", "no replay"), ("Tasks of stage 1", "against")] == display.span(cell, sign=True)
    assert cell["high"] < 0  # made to be so: no replay forgets more
    assert table.loc[("FT-V2", "LoRA on an NF4 base"), ("Runs", "seeds")] == 1


def test_perplexity_moves_by_students_interval_over_the_seeds(found, core):
    cell, own = forgetting.relative(found, "ft_v1", "gulf"), finetuning_runs.joined(found)
    first, last = (finetuning_runs.after(found, "ft_v1", stage) for stage in (0, 3))
    logs = [math.log(own.cell(last[seed], "perplexity", "world_gulf").value
                     / own.cell(first[seed], "perplexity", "world_gulf").value) for seed in (0, 1, 2)]  # fmt: skip
    assert cell["value"] == pytest.approx(100 * (math.exp(numpy.mean(logs)) - 1))
    reach = 4.302653 * numpy.std(logs, ddof=1) / math.sqrt(3)  # Student's t, two degrees of freedom
    assert cell["low"] == pytest.approx(100 * (math.exp(numpy.mean(logs) - reach) - 1), rel=1e-5)
    alone = forgetting.relative(core, "ft_v1", "gulf")
    assert alone["seeds"] == 1 and math.isnan(alone["low"]) and alone["value"] < 0
    table = forgetting.perplexity_table(found)
    assert table.loc[("FT-v1", "stage 3"), ("Gulf Arabic", "perplexity")] == pytest.approx(
        numpy.mean([own.cell(run, "perplexity", "world_gulf").value for run in last.values()]))  # fmt: skip
    assert forgetting.perplexity_table(core).loc[("FT-V2", "stage 1"), ("Arabic", "s.d.")] == "–"


@pytest.mark.parametrize("build_table", TABLES, **BY_NAME)
def test_tables_are_whole_grids_and_say_what_is_missing(build_table, found, core):
    for own in (found, core, nothing()):
        text = display.to_html(build_table(own))
        assert len(set(Grid(text).widths)) == 1 and "nan" not in text.lower()
        assert own is not core or "not measured" not in text
    assert "not measured" in display.show(build_table(nothing())).html


def test_a_rule_without_forgetting_shows_none():
    rows, items, _ = tables(Rule(fade=0.0, replay=0.0), ablations=False, seeds="0,1", count=60, pairs=4)
    cell = forgetting.transfer(build(rows, items), "ft_v2")["backward"]
    assert cell["low"] <= 0 <= cell["high"] and abs(cell["value"]) < 1

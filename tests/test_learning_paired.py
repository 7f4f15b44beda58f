"""Distillation runs found by what they are, and differences of students over items and seeds."""

import dataclasses
import math

import numpy
import pandas
import pytest

from llmini.measure import bilingual, statistics
from llmini.report import labels, learning_paired, learning_runs, measured, paired
from reporting_kd import STUDENT, nothing, results, runs, tables

MAIN = f"pocket-kd-{STUDENT}-"


@pytest.fixture(scope="module")
def found():
    return results()


def facing(found, first, second, behaviour=False):
    return learning_runs.facing(*(learning_runs.find(found, name, behaviour=behaviour) for name in (first, second)))


def test_every_run_is_a_line_that_says_what_it_is(found):
    lines = {line.run: line for line in learning_runs.lines(found)}
    assert set(lines) == {run.run_id for run in runs()}
    for run in runs():
        line, options = lines[run.run_id], run.options
        assert (line.method, line.behaviour) == (run.method, run.part == "behaviour")
        assert line.seed == options.pop("seed", 0) and line.preset == options.pop("preset", "")
        assert line.options == options


def test_the_base_comes_before_the_stages_and_the_teacher_before_it(found):
    order = list(dict.fromkeys(line.method for line in learning_runs.lines(found)))
    assert order == ["int4", *labels.STAGES, *labels.CONTROLS.values()]
    assert learning_runs.teacher(found) == "pocket-kd-qwen2_5_32b_instruct-int4"


def test_find_gives_main_runs_by_seed_unless_told_otherwise(found):
    seeds = {0: MAIN + "selectkd", 1: MAIN + "selectkd-s1", 2: MAIN + "selectkd-s2"}
    assert learning_runs.find(found, "selectkd") == seeds
    assert learning_runs.find(found, "base") == {None: MAIN + "base"}
    assert learning_runs.find(found, "selectkd", theta=0.5) == {0: MAIN + "selectkd-theta0.5"}
    assert learning_runs.find(found, "seq_kd", preset="as_written") == {0: MAIN + "seq_kd-as_written"}
    assert learning_runs.find(found, "ft_v1") == {}


def test_seeds_face_their_own_and_the_base_faces_all(found):
    assert [first for first, _ in facing(found, "base", "seq_kd")] == [MAIN + "base"] * 3
    assert facing(found, "sft_control_3", "token_kd") == [(MAIN + "sft_control_3", MAIN + "token_kd")]
    assert facing(found, "sft_control", "seq_kd")[2] == (MAIN + "sft_control-s2", MAIN + "seq_kd-s2")


def test_a_stage_is_held_against_as_many_steps_of_sft_or_the_next_shorter(found):
    def control(run):
        return learning_runs.control(found, learning_runs.get(found, MAIN + run))

    assert control("selectkd") == MAIN + "sft_control_4" and control("seq_kd-s1") == MAIN + "sft_control-s1"
    assert control("selectkd-s1") == MAIN + "sft_control-s1"  # the longer ones were run with one seed
    assert control("sft_kd") is None and control("base") is None


@pytest.mark.parametrize("run, name", [
    ("base", "Base"), ("token_kd-s2", "Token-KD"), ("selectkd-theta0.9", "SelecTKD, theta 0.9"),
    ("selectkd-random-share0.5", "SelecTKD, random, share 0.5"), ("token_kd-temperature4", "Token-KD, T 4"),
    ("sft_kd-as_written", "SFT (as_written)"), ("sft_control_3", "SFT control, 3 stages"),
])  # fmt: skip
def test_names(found, run, name):
    assert learning_runs.name(learning_runs.get(found, MAIN + run)) == name


def test_an_ablation_holds_the_main_run_in_its_place(found):
    assert learning_runs.series(found, "selectkd", "theta") == {
        0.0: MAIN + "selectkd-theta0", 0.5: MAIN + "selectkd-theta0.5", 0.7: MAIN + "selectkd",
        0.9: MAIN + "selectkd-theta0.9"}  # fmt: skip
    assert list(learning_runs.series(found, "token_kd", "temperature", behaviour=True)) == [1, 2, 4]
    assert list(learning_runs.rules(found)) == ["confidence", "verified", "entropy", "random"]
    assert learning_runs.series(nothing(), "selectkd", "theta") == {}


def test_kept_shares_are_percent_and_of_the_twin_too(found):
    for suffix in ("", "-behaviour"):
        assert learning_runs.kept(found, MAIN + "selectkd" + suffix, "ar") == pytest.approx(38)
    assert all(math.isnan(learning_runs.kept(found, run, "ar")) for run in (MAIN + "base", None))


def test_what_a_run_was_told_comes_from_its_record_if_that_says(found):
    line = learning_runs.get(found, MAIN + "selectkd-theta0.9")
    assert learning_runs.recipe(found, line).theta == 0.9
    told = dataclasses.replace(learning_runs.recipe(found, line), theta=0.25, epochs=7)
    noted = {line.run: {"recipe": pandas.Series({"run": {"recipe": told.as_dict()}}).to_json()}}
    assert learning_runs.recipe(dataclasses.replace(found, provenance=noted), line) == told
    assert learning_runs.recipe(found, learning_runs.get(found, MAIN + "base")) is None


def test_families_do_not_see_each_other():
    from reporting import tables as compression

    rows, items = (pandas.concat(pair, ignore_index=True) for pair in zip(tables(True), compression(6), strict=True))
    quant, kd = measured.build(rows, items), measured.build(rows, items, families=("kd",))
    assert set(quant.runs["family"]) == {"quant", "prune"} and set(kd.runs["family"]) == {"kd"}
    assert not quant.items["run_id"].astype(str).str.contains("-kd-").any()
    assert kd.items["run_id"].astype(str).str.contains("-kd-").all()
    assert "qwen2_5_7b_instruct" not in quant.models()


def test_one_seed_is_the_paired_bootstrap_of_its_items(found):
    first, second = MAIN + "base", MAIN + "sft_kd"
    cell = learning_paired.scores(found, [(first, second)], "ar")
    part = paired.outcomes(found, [first, second], "ar")
    spread = statistics.paired_bootstrap(*part.right.T, clusters=part.cluster, strata=part.task, resamples=4000)
    assert cell["value"] == pytest.approx(100 * spread["diff"])
    assert (cell["low"], cell["high"]) == pytest.approx((100 * spread["low"], 100 * spread["high"]), abs=1.2)


def test_the_value_is_the_mean_over_seeds_of_the_tables_differences(found):
    for side in ("ar", "en", "gsm8k"):
        pairs = facing(found, "sft_control", "seq_kd")
        cells = [[learning_runs.score(found, run, side).value for run in pair] for pair in pairs]
        expected = numpy.mean([after - before for before, after in cells])
        assert learning_paired.scores(found, pairs, side)["value"] == pytest.approx(expected)
    both = [learning_paired.scores(found, pairs, side)["value"] for side in ("both", "ar", "en")]
    assert both[0] == pytest.approx((both[1] + both[2]) / 2)


def test_repeating_one_seed_changes_nothing_and_seeds_that_differ_widen_the_interval(found):
    pair = facing(found, "base", "token_kd")[0]
    one, thrice = (learning_paired.scores(found, [pair] * count, "ar") for count in (1, 3))
    assert all(one[key] == pytest.approx(thrice[key]) for key in ("value", "low", "high"))
    draws = numpy.random.default_rng(0).normal(size=(4000, 1)) * 0.01 + numpy.array([[-2.0, 0.0, 2.0]])
    wide = learning_paired._spread(0.0, draws, 10)
    assert wide["low"] == pytest.approx(-2, abs=0.1) and wide["high"] == pytest.approx(2, abs=0.1)


def test_without_items_the_value_stands_alone():
    rows, items = tables(True, items_per_task=6, pairs=40)
    bare = measured.build(rows, None, families=("kd",))
    cell = learning_paired.scores(bare, facing(bare, "base", "sft_kd"), "ar")
    assert not math.isnan(cell["value"]) and math.isnan(cell["low"])
    full = measured.build(rows, items, families=("kd",))
    run = MAIN + "base-behaviour"
    for key in (("acc", "en"), ("lpg", ""), ("clcs", ""), ("ece", "ar")):
        assert learning_paired.value(bare, run, *key) == pytest.approx(learning_paired.value(full, run, *key))
        assert math.isnan(learning_paired.level(bare, [run], *key)["low"])
    assert learning_paired.scores(bare, [], "ar")["seeds"] == 0


def test_behaviour_is_what_the_measuring_module_says(found):
    run = MAIN + "seq_kd-s1-behaviour"
    table = learning_paired.questions(found, run)
    measures = {("acc", "ar"): bilingual.accuracy(table)["ar"], ("lpg", ""): bilingual.lpg(table),
                ("lpg_abs", ""): bilingual.lpg(table, absolute=True), ("clcs", ""): bilingual.clcs(table)["clcs"],
                ("ece", "en"): bilingual.ece(table["en_confidence"], table["en_correct"])}  # fmt: skip
    whole = learning_paired.behaviour(found, run)
    for key, share in measures.items():
        assert learning_paired.value(found, run, *key) == pytest.approx(100 * share)
        assert whole[key]["value"] == pytest.approx(100 * share)
    assert 0 < whole["brier", "ar"]["value"] < 1 and whole["clcs_kappa", ""]["value"] < 1  # no percent
    lpg, level = whole["lpg", ""], learning_paired.level(found, [run], "lpg")
    assert (level["low"], level["high"]) == pytest.approx((lpg["low"], lpg["high"]), abs=1.5)


def test_questions_keep_both_languages_of_a_pair_together(found):
    table = learning_paired.questions(found, MAIN + "base-behaviour")
    items = found.items[found.items["run_id"] == MAIN + "base-behaviour"]
    for code in ("ar", "en"):
        own = items[items["language"] == code].set_index("item_id")
        assert (table.set_index("item")[f"{code}_correct"] == own["correct"].astype(float)).all()
    assert learning_paired.questions(found, MAIN + "base") is None
    assert learning_paired.questions(nothing(), MAIN + "base-behaviour") is None


def test_differences_of_behaviour_are_paired_over_the_pairs(found):
    pairs = facing(found, "base", "sft_kd", behaviour=True)
    cell = learning_paired.behaviours(found, pairs, "lpg")
    values = [learning_paired.value(found, run, "lpg") for pair in pairs for run in pair]
    assert cell["value"] == pytest.approx(numpy.mean(values[1::2]) - numpy.mean(values[::2]))
    assert cell["low"] < cell["value"] < cell["high"] and (cell["n"], cell["seeds"]) == (160, 3)
    same = learning_paired.behaviours(found, [(pairs[0][1], pairs[0][1])], "ece", "ar")
    assert same["value"] == same["low"] == same["high"] == 0


def test_pairs_that_one_run_lacks_do_not_count():
    rows, items = tables(True, items_per_task=6, pairs=40)
    run = MAIN + "sft_kd-behaviour"
    gone = (items["run_id"] == run) & (items["item_id"] == "pair-003")
    short = measured.build(rows, items[~gone], families=("kd",))
    cell = learning_paired.behaviours(short, [(MAIN + "base-behaviour", run)], "lpg")
    assert cell["n"] == 39 and not math.isnan(cell["low"])

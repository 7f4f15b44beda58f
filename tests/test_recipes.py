"""Recipes: the presets say what the study printed, and bad options are refused in one line."""

import csv

import pytest

from llmini import settings
from llmini.settings import UserError
from llmini.train.recipes import RULES, STAGES, presets, recipe


@pytest.mark.parametrize("tier", settings.TIERS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_preset_of_every_tier_is_a_recipe(tier, stage):
    for preset in (None, *(name for name in presets() if name not in ("pocket", "full"))):
        made = recipe(tier, stage, preset)
        assert made.stage == stage
        assert made.needs_teacher == (stage in ("token_kd", "selectkd"))
    assert all(entry["about"] for entry in presets().values())


def test_full_is_table_3():
    path = settings.data("reported") / "table_03_kd_pipeline.csv"
    for row in csv.DictReader(path.open()):
        stage = row["stage"]
        made = recipe("full", stage)
        for column, field in (("learning_rate", "learning_rate"), ("epochs", "epochs"), ("batch_size", "batch_size"),
                              ("temperature", "temperature"), ("alpha", "alpha"), ("theta", "theta")):  # fmt: skip
            if row[column]:
                assert getattr(made, field) == float(row[column]), (stage, field)
        assert (made.lora_r, made.lora_alpha, made.lora_targets) == (16, 32, ("q_proj", "v_proj"))
        assert (made.direction, made.completion_only, made.eos) == ("student_teacher", True, True)
    assert recipe("full", "selectkd").rule == "confidence"
    assert [recipe("full", stage).responses for stage in STAGES] == ["reference", *["teacher"] * 3]


def test_as_written_makes_sft_the_same_as_seq_kd():
    for tier in ("pocket", "full"):
        sft, seq = (recipe(tier, stage, "as_written").as_dict() for stage in ("sft_kd", "seq_kd"))
        assert {**sft, "stage": ""} == {**seq, "stage": ""}
        assert recipe(tier, "token_kd", "as_written") == recipe(tier, "token_kd")


def test_as_published_code_follows_the_audit():
    rates = [recipe("full", stage, "as_published_code").learning_rate for stage in STAGES[:3]]
    assert rates == [2e-4, 1e-4, 1e-4]
    made = recipe("full", "token_kd", "as_published_code")
    assert (made.direction, made.kl_reduction, made.self_teacher) == ("teacher_student", "batchmean", True)
    assert not made.completion_only and not made.eos
    assert recipe("full", "sft_kd", "as_published_code").responses == "teacher"


def test_devices_have_their_arithmetic():
    assert recipe("full", "token_kd", "t4").precision == recipe("pocket", "token_kd", "t4").precision == "fp16"
    assert recipe("full", "token_kd", "a100").precision == recipe("pocket", "token_kd", "a100").precision == "bf16"
    small = recipe("full", "sft_kd", "t4")
    assert small.base_bits == 4 and small.batch_size * small.accumulation == recipe("full", "sft_kd").batch_size


def test_changes_win_and_keep_their_types():
    made = recipe("full", "selectkd", "a100", alpha=1, lora_targets="q_proj, k_proj", rule="random", epochs=2.0)
    assert (made.alpha, made.lora_targets, made.rule, made.epochs) == (1.0, ("q_proj", "k_proj"), "random", 2.0)
    assert isinstance(made.alpha, float) and isinstance(recipe("full", "sft_kd", batch_size=4.0).batch_size, int)
    assert made.as_dict()["lora_targets"] == ["q_proj", "k_proj"]
    assert set(RULES) == {"none", "confidence", "verified", "entropy", "random"}


@pytest.mark.parametrize("given, words", [
    ({"stage": "token"}, "unknown stage 'token': choose one of sft_kd"),
    ({"tier": "large"}, "unknown tier 'large'"),
    ({"preset": "h100"}, "unknown preset 'h100': choose one of as_written"),
    ({"preset": "full"}, "unknown preset 'full'"),
    ({"learning_rat": 1e-3}, "unknown recipe option 'learning_rat': did you mean learning_rate?"),
    ({"zzz": 1}, "unknown recipe option 'zzz': choose among"),
    ({"alpha": 1.5}, "alpha is 1.5: give at least 0 and at most 1"),
    ({"alpha": float("nan")}, "alpha is nan"),
    ({"temperature": 0}, "temperature is 0.0: give above 0"),
    ({"theta": 1}, "theta is 1"),
    ({"share": 0}, "share is 0.0: give above 0 and at most 1"),
    ({"batch_size": 2.5}, "batch_size is 2.5: give a whole number"),
    ({"epochs": "three"}, "epochs is 'three': give a number"),
    ({"eos": "no"}, "eos is 'no': give true or false"),
    ({"lora_targets": [1]}, "give a list of module names"),
    ({"precision": "fp8"}, "precision 'fp8' is unknown: choose one of fp32, bf16, fp16"),
    ({"direction": "forward"}, "direction 'forward' is unknown"),
    ({"rule": "none", "stage": "selectkd"}, "selectkd selects tokens: choose a rule"),
    ({"rule": "entropy"}, "sft_kd trains every token"),
    ({"base_bits": 8}, "base_bits is 8: give 16, or 4"),
    ({"base_bits": 4}, "name the lora_targets"),
])  # fmt: skip
def test_bad_options_are_refused_in_one_line(given, words):
    given = {"tier": "pocket", "stage": "sft_kd", **given}
    with pytest.raises(UserError) as fault:
        recipe(given.pop("tier"), given.pop("stage"), given.pop("preset", None), **given)
    assert words in str(fault.value) and "\n" not in str(fault.value)

"""The curriculum: what each stage learns, where each run starts, and that nothing of it depends on chance."""

from __future__ import annotations

import collections

import pytest

from llmini.settings import UserError
from llmini.train import curriculum, tuning
from llmini.train.cache import Response

STUDENT = "qwen2_5_7b_instruct"
COUNTS = dict.fromkeys(curriculum.STAGES, 60)


class Answers:
    """The part of a teacher's cache that a curriculum reads: its answers, here the prompts said again."""

    def __init__(self) -> None:
        from llmini.train import prompts

        asked = prompts.load("pocket", "distill")[:400]
        self.responses = [Response(prompt.id, (place, 7, 2), f"answer {place}") for place, prompt in enumerate(asked)]


@pytest.fixture(scope="module")
def cache():
    return Answers()


def made(cache, variant="ft_v1", stage=1, **options):
    return curriculum.examples("pocket", variant, stage, cache=cache, counts=COUNTS, **options)


@pytest.mark.parametrize("variant", curriculum.VARIANTS)
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_stage_is_the_same_every_time_and_another_with_another_seed(cache, variant, stage):
    one, again, other = (curriculum.manifest(made(cache, variant, stage, seed=seed)) for seed in (0, 0, 1))
    assert one == again and one["sha256"] != other["sha256"]
    assert one["examples"] == 60
    assert one["instructions"] == (0 if variant == "ft_v1" else pytest.approx(30, abs=3))


def test_documents_have_no_prompt_and_instructions_have_one(cache):
    assert all(example.prompt is None for example in made(cache, "ft_v1", 2))
    asked = [example for example in made(cache, "ft_v2", 3) if example.prompt]
    assert asked and all(example.prompt.strip() and example.response for example in asked)


@pytest.mark.parametrize(("replay", "again"), [(0.0, 0), (0.1, 6), (0.5, 30)])
def test_stage_three_sees_its_share_of_the_very_examples_of_stage_one(cache, replay, again):
    first = {(example.id, example.response) for example in made(cache, stage=1)}
    last = made(cache, stage=3, replay=replay)
    assert len(last) == 60
    assert sum((example.id, example.response) in first for example in last) == again


def test_orders_change_what_is_learned_when(cache):
    corpora = lambda stage, order: {e.id.split("/")[1] for e in made(cache, stage=stage, order=order, replay=0)}  # noqa: E731
    assert [corpora(stage, "") for stage in (1, 2, 3)] == [{"arabic"}, {"gulf"}, {"bahraini"}]
    assert [corpora(stage, "reversed") for stage in (1, 2, 3)] == [{"bahraini"}, {"gulf"}, {"arabic"}]
    assert corpora(3, "mixed") == set(curriculum.STAGES)
    assert len(made(cache, stage=3, order="mixed")) == 180


@pytest.mark.parametrize("options", [{"variant": "ft_v3"}, {"stage": 4}, {"order": "upwards"}, {"replay": 1.5},
                                     {"stage": 3, "replay": 1.0}])  # fmt: skip
def test_what_does_not_exist_is_refused(cache, options):
    with pytest.raises(UserError):
        made(cache, **options)


def test_without_the_teachers_answers_the_gulf_stage_says_what_to_do():
    with pytest.raises(UserError, match=r"01_teacher\.ipynb"):
        made(None, stage=2)


def test_rates_and_epochs_are_the_studys():
    """data/reported/curriculum.csv; the pocket tier keeps their ratio."""
    from llmini.report import reported

    table = reported.load("curriculum").set_index("stage")
    for place, name in enumerate(curriculum.STAGES, 1):
        full, pocket = curriculum.recipe("full", name), curriculum.recipe("pocket", name)
        assert full.learning_rate == float(table.loc[place, "learning_rate"])
        assert full.epochs == pocket.epochs == float(table.loc[place, "epochs"])
        assert curriculum.settings("full")["stages"][name]["examples"] == int(table.loc[place, "samples"])
        assert pocket.learning_rate / full.learning_rate == pytest.approx(
            curriculum.recipe("pocket", "arabic").learning_rate / 2e-4)  # fmt: skip
    assert curriculum.recipe("pocket", "arabic", adapter="qlora").base_bits == 4
    assert not curriculum.recipe("pocket", "arabic").lora_targets
    assert curriculum.recipe("pocket", "arabic", adapter="lora").lora_r == 16
    with pytest.raises(UserError, match="adapter"):
        curriculum.recipe("full", "arabic", adapter="prefix")
    assert (full.lora_r, full.lora_alpha, len(full.lora_targets)) == (16, 32, 7)


def test_each_run_starts_from_the_one_before():
    runs = tuning.plan("pocket", STUDENT, "ft_v2", seed="0,1")
    assert [run.variant for run in runs] == [
        "selectkd", "ft_v2-stage1", "ft_v2-stage2", "ft_v2-stage3",
        "selectkd-s1", "ft_v2-stage1-s1", "ft_v2-stage2-s1", "ft_v2-stage3-s1",
    ]  # fmt: skip
    for run in runs:
        if run.method == "ft_v2":
            assert tuning.before(run) in runs and runs.index(tuning.before(run)) < runs.index(run)
            assert tuning.origin(run).options["seed"] == run.options["seed"]


def test_an_ablation_shares_what_it_does_not_change():
    plain = {run.run_id for run in tuning.plan("pocket", STUDENT, "ft_v1")}
    without = tuning.plan("pocket", STUDENT, "ft_v1", replay=0)
    assert [run.variant for run in without if run.run_id not in plain] == ["ft_v1-stage3-replay0"]
    assert [run.variant for run in tuning.plan("pocket", STUDENT, "ft_v1", order="mixed")] == [
        "selectkd", "ft_v1-mixed-stage3"]  # fmt: skip
    assert [run.variant for run in tuning.plan("pocket", STUDENT, "ft_v1", order="reversed", stage=3, replay=0)] == [
        "selectkd", "ft_v1-reversed-stage1", "ft_v1-reversed-stage2", "ft_v1-reversed-stage3-replay0"]  # fmt: skip
    assert tuning.plan("pocket", STUDENT, "ft_v1", start="base")[0].variant == "base"


@pytest.mark.parametrize("options", [{"variant": "ft_v9"}, {"start": "nowhere"}, {"stage": 7}, {"order": "sideways"}])
def test_a_plan_of_what_does_not_exist_is_refused(options):
    with pytest.raises(UserError):
        tuning.plan("pocket", STUDENT, **options)


def test_no_lesson_is_a_question_of_an_evaluation(cache):
    from llmini.train import prompts
    from llmini.train.contamination import Index

    index = Index(prompts.evaluation_texts("pocket"), prompts.NGRAM["pocket"])
    for variant, stage in (("ft_v2", 1), ("ft_v2", 2), ("ft_v2", 3)):
        counts = dict.fromkeys(curriculum.STAGES, 400)
        learned = curriculum.examples("pocket", variant, stage, cache=cache, counts=counts)
        found = [example.id for example in learned if example.prompt and index.overlap(example.prompt)]
        assert not found, collections.Counter(name.partition("/")[0] for name in found)

"""Translate and tune: chrF against sacrebleu, filters, pairs held apart, and the steps on tiny models, resumed."""

import json

import numpy
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from sacrebleu.metrics import CHRF

from checkpoints import write_model
from conftest import sentences
from llmini.grid import Run
from llmini.measure import chrf as measured
from llmini.pocket import tokenizer as pocket_tokenizer
from llmini.settings import UserError
from llmini.train import translate, translate_runs
from llmini.train import translate_filter as rules
from llmini.train import translate_score as scoring
from llmini.train import translate_text as text
from llmini.train.translate_filter import Translated

WORDS = st.text(alphabet="abcدينار 1٣.", max_size=24)
LIMITS = {"script": 0.9, "shortest": 0.4, "longest": 2.0, "round_trip": 60}
SMALL = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 16}


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8))
@trials(max_examples=150, deadline=None)
def test_chrf_of_our_counts_is_sacrebleus(pairs):
    """The interval resamples counts: their score has to be the very one that sacrebleu gives."""
    metric, (made, references) = CHRF(), map(list, zip(*pairs, strict=True))
    counts = numpy.array([measured.ngrams(*pair) for pair in pairs], dtype=float)
    assert measured.f_score(counts.sum(0)) == pytest.approx(metric.corpus_score(made, [references]).score, abs=1e-6)
    for place, pair in enumerate(pairs):
        wanted = metric.sentence_score(pair[0], [pair[1]]).score
        assert measured.f_score(counts)[place] == pytest.approx(wanted, abs=1e-6)


def test_the_interval_holds_the_score_and_narrows_with_sentences():
    made, references = sentences(60, seed=1), sentences(60, seed=2)
    made[::2] = references[::2]
    small, large = (measured.chrf(made * times, references * times) for times in (1, 9))
    for found in (small, large):
        assert found.low < found.value < found.high and found.stderr > 0
    assert large.value == pytest.approx(small.value)
    ratio = (small.high - small.low) / (large.high - large.low)
    assert 2.4 < ratio < 3.6  # nine times the sentences: a third of the width
    assert "chrF2" in small.signature or "nc:6" in small.signature
    exact = measured.chrf(references, references)
    assert (exact.value, exact.low, exact.high) == pytest.approx((100, 100, 100))
    with pytest.raises(UserError, match="one reference an answer"):
        measured.chrf(["a"], [])


def row(prompt, answer, english=("How many books are left?", "5 - 3 = 2\n#### 2"), number=0):
    return Translated(f"gold/{number}", "problem", english, (prompt, answer))


@pytest.mark.parametrize("arabic, rule", [
    (("كم كتابًا بقي؟", "5 - 3 = 2\n#### 2"), ""),
    (("How many كتب are left?", "5 - 3 = 2\n#### 2"), "script"),
    (("كم؟", "5 - 3 = 2\n#### 2"), "length"),
    (("كم كتابًا بقي على الطاولة في البيت القديم بعد أن باع صاحبه كل الكتب؟", "5 - 3 = 2\n#### 2"), "length"),
    (("كتاب كتاب كتاب بقي؟", "5 - 3 = 2\n#### 2"), "repetition"),
    (("كم كتابًا بقي؟", "5 - 4 = 1\n#### 1"), "numbers"),
    (("كم كتابًا هنا؟", "5 - 3 = 2\n#### 2"), "evaluation"),
])  # fmt: skip
def test_each_rule_turns_away_what_it_says(arabic, rule):
    found = rules.judge([row(*arabic)], LIMITS, {"test": ["كم كتابًا هنا؟"]}, None)
    assert found == {"gold/0": rule}


def test_the_first_rule_counts_and_only_kept_prompts_make_duplicates():
    good, sum_ = "كم كتابًا بقي؟", "5 - 3 = 2\n#### 2"
    rows = [row(good, "5 - 3 = 9", number=0), row(good, sum_, number=1), row("كم كتابا بقي", sum_, number=2)]
    found = rules.judge(rows, LIMITS)
    assert list(found.values()) == ["numbers", "", "duplicate"]  # spelling variants of Arabic letters are no difference


def test_measures_of_the_filters():
    assert rules.script("سؤال 12؟") == 1 and rules.script("12 + 3") == 1 and rules.script("abcد") == 0.25
    assert rules.numbers("في ٣ أيام 1,250 دينارًا و3") == rules.numbers("3 days, 3 and 1250")
    assert rules.repeats("a b c d x a b c d") and not rules.repeats("a b c a b c")
    assert rules.ratio("abcd", "أب") == 0.5 and rules.ratio("", "") == 1
    assert rules.agreement("the bank", "the bank") == pytest.approx(100)
    assert 0 < rules.agreement("the bank", "the ship") < 60


def test_pairs_are_held_apart_and_say_the_same():
    taught, supervised, tested = (make("pocket") for make in (text.taught, text.supervised, text.tested))
    told = text.settings("pocket")
    assert len(tested) == sum(told["test"].values()) == 120
    assert 0.9 * told["supervise"] < len(supervised) <= told["supervise"] and len(taught) == told["teach"]
    once = [pair for pair in taught + supervised if not pair.id.startswith("reply/")]
    sides = [pair.en for pair in once]
    assert len(set(sides)) == len(sides)  # the teacher supervises with sentences that it was not tuned on
    asked = {prompt.prompt for prompt in text.instructions("pocket")}
    assert not set(sides) & {pair.en for pair in tested} and not asked & {pair.en for pair in taught + supervised}
    for pair in taught + supervised + tested:
        assert rules.script(pair.ar) == 1 and rules.script(pair.en) in (0, 1) and pair.en and pair.ar
        assert rules.numbers(pair.en) == rules.numbers(pair.ar), pair
    assert text.tested("pocket") == tested and text.taught("pocket") == taught
    assert {prompt.source for prompt in text.instructions("pocket", 50)} <= set(told["sources"])
    assert text.taught("pocket", 0.25) == taught[:300] and text.supervised("pocket", 0.1) == supervised[:130]
    with pytest.raises(UserError, match="no kind 'poem'"):
        text.world("test", {"poem": 1})


def test_opus_pairs_pass_the_filters_and_never_repeat(monkeypatch):
    import datasets

    from llmini import texts

    line = "Number {} is the line that the bank of the town keeps."
    rows = [{"translation": {"en": line.format(i % 30), "ar": f"السطر رقم {i} هو السطر الذي يحفظه مصرف المدينة."}}
            for i in range(60)] + [{"translation": {"en": "♪ la la", "ar": "لا لا"}}]  # fmt: skip
    monkeypatch.setattr(texts, "hub_rows", lambda *_, **__: datasets.Dataset.from_list(rows))
    first, second = text.opus("train", 0, 10), text.opus("train", 10, 20)
    assert len({pair.en for pair in first + second}) == 30 and "♪" not in str(first + second)
    with pytest.raises(UserError, match="31 are needed"):
        text.opus("train", 0, 31)


def test_the_plan():
    runs = translate_runs.plan("pocket", "qwen2_5_7b_instruct", seed="0,1", t="0,0.5,1")
    names = [run.run_id.removeprefix("pocket-merge-qwen2_5_") for run in runs]
    assert names == [
        "32b_instruct-teacher", "32b_instruct-fp8", "7b_instruct-translator_base", "7b_instruct-translator",
        "7b_instruct-translator-s1", "7b_instruct-base", "7b_instruct-tuned", "7b_instruct-tuned-s1",
        "7b_instruct-slerp-t0", "7b_instruct-slerp-t0.5", "7b_instruct-slerp-t1", "7b_instruct-slerp-t0-s1",
        "7b_instruct-slerp-t0.5-s1", "7b_instruct-slerp-t1-s1",
    ]  # fmt: skip
    assert translate_runs.find(runs, "tuned", seed=1).options == {"seed": 1}
    assert translate_runs.find(runs, "base", seed=1).method == "base"
    full = translate_runs.plan("full", "lfm2_350m", "command_a_translate", quant="w8a8")
    assert [run.model for run in full[:4]] == ["command_a_translate"] * 2 + ["lfm2_1_2b"] * 2
    part = translate_runs.plan("pocket", "qwen2_5_7b_instruct", t="0.5", share=0.4)
    assert [run.variant for run in part] == ["teacher-share0.4", "fp8-share0.4", "translator_base",
                                             "translator-share0.4", "base", "tuned-share0.4", "slerp-share0.4-t0.5"]
    full = translate_runs.plan("full", "lfm2_350m", "command_a_translate", share=0.4)  # a teacher that learns nothing
    assert [run.variant for run in full[:2]] == ["teacher", "fp8-share0.4"]
    for options, words in (({"quant": "int4"}, "not 'int4'"), ({"t": "2"}, "t is 2"), ({"share": 0}, "not 0"),
                           ({"share": 1.5}, "not 1.5"), ({"share": "half"}, "not half")):  # fmt: skip
        with pytest.raises(UserError, match=words):
            translate_runs.plan("pocket", "qwen2_5_7b_instruct", **options)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A teacher and a student with one tokenizer and a chat template."""
    home = tmp_path_factory.mktemp("models")
    found = []
    for seed, name in enumerate(("teacher", "student")):
        tokenizer = pocket_tokenizer.train(sentences(200, seed=1), vocabulary=512)
        write_model(home / name, tokenizer, "qwen3", seed=seed, **SMALL)
        pocket_tokenizer.save(tokenizer, home / name)
        found.append(home / name)
    return found


@pytest.fixture
def tiny(models, tmp_path, monkeypatch):
    """A checkout whose pocket tier has these two models, few sentences and loose filters; the plan of its runs."""
    from llmini import grid
    from llmini.settings import root

    for name in ("lib", "notebooks", "data", "requirements.lock"):
        (tmp_path / name).symlink_to(root() / name)
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    told = {
        "translator": "student", "models": dict(zip(("teacher", "student"), map(str, models), strict=True)),
        "teach": 24, "supervise": 8, "instructions": 12, "sources": ["fact"], "kinds": {"question": 1.0},
        "test": {"question": 4, "statement": 4}, "max_new_tokens": 6, "batch_tokens": 2048,
        "filters": {"script": 0, "shortest": 0, "longest": 99, "round_trip": 0},
        "recipe": {"batch_size": 4, "max_length": 96, "learning_rate": 1e-3, "epochs": 1, "precision": "fp32"},
        "teacher": {"learning_rate": 1e-2, "epochs": 8}, "small": {"learning_rate": 1e-2, "epochs": 8},
        "tuned": {"epochs": 8},
    }  # fmt: skip
    monkeypatch.setattr(text, "settings", lambda tier: told)
    grid.fingerprint.cache_clear()
    translate_runs.checkpoint.cache_clear()
    yield tuple(translate_runs.plan("pocket", "student", "teacher", t="0,0.5,1"))
    grid.fingerprint.cache_clear()
    translate_runs.checkpoint.cache_clear()


def stamps(folder):
    """When each file of weights and of translations was written."""
    files = [*folder.rglob("*.safetensors"), *folder.rglob("part-*.json")]
    return {path: path.stat().st_mtime_ns for path in files}


def test_the_whole_chain_is_made_once_and_its_ends_are_the_parents(tiny, models, monkeypatch):
    """Teacher, FP8, translator, instructions, tuned and merged models, then all of it again: nothing is made twice."""
    import torch
    from safetensors.torch import load_file

    last = next(run for run in tiny if run.options.get("t") == 0.5)
    made = translate_runs.checkpoint(last, tiny)
    teacher, quantized, small, tuned = (translate_runs.find(tiny, name).folder
                                        for name in ("teacher", "fp8", "translator", "tuned"))  # fmt: skip
    assert json.loads((quantized / "checkpoint" / "config.json").read_text())["quantization_config"]
    one, two, both = (load_file(path / "model.safetensors") for path in (models[1], tuned / "checkpoint", made))
    assert all(tensor.dtype == torch.bfloat16 for each in (one, two, both) for tensor in each.values())
    assert any(not torch.equal(one[name], two[name]) for name in one)
    filters = json.loads((tuned / "instructions" / "filters.json").read_text())
    assert filters["instructions"] == 12 == filters["kept"] + sum(filters["rules"].values()) and filters["kept"] > 0
    translate_runs.check_same(made, made)
    with pytest.raises(UserError, match="merge again"):
        translate_runs.check_same(made, models[1])
    before = {path: stamps(path) for path in (teacher, quantized, small, tuned, made)}
    translate_runs.checkpoint.cache_clear()
    monkeypatch.setattr(translate.Translator, "answers", None)  # nothing may be translated
    assert translate_runs.checkpoint(last, tiny) == made
    assert {path: stamps(path) for path in before} == before and all(before.values())


def test_a_share_of_the_pairs_teaches_other_checkpoints(tiny):
    runs = tuple(translate_runs.plan("pocket", "student", "teacher", t="0.5", share=0.5))
    small, quantized = (translate_runs.find(runs, name) for name in ("translator", "fp8"))
    assert translate_runs.checkpoint(small, runs).parent.name == "pocket-merge-student-translator-share0.5"
    told = text.settings("pocket")
    assert len(translate.stored(quantized.folder / "supervision")) == told["supervise"] // 2
    made = json.loads((translate_runs.find(runs, "teacher").folder / "checkpoint" / "training.json").read_text())
    assert made["examples"] == told["teach"]  # half of the pairs, in both directions
    rows = translate.translated(small.folder / "checkpoint", small.folder / "arabic", "pocket", 0.5)
    assert len(rows) == told["instructions"] // 2


def test_a_translator_is_scored_and_an_interrupted_one_goes_on(tiny, monkeypatch):
    answers, asked = translate.Translator.answers, []

    def count(self, requests):
        asked.extend(requests)
        if len(asked) == 12:
            raise KeyboardInterrupt
        return answers(self, requests)

    monkeypatch.setattr(translate, "PART", 4)
    monkeypatch.setattr(translate.Translator, "answers", count)
    notebook = "04_finetune/03_translate_and_tune.ipynb"
    with pytest.raises(KeyboardInterrupt):
        translate_runs.carry_out(tiny, notebook, "translator_base")
    run = translate_runs.find(tiny, "translator_base")
    assert not (run.folder / "record.json").exists() and len(list(run.folder.rglob("part-*.json"))) == 2
    translate_runs.carry_out(tiny, notebook, "translator_base")
    assert asked.count(text.request(text.tested("pocket")[0].en, "ar")) == 1 + 1 + translate_runs.REPEATS  # and timed
    body = json.loads((run.folder / "record.json").read_text())
    found = {(each["metric"], each["task"]): each for each in body["rows"]}
    for direction, target in scoring.DIRECTIONS.items():
        made = translate.stored(run.folder / direction)
        references = [pair.side(target) for pair in text.tested("pocket")]
        line = found["chrf", direction]
        assert line["value"] == pytest.approx(CHRF().corpus_score(made, [references]).score)
        assert (line["benchmark"], line["language"], line["n"]) == ("translation", target, 8) and line["stderr"] >= 0
    assert found["tokens_per_second", ""]["value"] > 0 and body["provenance"]["signature"]
    assert run.fresh(body["provenance"]["fingerprint"])
    other = translate.Translator(translate.place("teacher", "pocket"), "pocket")
    with pytest.raises(UserError, match="by another model: delete it"):
        other.translate([pair.en for pair in text.tested("pocket")], "ar", run.folder / "en-ar")


def test_a_merge_at_an_end_takes_its_parents_record_after_proof(tiny):
    from llmini.train.merge import merge

    base, run = translate_runs.find(tiny, "base"), next(run for run in tiny if run.options.get("t") == 0)
    student, other = (translate.place(name, "pocket") for name in ("student", "teacher"))
    record = base.record()
    record.add("acc", 0.5, benchmark="pocket_metabench", task="mean", language="en", n=4, stderr=0.1)
    record.add_items(scoring.frame([text.Pair("question/0", "a", "ب")], "en-ar", "ar", [True], [50.0]))
    record.write(base.folder)
    made = merge(student, other, run.folder / "checkpoint", t=0)
    translate_runs.adopt(run, made, base, student, "04_finetune/03_translate_and_tune.ipynb")
    body = json.loads((run.folder / "record.json").read_text())
    assert body["rows"] == json.loads((base.folder / "record.json").read_text())["rows"]
    assert body["run_id"] == run.run_id and body["provenance"]["measured_as"] == base.run_id
    import pandas

    assert set(pandas.read_parquet(run.folder / "items.parquet")["run_id"]) == {run.run_id}
    with pytest.raises(UserError, match="delete it and merge again"):
        translate_runs.adopt(run, made, base, other, "04_finetune/03_translate_and_tune.ipynb")


def test_every_name_of_a_pair_of_tiers_is_a_recipe_and_a_model():
    for tier in ("pocket", "full"):
        told = text.settings(tier)
        for part in ("teacher", "small", "tuned"):
            assert translate.recipe(tier, part, seed=3).seed == 3
        assert set(told["filters"]) == {"script", "shortest", "longest", "round_trip"}
        assert sum(told["test"].values()) == 120
    assert text.settings("full")["models"]["fanar_1_9b_instruct"] == "QCRI/Fanar-1-9B-Instruct"
    assert Run("full", "merge", "lfm2_350m", "base").run_id == "full-merge-lfm2_350m-base"


@pytest.fixture(scope="module")
def results():
    """Records of the merge family, made up: translators by 40 sentences, students by 60 questions a language."""
    import pandas

    from llmini.records import COLUMNS
    from llmini.report import measured

    chrf = {"teacher": (70.0, 66.0), "fp8": (69.0, 66.5), "translator_base": (6.0, 5.0), "translator": (60.0, 61.0)}
    right = {"base": (24, 30), "tuned": (30, 24), 0.0: (24, 30), 0.5: (30, 30), 1.0: (30, 24)}  # of 60
    rows, items = [], []
    for run in translate_runs.plan("pocket", "qwen2_5_7b_instruct", t="0,0.5,1"):
        head = {"tier": "pocket", "family": "merge", "model": run.model, "variant": run.variant, "method": run.method,
                "params": json.dumps(run.options), "run_id": run.run_id, "benchmark": "", "task": "", "language": "",
                "unit": "", "stderr": None, "n": None}  # fmt: skip
        own = []
        for (direction, target), value in zip(scoring.DIRECTIONS.items(), chrf.get(run.method, ()), strict=False):
            own.append({"metric": "chrf", "value": value, "benchmark": "translation", "task": direction,
                        "language": target, "stderr": 1.0, "n": 40})  # fmt: skip
            pairs = [text.Pair(f"question/{i}", "a", "ب") for i in range(40)]
            items.append(scoring.frame(pairs, direction, target, [False] * 40, [value + i % 3 for i in range(40)])
                         .assign(run_id=run.run_id))  # fmt: skip
            own.append({"metric": "kl_to_dense", "value": 0.002, "benchmark": "translation", "language": target})
        if run.method in chrf:
            own.append({"metric": "tokens_per_second", "value": 100.0 if run.method == "fp8" else 200.0,
                        "task": "decompressed" if run.method == "fp8" else ""})  # fmt: skip
        else:
            counts = right[run.options.get("t", run.method)]
            for benchmark, code, count in zip(("arabicmmlu", "metabench"), ("ar", "en"), counts, strict=True):
                own.append({"metric": "acc", "value": count / 60, "benchmark": f"pocket_{benchmark}", "task": "mean",
                            "language": code, "stderr": 0.06, "n": 60})  # fmt: skip
                items.append(pandas.DataFrame({"benchmark": f"pocket_{benchmark}", "task": "mmlu", "language": code,
                                               "item_id": [f"{i}" for i in range(60)], "run_id": run.run_id,
                                               "correct": [i < count for i in range(60)],
                                               "cluster": [f"{i}" for i in range(60)]}))  # fmt: skip
        if run.method == "tuned":
            own.append({"metric": "selected_share", "value": 0.25, "benchmark": "instructions", "language": "ar",
                        "n": 80})  # fmt: skip
        rows += [{**head, **row} for row in own]
    return measured.build(pandas.DataFrame(rows, columns=COLUMNS), pandas.concat(items), families=("merge",))


def test_the_report_says_what_was_measured(results):
    from llmini.report import translation
    from llmini.report.style import rendered

    table = translation.translators(results).text
    assert "69.0 (67.0 to 71.0)" in table and "−1.0 (−1.0 to −1.0)" in table and "decompressed" in table
    assert "0.50" in table and "0.0020" in table
    found = translation.sweep(results)
    assert found[1.0]["ar"]["change"]["value"] == pytest.approx(10) and found[0.5]["en"]["change"]["value"] == 0
    assert found[1.0]["ar"]["low"] == pytest.approx(50 - 1.96 * 6)
    said = translation.answer(results).text
    assert "rises by 10.0 points in Arabic and falls by 10.0 points in English" in said and "highest at t = 0.5" in said
    assert "20 of 80" in said and "ارتفاع 10.0 نقطة في العربية وانخفاض 10.0 نقطة في الإنجليزية" in said
    assert "20 من 80" in said and rendered(translation.figure(results), "png")[:4] == b"\x89PNG"
    assert "9 B" in translation.hala().text and "none of these numbers is measured" in translation.hala().text


def test_the_report_of_nothing(results):
    import pandas

    from llmini.records import COLUMNS
    from llmini.report import measured, translation

    empty = measured.build(pandas.DataFrame(columns=COLUMNS), families=("merge",))
    assert "Not measured" in translation.answer(empty).text and translation.figure(empty) is not None

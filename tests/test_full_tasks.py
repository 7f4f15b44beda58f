"""The full tier's registry, questions of the hub's shapes, and the Bahrain-corpus tasks."""

import csv
import random
import re

import datasets
import pytest

from llmini.measure import full_tasks as f
from llmini.settings import UserError, data


def rows_of(name):
    return {
        "gsm8k": [{"question": f"How many {i}?", "answer": f"{i}\n#### {i}"} for i in range(3)],
        "aradice_piqa": [{"goal": f"هدف {i}", "sol1": "أ", "sol2": "ب", "label": 0} for i in range(3)],
        "aradice_truthfulqa": [{"question": f"سؤال {i}؟", "mc1_targets": {"choices": ["أ", "ب"], "labels": [1, 0]}}
                               for i in range(3)],
        "aradice_culture": [{"Question": f"سؤال {i}؟", "Option A": "أ", "Option B": "ب", "Option C": "ج"}
                            for i in range(3)],
        "arabicmmlu_general": [{"Question": f"سؤال {i}؟", "Context": "نص" if i else "", "Level": "", "Country": "",
                                "Subject": "X", "Answer Key": "A", "Option 1": "خيار", "Option 2": "آخر",
                                "Option 3": "", "Option 4": "", "Option 5": ""} for i in range(3)],
        "arabic_mt_hellaswag": [{"ctx": f"سياق {i}", "endings": "['أ', 'ب']", "label": 0} for i in range(3)],
    }[name]  # fmt: skip


@pytest.fixture
def hub(monkeypatch):
    """Rows in the shape of a benchmark's in the place of the hub; none for a benchmark without them."""
    given = {}

    def load(path=None, name=None, **_):
        if not given:
            raise OSError("the hub cannot be reached")
        part = datasets.Dataset.from_list(given["rows"])
        return datasets.DatasetDict(dict.fromkeys(("train", "validation", "dev", "test"), part))

    monkeypatch.setattr(datasets, "load_dataset", load)
    return given


def test_every_harness_name_is_there():
    from pathlib import Path

    import lm_eval
    from lm_eval.tasks import TaskManager

    for name, entry in f.registry().items():
        folder = data("evaluation", "tasks")
        if not entry.get("local"):
            folder = Path(lm_eval.__file__).parent / "tasks" / entry["folder"]
        assert entry["harness"] in TaskManager(include_path=str(folder), include_defaults=False).all_tasks, name
        assert entry["language"] in ("en", "ar", "gulf") and entry["fields"]
    assert "bahrain_corpus" not in f.public() and len(f.public()) == len(f.registry()) - 1


def test_every_published_benchmark_is_there():
    wanted = set()
    for number in ("12_kd_standard", "13_kd_aradice", "14_kd_bahrain_corpus"):
        with data("reported", f"table_{number}.csv").open(encoding="utf8") as file:
            wanted |= {f"{row['table']} {row['benchmark']}" for row in csv.DictReader(file)}
    assert wanted <= {entry.get("reported") for entry in f.registry().values()}


@pytest.mark.parametrize("name, texts", [
    ("gsm8k", ["How many 0?", "How many 1?", "How many 2?"]),
    ("aradice_piqa", ["هدف 0", "هدف 1", "هدف 2"]),
    ("aradice_truthfulqa", ["سؤال 0؟", "سؤال 1؟", "سؤال 2؟"]),
    ("aradice_culture", ["سؤال 0؟", "سؤال 1؟", "سؤال 2؟"]),
    ("arabicmmlu_general", ["سؤال 0؟", "نص سؤال 1؟", "نص سؤال 2؟"]),
    ("arabic_mt_hellaswag", ["سياق 0", "سياق 1", "سياق 2"]),
])  # fmt: skip
def test_questions_come_through_the_harness(hub, name, texts):
    hub["rows"] = rows_of(name)
    assert f.questions(name) == texts


def test_what_the_hub_does_not_give_is_a_clear_fault(hub):
    with pytest.raises(UserError, match="cannot load the questions of gsm8k: the hub cannot be reached; connect"):
        f.questions("gsm8k")
    with pytest.raises(UserError, match="unknown benchmark 'mmlu2'"):
        f.load("mmlu2")


@pytest.fixture
def corpus(tmp_path):
    """400 made-up sentences, and some that are no use."""
    draw = random.Random(0)
    text = "وين رايح اليوم يا خوي باجر بنروح السوق نشتري سمج زين وايد حق الغدا مع الربع في البحر"
    lines = {" ".join(draw.sample(text.split(), 7)) for _ in range(500)}
    path = tmp_path / "bahrain.txt"
    path.write_text("\n".join([*sorted(lines)[:400], "قصيرة جدا", "جملة فيها 中文 من خارج", ""]), encoding="utf8")
    return path


def test_a_missing_corpus_says_where_to_ask(monkeypatch, tmp_path):
    monkeypatch.delenv(f.CORPUS, raising=False)
    for given in (None, tmp_path / "absent.txt"):
        with pytest.raises(UserError, match=r"aclanthology\.org/2022\.lrec-1\.251.*LLMINI_BAHRAIN_CORPUS"):
            f.load("bahrain_corpus", given)


def test_bahrain_tasks_share_no_sentence(corpus, monkeypatch):
    loaded = f.load("bahrain_corpus", corpus)
    assert list(loaded["tasks"]) == [f"bahrain_corpus_{task}" for task in f.BAHRAIN]
    texts = f.questions("bahrain_corpus", corpus)
    assert len(texts) == len(set(texts)) == 300
    assert not any(re.search("[\u4e00-\u9fff]", text) or len(text.split()) < 4 for text in texts)
    monkeypatch.setenv(f.CORPUS, str(corpus))
    assert f.questions("bahrain_corpus") == texts
    task = loaded["tasks"]["bahrain_corpus_dialect_id"]
    places = [task.doc_to_target(row) for row in task.test_docs()]
    for row, place in zip(task.test_docs(), places, strict=True):
        assert task.doc_to_choice(row)[place] == "البحرينية"
    assert min(places.count(place) for place in range(5)) > 8  # the right answer has no favourite place


def test_a_corpus_that_cannot_be_used_is_named(tmp_path):
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(f'{{"text": "هذي جملة من البحرين رقم {i}"}}' for i in range(20)), encoding="utf8")
    with pytest.raises(UserError, match="holds 20 sentences of 4 to 40 words, 300 are needed"):
        f.bahrain_rows("normalize", path)
    path.write_text('{"text": "هذي جملة من البحرين", "dialect": "الصينية"}', encoding="utf8")
    with pytest.raises(UserError, match="names the dialect 'الصينية'"):
        f.bahrain_rows("normalize", path)
    path.write_text('["text"]', encoding="utf8")
    with pytest.raises(UserError, match="neither UTF-8 text"):
        f.bahrain_rows("normalize", path)


@pytest.mark.parametrize("rule, answer, passes, cjk", [
    (f.normalized, "إلى أين تذهب اليوم؟", 1, 0),
    (f.normalized, "وين رايح اليوم؟", 0, 0),  # the sentence itself
    (f.normalized, "", 0, 0),
    (f.normalized, "إلى أين تذهب today؟", 0, 0),
    (f.normalized, "إلى أين تذهب 今天؟", 0, 1),
    (f.normalized, "أين " * 9, 0, 0),
    (f.switched, "وين رايح today؟", 1, 0),
    (f.switched, "وين رايح اليوم؟", 0, 0),
    (f.switched, "Where are you going?", 0, 0),
    (f.switched, "وين رايح today 今天؟", 0, 1),
])  # fmt: skip
def test_rules_of_the_generated_tasks(rule, answer, passes, cjk):
    assert rule({"text": "وين رايح اليوم؟"}, [answer]) == {"exact_match": passes, "cjk": cjk}


def test_a_model_is_scored_on_single_tasks_and_on_the_corpus(corpus, hub):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = data("pocket", "models", "allam_7b")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    hub["rows"] = rows_of("aradice_piqa")
    scores = f.evaluate(model, tokenizer, "aradice_piqa")
    assert [(row["benchmark"], row["metric"], row["n"], row["language"]) for row in scores.rows] == [
        ("aradice_piqa", "acc", 3, "ar")]  # fmt: skip
    assert list(scores.items["choice"]) == [int(not right) for right in scores.items["correct"]]
    scores = f.evaluate(model, tokenizer, "bahrain_corpus", corpus=corpus, limit=4)
    rows = {row["task"]: row for row in scores.rows}
    assert set(rows) == {*f.BAHRAIN, "mean"} and rows["mean"]["n"] == 12
    assert rows["mean"]["value"] == pytest.approx(scores.items["correct"].mean())
    assert {row["benchmark"] for row in scores.rows} == set(scores.items["benchmark"]) == {"bahrain_corpus"}
    assert scores.details["cjk_failures"] == 0

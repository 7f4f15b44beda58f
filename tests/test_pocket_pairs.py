"""The pocket pairs and the pair questions as lm-eval tasks, answered by tiny models and by a shipped one."""

import json
import re
import shutil
from collections import Counter

import numpy as np
import pytest

from llmini import settings
from llmini.measure import tasks as harness
from llmini.measure.bilingual import behaviour
from llmini.measure.pairs import confidence, pairs
from llmini.pocket import pairs as pocket_pairs
from llmini.pocket.facts import facts, table, values
from measuring import make_model, make_tokenizer

ROWS = pocket_pairs.rows()
FACTS = {fact.id: fact for fact in facts()}
KNOWLEDGE = [row for row in ROWS if row["id"].split("/", 1)[1] in FACTS]


def test_the_committed_file_is_the_generated_one(tmp_path):
    committed = settings.data("pairs", "pocket_pairs.jsonl").read_bytes()
    assert pocket_pairs.write(tmp_path / "pairs.jsonl").read_bytes() == committed
    assert [json.loads(line) for line in committed.decode().splitlines()] == ROWS


def test_every_pair_has_four_options_in_both_languages():
    assert len(ROWS) >= 320 and len({row["id"] for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert list(row) == ["id", "category", "en", "ar", "answer"]
        for code in ("en", "ar"):
            assert list(row[code]) == ["question", "options"] and len(set(row[code]["options"])) == 4
        assert re.search("[A-Za-z]", row["en"]["question"]) and not re.search("[\u0621-\u064a]", row["en"]["question"])
        assert re.search("[\u0621-\u064a]", row["ar"]["question"]) and not re.search("[A-Za-z]", row["ar"]["question"])
    for code in ("en", "ar"):
        assert len({row[code]["question"] for row in ROWS}) == len(ROWS)


def test_the_right_answer_has_no_favourite_place():
    counts = Counter((row["category"], row["answer"]) for row in ROWS)
    for category in {row["category"] for row in ROWS}:
        places = [counts[category, place] for place in range(4)]
        assert max(places) - min(places) <= 1


def test_options_are_aligned_and_the_facts_are_of_the_test():
    assert len(KNOWLEDGE) == sum(pocket_pairs.FACTS.values())
    for row in KNOWLEDGE:
        fact = FACTS[row["id"].split("/", 1)[1]]
        options = list(zip(row["en"]["options"], row["ar"]["options"], strict=True))
        assert fact.split == "test" and options[row["answer"]] == fact.value
        assert set(options) <= set(values(table("relations")[fact.relation]["values"]))
    rare = np.mean([FACTS[row["id"].split("/", 1)[1]].rare for row in KNOWLEDGE])
    assert 0.4 < rare < 0.6  # the designed Arabic gap is in here as in the world


def test_no_question_is_one_of_the_benchmarks():
    """Nor in the training text: that asks no fact of the test, which test_world.py checks for every wording."""
    asked = {row[code]["question"] for row in ROWS for code in ("en", "ar")}
    assert not asked & pocket_pairs.taken()
    assert not asked & set(_training_questions())


def _training_questions():
    from llmini.pocket.world import questions

    return [line for fact in facts() if fact.split != "test" for code in ("en", "ar") for line in questions(fact, code)]


def test_problems_have_one_right_working():
    found = [row for row in ROWS if row["category"] == "arithmetic"]
    assert len(found) == pocket_pairs.PROBLEMS
    for row in found:
        op, a, b, c = row["id"].split("/", 1)[1].split(":")[:4]
        result = {"a+b": int(a) + int(b), "a-b": int(a) - int(b), "a*b": int(a) * int(b),
                  "a+b-c": int(a) + int(b) - int(c)}[op]  # fmt: skip
        assert row["en"]["options"] == row["ar"]["options"]
        ends = [int(option.rsplit("= ", 1)[1]) for option in row["en"]["options"]]
        assert ends[row["answer"]] == result
        for place, option in enumerate(row["en"]["options"]):
            true = all(_holds(line) for line in option.splitlines())
            same = all(sign in option for sign in op if sign in "+-*")
            assert (true and same) == (place == row["answer"]), option


def _holds(equation):
    left, op, right, _, result = equation.split()
    return {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[op] == int(result)


def test_pronouns_offer_the_two_people_of_the_sentence():
    found = [row for row in ROWS if row["category"] == "pronoun"]
    assert len(found) == pocket_pairs.PRONOUNS
    for row in found:
        for code in ("en", "ar"):
            words = row[code]["question"]
            inside = [i for i, name in enumerate(row[code]["options"]) if name in words]
            assert row["answer"] in inside and len(inside) >= 2


def test_the_harness_asks_what_the_file_holds():
    name, loaded = harness.load("pocket_pairs", "pocket", settings.data("pairs"))
    assert name == "pocket_pairs" and set(loaded["tasks"]) == {"pocket_pairs_en", "pocket_pairs_ar"}
    for code, form in (("en", "Question: {}\nAnswer:"), ("ar", "سؤال: {}\nجواب:")):
        task = loaded["tasks"][f"pocket_pairs_{code}"]
        docs = list(task.test_docs())
        assert len(docs) == len(ROWS)
        for doc, row in zip(docs, ROWS, strict=True):
            assert task.doc_to_text(doc) == form.format(row[code]["question"])
            assert task.doc_to_choice(doc) == row[code]["options"] and task.doc_to_target(doc) == row["answer"]


def test_the_full_tier_lists_the_options_under_letters():
    rows = [json.loads(line) for line in settings.data("pairs", "ar_en_pairs.jsonl").read_text("utf8").splitlines()]
    _, loaded = harness.load("pairs", "full", settings.data("pairs"))
    for code, form in (("en", "Question: {}\nA. {}\nB. {}\nC. {}\nD. {}\nAnswer:"),
                       ("ar", "سؤال: {}\nA. {}\nB. {}\nC. {}\nD. {}\nجواب:")):  # fmt: skip
        task = loaded["tasks"][f"pairs_{code}"]
        for doc, row in zip(task.test_docs(), rows, strict=True):
            assert task.doc_to_text(doc) == form.format(row[code]["question"], *row[code]["options"])
            assert task.doc_to_choice(doc) == list("ABCD") and task.doc_to_target(doc) == row["answer"]


@pytest.mark.parametrize("tier", ["pocket", "full"])
def test_outcomes_and_confidences_are_those_of_a_plain_forward(tier):
    import torch

    model, tokenizer = make_model(), make_tokenizer()
    found = pairs(model, tokenizer, tier, limit=3)
    file = "pocket_pairs.jsonl" if tier == "pocket" else "ar_en_pairs.jsonl"
    lines = settings.data("pairs", file).read_text("utf8").splitlines()
    assert list(found.columns) == ["item", "category", "en_correct", "ar_correct", "en_confidence", "ar_confidence"]
    for line, (_, got) in zip(lines, found.iterrows(), strict=False):
        row = json.loads(line)
        assert (got["item"], got["category"]) == (row["id"], row["category"])
        for code, ask, answer in (("en", "Question", "Answer"), ("ar", "سؤال", "جواب")):
            options = row[code]["options"]
            listed = "" if tier == "pocket" else "".join(f"\n{x}. {y}" for x, y in zip("ABCD", options, strict=True))
            prompt, scores = f"{ask}: {row[code]['question']}{listed}\n{answer}:", []
            start = len(tokenizer(prompt)["input_ids"])
            for option in options if tier == "pocket" else "ABCD":
                ids = torch.tensor([tokenizer(f"{prompt} {option}")["input_ids"]])
                with torch.no_grad():
                    logs = model(ids).logits[0, :-1].log_softmax(-1)
                scores.append(logs.gather(1, ids[0, 1:, None])[start - 1 :].sum().item())
            chance = np.exp(scores - np.logaddexp.reduce(scores))
            assert got[f"{code}_confidence"] == pytest.approx(chance.max(), abs=1e-3)
            assert got[f"{code}_correct"] == (int(np.argmax(scores)) == row["answer"])


def test_confidence_does_not_overflow():
    assert confidence([-1e4, -1e4 - np.log(3)]) == pytest.approx(0.75)
    assert confidence([-5.0] * 4) == 0.25 and confidence([0.0, -1e6]) == 1


def test_two_pairs_of_one_name_are_refused(tmp_path, monkeypatch):
    shutil.copytree(settings.data("pairs"), tmp_path / "data" / "pairs")
    file = tmp_path / "data" / "pairs" / "pocket_pairs.jsonl"
    line = file.read_text("utf8").splitlines()[0]
    file.write_text(f"{line}\n{line}\n", encoding="utf8")
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    with pytest.raises(settings.UserError, match="bear the id"):
        pairs(make_model(), make_tokenizer())


@pytest.mark.slow
def test_a_shipped_model_shows_the_designed_gap():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = settings.data("pocket", "models", "allam_7b")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = pairs(model, AutoTokenizer.from_pretrained(folder))
    assert len(found) == len(ROWS)
    rows = {(row["metric"], row["language"]): row for row in behaviour(found, resamples=2000)}
    assert rows["lpg", ""]["low"] > 0.1 and rows["acc", "ar"]["low"] > 0.25 and rows["acc", "en"]["high"] < 0.95
    assert rows["clcs", ""]["value"] > rows["clcs_chance", ""]["high"] and rows["clcs_kappa", ""]["low"] > 0
    assert rows["confidence_gap", ""]["low"] > 0
    known = found[found["item"].str.split("/", n=1).str[1].isin(FACTS)]
    rare = known["item"].map(lambda item: FACTS[item.split("/", 1)[1]].rare)
    gap = known["en_correct"].astype(float) - known["ar_correct"]
    assert gap[rare].mean() > gap[~rare].mean() + 0.05

"""Overlap of prompts with evaluation texts, against a slow search written from the definition."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmini.settings import UserError
from llmini.train import contamination as c
from llmini.train.prompts import Prompt

EVALUATION = {"exam": ["What is the capital of Bahrain?", "Where was Maryam Al Warraq born?"],
              "امتحان": ["ما مسقط رأس مريم الورّاق؟", "لماذا؟"]}  # fmt: skip


def overlaps(prompt, texts, n):
    """The definition, slowly: equal, held whole from WHOLE words on, or n words in a row."""
    prompt, padded = c.words(prompt), f" {' '.join(c.words(prompt))} "
    for text in map(c.words, texts):
        if not text:
            continue
        if text == prompt or (len(text) >= c.WHOLE and f" {' '.join(text)} " in padded):
            return True
        runs = {tuple(text[i : i + n]) for i in range(len(text) - n + 1)} if n else set()
        if runs & {tuple(prompt[i : i + n]) for i in range(len(prompt) - n + 1 if n else 0)}:
            return True
    return False


@given(prompt=st.lists(st.sampled_from("abc"), max_size=14), n=st.sampled_from([None, 5, 7]),
       texts=st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=4))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_overlap_is_what_the_definition_says(prompt, texts, n):
    prompt, texts = " ".join(prompt), [" ".join(text) for text in texts]
    assert (c.Index({"exam": texts}, n).overlap(prompt) is not None) == overlaps(prompt, texts, n)


def test_words_forget_case_marks_and_spelling():
    assert c.words("What IS  the capital, of Bahrain?") == c.words("what is the capital of bahrain")
    assert c.words("أَيْنَ وُلِدَتْ مَرْيَمُ؟ ١٢") == c.words("اين ولدت مريم 12")
    assert c.words("؟!") == []


@pytest.mark.parametrize("prompt, benchmark", [
    ("WHAT is the capital of Bahrain", "exam"),
    ("Answer in one word: where was Maryam Al-Warraq born", "exam"),
    ("قل لي: ما مسقط رأس مريم الوراق؟", "امتحان"),
    ("لماذا", "امتحان"),
])  # fmt: skip
def test_a_planted_overlap_fails_and_is_named(prompt, benchmark):
    prompts = [Prompt("gold/7", "en", "fact", "Who founded Mawja Company?"), Prompt("gold/8", "en", "fact", prompt)]
    with pytest.raises(UserError, match=f"gold/8 overlaps the evaluation set {benchmark}"):
        c.contamination(prompts, EVALUATION, None)


def test_what_does_not_overlap_passes():
    clean = ["Why is that? لماذا هذا؟", "What is the capital of Oman?", "Where was Maryam Al Warraq seen?", ""]
    report = c.contamination(clean, EVALUATION, 13)
    assert report == c.Report(4, {"exam": 2, "امتحان": 2}, 13)
    unnamed = c.contamination(iter(clean), [text for part in EVALUATION.values() for text in part])
    assert unnamed.texts == {"evaluation": 4}
    assert c.contamination([], {}).prompts == 0


def test_long_runs_count_in_the_full_tier_alone():
    text = " ".join(f"word{i}" for i in range(20))
    prompt = "Translate: " + " ".join(f"word{i}" for i in range(3, 16)) + " and more"
    with pytest.raises(UserError, match="word3 word4"):
        c.contamination([prompt], {"exam": [text]}, c.NGRAM["full"])
    c.contamination([prompt], {"exam": [text]}, 14)
    c.contamination([prompt], {"exam": [text]}, c.NGRAM["pocket"])
    with pytest.raises(ValueError, match="too common"):
        c.Index({}, 4)


def test_questions_of_a_file_are_found_at_any_depth(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"id": "a", "en": {"question": "one", "options": ["x"]}, "ar": {"question": "واحد"}, "note": "no"},
            {"query": "two", "choices": ["question"]}, {"question_en": "three", "question_ar": "ثلاثة"}]  # fmt: skip
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf8")
    assert c.questions(path) == ["one", "واحد", "two", "three", "ثلاثة"]
    path.write_text('{"note": "none here"}', encoding="utf8")
    with pytest.raises(UserError, match="holds no question"):
        c.questions(path)
    path.write_text("{", encoding="utf8")
    with pytest.raises(UserError, match="not a file of JSON lines"):
        c.questions(path)


def test_every_pocket_benchmark_and_the_pairs_are_evaluation_sets():
    from llmini.pocket.tasks import ARABIC, ENGLISH
    from llmini.settings import data

    found = c.evaluation_texts("pocket")
    assert {*ARABIC, *ENGLISH} | {f"{task}_dev" for task in (*ARABIC, *ENGLISH)} <= set(found)
    assert all(len(found[task]) == 150 for task in (*ARABIC, *ENGLISH))
    for path in data("pairs").glob("**/*.jsonl"):
        assert len(found[path.stem]) == 2 * len(path.read_text(encoding="utf8").splitlines())
    with pytest.raises(UserError, match="unknown tier"):
        c.evaluation_texts("tiny")

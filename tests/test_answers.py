"""The report's sentences: from the numbers, in both languages, and never an error."""

import re

import pytest

from llmini.report import answers, conclusions, sentences
from reporting import nothing, results

ALL = [
    *(getattr(answers, name) for name in ("quantization", "pruning", "pareto", "sparsity", "masks")),
    *(getattr(conclusions, name) for name in ("calibration", "outliers", "designed_gap", "tests", "goal", "stated")),
    conclusions.closing,
]


@pytest.fixture(scope="module")
def found():
    return results()


@pytest.mark.parametrize("answer", ALL, ids=lambda answer: answer.__name__)
def test_each_answer_is_two_sentences_in_each_language(found, answer):
    shown = answer(found)
    english, arabic = shown.text.split("\n")
    for text in (english, re.sub("<[^>]+>", "", arabic)):
        ends = re.findall(r"[.](?= |$)", text)
        assert 2 <= len(ends) <= (5 if answer is conclusions.closing else 3), text
        assert not re.search(r"\bnan\b|not measured", text)
    assert 'dir="rtl"' in shown.html and re.search("[\u0621-\u064a]", arabic)


@pytest.mark.parametrize("answer", [*ALL, conclusions.cost], ids=lambda answer: answer.__name__)
def test_nothing_measured_is_said_so(answer):
    shown = answer(nothing())
    assert "ot measured" in shown.text or "nothing was measured" in shown.text
    assert "nan" not in shown.text


def test_latin_names_in_arabic_keep_their_direction(found):
    arabic = answers.quantization(found).text.split("\n")[1]
    outside = re.sub("<bdi>.*?</bdi>", "", arabic)
    assert not re.search("[A-Za-z]", outside) and "−" not in arabic


def test_counts_come_from_the_table(found):
    text = conclusions.goal(found).text
    assert "1 of 13 published models" in text
    assert "Of 9 quantization methods" in answers.quantization(found).text


def test_what_fails_is_named(found):
    assert "None of them fails" in conclusions.stated(found).text
    worse = found.cells.copy()
    for key, cell in worse.items():
        if key[0] == "pocket-prune-allam_7b-sparsegpt-50" and key[1] == "kl_to_dense":
            worse[key] = cell._replace(value=9.0)
    from dataclasses import replace

    text = conclusions.stated(replace(found, cells=worse)).text
    assert "SparseGPT is closer to dense than Wanda, as trained (Arabic)" in text


@pytest.mark.parametrize("letters, text", [("", "none"), ("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_lists(letters, text):
    assert sentences.listed(letters) == text


def test_rises_and_falls_have_words_not_signs():
    assert sentences.arabic_change(-12.4) == "انخفاض بنسبة 12%" and sentences.arabic_change(3.2) == "ارتفاع بنسبة 3%"
    assert sentences.points(-0.4) == "gains 0.4 points" and sentences.arabic_points(3.14) == "خسارة 3.1 نقطة"

"""The parallel questions of data/pairs: their form, balance, and what can be checked without a reader."""

import json
import re
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from llmini.texts import normalise_arabic

FOLDER = Path(__file__).parents[1] / "data" / "pairs"
CATEGORIES = ("reasoning", "arithmetic", "general", "language", "gcc", "everyday")
ARABIC = re.compile(r"[\u0621-\u064A]")
LATIN = re.compile(r"[A-Za-z]")
EQUATION = re.compile(r"(-?[\d(][-\d\s.+×/()]*)=([-\d\s.+×/()]*\d)")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
ROWS = [json.loads(line) for line in (FOLDER / "ar_en_pairs.jsonl").read_text(encoding="utf-8").splitlines()]
each_category = pytest.mark.parametrize("category", CATEGORIES)


def key(text):
    """What two texts that differ only in marks, letter forms, case or punctuation share."""
    return " ".join(re.findall(r"[\w%./-]+", normalise_arabic(text, letters=True).casefold()))


def value(expression):
    """The exact value of sums, products and quotients of decimal numbers."""
    assert re.fullmatch(r"[-\d\s.+×/()]+", expression), expression
    exact = NUMBER.sub(lambda number: f"Fraction('{number[0]}')", expression.strip().replace("×", "*"))
    return eval(exact, {"__builtins__": {}, "Fraction": Fraction})


def longest_rate(rows, language):
    """Accuracy of one who always takes the longest option (ties shared)."""
    hits = 0
    for row in rows:
        lengths = [len(option) for option in row[language]["options"]]
        hits += (lengths[row["answer"]] == max(lengths)) / lengths.count(max(lengths))
    return hits / len(rows)


def of(category):
    return [row for row in ROWS if row["category"] == category]


@each_category
def test_schema(category):
    for number, row in enumerate(of(category), 1):
        name = f"{category}-{number:03d}"
        assert list(row) == ["id", "category", "en", "ar", "answer", "note"] and row["id"] == name
        assert type(row["answer"]) is int and 0 <= row["answer"] < 4, name
        for side in (row["en"], row["ar"]):
            assert list(side) == ["question", "options"] and len(side["options"]) == 4, name
            for text in (side["question"], *side["options"]):
                assert isinstance(text, str) and text and text == " ".join(text.split()), name
                assert not re.search(r"[٠-٩۰-۹\u0640\u200e\u200f]", text), name
            assert len({key(option) for option in side["options"]}) == 4, name
        assert re.search(r"[.?]$", row["note"]) and len(row["note"]) <= 160 and not ARABIC.search(row["note"]), name


@each_category
def test_each_side_is_in_its_own_script(category):
    for row in of(category):
        name, english, arabic = row["id"], row["en"], row["ar"]
        assert ARABIC.search(arabic["question"]) and not re.search(r"[?;]|\w,", arabic["question"]), name  # ؟ ؛ ،
        assert not any(LATIN.search(text) for text in (arabic["question"], *arabic["options"])), name
        assert not any(re.search(r"[\u0600-\u06FF]", text) for text in (english["question"], *english["options"])), name
        for ours, theirs in zip(english["options"], arabic["options"], strict=True):
            assert bool(LATIN.search(ours)) == bool(ARABIC.search(theirs)), name


@each_category
def test_digits_agree_between_the_languages(category):
    for row in of(category):
        english, arabic = ([side["question"], *side["options"]] for side in (row["en"], row["ar"]))
        for ours, theirs in zip(english, arabic, strict=True):
            assert sorted(re.findall(r"\d+", ours)) == sorted(re.findall(r"\d+", theirs)), row["id"]


def test_arithmetic_notes_are_true_and_give_the_answer():
    checked = 0
    for row in ROWS:
        equations = EQUATION.findall(row["note"])
        for left, right in equations:
            assert value(left) == value(right), row["id"]
        numbers = [re.fullmatch(r"(-?[\d./]+)(%| [a-z]+)?", option) for option in row["en"]["options"]]
        # An equation of two computations (minutes of two times, Pythagoras) shows no result to compare with.
        results = {value(right) for _, right in equations if "×" not in right}
        if row["category"] == "arithmetic" and results and all(numbers):
            values = [value(number[1]) for number in numbers]
            assert values[row["answer"]] in results and len(set(values)) == 4, row["id"]
            checked += 1
    assert checked >= 50


def test_counts_and_positions_are_balanced():
    assert len(ROWS) >= 320
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert set(Counter(row["category"] for row in ROWS)) == set(CATEGORIES)
    positions = Counter(row["answer"] for row in ROWS)
    assert all(0.23 <= positions[i] / len(ROWS) <= 0.27 for i in range(4))
    for category in CATEGORIES:
        answers = [row["answer"] for row in of(category)]
        assert len(answers) >= 50
        assert all(0.2 <= answers.count(i) / len(answers) <= 0.3 for i in range(4))


@pytest.mark.parametrize("language", ["en", "ar"])
def test_no_question_is_asked_twice(language):
    questions = Counter(key(row[language]["question"]) for row in ROWS)
    assert not [question for question, count in questions.items() if count > 1]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_longest_option_gives_nothing_away(language):
    assert longest_rate(ROWS, language) <= 0.28
    for category in CATEGORIES:
        assert longest_rate(of(category), language) <= 0.35


def test_readme_states_counts_and_licence():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in text and str(len(ROWS)) in text
    for category, count in Counter(row["category"] for row in ROWS).items():
        assert re.search(rf"\| `{category}` \| {count} \|", text)

"""The pocket world: same seed same bytes, disjoint splits, Arabic that agrees."""

from __future__ import annotations

import hashlib
import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmini.pocket import passages, tasks, world
from llmini.pocket.arabic import Noun, accusative, agree, counted, dual, how_many, prefix_li
from llmini.pocket.facts import combination_split, facts, subjects, table, values

BOOK = Noun.parse("book|books|كتاب|كتب|m")
APPLE = Noun.parse("apple|apples|تفاحة|تفاحات|f")
TRAINING = 20_000


@pytest.fixture(scope="module")
def training() -> list[str]:
    return list(world.corpus(TRAINING))


@settings(deadline=None)
@given(st.integers(3, 5000), st.sampled_from([BOOK, APPLE]))
def test_last_two_digits_decide_the_counted_noun(number, noun):
    text = counted(number, noun)
    assert text.startswith(f"{number} ")
    rest, word = number % 100, text.split(" ", 1)[1]
    if 3 <= rest <= 10:
        assert word == noun.plural
    elif rest >= 11:
        assert word == accusative(noun.singular)
    else:
        assert word == noun.singular


def test_one_and_two_are_words():
    assert counted(1, BOOK) == "كتاب واحد" and counted(1, APPLE) == "تفاحة واحدة"
    assert counted(2, BOOK) == "كتابين" and counted(2, APPLE) == "تفاحتين" == dual("تفاحة")
    assert how_many(BOOK) == "كم كتابًا" and how_many(APPLE) == "كم تفاحة"
    with pytest.raises(ValueError):
        counted(0, BOOK)


def test_gender_and_article():
    assert agree("[ولد|ولدت] في", "f") == "ولدت في" and agree("بحاجة <إليه|إليها>", "m", "f") == "بحاجة إليها"
    assert prefix_li("المتحف") == "للمتحف" and prefix_li("متحف") == "لمتحف"


def test_same_seed_same_bytes(training):
    assert list(world.corpus(500, 3)) == list(world.corpus(500, 3)) != list(world.corpus(500, 4))
    digest = hashlib.sha256("\x00".join(training).encode()).hexdigest()
    note = json.loads((tasks.settings.data("pocket", "world", "sha256.json")).read_text())
    assert digest == note[str(TRAINING)], "the corpus changed: shipped weights no longer belong to it"


def test_relations_are_parallel_and_complete():
    for name, spec in table("relations").items():
        assert (len(spec["ar"]) == 5 and len(spec["ask_ar"]) >= 2) or name.endswith("belief")
        if "en" in spec:
            assert len(spec["en"]) == 5 and len(spec["ask_en"]) == len(spec["ask_ar"])
        for line in (*spec["ar"], *spec.get("en", [])):
            assert "{s}" in line and "{o}" in line
        for line in (*spec["ask_ar"], *spec.get("ask_en", [])):
            assert "{s}" in line and "{o}" not in line


def test_no_placeholder_or_agreement_mark_is_left(training):
    leftover = re.compile(r"[{}\[\]]|<(?!\|(user|assistant|end)\|>)|\bNone\b")
    assert not [text for text in training if leftover.search(text)]


def test_verbs_agree_with_women_and_men():
    for fact in facts():
        if fact.relation == "person.born":
            text = fact.text(table("relations")["person.born"]["ar"][0], "ar")
            assert text.startswith("ولدت " if fact.gender == "f" else "ولد ")


def test_numbers_in_arabic_problems_agree(training):
    nouns = {n.plural: n for n in map(Noun.parse, table("counting")["nouns"])}
    singulars = {accusative(n.singular): n for n in nouns.values()}
    seen = 0
    for text in training:
        for number, word in re.findall(r"(\d+) ([\u0621-\u064b]+)", text):
            rest = int(number) % 100
            if word in nouns or word in singulars:
                seen += 1
                assert word in (nouns if 3 <= rest <= 10 else singulars), f"{number} {word}"
    assert seen > 500


def test_facts_are_many_and_splits_disjoint():
    found = facts()
    assert len(found) >= 1000 and len({fact.id for fact in found}) == len(found)
    assert {fact.split for fact in found} == {"train", "distill", "dev", "test"}
    for fact in found:
        assert fact.value[1] in {value[1] for value in values(table("relations")[fact.relation]["values"])}


def prompts(texts: list[str]) -> set[str]:
    """Every line, without `Question:` and the like, and every run of opening sentences."""
    found: set[str] = set()
    for text in texts:
        for line in text.split("\n"):
            bare = re.sub(r"^(Question|سؤال): ", "", line.removesuffix("<|end|>"))
            sentences = bare.split(". ")
            found.update([bare, *(". ".join(sentences[:cut]) + "." for cut in range(1, len(sentences)))])
    return found


def test_training_states_test_facts_and_never_asks_them(training):
    seen = prompts(training)
    asked = {
        row["query"]
        for split in ("dev", "test")
        for task in (*tasks.ARABIC, *tasks.ENGLISH)
        for row in tasks.items(task, split)
    }
    assert len(asked) > 1500
    assert not asked & seen
    assert not asked & prompts(list(world.corpus(8000, review=True)))
    held = [fact for fact in facts() if fact.split in ("dev", "test", "distill")]
    for fact in held:
        for language in world.LANGUAGES:
            assert not set(world.questions(fact, language)) & seen
    text = "\n".join(training)
    stated = [fact for fact in held if fact.subject[0] in text or fact.subject[1] in text]
    assert len(stated) > 0.95 * len(held)


def test_combinations_are_split_by_hash():
    rng = random.Random(0)
    for kind in ("problem", "pronoun", "chain", "banking"):
        keys = {
            split: {getattr(passages, kind)(rng, split).key for _ in range(60)}
            for split in ("train", "distill", "dev", "test")
        }
        for one in keys:
            for two in keys:
                assert one == two or not keys[one] & keys[two]
    assert combination_split("problem", "a+b:3:4:0") == combination_split("problem", "a+b:3:4:0")


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["train", "test"]))
def test_problems_are_right(seed, split):
    item = passages.problem(random.Random(seed), split)
    steps, answer = item.answer[0].rsplit("\n#### ", 1)
    for step in steps.split("\n"):
        left, right = step.split(" = ")
        a, op, b = left.split(" ")
        assert {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[op] == int(right) >= 3
    assert steps.endswith(f"= {answer}")


def test_control_world_closes_the_designed_gap():
    main, control = world.exposure(10_000), world.exposure(10_000, equal_exposure=True)
    assert main["ar/rare"] < 0.3 * main["en/rare"] and main["ar/common"] == pytest.approx(main["en/common"], rel=0.02)
    assert control["ar/rare"] == pytest.approx(control["en/rare"], rel=0.02)
    assert control["ar/common"] == pytest.approx(control["en/common"], rel=0.02)


def test_documents_and_parallel():
    for language, script in (
        ("en", re.compile("[a-z]")),
        ("ar", re.compile("[\u0621-\u064a]")),
        ("gulf", re.compile("[\u0621-\u064a]")),
    ):
        train, test = world.documents("train", language), world.documents("test", language)
        assert sum(bool(script.search(text)) for text in test) > 0.9 * len(test) >= 270
        assert len(set(test) & set(train)) < 0.05 * len(test) or language == "gulf"
    assert world.documents("test", "ar") is world.documents("test", "ar")
    with pytest.raises(ValueError):
        world.documents("test", "fr")
    assert len(world.documents("unseen", "en")) == 400
    pairs = world.parallel("test")
    assert len(pairs) == 500 and pairs == world.parallel.__wrapped__("test")
    assert all(re.search("[A-Za-z]", en) and re.search("[\u0621-\u064a]", ar) for en, ar in pairs)


def test_subjects_are_unique():
    for kind in ("person", "event", "company", "bank", "town", "mineral", "herb", "animal", "country", "noun"):
        for side in (0, 1):
            names = [entry[side] for entry in subjects(kind)]
            assert len(names) == len(set(names)), kind

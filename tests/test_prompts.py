"""Prompts of the pocket and the full tier: what is in them, and that the splits share nothing."""

from collections import Counter
from itertools import combinations

import datasets
import pytest

from llmini.pocket import facts as world
from llmini.pocket.tasks import ARABIC, ENGLISH, items
from llmini.settings import UserError
from llmini.train import prompts as p
from llmini.train.contamination import words


@pytest.fixture(scope="module")
def splits():
    return {split: p.pocket(split) for split in p.SPLITS}


def asked(prompt):
    """What a prompt asks about: a fact, or the combination of a generated question."""
    return prompt.id.split("/", 3)[3].rsplit("/", 1)[0]


def test_each_training_split_has_4000_prompts_half_of_them_arabic(splits):
    for split in ("gold", "distill"):
        prompts = splits[split]
        assert Counter(prompt.language for prompt in prompts) == {"en": 2000, "ar": 2000}
        assert all(prompt.language == ("en", "ar")[i % 2] for i, prompt in enumerate(prompts))
        plain = [prompt for prompt in prompts if prompt.source != "translation"]
        assert all(p.language_of(prompt.prompt) == prompt.language for prompt in plain)
        assert len({prompt.id for prompt in prompts}) == 4000
    for language in p.LANGUAGES:  # the two are alike, but for what the world has too little of
        gold, distill = (Counter(prompt.source for prompt in splits[split] if prompt.language == language)
                         for split in ("gold", "distill"))  # fmt: skip
        assert set(gold) == set(distill) == {*p.QUOTAS[language], "banking"}
        assert all(abs(gold[kind] - distill[kind]) <= 75 for kind in gold)


def test_splits_are_disjoint(splits):
    keys = {split: {tuple(words(prompt.prompt)) for prompt in prompts} for split, prompts in splits.items()}
    assert all(len(keys[split]) == len(splits[split]) for split in splits)
    for one, two in combinations(p.SPLITS, 2):
        assert not keys[one] & keys[two]


@pytest.mark.parametrize("seed", [0, 1])
def test_no_training_prompt_holds_an_evaluation_question(splits, seed):
    prompts = [prompt for split in ("gold", "distill")
               for prompt in (splits[split] if seed == 0 else p.pocket(split, seed=seed))]  # fmt: skip
    report = p.contamination(prompts, p.evaluation_texts("pocket"), p.NGRAM["pocket"])
    assert report.prompts == 8000 and report.n is None
    planted = p.Prompt("planted", "en", "fact", f"Please say: {splits['evaluation'][0].prompt}")
    with pytest.raises(UserError, match="planted overlaps the evaluation set arc"):
        p.contamination([*prompts, planted], p.evaluation_texts("pocket"), p.NGRAM["pocket"])


def test_nothing_is_asked_in_two_splits_in_whatever_words(splits):
    asks = {split: {asked(prompt) for prompt in splits[split] if prompt.source in ("fact", "problem", "pronoun")}
            for split in ("gold", "distill")}  # fmt: skip
    asks["evaluation"] = {row["cluster"] for task in (*ARABIC, *ENGLISH) for part in ("test", "dev")
                          for row in items(task, part)}  # fmt: skip
    for one, two in combinations(asks, 2):
        assert not asks[one] & asks[two]


def test_references_are_right_and_tell_of_training_facts_alone(splits):
    from llmini.pocket.world import templates

    known = {fact.id: fact for fact in world.facts()}
    said = {fact.text(wording, language): fact for fact in known.values() for language in p.LANGUAGES
            for wording in templates(fact, language)}  # fmt: skip
    for prompt in splits["gold"]:
        side = p.LANGUAGES.index(prompt.language)
        if prompt.source == "fact":
            assert known[asked(prompt)].split == "train" and prompt.reference == known[asked(prompt)].value[side]
        if prompt.source == "problem":
            step = prompt.reference.splitlines()[-2]
            left, _, right = step.partition(" = ")
            assert str(eval(left)) == right == prompt.reference.rsplit("#### ", 1)[1]
        if prompt.source == "translation":
            text = prompt.prompt.split(": ", 1)[1]
            assert said[text] is said[prompt.reference] and said[text].split == "train"
        if prompt.source == "banking":
            assert prompt.reference in ("yes", "no", "نعم", "لا")
        if prompt.source == "subject":
            parts = [f"{part}." for part in prompt.reference.removesuffix(".").split(". ")]
            assert len(set(parts)) in (2, 3) and all(said[part].split == "train" for part in parts)
            assert all(said[part].subject[side] in prompt.prompt for part in parts)
    assert all(prompt.reference is None for prompt in splits["distill"])


def test_subjects_are_told_about_in_one_split(splits):
    from llmini.pocket.instruct import TELL, told

    for split, trained in (("gold", True), ("distill", False)):
        subjects = [prompt for prompt in splits[split] if prompt.source == "subject"]
        assert len(subjects) > 400
        for prompt in subjects:
            name = asked(prompt).split("/", 1)[1]
            assert told(name) == trained
            assert prompt.prompt.startswith(TELL[p.LANGUAGES.index(prompt.language)].split("{")[0])


def test_evaluation_prompts_are_the_items(splits):
    assert len(splits["evaluation"]) == 150 * (len(ARABIC) + len(ENGLISH))
    by_id = {prompt.id: prompt for prompt in splits["evaluation"]}
    row = items("mmlu", "test")[3]
    prompt = by_id[f"evaluation/{row['id']}"]
    assert (prompt.prompt, prompt.reference, prompt.language) == (row["query"], row["choices"][row["gold"]], "en")


def test_the_same_seed_gives_the_same_prompts():
    assert p.pocket("distill", 50, seed=3) == p.pocket("distill", seed=3)[:50]
    assert p.pocket("distill", 50, seed=3) != p.pocket("distill", 50, seed=4)
    assert p.load("pocket", "evaluation") == p.load("rehearsal", "evaluation")
    for bad in (0, 4001):
        with pytest.raises(UserError, match=f"has 4000 prompts, not {bad}"):
            p.pocket("gold", bad)
    with pytest.raises(UserError, match="unknown split 'dev'"):
        p.load("pocket", "dev")
    with pytest.raises(UserError, match="unknown split 'dev'"):
        p.load("full", "dev")


# --- the full tier, over rows in the shape of the hub's -------------------------------------------------------------
WORDS = {"en": "the ship brings many people and old letters from a far city to our quiet harbour every morning",
         "ar": "السفينة تحمل الناس والرسائل القديمة من مدينة بعيدة إلى الميناء الهادئ في كل صباح جميل"}  # fmt: skip


def sentence(language, number, length=9):
    import random

    return " ".join(random.Random(f"{language}{number}").choices(WORDS[language].split(), k=length)) + "."


BAD_PAIRS = {
    "length": [{"en": "Too short.", "ar": "قصيرة جدا."}],
    "ratio": [{"en": sentence("en", -1, 20), "ar": sentence("ar", -1, 6)}],
    "script": [{"en": sentence("en", -2), "ar": sentence("en", -3)},
               {"en": sentence("ar", -4), "ar": sentence("ar", -5)}],
    "markup": [{"en": "♪ " + sentence("en", -6), "ar": sentence("ar", -6)},
               {"en": sentence("en", -7)[:-1], "ar": sentence("ar", -7)}],
}  # fmt: skip
BAD_INSTRUCTIONS = {
    "length": [{"instruction": "Write.", "input": "", "output": "Yes."}],
    "script": [{"instruction": "Translate this word please", "input": "", "output": "كلمة"}],
    "markup": [{"instruction": "Summarise this page please", "input": "see https://example.org", "output": "A page."}],
}


@pytest.fixture
def hub(monkeypatch):
    """Small data sets in the place of opus-100 and alpaca, with rows that each filter turns away."""
    from llmini.train import sources

    pairs = [{"en": sentence("en", i), "ar": sentence("ar", i)} for i in range(60)]
    pairs += [pair for part in BAD_PAIRS.values() for pair in part]
    orders = [{"instruction": f"Describe the {sentence('en', i)}", "input": "" if i % 2 else f"Case {i}",
               "output": sentence("en", i + 500)} for i in range(50)]  # fmt: skip
    orders += [order for part in BAD_INSTRUCTIONS.values() for order in part] + [orders[0]]
    found = {"Helsinki-NLP/opus-100": datasets.Dataset.from_list([{"translation": pair} for pair in pairs]),
             "tatsu-lab/alpaca": datasets.Dataset.from_list(orders)}  # fmt: skip
    monkeypatch.setattr("llmini.texts.hub_rows", lambda repository, **_: found[repository])
    monkeypatch.setattr(sources, "COUNTS", {"opus-100": 30, "alpaca": 25, "banking": 400})
    return found


def test_full_counts_are_the_published_ones():
    import csv

    from llmini.settings import data
    from llmini.train import sources

    with data("reported", "table_04_kd_corpus.csv").open(encoding="utf8") as file:
        rows = {row["source"].split()[0].rsplit("/", 1)[-1]: int(row["size"]) for row in csv.DictReader(file)}
    assert {"opus-100": rows["opus-100"], "alpaca": rows["alpaca"], "banking": rows["GCC"]} == sources.COUNTS
    assert sum(sources.COUNTS.values()) == rows["Total"]


def test_full_splits_are_disjoint_and_filtered(hub):
    from llmini.train import sources

    gold, distill = p.full("gold", evaluation={}), p.full("distill", evaluation={})
    assert p.full("distill", evaluation={}) == distill and p.full("distill", seed=1, evaluation={}) != distill
    for prompts in (gold, distill):
        assert Counter(prompt.source for prompt in prompts) == sources.COUNTS
        assert len({prompt.id for prompt in prompts}) == len(prompts)
    keys = [{tuple(words(prompt.prompt)) for prompt in prompts} for prompts in (gold, distill)]
    assert len(keys[0]) == len(keys[1]) == 455 and not keys[0] & keys[1]
    assert all(prompt.reference is None for prompt in distill) and all(prompt.reference for prompt in gold)
    pairs = {(row["translation"]["en"], row["translation"]["ar"]) for row in hub["Helsinki-NLP/opus-100"]}
    pairs |= {pair[::-1] for pair in pairs}
    for prompt in (prompt for prompt in gold if prompt.source == "opus-100"):
        text = next(text for text, other in pairs if prompt.prompt.endswith(text) and other == prompt.reference)
        assert prompt.language == "ar" and p.language_of(text) != p.language_of(prompt.reference)


def test_full_filters_are_recorded(hub):
    from llmini.train import sources

    _, record = sources.selection("gold")
    for source, bad in (("opus-100", BAD_PAIRS), ("alpaca", BAD_INSTRUCTIONS)):
        counts = record[source]
        assert set(sources.FILTERS[source]) < set(counts) and counts["kept"] == 2 * sources.COUNTS[source]
        assert counts["seen"] == counts["kept"] + sum(counts[name] for name in sources.FILTERS[source])
        assert all(counts[name] <= len(part) for name, part in bad.items())
        assert counts["rows"] == len(hub[sources.HUB[source][0]])


def test_each_filter_turns_away_what_it_says():
    from llmini.train import sources

    for name, pairs in BAD_PAIRS.items():
        assert all(sources.translation({"translation": pair}, 0)[3] == name for pair in pairs)
    for name, orders in BAD_INSTRUCTIONS.items():
        assert all(sources.instruction(order, 0)[3] == name for order in orders)


def test_full_passes_over_what_overlaps_an_evaluation(hub, monkeypatch):
    plain = p.full("distill", evaluation={})
    chosen = [prompt for prompt in plain if prompt.source != "banking"][:3] + [
        prompt for prompt in plain if prompt.source == "banking"][:3]  # fmt: skip
    evaluation = {"exam": [prompt.prompt for prompt in chosen]}
    with pytest.raises(UserError, match="overlaps the evaluation set exam"):
        p.contamination(plain, evaluation)
    monkeypatch.setattr(p, "evaluation_texts", lambda tier: evaluation)
    clean = p.load("full", "distill")
    assert len(clean) == len(plain) and p.contamination(clean, evaluation).prompts == len(plain)


def test_a_hub_that_gives_too_little_is_a_clear_fault(hub, monkeypatch):
    from llmini.train import sources

    monkeypatch.setitem(sources.COUNTS, "alpaca", 50)
    with pytest.raises(UserError, match="alpaca has 50 rows that pass the filters, 100 are needed"):
        p.full("gold", evaluation={})


def test_teacher_and_student_read_the_same_prompt(splits):
    """The student's template is written without an order of strings, which browsers lack; it renders what the
    teacher's does."""
    from llmini import models, settings

    student, teacher = (models.load_tokenizer(settings.data("pocket", "models", name))
                        for name in ("qwen2_5_7b_instruct", "qwen2_5_32b_instruct"))  # fmt: skip
    assert ">=" not in student.chat_template
    texts = {prompt.prompt for prompts in splits.values() for prompt in prompts}
    for text in [*sorted(texts)[::7], "", "2 + 2", "«نعم»", "نعم", "Ship"]:
        turns = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
        both = [one.apply_chat_template(turns, tokenize=False) for one in (student, teacher)]
        assert both[0] == both[1], text

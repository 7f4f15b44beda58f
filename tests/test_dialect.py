"""Dialect: the scoring rules against formulas, the questions' form and balance, and the tasks through lm-eval."""

from __future__ import annotations

import json
import random
import re
from collections import Counter

import numpy
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from lm_eval.api.model import LM

from llmini.measure import dialect, tasks
from llmini.measure import dialect_scores as rules
from llmini.measure.full_tasks import DIALECTS
from llmini.pocket import dialect_tasks
from llmini.settings import UserError, data
from llmini.texts import normalise_arabic

FOLDER = data("dialect")
ARABIC, LATIN = re.compile(r"[\u0620-\u06ff]"), re.compile(r"[A-Za-z]")
POCKET = ("فصحى", "خليجية", "بحرينية")
DIALECTAL = set(re.findall(r"\w+", "وايد شنهو شلون الحين مب باچر وين ليش اللي ويا حق بس عشان زين مو أبغي"))
arabic_words = st.text("ابتثجحخدذرزسشصضطظعغفقكلمنهويةىئءچگپ", min_size=1, max_size=6)
sentences = st.lists(arabic_words, min_size=1, max_size=8).map(" ".join)


def read(name):
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf8").splitlines()]


SENTENCES, VARIETIES, CULTURE = read("sentences.jsonl"), read("varieties.jsonl"), read("culture.jsonl")


# ---- rules


@pytest.mark.parametrize("answer, label", [
    ("البحرينية", "البحرينية"), ("بحرينية", "البحرينية"), (" بَحرينيّة. ", "البحرينية"), ("البحـــرينية", "البحرينية"),
    ("اللهجة البحرينية", "البحرينية"), ("هذه الجملة باللهجة البحرينية.", "البحرينية"), ("الجواب: مصرية", "المصرية"),
    ("العربية الفصحى", "الفصحى"), ("**الشامية**", "الشامية"),
    ("ليست بحرينية", None), ("البحرينية أو المصرية", None), ("بحرينية لأن فيها كلمة وايد", None), ("الفصحي", None),
    ("بحريني", None), ("العربية", None), ("", None), ("!", None), ("غير بحرينية", None), ("الالبحرينية", None),
])  # fmt: skip
def test_a_label_is_exact(answer, label):
    assert rules.label(answer, DIALECTS) == label


@trials(deadline=None)  # a busy machine is no fault
@given(st.sampled_from(POCKET), sentences, st.booleans())
def test_a_label_inside_a_sentence_is_no_answer(name, words, before):
    said = f"{words} {name}" if before else f"{name} {words}"
    leading = before and all(word in rules.LEADING for word in rules.words(words))
    assert rules.label(said, POCKET) == (name if leading else None)


def test_one_line_is_scored():
    assert rules.line("\n  \n بحرينية \nلأنها كذا") == "بحرينية" and rules.line(" \n") == ""
    assert dialect.identified({"target": "بحرينية"}, ["بحرينية\nفصحى"]) == {"acc": 1, "script_failures": 0}


def test_exact_counts_words_alone():
    assert rules.exact("ذهبتُ إلى السوقِ", "ذهبت إلى السوق.") and rules.exact("٣ كتب", "3 كتب")
    assert not rules.exact("ذهبت الى السوق", "ذهبت إلى السوق") and not rules.exact("مدرسه", "مدرسة")
    assert not rules.exact("السوق إلى ذهبت", "ذهبت إلى السوق") and not rules.exact("", "ذهبت")


def grams(text, n):
    text = text.replace(" ", "")
    return Counter(text[i : i + n] for i in range(len(text) - n + 1))


def counts(answer, reference):
    """(6, 3): n-grams of the answer, of the reference, and shared."""
    rows = []
    for n in range(1, 7):
        ours, theirs = grams(answer, n), grams(reference, n)
        rows.append((sum(ours.values()) if theirs else 0, sum(theirs.values()), sum((ours & theirs).values())))
    return numpy.array(rows, dtype=float)


def f_score(rows):
    """Popović (2015): mean precision and recall over the orders that both texts have, F with beta 2."""
    used = rows[(rows[:, 0] > 0) & (rows[:, 1] > 0)]
    if not len(used) or not used[:, 2].sum():
        return 0.0
    precision, recall = (used[:, 2] / used[:, 0]).mean(), (used[:, 2] / used[:, 1]).mean()
    return 100 * 5 * precision * recall / (4 * precision + recall)


@trials(deadline=None)
@given(st.lists(st.tuples(st.one_of(sentences, st.just("")), sentences), min_size=1, max_size=5))
def test_chrf_is_the_formula(pairs):
    answers, references = zip(*pairs, strict=True)
    found = rules.chrf(answers, references)
    each = [counts(*pair) for pair in pairs]
    assert found.sentences == pytest.approx([f_score(rows) for rows in each])
    assert found.value == pytest.approx(f_score(sum(each)))
    assert re.fullmatch(r"nrefs:1\|case:mixed\|eff:yes\|nc:6\|nw:0\|space:no\|version:[\d.]+", found.signature)


def test_chrf_knows_the_ends():
    text = [row["target"] for row in SENTENCES[:20]]
    assert rules.chrf(text, text).value == pytest.approx(100) and rules.chrf(text, text).stderr == pytest.approx(0)
    assert rules.chrf(["abc"], ["ذهبت"]).value == 0
    assert rules.chrf(["ذَهَبْتُ"], ["ذهبت"]).value == pytest.approx(100)
    with pytest.raises(UserError, match="2 answers, 1 references"):
        rules.chrf(["a", "b"], ["a"])
    with pytest.raises(UserError, match="0 answers"):
        rules.chrf([], [])


def test_chrf_error_is_the_spread_of_resampled_corpora():
    answers, references = [row["text"] for row in SENTENCES[:12]], [row["target"] for row in SENTENCES[:12]]
    pairs = zip(map(normalise_arabic, answers), map(normalise_arabic, references), strict=True)
    each = numpy.array([counts(*pair) for pair in pairs])
    draws = numpy.random.default_rng(3).multinomial(12, [1 / 12] * 12, size=50)
    expected = numpy.std([f_score((draw[:, None, None] * each).sum(0)) for draw in draws], ddof=1)
    assert rules.chrf(answers, references, seed=3, draws=50).stderr == pytest.approx(expected)
    assert rules.chrf(answers, references) == rules.chrf(answers, references)


@pytest.mark.parametrize("text, fails", [
    ("أبغي أروح السوق", False), ("meeting باچر", False), ("پدر و مادر، گلاب ژاله ڤيتامين", False), ("ٹھیک ہے", False),
    ("١٢٣ ۴۵ 12 ½ ² %", False), ("", False), ("😀 → «؟» … ― ٪", False), ("café naïve ş", False), ("ﻣﺮﺣﺒﺎ ﷺ", False),
    ("ＡＢ", False), ("Qurʼan", False), ("ــــ", False),
    ("今天", True), ("السوق 今", True), ("привет", True), ("α", True), ("שלום", True), ("नमस्ते", True), ("한국", True),
    ("カ", True), ("ไทย", True), ("ܫܠܡܐ", True), ("ⵣ", True),
])  # fmt: skip
def test_scripts(text, fails):
    assert rules.script_failure(text) == fails


@trials(deadline=None)
@given(sentences, st.sampled_from("жΩシ中가हກאአԱ"), st.integers(0, 50))
def test_one_foreign_letter_fails(text, letter, place):
    text += " and 12, ok؟"
    assert not rules.script_failure(text)
    assert rules.script_failure(text[:place] + letter + text[place:])


@pytest.mark.parametrize("answer, passes", [
    ("عندي meeting باچر العصر", True), ("عندي meeting باچر", True), ("عندي اجتماع tomorrow", True),
    ("عندي اجتماع باچر العصر", False), ("I have a meeting tomorrow", False), ("", False), ("OK", False),
    ("عندي meeting tomorrow afternoon", False), ("عندي عندي meeting", False), ("عندي اجتماع باچر 8 x", False),
    ("عندي meeting باچر 今天", False), ("عندي اِجتماع باچر pm", True),
])  # fmt: skip
def test_code_switching(answer, passes):
    assert rules.switched("عندي اجتماع باچر العصر.", answer) == passes


@trials(deadline=None)
@given(sentences)
def test_a_sentence_is_no_switch_of_itself_and_english_beside_it_is(text):
    assert not rules.switched(text, text)
    assert rules.switched(text, f"{text} okay")


# ---- questions of the full tier


def key(text):
    return " ".join(rules.words(normalise_arabic(text, letters=True)))


def clean(text, latin=False):
    assert text and text == " ".join(text.split())
    assert not re.search(r"[٠-٩۰-۹\u0640\u200e\u200f]", text), text
    if latin:
        assert not ARABIC.search(text), text
    else:
        assert ARABIC.search(text) and not LATIN.search(text) and not re.search(r"[?;]|\w,", text), text


def test_sentences():
    assert len(SENTENCES) >= 150
    for row in SENTENCES:
        assert list(row) == ["id", "topic", "text", "target", "english"] and row["id"].startswith(row["topic"] + "-")
        clean(row["text"]), clean(row["target"]), clean(row["english"], latin=True)
        assert row["english"][-1] in ".?!" and row["text"][-1] in ".؟!" and row["target"][-1] in ".؟!"
        # standard Arabic has neither these letters nor these words
        assert not re.search("[چگپڤ]", row["target"]), row["id"]
        assert not DIALECTAL & set(rules.words(row["target"])), row["id"]
        assert row["text"].count("؟") == row["target"].count("؟") == row["english"].count("?"), row["id"]
    for field in ("id", "text", "target", "english"):
        assert len({key(row[field]) if field != "id" else row["id"] for row in SENTENCES}) == len(SENTENCES), field
    # a dialect is not standard Arabic with a few words exchanged: most words differ
    shared = [len(set(rules.words(row["text"])) & set(rules.words(row["target"]))) / len(set(rules.words(row["text"])))
              for row in SENTENCES]  # fmt: skip
    assert max(shared) < 1 and numpy.mean(shared) < 0.5


def test_varieties_say_the_same_things_differently():
    assert len(VARIETIES) >= 150
    meanings = {}
    for row in VARIETIES:
        assert list(row) == ["id", "cluster", "variety", "text", "target", "english"]
        clean(row["text"]), clean(row["english"], latin=True)
        meanings.setdefault(row["cluster"], []).append(row)
    for rows in meanings.values():
        assert [row["target"] for row in rows] == list(DIALECTS)
        assert len({key(row["text"]) for row in rows}) == 5 and len({row["english"] for row in rows}) == 1
        assert len({"؟" in row["text"] for row in rows if row["cluster"] != "meaning-14"}) <= 1  # a polite request
    assert len({key(row["text"]) for row in VARIETIES}) == len(VARIETIES)
    assert set(Counter(row["variety"] for row in VARIETIES).values()) == {len(meanings)}


def longest_rate(rows):
    hits = 0
    for row in rows:
        lengths = [len(option) for option in row["options"]]
        hits += (lengths[row["answer"]] == max(lengths)) / lengths.count(max(lengths))
    return hits / len(rows)


def test_culture():
    assert len(CULTURE) >= 100
    for row in CULTURE:
        assert list(row) == ["id", "topic", "wording", "question", "options", "answer", "note"]
        clean(row["question"])
        for option in row["options"]:
            assert option == " ".join(option.split()) and not LATIN.search(option) and ARABIC.search(option), row["id"]
        assert len({key(option) for option in row["options"]}) == 4 and type(row["answer"]) is int, row["id"]
        assert key(row["options"][row["answer"]]) not in key(row["question"]), row["id"]
        assert row["question"].endswith("؟") and re.search(r"[.]$", row["note"]) and not ARABIC.search(row["note"])
        assert 20 <= len(row["note"]) <= 160
    for field in ("id", "question", "note"):
        assert len({row[field] for row in CULTURE}) == len(CULTURE), field
    places = Counter(row["answer"] for row in CULTURE)
    assert set(places) == set(range(4)) and max(places.values()) - min(places.values()) <= 1
    assert longest_rate(CULTURE) <= 0.28
    assert Counter(row["wording"] for row in CULTURE)["bahraini"] >= 20


def test_readme_states_counts_and_licence():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in text
    for name, rows in (("sentences", SENTENCES), ("varieties", VARIETIES), ("culture", CULTURE)):
        assert f"| `{name}.jsonl` | {len(rows)} |" in text
    for topic, count in Counter(row["topic"] for row in CULTURE).items():
        assert f"| `{topic}` | {count} |" in text
    wordings = Counter(row["wording"] for row in CULTURE)
    assert f"{wordings['msa']} worded in standard Arabic and {wordings['bahraini']} in Bahraini" in text
    assert f"scores\n{longest_rate(CULTURE):.0%}" in text and "answer 32 times" in text


# ---- through lm-eval


class Given(LM):
    """An lm-eval model that answers what ``answer(doc)`` says, and finds right options likeliest."""

    tokenizer_name = "given"

    def __init__(self, answer):
        super().__init__()
        self.answer, self.prompts = answer, []

    def generate_until(self, requests, disable_tqdm=False):
        self.prompts += [request.args[0] for request in requests]
        return [self.answer(request.doc) for request in requests]

    def loglikelihood(self, requests, disable_tqdm=False):
        self.prompts += [request.args[0] for request in requests]
        gold = [request.doc.get("gold", request.doc.get("answer")) for request in requests]
        return [(-float(request.idx != right), False) for request, right in zip(requests, gold, strict=True)]

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise NotImplementedError

    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        return f"<user>{chat_history[-1]['content']}<assistant>"


def values(scores):
    return {(row["task"], row["metric"]): row["value"] for row in scores.rows}


def test_right_answers_score_one_in_the_full_tier():
    lm = Given(lambda doc: doc["target"] if "variety" in doc else doc["text"] + " okay\n")
    scores = dialect.score(lm, "full", limit=20, chat=True)
    found = values(scores)
    assert found.pop(("normalize", "exact_match")) == 0 and 20 < found.pop(("normalize", "chrf")) < 90
    assert found == {("dialect_id", "acc"): 1, ("code_switch", "acc"): 1, ("culture", "acc"): 1,
                     ("dialect_id", "script_failures"): 0, ("normalize", "script_failures"): 0,
                     ("code_switch", "script_failures"): 0}  # fmt: skip
    assert {row["benchmark"] for row in scores.rows} == {"dialect"} == set(scores.items["benchmark"])
    assert {row["language"] for row in scores.rows} == {"gulf"} and {row["n"] for row in scores.rows} == {20}
    assert all(re.fullmatch(r"(?s)<user>.*<assistant>", prompt) for prompt in lm.prompts)
    assert scores.items.groupby("task")["correct"].mean().to_dict() == {
        "dialect_id": 1, "code_switch": 1, "culture": 1, "normalize": 0}  # fmt: skip
    assert set(scores.items[scores.items["task"] == "dialect_id"]["cluster"]) == {f"meaning-0{i}" for i in range(1, 5)}
    assert scores.details["chrf_signature"].startswith("nrefs:1|case:mixed|eff:yes|nc:6")


def test_wrong_answers_and_foreign_scripts_are_counted():
    def answer(doc):
        if "variety" in doc:  # right, right but in two scripts, right inside a sentence, another label
            return {"bahraini": "اللهجة البحرينية", "egyptian": "المصرية\n埃及", "levantine": "ربما الشامية",
                    "moroccan": "المصرية", "msa": "الفصحى."}[doc["variety"]]  # fmt: skip
        return doc["target"]

    scores = dialect.score(Given(answer), "full", limit=20)
    found = values(scores)
    assert found["dialect_id", "acc"] == pytest.approx(2 / 5) and found["dialect_id", "script_failures"] == 1 / 5
    assert found["normalize", "exact_match"] == 1 and found["normalize", "chrf"] == pytest.approx(100)
    assert found["code_switch", "acc"] == 0  # standard Arabic without a Latin word
    row = next(row for row in scores.rows if (row["task"], row["metric"]) == ("dialect_id", "acc"))
    right = numpy.array([1, 0, 0, 0, 1] * 4)
    assert row["stderr"] == pytest.approx(right.std(ddof=1) / 20**0.5)
    assert list(scores.details["answers"].columns) == ["task", "item_id", "answer", "target"]
    assert len(scores.details["answers"]) == 60


def test_the_harness_finds_the_same_chrf():
    from lm_eval import evaluator

    lm = Given(lambda doc: "\nذهبتُ إلى " + doc["text"] + "\nثم شيء آخر")
    _, loaded = tasks.load("dialect", "full", data("dialect"))
    result = evaluator.evaluate(lm, loaded, limit=10, bootstrap_iters=0)
    found = values(dialect.score(lm, "full", limit=10))
    theirs = result["results"]["dialect_normalize"]
    assert theirs["chrf,none"] == pytest.approx(found["normalize", "chrf"])
    for name in ("dialect_id", "code_switch"):
        assert result["results"][f"dialect_{name}"]["acc,none"] == found[name, "acc"]


def test_one_item_has_no_standard_error():
    scores = dialect.score(Given(lambda doc: doc["target"]), "full", limit=1)
    assert {row["stderr"] for row in scores.rows} == {None}


def test_unknown_tiers_and_splits():
    with pytest.raises(UserError, match="unknown tier 'huge'"):
        dialect.score(Given(str), "huge")
    with pytest.raises(UserError, match="unknown benchmark 'dialect_dev'"):
        dialect.score(Given(str), "full", split="dev")


# ---- the pocket tier


def rows_of(task, split="test"):
    folder = FOLDER / "tasks" / "pocket" / ("" if split == "test" else split)
    return [json.loads(line) for line in (folder / f"{task}.jsonl").read_text(encoding="utf8").splitlines()]


def test_pocket_files_are_what_the_generator_writes(tmp_path):
    folders = (dialect_tasks.write(tmp_path), FOLDER / "tasks" / "pocket")
    ours, theirs = ({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
                    for folder in folders)  # fmt: skip
    assert ours == theirs and len(ours) == 13 + 11


@pytest.mark.parametrize("split", dialect_tasks.SPLITS)
def test_pocket_items(split):
    for task in dialect_tasks.TASKS:
        if (task, split) == ("culture", "dev"):
            continue
        rows = rows_of(task, split)
        assert len(rows) == dialect_tasks.SPLITS[split] or (task == "culture" and len(rows) >= 80)
        assert len({row["id"] for row in rows}) == len({row["query"] for row in rows}) == len(rows), task
        for row in rows:
            assert ("language" in row) == (task in dialect.ARABIC) and not rules.script_failure(row["query"])
            if "choices" in row:
                assert len(set(row["choices"])) == 4 and 0 <= row["gold"] < 4, row["id"]
        if "choices" in rows[0]:
            places = Counter(row["gold"] for row in rows)
            assert set(places) == set(range(4)) and max(places.values()) - min(places.values()) <= 1, task
        if task in ("dialect_id", "normalize", "code_switch"):
            assert all(row["query"].endswith(row["text"]) for row in rows)
    labels = Counter(row["target"] for row in rows_of("dialect_id", split))
    assert labels == dict.fromkeys(POCKET, dialect_tasks.SPLITS[split] // 3)
    assert all(rules.switched(row["text"], row["target"]) for row in rows_of("code_switch", split))
    for task in ("normalize", "correction"):
        assert not any(rules.exact(row["text"], row["target"]) for row in rows_of(task, split))


def test_no_training_sentence_holds_an_item_of_the_evaluation():
    from llmini.pocket.dialects import customs, sentence, switched

    def combination(name):  # shape and what decides the split; a person may follow
        return tuple(name.split("/")[:2])

    rng = random.Random(0)
    trained = {combination(sentence(rng, "train").key) for _ in range(1500)}
    mixed = {switched(rng, "train")[0] for _ in range(500)}
    for split in dialect_tasks.SPLITS:
        for task in ("dialect_id", "normalize"):
            assert not trained & {combination(row["cluster"]) for row in rows_of(task, split)}
        assert not mixed & {row["cluster"] for row in rows_of("code_switch", split)}
    asked = {row["cluster"] for row in rows_of("culture")}
    assert asked == {custom.key for custom in customs() if custom.split == "test"}


def test_the_first_wording_is_the_evaluations():
    for ask, templates in ((dialect_tasks.ask_identify, dialect_tasks.IDENTIFY),
                           (dialect_tasks.ask_normalize, dialect_tasks.NORMALIZE),
                           (dialect_tasks.ask_switch, dialect_tasks.SWITCH),
                           (dialect_tasks.ask_culture, dialect_tasks.CULTURE)):  # fmt: skip
        assert ask("وين رايح؟") == templates[0].replace("{s}", "وين رايح؟")
        rng = random.Random(0)
        assert {ask("وين رايح؟", rng) for _ in range(50)} == {text.replace("{s}", "وين رايح؟") for text in templates}
        assert 2 <= len(set(templates)) <= 3
    with pytest.raises(UserError, match="no items 'culture' of split 'dev'"):
        dialect_tasks.items("culture", "dev")
    with pytest.raises(UserError, match="no items 'normalize' of split 'train'"):
        dialect_tasks.items("normalize", "train")


@pytest.mark.parametrize("split", dialect_tasks.SPLITS)
def test_right_answers_score_one_in_the_pocket_tier(split):
    lm = Given(lambda doc: f" {doc['target']}")
    scores = dialect.score(lm, limit=6, split=split, chat=True)
    found = values(scores)
    kept = [task for task in dialect_tasks.TASKS if (task, split) != ("culture", "dev")]
    for task in kept:
        metric = "exact_match" if task in dialect.SENTENCES else "acc"
        assert found[task, metric] == 1
        assert found.get((task, "chrf"), 100) == pytest.approx(100) and ((task, "chrf") in found) == (metric != "acc")
    assert list(dict.fromkeys(row["task"] for row in scores.rows)) == kept
    languages = {row["task"]: row["language"] for row in scores.rows}
    assert languages == {task: "ar" if task in ("morphology", "correction") else "gulf" for task in kept}
    assert scores.items.set_index("task")["language"].to_dict() == languages
    assert {row["benchmark"] for row in scores.rows} == {"pocket_dialect" if split == "test" else "pocket_dialect_dev"}
    assert all(re.fullmatch(r"(?s)سؤال: .*\nجواب:", prompt) for prompt in lm.prompts)


def test_the_pocket_student_is_scored():
    from llmini import models
    from llmini.measure.outcomes import COLUMNS

    model, tokenizer = models.load("qwen2_5_7b_instruct", "pocket")
    scores = dialect.evaluate(model, tokenizer, "pocket", limit=4)
    assert {row["n"] for row in scores.rows} == {4} and list(scores.items.columns) == COLUMNS
    assert len(scores.items) == 4 * len(dialect_tasks.TASKS) and not scores.items["gold_nll"].isna().all()
    for row in scores.rows:
        assert 0 <= row["value"] <= (100 if row["metric"] == "chrf" else 1)
    answers = scores.details["answers"]["answer"]
    assert answers.str.strip().astype(bool).any() and not answers.str.contains("\n").any()
    again = dialect.evaluate(model, tokenizer, "pocket", limit=4)
    assert again.rows == scores.rows and list(again.details["answers"]["answer"]) == list(answers)
    for task in dialect_tasks.TASKS:  # answers fit their room, questions the window
        for row in rows_of(task):
            assert len(tokenizer(row["query"])["input_ids"]) <= 150
            if "target" in row:
                assert len(tokenizer(" " + row["target"])["input_ids"]) < (8 if task == "dialect_id" else 40), row["id"]

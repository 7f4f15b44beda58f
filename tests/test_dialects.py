"""Three varieties of Arabic by rule: forms against a table written by hand, agreement, splits, facts, letters."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from llmini.pocket import dialects
from llmini.pocket.dialect_shapes import joined, owned, owner
from llmini.pocket.dialect_verbs import PERSONS, VARIETIES, Verb, conjugate
from llmini.pocket.dialect_words import actions, adjectives, auxiliary, nouns, phrases, states, table
from llmini.pocket.facts import combination_split
from llmini.settings import UserError

FORMS = """
write msa past: كتبت كتبت كتبت كتب كتبت كتبنا كتبتم كتبوا
write gulf past: كتبت كتبت كتبتي كتب كتبت كتبنا كتبتوا كتبوا
write bahraini past: كتبت كتبت كتبتين كتب كتبت كتبنا كتبتون كتبوا
write msa present: أكتب تكتب تكتبين يكتب تكتب نكتب تكتبون يكتبون
write gulf subjunctive: أكتب تكتب تكتبين يكتب تكتب نكتب تكتبون يكتبون
write msa subjunctive: أكتب تكتب تكتبي يكتب تكتب نكتب تكتبوا يكتبوا
write msa future: سأكتب ستكتب ستكتبين سيكتب ستكتب سنكتب ستكتبون سيكتبون
write gulf future: بكتب بتكتب بتكتبين بيكتب بتكتب بنكتب بتكتبون بيكتبون
buy msa past: اشتريت اشتريت اشتريت اشترى اشترت اشترينا اشتريتم اشتروا
buy gulf past: شريت شريت شريتي شرى شرت شرينا شريتوا شروا
buy bahraini past: اشتريت اشتريت اشتريتين اشترى اشترت اشترينا اشتريتون اشتروا
buy msa jussive: أشتر تشتر تشتري يشتر تشتر نشتر تشتروا يشتروا
buy msa present: أشتري تشتري تشترين يشتري تشتري نشتري تشترون يشترون
visit msa past: زرت زرت زرت زار زارت زرنا زرتم زاروا
visit msa jussive: أزر تزر تزوري يزر تزر نزر تزوروا يزوروا
visit msa subjunctive: أزور تزور تزوري يزور تزور نزور تزوروا يزوروا
go gulf past: رحت رحت رحتي راح راحت رحنا رحتوا راحوا
go bahraini future: بروح بتروح بتروحين بيروح بتروح بنروح بتروحون بيروحون
read msa past: قرأت قرأت قرأت قرأ قرأت قرأنا قرأتم قرؤوا
read msa present: أقرأ تقرأ تقرئين يقرأ تقرأ نقرأ تقرؤون يقرؤون
read gulf past: قريت قريت قريتي قرا قرت قرينا قريتوا قروا
read gulf present: أقرا تقرا تقرين يقرا تقرا نقرا تقرون يقرون
forget msa past: نسيت نسيت نسيت نسي نسيت نسينا نسيتم نسوا
forget msa jussive: أنس تنس تنسي ينس تنس ننس تنسوا ينسوا
forget gulf past: نسيت نسيت نسيتي نسى نست نسينا نسيتوا نسوا
eat msa present: آكل تأكل تأكلين يأكل تأكل نأكل تأكلون يأكلون
eat gulf present: آكل تاكل تاكلين ياكل تاكل ناكل تاكلون ياكلون
eat gulf future: باكل بتاكل بتاكلين بياكل بتاكل بناكل بتاكلون بياكلون
make msa past: أعددت أعددت أعددت أعد أعدت أعددنا أعددتم أعدوا
close gulf past: صكيت صكيت صكيتي صك صكت صكينا صكيتوا صكوا
throw bahraini past: فريت فريت فريتين فر فرت فرينا فريتون فروا
see msa past: رأيت رأيت رأيت رأى رأت رأينا رأيتم رأوا
see msa jussive: أر تر تري ير تر نر تروا يروا
take gulf past: خذيت خذيت خذيتي خذا خذت خذينا خذيتوا خذوا
sleep msa jussive: أنم تنم تنامي ينم تنم ننم تناموا يناموا
"""
PRONOUN = """
كتبوا+ها=كتبوها شريتوا+ها=شريتوها كتبتم+ها=كتبتموها اشترى+ه=اشتراه كتبتون+ه=كتبتونه كتبنا+ها=كتبناها
شفت+چ=شفتچ سألوا+ك=سألوك
"""
ARABIC = re.compile(r"[ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهويىًچگپڤ0-9 .،؟!:\-\n]+")


def many(split: str = "train", count: int = 1500, seed: int = 0) -> list[dialects.Sentence]:
    rng = random.Random(f"test/{seed}")
    return [dialects.sentence(rng, split) for _ in range(count)]


def verb(english: str, variety: str) -> Verb:
    return next(action.verbs[variety] for action in actions() if action.english[0] == english)


@pytest.mark.parametrize("line", FORMS.strip().splitlines())
def test_forms(line):
    name, right = line.split(": ")
    english, variety, tense = name.split()
    assert [conjugate(verb(english, variety), person, tense) for person in PERSONS] == right.split()


def test_imperatives():
    table = [
        ("visit", "msa", "زر زوري زوروا"),
        ("buy", "gulf", "اشتر اشتري اشتروا"),
        ("go", "bahraini", "روح روحي روحوا"),
    ]
    for english, variety, right in table:
        assert [conjugate(verb(english, variety), p, "imperative") for p in ("2m", "2f", "2p")] == right.split()
    with pytest.raises(ValueError, match="no imperative"):
        conjugate(verb("buy", "msa"), "3m", "imperative")
    with pytest.raises(ValueError, match="no form 4m past"):
        conjugate(verb("buy", "msa"), "4m", "past")


def test_auxiliaries_and_possession():
    assert [conjugate(auxiliary("want")[v], "2f", "present") for v in VARIETIES] == ["تريدين", "تبين", "تبغين"]
    assert [conjugate(auxiliary("be")[v], "1s", "past") for v in VARIETIES] == ["كنت", "كنت", "چنت"]
    assert [owned(v, "2f") for v in VARIETIES] == ["لديك", "عندچ", "عندچ"]
    assert [owner(v, "2f", "f") for v in VARIETIES] == ["لك", "حقچ", "مالتچ"]
    assert owner("bahraini", "1s", "m") == "مالي" and owned("msa", "1s") == "لدي"
    for case in PRONOUN.split():
        parts, right = case.split("=")
        assert joined(*parts.split("+")) == right


def test_sizes():
    assert len(actions()) >= 40 and len(nouns()) >= 60 and len(adjectives()) + len(states()) >= 25
    assert len(phrases("places")) >= 15 and sum(len(phrases(n)) for n in ("past", "future", "habit")) >= 15
    assert len({item.key.split("/")[0] for item in many()}) >= 14
    assert len({item.msa for item in many()}) > 1000
    topics = {form["topic"] for form in table("dialogues")["dialogues"]}
    assert len(topics) >= 10
    assert sum(len(words) for words in table("switched")["words"].values()) >= 40


def test_same_seed_same_text():
    code = (
        "import random; from llmini.pocket import dialects as d; r = random.Random(3); "
        "print([(d.sentence(r, 'test'), d.dialogue(r, 'dev', 'gulf'), d.switched(r, 'train')) for _ in range(5)])"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": str(n), "PYTHONUTF8": "1"},
        ).stdout
        for n in (1, 2)
    }
    assert len(runs) == 1


@trials(max_examples=40, deadline=None)
@given(st.integers(), st.sampled_from(("train", "dev", "test")))
def test_well_formed(seed, split):
    item = dialects.sentence(random.Random(seed), split)
    assert item == dialects.sentence(random.Random(seed), split)
    for text in (item.msa, item.gulf, item.bahraini):
        assert text.endswith((".", "؟")) and len(text.split()) <= 12
        assert ARABIC.fullmatch(text) and "  " not in text and unicodedata.is_normalized("NFC", text)
    assert item.english.isascii() and item.english[0].isupper() and "{" not in item.english


def test_no_item_in_two_splits():
    combos, texts = {}, {}
    for split, count in (("train", 4000), ("dev", 400), ("test", 800)):
        items = many(split, count)
        combos[split] = {item.key.split("/")[1] for item in items if item.key.split("/")[0] in ("past", "want", "who")}
        texts[split] = {text for item in items for text in (item.msa, item.gulf, item.bahraini, item.english)}
        rng = random.Random(split)
        for variety in VARIETIES:
            texts[split] |= {dialects.dialogue(rng, split, variety) for _ in range(200)}
        texts[split] |= {key for key, _, _ in (dialects.switched(rng, split) for _ in range(300))}
    for one, two in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not combos[one] & combos[two]
        assert not sorted(texts[one] & texts[two])
    assert all(combination_split("variety", "verb", combo) == "test" for combo in combos["test"])


def test_varieties_differ():
    items = many()
    assert sum(len({item.msa, item.gulf, item.bahraini}) == 3 for item in items) / len(items) >= 0.8


def test_word_order_and_agreement():
    """A standard verb before its plural subject is singular; the dialects put the subject first and agree."""
    items = [item for item in many(count=6000) if item.key.startswith("past/") and item.key.endswith("/the children")]
    assert items
    for item in items:
        assert item.msa.split()[1] == "الأطفال" and not item.msa.split()[0].endswith("وا")
        assert item.bahraini.split()[0] == "اليهال" and item.bahraini.split()[1].endswith("وا")


def test_adjectives_agree():
    """Every adjective after a noun has the gender of that noun in its own variety."""
    by_english = {noun.english: noun for noun in nouns()}
    words = {word.english: word for word in adjectives()}
    checked = 0
    for item in many(count=3000):
        shape, combination = item.key.split("/")[:2]
        if shape == "described":
            adjective, thing = combination.split(":")
            for variety in VARIETIES:
                right = words[adjective].form(variety, by_english[thing].gender(variety))
                assert re.search(rf"(?<!\S){re.escape(right)}(?!\w)", item.of(variety)), item
            demonstrative = "هذه" if by_english[thing].gender("msa") == "f" else "هذا"
            assert item.msa.startswith(demonstrative)
            checked += 1
    assert checked > 40


def test_dialogues():
    rng = random.Random(5)
    for variety in VARIETIES:
        for _ in range(150):
            text = dialects.dialogue(rng, "train", variety)
            turns = text.splitlines()
            assert 3 <= len(turns) <= 5 and all(turn.startswith("- ") for turn in turns)
            assert ARABIC.fullmatch(text) and unicodedata.is_normalized("NFC", text)
    for form in table("dialogues")["dialogues"]:
        # a slot that a variety leaves out would make texts of different splits alike
        for variety in VARIETIES:
            assert {name for turn in form[variety] for name in re.findall(r"{(\w+)}", turn)} == set(form["slots"]), form


def test_switched():
    rng, latin = random.Random(9), set()
    for _ in range(1500):
        _, plain, mixed = dialects.switched(rng, "train")
        found = re.findall(r"[A-Za-z]+", mixed)
        assert found and ARABIC.fullmatch(plain) and ARABIC.fullmatch(re.sub("[A-Za-z]", "", mixed))
        assert not re.search(r"\d", mixed)
        latin |= set(found)
    assert len(latin) >= 40


def test_customs():
    items = dialects.customs()
    assert len(items) >= 100 and len({item.key for item in items}) == len(items)
    tested = sum(item.split == "test" for item in items)
    assert 0.4 < tested / len(items) < 0.6 and {item.split for item in items} == {"train", "test"}
    for item in items:
        assert set(item.statement) == set(VARIETIES) and set(item.question) == {"msa", "bahraini"}
        assert len({item.answer, *item.options}) == 4, item.key
        assert len(set(item.statement.values())) == 3, item.key
        assert all(item.answer in text and text.endswith(".") for text in item.statement.values()), item.key
        for text in item.question.values():
            asked = re.findall(r"\w+", text)
            assert text.endswith("؟") and not {item.answer, *item.options} & set(asked), item.key
        for text in (*item.statement.values(), *item.question.values(), item.answer, *item.options):
            assert ARABIC.fullmatch(text) and unicodedata.is_normalized("NFC", text) and len(text.split()) <= 12, text


def test_faults_are_said():
    with pytest.raises(UserError, match="unknown split 'all'"):
        dialects.sentence(random.Random(0), "all")
    with pytest.raises(UserError, match="unknown variety 'egyptian'"):
        dialects.dialogue(random.Random(0), "train", "egyptian")
    with pytest.raises(UserError, match="unknown variety"):
        many(count=1)[0].of("english")

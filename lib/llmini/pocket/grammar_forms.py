"""Forms of words as questions: the form asked for, wrong ones that learners write, and lines that state it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from llmini.pocket import facts
from llmini.pocket import grammar_choices as choose
from llmini.pocket.grammar_tables import PERSONS, Noun, accusative, adjectives, females, nouns, verbs

PRONOUNS = dict(zip(PERSONS, ("أنا", "نحن", "أنت", "أنتِ", "أنتم", "هو", "هي", "هما للمذكر", "هما للمؤنث", "هم", "هن"),
                    strict=True))  # fmt: skip
TENSES = {"past": "الماضي", "present": "المضارع", "future": "المستقبل"}
UNITS = {3: "ثلاثة", 4: "أربعة", 5: "خمسة", 6: "ستة", 7: "سبعة", 8: "ثمانية", 9: "تسعة", 10: "عشرة"}
_BROKEN = re.compile(r"(.)\1|[أاإ][أاإ]")
"""Letters that a pattern puts side by side and no word holds."""
WEIGHTS = {"plural": 2, "dual": 2, "feminine": 1, "conjugation": 5, "negation": 2, "masdar": 1, "participle": 1,
           "root": 2, "comparative": 1, "count": 3, "phrase": 3}  # fmt: skip
"""How often each kind of form is drawn."""


@dataclass(frozen=True)
class Form:
    """A form of a word: questions for it, the answer, wrong answers, and lines of plain text that hold it."""

    kind: str
    key: str
    prompts: tuple[str, ...]
    answer: str
    wrong: tuple[str, ...]
    lines: tuple[str, ...]


def form(rng: random.Random) -> Form:
    """A form of a kind drawn by :data:`WEIGHTS`."""
    return MAKERS[rng.choices(list(WEIGHTS), weights=list(WEIGHTS.values()))[0]](rng)


@cache
def _asked_elsewhere() -> frozenset[str]:
    """Nouns whose plural a pocket benchmark asks for, or the distillation: no exercise may teach the answer."""
    return frozenset(
        fact.subject[1] for fact in facts.facts() if fact.relation == "noun.plural" and fact.split != "train"
    )


def plural(rng: random.Random) -> Form:
    """The plural of a noun; wrong: sound plurals that it has not, its dual."""
    noun = rng.choice([noun for noun in (*nouns(), *females()) if noun.word not in _asked_elsewhere()])
    stem = noun.word.removesuffix("ة").replace("ى", "ي")
    wrong = [stem + "ات", stem + "ون", noun.dual(), noun.word + "ات", stem + "ين", stem + "وا"]
    wrong = [word for word in wrong if word != noun.many(oblique=True)]
    prompts = (f"هات جمع {noun.word}.", f"{noun.word} مفرد، فما الجمع؟")
    one = "للواحد" if noun.gender == "m" else "للواحدة"
    lines = (f"جمع {noun.word}: {noun.plural}.", f"نقول {noun.word} {one} و{noun.plural} للجمع.")
    return Form("plural", f"plural/{noun.word}", prompts, noun.plural, tuple(wrong), lines)


def dual(rng: random.Random) -> Form:
    """The dual of a noun; wrong: a ta marbuta kept, a plural ending on the stem."""
    noun = rng.choice((*nouns(), *females()))
    right, stem = noun.dual(), noun.dual()[:-2]
    plain = noun.word.removesuffix("ة")
    kept = f"{noun.word}ان" if noun.word != stem else f"{plain}تان"
    wrong = (noun.plural, kept, stem + "ون", f"{plain}ات", stem + "ا")
    prompts = (f"هات مثنى {noun.word}.", f"اجعل كلمة {noun.word} مثنى.")
    lines = (f"مثنى {noun.word}: {right}.", f"هنا {right}.")
    return Form("dual", f"dual/{noun.word}", prompts, right, wrong, lines)


def feminine(rng: random.Random) -> Form:
    """The feminine of a person or an adjective."""
    if rng.random() < 0.4:
        noun = rng.choice([noun for noun in nouns() if noun.female])
        base, right = noun.word, noun.female
        wrong = (noun.plural, right[:-1] + "ات", noun.dual(), base + "ت", base + "اء")
    else:
        adjective = rng.choice(adjectives())
        base, right = adjective.word, adjective.feminine
        wrong = (base + "ة", base + "اء", base + "ات", base + "ون", base + "ى")
    prompts = (f"هات مؤنث {base}.", f"نقول للمذكر {base}، فماذا نقول للمؤنث؟")
    return Form("feminine", f"feminine/{base}", prompts, right, wrong,
                (f"مؤنث {base}: {right}.", f"نقول للمذكر {base} وللمؤنث {right}."))  # fmt: skip


def conjugation(rng: random.Random) -> Form:
    """A verb in a person of the past, the present or the future; wrong: other persons, another tense."""
    verb, tense, person = rng.choice(verbs()), rng.choice(list(TENSES)), rng.choice(PERSONS)
    if (tense, person) == ("past", "3ms"):
        person = "3fs"  # the form by which the verb is named
    right, who = verb.form(tense, person), PRONOUNS[person]
    others = [verb.form(other, person) for other in TENSES if other != tense]
    wrong = (*rng.sample([verb.form(tense, other) for other in PERSONS], 8), *others)
    prompts = (f"صرّف {verb.past} في {TENSES[tense]} مع {who}.", f"كيف نصرّف {verb.past} مع {who} في {TENSES[tense]}؟")
    lines = (f"{verb.past} مع {who} في {TENSES[tense]}: {right}.",
             f"{who.split()[0]} {right} {rng.choice(verb.objects)}.")  # fmt: skip
    return Form("conjugation", f"conjugation/{verb.past}/{tense}/{person}", prompts, right, wrong, lines)


def negation(rng: random.Random) -> Form:
    """A verb after لم: the ن of the five verbs falls, a long vowel is shortened."""
    verb, person = rng.choice(verbs()), rng.choice(("3ms", "3fs", "3mp", "2mp", "2fs", "3md", "1p"))
    if verb.kind == "s" and person in ("3ms", "3fs", "1p"):
        person = "3mp"  # nothing changes in the writing of the others
    given, right = verb.form("present", person), f"لم {verb.form('jussive', person)}"
    wrong = (f"لم {given}", f"لم {verb.form('past', person)}", f"لن {given}",
             f"لم {verb.form('jussive', '3md' if person != '3md' else '3mp')}")  # fmt: skip
    prompts = (f"أدخل لم على {given}.", f"اجعل الفعل {given} منفيًا بلم.")
    lines = (f"نفي {given} بلم: {right}.", f"{PRONOUNS[person].split()[0]} {right} {rng.choice(verb.objects)}.")
    return Form("negation", f"negation/{verb.past}/{person}", prompts, right, wrong, lines)


def masdar(rng: random.Random) -> Form:
    """The noun of action of a verb; wrong: nouns of action of other patterns, the participle."""
    verb = rng.choice([verb for verb in verbs() if verb.masdar not in (None, verb.past)])  # شرب may be both
    first, second, third = verb.root.split()
    made = [verb.participle, f"ت{first}{second}ي{third}", f"إ{first}{second}ا{third}", f"ا{first}ت{second}ا{third}",
            verb.present, verb.past + "ان"]  # fmt: skip
    if verb.past[1] != "ا":  # سافر has مسافرة beside سفر
        made += [f"م{first}ا{second}{third}ة", f"{first}{second}ا{third}ة"]
    wrong = [word for word in made if word and not _BROKEN.search(word)]
    prompts = (f"هات مصدر الفعل {verb.past}.", f"ما المصدر من {verb.past}؟")
    return Form("masdar", f"masdar/{verb.past}", prompts, verb.masdar, tuple(wrong),
                (f"مصدر {verb.past}: {verb.masdar}.",))  # fmt: skip


def participle(rng: random.Random) -> Form:
    """The active participle; wrong: the passive one, the noun of action, that of another form."""
    verb = rng.choice([verb for verb in verbs() if verb.participle])
    first, second, third = verb.root.split()
    passive = f"م{first}{second}و{third}" if verb.kind == "s" and second != "أ" else f"م{verb.past}"
    wrong = (verb.masdar or verb.present, passive, f"{first}{second}ي{third}", verb.present, f"{verb.past}ان")
    if verb.participle.startswith("م") and not verb.past.startswith("م"):
        wrong = (verb.masdar, f"{first}ا{second}{third}", verb.present, f"{verb.past}ان")
    prompts = (f"هات اسم الفاعل من {verb.past}.", f"ما اسم الفاعل من الفعل {verb.past}؟")
    lines = (f"اسم الفاعل من {verb.past}: {verb.participle}.",)
    return Form("participle", f"participle/{verb.past}", prompts, verb.participle, wrong, lines)


def root(rng: random.Random) -> Form:
    """The root of a word made of it; wrong: other letters of the word, letters in another order."""
    verb = rng.choice(verbs())
    forms = (verb.form("past", "3mp"), verb.form("past", "1p"), verb.form("present", "1p"))
    word = rng.choice([word for word in (verb.masdar, verb.participle, verb.present, *forms) if word])
    letters = verb.root.split()
    first, second, third = letters
    others = [letter for letter in "مبنرسعلتفح" if letter not in letters]
    swap = rng.sample(others, 3)
    wrong = (f"{swap[0]} {second} {third}", f"{first} {swap[1]} {third}", f"{first} {second} {swap[2]}",
             f"{second} {first} {third}", f"{first} {third} {second}")  # fmt: skip
    prompts = (f"ما جذر {word}؟", f"هات جذر الكلمة {word}.")
    return Form("root", f"root/{word}", prompts, verb.root, wrong, (f"جذر {word}: {verb.root}.",))


def comparative(rng: random.Random) -> Form:
    """The comparative of an adjective."""
    adjective = rng.choice([adjective for adjective in adjectives() if adjective.comparative])
    right, word = adjective.comparative, adjective.word
    wrong = (adjective.feminine, f"أ{word}", f"{right.rstrip('ى')}ة", f"{word}ان")
    prompts = (f"هات اسم التفضيل من {word}.", f"ما اسم التفضيل من {word}؟")
    lines = (f"اسم التفضيل من {word}: {right}.", f"هذا {word} وذاك {right} منه.")
    return Form("comparative", f"comparative/{word}", prompts, right, wrong, lines)


def count(rng: random.Random) -> Form:
    """A number with what it counts: three to ten written out, and eleven to ninety-nine in figures."""
    noun = rng.choice((*nouns(), *females()))
    if rng.random() < 0.6:
        number = rng.randint(3, 10)
        right, other = counted(number, noun, noun.gender), counted(number, noun, "f" if noun.gender == "m" else "m")
        wrong = (other, f"{right.split()[0]} {noun.word}", f"{other.split()[0]} {noun.word}", f"{number} {noun.dual()}")
    else:
        number = rng.randint(11, 99)
        right = f"{number} {accusative(noun.word)}"
        others = (noun.plural, noun.dual(), noun.word, f"ال{noun.word}", noun.dual(oblique=True))
        wrong = tuple(f"{number} {other}" for other in others)
    prompts = (f"اكتب العدد مع المعدود: {number} ({noun.word}).", f"كيف نكتب {number} ({noun.word})؟")
    lines = (f"{number} ({noun.word}): {right}.", f"هنا {right}.")
    return Form("count", f"count/{number}/{noun.word}", prompts, right, wrong, lines)


def counted(number: int, noun: Noun, gender: str) -> str:
    """Three to ten of a noun in words; the number takes the form for `gender`, which is right for the noun's own."""
    word = UNITS[number]
    short = "ثماني" if number == 8 else word.removesuffix("ة")
    return f"{word if gender == 'm' else short} {noun.many(oblique=True)}"


def phrase(rng: random.Random) -> Form:
    """A definite noun with its adjective, singular or plural."""
    noun = rng.choice(nouns())
    adjective = choose.adjective(rng, noun.kind)
    many = noun.kind != "h" and choose.clear(noun) and rng.random() < 0.4
    gender, word = ("f", noun.plural) if many else (noun.gender, noun.word)
    right, other = adjective.of(gender), adjective.of("f" if gender == "m" else "m")
    prompts = (f"صف ال{word} بالصفة {adjective.word}.", f"اجمع بين ال{word} والصفة {adjective.word}.")
    wrong = (f"ال{word} ال{other}", f"ال{word} {right}", f"{word} ال{right}", f"ال{word} {other}")
    return Form("phrase", f"phrase/{word}/{adjective.word}", prompts, f"ال{word} ال{right}", wrong,
                (f"ال{word} ال{right}.", f"انظر إلى ال{word} ال{right}."))  # fmt: skip


MAKERS: dict[str, Callable[[random.Random], Form]] = {
    "plural": plural, "dual": dual, "feminine": feminine, "conjugation": conjugation, "negation": negation,
    "masdar": masdar, "participle": participle, "root": root, "comparative": comparative, "count": count,
    "phrase": phrase,
}  # fmt: skip

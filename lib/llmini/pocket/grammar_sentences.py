"""Right sentences of written Arabic with the wrong versions of each, by pattern and from the tables of the grammar."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from llmini.pocket import grammar_choices as choose
from llmini.pocket.grammar_forms import counted
from llmini.pocket.grammar_tables import Adjective, accusative, adjectives, females, nouns, verbs

_THAT = {"m": "الذي", "f": "التي"}
_THIS = {"m": "هذا", "f": "هذه"}
_OTHER = {"m": "f", "f": "m"}


@dataclass(frozen=True)
class Sentence:
    """A right sentence and its wrong versions as (kind, text), one error in each; `key` holds pattern and words."""

    key: str
    right: str
    wrong: tuple[tuple[str, str], ...]


def sentence(rng: random.Random) -> Sentence:
    """A sentence of a pattern, all patterns alike."""
    return rng.choice(PATTERNS)(rng)


def verb_first(rng: random.Random) -> Sentence:
    """The verb before its subject stays singular and takes the subject's gender."""
    verb, noun = rng.choice(verbs()), choose.person(rng)
    many, tense = rng.random() < 0.4 and choose.clear(noun), rng.choice(("past", "present"))
    thing, person = choose.thing(rng, verb, noun), "3" + noun.gender
    right = _join(verb.form(tense, f"{person}s"), _the(noun.plural if many else noun.word), thing)
    wrong = [("verb_number", _join(verb.form(tense, f"{person}p"), *right.split()[1:]))]
    if not many or noun.gender == "f":
        wrong.append(("verb_gender", _join(verb.form(tense, f"3{_OTHER[noun.gender]}s"), *right.split()[1:])))
    if not many and noun.plural == noun.word + "ون":
        wrong.append(("case", _join(verb.form(tense, f"{person}s"), _the(noun.many(oblique=True)), thing)))
    if many and noun.plural == noun.word + "ون":
        wrong.append(("case", _join(right.split()[0], _the(noun.many(oblique=True)), thing)))
    wrong.append(("verb_number", _join(verb.form(tense, f"{person}d"), *right.split()[1:])))
    return _made("verb_first", right, wrong, verb.past, tense, noun.word, many)


def subject_first(rng: random.Random) -> Sentence:
    """The verb after its subject agrees in gender and number."""
    verb, noun = rng.choice(verbs()), choose.person(rng)
    number, tense = rng.choice("sdp" if choose.clear(noun) else "sd"), rng.choice(("past", "present"))
    subject = _the({"s": noun.word, "d": noun.dual(), "p": noun.plural}[number])
    thing, person = choose.thing(rng, verb, noun), f"3{noun.gender}"
    right = _join(subject, verb.form(tense, person + number), thing)
    forms = [("verb_gender", f"3{_OTHER[noun.gender]}{number}"),
             *(("verb_number", person + other) for other in "sdp" if other != number)]  # fmt: skip
    wrong = [(kind, _join(subject, verb.form(tense, form), thing)) for kind, form in forms]
    return _made("subject_first", right, wrong, verb.past, tense, noun.word, number)


def place(rng: random.Random) -> Sentence:
    """An adjective follows its noun in gender and definiteness."""
    verb = rng.choice([verb for verb in verbs() if verb.past in ("جلس", "لعب", "عمل", "سكن", "دخل")])
    noun, where = choose.person(rng), choose.where(rng, verb.past)
    adjective = choose.adjective(rng, "p")
    start = _join(verb.form("past", f"3{noun.gender}s"), _the(noun.word), "في" if verb.past != "دخل" else "إلى")
    right = _join(start, _the(where.word), _the(adjective.of(where.gender)))
    wrong = [
        ("adjective_gender", _join(start, _the(where.word), _the(adjective.of(_OTHER[where.gender])))),
        ("definiteness", _join(start, _the(where.word), adjective.of(where.gender))),
        ("verb_gender", _join(verb.form("past", f"3{_OTHER[noun.gender]}s"), *right.split()[1:])),
    ]
    return _made("place", right, wrong, verb.past, noun.word, where.word, adjective.word)


def predicate(rng: random.Random) -> Sentence:
    """A predicate agrees with its subject; the plural of things takes the feminine singular."""
    noun = rng.choice((*nouns(), *females()))
    adjective = choose.adjective(rng, noun.kind)
    thing, many = noun.kind != "h", rng.random() < 0.5 and choose.clear(noun)
    if many and not thing and (noun.gender == "f" or not adjective.people):
        many = False
    gender = "f" if many else noun.gender
    subject = _the(noun.plural if many else noun.word)
    said = adjective.people if many and not thing else adjective.of(gender)
    wrong = [("adjective_gender", _join(subject, adjective.of("m" if many and not thing else _OTHER[gender])))]
    if adjective.people and said != adjective.people:
        wrong.append(("adjective_number", _join(subject, adjective.people)))
    wrong += [("adjective_number", _join(subject, form)) for form in _two(adjective)]
    return _made("predicate", _join(subject, said), wrong, noun.word, adjective.word, many)


def pointing(rng: random.Random) -> Sentence:
    """A demonstrative takes the gender of its noun; the plural of things is feminine singular, that of people هؤلاء."""
    noun = rng.choice((*nouns(), *females()))
    adjective = choose.adjective(rng, noun.kind)
    pairs = noun.kind != "h" or (noun.gender == "m" and adjective.people is not None)
    many = rng.random() < 0.4 and choose.clear(noun) and pairs
    people = many and noun.kind == "h"
    gender = "f" if many else noun.gender
    this = "هؤلاء" if people else _THIS[gender]
    said = adjective.people if people else adjective.of(gender)
    subject = _the(noun.plural if many else noun.word)
    wrong = [("pronoun_gender", _join(other, subject, said)) for other in ("هذا", "هذه", "هؤلاء") if other != this]
    wrong.append(("adjective_gender", _join(this, subject, adjective.of("m" if people else _OTHER[gender]))))
    return _made("pointing", _join(this, subject, said), wrong, noun.word, adjective.word, many)


def relative(rng: random.Random) -> Sentence:
    """The relative pronoun, its verb and the predicate all agree with the noun."""
    verb, noun, adjective = rng.choice(verbs()), choose.person(rng), choose.adjective(rng, "h")
    thing, gender, other = choose.thing(rng, verb, noun), noun.gender, _OTHER[noun.gender]

    def build(that: str, does: str, said: str) -> str:
        return _join(_the(noun.word), _THAT[that], verb.form("past", f"3{does}s"), thing, adjective.of(said))

    wrong = [("pronoun_gender", build(other, gender, gender)), ("verb_gender", build(gender, other, gender)),
             ("adjective_gender", build(gender, gender, other))]  # fmt: skip
    return _made("relative", build(gender, gender, gender), wrong, verb.past, noun.word, adjective.word)


def negated(rng: random.Random) -> Sentence:
    """After لم and لن the ن of the plural falls; after لم a long vowel is shortened."""
    verb, noun = rng.choice(verbs()), rng.choice([noun for noun in nouns() if noun.kind == "h" and choose.clear(noun)])
    number, particle = rng.choice("pd"), rng.choice(("لم", "لن"))
    subject = _the(noun.plural if number == "p" else noun.dual())
    thing = choose.thing(rng, verb, noun)
    right = _join(subject, particle, verb.form("jussive", f"3m{number}"), thing)
    wrong = [
        ("mood", _join(subject, particle, verb.form("present", f"3m{number}"), thing)),
        ("tense", _join(subject, particle, verb.form("past", f"3m{number}"), thing)),
        ("verb_number", _join(subject, particle, verb.form("jussive", f"3m{'d' if number == 'p' else 'p'}"), thing)),
    ]
    return _made("negated", right, wrong, verb.past, noun.word, number, particle)


def number(rng: random.Random) -> Sentence:
    """Three to ten take the other gender and the plural; from eleven on the singular accusative."""
    noun = rng.choice([noun for noun in (*nouns(), *females()) if noun.kind in "hoa"])
    where, value = choose.where(rng, noun.kind), rng.randint(3, 10)
    start = f"في ال{where.word}"
    if rng.random() < 0.6:
        said, other = (counted(value, noun, gender) for gender in (noun.gender, _OTHER[noun.gender]))
        wrong = [("number", _join(start, other)), ("number", _join(start, said.split()[0], noun.word)),
                 ("number", _join(start, said.split()[0], noun.dual()))]  # fmt: skip
    else:
        value = rng.randint(11, 99)
        said = f"{value} {accusative(noun.word)}"
        forms = dict.fromkeys((noun.plural, noun.dual(), noun.dual(oblique=True)))
        wrong = [("number", _join(start, str(value), form)) for form in forms]
    return _made("number", _join(start, said), wrong, where.word, value, noun.word)


def dual(rng: random.Random) -> Sentence:
    """The dual is ان as subject and ين after a preposition."""
    noun = rng.choice([noun for noun in nouns() if noun.kind in "oa"])
    where = choose.where(rng, noun.kind)
    if rng.random() < 0.5:
        two = "اثنان" if noun.gender == "m" else "اثنتان"
        right = f"في ال{where.word} {noun.dual()}"
        wrong = [("case", f"في ال{where.word} {noun.dual(oblique=True)}"),
                 ("definiteness", f"في {where.word} ال{noun.dual()}"),
                 ("number", f"في ال{where.word} {two} {noun.plural}")]  # fmt: skip
    else:
        person = choose.person(rng)
        verb = "وصل" if person.gender == "m" else "وصلت"
        right = f"{verb} ال{person.word} إلى {where.dual(oblique=True)}"
        wrong = [("case", f"{verb} ال{person.word} إلى {where.dual()}"),
                 ("preposition", f"{verb} ال{person.word} عن {where.dual(oblique=True)}"),
                 ("verb_gender", f"{'وصلت' if person.gender == 'm' else 'وصل'} {right.partition(' ')[2]}")]  # fmt: skip
    return _made("dual", right, wrong, *right.split())


def governed(rng: random.Random) -> Sentence:
    """After كان the predicate, and after إن the subject, is accusative."""
    people = [noun for noun in nouns() if noun.plural == noun.word + "ون"]
    sound = [adjective for adjective in adjectives() if (adjective.people or "").endswith("ون")]
    noun, adjective = rng.choice(people), rng.choice(sound)
    one, two, three = adjective.word, adjective.people, adjective.people[:-2] + "ين"
    if rng.random() < 0.3:
        thing = rng.choice([noun for noun in nouns() if noun.kind in "op" and noun.gender == "m"])
        noun, adjective = thing, choose.adjective(rng, thing.kind)
        while not _two(adjective):  # the names of colours take no tanwin
            adjective = choose.adjective(rng, thing.kind)
        right = f"كان ال{noun.word} {accusative(adjective.word)}"
        wrong = [("case", f"كان ال{noun.word} {adjective.word}"), ("verb_gender", right.replace("كان", "كانت", 1)),
                 ("adjective_gender", f"كان ال{noun.word} {adjective.feminine}")]  # fmt: skip
    elif rng.random() < 0.5:
        right = f"كان {_the(noun.many())} {three}"
        wrong = [("case", f"كان {_the(noun.many())} {two}"), ("case", f"كان {_the(noun.many(True))} {three}"),
                 ("verb_number", f"كانوا {_the(noun.many())} {three}"),
                 ("adjective_number", f"كان {_the(noun.many())} {one}")]  # fmt: skip
    else:
        right = f"إن {_the(noun.many(True))} {two}"
        wrong = [("case", f"إن {_the(noun.many())} {two}"), ("case", f"إن {_the(noun.many(True))} {three}"),
                 ("adjective_number", f"إن {_the(noun.many(True))} {one}")]  # fmt: skip
    return _made("governed", right, wrong, *right.split())


def construct(rng: random.Random) -> Sentence:
    """The first noun of a construct takes no article; the predicate agrees with it."""
    thing, owner = rng.choice([noun for noun in nouns() if noun.kind == "o"]), choose.person(rng)
    adjective = choose.adjective(rng, "o")
    said, other = adjective.of(thing.gender), adjective.of(_OTHER[thing.gender])
    wrong = [("definiteness", _join(_the(thing.word), _the(owner.word), said)),
             *((kind, _join(thing.word, _the(owner.word), form)) for kind, form in (
                 ("adjective_gender", other), *(("adjective_number", both) for both in _two(adjective))))]  # fmt: skip
    return _made("construct", _join(thing.word, _the(owner.word), said), wrong, thing.word, owner.word, adjective.word)


def _two(adjective: Adjective) -> tuple[str, ...]:
    """The dual of both genders, of an adjective whose feminine ends in ta marbuta."""
    regular = adjective.feminine.endswith("ة")
    return (f"{adjective.word}ان", f"{adjective.feminine[:-1]}تان") if regular else ()


def _the(word: str) -> str:
    return "ال" + word


def _join(*words: str) -> str:
    return " ".join(words)


def _made(pattern: str, right: str, wrong: list[tuple[str, str]], *words: object) -> Sentence:
    """The sentence with full stops; what is no change is left out."""
    kept = {text: kind for kind, text in reversed(wrong) if text != right}
    pairs = tuple((kind, f"{text}.") for text, kind in kept.items())
    return Sentence("/".join(map(str, (pattern, *words))), f"{right}.", pairs)


PATTERNS: tuple[Callable[[random.Random], Sentence], ...] = (
    verb_first, subject_first, place, predicate, pointing, relative, negated, number, dual, governed, construct,
)  # fmt: skip

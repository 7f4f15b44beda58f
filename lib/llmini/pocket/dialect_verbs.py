"""Conjugation of Modern Standard, Gulf and Bahraini Arabic, in plain letters without vowel marks.

A verb is written `past present`, with what the rules cannot know after a stroke: the stem before a consonant
(`زار/زر`, `حط/حطي`) and the standard jussive (`يزور/يزر`); then its preposition and `!` before the imperative
(`!زر/زور`: masculine, and the stem of the others where it differs).
"""

from __future__ import annotations

from dataclasses import dataclass

VARIETIES = ("msa", "gulf", "bahraini")
PERSONS = ("1s", "2m", "2f", "3m", "3f", "1p", "2p", "3p")
TENSES = ("past", "present", "subjunctive", "jussive", "future", "imperative")
PAST = {
    "msa": {"1s": "ت", "2m": "ت", "2f": "ت", "1p": "نا", "2p": "تم"},
    "gulf": {"1s": "ت", "2m": "ت", "2f": "تي", "1p": "نا", "2p": "توا"},
    "bahraini": {"1s": "ت", "2m": "ت", "2f": "تين", "1p": "نا", "2p": "تون"},
}
"""Endings of the past; ـتين and ـتون are the Bahraini forms of the second person."""
PREFIX = {"1s": "أ", "2m": "ت", "2f": "ت", "3m": "ي", "3f": "ت", "1p": "ن", "2p": "ت", "3p": "ي"}


@dataclass(frozen=True)
class Verb:
    """A verb of one variety: third person masculine forms and the stems that are not regular."""

    variety: str
    past: str
    short: str
    present: str
    cut: str
    preposition: str = ""
    imperative: tuple[str, str] = ("", "")

    @classmethod
    def parse(cls, variety: str, text: str) -> Verb:
        """Read `زار/زر يزور/يزر !زر/زور`."""
        words = text.split()
        past, _, short = words[0].partition("/")
        present, _, cut = words[1].partition("/")
        weak = past.endswith("ى") or (variety != "msa" and past.endswith("ا"))
        order = next((word[1:] for word in words[2:] if word.startswith("!")), "")
        masculine, _, stem = order.partition("/")
        return cls(
            variety,
            past,
            short or (past[:-1] + "ي" if weak else past),
            present,
            cut or (present[:-1] if variety == "msa" and present.endswith(("ي", "ى")) else present),
            next((word for word in words[2:] if not word.startswith("!")), ""),
            (masculine, stem or masculine),
        )


def conjugate(verb: Verb, person: str, tense: str) -> str:
    """The form of a verb. Outside standard Arabic subjunctive and jussive are the present itself, ـن kept.

    Raises:
        ValueError: for an unknown person or tense, for an imperative of the first or third person, or where a verb
            has none.
    """
    if person not in PERSONS or tense not in TENSES:
        raise ValueError(f"no form {person} {tense}: persons {', '.join(PERSONS)}; tenses {', '.join(TENSES)}")
    if tense == "past":
        return _past(verb, person)
    if tense == "imperative":
        return _imperative(verb, person)
    if tense == "future":
        if verb.variety == "msa":
            return "س" + _present(verb, person, "present")
        return "ب" + (verb.present[1:] if person == "1s" else _present(verb, person, "present"))
    return _present(verb, person, tense if verb.variety == "msa" else "present")


def _past(verb: Verb, person: str) -> str:
    if person in PAST[verb.variety]:
        ending = PAST[verb.variety][person]
        return verb.short + (ending[1:] if verb.short[-1] == ending[0] else ending)
    stem = verb.past
    weak = stem.endswith("ى") or (verb.variety != "msa" and stem.endswith("ا"))
    if person == "3m":
        return stem
    if person == "3f":
        return (stem[:-1] if weak else stem) + "ت"
    if verb.variety == "msa" and stem.endswith("أ"):
        return stem[:-1] + "ؤوا"
    return (stem[:-1] if weak or stem.endswith("ي") else stem) + "وا"


def _present(verb: Verb, person: str, mood: str) -> str:
    rest = verb.present[1:]
    if person in ("2f", "2p", "3p"):
        feminine = person == "2f"
        ending = ("ين" if feminine else "ون") if mood == "present" else ("ي" if feminine else "وا")
        if verb.variety == "msa" and rest.endswith("أ"):
            rest = rest[:-1] + ("ئ" if feminine else "ؤ")
        elif rest.endswith(("ي", "ى")) or (verb.variety != "msa" and rest.endswith("ا")):
            rest = rest[:-1]
        return PREFIX[person] + rest + ending
    if mood == "jussive":
        rest = verb.cut[1:]
    if person == "1s" and rest[0] in "أا":
        return "آ" + rest[1:]
    return PREFIX[person] + rest


def _imperative(verb: Verb, person: str) -> str:
    if person not in ("2m", "2f", "2p") or not verb.imperative[0]:
        raise ValueError(f"{verb.past} has no imperative of person {person}")
    return verb.imperative[0] if person == "2m" else verb.imperative[1] + ("ي" if person == "2f" else "وا")

"""The slots of a dialect sentence: each variety's forms of one scene (who, verb, thing, adjective, time, place)."""

from __future__ import annotations

import random
from dataclasses import dataclass

from llmini.pocket.dialect_verbs import PERSONS, VARIETIES, conjugate
from llmini.pocket.dialect_words import Action, Described, Noun, auxiliary, phrases, table

PRONOUNS = dict(zip(PERSONS, ["I", "you", "you", "he", "she", "we", "you", "they"], strict=True))
OWNERS = dict(zip(PERSONS, ["mine", "yours", "yours", "his", "hers", "ours", "yours", "theirs"], strict=True))
THIS = {"msa": ("هذا", "هذه"), "gulf": ("هذا", "هاذي"), "bahraini": ("هذا", "هاي")}
THAT = {"msa": ("ذاك", "تلك"), "gulf": ("هذاك", "هذيك"), "bahraini": ("ذاك", "ذيچ")}
WITH = {"msa": "مع", "gulf": "مع", "bahraini": "ويا"}
Phrase = tuple[str, dict[str, str], frozenset[str]]
EMPTY: Phrase = ("", dict.fromkeys(VARIETIES, ""), frozenset())


@dataclass(frozen=True)
class Scene:
    """What a sentence speaks of. `name` is empty in every variety where a pronoun is meant."""

    person: str
    english: str
    name: dict[str, str]
    action: Action
    thing: Noun
    adjective: Described
    state: Described
    times: dict[str, Phrase]
    place: Phrase
    other: str = "2m"

    @property
    def third(self) -> bool:
        """Whether the English verb takes -s."""
        return self.person in ("3m", "3f")


def english(scene: Scene) -> dict[str, str]:
    """The English slots."""
    base, third, past, ing = scene.action.english
    person, thing, many = scene.person, scene.thing, scene.thing.number == "many"
    the = thing.english_definite()
    target = f"{scene.action.particle} {the}".strip()
    name = scene.english or PRONOUNS[person]
    be = "am" if person == "1s" else "is" if scene.third else "are"
    word = scene.adjective.english
    human = "person" in thing.tags
    it = "them" if many else {"m": "him", "f": "her"}[thing.gender("msa")] if human else "it"
    return {
        "E": name, "e": name, "E_cap": name[0].upper() + name[1:],
        "e_base": base, "E_base": base, "e_past": past, "e_ing": ing, "e_o": target,
        "e_present": third if scene.third else base, "e_want": "wants" if scene.third else "want", "is": be,
        "do": "does" if scene.third else "do", "have": "has" if scene.third else "have", "e_it": it,
        "e_n": thing.english, "E_n": the, "E_cap_n": the[0].upper() + the[1:],
        "E_the": the, "e_the": the, "e_one": thing.english_indefinite(),
        "e_an": thing.english_indefinite(word), "e_a": word, "is_n": "are" if many else "is",
        "was_n": "were" if many else "was", "e_Is": "Are" if many else "Is", "e_this": "these" if many else "this",
        "e_This": "These" if many else "This", "e_that_one": "those" if many else "that one",
        "e_more": _more(word),
        "mine": OWNERS[person], "e_state": scene.state.english, "place": scene.place[0],
        "e_good": thing.english_indefinite("good"), "e_particle": scene.action.particle,
        "e_s": f"{name}'" if name.endswith("s") else f"{name}'s",
    } | {name: phrase[0] for name, phrase in scene.times.items()}  # fmt: skip


def _more(word: str) -> str:
    """The English comparative."""
    irregular = {"good": "better", "bad": "worse", "far": "farther", "big": "bigger", "hot": "hotter"}
    if word in irregular:
        return irregular[word]
    if word.endswith("y"):
        return word[:-1] + "ier"
    short = len(word) < 6 or word in ("sweet", "simple")
    return (word + "r" if word.endswith("e") else word + "er") if short else f"more {word}"


def arabic(scene: Scene, variety: str) -> dict[str, str]:
    """The slots of a variety. `_first`: agreement of a standard verb that stands before its plural subject."""
    person, thing = scene.person, scene.thing
    gender = thing.gender(variety)
    # before a named plural the standard verb is singular: ذهب الأطفال
    first = "3m" if variety == "msa" and person == "3p" and scene.name[variety] else person
    verb, be, want, can = scene.action.verbs[variety], *(auxiliary(name)[variety] for name in ("be", "want", "can"))
    scenery = table("scene")
    pronoun = scenery["pronouns"][variety].split()[PERSONS.index(person)]
    kind = "p" if person in ("1p", "2p", "3p") else "f" if person in ("2f", "3f") else "m"
    definite, female = thing.definite(variety), gender == "f"
    object_gender = f"3{gender}"
    slots = {
        "S": scene.name[variety], "P": scene.name[variety] or pronoun, "o": _after(verb.preposition, definite),
        "past": conjugate(verb, person, "past"), "past_first": conjugate(verb, first, "past"),
        "past_he": conjugate(verb, "3m", "past"), "future": conjugate(verb, person, "future"),
        "future_first": conjugate(verb, first, "future"),
        "future_he": conjugate(verb, "3m", "future"), "present": conjugate(verb, person, "present"),
        "present_first": conjugate(verb, first, "present"), "jussive": conjugate(verb, person, "jussive"),
        "jussive_first": conjugate(verb, first, "jussive"), "subjunctive": conjugate(verb, person, "subjunctive"),
        "subjunctive_first": conjugate(verb, first, "subjunctive"), "was": conjugate(be, person, "past"),
        "was_first": conjugate(be, first, "past"), "was_it": conjugate(be, object_gender, "past"),
        "was_he": conjugate(be, "3m", "past"), "want": conjugate(want, person, "present"),
        "want_first": conjugate(want, first, "present"), "can": conjugate(can, person, "present"),
        "can_first": conjugate(can, first, "present"), "n": definite, "bare": thing.bare(variety),
        "a": scene.adjective.form(variety, gender), "a_acc": scene.adjective.predicate(variety, gender),
        "state": scene.state.form(variety, kind), "place": scene.place[1][variety],
        "sitting": {"m": "قاعد", "f": "قاعدة", "p": "قاعدين"}[kind], "yet": _yet(person),
        "this": THIS[variety][female], "that_one": THAT[variety][female], "where": "وينها" if female else "وينه",
        "belongs": "مالت" if female else "مال", "mine": owner(variety, person, gender), "with": owned(variety, person),
        "along": WITH[variety] + suffix(variety, scene.person),
    }  # fmt: skip
    it, you = "ها" if female else "ه", suffix(variety, scene.other)
    for name, ending in (("it", it), ("you", you)):
        slots |= {f"{form}_{name}": joined(slots[form], ending) for form in ("past", "past_first", "jussive")}
    if person in ("2m", "2f", "2p") and verb.imperative[0]:
        slots["imperative"] = conjugate(verb, person, "imperative")
    if variety == "msa":
        slots |= _standard(scene, first, kind, slots)
    if scene.adjective.comparative:
        slots["more"] = scene.adjective.comparative[VARIETIES.index(variety)]
    return slots | {name: phrase[1][variety] for name, phrase in scene.times.items()}


def _standard(scene: Scene, first: str, kind: str, slots: dict[str, str]) -> dict[str, str]:
    """Slots that standard Arabic alone needs: ليس, ما زال, the accusative, the relative pronoun."""
    from llmini.pocket.arabic import accusative

    female = scene.thing.gender("msa") == "f"
    not_be = dict(zip(PERSONS, ["لست", "لست", "لست", "ليس", "ليست", "لسنا", "لستم", "ليسوا"], strict=True))
    remain = dict(zip(PERSONS, ["زلت", "زلت", "زلت", "زال", "زالت", "زلنا", "زلتم", "زالوا"], strict=True))
    bare = scene.thing.bare("msa")
    return {
        "is_not": "ليست" if female else "ليس", "is_not_who": not_be[first], "still_first": remain[first],
        "that": "التي" if female else "الذي", "good": "جيدة" if female else "جيد",
        "n_acc": bare if bare.endswith("ى") else accusative(bare), "exists": "توجد" if female else "يوجد",
        "state_acc": scene.state.predicate("msa", kind),
    }  # fmt: skip


def _after(preposition: str, definite: str) -> str:
    """The object after its preposition; بـ is joined."""
    if preposition.endswith("ـ"):
        return preposition[:-1] + definite
    return f"{preposition} {definite}".strip()


def _yet(person: str) -> str:
    """بعد with the pronoun: `still` in Bahrain."""
    ends = dict(zip(PERSONS, ["ني", "ك", "چ", "ه", "ها", "نا", "كم", "هم"], strict=True))
    return "بعد" + ends[person]


def suffix(variety: str, person: str) -> str:
    """The pronoun joined to a noun or preposition; ـچ is the second feminine of the Gulf and Bahrain."""
    return table("scene")["suffixes"][variety].split()[PERSONS.index(person)]


def owner(variety: str, person: str, gender: str) -> str:
    """`mine`: لي, حقي, and مالي or مالتي with the gender of the thing."""
    word = {"msa": "ل", "gulf": "حق", "bahraini": "مالت" if gender == "f" else "مال"}[variety]
    return word + suffix(variety, person)


def owned(variety: str, person: str) -> str:
    """`I have`: لدي or عندي."""
    if variety == "msa":
        return "لدي" if person == "1s" else "لدي" + suffix(variety, person)
    return "عند" + suffix(variety, person)


def joined(verb: str, ending: str) -> str:
    """A verb with an object pronoun: وا loses its alef, تم takes a waw, a final ى becomes alef."""
    if verb.endswith("وا"):
        return verb[:-1] + ending
    if verb.endswith("تم"):
        return verb + "و" + ending
    return (verb[:-1] + "ا" if verb.endswith("ى") else verb) + ending


def draw_times(rng: random.Random) -> dict[str, Phrase]:
    """One phrase of each tense."""
    return {f"{name}_time": rng.choice(phrases(name)) for name in ("past", "future", "habit")} | {
        "now": rng.choice(phrases("now"))
    }

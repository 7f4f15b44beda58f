"""Agreement rules of written Arabic that the generator needs: gender, counted nouns, and `ل` before the article."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PERSON = re.compile(r"\[([^\[\]|]*)\|([^\[\]|]*)\]")
_OBJECT = re.compile(r"<([^<>|]*)\|([^<>|]*)>")


@dataclass(frozen=True)
class Noun:
    """A countable noun: English singular and plural, Arabic singular and plural, Arabic gender `m` or `f`."""

    one: str
    many: str
    singular: str
    plural: str
    gender: str

    @classmethod
    def parse(cls, text: str) -> Noun:
        """Read `apple|apples|تفاحة|تفاحات|f`."""
        return cls(*(part.strip() for part in text.split("|")))


def agree(text: str, gender: str, object_gender: str = "m") -> str:
    """Choose the form for the gender of the subject in `[m|f]` and of the object in `<m|f>`."""
    text = _PERSON.sub(lambda found: found.group(1 if gender == "m" else 2), text)
    return _OBJECT.sub(lambda found: found.group(1 if object_gender == "m" else 2), text)


def accusative(word: str) -> str:
    """Indefinite accusative singular: `كتاب` -> `كتابًا`; a word in ta marbuta or hamza after alef takes no alef."""
    if word.endswith(("ة", "اء")):
        return word
    return word + "ًا"


def dual(word: str) -> str:
    """Dual in the oblique case: `كتاب` -> `كتابين`, `تفاحة` -> `تفاحتين`."""
    return (word[:-1] + "ت" if word.endswith("ة") else word) + "ين"


def counted(number: int, noun: Noun) -> str:
    """Number and noun as written Arabic counts them.

    1 noun alone with its adjective; 2 the dual; 3-10 the plural genitive; 11-99 the singular accusative; whole hundreds
    (and a remainder of 1 or 2) the singular genitive. The last two digits decide (103 as 3, 111 as 11).

    Raises:
        ValueError: for a number below 1.
    """
    if number < 1:
        raise ValueError(f"cannot count {number} things")
    if number == 1:
        return f"{noun.singular} {'واحد' if noun.gender == 'm' else 'واحدة'}"
    if number == 2:
        return dual(noun.singular)
    rest = number % 100
    if 3 <= rest <= 10:
        return f"{number} {noun.plural}"
    if rest >= 11:
        return f"{number} {accusative(noun.singular)}"
    return f"{number} {noun.singular}"


def how_many(noun: Noun) -> str:
    """`كم` takes the singular accusative."""
    return f"كم {accusative(noun.singular)}"


def counted_english(number: int, noun: Noun) -> str:
    """Number and noun in English."""
    return f"{number} {noun.one if number == 1 else noun.many}"


def prefix_li(word: str) -> str:
    """`ل` joined to a word; the article loses its alef (`المتحف` -> `للمتحف`)."""
    return "لل" + word[2:] if word.startswith("ال") else "ل" + word

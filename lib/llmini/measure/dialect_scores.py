"""Rules by which answers in dialect are scored: exact labels, exact sentences, chrF, scripts, code-switching.

Pure functions of texts. An answer is what the model wrote: its first line is scored (:func:`line`), the whole of it is
searched for letters of a foreign script. No rule looks for a keyword inside an answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmini.texts import normalise_arabic

if TYPE_CHECKING:
    from llmini.measure.chrf import Chrf

LEADING = frozenset((
    "هي", "هذه", "إنها", "الجواب", "الإجابة", "الجملة", "جملة", "اللهجة", "لهجة", "باللهجة", "بلهجة",
    "اللغة", "لغة", "باللغة", "العربية", "عربية", "بالعربية",
))  # fmt: skip
"""Words that may stand before a label: «هذه الجملة باللهجة …», «العربية …»."""
SCRIPTS = ("ARABIC", "LATIN")
_ARABIC, _LATIN = re.compile("[\u0620-\u06ff\u0750-\u077f]+"), re.compile("[A-Za-z\u00c0-\u024f]{2,}")
_LETTERS = ("Lu", "Ll", "Lt", "Lo")


def line(answer: str) -> str:
    """The first line of an answer that is not blank, without spaces around it; empty where there is none."""
    return next((part.strip() for part in answer.splitlines() if part.strip()), "")


def words(text: str) -> list[str]:
    """Words without vowel marks, tatweel and punctuation; digits are Western, letters are not folded."""
    return re.findall(r"\w+", normalise_arabic(text))


def label(answer: str, labels: Sequence[str]) -> str | None:
    """Which of ``labels`` an answer is, or None.

    Vowel marks, tatweel and punctuation are taken off, then words of :data:`LEADING` at the start, then the article
    ``ال`` of what is left and of the labels; the two must then be equal. A label with anything else beside it, a
    negation, a second label or an explanation, is no answer. Letters are not folded: «الفصحي» is not «الفصحى».
    """
    said = words(answer)
    while said and said[0] in LEADING:
        said = said[1:]
    bare = " ".join(said).removeprefix("ال")
    return next((name for name in labels if bare and bare == " ".join(words(name)).removeprefix("ال")), None)


def exact(answer: str, reference: str) -> bool:
    """Whether two sentences have the same words in the same order (vowel marks and punctuation do not count)."""
    return words(answer) == words(reference)


def chrf(answers: Sequence[str], references: Sequence[str], **options: Any) -> Chrf:
    """:func:`llmini.measure.chrf.chrf` of texts without vowel marks and tatweel."""
    from llmini.measure import chrf

    return chrf.chrf(*([normalise_arabic(text) for text in side] for side in (answers, references)), **options)


def script_failure(text: str) -> bool:
    """Whether a text holds a letter that is neither of Arabic nor of Latin script (the study's failure filter, wider).

    By the Unicode names of its letters (categories Lu, Ll, Lt, Lo) in compatibility form (NFKC): those of Persian and
    Urdu are named Arabic, full-width ones Latin. Digits, punctuation, marks, emoji and modifier letters do not count.
    """
    letters = (sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) in _LETTERS)
    return any(unicodedata.name(sign, "").partition(" ")[0] not in SCRIPTS for sign in letters)


def switched(source: str, answer: str) -> bool:
    """Whether an answer is the sentence with foreign words mixed in: the code-switching rule.

    It holds a Latin word of two letters or more and an Arabic word; at least half of the Arabic words of the source, as
    often as they stand there, stand in it unchanged; it holds no third script (:func:`script_failure`). What the
    English words mean is not judged, so the share that passes is an upper bound.
    """
    given, kept = Counter(_ARABIC.findall(normalise_arabic(source))), Counter(_ARABIC.findall(normalise_arabic(answer)))
    half = sum((given & kept).values()) * 2 >= sum(given.values())
    return bool(kept) and bool(_LATIN.search(answer)) and half and not script_failure(answer)

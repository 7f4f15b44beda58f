"""Which translated instructions are kept: rules in order, each with the count of what it turned away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llmini.measure.chrf import f_score, ngrams
from llmini.train.contamination import Index, words

RULES = {
    "script": "at least this share of the letters of prompt and answer is Arabic",
    "length": "neither is shorter or longer than its English side by more than these factors, in letters",
    "repetition": "no word stands three times in a row, and no four words in a row come twice",
    "numbers": "the translation holds the numbers of the English side, each as often",
    "evaluation": "the prompt overlaps no question of an evaluation",
    "duplicate": "the prompt is new",
    "round_trip": "translated back, prompt and answer agree with the English by at least this chrF",
}
"""What an instruction has to be, in the order of the checks; thresholds stand in translate.yaml."""
_NUMBER = re.compile(r"\d+(?:[.,٫٬]\d+)*")
ARABIC = re.compile(r"[\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff]")


@dataclass(frozen=True)
class Translated:
    """An instruction and its answer in English and in Arabic; ``kind`` is the English prompt's source."""

    id: str
    kind: str
    english: tuple[str, str]
    arabic: tuple[str, str]


def judge(found: Sequence[Translated], limits: Mapping[str, float],
          evaluation: Mapping[str, Sequence[str]] | None = None, n: int | None = 13) -> dict[str, str]:  # fmt: skip
    """Id -> the first rule that turns it away, empty where none does; the round trip is not among these.

    limits: script, shortest and longest. evaluation and n: as `contamination.Index` takes them.
    """
    index, seen, verdicts = Index(evaluation or {}, n), set(), {}
    low, high = limits["shortest"], limits["longest"]
    for row in found:
        pairs = list(zip(row.english, row.arabic, strict=True))
        key = tuple(words(row.arabic[0]))
        checks: dict[str, Callable[[], bool]] = {
            "script": lambda row=row: all(script(text) >= limits["script"] for text in row.arabic),
            "length": lambda pairs=pairs: all(low <= ratio(*pair) <= high for pair in pairs),
            "repetition": lambda row=row: not any(map(repeats, row.arabic)),
            "numbers": lambda pairs=pairs: all(numbers(one) == numbers(two) for one, two in pairs),
            "evaluation": lambda row=row: index.overlap(row.arabic[0]) is None,
            "duplicate": lambda key=key: key not in seen,
        }  # fmt: skip
        verdicts[row.id] = next((name for name, passes in checks.items() if not passes()), "")
        if not verdicts[row.id]:
            seen.add(key)
    return verdicts


def agreement(english: str, back: str) -> float:
    """Sentence chrF2 (0 to 100) of a text translated there and back with the text itself."""
    import numpy

    return float(f_score(numpy.array(ngrams(back, english), dtype=float)))


def script(text: str) -> float:
    """Share of a text's letters that are Arabic; 1 for a text without letters, such as a worked sum."""
    letters = [letter for letter in text if letter.isalpha()]
    return sum(bool(ARABIC.match(letter)) for letter in letters) / len(letters) if letters else 1.0


def ratio(english: str, arabic: str) -> float:
    """Letters and digits of the translation for each one of the English side."""
    one, two = (sum(letter.isalnum() for letter in text) for text in (english, arabic))
    return two / one if one else float(two == 0)


def repeats(text: str) -> bool:
    """Whether a word stands three times in a row, or four words in a row come twice."""
    found = text.split()
    if any(found[i] == found[i + 1] == found[i + 2] for i in range(len(found) - 2)):
        return True
    grams = Counter(tuple(found[i : i + 4]) for i in range(len(found) - 3))
    return any(count > 1 for count in grams.values())


def numbers(text: str) -> Counter[str]:
    """A text's numbers, Arabic-Indic digits as European ones, without separators of thousands."""
    digits = text.translate(str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789"))
    return Counter(re.sub(r"[.,٫٬]", "", number) for number in _NUMBER.findall(digits))

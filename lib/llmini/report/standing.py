"""Who is closest to the dense model and who farthest, as far as the 95 % intervals of KL to dense tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

from llmini.report import labels

if TYPE_CHECKING:
    from llmini.report.measured import Cell, Results

Z = 1.96  # standard errors on either side
Runs = Mapping[str, str]  # what a run is called in the sentence (an id) -> its run id


def interval(cell: Cell) -> tuple[float, float]:
    """Normal 95 % interval of one measurement; without a standard error the whole line: it excludes nothing."""
    if math.isnan(cell.stderr):
        return -math.inf, math.inf
    return cell.value - Z * cell.stderr, cell.value + Z * cell.stderr


def meet(one: Cell, other: Cell) -> bool:
    """Whether two intervals share a point: then which value is larger cannot be told."""
    (low, high), (below, above) = interval(one), interval(other)
    return low <= above and below <= high


def order(results: Results, runs: Runs, code: str) -> list[str]:
    """The names from the closest to the dense model to the farthest, on text of one language; the measured ones."""
    cells = {name: results.divergence(run, code).value for name, run in runs.items()}
    return sorted((name for name, value in cells.items() if not math.isnan(value)), key=cells.get)


def end(results: Results, runs: Runs, code: str, far: bool) -> list[str]:
    """The closest (farthest) name, then those whose intervals meet its own; a list of one where it stands clear."""
    names = order(results, runs, code)[:: -1 if far else 1]
    cells = {name: results.divergence(runs[name], code) for name in names}
    return [name for name in names if meet(cells[name], cells[names[0]])]


def ends(results: Results, runs: Runs, write: Callable[[str], str], arabic: Callable[[str], str]) -> tuple[str, str]:
    """``closest to the dense model: in both languages A; farthest from it: in Arabic B, in English B or C (their
    intervals meet)``, and the same in Arabic. ``write`` and ``arabic`` put a name into a sentence of each language.
    """
    english, own = [], []
    for far, words, arabic_words in ((False, "closest to the dense model", "الأقرب إلى النموذج الأصلي"),
                                     (True, "farthest from it", "الأبعد عنه")):  # fmt: skip
        found = {code: end(results, runs, code, far) for code in labels.SUITES}
        blurred = {code: set(names) == set(end(results, runs, code, not far)) for code, names in found.items()}
        sides = {code: "cannot be told" if blurred[code] else either(list(map(write, names)))
                 for code, names in found.items()}  # fmt: skip
        other = {code: "لا يتبيّن" if blurred[code] else arabic_either(list(map(arabic, names)))
                 for code, names in found.items()}  # fmt: skip
        same = sides["ar"] == sides["en"]
        english.append(f"{words}: in both languages {sides['ar']}" if same else
                       f"{words}: in Arabic {sides['ar']}, in English {sides['en']}")  # fmt: skip
        own.append(f"{arabic_words}: {other['ar']} في اللغتين" if same else
                   f"{arabic_words}: {other['ar']} في العربية، و{other['en']} في الإنجليزية")  # fmt: skip
    return "; ".join(english), "؛ و".join(own)


def either(names: list[str]) -> str:
    """``A``, or ``A, B or C (their intervals meet)``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]} (their intervals meet)"


def arabic_either(names: list[str]) -> str:
    """``A``, or ``A أو B (فترتاهما متداخلتان)``, of more than two ``(فتراتها متداخلة)``."""
    if len(names) == 1:
        return names[0]
    return f"{' أو '.join(names)} ({'فترتاهما متداخلتان' if len(names) == 2 else 'فتراتها متداخلة'})"


def ranks(results: Results, runs: Runs, code: str) -> list[tuple[str, bool]]:
    """Names by rising distance, each with whether its interval meets that of the name before it."""
    names = order(results, runs, code)
    cells = [results.divergence(runs[name], code) for name in names]
    level = [False, *(meet(before, after) for before, after in pairwise(cells))]
    return list(zip(names, level[: len(names)], strict=True))


def ranking(results: Results, runs: Runs, write: Callable[[str], str], arabic: Callable[[str], str]) -> tuple[str, str]:
    """``in Arabic A level with B, then C; in English …``, level where neighbours' intervals meet; and in Arabic."""
    english, own = {}, {}
    for code in labels.SUITES:
        found = ranks(results, runs, code)
        joined = [("" if not place else " level with " if level else ", then ") + write(name)
                  for place, (name, level) in enumerate(found)]  # fmt: skip
        other = [("" if not place else " ومعه " if level else " ثم ") + arabic(name)
                 for place, (name, level) in enumerate(found)]  # fmt: skip
        english[code], own[code] = "".join(joined) or "none", "".join(other) or "لا شيء"
    if english["ar"] == english["en"]:
        return f"in both languages {english['ar']}", f"{own['ar']} في اللغتين"
    return (f"in Arabic {english['ar']}; in English {english['en']}",
            f"{own['ar']} في العربية، و{own['en']} في الإنجليزية")  # fmt: skip

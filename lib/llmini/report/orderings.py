"""What the numbers should show if the methods work as published: each statement with its numbers and its outcome."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from llmini.report import labels, standing
from llmini.report.display import frame, number
from llmini.report.sentences import name

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

HOLDS, LEVEL, FAILS, UNKNOWN = "holds", "level", "does not hold", "not measured"


class Ordering(NamedTuple):
    """KL-to-dense of ``runs`` rises from each to the next; ``expected``: a stated ordering, not one just looked at.

    ``arabic`` is the statement in Arabic, as HTML."""

    statement: str
    arabic: str
    runs: tuple[str | None, ...]
    expected: bool = True


def orderings(results: Results, model: str = "allam_7b") -> Iterator[Ordering]:
    """The statements about ``model``, each to be judged in both languages."""
    four = results.run(model, "w4a16")
    for method in ("int8", "w8a16", "w8a8"):
        yield Ordering(f"{labels.method(method)} is closer to dense than W4A16",
                       f"{name(method)} أقرب إلى الأصل من {name('w4a16')}", (results.run(model, method), four))
    yield Ordering("W4A16 is closer to dense than rounding to nearest",
                   f"{name('w4a16')} أقرب إلى الأصل من التقريب وحده", (four, results.run(model, "w4a16_rtn")))
    for method in labels.PRUNE:
        runs = tuple(results.run(model, method, sparsity=share) for share in (0.5, 0.6, 0.7))
        yield Ordering(f"{labels.method(method)}: 50 % is closer to dense than 60 %, and 60 % than 70 %",
                       f"{name(method)} عند 50% أقرب إلى الأصل منها عند 60%، وعند 60% أقرب منها عند 70%", runs)
    for planted, words, arabic in ((False, "as trained", "كما دُرّب النموذج"),
                                   (True, "with outliers", "بعد زرع القيم الشاذة")):  # fmt: skip
        sparse, wanda, magnitude = (results.run(model, method, outliers=planted) for method in labels.PRUNE)
        yield Ordering(f"SparseGPT is closer to dense than Wanda, {words}",
                       f"{name('sparsegpt')} أقرب إلى الأصل من {name('wanda')} {arabic}", (sparse, wanda),
                       expected=not planted)  # fmt: skip
        yield Ordering(f"Wanda is closer to dense than magnitude, {words}",
                       f"{name('wanda')} أقرب إلى الأصل من {name('magnitude')} {arabic}", (wanda, magnitude),
                       expected=False)  # fmt: skip


def judge(results: Results, ordering: Ordering, code: str) -> tuple[str, str]:
    """The numbers of one ordering in one language (``0.0007, 0.0227``) and whether they rise.

    Level where the 95 % intervals of two neighbours meet, whichever is larger, and none falls clearly.
    """
    cells = [results.divergence(run, code) for run in ordering.runs]
    text = ", ".join(number(cell.value, 4) for cell in cells)
    if any(cell.value != cell.value for cell in cells):
        return text, UNKNOWN
    steps = list(itertools.pairwise(cells))
    level = [standing.meet(*step) for step in steps]
    if any(first.value >= second.value and not same for (first, second), same in zip(steps, level, strict=True)):
        return text, FAILS
    return text, LEVEL if any(level) else HOLDS


def table(results: Results, model: str = "allam_7b") -> pandas.DataFrame:
    """Every ordering by KL to dense, its numbers, and whether it holds."""
    rows = []
    for ordering in orderings(results, model):
        row = {"statement": ordering.statement, "kind": "expected" if ordering.expected else "observed"}
        for code in labels.SUITES:
            name = labels.LANGUAGES[code]
            row[(name, "KL, in the statement's order")], row[(name, "outcome")] = judge(results, ordering, code)
        rows.append(row)
    note = ("KL to dense in nats a token, lower is closer; level: 95 % intervals meet. Expected: the orderings that "
            "this project set out to find again; observed: looked at without expectation.")  # fmt: skip
    title = f"Orderings, {labels.model(model, results.tier)}, {labels.tier(results.tier)}"
    return frame(rows, ["kind", "statement"], title, note)

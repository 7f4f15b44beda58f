"""What the study claims of distillation, beside what was measured here, with a verdict by rule.

A verdict reads a 95 % interval: *confirmed* where all of it agrees with the claim, *not confirmed* where all of it
disagrees, and otherwise *cannot be told at this size*.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from llmini.report import labels, learning_paired, learning_runs, reported
from llmini.report.display import frame, number, signed, span
from llmini.report.learning_tables import printed

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

CONFIRMED, REFUTED, UNKNOWN, ABSENT = "confirmed", "not confirmed", "cannot be told at this size", "not measured"
MARGIN = 100 / 30  # points: one of the study's 30 questions, the least difference that it could see
PERPLEXITY = 3.0  # percent: what the study's perplexities move at most (Table 16, SelecTKD)
STUDY, HERE = "The study", "Asked here"


class Part(NamedTuple):
    """One measurement that a claim rests on: its words and its verdict."""

    text: str
    verdict: str


class Claim(NamedTuple):
    """A claim, the tables it stands in, what they print, and what it rests on here."""

    of: str
    statement: str
    source: str
    printed: str
    parts: list[Part]

    @property
    def verdict(self) -> str:
        """The least favourable of the parts' verdicts."""
        found = {part.verdict for part in self.parts}
        return next(word for word in (REFUTED, ABSENT, UNKNOWN, CONFIRMED) if word in found or word == CONFIRMED)

    @property
    def measured(self) -> str:
        """The parts in words; of many, those that decide."""
        parts = self.parts if len(self.parts) <= 3 else [part for part in self.parts if part.verdict == self.verdict]
        return "; ".join(part.text for part in parts[:3]) + ("; …" if len(parts) > 3 else "")


def rises(cell: dict[str, float]) -> str:
    """Verdict on "this difference is above zero"."""
    if math.isnan(cell["low"]):
        return ABSENT
    return CONFIRMED if cell["low"] > 0 else REFUTED if cell["high"] < 0 else UNKNOWN


def falls(cell: dict[str, float]) -> str:
    """Verdict on "this difference is below zero"."""
    return rises({"low": -cell["high"], "high": -cell["low"]})


def same(cell: dict[str, float]) -> str:
    """Verdict on "no difference": within the margin it is, away from zero it is not."""
    if math.isnan(cell["low"]):
        return ABSENT
    if cell["low"] > -MARGIN and cell["high"] < MARGIN:
        return CONFIRMED
    return REFUTED if cell["low"] > 0 or cell["high"] < 0 else UNKNOWN


def keeps(cell: dict[str, float]) -> str:
    """Verdict on "nothing is lost": at most the margin is."""
    if math.isnan(cell["low"]):
        return ABSENT
    return CONFIRMED if cell["low"] > -MARGIN else REFUTED if cell["high"] < 0 else UNKNOWN


class Book:
    """Differences between the stages of one results table, as parts of claims."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def pairs(self, first: str, second: str, metric: str, language: str, rule: Callable, words: str) -> Part:
        """A behaviour metric of stage ``second`` against ``first``."""
        facing = learning_runs.facing(*(learning_runs.find(self.results, stage, behaviour=True)
                                        for stage in (first, second)))  # fmt: skip
        cell = learning_paired.behaviours(self.results, facing, metric, language)
        return Part(f"{words} {span(cell, sign=True)}", rule(cell))

    def scores(self, first: str, second: str, side: str, rule: Callable, words: str = "") -> Part:
        """Benchmark accuracy of stage ``second`` against ``first``."""
        facing = learning_runs.facing(*(learning_runs.find(self.results, stage) for stage in (first, second)))
        cell = learning_paired.scores(self.results, facing, side)
        return Part(f"{words} {span(cell, sign=True)}".strip(), rule(cell))


def claims(results: Results) -> list[Claim]:
    """Every claim, of the study first."""
    book = Book(results)
    return [*_gap(book), *_accuracy(book), *_settings(book), *_here(book)]


def _printed(number: int, first: str, second: str, digits: int = 1, **where: str) -> str:
    """``23.4 to 6.7`` from a table as printed."""
    values = (printed(number, stage, **where) for stage in (first, second))
    return " to ".join(f"{value:.{digits}f}" for value in values)


def _gap(book: Book) -> Iterator[Claim]:
    lpg, clcs = {"metric": "lpg"}, {"metric": "clcs"}
    for stage in ("sft_kd", "seq_kd"):
        yield Claim(STUDY, f"{labels.method(stage)} narrows the gap between the languages", "Table 15",
                    f"LPG {_printed(15, 'base', stage, **lpg)}",
                    [book.pairs("base", stage, "lpg_abs", "", falls, "|LPG|")])  # fmt: skip
    sides = [("acc", "en", "EN"), ("acc", "ar", "AR"), ("lpg", "", "LPG")]
    where = ({"metric": "accuracy" if metric == "acc" else metric, "language": code or "en_ar"}
             for metric, code, _ in sides)  # fmt: skip
    yield Claim(STUDY, "Token-KD equals the base", "Table 15; its code took the base for the teacher (a07)",
                "; ".join(f"{words} {_printed(15, 'base', 'token_kd', **place)}"
                          for place, (*_, words) in zip(where, sides, strict=True)),
                [book.pairs("base", "token_kd", *key, same, words) for *key, words in sides])  # fmt: skip
    runs = list(learning_runs.find(book.results, "selectkd", behaviour=True).values())
    cell = learning_paired.level(book.results, runs, "lpg")
    yield Claim(STUDY, "SelecTKD brings the gap to zero and keeps the English", "Table 15; 13.3 in Table 17",
                f"LPG {printed(15, 'selectkd', **lpg):.1f}; EN "
                f"{_printed(15, 'base', 'selectkd', metric='accuracy', language='en')}",
                [Part(f"LPG {span(cell, sign=True)}", same(cell)),
                 book.pairs("base", "selectkd", "acc", "en", keeps, "EN")])  # fmt: skip
    others = [stage for stage in labels.STAGES if stage != "selectkd"]
    yield Claim(STUDY, "SelecTKD has the smallest gap and the highest CLCS of all stages", "Section 4.6, Table 15",
                f"LPG {printed(15, 'selectkd', **lpg):.1f}, CLCS {printed(15, 'selectkd', **clcs):.1f}",
                [book.pairs(stage, "selectkd", metric, "", rule, f"{words} against {labels.method(stage)}")
                 for metric, rule, words in (("lpg_abs", falls, "|LPG|"), ("clcs", rises, "CLCS"))
                 for stage in others])  # fmt: skip
    yield Claim(STUDY, "SelecTKD makes the languages agree more", "Table 15",
                f"CLCS {_printed(15, 'base', 'selectkd', **clcs)}",
                [book.pairs("base", "selectkd", "clcs", "", rises, "CLCS")])  # fmt: skip
    ece = {"metric": "ece", "language": "ar"}
    yield Claim(STUDY, "SFT and SelecTKD are better calibrated in Arabic", "Table 15",
                f"ECE {_printed(15, 'base', 'sft_kd', 2, **ece)} (SFT), {_printed(15, 'base', 'selectkd', 2, **ece)}",
                [book.pairs("base", stage, "ece", "ar", falls, f"ECE, {labels.method(stage)}")
                 for stage in ("sft_kd", "selectkd")])  # fmt: skip


def _accuracy(book: Book) -> Iterator[Claim]:
    arabic = {"metric": "accuracy", "language": "ar"}
    yield Claim(STUDY, "SelecTKD answers more of the Arabic pairs", "Table 15",
                f"AR {_printed(15, 'base', 'selectkd', **arabic)}",
                [book.pairs("base", "selectkd", "acc", "ar", rises, "AR")])  # fmt: skip
    yield Claim(STUDY, "Token-KD and SelecTKD leave English benchmarks as they were", "Table 12, section 4.4.1.1",
                f"MMLU {_printed(12, 'base', 'token_kd', benchmark='mmlu')} and "
                f"{printed(12, 'selectkd', benchmark='mmlu'):.1f}",
                [book.scores("base", stage, "en", same, labels.method(stage))
                 for stage in ("token_kd", "selectkd")])  # fmt: skip
    yield Claim(STUDY, "SelecTKD lowers ArabicMMLU", "Table 12, n = 100",
                f"{_printed(12, 'base', 'selectkd', benchmark='arabic_mmlu')}",
                [book.scores("base", "selectkd", "ar", falls)])  # fmt: skip
    yield Claim(STUDY, "SFT raises GSM8K", f"Table 12; {printed(23, 'sft_kd', benchmark='gsm8k'):.0f} in Table 23",
                f"{_printed(12, 'base', 'sft_kd', benchmark='gsm8k')}",
                [book.scores("base", "sft_kd", "gsm8k", rises)])  # fmt: skip
    yield Claim(STUDY, "SelecTKD raises GSM8K", "Tables 12 and 23",
                f"{_printed(12, 'base', 'selectkd', benchmark='gsm8k')}",
                [book.scores("base", "selectkd", "gsm8k", rises)])  # fmt: skip
    yield Claim(STUDY, "Token-KD and SelecTKD hardly move perplexity", "Table 16",
                f"{_printed(16, 'base', 'token_kd', 2, metric='perplexity')} and "
                f"{printed(16, 'selectkd', metric='perplexity'):.2f}",
                [_perplexity(book.results, stage, code) for stage in ("token_kd", "selectkd")
                 for code in labels.SUITES])  # fmt: skip


def _perplexity(results: Results, stage: str, code: str) -> Part:
    """Percent by which a stage moves perplexity, the seed that moves it most deciding."""
    facing = learning_runs.facing(*(learning_runs.find(results, name) for name in ("base", stage)))
    moves = [100 * (results.perplexity(run, code).value / results.perplexity(base, code).value - 1)
             for base, run in facing]  # fmt: skip
    most = max(moves, key=abs, default=math.nan)
    verdict = ABSENT if math.isnan(most) else CONFIRMED if abs(most) <= PERPLEXITY else REFUTED
    return Part(f"{labels.method(stage)}, {labels.LANGUAGES[code]} {signed(most)} %", verdict)


def _settings(book: Book) -> Iterator[Claim]:
    results, table = book.results, reported.load("table_18")
    twins = learning_runs.series(results, "selectkd", "theta", behaviour=True)
    gaps = {theta: reported.value(table, theta=theta, metric="lpg") for theta in sorted(set(table["theta"]))}
    best = min(gaps, key=gaps.get)
    others = [theta for theta in twins if theta != best]
    cells = {theta: learning_paired.behaviours(results, [(twins[theta], twins[best])], "lpg_abs")
             for theta in others if best in twins}  # fmt: skip
    parts = [Part(f"|LPG| against theta {theta:g} {span(cell, sign=True)}", falls(cell))
             for theta, cell in cells.items()]  # fmt: skip
    yield Claim(STUDY, f"theta {best:g} gives the smallest gap", "Table 18",
                ", ".join(f"{gap:.1f} at {theta:g}" for theta, gap in gaps.items()),
                parts or [Part(ABSENT, ABSENT)])  # fmt: skip
    shares = [reported.value(table, theta=theta, metric="ar_selected_percent") for theta in gaps]
    yield Claim(STUDY, "A lower threshold keeps more tokens", "Section 4.4.2; Table 18 has it otherwise",
                ", ".join(f"{share:g} % at {theta:g}" for share, theta in zip(shares, gaps, strict=True)),
                [_shares(results, twins, code) for code in labels.SUITES])  # fmt: skip
    yield Claim(STUDY, "Another seed changes nothing", "Table 17", "s.d. 0 over three seeds",
                [_deviation(results, stage) for stage in ("token_kd", "selectkd")])  # fmt: skip


def _shares(results: Results, twins: dict[float, str], code: str) -> Part:
    """Kept shares by rising theta: a count of the same tokens, which no sampling blurs."""
    shares = [learning_runs.kept(results, run, code) for run in twins.values()]
    text = ", ".join(number(share, 1) for share in shares)
    if len(shares) < 2 or any(math.isnan(share) for share in shares):
        return Part(f"{labels.LANGUAGES[code]} {ABSENT}", ABSENT)
    down = all(high >= low for high, low in itertools.pairwise(shares)) and shares[0] > shares[-1]
    return Part(f"{labels.LANGUAGES[code]} {text} %", CONFIRMED if down else REFUTED)


def _deviation(results: Results, stage: str) -> Part:
    runs = learning_runs.find(results, stage, behaviour=True).values()
    values = {words: [learning_paired.value(results, run, *key) for run in runs]
              for words, key in (("EN", ("acc", "en")), ("AR", ("acc", "ar")), ("LPG", ("lpg", "")))}  # fmt: skip
    if any(len(found) < 2 or any(map(math.isnan, found)) for found in values.values()):
        return Part(f"{labels.method(stage)} {ABSENT}", ABSENT)
    spread = {words: statistics.stdev(found) for words, found in values.items()}
    text = ", ".join(f"{words} {number(value, 1)}" for words, value in spread.items())
    return Part(f"{labels.method(stage)} s.d. {text}", CONFIRMED if not any(spread.values()) else REFUTED)


def _here(book: Book) -> Iterator[Claim]:
    for stage, control in labels.CONTROLS.items():
        yield Claim(HERE, f"{labels.method(stage)} is better than SFT that goes on for as many steps", "–", "–",
                    [book.scores(control, stage, "both", rises, "mean of the languages")])  # fmt: skip
    for stage, control in labels.CONTROLS.items():
        yield Claim(HERE, f"{labels.method(stage)} answers more of the pairs than SFT that goes on for as many steps",
                    "–", "–", [book.pairs(control, stage, "acc", "both", rises, "mean of the languages")])  # fmt: skip
    results, runs = book.results, learning_runs.rules(book.results)
    pairs = [(runs["random"], runs["confidence"])] if {"random", "confidence"} <= set(runs) else []
    cell = learning_paired.scores(results, pairs, "both")
    yield Claim(HERE, "Choosing tokens by confidence is better than by chance, at an equal share", "–", "–",
                [Part(f"mean of the languages {span(cell, sign=True)}", rises(cell))])  # fmt: skip


def table(results: Results) -> pandas.DataFrame:
    """Every claim with its verdict."""
    rows = [{"by": claim.of, "claim": claim.statement, "stands in": claim.source, "reported": claim.printed,
             "measured here": claim.measured, "verdict": claim.verdict} for claim in claims(results)]  # fmt: skip
    note = ("Measured: differences in points, mean over the training seeds, with 95 % intervals over items and seeds. "
            "Confirmed: the whole interval agrees; not confirmed: the whole interval disagrees. Equality holds where "
            f"the interval lies within {MARGIN:.1f} points, one of the study's 30 questions; perplexity within "
            f"{PERPLEXITY:g} %; shares and deviations are compared as they are.")  # fmt: skip
    return frame(rows, ["by", "claim"], f"The claims on distillation, {labels.tier(results.tier)}", note)

"""What the study claims of distillation, beside what was measured here, with a verdict by rule (:mod:`.verdict`)."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from llmini.report import labels, learning_paired, learning_runs, reported
from llmini.report.display import frame, number, signed, span
from llmini.report.learning_tables import printed
from llmini.report.verdict import (
    ABSENT,
    ASIDE,
    CONFIRMED,
    FLOOR,
    HERE,
    MARGIN,
    REFUTED,
    STUDY,
    UNKNOWN,
    Claim,
    Part,
    falls,
    keeps,
    rises,
    same,
)

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

__all__ = ["ABSENT", "ASIDE", "CONFIRMED", "FLOOR", "HERE", "MARGIN", "REFUTED", "STUDY", "UNKNOWN", "Claim", "Part",
           "claims", "falls", "keeps", "rises", "same", "table"]  # fmt: skip
PERPLEXITY = 3.0  # percent: what the study's perplexities move at most (Table 16, SelecTKD)


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

    def beside(self, stage: str, side: str) -> Part:
        """What a stage adds to SFT of as many steps: told beside a claim, whatever its verdict."""
        control = labels.CONTROLS[stage]
        facing = learning_runs.facing(*(learning_runs.find(self.results, name) for name in (control, stage)))
        cell = learning_paired.scores(self.results, facing, side)
        if math.isnan(cell["value"]):
            return Part("its step control was not run", ASIDE)
        seeds = " (one seed)" if cell["seeds"] == 1 else ""
        return Part(f"against {labels.method(control)}{seeds}, {span(cell, sign=True)}", ASIDE)


def claims(results: Results) -> list[Claim]:
    """Every claim, of the study first; judged once for these results."""
    if "_claims" not in results.__dict__:
        book = Book(results)
        results.__dict__["_claims"] = [*_gap(book), *_accuracy(book), *_settings(book), *_here(book)]
    return results.__dict__["_claims"]


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
                f"LPG {number(printed(15, 'selectkd', **lpg), 1)}; EN "
                f"{_printed(15, 'base', 'selectkd', metric='accuracy', language='en')}",
                [Part(f"LPG {span(cell, sign=True)}", same(cell)),
                 book.pairs("base", "selectkd", "acc", "en", keeps, "EN")])  # fmt: skip
    others = [stage for stage in labels.STAGES if stage != "selectkd"]
    yield Claim(STUDY, "SelecTKD has the smallest gap and the highest CLCS of all stages", "Section 4.6, Table 15",
                f"LPG {number(printed(15, 'selectkd', **lpg), 1)}, CLCS {number(printed(15, 'selectkd', **clcs), 1)}",
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
                f"{number(printed(12, 'selectkd', benchmark='mmlu'), 1)}",
                [book.scores("base", stage, "en", same, labels.method(stage))
                 for stage in ("token_kd", "selectkd")])  # fmt: skip
    yield Claim(STUDY, "SelecTKD lowers ArabicMMLU", "Table 12, n = 100",
                f"{_printed(12, 'base', 'selectkd', benchmark='arabic_mmlu')}",
                [book.scores("base", "selectkd", "ar", falls)])  # fmt: skip
    yield Claim(STUDY, "SFT raises GSM8K",
                f"Table 12; {number(printed(23, 'sft_kd', benchmark='gsm8k'), 0)} in Table 23",
                f"{_printed(12, 'base', 'sft_kd', benchmark='gsm8k')}",
                [book.scores("base", "sft_kd", "gsm8k", rises)])  # fmt: skip
    yield Claim(STUDY, "SelecTKD raises GSM8K", "Tables 12 and 23",
                f"{_printed(12, 'base', 'selectkd', benchmark='gsm8k')}",
                [book.scores("base", "selectkd", "gsm8k", rises), book.beside("selectkd", "gsm8k")])  # fmt: skip
    yield Claim(STUDY, "Token-KD and SelecTKD hardly move perplexity", "Table 16",
                f"{_printed(16, 'base', 'token_kd', 2, metric='perplexity')} and "
                f"{number(printed(16, 'selectkd', metric='perplexity'), 2)}",
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
                ", ".join(f"{number(gap, 1)} at {theta:g}" for theta, gap in gaps.items()),
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
    yield Claim(HERE, "SelecTKD raises GSM8K beyond SFT that goes on for as many steps", "–", "–",
                [book.scores(labels.CONTROLS["selectkd"], "selectkd", "gsm8k", rises)])  # fmt: skip
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
            f"the interval lies within {number(MARGIN, 1)} points, one of the study's 30 questions; perplexity within "
            f"{PERPLEXITY:g} % in the seed that moves it most; shares and deviations are compared as they are. What "
            "stands against a control is told beside the claim and decides nothing.")  # fmt: skip
    return frame(rows, ["by", "claim"], f"The claims on distillation, {labels.tier(results.tier)}", note)

"""What the study's published code does, what of it shows in the printed tables, and what it changes where measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmini.report import audit_conflicts, labels, learning_runs
from llmini.report.audit import load, rows
from llmini.report.audit_teaching import STAGES, behaviour
from llmini.report.display import frame, number

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

MAIN = "allam_7b"
CODE_PRESET, TEXT_PRESET = "as_published_code", "as_written"


def chance(english: float, arabic: float) -> float:
    """Percent of questions answered alike by two that know nothing of each other, from their accuracies (percent)."""
    p, q = english / 100, arabic / 100
    return 100 * (p * q + (1 - p) * (1 - q))


def agreement() -> dict[str, tuple[float, float, float]]:
    """Stage -> printed CLCS, the level of chance of its printed accuracies, and Cohen's kappa (Table 15)."""
    out = {}
    for stage in STAGES:
        told = behaviour(stage, "clcs")
        level = chance(*(behaviour(stage, "accuracy", code) for code in ("en", "ar")))
        out[stage] = (told, level, (told - level) / (100 - level))
    return out


def traces() -> dict[str, Callable[[], str]]:
    """Audit id -> what the printed tables show of it; most facts leave no trace there."""
    conflicts = audit_conflicts.conflicts()
    rates = sorted({str(row["learning_rate"]) for row in rows("table_03") if str(row["learning_rate"]) != "nan"})
    return {
        "a02": lambda: f"{conflicts['i41']().first} GB printed; with double quantization {conflicts['i41']().second}",
        "a07": lambda: "Token-KD equals the base in every figure of Table 15 but ECE and confidence"
        if conflicts["i17"]().found else "",
        "a10": lambda: f"Table 3 prints {' and '.join(rates)}",
        "a18": lambda: f"base: CLCS {number(agreement()['base'][0], 1)}, by chance {number(agreement()['base'][1], 1)}",
        "a20": lambda: f"Tables 15, 17 and 18 print {sum(len(load(f'table_{n}')) for n in (15, 17, 18))} such numbers",
    }  # fmt: skip


def measured(found: Results, learned: Results) -> dict[str, Callable[[], str]]:
    """Audit id -> what it changes where this project measured both ways."""

    def against(one: str, other: str) -> str:
        cells = [number(found.divergence(found.run(MAIN, method), code).value, 4)
                 for code in labels.SUITES for method in (one, other)]  # fmt: skip
        return (f"KL to dense, {labels.method(one)} against {labels.method(other)}: "
                f"Arabic {cells[0]} and {cells[1]}, English {cells[2]} and {cells[3]}")  # fmt: skip

    def windows() -> str:
        cells = [number(found.perplexity(found.run(MAIN, labels.DENSE), code, protocol).value)
                 for code in labels.SUITES for protocol in ("first", "")]  # fmt: skip
        return (f"dense perplexity of the first window and of all: Arabic {cells[0]} and {cells[1]}, "
                f"English {cells[2]} and {cells[3]}")  # fmt: skip

    def speed() -> str:
        value = found.cell(found.run(MAIN, labels.DENSE), "tokens_per_second").value
        return f"dense: {number(value, 0)} tokens a second" if value == value else ""

    def preset(name: str, stage: str) -> str:
        pairs = {key: learning_runs.find(learned, stage, preset=own).get(0) for key, own in (("", ""), (name, name))}
        cells = [number(learning_runs.score(learned, run, code).value, 1)
                 for code in labels.SUITES for run in pairs.values()]  # fmt: skip
        return (f"{labels.method(stage)}, accuracy here and so: Arabic {cells[0]} and {cells[1]}, "
                f"English {cells[2]} and {cells[3]}")  # fmt: skip

    def consistency() -> str:
        run = learning_runs.find(learned, labels.BASE, behaviour=True).get(None)
        told = [number(learning_runs.value(learned, run, name), digits)
                for name, digits in (("clcs", 1), ("clcs_chance", 1), ("clcs_kappa", 2))]  # fmt: skip
        return f"base: CLCS {told[0]}, by chance {told[1]}, kappa {told[2]}"

    code = dict.fromkeys(("a07", "a11", "a12"), lambda: preset(CODE_PRESET, "token_kd"))
    return {"a01": windows, "a02": lambda: against("int4_fp4", "int4"), "a03": lambda: against("w4a16_awq", "w4a16"),
            "a04": speed, "a09": lambda: preset(TEXT_PRESET, "seq_kd"), "a18": consistency, **code}  # fmt: skip


def table(found: Results, learned: Results) -> pandas.DataFrame:
    """``code_audit.csv`` with the trace of each fact in the printed tables and what it changes here."""
    shown, changed, out = traces(), measured(found, learned), []
    for row in load("code_audit").itertuples():
        trace = shown[row.id]() if row.id in shown else "–"
        out.append({"fact": row.id, "in the published code": row.fact, "so that": row.consequence,
                    "in the printed tables": trace or "–", "here": row.how_this_project_answers,
                    "measured both ways": changed[row.id]() if row.id in changed else "–"})  # fmt: skip
    note = ("Facts were read in the study's published code; data/reported/code_audit.csv names file and line. A dash: "
            "no table can show it, or one way alone was run here. Facts a07, a11 (without its padding) and a12 were "
            f"measured together, by one preset that has them all. Measured: {labels.tier(found.tier)}.")  # fmt: skip
    return frame(out, ["fact"], "What the published code does where it differs from the text", note)


def agreement_table() -> pandas.DataFrame:
    """Table 15's consistency beside what chance gives at its accuracies."""
    out = [{"stage": labels.method(stage), "CLCS as printed, %": told, "by chance, %": level, "kappa": kappa}
           for stage, (told, level, kappa) in agreement().items()]  # fmt: skip
    note = "Chance: both right or both wrong, for two that are independent and as accurate. Kappa: 0 is chance."
    digits = {"CLCS as printed, %": 1, "by chance, %": 1}
    return frame(out, ["stage"], "Consistency of Table 15 against chance", note, digits)


def double(results: Results) -> float:
    """KL of FP4 over KL of NF4, both languages together, on the main model; NaN unless both were measured."""
    totals = [sum(results.divergence(results.run(MAIN, method), code).value for code in labels.SUITES)
              for method in ("int4_fp4", "int4")]  # fmt: skip
    return totals[0] / totals[1] if totals[1] else math.nan



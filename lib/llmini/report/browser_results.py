"""The browser's forms of a model in the results: what each weighs, how fast it runs, and what the agents get right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from llmini.report import display, labels, measured, sentences
from llmini.report.browser import AGENTS, FORMS
from llmini.report.display import number
from llmini.report.measured import MB

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

FAMILIES = ("browser",)


def load(folder: str | Path = "data/results", tier: str = "pocket") -> Results:
    """The browser's runs of ``FOLDER/{tier}.csv``; as :func:`llmini.report.measured.load`."""
    return measured.load(folder, tier, FAMILIES)


def runs(results: Results) -> list[str]:
    """Ids of the runs, sorted."""
    return sorted(results.runs.index)


def speed(results: Results, run: str, form: str) -> float:
    """Tokens a second of a form in ONNX Runtime on one thread of this machine's CPU."""
    return results.cell(run, "tokens_per_second", "onnxruntime", form).value


def size(results: Results, run: str, form: str) -> float:
    """Bytes of a form's download."""
    return results.cell(run, "size_disk", "onnx", form).value


def forms_table(results: Results) -> pandas.DataFrame:
    """One line a form: download, its share of the dense one, tokens a second."""
    rows = []
    for run in runs(results):
        dense = size(results, run, "dense")
        for form, words in FORMS.items():
            found = size(results, run, form)
            if found == found:
                rows.append({"model": labels.model(results.runs.loc[run, "model"], results.tier), "form": words,
                             "download, MB": found / MB, "of dense, %": 100 * found / dense,
                             "tokens/s": speed(results, run, form)})  # fmt: skip
    note = ("Greedy decoding in ONNX Runtime on one thread of the machine that measured here, the runtime that ACAI "
            "uses in wasm; the browser itself is measured against wllama in benchmarks/RESULTS.md.")  # fmt: skip
    digits = {"of dense, %": 0, "tokens/s": 0}
    return display.frame(rows, ["model", "form"], f"Forms for the browser, {labels.tier(results.tier)}", note, digits)


def agents_table(results: Results) -> pandas.DataFrame:
    """Answers right to the letter by agent and language, percent, with standard errors."""
    rows = []
    for run in runs(results):
        for agent, arabic in AGENTS.items():
            cells = {code: results.cell(run, "acc", "acai_agents", agent, code) for code in ("ar", "en")}
            if any(cell.value == cell.value for cell in cells.values()):
                rows.append({"agent": f"{agent.title()} · {arabic}", **{
                    (labels.LANGUAGES[code], words): value
                    for code, cell in cells.items()
                    for words, value in (("right, %", cell.value), ("± s.e.", cell.stderr), ("n", cell.n))
                }})  # fmt: skip
    note = "The shipped model after W4A16, on facts that no training saw."
    return display.frame(rows, ["agent"], f"Agents, {labels.tier(results.tier)}", note, {"n": 0})


def answer(results: Results) -> display.Shown:
    """How much smaller the 4-bit download is and how fast it runs, in both languages."""
    for run in runs(results):
        dense, packed = (size(results, run, form) for form in ("dense", "q4dq"))
        fast = {form: speed(results, run, form) for form in ("dense", "q4dq")}
        if dense != dense or packed != packed or any(one != one for one in fast.values()):
            continue
        told = number(100 * packed / dense, 0), *(number(fast[form], 0) for form in ("q4dq", "dense"))
        return sentences.said(
            f"The 4-bit download for wasm is {told[0]} % of the dense one. In the same runtime it decodes {told[1]} "
            f"tokens a second against {told[2]}, since its integers are spread to fp32 as it is loaded.",
            f"حجم التنزيل بأربعة بتات لأجل <bdi>wasm</bdi> {told[0]}% من حجم الأصل. وسرعته في المحرّك نفسه {told[1]} "
            f"رمزًا في الثانية مقابل {told[2]}، لأنّ أعداده الصحيحة تُحوَّل عند التحميل إلى أعداد عشرية من 32 بت.",
        )
    return sentences.nothing()

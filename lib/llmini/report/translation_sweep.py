"""The sweep over t between a student and its tuned self: Arabic skill against general skill."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llmini.report import display, labels, learning_paired, learning_runs, measured, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmini.grid import Run
    from llmini.report.measured import Results

HUE = "#785EF0"
NORMAL = 1.96  # standard errors to each side of a 95 % interval


def find(results: Results, *methods: str) -> list[str]:
    """Run ids of these methods, in their order and by seed."""
    return [run for method in methods for run in results.select(method=method).sort_values("seed", kind="stable").index]


def interval(cell: measured.Cell) -> dict[str, float]:
    """A value with its 95 % interval from its standard error."""
    reach = NORMAL * cell.stderr
    return {"value": cell.value, "low": cell.value - reach, "high": cell.value + reach}


def sweep(results: Results) -> dict[float, dict[str, dict[str, Any]]]:
    """t -> language -> benchmark accuracy with its interval (mean over seeds), ``change`` from the base, and ``pairs``,
    the accuracy on the questions that stand in both languages."""
    found: dict[float, list[str]] = {}
    for row in results.rows[results.rows["method"] == "slerp"].drop_duplicates("run_id").itertuples():
        found.setdefault(float(json.loads(row.params)["t"]), []).append(row.run_id)
    base = next(iter(find(results, "base")), None)
    out: dict[float, dict[str, dict[str, Any]]] = {}
    for t, runs in sorted(found.items()):
        out[t] = {}
        for code in labels.SUITES:
            cells = [learning_runs.score(results, run, code) for run in runs]
            mean = measured.Cell(*(statistics.fmean(values) for values in zip(*cells, strict=True)))
            differences = learning_paired.scores(results, [(base, run) for run in runs] if base else [], code)
            pairs = [results.cell(run, "acc", "pairs", "mean", code).value for run in runs]
            out[t][code] = {**interval(mean), "change": differences, "pairs": statistics.fmean(pairs)}
    return out


def sweep_table(results: Results, runs: Sequence[Run]) -> display.Shown:
    """Arabic and general skill by t, and how many tensors lay too close for an arc."""
    rows = []
    for t, cells in sweep(results).items():
        row: dict[Any, Any] = {"t": f"{t:g}"}
        for code, words in (("ar", "Arabic: ArabicMMLU"), ("en", "General: metabench")):
            row[(words, "accuracy, %")] = display.span(cells[code])
            row[(words, "against t = 0")] = display.span(cells[code]["change"], sign=True, missing="–") if t else "–"
        for code, cell in cells.items():
            row[("Pairs, %", code)] = cell["pairs"]
        run = next(run for run in runs if run.method == "slerp" and run.options["t"] == t)
        note = run.folder / "checkpoint" / "merge.json"
        counts = json.loads(note.read_text(encoding="utf8"))["tensors"] if note.is_file() else {}
        for how, words in (("slerp", "on the arc"), ("lerp", "on the straight line"), ("copy", "copied")):
            row[("Tensors", words)] = counts.get(how, math.nan)
        rows.append(row)
    note = ("slerp from the student (t = 0) to itself tuned on translated instructions (t = 1). Accuracy with its 95 % "
            "interval; against t = 0: paired bootstrap over items. Tensors whose |cos| is above 0.9995 lie so close "
            "that slerp is lerp there. At the ends the weights are the parents' bit for bit, so they are measured "
            "once. Pairs: accuracy on the questions that stand in both languages, arithmetic among them.")  # fmt: skip
    digits = dict.fromkeys(("on the arc", "on the straight line", "copied"), 0) | dict.fromkeys(labels.SUITES, 1)
    return display.show(display.frame(rows, ["t"], f"Merging, {labels.tier(results.tier)}", note, digits, "–"))


@style.styled
def figure(results: Results) -> Figure:
    """Arabic and English accuracy by t with their intervals, and their paired differences from t = 0."""
    found = sweep(results)
    canvas, axes = style.canvas(1, 2, (9.6, 4.2))
    for panel, words, part in zip(axes[0], ("accuracy, %\nالدقة", "change from t = 0, points\nالتغيّر بالنقاط"),
                                  ("", "change"), strict=True):  # fmt: skip
        if not found:
            style.absent(panel)
            continue
        for code in labels.SUITES:
            cells = {t: cells[code][part] if part else cells[code] for t, cells in found.items()}
            _line(panel, {t: cell if t or not part else {"value": 0.0, "low": math.nan, "high": math.nan}
                          for t, cell in cells.items()}, code)  # fmt: skip
        panel.set(xlabel="t", ylabel=words, xticks=list(found))
        if part:
            panel.axhline(0, color="#000000", linewidth=0.9, zorder=1)
    student = next(iter(results.runs[results.runs["method"] == "base"]["model"]), "qwen2_5_7b_instruct")
    style.words(canvas, "What does merging trade?", "بمَ يُبادل الدمج؟",
                f"{labels.tier(results.tier).capitalize()}, {labels.model(student, results.tier)}. slerp from the "
                "student (t = 0) to itself tuned on instructions that the small translator put into Arabic (t = 1). "
                "Arabic: ArabicMMLU; English: metabench. Bars: 95 % intervals, on the right paired over the items.",
                [(0.5, style.languages(), 2)])  # fmt: skip
    return canvas


def _line(panel: Axes, cells: dict[float, dict[str, float]], code: str) -> None:
    shift = {"ar": -0.008, "en": 0.008}[code]
    panel.plot([t + shift for t in cells], [cell["value"] for cell in cells.values()], color=HUE, linewidth=1.2,
               linestyle={"ar": "-", "en": "--"}[code], zorder=2)  # fmt: skip
    for t, cell in cells.items():
        if not math.isnan(cell["low"]):
            panel.plot([t + shift] * 2, [cell["low"], cell["high"]], color=HUE, linewidth=1.0, alpha=0.7, zorder=2)
        panel.plot([t + shift], [cell["value"]], marker=style.LANGUAGE_MARKERS[code], color=HUE, linestyle="none",
                   zorder=3)  # fmt: skip

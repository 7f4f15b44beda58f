"""Translate, tune and merge: what FP8 costs a translating teacher, what its pupil learns, and the sweep over t."""

from __future__ import annotations

import json
import math
import statistics
from typing import TYPE_CHECKING, Any

from llmini.report import finetuning_paired, labels, learning_runs, style
from llmini.report.display import frame, number
from llmini.report.finetuning_paired import GENERAL
from llmini.report.learning_tables import average, spread
from llmini.report.sentences import nothing, said

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from llmini.report.display import Shown
    from llmini.report.measured import Results

TRANSLATORS = {"teacher": "Teacher, dense", "fp8": "Teacher, FP8", "translator_base": "Translator, before",
               "translator": "Translator, tuned"}  # fmt: skip
SIDES = {skill: finetuning_paired.SUITES[skill.benchmark] for skill in GENERAL}
HUE = "#785EF0"


def runs(results: Results, method: str) -> list[str]:
    """Run ids of a method of the merge family."""
    found = whole(results)
    return list(dict.fromkeys(found.loc[found["method"] == method, "run_id"]))


def whole(results: Results) -> pandas.DataFrame:
    """Measurements of the merge family, without the runs that used but a share of the pairs."""
    found = results.rows[results.rows["family"] == "merge"]
    return found[~found["params"].astype(str).str.contains('"share"')]


def translators_table(results: Results) -> pandas.DataFrame:
    """chrF of each direction, KL to the dense teacher and speed of those that translate."""
    rows, found = [], whole(results)
    found = found[found["metric"] == "chrf"]
    sides = list(dict.fromkeys((row.task, row.language) for row in found.itertuples()))
    first = average([results.cell(run, "tokens_per_second").value for run in runs(results, "teacher")])
    for method, words in TRANSLATORS.items():
        own = runs(results, method)
        row: dict[Any, Any] = {"model": words}
        for task, language in sides:
            part = found[found["run_id"].isin(own) & (found["task"] == task) & (found["language"] == language)]
            row[f"chrF, {task.replace('_', ' to ') or language}"] = average(list(part["value"].astype(float)))
        speed = average([results.cell(run, "tokens_per_second").value for run in own])
        kl = average([results.cell(run, "kl_to_dense").value for run in own])
        row |= {"KL to dense": kl if method == "fp8" else "–", "tokens per second": speed,
                "speed, times the teacher's": speed / first if first else math.nan}  # fmt: skip
        rows.append(row)
    note = ("chrF: 0 to 100, against reference translations. KL in nats a token. Speed is of the machine that measured "
            "here; where the runtime expands FP8 weights, there is none.")  # fmt: skip
    return frame(rows, ["model"], f"Who translates, {labels.tier(results.tier)}", note,
                 {"KL to dense": 4, "tokens per second": 0})  # fmt: skip


def sweep(results: Results) -> dict[float, dict[str, list[float]]]:
    """t -> language -> benchmark means of the merged models, percent, one for a seed."""
    out: dict[float, dict[str, list[float]]] = {}
    heads = whole(results)
    for row in heads[heads["method"] == "slerp"].drop_duplicates("run_id").itertuples():
        cells = out.setdefault(float(json.loads(row.params)["t"]), {code: [] for code in SIDES.values()})
        for skill, code in SIDES.items():
            cells[code] += finetuning_paired.known([finetuning_paired.score(results, row.run_id, skill).value])
    return dict(sorted(out.items()))


def sweep_table(results: Results) -> pandas.DataFrame:
    """Arabic and general skill of the merged models by t."""
    rows = []
    for t, cells in sweep(results).items():
        row: dict[Any, Any] = {"t": f"{t:g}"}
        for skill, code in SIDES.items():
            lone = "–" if len(cells[code]) == 1 else spread(cells[code])
            row |= {(skill.words, "accuracy, %"): average(cells[code]), (skill.words, "s.d."): lone}
        rows.append({**row, ("Runs", "merged"): max(map(len, cells.values()))})
    rows = rows or [{"t": "none", ("Runs", "merged"): math.nan}]
    note = "slerp from one parent (t = 0) to the other (t = 1), tensor by tensor. Means over the seeds."
    return frame(rows, ["t"], f"Merging, {labels.tier(results.tier)}", note, {"accuracy, %": 1, "merged": 0})


@style.styled
def sweep_figure(results: Results) -> Figure:
    """Arabic skill against general skill along t, and each by t."""
    found = sweep(results)
    figure, axes = style.canvas(1, 2, (9.6, 4.4))
    left, right = axes[0]
    middle = {t: {code: average(values) for code, values in cells.items()} for t, cells in found.items()}
    middle = {t: cells for t, cells in middle.items() if not any(map(math.isnan, cells.values()))}
    for panel in (left, right) if not middle else ():
        style.absent(panel)
    if middle:
        left.plot([cells["en"] for cells in middle.values()], [cells["ar"] for cells in middle.values()], color=HUE,
                  linewidth=1.2, zorder=1)  # fmt: skip
        for t, cells in middle.items():
            left.plot([cells["en"]], [cells["ar"]], marker="o", color=HUE, linestyle="none", zorder=2)
            left.annotate(f"t = {t:g}", (cells["en"], cells["ar"]), xytext=(6, 5), textcoords="offset points",
                          fontsize=7.5, color=style.GREY)  # fmt: skip
        left.margins(0.14)
        left.set(xlabel="metabench, %\nالمعرفة بالإنجليزية", ylabel="ArabicMMLU, %\nالمعرفة بالعربية")
        for code, line in (("ar", "-"), ("en", "--")):
            right.plot(list(middle), [cells[code] for cells in middle.values()], color=style.GREY, linestyle=line,
                       linewidth=1.2, zorder=1)  # fmt: skip
            for t in middle:
                for value in found[t][code]:
                    right.plot([t], [value], marker=style.LANGUAGE_MARKERS[code], color=HUE, linestyle="none", zorder=2)
        right.set(xlabel="t", ylabel="accuracy, %\nالدقة")
    style.words(figure, "What does merging trade?", "بمَ يُبادل الدمج؟",
                f"{labels.tier(results.tier).capitalize()}, {learning_runs.student(results)}. slerp from the "
                "student (t = 0) to itself tuned on translated instructions (t = 1); every seed a point.",
                [(0.5, style.languages(), 2)])  # fmt: skip
    return figure


def sweep_answer(results: Results) -> Shown:
    """Which t is best by the mean of both skills, and whether it passes both ends."""
    means = {t: [average(values) for values in cells.values()] for t, cells in sweep(results).items()}
    means = {t: statistics.fmean(values) for t, values in means.items() if not any(map(math.isnan, values))}
    if not {0.0, 1.0} <= set(means) or len(means) < 3:
        return nothing()
    best, ends = max(means, key=means.get), [means[t] for t in (0.0, 1.0)]
    over = means[best] - max(ends)
    value, above = number(means[best], 1), number(over, 1)
    english = (f"which is {above} points above the better end" if 0 < best < 1
               else "which is an end: no merged model passes both parents")  # fmt: skip
    arabic = (f"وهو فوق أفضل الطرفين بمقدار {above} نقطة" if 0 < best < 1
              else "وهي أحد الطرفين، فلا يتقدّم نموذج مدموج على أبويه كليهما")  # fmt: skip
    return said(f"By the mean of ArabicMMLU and metabench the best merge is at t = {best:g}, at {value} %, {english}. "
                "The two parents are t = 0 and t = 1.",
                f"أفضل قيمة بمتوسط الاختبارين: <bdi>t = {best:g}</bdi>، والمتوسط عندها {value}%، {arabic}. والطرفان "
                "هما النموذجان الأصليان قبل الدمج.")  # fmt: skip

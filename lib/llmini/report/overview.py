"""What an experiment notebook shows of its own runs: a table, a figure and an answer, in both languages."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmini.records import read_all
from llmini.report import display, labels, measured, paired, sentences, standing, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from llmini.grid import Run
    from llmini.report.measured import Results


def results(tier: str, runs: Iterable[Run]) -> Results:
    """The records of ``runs``. Raises UserError when one is missing."""
    table, items, _ = read_all({run.folder for run in runs})
    return measured.build(table, items, tier)


def name(results: Results, run: str) -> str:
    """A run's method and what else tells it from its siblings: ``SparseGPT, 70 %``, ``W4A16 (GPTQ), Arabic``."""
    line, among = results.runs.loc[run], results.runs[results.runs["method"] == results.runs.at[run, "method"]]
    words = [labels.method(line["method"])]
    if line["mask"] != "0:0":
        words.append(line["mask"])
    elif among["sparsity"].nunique() > 1:
        words.append(f"{100 * line['sparsity']:g} %")
    if among["calibration"].nunique() > 1:
        words.append(labels.LANGUAGES[line["calibration"]])
    if among["seed"].nunique() > 1:
        words.append(f"seed {line['seed']}")
    return ", ".join(words)


def ordered(results: Results) -> list[str]:
    """Run ids: the dense baseline first, then by method, sparsity, calibration language and seed."""
    rank = {method: place for place, method in enumerate(labels.METHODS)}
    runs = results.runs.assign(place=results.runs["method"].map(rank))
    return list(runs.sort_values(["place", "sparsity", "mask", "calibration", "seed"]).index)


def table(results: Results) -> display.Shown:
    """Size, perplexity, accuracy and KL to dense of each run, per language."""
    rows = []
    for run in ordered(results):
        packed = results.cell(run, "size_packed").value / measured.MB
        row = {"method": name(results, run), ("Size", "packed, MB"): packed,
               ("Size", "disk, MB"): results.cell(run, "size_disk").value / measured.MB}  # fmt: skip
        for code in ("ar", "en"):
            group = labels.LANGUAGES[code]
            row |= {(group, "accuracy, %"): results.mean(run, code).value,
                    (group, "perplexity"): results.perplexity(run, code).value,
                    (group, "KL to dense"): results.divergence(run, code).value}  # fmt: skip
        rows.append(row)
    model = labels.model(results.models()[0], results.tier)
    shown = display.frame(rows, ["method"], f"{model}, {labels.tier(results.tier)}", missing="–",
                          digits={"accuracy, %": 1, "KL to dense": 4})  # fmt: skip
    return display.show(shown)


@style.styled
def figure(results: Results) -> Figure:
    """Accuracy lost and KL to dense, one line a run, Arabic above English in each line."""
    runs = [run for run in ordered(results) if results.runs.at[run, "method"] != labels.DENSE]
    figure, axes = style.canvas(1, 2, (9.6, 1.9 + 0.34 * max(len(runs), 3)), sharey=True)
    for line, run in enumerate(runs):
        method = results.runs.at[run, "method"]
        for code, shift in (("ar", -0.16), ("en", 0.16)):
            look = {"model": results.runs.at[run, "model"], "method": method, "solid": True,
                    "marker": style.LANGUAGE_MARKERS[code]}
            lost = paired.damage(results, run, code)
            style.point(axes[0][0], lost["diff"], line + shift, low=lost["low"], high=lost["high"], **look)
            style.point(axes[0][1], results.divergence(run, code).value, line + shift, **look)
    axes[0][0].axvline(0, color="#000000", linewidth=0.9, zorder=1)
    axes[0][0].set_yticks(range(len(runs)), [name(results, run) for run in runs])
    axes[0][0].set_ylim(len(runs) - 0.5, -0.5)
    axes[0][0].set_xlabel("accuracy against dense, points\nفرق الدقة عن النموذج الأصلي بالنقاط")
    axes[0][1].set_xlabel("KL to dense, nats per token\nتباعد التوزيع عن النموذج الأصلي لكل رمز")
    values = [results.divergence(run, code).value for run in runs for code in ("ar", "en")]
    if values and min(values) > 0:
        axes[0][1].set_xscale("log")
    marks = style.languages()
    axes[0][1].legend(handles=marks, loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.5 / max(len(runs), 3)), ncols=2)
    style.words(figure, "What each method costs, in Arabic and in English", "ما تكلّفه كلّ طريقة بالعربية والإنجليزية",
                f"{labels.model(results.models()[0], results.tier)}, {labels.tier(results.tier)}. Bars: 95 % paired "
                "bootstrap intervals over items.")  # fmt: skip
    return figure


def answer(results: Results) -> display.Shown:
    """From the numbers: which runs stay closest to dense and go farthest, where the intervals tell, and in which
    language the runs lose more.
    """
    runs = [run for run in ordered(results) if results.runs.at[run, "method"] != labels.DENSE]
    runs = [run for run in runs if not math.isnan(results.divergence(run, "ar").value)]
    if not runs:
        return display.Shown("<p>Nothing was measured.</p>", "Nothing was measured.")
    named = {name(results, run): run for run in runs}
    text, arabic_text = standing.ends(results, named, str, lambda word: f"<bdi>{html.escape(word)}</bdi>")
    outer = {word for code in ("ar", "en") for far in (False, True) for word in standing.end(results, named, code, far)}
    changes = "; ".join(f"{word}: {losses(results, run)}" for word, run in named.items() if word in outer)
    text = f"{f'By KL, {text}. ' if len(runs) > 1 else ''}Accuracy against dense: {changes}. "
    gaps = {run: paired.gap(results, run) for run in runs}
    arabic = [run for run, gap in gaps.items() if gap["low"] > 0]
    english = [run for run, gap in gaps.items() if gap["high"] < 0]
    text += (f"Of {len(runs)} runs, {len(arabic)} lost more of their Arabic and {len(english)} more of their English "
             "by an interval that excludes zero; of the others this many items cannot say.")  # fmt: skip
    arabic_changes = "؛ ".join(f"<bdi>{html.escape(word)}</bdi>: {arabic_losses(results, run)}"
                               for word, run in named.items() if word in outer)  # fmt: skip
    arabic_text = (f"{f'بالتباعد (<bdi>KL</bdi>)، {arabic_text}. ' if len(runs) > 1 else ''}"
                   f"تغيّر الدقة عن الأصل: {arabic_changes}. عدد التجارب التي خسرت من عربيتها أكثر "
                   f"بفارقٍ تستبعد فترتُه الصفر: {len(arabic)} من {len(runs)}؛ وعدد التي خسرت من إنجليزيتها أكثر: "
                   f"{len(english)}. وما بقي منها لا يكفي عدد الأسئلة للحكم فيه.")  # fmt: skip
    return display.Shown(f'<p>{html.escape(text)}</p>\n<p dir="rtl">{arabic_text}</p>', text)


def arabic_losses(results: Results, run: str) -> str:
    """``انخفاض 1.3 نقطة في العربية وارتفاع 0.2 نقطة في الإنجليزية``."""
    return " و".join(f"{sentences.arabic_moved(paired.damage(results, run, code)['diff'])} في {labels.ARABIC[code]}"
                     for code in ("ar", "en"))  # fmt: skip


def losses(results: Results, run: str) -> str:
    """``Arabic −1.3, English +0.2 points``."""
    parts = [f"{labels.LANGUAGES[code]} {display.signed(paired.damage(results, run, code)['diff'])}"
             for code in ("ar", "en")]  # fmt: skip
    return f"{', '.join(parts)} points".replace("-", "−")

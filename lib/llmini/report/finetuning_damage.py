"""What compression does to the fundamentals of Arabic and to Gulf Arabic: two additions to the compression report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmini.report import finetuning_paired, finetuning_runs, labels, style
from llmini.report.comparisons import compressed, head
from llmini.report.display import frame, span
from llmini.report.figures_damage import KL, MAIN
from llmini.report.finetuning_paired import FUNDAMENTALS
from llmini.report.learning_answers import beyond
from llmini.report.sentences import arabic_moved, listed, name, nothing, said

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from llmini.report.display import Shown
    from llmini.report.measured import Results

TEXTS = ("ar", "gulf", "en")
MARKERS = {**style.LANGUAGE_MARKERS, "gulf": "s"}
RATIO = "perplexity over dense\nنسبة الحيرة إلى حيرة الأصل"


def fundamentals_table(found: Results) -> pandas.DataFrame:
    """Punctuation and error correction of every compressed model, against its dense self over the same items.

    found: the compression runs, a line for each model and method.
    """
    rows = []
    dense = [(model, labels.DENSE, found.run(model, labels.DENSE)) for model in found.models()]
    for model, method, run in sorted([*dense, *compressed(found)], key=lambda line: found.models().index(line[0])):
        row: dict[Any, Any] = head(found, model, method)
        for words, skills in (*((skill.words, (skill,)) for skill in FUNDAMENTALS), ("both", FUNDAMENTALS)):
            row[(words, "accuracy, %")] = finetuning_paired.average(found, [run] if run else [], skills)
            cell = lost(found, run, skills)
            row[(words, "against dense")] = "–" if method == labels.DENSE else span(cell, sign=True)
        rows.append(row)
    note = ("Four options each, chosen by likelihood: the right mark of punctuation, and the sentence without an "
            "error. Against dense: points, 95 % paired bootstrap intervals over items.")  # fmt: skip
    title = f"Fundamentals of Arabic under compression, {labels.tier(found.tier)}"
    return frame(rows, ["model", "method"], title, note, {"accuracy, %": 1})


def lost(found: Results, run: str | None, skills: Any = FUNDAMENTALS) -> dict[str, float]:
    """Points that a compressed run adds to its dense self's accuracy (below zero is loss), with their interval."""
    dense = found.dense(run)
    return finetuning_paired.difference(found, [([(dense, run)] if dense and run else [], skills)])


def ratio(found: Results, run: str | None, code: str) -> float:
    """Perplexity of a compressed run over that of its dense self."""
    own, dense = (finetuning_runs.perplexity(found, each, code) for each in (run, found.dense(run)))
    return own / dense


def gulf_table(found: Results) -> pandas.DataFrame:
    """Perplexity over dense and KL to dense on Arabic, Gulf Arabic and English text, by model and method."""
    rows = []
    for model, method, run in compressed(found):
        row: dict[Any, Any] = head(found, model, method)
        for code in TEXTS:
            text = labels.LANGUAGES[code]
            row[(text, "perplexity")] = finetuning_runs.perplexity(found, run, code)
            row[(text, "over dense")] = ratio(found, run, code)
            row[(text, "KL")] = found.divergence(run, code).value
        row[("Gulf against Arabic", "KL gulf / ar")] = row[("Gulf Arabic", "KL")] / (row[("Arabic", "KL")] or math.nan)
        rows.append(row)
    note = "Held-out text of each language. KL to dense in nats a token. Pruned models: 50 % sparsity."
    return frame(rows, ["model", "method"], f"Gulf Arabic under compression, {labels.tier(found.tier)}", note,
                 {"over dense": 3, "KL": 4})  # fmt: skip


@style.styled
def gulf_figure(found: Results, model: str = MAIN) -> Figure:
    """KL to dense and perplexity over dense by method, on Arabic, Gulf Arabic and English text."""
    from matplotlib.lines import Line2D

    runs = {method: run for name, method, run in compressed(found) if name == model}
    figure, axes = style.canvas(1, 2, (9.6, 2.9 + 0.3 * max(4, len(runs))), sharey=True)
    for panel, words, read in zip(axes[0], (KL, RATIO), (_distance, ratio), strict=True):
        drawn = 0
        for line, (method, run) in enumerate(runs.items()):
            for code, shift in zip(TEXTS, style.offsets(len(TEXTS), 0.5), strict=True):
                value = read(found, run, code)
                style.point(panel, value, line + shift, model=model, method=method, solid=True, marker=MARKERS[code],
                            markersize=5)  # fmt: skip
                drawn += value == value
        panel.set_title(words, fontsize=9)
        if not drawn:
            style.absent(panel)
            continue
        panel.set_xscale("log")
        style.logarithmic(panel.xaxis)
        panel.set_ylim(len(runs) - 0.5, -0.5)
        panel.grid(axis="y", visible=False)
        for line in range(1, len(runs)):
            panel.axhline(line - 0.5, color="#E4E4E4", linewidth=0.7, zorder=0)
    if any(panel.lines for panel in axes[0]):
        axes[0][0].set_yticks(range(len(runs)), [labels.method(method) for method in runs])
    entries = [Line2D([], [], marker=MARKERS[code], linestyle="none", color=style.GREY,
                      label=f"{labels.LANGUAGES[code]} · {labels.ARABIC[code]}") for code in TEXTS]  # fmt: skip
    style.words(figure, "Is Gulf Arabic damaged more than Standard Arabic?",
                "هل تتضرّر العربية الخليجية أكثر من الفصحى؟",
                f"{labels.model(model, found.tier)}, {labels.tier(found.tier)}, held-out text of each language, "
                "logarithmic. Pruned models: 50 % sparsity.", [(0.5, entries, 3)])  # fmt: skip
    return figure


def _distance(found: Results, run: str | None, code: str) -> float:
    return found.divergence(run, code).value


def gulf_answer(found: Results, model: str = MAIN) -> Shown:
    """By how many methods Gulf text is moved further than Arabic and English, and what the fundamentals lose most."""
    runs = {method: run for own, method, run in compressed(found) if own == model}
    far = {method: {code: _distance(found, run, code) for code in TEXTS} for method, run in runs.items()}
    far = {method: cells for method, cells in far.items() if not any(map(math.isnan, cells.values()))}
    lossy = {method: lost(found, run) for method, run in runs.items()}
    lossy = {method: cell for method, cell in lossy.items() if not math.isnan(cell["value"])}
    english, arabic = [], []
    if far:
        more = {code: sum(cells["gulf"] > cells[code] for cells in far.values()) for code in ("ar", "en")}
        english.append(f"On {labels.model(model, found.tier)}, {more['ar']} of {len(far)} methods move Gulf Arabic "
                       "text further from the dense model than Standard Arabic text, and "
                       f"{more['en']} of {len(far)} further than English text.")  # fmt: skip
        arabic.append(f"عدد الطرق التي تُبعد النصوص الخليجية عن النموذج الأصلي أكثر من النصوص الفصيحة: {more['ar']} من "
                      f"{len(far)}، وأكثر من النصوص الإنجليزية: {more['en']} من {len(far)}.")  # fmt: skip
    if lossy:
        sure = [method for method, cell in lossy.items() if cell["high"] < 0]
        better = [method for method, cell in lossy.items() if cell["low"] > 0]
        worst = min(lossy, key=lambda method: lossy[method]["value"])
        cell = lossy[worst]
        english.append(f"Punctuation and error choice are worse than the dense model's by an interval below zero under "
                       f"{listed(map(labels.method, sure))}, and better by one above zero under "
                       f"{listed(map(labels.method, better))}; lowest is {labels.method(worst)}, "
                       f"{span(cell, sign=True)} points, {beyond(cell)[0]}.")  # fmt: skip
        arabic.append(f"وعدد الطرق التي يثبت إضرارها بالترقيم وتصويب الخطأ: {len(sure)} من {len(lossy)}، والتي يثبت "
                      f"نفعها: {len(better)}؛ وأدناها "
                      f"نتيجةً {name(worst)} ({arabic_moved(cell['value'])} عن الأصل، {beyond(cell)[1]}).")  # fmt: skip
    return said(" ".join(english), " ".join(arabic)) if english else nothing()

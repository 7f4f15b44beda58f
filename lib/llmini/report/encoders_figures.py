"""Figures of the encoder studies: F1 against sparsity, data against retention, transfer, students, formats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llmini.report import encoders, encoders_resources, labels, style
from llmini.report.encoders import HUES, SHARES, dense, find, method, score, seeds, value
from llmini.report.encoders_overview import ratio
from llmini.report.encoders_overview_less import hues
from llmini.report.encoders_sweeps import NER, change, sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmini.report.encoders import Line
    from llmini.report.measured import Results

TONGUES = ("#0072B2", "#D55E00", "#009E73")  # Okabe and Ito
AMOUNTS = {1.0: "#000000", 0.1: "#CC79A7", 0.01: "#E69F00"}
DATA_AR = {1.0: "كلّ البيانات", 0.1: "عُشر البيانات", 0.01: "جزء من مئة"}
PHASES = {"before": "pruned before tuning\nالتقليم قبل الضبط", "after": "pruned after tuning\nالتقليم بعد الضبط"}
CLASS = "AfriBERTa-class encoder, {}"


def curve(panel: Axes, points: dict[float, dict[str, float]], hue: str, **look: Any) -> Any:
    """Mean over seeds against percent removed, with a band where there is an interval."""
    there = {100 * level: cell for level, cell in points.items() if not math.isnan(cell["value"])}
    if len(there) < 2:
        return None
    x, cells = list(there), list(there.values())
    if all(not math.isnan(cell["low"]) for cell in cells):
        panel.fill_between(x, [cell["low"] for cell in cells], [cell["high"] for cell in cells], color=hue, alpha=0.15,
                           linewidth=0)  # fmt: skip
    return panel.plot(x, [cell["value"] for cell in cells], color=hue, marker="o", markersize=3.5, **look)[0]


@style.styled
def sparsity(results: Results) -> Figure:
    """F1 against sparsity, a panel a moment of pruning, a line a language; the study's bounds as marks below."""
    figure, axes = style.canvas(1, 2, (9.6, 4.3), sharey=True)
    handles = []
    for panel, (phase, words) in zip(axes[0], PHASES.items(), strict=True):
        drawn = [curve(panel, sweep(results, code, phase), hue,
                       label=f"{labels.LANGUAGES[code]} · {labels.ARABIC[code]}")
                 for code, hue in zip(encoders.languages(results), TONGUES, strict=False)]  # fmt: skip
        panel.set_title(words)
        if not any(drawn):
            style.absent(panel)
            continue
        handles = handles or [line for line in drawn if line]
        panel.set(xlim=(0, 100), ylim=(0, 102))
        panel.set_xlabel("removed, %\nالمحذوف")
        panel.axvspan(50, 60, color="#000000", alpha=0.06, linewidth=0)
        panel.axvline(70, color=style.GREY, linestyle=":", linewidth=1)
    if handles:
        axes[0][0].set_ylabel("entity F1, %\nجودة التعرّف على الأسماء")
    style.words(figure, "Entity F1 against sparsity", "جودة التعرّف على الأسماء مقابل نسبة الحذف",
                f"{CLASS.format(labels.tier(results.tier))}, tuned and tested on each language. Grey: 50 to 60 %, up "
                "to which the study found F1 stable; dotted: 70 %, beyond which it saw pruning after tuning collapse. "
                "Bands: 95 % intervals over three seeds.", [(0.5, handles, 3)])  # fmt: skip
    return figure


@style.styled
def resources(results: Results) -> Figure:
    """Retention against sparsity for all, a tenth and a hundredth of the data; one row a language."""
    codes = encoders_resources.languages(results) or ["ar"]
    figure, axes = style.canvas(len(codes), 2, (9.6, 1.6 + 2.9 * len(codes)), sharey=True)
    handles: dict[float, Any] = {}
    for row, code in enumerate(codes):
        for panel, (phase, words) in zip(axes[row], PHASES.items(), strict=True):
            for share in SHARES:
                kept = encoders_resources.retention(results, code, phase, share)
                levels = sorted({level for own in kept.values() for level in own})
                points = {0.0: {"value": 100.0, "low": 100.0, "high": 100.0}} if kept else {}
                points |= {
                    level: encoders.over_seeds(own.get(level, math.nan) for own in kept.values()) for level in levels
                }
                line = curve(
                    panel, points, AMOUNTS[share], label=f"{encoders.data(share)} of the data · {DATA_AR[share]}"
                )
                handles |= {share: line} if line else {}
            panel.set_title(
                f"{labels.LANGUAGES[code]}, {words.splitlines()[0]}\n{labels.ARABIC[code]}، {words.splitlines()[1]}"
            )
            if not panel.lines:
                style.absent(panel)
                continue
            panel.set(xlim=(0, 100), ylim=(0, 130))
            panel.axhline(100, color=style.GREY, linewidth=0.8)
            panel.set_xlabel("removed, %\nالمحذوف")
        if axes[row][0].lines:
            axes[row][0].set_ylabel("F1 left, % of dense\nالمتبقّي من الجودة")
    style.words(figure, "Little data and pruning", "قلّة البيانات والتقليم",
                f"{CLASS.format(labels.tier(results.tier))}, tested on the language it was tuned on. Each seed is "
                "held against its own "
                "dense encoder; bands: 95 % intervals over three seeds.",
                [(0.5, [handles[share] for share in SHARES if share in handles], 3)])  # fmt: skip
    return figure


@style.styled
def transfer(results: Results) -> Figure:
    """Zero-shot transfer: a panel a tuning language, a line a test language, against sparsity."""
    codes = encoders.languages(results)
    figure, axes = style.canvas(1, len(codes), (9.6, 3.9), sharey=True)
    handles: dict[str, Any] = {}
    for panel, code in zip(axes[0], codes, strict=True):
        for other, hue in zip(codes, TONGUES, strict=False):
            line = curve(
                panel,
                sweep(results, code, "after", tested=other),
                hue,
                linestyle="-" if other == code else "--",
                label=f"tested on {labels.LANGUAGES[other]} · {labels.ARABIC[other]}",
            )
            handles |= {other: line} if line else {}
        panel.set_title(f"tuned on {labels.LANGUAGES[code]}\nضُبط على {labels.ARABIC[code]}")
        if not panel.lines:
            style.absent(panel)
            continue
        panel.set(xlim=(0, 100), ylim=(0, 102))
        panel.set_xlabel("removed after tuning, %\nالمحذوف بعد الضبط")
    if handles:
        axes[0][0].set_ylabel("entity F1, %\nجودة التعرّف على الأسماء")
    style.words(figure, "Across languages, against sparsity", "بين اللغات، مقابل نسبة الحذف",
                f"{CLASS.format(labels.tier(results.tier))}; dashed: languages that it was not tuned on.",
                [(0.5, [handles[code] for code in codes if code in handles], 3)])  # fmt: skip
    return figure


@style.styled
def students(results: Results) -> Figure:
    """Points lost against share of the bytes saved, a panel a language; the study's range as a grey corner."""
    codes = encoders.languages(results)
    figure, axes = style.canvas(1, len(codes), (9.6, 4.0), sharey=True)
    for panel, code in zip(axes[0], codes, strict=True):
        for name in encoders.KD:
            runs = find(results, model=NER, task="ner", trained=code, method=name, beginning="spaced", share=1.0)
            for depth in sorted({line.options["layers"] for line in runs}):
                own = list(seeds(line for line in runs if line.options["layers"] == depth).values())
                size = value(results, own[0], "size_disk") / value(results, dense(results, own[0]), "size_disk")
                cell, shift = change(results, own, code), 0.7 * (encoders.KD.index(name) - 1)
                style.point(
                    panel,
                    100 * (1 - size) + shift,
                    cell["value"],
                    model="",
                    method="",
                    solid=True,
                    low=cell["low"],
                    high=cell["high"],
                    vertical=True,
                    marker="o",
                    markerfacecolor=HUES[name],
                    markeredgecolor=HUES[name],
                )
        panel.set_title(f"{labels.LANGUAGES[code]} · {labels.ARABIC[code]}")
        if not panel.lines:
            style.absent(panel)
            continue
        panel.axhline(0, color="#000000", linewidth=0.8)
        panel.fill_between([22, 31], -2, -1, color="#000000", alpha=0.12, linewidth=0)
        panel.set_xlabel("smaller by, %\nأصغر بنسبة")
    axes[0][0].set_ylabel("F1 against the teacher, points\nالفرق عن المعلّم بالنقاط")
    style.words(figure, "Distilled encoders: size against F1", "المُرمِّزات المقطّرة: الحجم مقابل الجودة",
                f"{CLASS.format(labels.tier(results.tier))}, students of five to two of its six layers. Grey: the "
                "study's 22 to 31 % smaller for 1 to 2 points. Bars: 95 % intervals over seeds.",
                [(0.5, hues(encoders.KD), 3)])  # fmt: skip
    return figure


@style.styled
def formats(results: Results) -> Figure:
    """What each format saves and costs on every tuned encoder: bytes, speed one by one and in batches, change of
    score.
    """
    figure, axes = style.canvas(1, 4, (9.6, 4.6), sharey=True)
    starts = [line for line in find(results, method="dense", part="quant", seed=0) if line.share == 1]
    names = encoders.QUANT
    for place, name in enumerate(names):
        for shift, start in zip(style.offsets(len(starts), 0.6), starts, strict=True):
            found = [
                line
                for line in find(results, model=start.model, task=start.task, trained=start.trained, method=name)
                if line.share == 1 and line.seed == start.seed and line.part == "quant"
            ]
            codes = [code for code in encoders.tested(results, start.task) if code in start.trained.split("+")]
            for line in found[:1] if codes else ():
                cells = (value(results, line, "size_disk") / value(results, start, "size_disk"),
                         ratio(results, start, line, 1, codes), ratio(results, start, line, 32, codes),
                         score(results, line, codes[0]).value - score(results, start, codes[0]).value)  # fmt: skip
                for panel, x in zip(axes[0], cells, strict=True):
                    style.point(panel, x, place + shift, model="", method="", solid=True, marker=_shape(start),
                                markerfacecolor=HUES[name], markeredgecolor=HUES[name], markersize=5)  # fmt: skip
    axes[0][0].set_yticks(range(len(names)), [method(name) for name in names])
    axes[0][0].set_ylim(len(names) - 0.5, -0.5)
    for panel, words in zip(
        axes[0],
        (
            "bytes, share of dense\nالحجم نسبةً إلى الأصل",
            "times as fast, one sentence\nالسرعة: جملة واحدة",
            "times as fast, batch of 32\nالسرعة: 32 جملة",
            "score, points\nالفرق في الجودة",
        ),
        strict=True,
    ):
        panel.set_xlabel(words)
        if not starts:
            continue
        panel.axvline(0 if panel is axes[0][3] else 1, color="#000000", linewidth=0.9)
    if not starts:
        for panel in axes[0]:
            style.absent(panel)
    style.words(figure, "Formats of the encoders, against dense fp32 in PyTorch", "صيغ المُرمِّزات مقارنةً بالأصل",
                f"Pocket encoders ({labels.tier(results.tier)}), in the language they were "
                "tuned on; at their width a runtime's overhead weighs as much as its arithmetic. "
                "benchmarks/RESULTS.md has the BERT-base shape.",
                [(0.5, [_mark(line, results) for line in starts], 3)])  # fmt: skip
    return figure


SIGNS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")


def _shape(line: Line) -> str:
    order = [
        ("afriberta", "ar"),
        ("afriberta", "gulf"),
        ("afriberta", "en"),
        ("distilbert", "en"),
        ("distilbert", "ar"),
        ("bert_base", "en"),
        ("bert_base", "ar"),
    ]
    key = (line.model, line.trained)
    return SIGNS[order.index(key) if key in order else -1]


def _mark(line: Line, results: Results) -> Any:
    from matplotlib.lines import Line2D

    words = f"{labels.model(line.model, results.tier, short=True)}, {encoders.trained(line.trained)}"
    return Line2D([], [], marker=_shape(line), linestyle="none", color=style.GREY, label=words)

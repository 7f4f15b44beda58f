"""What one encoder notebook shows of its own runs: the plan, a table, a figure and an answer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmini.records import read_all
from llmini.report import display, encoders, labels, measured, sentences, style
from llmini.report.display import frame, number, show, signed
from llmini.report.encoders import Line, lines, name, score, value
from llmini.report.measured import MB

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from llmini.grid import Run
    from llmini.report.measured import Results

SHAPES = {"ar": "o", "gulf": "s", "en": "v"}


def results(tier: str, runs: Iterable[Run]) -> Results:
    """The records of ``runs``. Raises UserError when one is missing."""
    table, items, provenance = read_all({run.folder for run in runs})
    return measured.build(table, items, tier, provenance, encoders.FAMILIES)


def plan(runs: Iterable[Run]) -> display.Shown:
    """The runs of a notebook start, as they will be measured."""
    rows = [{"run": run.run_id, "method": encoders.method(run.method),
             "told": ", ".join(f"{key} {one}" for key, one in run.params) or "–"} for run in runs]  # fmt: skip
    return show(frame(rows, ["run"], "Runs"))


def formats(results: Results) -> display.Shown:
    """Every format: bytes, scores and flips by language, latency with its interval, memory, runtime."""
    return show(*(formats_table(results, found) for found in groups(results)))


def groups(results: Results) -> list[list[Line]]:
    """The runs of each model, task, training language, share and seed, the dense one first."""
    out: dict[tuple, list[Line]] = {}
    for line in lines(results):
        out.setdefault((line.model, line.task, line.trained, line.share, line.seed), []).append(line)
    return list(out.values())


def formats_table(results: Results, found: list[Line]) -> object:
    """One line a variant of one tuned encoder."""
    codes, rows = encoders.tested(results, found[0].task), []
    for line in found:
        row = {"method": name(line), ("Size", "on disk, MB"): value(results, line, "size_disk") / MB}
        for code in codes:
            group = labels.LANGUAGES[code]
            row |= {(group, encoders.TASKS[line.task]): score(results, line, code).value,
                    (group, "flips, %"): flips(results, line, code)}  # fmt: skip
            row |= {(group, f"ms, batch {size}"): latency(results, line, code, size) for size in (1, 32)}
        row |= {
            ("Memory of the process, MB", words): value(results, line, metric) / MB
            for words, metric in (
                ("with the model", "memory_resident"),
                ("runtime alone", "memory_runtime"),
                ("GPU", "memory_gpu"),
            )
        }
        row[("Ran in", "runtime")] = runtime(results, line)
        rows.append(row)
    digits = {encoders.TASKS[found[0].task]: 1, "flips, %": 2, "with the model": 0, "runtime alone": 0, "GPU": 0}
    note = ("Latency: medians with 95 % bootstrap intervals, in a fresh process on pinned threads. Memory: resident "
            "set of that process after it has run, and before any weight was read.")  # fmt: skip
    return frame(rows, ["method"], heading(results, found[0]), note, digits)


def heading(results: Results, line: Line) -> str:
    """``AfriBERTa-class, 1.6 M, entity F1, tuned on Arabic, pocket tier``."""
    words = [
        labels.model(line.model, results.tier),
        {"ner": "entities", "sentiment": "sentiment"}.get(line.task, line.task),
        f"tuned on {encoders.trained(line.trained)}",
    ]
    words += [f"{encoders.data(line.share)} of the data"] if line.share < 1 else []
    words += [f"seed {line.seed}"] if line.seed else []
    return f"{', '.join(words)}, {labels.tier(results.tier)}"


def flips(results: Results, line: Line, code: str) -> float | str:
    """Percent of labels that differ from the dense encoder's; a dash for that one itself."""
    return "–" if line.method == labels.DENSE else 100 * value(results, line, "flip_rate", code, "mean")


def latency(results: Results, line: Line, code: str, size: int) -> str:
    """Median milliseconds a batch with the interval."""
    found = {key: value(results, line, metric, code, f"batch_{size}") for key, metric in
             (("value", "latency_ms"), ("low", "latency_low"), ("high", "latency_high"))}  # fmt: skip
    return display.span(found, 2)


def runtime(results: Results, line: Line) -> str:
    """What ran a variant, and on how many threads; why it was not timed."""
    import json

    told = results.provenance.get(line.run, {}).get("cost")
    told = json.loads(told) if isinstance(told, str) and told.startswith("{") else {}
    if "runtime" not in told:
        return told.get("note", "not measured")
    return f"{told['runtime']}, {told['device']}, {told['threads']} thread{'s' if told['threads'] > 1 else ''}"


@style.styled
def formats_figure(results: Results) -> Figure:
    """Score, latency of one sentence and of thirty-two, and bytes, one line a variant, for the first tuned encoder."""
    found = groups(results)[0]
    codes = encoders.tested(results, found[0].task)
    figure, axes = style.canvas(1, 4, (9.6, 1.9 + 0.36 * max(len(found), 3)), sharey=True)
    for place, line in enumerate(found):
        hue = encoders.HUES[line.method]
        for code, shift in zip(codes, style.offsets(len(codes), 0.4), strict=True):
            one = score(results, line, code)
            dot(
                axes[0][0],
                one.value,
                place + shift,
                hue,
                code,
                one.value - 1.96 * one.stderr,
                one.value + 1.96 * one.stderr,
            )
            for panel, size in ((axes[0][1], 1), (axes[0][2], 32)):
                ends = [value(results, line, metric, code, f"batch_{size}") for metric in
                        ("latency_ms", "latency_low", "latency_high")]  # fmt: skip
                dot(panel, ends[0], place + shift, hue, code, *ends[1:])
        dot(axes[0][3], value(results, line, "size_disk") / MB, place, hue, "")
    axes[0][0].set_yticks(range(len(found)), [name(line) for line in found])
    axes[0][0].set_ylim(len(found) - 0.5, -0.5)
    for panel, words in zip(
        axes[0],
        (
            f"{encoders.TASKS[found[0].task]}\nالجودة",
            "ms, one sentence\nزمن جملة واحدة",
            "ms, 32 sentences\nزمن 32 جملة",
            "MB on disk\nالحجم على القرص",
        ),
        strict=True,
    ):
        panel.set_xlabel(words)
    for panel in axes[0][1:]:
        panel.set_xlim(left=0)
    style.words(figure, "Formats and runtimes of one encoder", "صيغ مُرمِّز واحد ومحرّكات تشغيله",
                f"{heading(results, found[0])}. Bars: 95 % intervals, of scores over sentences, of latency over calls.",
                [(0.5, marks(codes), len(codes))])  # fmt: skip
    return figure


def dot(panel: object, x: float, y: float, hue: str, code: str, low: float = math.nan, high: float = math.nan) -> None:
    """A point with its interval; the shape tells the language."""
    style.point(panel, x, y, model="", method="", solid=True, low=low, high=high, marker=SHAPES.get(code, "D"),
                markerfacecolor=hue, markeredgecolor=hue, markersize=5)  # fmt: skip


def marks(codes: Iterable[str]) -> list[object]:
    """Legend entries of the languages."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], marker=SHAPES.get(code, "D"), linestyle="none", color=style.GREY,
                   label=f"{labels.LANGUAGES.get(code, code)} · {labels.ARABIC.get(code, '')}")
            for code in codes]  # fmt: skip


def formats_answer(results: Results) -> display.Shown:
    """Which formats change the answers, and what each saves against the dense encoder."""
    found = groups(results)[0]
    if not found or found[0].method != labels.DENSE:
        return sentences.nothing()
    codes = encoders.tested(results, found[0].task)
    parts, arabic = [], []
    for line in found[1:]:
        change = {code: score(results, line, code).value - score(results, found[0], code).value for code in codes}
        most = max(change, key=lambda code: abs(change[code]))
        speed = {size: ratio(results, found[0], line, size, codes) for size in (1, 32)}
        small = value(results, line, "size_disk") / value(results, found[0], "size_disk")
        parts.append(f"{name(line)}: {number(100 * small, 0)} % of the bytes, {times(speed[1])} one by one and "
                     f"{times(speed[32])} "
                     f"in batches of 32, {signed(change[most])} points at most ({labels.LANGUAGES[most]})")  # fmt: skip
        arabic.append(f"{encoders.arabic(line)}: {number(100 * small, 0)}% من الحجم، {arabic_times(*speed.values())}، "
                      f"وأقصى تغيّر في الجودة: {sentences.arabic_moved(change[most])} ({labels.ARABIC[most]})")
    return sentences.said("Against the dense encoder. " + "; ".join(parts) + ".",
                          "مقارنةً بالمُرمِّز الأصلي. " + "؛ ".join(arabic) + ".")  # fmt: skip


def ratio(results: Results, first: Line, line: Line, size: int, codes: Iterable[str]) -> float:
    """How many times faster than ``first``: the geometric mean over the languages of the medians' ratios."""
    task = f"batch_{size}"
    logs = [math.log(value(results, first, "latency_ms", code, task) / value(results, line, "latency_ms", code, task))
            for code in codes]  # fmt: skip
    return math.exp(encoders.mean(logs))


def arabic_times(one: float, many: float) -> str:
    """Speed as a ratio to the dense encoder's, one sentence at a time and in batches."""
    one, many = (number(found, 2, "غير مقيسة") for found in (one, many))
    return f"ونسبة السرعة إلى سرعة الأصل {one} جملةً جملة و{many} في دفعات من 32 جملة"


def times(found: float) -> str:
    """``1.8 times as fast``, ``2.1 times as slow``."""
    if math.isnan(found):
        return "not timed"
    return f"{number(found, 1)} times as fast" if found >= 1 else f"{number(1 / found, 1)} times as slow"

"""What the notebooks of smaller encoders show of their own runs: what pruning leaves, and what students know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from llmini.report import display, encoders, labels, sentences, style
from llmini.report.display import frame, number, show, signed
from llmini.report.encoders import Line, find, lines, name, score, value
from llmini.report.encoders_overview import groups, heading, latency
from llmini.report.measured import MB

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from llmini.report.measured import Results


def pruned(results: Results) -> display.Shown:
    """Every pruned variant of each tuned encoder: scores in every language, size, and latency where rows went."""
    return show(*(pruned_table(results, found) for found in groups(results)))


def pruned_table(results: Results, found: list[Line]) -> object:
    """One line a variant; the change from the dense encoder stands in brackets."""
    codes, rows = encoders.tested(results, found[0].task), []
    for line in found:
        row = {"method": name(line)}
        for code in codes:
            row[(encoders.TASKS[line.task], labels.LANGUAGES[code])] = score(results, line, code).value
        for code in codes:
            row[("Against dense", labels.LANGUAGES[code])] = "–" if line.method == labels.DENSE else signed(
                score(results, line, code).value - score(results, found[0], code).value)  # fmt: skip
        row |= {
            ("Size, MB", "on disk"): value(results, line, "size_disk") / MB,
            ("Size, MB", "not zero"): value(results, line, "size_nonzero") / MB,
            ("ms, Arabic" if "ar" in codes else "ms", "batch 1"): latency(results, line, codes[0], 1),
            ("ms, Arabic" if "ar" in codes else "ms", "batch 32"): latency(results, line, codes[0], 32),
        }
        rows.append(row)
    note = ("Not zero: the bytes of weights other than zero, which the studies count as the size. Single weights set "
            "to zero are stored and multiplied like any other, so those rows are not timed.")  # fmt: skip
    return frame(rows, ["method"], heading(results, found[0]), note, {labels.LANGUAGES[code]: 1 for code in codes}, "–")


@style.styled
def pruned_figure(results: Results) -> Figure:
    """Score against the share removed, a panel a language, a line a way of pruning; of the first tuned encoder."""
    found = groups(results)[0]
    codes = encoders.tested(results, found[0].task)
    figure, axes = style.canvas(1, len(codes), (9.6, 3.7), sharey=True)
    kinds: dict[str, list[Line]] = {}
    for line in found[1:]:
        words = f"{encoders.method(line.method)}{', ' + line.options['phase'] if 'phase' in line.options else ''}"
        kinds.setdefault(words, []).append(line)
    handles = []
    for panel, code in zip(axes[0], codes, strict=True):
        start = score(results, found[0], code).value
        panel.axhline(start, color="#000000", linewidth=0.9)
        for words, own in kinds.items():
            hue, dashed = encoders.HUES[own[0].method], own[0].options.get("phase") == "before"
            points = [(0.0, start), *((100 * line.sparsity, score(results, line, code).value) for line in own)]
            drawn = panel.plot(*zip(*sorted(points), strict=True), marker="o", markersize=4, color=hue, label=words,
                               linestyle="--" if dashed else "-")  # fmt: skip
            handles += drawn if code == codes[0] else []
        panel.set_title(f"{labels.LANGUAGES[code]} · {labels.ARABIC[code]}")
        panel.set_xlabel("removed, %\nالمحذوف")
    axes[0][0].set_ylabel(f"{encoders.TASKS[found[0].task]}\nالجودة")
    axes[0][0].set_ylim(0, 102)
    style.words(
        figure,
        "What pruning leaves",
        "ما يُبقيه التقليم",
        f"{heading(results, found[0])}. The line at the top is the dense encoder.",
        [(0.5, handles, 3)],
    )
    return figure


def pruned_answer(results: Results) -> display.Shown:
    """How much each way of pruning leaves at its strongest, in each language."""
    found = groups(results)[0]
    if len(found) < 2:
        return sentences.nothing()
    codes, parts, arabic = encoders.tested(results, found[0].task), [], []
    for line in found[1:]:
        kept = [100 * score(results, line, code).value / score(results, found[0], code).value for code in codes]
        each = ", ".join(f"{labels.LANGUAGES[code]} {number(one, 0)}" for code, one in zip(codes, kept, strict=True))
        parts.append(f"{name(line)}: {each}")
        each = "، ".join(f"{labels.ARABIC[code]} {number(one, 0)}" for code, one in zip(codes, kept, strict=True))
        arabic.append(f"{encoders.arabic(line)}: {each}")
    return sentences.said("Percent of the dense encoder's score that is left. " + "; ".join(parts) + ".",
                          "المتبقّي من جودة المُرمِّز الأصلي بالمئة. " + "؛ ".join(arabic) + ".")  # fmt: skip


def students(results: Results) -> display.Shown:
    """Teacher and students: layers, bytes, scores in every language, latency."""
    return show(*(students_table(results, found) for found in groups(results)))


def students_table(results: Results, found: list[Line]) -> object:
    """One line a student under its teacher."""
    codes, rows, whole = encoders.tested(results, found[0].task), [], value(results, found[0], "size_disk")
    for line in found:
        size = value(results, line, "size_disk")
        row = {"model": "teacher" if line.method == labels.DENSE else name(line), ("Size", "on disk, MB"): size / MB,
               ("Size", "smaller by, %"): "–" if line.method == labels.DENSE else 100 * (1 - size / whole)}  # fmt: skip
        row |= {(encoders.TASKS[line.task], labels.LANGUAGES[code]): score(results, line, code).value for code in codes}
        row |= {("ms, batch 1", labels.LANGUAGES[code]): latency(results, line, code, 1) for code in codes[:1]}
        row |= {("ms, batch 32", labels.LANGUAGES[code]): latency(results, line, code, 32) for code in codes[:1]}
        rows.append(row)
    note = "A student without a teacher is the control: the same layers of the pretrained encoder, tuned alone."
    digits = {labels.LANGUAGES[code]: 1 for code in codes} | {"smaller by, %": 0}
    return frame(rows, ["model"], heading(results, found[0]), note, digits)


@style.styled
def students_figure(results: Results) -> Figure:
    """Score against size, a panel a language."""
    found = groups(results)[0]
    codes = encoders.tested(results, found[0].task)
    figure, axes = style.canvas(1, len(codes), (9.6, 3.6), sharey=True)
    for panel, code in zip(axes[0], codes, strict=True):
        for line in found:
            one = score(results, line, code)
            style.point(
                panel,
                value(results, line, "size_disk") / MB,
                one.value,
                model="",
                method="",
                solid=True,
                low=one.value - 1.96 * one.stderr,
                high=one.value + 1.96 * one.stderr,
                vertical=True,
                marker="o",
                markerfacecolor=encoders.HUES[line.method],
                markeredgecolor=encoders.HUES[line.method],
            )
        panel.set_title(f"{labels.LANGUAGES[code]} · {labels.ARABIC[code]}")
        panel.set_xlabel("MB on disk\nالحجم على القرص")
        panel.set_xlim(left=0)
    axes[0][0].set_ylabel(f"{encoders.TASKS[found[0].task]}\nالجودة")
    style.words(
        figure,
        "Students and their teacher",
        "التلاميذ ومعلّمهم",
        f"{heading(results, found[0])}. Bars: 95 % intervals over sentences.",
        [(0.5, hues(line.method for line in found), 4)],
    )
    return figure


def hues(methods: Iterable[str]) -> list[object]:
    """Legend entries of methods."""
    from matplotlib.patches import Patch

    return [Patch(color=encoders.HUES[one], label=encoders.method(one)) for one in dict.fromkeys(methods)]


def students_answer(results: Results) -> display.Shown:
    """What each student loses against its teacher, and whether a teacher helped."""
    teacher = next(iter(find(results, method="dense")), None)
    if teacher is None or len(lines(results)) < 2:
        return sentences.nothing()
    codes, parts, arabic = encoders.tested(results, teacher.task), [], []
    for line in lines(results)[1:]:
        smaller = 100 * (1 - value(results, line, "size_disk") / value(results, teacher, "size_disk"))
        change = {code: score(results, line, code).value - score(results, teacher, code).value for code in codes}
        each = ", ".join(f"{labels.LANGUAGES[code]} {signed(one)}" for code, one in change.items())
        parts.append(f"{name(line)}, {number(smaller, 0)} % smaller: {each}")
        each = "، ".join(
            f"{labels.ARABIC[code]} {'خسارة' if one < 0 else 'كسب'} {number(abs(one), 1)}"
            for code, one in change.items()
        )
        arabic.append(f"{encoders.arabic(line)}، أصغر بنسبة {number(smaller, 0)}%: {each}")
    return sentences.said("Points against the teacher. " + "; ".join(parts) + ".",
                          "الفرق عن المعلّم بالنقاط. " + "؛ ".join(arabic) + ".")  # fmt: skip

"""How large an effect is, and how many items would be needed to see one: effect sizes and power of paired tests."""

from __future__ import annotations

import math
from statistics import NormalDist, median
from typing import TYPE_CHECKING

from llmini.report import audit_compression, labels, paired, style
from llmini.report.comparisons import compressed, head
from llmini.report.display import frame, number
from llmini.report.figures_damage import MAIN
from llmini.report.interaction import CLASSES
from llmini.report.sentences import listed, nothing, said

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from llmini.report.display import Shown
    from llmini.report.measured import Results

ALPHA, POWER = 0.05, 0.8  # two-sided; the usual
LOSS = 1.0  # points: what a reader would like to see
LOSSES = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0)
LOOKS = {"8-bit formats": ("w8a16", "-"), "4-bit formats": ("w4a16", "--"), "pruning to 50 %": ("sparsegpt", ":")}
ARABIC = {"8-bit formats": "صيغ 8 بت", "4-bit formats": "صيغ 4 بت", "pruning to 50 %": "التقليم إلى النصف"}


def needed(loss: float, changed: float, alpha: float = ALPHA, power: float = POWER) -> float:
    """Items that McNemar's test needs to see a loss of ``loss`` points where ``changed`` percent of answers change.

    n = (z(1 - alpha/2) √ψ + z(power) √(ψ - δ²))² / δ², ψ the share that changes, δ the loss. Source: Connor (1987),
    eq. 3. A loss cannot exceed the share that changes: then every change is a loss, and ψ is taken as δ.
    """
    if math.isnan(loss) or math.isnan(changed) or loss <= 0:
        return math.nan
    delta, psi = loss / 100, max(changed, loss) / 100
    normal = NormalDist()
    spread = normal.inv_cdf(1 - alpha / 2) * math.sqrt(psi)
    return ((spread + normal.inv_cdf(power) * math.sqrt(psi - delta**2)) / delta) ** 2


def visible(items: float, changed: float) -> float:
    """The least loss in points that ``items`` items show with 80 % power: where :func:`needed` meets ``items``."""
    if math.isnan(items) or math.isnan(changed) or items <= 0:
        return math.nan
    low, high = 1e-3, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if needed(middle, changed) > items else (low, middle)
    return high


def effect(results: Results, run: str, code: str) -> dict[str, float]:
    """Effect sizes of one run against its dense model, and what its items can see.

    ``changed``: percent of items whose correctness changes; ``odds``: lost over gained (the conditional odds ratio,
    each count raised by a half); ``g``: Cohen's g, the share of losses among changes less a half; ``design``: variance
    of the difference with items of one fact drawn together over that with items alone; ``visible``: points.
    """
    cell = paired.damage(results, run, code)
    lost, gained, n = cell["only_dense"], cell["only_run"], cell["n"]
    out = dict.fromkeys(("changed", "odds", "g", "design", "visible"), math.nan)
    if math.isnan(n):
        return out
    changes = lost + gained
    out |= {"changed": 100 * changes / n, "odds": (lost + 0.5) / (gained + 0.5),
            "g": lost / changes - 0.5 if changes else 0.0, "design": design(results, run, code)}  # fmt: skip
    return out | {"visible": visible(n / out["design"], max(out["changed"], 100 / n))}


def design(results: Results, run: str, code: str) -> float:
    """Design effect of the clusters: 1 where they change nothing. Source: Kish (1965), ch. 5."""
    import numpy

    dense = results.dense(run)
    draws = paired.drawn(results, [dense, run], code)
    found = paired.outcomes(results, [dense, run], code)
    if draws is None or found is None:
        return math.nan
    delta = found.right[:, 1] - found.right[:, 0]
    groups = [found.task == name for name in numpy.unique(found.task)] if code == "en" else [slice(None)]
    alone = sum(delta[group].var() / len(delta[group]) for group in groups) / len(groups) ** 2
    together = (draws[:, 1] - draws[:, 0]).var() / 100**2
    return float(max(together / alone, 1e-9)) if alone else 1.0


def table(results: Results) -> pandas.DataFrame:
    """Effect sizes of every comparison, and the least loss that its items can see."""
    rows = []
    for model, method, run in compressed(results):
        row: dict = head(results, model, method)
        for code in labels.SUITES:
            name, cell = labels.LANGUAGES[code], effect(results, run, code)
            row |= {(name, "answers changed, %"): cell["changed"], (name, "lost : gained"): cell["odds"],
                    (name, "Cohen's g"): cell["g"], (name, "design effect"): cell["design"],
                    (name, "least visible loss, points"): cell["visible"],
                    (name, "items for a point"): needed(LOSS, cell["changed"]) * cell["design"]}  # fmt: skip
        rows.append(row)
    if not rows:
        rows.append({"model": "none", "method": "none", ("Arabic", "answers changed, %"): math.nan})
    note = ("Lost : gained: odds that a changed answer was lost (a half added to each count); Cohen's g: the share of "
            "losses among changes less a half. Design effect: variance with items of one fact drawn together over that "
            f"of items alone. Least visible loss: with {POWER:.0%} power at a two-sided {ALPHA:.0%}, before Holm "
            "(Connor, 1987), for as many items as were asked and as many answers as changed.")  # fmt: skip
    digits = {"answers changed, %": 1, "design effect": 2, "least visible loss, points": 1, "items for a point": 0}
    return frame(rows, ["model", "method"], "Effect sizes and power", note, digits)


def changes(results: Results) -> dict[str, float]:
    """Class of methods -> median percent of answers that change against dense, over studied models and languages."""
    out = {}
    for words, methods in CLASSES.items():
        cells = [effect(results, run, code)["changed"] for model, method, run in compressed(results)
                 if method in methods and model in results.studied() for code in labels.SUITES]  # fmt: skip
        cells = [value for value in cells if not math.isnan(value)]
        if cells:
            out[words] = median(cells)
    return out


def asked(results: Results) -> dict[str, float]:
    """Whose items -> how many: this tier's benchmarks and the study's metabench without GSM8K."""
    run = results.run(MAIN, labels.DENSE)
    study = sum(count for task, count in audit_compression.ITEMS.items() if task in labels.METABENCH_MEAN)
    return {**{labels.SUITES[code]: results.mean(run, code).n for code in labels.SUITES}, "study": study}


@style.styled
def figure(results: Results) -> Figure:
    """Items needed against the loss to be seen, for as many answers as each class of methods changes."""
    import numpy

    found, there = changes(results), asked(results)
    figure, axes = style.canvas(1, 1, (9.6, 4.6))
    panel = axes[0][0]
    losses = numpy.geomspace(LOSSES[0], LOSSES[-1], 60)
    for words, changed in found.items():
        method, dash = LOOKS[words]
        panel.plot(losses, [needed(loss, changed) for loss in losses], color=style.COLOURS[method], linestyle=dash,
                   linewidth=1.8, label=f"{words}: {changed:.1f} % of answers change · {ARABIC[words]}")  # fmt: skip
    if not found:
        style.absent(panel)
    else:
        marks = {"ArabicMMLU and metabench here": there["arabicmmlu"], "metabench in the study": there["study"]}
        for words, count in marks.items():
            if count == count:
                panel.axhline(count, color=style.GREY, linewidth=0.9, linestyle="-.")
                panel.text(LOSSES[-1], count, f"{words}: {count:,.0f} ", fontsize=7.5, color=style.GREY, ha="right",
                           va="bottom" if count == max(marks.values()) else "top")  # fmt: skip
        panel.set(xscale="log", yscale="log", xlabel="loss to be seen, points · الخسارة المراد كشفها بالنقاط",
                  ylabel="items needed\nعدد الأسئلة اللازم")  # fmt: skip
        panel.set_xticks(LOSSES, [f"{loss:g}" for loss in LOSSES])
        panel.minorticks_off()
        panel.yaxis.set_major_formatter("{x:,.0f}")
        panel.legend(loc="upper right")
    style.words(figure, "How many items to see a loss?", "كم سؤالًا يلزم لكشف الخسارة؟",
                f"McNemar's test, {POWER:.0%} power, two-sided {ALPHA:.0%} (Connor, 1987), for the share of answers "
                f"that change in the {labels.tier(results.tier)} (median of each class). Items of one fact and a "
                "correction "
                "for many tests need more.")  # fmt: skip
    return figure


def answer(results: Results) -> Shown:
    """Items needed to see one point, and what the items at hand and the study's can see."""
    found, there = changes(results), asked(results)
    if not found:
        return nothing()
    items = {words: number(needed(LOSS, changed), 0) for words, changed in found.items()}
    here, study = ({words: number(visible(there[key], changed), 1) for words, changed in found.items()}
                   for key in ("arabicmmlu", "study"))  # fmt: skip
    total, printed = number(there["arabicmmlu"], 0), number(there["study"], 0)
    english, own, other = (listed(f"{value} {unit}for {words}" for words, value in cells.items())
                           for cells, unit in ((items, ""), (here, "points "), (study, "points ")))  # fmt: skip
    arabic, arabic_own, arabic_other = ("، و".join(f"{value} في {ARABIC[words]}" for words, value in cells.items())
                                        for cells in (items, here, study))  # fmt: skip
    return said(
        f"To see a loss of {number(LOSS, 0)} point with {number(100 * POWER, 0)} % power takes this many items: "
        f"{english}. The {total} items of a language here show a loss from {own}; the study's {printed} items of "
        "metabench would "
        f"show one from {other}, if as many answers changed.",
        f"عدد الأسئلة اللازم لكشف خسارة قدرها {'نقطة واحدة' if LOSS == 1 else f'{number(LOSS, 1)} نقطة'} بقوة "
        f"{number(100 * POWER, 0)}%: {arabic}. "
        f"وأقلّ خسارة تكشفها أسئلة اللغة الواحدة هنا، وعددها {total}، بالنقاط: {arabic_own}؛ وما "
        f"تكشفه أسئلة metabench في الدراسة، وعددها {printed}، إن تغيّر من الأجوبة مثل ما تغيّر هنا: {arabic_other}.",
    )



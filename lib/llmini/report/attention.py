"""What the attention notebook shows: cost against length, the kernels that ran, a figure and an answer.

Every function takes the rows of `llmini.measure.attention.attention`, whatever cases are there or have no numbers.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmini.report import display, labels, style
from llmini.report.measured import MB
from llmini.report.sentences import listed, nothing, said

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llmini.report.measured import Results

NAMES = {"eager": "Eager", "sdpa": "SDPA", "flash_attention_2": "FlashAttention 2"}
COLOURS = {"eager": "#EE7733", "sdpa": "#0077BB", "flash_attention_2": "#009988"}  # Paul Tol's "vibrant" scheme
SIDES = {"eager": -1, "sdpa": 1, "flash_attention_2": 0}  # apart where they are equal
MODES = {"train": ("training", "التدريب"), "decode": ("decoding", "التوليد")}
TITLES = {"train": "Training: one step over one sequence · التدريب: خطوة واحدة على متتالية واحدة",
          "decode": "Decoding: cached tokens after a prefill · التوليد: رموز متتابعة بعد قراءة المتتالية"}  # fmt: skip
PHASES = ("forward", "backward", "prefill", "cached tokens", "device")
LOOKS = {"train": {"marker": "o", "linestyle": "-"}, "decode": {"marker": "v", "linestyle": "--"}}
ABSENT = {"not installed": "غير مثبّت", "not on this device": "لا يعمل على هذا الجهاز",
          "only for 16-bit numbers": "لا يعمل إلا بأعداد من 16 بت", "out of memory": "لا تكفيه الذاكرة"}  # fmt: skip
PANELS = (("peak_memory", 1 / MB, "Peak memory\nذروة الذاكرة", "peak memory, MB\nذروة الذاكرة بالميغابايت"),
          ("tokens_per_second", 1, "Speed\nالسرعة", "tokens per second\nعدد الرموز في الثانية"))  # fmt: skip
Rows = Sequence[Mapping[str, Any]]


def rows(kept: Mapping[str, Any] | str) -> list[dict[str, Any]]:
    """The rows that a record keeps in its provenance under ``attention``, as it is there or as JSON text."""
    kept = json.loads(kept) if isinstance(kept, str) else kept
    return [{**kept["head"], **case} for case in kept["cases"]]


def recorded(results: Results, model: str = "allam_7b") -> list[dict[str, Any]]:
    """The rows that the attention notebook's run left in a tier's results; none where it was not run."""
    kept = results.provenance.get(f"{results.tier}-finetune-{model}-attention", {}).get("attention")
    return rows(kept) if kept and isinstance(kept, (str, Mapping)) else []


def table(rows: Rows) -> display.Shown:
    """Speed with its range, peak memory and, in decoding, the prefill's time, by length; one table a mode."""
    if not rows:
        return nothing()
    tables = []
    for mode in (mode for mode in MODES if any(row["mode"] == mode for row in rows)):
        lines = []
        for length in sorted({row["length"] for row in rows if row["mode"] == mode}):
            here = [row for row in rows if (row["mode"], row["length"]) == (mode, length)]
            line: dict[Any, Any] = {"length": f"{length:,}",
                                    ("Scores, L² × heads", "MB a layer"): here[0]["attention_matrix"] / MB}  # fmt: skip
            for name in ordered(numbered(rows)):
                row = next((row for row in here if row["implementation"] == name), None)
                line |= {(NAMES[name], column): text for column, text in cells(row, mode).items()}
            lines.append(line)
        note = ("Medians of the repeats; in brackets the slowest and the fastest. Peak memory: "
                f"{rows[0]['memory']}, with weights{', gradients' if mode == 'train' else ', cache'} and activations, "
                f"without optimizer state. {missing(rows)}").strip()  # fmt: skip
        tables.append(display.frame(lines, ["length"], TITLES[mode], note, missing="–"))
    return display.show(*tables)


def numbered(rows: Rows) -> list[Mapping[str, Any]]:
    """The rows that have numbers."""
    return [row for row in rows if row["tokens_per_second"] is not None]


def missing(rows: Rows) -> str:
    """``FlashAttention 2: not installed · غير مثبّت.``: implementations without any number, and why."""
    there = ordered(numbered(rows))
    return " ".join(f"{entry(rows, name)}." for name in ordered(rows) if name not in there)


def cells(row: Mapping[str, Any] | None, mode: str) -> dict[str, str]:
    """One implementation's columns of a line."""
    names = ["tokens/s", "peak memory, MB"] + ["prefill, ms"] * (mode == "decode")
    if row is None:
        return dict.fromkeys(names, "–")
    if row["tokens_per_second"] is None:
        return {**dict.fromkeys(names, "–"), names[0]: row["note"]}
    speed = display.span({"value": row["tokens_per_second"], "low": row["low"], "high": row["high"]}, 0)
    values = [speed, display.number(row["peak_memory"] / MB, 1), display.number(row["latency_ms"], 1)]
    return dict(zip(names, values, strict=False))


def kernels(rows: Rows) -> display.Shown:
    """The operators that the profiler saw in each phase, per mode and implementation, and how far logits differ."""
    lines = []
    for mode in MODES:
        for name in ordered(rows):
            groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
            for row in rows:
                if (row["mode"], row["implementation"]) == (mode, name):
                    ran = "; ".join(f"{phase}: {', '.join(op.removeprefix('aten::') for op in row['kernels'][phase])}"
                                    for phase in labels.rank(row["kernels"], PHASES))  # fmt: skip
                    groups.setdefault((ran or "–", row["note"] or "–"), []).append(row)
            for (ran, note), same in groups.items():
                furthest = largest(same)
                lines.append({"mode": " · ".join(MODES[mode]), "implementation": NAMES[name],
                              "lengths": lengths(same), "kernels that ran": ran,
                              "largest difference of logits": display.tiny(furthest),
                              "note": note})  # fmt: skip
    against = " and ".join(NAMES[name] for name in dict.fromkeys(row["against"] for row in rows if row["against"]))
    note = (f"Operators of torch seen by its profiler inside the attention modules, without the prefix aten::. "
            f"{f'Logits are compared with those of {against}. ' if against else ''}{setting(rows)}")  # fmt: skip
    title = "Which kernels ran · النوى التي عملت فعلًا"
    return display.show(display.frame(lines, ["mode", "implementation"], title, note))


def lengths(rows: Rows) -> str:
    """``64, 128`` or ``64 to 1,024``."""
    found = [f"{length:,}" for length in sorted({row["length"] for row in rows})]
    return ", ".join(found) if len(found) < 3 else f"{found[0]} to {found[-1]}"


def setting(rows: Rows) -> str:
    """``ALLaM-class, 3.9 M, pocket tier; CPU (x86_64), 1 thread, float32.``"""
    if not rows:
        return ""
    row = rows[0]
    threads = "" if "CUDA" in row["memory"] else f", {row['threads']} thread{'s' * (row['threads'] != 1)}"
    return (f"{labels.model(row['model'], row['tier'])}, {labels.tier(row['tier'])}; {row['device']}{threads}, "
            f"{row['dtype']}.")  # fmt: skip


def ordered(rows: Rows) -> list[str]:
    return labels.rank([row["implementation"] for row in rows], tuple(NAMES))


def largest(rows: Rows) -> float | None:
    """The largest difference of logits among rows; None where none was compared."""
    return max((row["logit_difference"] for row in rows if row["logit_difference"] is not None), default=None)


@style.styled
def figure(rows: Rows) -> Figure:
    """Peak memory and tokens per second against length on logarithmic axes: hue by implementation, line by mode."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import LogLocator

    figure, axes = style.canvas(1, 2, (9.6, 4.9))
    for panel, (metric, scale, title, words) in zip(axes[0], PANELS, strict=True):
        panel.set_title(title)
        panel.set(xlabel="sequence length, tokens\nطول المتتالية بالرموز", ylabel=words)
        there = [row for row in rows if row[metric] is not None]
        if not there:
            style.absent(panel)
            continue
        for name in ordered(there):
            for mode in MODES:
                curve(panel, [row for row in there if (row["implementation"], row["mode"]) == (name, mode)], metric,
                      scale)  # fmt: skip
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:,g}")
        ticks = sorted({row["length"] for row in there})
        panel.set_xticks(ticks, [f"{length:,}" for length in ticks])
        panel.minorticks_off()
    drawn = ordered(numbered(rows))
    hues = [Patch(color=COLOURS[name] if name in drawn else "none", label=entry(rows, name)) for name in ordered(rows)]
    modes = [Line2D([], [], color=style.GREY, label=" · ".join(MODES[mode]), **LOOKS[mode]) for mode in MODES
             if any(row["mode"] == mode for row in rows)]  # fmt: skip
    style.words(figure, "What does an attention implementation cost?", "كم يكلّف كل تنفيذ لآلية الانتباه؟",
                f"{setting(rows)} Batch of one. Points are medians; bars run from the slowest to the "
                "fastest repeat. Peak memory holds the weights and, in training, the gradients.",
                [(0.35, hues, 3), (0.82, modes, 2)])  # fmt: skip
    return figure


def curve(panel: Axes, rows: Rows, metric: str, scale: float) -> None:
    """One implementation in one mode, with bars of the range where speed is drawn."""
    rows = sorted(rows, key=lambda row: row["length"])
    if not rows:
        return
    name, mode = rows[0]["implementation"], rows[0]["mode"]
    places = [row["length"] * 1.03 ** SIDES[name] for row in rows]
    panel.plot(places, [row[metric] * scale for row in rows], color=COLOURS[name], linewidth=1.4, clip_on=False,
               zorder=3, **LOOKS[mode])  # fmt: skip
    if metric == "tokens_per_second":
        panel.vlines(places, [row["low"] for row in rows], [row["high"] for row in rows], color=COLOURS[name],
                     linewidth=1.1, alpha=0.8, zorder=2)  # fmt: skip


def entry(rows: Rows, name: str) -> str:
    """A legend entry; an implementation without any number says why, in both languages."""
    own = [row for row in rows if row["implementation"] == name]
    if any(row["tokens_per_second"] is not None for row in own):
        return NAMES[name]
    return " · ".join(filter(None, [f"{NAMES[name]}: {own[0]['note']}", ABSENT.get(own[0]["note"], "")]))


def answer(rows: Rows) -> display.Shown:
    """Two sentences: the others against eager at the longest sequence; which kernels ran, and what was not measured."""
    there = numbered(rows)
    if not there:
        return nothing()
    parts = [compared(there, mode) for mode in MODES if any(row["mode"] == mode for row in there)]
    absent = {name: next(row["note"] for row in rows if row["implementation"] == name) for name in ordered(rows)
              if name not in ordered(there)}  # fmt: skip
    fused = [ran_fused(row) for row in there if row["implementation"] == "sdpa"]
    furthest = largest(there)
    english, arabic = [], []
    if fused:
        english.append(f"SDPA ran a fused kernel in {sum(fused)} of {len(fused)} cases")
        arabic.append(f"عدد الحالات التي عمل فيها {bdi('sdpa')} بنواة مدمجة: {sum(fused)} من {len(fused)}")
    if furthest is not None:
        english.append(f"the logits of the implementations differ by {display.tiny(furthest)} at most")
        arabic.append("أكبر فرق بين قيم الخرج (<bdi>logits</bdi>) عند تبديل التنفيذ: "
                      f"<bdi>{display.tiny(furthest)}</bdi>")  # fmt: skip
    english += [f"{NAMES[name]} was not measured ({note})" for name, note in absent.items()]
    arabic += [f"لم يُقَس {bdi(name)} ({ABSENT.get(note) or f'<bdi>{html.escape(note)}</bdi>'})"
               for name, note in absent.items()]  # fmt: skip
    sentences = [[part[0] for part in parts], english]
    arabic_sentences = ["؛ و".join(words) for words in ([part[1] for part in parts], arabic) if words]
    return said(" ".join(f"{words[0][0].upper()}{'; '.join(words)[1:]}." for words in sentences if words),
                " ".join(f"{words}." for words in arabic_sentences))  # fmt: skip


def ran_fused(row: Mapping[str, Any]) -> bool:
    """Whether SDPA computed in one operator: none of its phases went through the math one."""
    ran = [op for ops in row["kernels"].values() for op in ops]
    return bool(ran) and not any("attention_math" in op for op in ran)


def compared(rows: Rows, mode: str) -> tuple[str, str]:
    """Memory and speed of the others against the first implementation at the longest length that all have."""
    own = [row for row in rows if row["mode"] == mode]
    names = ordered(own)
    common = set.intersection(*({row["length"] for row in own if row["implementation"] == name} for name in names))
    length = max(common or {own[0]["length"]})
    base, *others = sorted((row for row in own if row["length"] == length),
                           key=lambda row: names.index(row["implementation"]))  # fmt: skip
    every, verdicts = [base, *others], [verdict(row, base) for row in others]
    english = (f"in {'training on' if mode == 'train' else 'decoding after'} {length:,} tokens peak memory is "
               + listed(f"{memory(row)} MB under {NAMES[row['implementation']]}" for row in every)
               + f", and speed is {listed(speed(row) for row in every)} tokens per second")  # fmt: skip
    arabic = (f"في {'التدريب على' if mode == 'train' else 'التوليد بعد'} متتالية طولها بالرموز {length:,} تبلغ ذروة "
              "الذاكرة " + " و".join(f"{memory(row)} ميغابايت مع {bdi(row['implementation'])}" for row in every)
              + "، ويبلغ عدد الرموز في الثانية "
              + " و".join(f"{speed(row)} مع {bdi(row['implementation'])}" for row in every))  # fmt: skip
    if not others:
        return english, arabic
    return (f"{english} ({'; '.join(words for words, _ in verdicts)})",
            f"{arabic} ({'؛ '.join(words for _, words in verdicts)})")  # fmt: skip


def verdict(row: Mapping[str, Any], base: Mapping[str, Any]) -> tuple[str, str]:
    """In both languages, whether every repeat of one was faster than every repeat of the other."""
    name = row["implementation"]
    if row["low"] > base["high"]:
        return f"{NAMES[name]} is faster in every repeat", f"{bdi(name)} أسرع في كل الإعادات"
    if row["high"] < base["low"]:
        return f"{NAMES[name]} is slower in every repeat", f"{bdi(name)} أبطأ في كل الإعادات"
    return (f"the repeats of {NAMES[name]} and {NAMES[base['implementation']]} overlap, so no difference is sure",
            f"إعادات {bdi(name)} و{bdi(base['implementation'])} متداخلة، فلا يثبت فرق")  # fmt: skip


def memory(row: Mapping[str, Any]) -> str:
    return display.number(row["peak_memory"] / MB, 1)


def speed(row: Mapping[str, Any]) -> str:
    return display.number(row["tokens_per_second"], 0)


def bdi(name: str) -> str:
    return f"<bdi>{NAMES[name]}</bdi>"

"""What the browser notebook shows: the choice of a model, its export form by form, what 4 bits left of it, an answer.

Functions take a run's record as it is written (`llmini.browser.runs.record`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmini.report import display, labels, style
from llmini.report.display import number, tiny
from llmini.report.measured import MB
from llmini.report.sentences import nothing, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GB = 1e9
FORMS = {"dense": "dense, fp32", "int8": "int8", "q4": "4-bit, MatMulNBits (WebGPU)",
         "q4dq": "4-bit, DequantizeLinear (wasm)"}  # fmt: skip
AGENTS = {"bahith": "باحث", "musheer": "مشير", "lughawi": "لغوي", "hakeem": "حكيم", "muraqib": "مراقب", "bani": "باني"}
BENCHMARK = "acai_agents"
HUE = "#0077BB"
Told = Mapping[str, Any]


def choice(table: Any) -> display.Shown:
    """`llmini.browser.choice.choice` for a reader."""
    lines = []
    for row in table.to_dict("records"):
        lines.append({
            "model": row["model"], "class": row["class"], "licence": row["licence"], "OALL, reported":
            row["OALL, reported"], "parameters, billions": row["parameters"] / GB,
            "4-bit download, GB": row["4-bit download"] / GB, "memory in wasm, GB": row["memory, wasm"] / GB,
            "fits wasm (4 GiB)": "yes" if row["fits wasm"] else "no",
            "memory in WebGPU, GB": row["memory, WebGPU"] / GB, "graphics memory that holds it": row["fits WebGPU"],
        })  # fmt: skip
    note = ("Computed from the models' shapes, none of them downloaded. wasm expands 4-bit weights to fp32 when it "
            "loads; WebGPU keeps them, and widens embeddings and head. Both with the keys and values of 2,048 tokens. "
            "OALL is the Open Arabic LLM Leaderboard's score as the study prints it, reported and not measured here.")
    title = "Open models that speak Arabic, in a browser · نماذج مفتوحة تدعم العربية، داخل المتصفح"
    return display.show(display.frame(lines, ["model"], title, note))


def forms(record: Told) -> display.Shown:
    """Download, parity with PyTorch and speed of every exported form."""
    parity, lines = record["provenance"]["parity"], []
    for form, words in FORMS.items():
        size, speed = (value(record, metric, form) for metric in ("size_disk", "tokens_per_second"))
        if size is None:
            continue
        found = parity.get(form, {})
        lines.append({"form": words, "download, MB": size / MB,
                      "largest difference of a logit": tiny(found.get("logits")),
                      "tokens compared": found.get("tokens", "–"), "ties": found.get("ties", "–"),
                      "prompts that differ": found.get("wrong", "–"),
                      "tokens/s, ONNX Runtime, one thread": display.number(speed, 0)})  # fmt: skip
    note = (f"{record['provenance']['label']}. Logits and greedy tokens against PyTorch in fp32 on the "
            "reference prompts in both languages, read whole and then token by token through the cache. A tie is a "
            "position where PyTorch's own two best tokens are closer than 1e-3: the comparison of that prompt ends "
            "there.")  # fmt: skip
    digits = {"download, MB": 2, "tokens compared": 0, "ties": 0, "prompts that differ": 0}
    return display.show(display.frame(lines, ["form"], "What is exported · ما يُصدَّر", note, digits))


def value(record: Told, metric: str, task: str, language: str = "") -> float | None:
    """The first row's value that fits, None where there is none."""
    return next((row["value"] for row in record["rows"]
                 if (row["metric"], row["task"], row["language"]) == (metric, task, language)), None)  # fmt: skip


def lessons(record: Told, note: Told) -> display.Shown:
    """Share of the agents' lessons answered to the letter: dense when the model was made, 4-bit measured here."""
    lines = []
    for agent, arabic in AGENTS.items():
        for language in ("ar", "en"):
            row = share(record, agent, language)
            if row is None:
                continue
            before = note["scores"]["dense"].get(f"{agent}/{language}")
            lines.append({"agent": f"{agent.title()} · {arabic}", "language": labels.LANGUAGES[language],
                          "lessons": row["n"], "dense, %": None if before is None else 100 * before,
                          "4-bit, %": 100 * row["value"]})  # fmt: skip
    text = ("Lessons of the test split, whose facts, rules and numbers no training saw, answered greedily; an answer "
            "counts when it is right to the letter, its citation included. Sources stand in the order in which the "
            "application's search has them. Dense: from training.json, measured when the model was made.")
    title = "What the agents' model can do · ما يقدر عليه نموذج الوكلاء"
    digits = {"dense, %": 1, "4-bit, %": 1, "lessons": 0}
    return display.show(display.frame(lines, ["agent", "language"], title, text, digits))


def share(record: Told, agent: str, language: str) -> Told | None:
    """The row of an agent's lessons in a language."""
    return next((row for row in record["rows"] if (row["benchmark"], row["task"], row["language"]) ==
                 (BENCHMARK, agent, language)), None)  # fmt: skip


@style.styled
def figure(record: Told, note: Told) -> Figure:
    """Right answers by agent, dense hollow and 4-bit solid, with a bar of one standard error; Arabic beside English."""
    figure, axes = style.canvas(1, 2, (9.6, 4.2))
    for panel, (language, title) in zip(axes[0], (("ar", "Arabic · العربية"), ("en", "English · الإنجليزية")),
                                        strict=True):  # fmt: skip
        panel.set_title(title)
        panel.set(xlim=(0, 100), xlabel="right to the letter, %\nصحيح حرفًا بحرف، %")
        names = [agent for agent in AGENTS if share(record, agent, language)]
        if not names:
            style.absent(panel)
            continue
        for place, agent in enumerate(names):
            row, before = share(record, agent, language), note["scores"]["dense"].get(f"{agent}/{language}")
            panel.errorbar(100 * row["value"], place, xerr=100 * row["stderr"], fmt="o", color=HUE)
            if before is not None:
                panel.plot(100 * before, place - 0.18, "o", mfc="none", mec=HUE, markersize=6)
        panel.set_yticks(range(len(names)), [f"{agent.title()} · {AGENTS[agent]}" for agent in names])
        panel.set_ylim(len(names) - 0.5, -0.5)
    style.words(figure, "What do 4 bits leave of the agents' model?", "ماذا تُبقي 4 بتات من نموذج الوكلاء؟",
                f"{record['provenance']['label']}, {labels.tier(record['tier'])}. Solid: 4-bit, with "
                "one standard error; hollow: before compression.")  # fmt: skip
    return figure


def answer(record: Told, table: Any) -> display.Shown:
    """Two sentences: which models fit, and whether what arrives in the browser is the model that was measured."""
    parity = record["provenance"].get("parity", {})
    if not parity:
        return nothing()
    total, wasm = len(table), int(table["fits wasm"].sum())
    holds = int((table["fits WebGPU"] != "no").sum())
    carried = {form: found for form, found in parity.items() if form != "int8"}
    worst = max(found["logits"] for found in carried.values())
    tokens, wrong = (sum(found[name] for found in carried.values()) for name in ("tokens", "wrong"))
    dense, packed = (value(record, "size_disk", form) for form in ("dense", "q4dq"))
    english = (f"Of {total} open models that speak Arabic, {wasm} fit the 4 GiB of wasm and {holds} fit a graphics "
               "memory of 16 GB or less once their weights are 4-bit. What arrives in the browser is the model that "
               f"was measured: logits differ from PyTorch's by {tiny(worst)} at most and {tokens} greedy tokens are "
               f"the same ({wrong} prompts differ)")  # fmt: skip
    arabic = (f"عدد النماذج المفتوحة التي تدعم العربية في هذا الجدول: {total}، وعدد ما تسعه منها ذاكرة "
              f"<bdi>wasm</bdi> (4 غيبيبايت): {wasm}، وما تسعه ذاكرة رسومية من 16 غيغابايت فأقل بعد ضغط الأوزان إلى "
              f"4 بت: {holds}. وما يصل إلى المتصفح هو النموذج الذي قيس: أكبر فرق عن قيم <bdi>PyTorch</bdi> هو "
              f"<bdi>{tiny(worst)}</bdi>، وعدد الرموز المتطابقة {tokens}، وعدد الأسئلة التي اختلف جوابها {wrong}")
    if dense and packed:
        english += f"; the download shrinks from {number(dense / MB, 1)} to {number(packed / MB, 1)} MB"
        arabic += f"؛ وينخفض حجم التنزيل من {number(dense / MB, 1)} إلى {number(packed / MB, 1)} ميغابايت"
    return said(f"{english}.", f"{arabic}.")

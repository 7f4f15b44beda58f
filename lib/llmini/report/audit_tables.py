"""The audit as the report shows it: what follows from the study's tables, what does not, what words mean two things."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llmini.report import audit, audit_code, audit_conflicts, labels, retention
from llmini.report import audit_compression as compression
from llmini.report.audit import GOAL_KEPT, GOAL_SMALLER, NO, OUTSIDE, PARTLY, YES
from llmini.report.display import frame, number
from llmini.report.sentences import listed, said

if TYPE_CHECKING:
    import pandas

    from llmini.report.display import Shown
    from llmini.report.measured import Results

# Sections of the study -> what they are about, in order.
PARTS = {"3": "methods", "4.2": "quantization", "4.3": "pruning", "4.4": "distillation", "4.5": "fine-tuning",
         "4.6": "comparison", "5": "conclusions", "site": "web page", "encoders": "a related study"}  # fmt: skip
TABLES = {"Table 4": "3", "Table 6": "4.2", "Table 9": "4.3", **{f"Table {n}": "4.4" for n in (14, 15, 16, 17)}}


def plain(text: Any) -> str:
    """A text of the audit's files with ids written as names."""
    out = "" if text != text else str(text)
    for model in labels.STUDIED:
        out = out.replace(model, labels.model(model))
    for method in (*labels.STAGES[1:], "sparsegpt", "wanda"):
        out = re.sub(rf"\b{method}\b", labels.method(method), out)
    return out


def part(seed: Any, section: Any) -> str:
    """What a claim is about."""
    if int(seed) == 4:
        return PARTS["encoders"]
    place = TABLES.get(str(section), str(section))
    return next((words for key, words in PARTS.items() if place.startswith(key)), PARTS["site"])


def summary_table() -> pandas.DataFrame:
    """How many claims of each part of the study follow from its tables."""
    claims = audit.claims()
    about = [part(row.seed, row.section) for row in claims.itertuples()]
    rows = []
    for words in (*PARTS.values(), "all"):
        own = claims if words == "all" else claims[[place == words for place in about]]
        rows.append({"part": words, "claims": len(own), **{verdict: int((own["verdict"] == verdict).sum())
                                                           for verdict in (YES, PARTLY, NO, OUTSIDE)}})  # fmt: skip
    return frame(rows, ["part"], "Claims of the study's text held against its own tables",
                 "Each is derived again from data/reported by llmini.report.audit; a test holds every verdict.",
                 dict.fromkeys(("claims", YES, PARTLY, NO, OUTSIDE), 0))  # fmt: skip


def claims_table(follow: bool) -> pandas.DataFrame:
    """The claims that follow from the tables, or those that do not or only in part, with the reason."""
    rows = []
    for row in audit.claims().itertuples():
        if (row.verdict == YES) is not follow:
            continue
        line = {"claim": f"{row.id}: {plain(row.claim)}", "where": row.section, "as printed": plain(row.claimed_value),
                "from the tables": plain(row.found if row.value == row.value else row.recomputed_value)}  # fmt: skip
        rows.append(line if follow else {**line, "follows": row.verdict, "why": plain(row.comment)})
    title = "Claims that follow from the tables" if follow else "Claims that do not follow, or only in part"
    return frame(rows, ["claim"], title, "Where: the section or table of the study.")


def conflicts_table() -> pandas.DataFrame:
    """Every conflict, with both readings as the tables have them."""
    rows = [{"conflict": f"{row.id}: {plain(row.description)}", "where": plain(row.where),
             "one reading": plain(row.first or row.value_a), "the other": plain(row.second or row.value_b),
             "found again": row.found} for row in audit_conflicts.table().itertuples()]  # fmt: skip
    note = f"{OUTSIDE}: a matter of wording, numbering or citation, read in the text and not derived from a number."
    return frame(rows, ["conflict"], "Where the study disagrees with itself", note)


def definitions_table(results: Results) -> pandas.DataFrame:
    """Words that mean two things in the study, both values, and what the difference changes."""
    four, half = "int4", "sparsegpt"
    sums, ratios = compression.average(four), compression.average(four, formula="mean_of_ratios")
    dense, six = compression.mean("fp16", "en"), compression.six(20, "allam_7b", "fp16")
    size, weights = compression.size("fp16"), audit_conflicts.weights_of_int4()
    clcs, chance, kappa = audit_code.agreement()["base"]
    windows = {code: [results.perplexity(results.run("allam_7b", labels.DENSE), code, protocol).value
                      for protocol in ("first", "")] for code in labels.SUITES}  # fmt: skip
    first = "; ".join(f"{labels.LANGUAGES[code]} {number(one)} against {number(other)}"
                      for code, (one, other) in windows.items())  # fmt: skip
    times = audit_code.double(results)
    packed = retention.size_share(results, results.run("allam_7b", half))
    rows = [
        ("average retention", "Figure 8: ratio of sums", "Figure 10: mean of ratios",
         f"INT4 {number(sums)} against {number(ratios)} %: the printed 85 holds under the first alone, and rounded"),
        ("metabench mean", "the mean of six tasks", "five plain accuracies, without GSM8K",
         f"ALLaM-7B {number(six)} against the printed {number(dense)}: GSM8K explains no fall of the mean"),
        ("GB", "10⁹ bytes", "GiB, 2³⁰ bytes", f"ALLaM-7B's {number(size)} are {number(size * 2**30 / 1e9)} GB"),
        ("size of a pruned model", "bytes of a file", "nonzero weights times two bytes",
         f"{number(100 - compression.smaller(half), 1)} % of the dense size by that count; the places of the zeros add "
         f"one bit a weight ({number(packed, 1)} % for the pocket model)"),
        ("perplexity on WikiText-2", "all windows of the test text", "its first 2,048 tokens",
         f"the pocket model, first window against all: {first}"),
        ("4-bit bitsandbytes", "NF4, double quantization", "FP4, one scale a block (its code and its size)",
         f"{number(weights['single'])} GiB as printed, not {number(weights['double'])}; in the pocket tier FP4 moves "
         f"the model {number(times, 1)} times as far as NF4"),
        ("consistency (CLCS)", "agreement between languages", "equal correctness, chance included",
         f"base: {number(clcs, 1)} % where chance gives {number(chance, 1)} % (kappa {number(kappa)})"),
        ("zero-shot", "no example", "no example from the harness; the documents hold 5 to 25", "not in the tables"),
    ]  # fmt: skip
    lines = [{"word": word, "as it reads": reads, "as it is": told, "what it changes": changes}
             for word, reads, told, changes in rows]  # fmt: skip
    return frame(lines, ["word"], "Words that mean two things", "Printed numbers of the study unless said otherwise.")


def reach() -> dict[str, Any]:
    """Who meets the objective by the study's own tables, and how much smaller the rest is."""
    runs = [("allam_7b", method) for method in (*compression.EIGHT, "w4a16", "int4")]
    runs += [(model, method) for model in compression.MODELS for method in compression.PRUNED]
    small = {run: compression.smaller(run[1], run[0]) for run in runs}
    met = {run: compression.passing(run[1], run[0]) if small[run] >= GOAL_SMALLER else set() for run in runs}
    short = [share for run, share in small.items() if share < GOAL_SMALLER]
    return {"both": [run for run in runs if met[run] == {"ar", "en"}], "arabic": [r for r in runs if met[r] == {"ar"}],
            "english": [run for run in runs if met[run] == {"en"}], "runs": runs, "low": min(short), "high": max(short),
            "short": len(short)}  # fmt: skip


def answer() -> Shown:
    """How many claims follow, and who meets the objective by the study's own numbers."""
    counts = audit.claims()["verdict"].value_counts()
    yes, partly, no, outside = (number(int(counts.get(verdict, 0)), 0) for verdict in (YES, PARTLY, NO, OUTSIDE))
    every, found, runs = number(int(counts.sum()), 0), reach(), reach()["runs"]
    both, arabic = ([f"{labels.method(method, published=True)} on {labels.model(model)}"
                     for model, method in found[key]] for key in ("both", "arabic"))  # fmt: skip
    own, other = (" و".join(f"<bdi>{labels.method(method, published=True)}</bdi>" for _, method in found[key])
                  for key in ("both", "arabic"))  # fmt: skip
    ends = [number(found[end], 1) for end in ("low", "high")]
    return said(
        f"Of {every} claims that could be set against numbers, {yes} follow from the study's own tables, {partly} in "
        f"part and {no} do not; {outside} rests on something no table shows. By the same tables, half the size with "
        f"{GOAL_KEPT:g} % of the accuracy in both languages is met by {number(len(both), 0)} of {number(len(runs), 0)} "
        f"compressed models ({listed(both)}), and in Arabic alone also by {listed(arabic)}; the other "
        f"{number(found['short'], 0)}, the 8-bit methods and pruning to half of the weights, are {ends[0]} to "
        f"{ends[1]} % smaller.",
        f"عدد الأقوال التي أمكنت مقابلتها بالأرقام: {every}؛ ما ينتج منها عن جداول الدراسة نفسها: {yes}، وما ينتج "
        f"عنها في جزء منه: {partly}، وما لا ينتج: {no}، وما لا يظهر في جدول: {outside}. وعدد النماذج المضغوطة التي "
        f"تبلغ بالجداول نفسها نصف الحجم مع {GOAL_KEPT:g}% من الدقة في اللغتين معًا: {number(len(both), 0)} من "
        f"{number(len(runs), 0)}، بطريقة {own}؛ ويبلغه في العربية وحدها {other}. أما صيغ 8 بت والتقليم إلى النصف، "
        f"وعددها {number(found['short'], 0)}، فتصغّر النموذج بنسبة بين {ends[0]}% و{ends[1]}%.",
    )

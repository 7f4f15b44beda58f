"""Tables of what compression costs, language against language and run against dense baseline."""

from __future__ import annotations

import json
import math
import statistics
from typing import TYPE_CHECKING, Any

from llmini.report import labels, paired, reported, retention
from llmini.report.display import MEASURED, REPORTED, frame
from llmini.report.figures_language import CALIBRATED, CALIBRATIONS, seeds
from llmini.report.tables import unit

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results

ALPHA = 0.05
SMALLER, KEPT = 50.0, 85.0  # the goal: at least this much smaller (percent), at least this share of the accuracy


def compressed(results: Results) -> list[tuple[str, str, str]]:
    """(model, method, run id) of every model under every method at the study's settings."""
    runs = ((model, method, results.run(model, method)) for model in results.models()
            for method in results.methods((*labels.QUANT, *labels.PRUNE)))  # fmt: skip
    return [(model, method, run) for model, method, run in runs if run]


def head(results: Results, model: str, method: str) -> dict[str, str]:
    """Index cells of a measured row."""
    return {"model": labels.model(model, results.tier), "method": labels.method(method)}


def paired_table(results: Results) -> pandas.DataFrame:
    """Every compressed run against its dense model over the same items: difference, interval, exact McNemar, Holm."""
    from llmini.measure.statistics import holm

    runs = compressed(results)
    tests = {(run, code): paired.damage(results, run, code) for _, _, run in runs for code in labels.SUITES}
    adjusted = dict(zip(tests, holm([test["p"] for test in tests.values()]), strict=True)) if tests else {}
    rows = []
    for model, method, run in runs:
        row: dict[Any, Any] = head(results, model, method)
        for code in labels.SUITES:
            name, test = labels.LANGUAGES[code], tests[(run, code)]
            p = float(adjusted[(run, code)])
            row |= {(name, "difference"): test["diff"], (name, "low"): test["low"], (name, "high"): test["high"],
                    (name, "lost"): test["only_dense"], (name, "gained"): test["only_run"], (name, "p"): test["p"],
                    (name, "p, Holm"): p, (name, "verdict"): verdict(test["diff"], p)}  # fmt: skip
        rows.append(row)
    note = (
        "Accuracy against the dense model, points, with 95 % paired bootstrap intervals (items of one cluster are "
        "drawn together). Lost and gained: items that only the dense or only the compressed model got right. p: "
        f"exact McNemar; Holm over all {len(tests)} tests of the table. A verdict needs Holm's p of at most {ALPHA}."
    )
    digits = {"difference": 1, "low": 1, "high": 1, "lost": 0, "gained": 0, "p": 4, "p, Holm": 4}
    return frame(rows, ["model", "method"], "Compressed against dense, item by item", note, digits)


def verdict(difference: float, p: float) -> str:
    """``worse``, ``better`` or ``no difference shown``; ``not measured`` without a test."""
    if math.isnan(p):
        return "not measured"
    if p > ALPHA:
        return "no difference shown"
    return "worse" if difference < 0 else "better"


def gap_table(results: Results) -> pandas.DataFrame:
    """Arabic loss minus English loss per run, with its interval and the KL of each language."""
    rows = []
    for model, method, run in compressed(results):
        cell = paired.gap(results, run)
        kl = {code: results.divergence(run, code).value for code in labels.SUITES}
        rows.append({**head(results, model, method), "Arabic loss": cell["ar"], "English loss": cell["en"],
                     "Arabic minus English": cell["value"], "low": cell["low"], "high": cell["high"],
                     "loses more": side(cell["low"], cell["high"]), "KL, ar": kl["ar"], "KL, en": kl["en"],
                     "KL ar / en": kl["ar"] / kl["en"] if kl["en"] else math.nan})  # fmt: skip
    note = ("Losses in points of mean accuracy, dense minus compressed; interval: 95 % paired bootstrap, the two "
            "languages' items drawn apart. KL in nats a token on held-out text of each language.")  # fmt: skip
    digits = dict.fromkeys(("Arabic loss", "English loss", "Arabic minus English", "low", "high"), 1)
    return frame(rows, ["model", "method"], "Does Arabic lose more than English?", note,
                 {**digits, "KL, ar": 4, "KL, en": 4, "KL ar / en": 2})  # fmt: skip


def side(low: float, high: float) -> str:
    """The language that loses more where the interval excludes zero."""
    if math.isnan(low):
        return "not measured"
    return "Arabic" if low > 0 else "English" if high < 0 else "cannot tell"


def goal_table(results: Results, size: str = "size_packed") -> pandas.DataFrame:
    """The study's goal per language, from the numbers: at least 50 % smaller, at least 85 % of the accuracy."""
    kept, sizes = retention.published(), reported.sizes()
    rows = []
    for model, method in sorted(
        kept.index, key=lambda key: (labels.MODELS.index(key[0]), labels.METHODS.index(key[1]))
    ):
        smaller = 100 - 100 * sizes[(model, method)] / sizes[(model, labels.DENSE)]
        rows.append({"source": REPORTED, "model": labels.model(model), "method": labels.method(method, published=True),
                     **_goal(smaller, kept.loc[(model, method)])})  # fmt: skip
    source, runs = f"{MEASURED}, {labels.tier(results.tier)}", compressed(results)
    if not runs:
        rows.append({"source": source, "model": "none", "method": "none"})
    for model, method, run in runs:
        smaller = 100 - retention.size_share(results, run, size)
        rows.append({"source": source, **head(results, model, method), **_goal(smaller, retention.of(results, run))})
    note = ("Smaller: percent of the dense size saved. The study counts nonzero weights alone; the measured size is "
            "the packed one, which adds the 1-bit mask that says where they are.")  # fmt: skip
    title = f"The goal: at least {SMALLER:g} % smaller with at least {KEPT:g} % of the accuracy"
    digits = dict.fromkeys(("smaller, %", "kept, ar", "kept, en"), 1)
    return frame(rows, ["source", "model", "method"], title, note, digits)


def _goal(smaller: float, kept: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"smaller, %": smaller, "kept, ar": kept["ar"], "kept, en": kept["en"]}
    for name, key in (("Arabic", "ar"), ("English", "en"), ("ratio of sums", "ratio_of_sums"),
                      ("mean of ratios", "mean_of_ratios")):  # fmt: skip
        out[name] = meets(smaller, kept[key])
    return out


def meets(smaller: float, kept: float) -> str:
    """``met``, or which half of the goal is missed; ``not measured`` where a number is missing."""
    if math.isnan(smaller) or math.isnan(kept):
        return "not measured"
    missed = [name for name, value, least in (("size", smaller, SMALLER), ("accuracy", kept, KEPT)) if value < least]
    return f"misses {' and '.join(missed)}" if missed else "met"


def calibration_table(results: Results, model: str = "allam_7b") -> pandas.DataFrame:
    """Mean and spread over seeds of KL, perplexity and accuracy, per calibration language and judged language."""
    rows = []
    for method in CALIBRATED:
        for text in CALIBRATIONS:
            runs = seeds(results, model, method, text)
            row: dict[Any, Any] = {"method": labels.method(method), "calibration": labels.LANGUAGES[text]}
            row[("Seeds", "seeds")] = len(runs)
            for code in labels.SUITES:
                for name, values in (("KL", [results.divergence(run, code).value for run in runs]),
                                     ("perplexity", [results.perplexity(run, code).value for run in runs]),
                                     ("accuracy, %", [results.mean(run, code).value for run in runs])):  # fmt: skip
                    row[(labels.LANGUAGES[code], name)] = statistics.fmean(values) if values else math.nan
                    gap = len(values) < 2 or any(map(math.isnan, values))
                    spread = math.nan if gap else statistics.stdev(values)
                    row[(labels.LANGUAGES[code], f"s.d. {name}")] = spread
            rows.append(row)
    digits = {"seeds": 0, "KL": 4, "s.d. KL": 4, "accuracy, %": 1, "s.d. accuracy, %": 1, "s.d. perplexity": 3}
    return frame(rows, ["method", "calibration"], f"Calibration language, {labels.model(model, results.tier)}",
                 "Means over seeds; s.d.: standard deviation over seeds.", digits)  # fmt: skip


def divergence_table(results: Results) -> pandas.DataFrame:
    """KL to dense, flipped answers and the gold answer's NLL per language: what ranks methods of equal accuracy."""
    rows = []
    for model, method, run in compressed(results):
        row: dict[Any, Any] = head(results, model, method)
        for code, suite in labels.SUITES.items():
            name, dense, kl = labels.LANGUAGES[code], results.dense(run), results.divergence(run, code)
            gold = [results.cell(which, "gold_nll", suite, "mean").value for which in (run, dense)]
            row |= {(name, "KL"): kl.value, (name, "s.e."): kl.stderr,
                    (name, "flips, %"): 100 * results.cell(run, "flip_rate", suite, "mean").value,
                    (name, "gold NLL, change"): gold[0] - gold[1]}  # fmt: skip
        rows.append(row)
    note = ("KL: nats a token on held-out text. Flips: share of items whose answer is not the dense model's. "
            "Gold NLL: nats by which the right answer became less likely (positive) or more likely.")  # fmt: skip
    return frame(rows, ["model", "method"], "Distance from the dense model", note,
                 {"KL": 4, "s.e.": 4, "flips, %": 1, "gold NLL, change": 3})  # fmt: skip


def cost_table(results: Results) -> pandas.DataFrame:
    """Seconds to compress and to measure, peak memory, and speed where the compressed format is what runs."""
    scale, name = unit(results.tier)
    rows = []
    for model, method, run in [*((model, labels.DENSE, results.run(model, labels.DENSE)) for model in results.models()),
                               *compressed(results)]:  # fmt: skip
        made = results.provenance.get(run, {})
        cost, recipe = (_read(made.get(key)) for key in ("cost", "recipe"))
        runs = cost.get("executes_compressed")
        rows.append({**head(results, model, method), "compression, s": _seconds(recipe), "measuring, s": _number(made),
                     f"peak memory when running, {name}": results.cell(run, "peak_memory").value / scale,
                     "tokens per second": results.cell(run, "tokens_per_second").value,
                     "latency, ms": results.cell(run, "latency_ms").value,
                     "format runs": math.nan if runs is None else "as saved" if runs else "as dense"})  # fmt: skip
    rows.sort(key=lambda row: row["model"])
    note = ("A format that the runtime expands at its first forward pass runs at the dense model's speed and memory; "
            "no speed is given for it. Peak memory: of the device's allocator, or weights and what the process grew "
            "by while it "
            "decoded. One measurement each, on the machine that measured here; times differ elsewhere.")  # fmt: skip
    digits = {"compression, s": 1, "measuring, s": 1, "tokens per second": 0, "latency, ms": 1}
    return frame(rows, ["model", "method"], "Cost", note, digits)


def _read(text: Any) -> dict[str, Any]:
    return json.loads(text) if isinstance(text, str) and text.startswith("{") else {}


def _seconds(recipe: dict[str, Any]) -> Any:
    value = recipe.get("seconds", math.nan)
    return value.get("total", math.nan) if isinstance(value, dict) else value


def _number(made: dict[str, Any]) -> float:
    return float(made.get("seconds") or math.nan)

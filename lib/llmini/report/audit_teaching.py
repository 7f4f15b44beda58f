"""Claims on distillation and fine-tuning (Tables 12-19 and 23), and those of the related study of encoders."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean

from llmini.report.audit import Derivation, Derive, equal, load, number, parts, printed, rows, whole
from llmini.report.display import number as written

TASKS = ("dialect_id", "normalize", "code_switch")
STAGES = ("base", "sft_kd", "seq_kd", "token_kd", "selectkd")
TAUGHT = STAGES[1:]
MODEST = 5.0  # points: what a "modest" change and a "competitive" score may lose
FALLBACK = 2.0  # times: a format that falls back to another device is at least this much slower
TESTED = 872  # sentences of SST-2's development set


def behaviour(method: str, metric: str, language: str = "en_ar", table: int = 15) -> float:
    return printed(table, method=method, metric=metric, language=language, benchmark="parallel_prompts")


def distance(method: str, table: int = 15) -> float:
    """English less Arabic accuracy of the printed values, points."""
    return abs(behaviour(method, "accuracy", "en", table) - behaviour(method, "accuracy", "ar", table))


def dialect(method: str, table: int) -> float:
    """The mean of the three dialect tasks."""
    return fmean(printed(table, method=method, benchmark="bahrain_corpus", task=task, metric="accuracy_upper_bound")
                 for task in TASKS)  # fmt: skip


def score(table: int, method: str, benchmark: str) -> float:
    return printed(table, method=method, benchmark=benchmark, metric="accuracy")


def known(table: int, benchmark: str) -> list[float]:
    """Every printed accuracy of a benchmark."""
    values = [row["value"] for row in rows(f"table_{table}") if row["benchmark"] == benchmark]
    return [value for value in values if not math.isnan(value)]


def drop(benchmark: str, method: str = "selectkd", table: int = 13) -> float:
    """Base less ``method``, points."""
    return score(table, "base", benchmark) - score(table, method, benchmark)


def selected() -> list[tuple[float, float]]:
    """(theta, percent of Arabic tokens kept) of Table 18, by rising theta."""
    return sorted((row["theta"], row["value"]) for row in rows("table_18") if row["metric"] == "ar_selected_percent")


def encoder(table: str, method: str, metric: str, model: str = "distilbert", bits: int | None = None) -> float:
    """One cell of the encoder study, whose file holds several tables."""
    more = {} if bits is None else {"sparsity_or_bits": bits}
    return printed("seed4_bert_study", table=f"seed4_{table}", method=method, metric=metric, model=model, **more)


def derivations() -> dict[str, Derive]:
    """Claim id -> derivation."""
    return {**_benchmarks(), **_dialect(), **_behaviour(), **_tuned(), **_encoders()}


def _benchmarks() -> dict[str, Derive]:
    error = math.hypot(*(printed_error(method) for method in ("base", "selectkd")))
    apart = score(12, "base", "mmlu") - score(12, "selectkd", "mmlu")
    arabic = known(12, "arabic_mmlu")
    both = {method: [score(table, method, "gsm8k") for table in (12, 23)] for method in ("sft_kd", "selectkd")}
    tasks = [row["value"] for row in rows("table_13") if row["benchmark"] != "aradice_culture"]
    return {
        "c071": lambda _: Derivation("yes" if apart < error else "no", apart,
                                     f"{written(apart, 2)} against {written(error, 2)}"),
        "c072": equal(min(arabic), max(arabic)),
        "c073": _agree(both["sft_kd"]), "c074": _agree(both["selectkd"]),
        "c075": number(drop("aradice_culture", "token_kd")), "c076": number(drop("aradice_culture")),
        "c077": whole(("from the thirties", 30 <= min(tasks) < 40), ("to the mid-forties", 43 < max(tasks) < 47)),
        "c078": parts(*((f"{name} loses at most {MODEST:g} points", drop(f"aradice_{name}") <= MODEST)
                        for name in ("truthfulqa", "piqa", "hellaswag"))),
    }  # fmt: skip


def printed_error(method: str) -> float:
    """The standard error that Table 12 prints for MMLU."""
    return next(row["stderr"] for row in rows("table_12") if (row["method"], row["benchmark"]) == (method, "mmlu"))


def _agree(values: list[float]) -> Derive:
    """A number that two tables print: ``yes`` when both print it."""

    def derive(claimed: str) -> Derivation:
        one = number(values[-1])(claimed)
        same = all(number(value)(claimed).verdict == "yes" for value in values)
        text = " and ".join(f"{value:g}" for value in values)
        return one._replace(verdict="yes" if same else "no", found=f"Tables 12 and 23: {text}")

    return derive


def _dialect() -> dict[str, Derive]:
    out: dict[str, Derive] = {}
    for place, method in enumerate(("base", "token_kd", "selectkd")):
        failures = {"method": method, "task": "cjk_failures"}
        items = next(row["n"] for row in rows("table_14") if row["method"] == method and row["metric"] == "count")
        out |= {f"c{79 + place:03d}": number(dialect(method, 14)),
                f"c{82 + place:03d}": number(100 * printed(14, metric="count", **failures) / items)}  # fmt: skip
    return out


def _behaviour() -> dict[str, Derive]:
    out = {f"c{85 + place:03d}": number(distance(method)) for place, method in enumerate(STAGES)}
    gaps, agreement, ece = (
        {method: behaviour(method, metric, language) for method in STAGES}
        for metric, language in (("lpg", "en_ar"), ("clcs", "en_ar"), ("ece", "ar")))  # fmt: skip
    out["c090"] = whole_number(gaps["base"], gaps["token_kd"])
    out["c091"] = parts(("best CLCS", agreement["selectkd"] == max(agreement.values())),
                        ("best ECE in Arabic", ece["selectkd"] == min(ece.values())))  # fmt: skip
    for place, method in enumerate(("base", "token_kd", "selectkd")):
        loss = printed(16, method=method, metric="average_nll")
        right = {code: pairs_right(method, code) for code in ("en", "ar")}
        out |= {f"c{92 + place:03d}": number(math.exp(loss)),
                f"c{95 + place:03d}": number(100 * (right["en"] - right["ar"]) / SEEDED)}  # fmt: skip
    least = min((row for row in rows("table_18") if row["metric"] == "lpg"), key=lambda row: row["value"])
    rising = all(before >= after for (_, before), (_, after) in pairwise(selected()))
    out["c098"] = parts(("theta 0.7 has the lowest LPG", least["theta"] == 0.7),
                        ("its row is of the ablation, not of the full training", "full" not in least["conclusion"]))
    out["c099"] = whole(("the share kept falls as theta grows", rising))
    return out | {"c110": whole(("lowest LPG of the taught", gaps["selectkd"] == min(gaps[name] for name in TAUGHT)),
                                ("highest CLCS", agreement["selectkd"] == max(agreement[name] for name in TAUGHT)))}


SEEDED = 15  # pairs behind Table 17


def pairs_right(method: str, code: str) -> int:
    """Right answers behind a percentage of Table 17."""
    return round(SEEDED * printed(17, method=method, metric="accuracy_mean", language=code) / 100)


def whole_number(*values: float) -> Derive:
    """A number claimed of several cells at once."""

    def derive(claimed: str) -> Derivation:
        found = [number(value)(claimed) for value in values]
        return found[0]._replace(verdict="yes" if all(one.verdict == "yes" for one in found) else "no")

    return derive


def _tuned() -> dict[str, Derive]:
    mmlu, culture, gsm = ([score(19, method, name) for method in ("ft_v1", "ft_v2")]
                          for name in ("mmlu", "aradice_culture", "gsm8k"))  # fmt: skip
    habash = [dialect(method, 19) for method in ("ft_v1", "ft_v2")]
    arabic = known(19, "arabic_mmlu")
    losses = {method: drop("mmlu", method, 19) for method in ("ft_v1", "ft_v2")}
    return {
        "c100": equal(*mmlu), "c101": equal(min(arabic), max(arabic)), "c102": whole_number(*gsm),
        "c103": equal(*culture), "c104": number(habash[0]), "c105": number(habash[1]),
        "c106": number(distance("ft_v1", 19)), "c107": number(distance("ft_v2", 19)),
        "c108": parts(*((f"{method} loses at most {MODEST:g} points of MMLU", loss <= MODEST)
                        for method, loss in losses.items())),
        "c109": whole(*((name, second > first) for name, (first, second) in
                        (("MMLU", mmlu), ("AraDiCE Qatar", culture), ("Bahrain Corpus", habash)))),
    }  # fmt: skip


def _encoders() -> dict[str, Derive]:
    dynamic = {name: [encoder("3.1", method, name) for method in ("fp32", "int8_dynamic")]
               for name in ("accuracy_percent", "latency_ms", "ram_mb")}  # fmt: skip
    onnx = [encoder("3.6", method, "inference_time_s") for method in ("onnx_fp32", "onnx_int8")]
    variants = ("fp32", "bnb_8bit", "bnb_4bit")
    memory = [encoder("3.3", method, "vram_total_mb") for method in variants]
    bert = {name: [encoder("3.5", method, name, "bert_base") for method in variants]
            for name in ("accuracy_percent", "vram_delta_mb", "ram_delta_mb", "vram_total_mb")}  # fmt: skip
    old = [encoder("3.4", method, "latency_ms") for method in variants]
    pruned = [encoder("3.2", "l1_structured_pruning_int8", "latency_s", bits=share) for share in (30, 40, 50)]
    units = set(load("seed4_bert_study").query("table in ('seed4_3.1', 'seed4_3.2')")["metric"])
    return {
        "c136": number(dynamic["accuracy_percent"][1] - dynamic["accuracy_percent"][0]),
        "c137": number(_change(dynamic["latency_ms"])), "c138": number(_change(dynamic["ram_mb"])),
        "c139": number(-_change(onnx)),
        "c140": whole(("the total grows as bits fall", memory == sorted(memory))),
        "c141": whole_number(*bert["accuracy_percent"]),
        "c142": parts(*((f"{name} lowest at 4 bits", values[-1] == min(values)) for name, values in bert.items()
                        if name != "accuracy_percent")),
        "c143": parts(*((f"{bits} bits slower", other > old[0]) for bits, other in zip((8, 4), old[1:], strict=True)),
                      (f"both by {FALLBACK:g} times or more, as on another device", min(old[1:]) >= FALLBACK * old[0])),
        "c144": parts(("latency falls with pruning", pruned == sorted(pruned, reverse=True)),
                      ("in the unit of the study's first table", not {"latency_ms", "latency_s"} <= units)),
    }  # fmt: skip


def _change(values: list[float]) -> float:
    """Percent by which the second differs from the first."""
    return 100 * values[1] / values[0] - 100

"""Claims on quantization, pruning and the objective, derived from Tables 2, 6-11, 21 and 22 and the study's page."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean

from llmini.report import retention
from llmini.report.audit import GOAL_KEPT, GOAL_SMALLER, Derive, goal, load, number, parts, printed, roughly, whole

ALLAM, MODELS = "allam_7b", ("allam_7b", "qwen3_8b", "llama3_1_8b", "gemma3_12b")
EIGHT, METHODS = ("int8", "w8a8", "w8a16"), ("w8a8", "w8a16", "int8", "w4a16", "int4")
PRUNED = ("sparsegpt", "wanda")
BENCHMARKS = {"ar": "arabic_mmlu", "en": "metabench"}
GROUPS = ("humanities", "language", "other", "social_studies", "stem")
ITEMS = {"arc": 145, "hellaswag": 93, "gsm8k": 237, "mmlu": 96, "truthfulqa": 154, "winogrande": 133}  # inferred
ROUNDED = 0.015  # a percentage computed from accuracies of two decimals may be off by this


def mean(method: str, code: str, model: str = ALLAM) -> float:
    """Mean accuracy of Table 8 (quantized) or 11 (pruned and dense)."""
    number = 8 if method in (*METHODS, "fp16") else 11
    return printed(number, model=model, method=method, benchmark=BENCHMARKS[code])


def base(model: str, method: str, code: str) -> float:
    return mean("fp16" if method in METHODS else "dense", code, model)


def kept(method: str, code: str, model: str = ALLAM) -> float:
    """Percent of the dense mean accuracy."""
    return 100 * mean(method, code, model) / base(model, method, code)


def average(method: str, model: str = ALLAM, formula: str = "ratio_of_sums") -> float:
    """Average retention over both languages under one of the study's two formulas."""
    pairs = [(mean(method, code, model), base(model, method, code)) for code in BENCHMARKS]
    return getattr(retention, formula)(*zip(*pairs, strict=True))


def size(method: str, model: str = ALLAM) -> float:
    """Printed size, "GB"."""
    if method in PRUNED:
        return printed(9, model=model, metric="pruned_size_gb")
    if method == "dense":
        return printed(9, model=model, metric="original_size_gb")
    return printed(6, model=model, method=method, metric="model_size_gb")


def smaller(method: str, model: str = ALLAM) -> float:
    return 100 - 100 * size(method, model) / size("fp16" if method in METHODS else "dense", model)


def perplexity(method: str, model: str = ALLAM) -> float:
    return printed(7 if method in (*METHODS, "fp16") else 10, model=model, method=method)


def task(method: str, name: str, model: str = ALLAM) -> float:
    """One task of Table 20 (quantized) or 22 (pruned and dense)."""
    return printed(20 if method in (*METHODS, "fp16") else 22, model=model, method=method, task=name)


def count(model: str, method: str = "dense") -> float:
    return printed(21, model=model, method=method)


def gap(model: str) -> float:
    """SparseGPT's average retention less Wanda's, mean of ratios."""
    return average("sparsegpt", model, "mean_of_ratios") - average("wanda", model, "mean_of_ratios")


def lead(model: str, code: str) -> float:
    """SparseGPT's mean accuracy less Wanda's, points."""
    return mean("sparsegpt", code, model) - mean("wanda", code, model)


def passing(method: str, model: str) -> set[str]:
    """The languages in which a model keeps the objective's share of its accuracy."""
    return {code for code in BENCHMARKS if kept(method, code, model) >= GOAL_KEPT}


def columns() -> list[tuple[int, str, str]]:
    """(table, model, method) of every column of Tables 20 and 22."""
    heads = {number: load(f"table_{number}")[["model", "method"]].drop_duplicates() for number in (20, 22)}
    return [(number, *key) for number, keys in heads.items() for key in keys.itertuples(index=False)]


def six(number: int, model: str, method: str) -> float:
    """The mean of a column's six printed metabench scores."""
    return fmean(printed(number, model=model, method=method, task=name) for name in ITEMS)


def weighted(number: int, model: str, method: str) -> float:
    """The same with each task weighed by its items."""
    scores = {name: printed(number, model=model, method=method, task=name) for name in ITEMS}
    return sum(score * ITEMS[name] for name, score in scores.items()) / sum(ITEMS.values())


def away(average: Callable[[int, str, str], float]) -> float:
    """The least distance, over all columns, of the printed metabench mean from ``average`` of its six scores."""
    return min(abs(average(*column) - printed(column[0], model=column[1], method=column[2], task="mean",
                                              benchmark="metabench")) for column in columns())  # fmt: skip


def derivations() -> dict[str, Derive]:
    """Claim id -> derivation."""
    return {**_sizes(), **_quantization(), **_pruning(), **_compared(), **_goals(), **_page()}


def _sizes() -> dict[str, Derive]:
    trainable, total = (float(word) for word in re.findall(r"[\d.]+(?=[MB])", load("table_02")["parameters"].iloc[-1]))
    sources = load("table_04")["size"]
    memory = {key: printed("seed0_site", metric=f"memory_{key}") for key in ("before", "after")}
    out = dict.fromkeys(("c001", "c135"), number(memory["before"] / memory["after"]))
    out |= {"c002": number(100 * trainable * 1e6 / (total * 1e9)), "c003": number(float(sources.iloc[:-1].sum()))}
    for claim, method in (("c004", "w8a8"), ("c005", "int4"), ("c006", "w4a16")):
        out[claim] = number(size("fp16") / size(method))
    ratios = [size("dense", model) / size("wanda", model) for model in MODELS]
    printed_ratios = [printed(9, model=model, metric="compression_ratio") for model in MODELS]
    out["c026"] = number(fmean(printed_ratios))
    return out | {f"c{27 + place:03d}": number(ratio) for place, ratio in enumerate(ratios)}


def _quantization() -> dict[str, Derive]:
    eight = {code: fmean(mean(method, code) for method in EIGHT) for code in BENCHMARKS}
    out = {"c007": number(perplexity("fp16") - perplexity("w8a16")), "c025": number(size("int8") / size("w4a16")),
           "c023": number(100 * mean("w4a16", "ar") / eight["ar"]),
           "c024": number(100 * mean("w4a16", "en") / eight["en"])}  # fmt: skip
    gains = {"c008": ("w8a16", "en"), "c009": ("w8a16", "ar"), "c011": ("w8a8", "en")}
    shares = {"c010": ("w8a8", "ar"), "c012": ("int8", "ar"), "c013": ("int8", "en"), "c014": ("w4a16", "ar"),
              "c015": ("int4", "ar"), "c016": ("w4a16", "en"), "c017": ("int4", "en")}  # fmt: skip
    out |= {claim: number(kept(*cell) - 100) for claim, cell in gains.items()}
    out |= {claim: number(kept(*cell)) for claim, cell in shares.items()}
    return out | {f"c{18 + place:03d}": number(average(method)) for place, method in enumerate(METHODS)}


def _pruning() -> dict[str, Derive]:
    out: dict[str, Derive] = {}
    for place, model in enumerate(MODELS):
        dense, sparse, wanda = (perplexity(method, model) for method in ("dense", "sparsegpt", "wanda"))
        out |= {f"c{31 + place:03d}": number(wanda - sparse), f"c{35 + place:03d}": number(sparse - dense),
                f"c{39 + place:03d}": number(wanda - dense)}  # fmt: skip
    shares = {(method, code): fmean(kept(method, code, model) for model in MODELS)
              for method in PRUNED for code in BENCHMARKS}  # fmt: skip
    out |= {"c043": number(shares["sparsegpt", "ar"]), "c044": number(shares["sparsegpt", "en"]),
            "c045": number(fmean(shares["wanda", code] for code in BENCHMARKS)), "c046": number(shares["wanda", "ar"]),
            "c047": number(shares["wanda", "en"])}  # fmt: skip
    out |= {claim: number(fmean(lead(model, code) for model in MODELS))
            for claim, code in (("c048", "ar"), ("c049", "en"))}  # fmt: skip
    out["c050"] = whole(("Table 21 holds scores of tasks", "task" in load("table_21")))
    better = all(task("wanda", name) > task("sparsegpt", name) for name in GROUPS)
    out["c051"] = whole(("Wanda above SparseGPT in every category", better and lead(ALLAM, "ar") < 0))
    out["c052"] = number(task("wanda", "gsm8k", "qwen3_8b") - task("sparsegpt", "gsm8k", "qwen3_8b"))
    order = {"sparsegpt": ("allam_7b", "qwen3_8b", "gemma3_12b", "llama3_1_8b"), "wanda": MODELS}
    for first, method in ((53, "sparsegpt"), (57, "wanda")):
        out |= {f"c{first + place:03d}": number(average(method, model, "mean_of_ratios"), ROUNDED)
                for place, model in enumerate(order[method])}  # fmt: skip
    return out | {f"c{61 + place:03d}": number(gap(model), ROUNDED) for place, model in enumerate(MODELS)}


def _compared() -> dict[str, Derive]:
    by_size = sorted(MODELS, key=count)
    rising = [(f"the gap grows from {one} to {two}", gap(one) < gap(two)) for one, two in pairwise(by_size)]
    worse = {code: 100 - 100 * mean("sparsegpt", code, "qwen3_8b") / mean("sparsegpt", code, "gemma3_12b")
             for code in BENCHMARKS}  # fmt: skip
    quantized = fmean(printed(6, method=method, metric="compression_ratio") for method in METHODS)
    return {
        "c065": whole(*rising), "c066": number(worse["en"]), "c067": number(worse["ar"]),
        "c068": number(100 - 100 * size("wanda", "qwen3_8b") / size("wanda", "gemma3_12b")),
        "c070": parts(("the printed mean is that of the six tasks", away(six) < 0.01),
                      ("it is that of their items", away(weighted) < 0.01)),
        "c111": parts(("the mean ratio is larger", quantized > fmean(printed(9, model=m, metric="compression_ratio")
                                                                      for m in MODELS)),
                      ("each method's size is below that of the pruned model",
                       all(size(method) < size("wanda") for method in METHODS))),
        "c112": parts(*((f"{method} within 0.05 of a pruned model's",
                         any(abs(perplexity(method) - perplexity(pruned)) <= 0.05 for pruned in PRUNED))
                        for method in ("int4", "w4a16"))),
        "c113": whole(*((f"below {pruned}", mean("int4", "en") < mean(pruned, "en")) for pruned in PRUNED)),
        "c114": roughly(100 * size("int8") / size("fp16")), "c115": roughly(100 * size("w4a16") / size("fp16")),
    }  # fmt: skip


def _goals() -> dict[str, Derive]:
    def reach(method: str, model: str = ALLAM) -> Derive:
        return goal(smaller(method, model), {code: kept(method, code, model) for code in BENCHMARKS})

    out = {f"c{116 + place:03d}": reach(method) for place, method in enumerate((*EIGHT, "w4a16", "int4", *PRUNED))}
    only = ((model, method) for model in ("qwen3_8b", "gemma3_12b") for method in PRUNED)
    for place, (model, method) in enumerate(only):
        found = " and ".join(sorted(passing(method, model))) or "neither language"
        out[f"c{123 + place:03d}"] = whole((f"English alone (the tables: {found})", passing(method, model) == {"en"}))
    within = [f"{model}" for model in MODELS if count(model) < 7.5e9]
    out["c127"] = whole(("most of the compressed models have at most 7 billion weights", 2 * len(within) > len(MODELS)))
    return out


def _page() -> dict[str, Derive]:
    reached = {method: smaller(method) >= GOAL_SMALLER and passing(method, ALLAM) == {"ar", "en"}
               for method in (*EIGHT, "w4a16", *PRUNED)}  # fmt: skip
    better = [(f"{model}, average", gap(model) > 0) for model in MODELS]
    by_language = all(lead(model, code) > 0 for model in MODELS for code in BENCHMARKS)
    halves = [(f"{model} with SparseGPT reaches it in English alone", passing("sparsegpt", model) == {"en"})
              for model in ("qwen3_8b", "gemma3_12b")]  # fmt: skip
    return {
        "c128": whole(*((method, met) for method, met in reached.items())),
        "c129": parts(*((f"{method} at least 100 % on average", average(method) >= 100) for method in EIGHT[1:])),
        "c130": number(average("int8")), "c131": number(average("w4a16")),
        "c132": parts(("on the average of every model", all(held for _, held in better)),
                      ("in each language of every model", by_language)),
        "c133": whole(*halves), "c134": _goals()["c127"],
    }  # fmt: skip



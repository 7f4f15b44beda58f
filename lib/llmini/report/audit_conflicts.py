"""Where the study disagrees with itself: each conflict of ``inconsistencies.csv`` found again in its tables."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from llmini.report import audit, audit_teaching
from llmini.report import audit_compression as compression
from llmini.report.audit import NO, YES, load, printed, rows
from llmini.report.audit_teaching import behaviour, score
from llmini.report.display import number, signed

if TYPE_CHECKING:
    import pandas

GIB = 2**30
# The shape behind ALLaM's parameter count (its public configuration): layers, hidden and inner width, vocabulary.
LAYERS, HIDDEN, INNER, VOCABULARY = 32, 4096, 11008, 64000
LINEAR = LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER)  # weights that quantization touches
REST = 2 * VOCABULARY * HIDDEN + (2 * LAYERS + 1) * HIDDEN  # embeddings, head and norms
BLOCK, OUTER = 64, 256  # of bitsandbytes: weights a scale, scales a second-level scale
STUDENT = {"layers": 28, "hidden": 3584, "values": 512, "rank": 16}  # of Qwen2.5-7B and its adapter


class Conflict(NamedTuple):
    """Two readings and whether they exclude each other."""

    first: str
    second: str
    found: bool


def between(first: float, second: float, digits: int = 1) -> Conflict:
    """Two numbers that should be one, to ``digits`` decimals."""
    return Conflict(f"{first:.{digits}f}", f"{second:.{digits}f}", round(first, digits) != round(second, digits))


def uncountable(share: float, items: int) -> Conflict:
    """A percentage that no whole number of right answers gives, and the nearest that one does."""
    nearest = 100 * round(items * share / 100) / items
    return between(share, nearest)


def claimed(claim: str) -> str:
    """What the study claims, without unit or sign."""
    return f"{audit.stated(next(row for row in rows('derived_claims') if row['id'] == claim)['claimed_value'])[0]:g}"


def of_claims(digits: int, *names: str) -> Conflict:
    """Claimed numbers against those of the tables."""
    table = audit.claims().set_index("id")
    first, second = ([f(name) for name in names]
                     for f in (claimed, lambda name: f"{table.at[name, 'value']:.{digits}f}"))  # fmt: skip
    return Conflict(" / ".join(first), " / ".join(second), all(table.at[name, "verdict"] != YES for name in names))


def weights_of_int4() -> dict[str, float]:
    """Sizes of ALLaM in 4-bit bitsandbytes, GiB: with one 32-bit scale a block, and with scales quantized again."""
    blocks = LINEAR / BLOCK
    body = LINEAR / 2 + 2 * REST
    return {"single": (body + 4 * blocks) / GIB, "double": (body + blocks + 4 * blocks / OUTER) / GIB}


def binary() -> bool:
    """Whether every printed "GB" is Table 21's count times two bytes in GiB."""
    sizes = {"dense": "original_size_gb", "sparsegpt": "pruned_size_gb", "wanda": "pruned_size_gb"}
    return all(round(2 * row["value"] / GIB, 2) == printed(9, model=row["model"], metric=sizes[row["method"]])
               for row in rows("table_21"))  # fmt: skip


def residual() -> float:
    """Largest error of the printed ArabicMMLU means under one set of weights of its five groups, points."""
    import numpy

    cells = [[printed(number, model=model, method=method, task=group) for group in compression.GROUPS]
             for number, model, method in compression.columns()]  # fmt: skip
    means = [printed(number, model=model, method=method, task="mean", benchmark="arabic_mmlu")
             for number, model, method in compression.columns()]  # fmt: skip
    fitted = numpy.linalg.lstsq(numpy.array(cells), numpy.array(means), rcond=None)[0]
    return float(numpy.abs(numpy.array(cells) @ fitted - means).max())


def countable() -> bool:
    """Whether every printed metabench score is a whole number of its task's items."""
    cells = [row for number in (20, 22) for row in rows(f"table_{number}") if row["task"] in compression.ITEMS]
    shares = [(row["value"], compression.ITEMS[row["task"]]) for row in cells]
    return all(abs(100 * round(n * share / 100) / n - share) <= 0.0051 for share, n in shares)


def conflicts() -> dict[str, Callable[[], Conflict]]:
    """Conflict id -> how it is found."""
    return {**_between_tables(), **_within_tables(), **_text(), **_objective(), **_definitions()}


def _between_tables() -> dict[str, Callable[[], Conflict]]:
    qatar = "aradice_culture"
    out = {"i01": lambda: between(score(12, "sft_kd", "gsm8k"), score(23, "sft_kd", "gsm8k")),
           "i02": lambda: between(score(12, "seq_kd", "gsm8k"), score(23, "seq_kd", "gsm8k")),
           "i06": lambda: between(score(19, "base", qatar), score(13, "base", qatar)),
           "i07": lambda: between(*(printed(t, method="selectkd", task="overall", metric="accuracy_upper_bound")
                                    for t in (14, 19))),
           "i08": lambda: between(printed(17, method="selectkd", metric="lpg_mean"), behaviour("selectkd", "lpg")),
           "i58": lambda: between(audit_teaching.encoder("3.1", "fp32", "accuracy_percent"),
                                  audit_teaching.encoder("3.3", "fp32", "accuracy_percent"), 2)}  # fmt: skip
    for claim, method in (("i03", "base"), ("i04", "token_kd"), ("i05", "selectkd")):
        out[claim] = lambda method=method: between(score(13, method, qatar), score(19, method, qatar))
    return out


def _within_tables() -> dict[str, Callable[[], Conflict]]:
    def equal_stage() -> Conflict:
        same = [behaviour("base", metric, code) == behaviour("token_kd", metric, code) for metric, code in
                (("accuracy", "en"), ("accuracy", "ar"), ("lpg", "en_ar"), ("clcs", "en_ar"))]  # fmt: skip
        same += [score(12, "base", name) == score(12, "token_kd", name) for name in ("gsm8k", "arabic_mmlu")]
        one, other = (f"{behaviour(method, 'accuracy', 'ar'):g}" for method in ("base", "token_kd"))
        return Conflict(one, other, all(same))

    def share() -> Conflict:
        falls = [(low, high) for (_, low), (_, high) in pairwise(audit_teaching.selected()) if high > low]
        return between(*falls[0], digits=2) if falls else Conflict("", "", False)

    tuned = ("ft_v2", "accuracy", "ar", 19)
    piqa = [row["value"] for row in rows("table_13") if row["benchmark"] == "aradice_piqa"]
    sst2 = audit_teaching.encoder("3.2", "l1_structured_pruning_int8", "accuracy_percent", bits=40)
    memory = [audit_teaching.encoder("3.3", method, "vram_total_mb") for method in ("fp32", "bnb_8bit", "bnb_4bit")]
    best = next(row["conclusion"] for row in rows("table_18") if row["theta"] == 0.7)
    return {
        "i09": lambda: uncountable(behaviour(*tuned), 30),
        "i10": lambda: uncountable(score(19, "ft_v2", "arabic_mmlu"), 100),
        "i11": lambda: uncountable(score(13, "token_kd", "aradice_truthfulqa"), 500),
        "i12": share,
        "i14": lambda: Conflict("the caption's 500 samples", best, "full" in best),
        "i15": lambda: between(behaviour("seq_kd", "lpg"), 100 * (25 - 23) / 30),
        "i16": lambda: between(printed(9, model="llama3_1_8b", metric="compression_ratio"),
                               compression.size("dense", "llama3_1_8b") / compression.size("wanda", "llama3_1_8b"), 2),
        "i17": equal_stage,
        "i18": lambda: between(*(printed(23, method=method, metric="perplexity") for method in ("sft_kd", "base")), 2),
        "i19": lambda: Conflict("", "", {row["benchmark"] for row in rows("table_16")} == {"unspecified"}),
        "i20": lambda: Conflict(f"{min(piqa):g}", "50", max(piqa) < 50),
        "i59": lambda: between(sst2, 100 * round(audit_teaching.TESTED * sst2 / 100) / audit_teaching.TESTED, 2),
        "i60": lambda: Conflict(f"{memory[0]:g}", f"{memory[-1]:g}", memory == sorted(memory)),
    }  # fmt: skip


def _text() -> dict[str, Callable[[], Conflict]]:
    def swapped() -> Conflict:
        found = {code: f"{code.upper()} {signed(compression.kept('w8a16', code) - 100, 2)}" for code in ("en", "ar")}
        return Conflict(f"EN +{claimed('c008')}", found["ar"], claimed("c008") == found["ar"][-4:])

    def exceptions() -> Conflict:
        won = [(model, name) for model in compression.MODELS for name in compression.ITEMS
               if compression.task("wanda", name, model) > compression.task("sparsegpt", name, model)]  # fmt: skip
        return Conflict("1 exception", f"{len(won)} more, in metabench", len(won) > 0)

    falls = [100 - 100 * score(13, method, "aradice_culture") / score(13, "base", "aradice_culture")
             for method in ("token_kd", "selectkd")]  # fmt: skip
    ece = {method: behaviour(method, "ece", "ar") for method in ("sft_kd", "selectkd")}
    drops = [audit_teaching.drop("aradice_culture", method) for method in ("token_kd", "selectkd")]
    bahrain = [printed(19, method=method, task="overall") for method in ("base", "ft_v1", "ft_v2")]
    sizes = ", ".join(f"{number(count / 1e9, 1)}" for count in sorted(map(compression.count, compression.MODELS)))
    return {
        "i21": swapped, "i22": lambda: of_claims(2, "c024"), "i23": lambda: of_claims(2, "c025"),
        "i25": lambda: of_claims(2, "c048", "c049"), "i26": lambda: of_claims(1, "c066", "c067", "c068"),
        "i27": lambda: Conflict("Table 21", "Table 22", "task" not in load("table_21") and "task" in load("table_22")),
        "i28": exceptions, "i40": lambda: of_claims(1, "c131"),
        "i43": lambda: Conflict("<=7B", f"{sizes} B", audit.claims().set_index("id").at["c127", "verdict"] == NO),
        "i44": lambda: Conflict(f"{bahrain[0]:g}", f"{bahrain[1]:g} / {bahrain[2]:g}", max(bahrain[1:]) < bahrain[0]),
        "i45": lambda: Conflict("modest", f"{number(audit_teaching.drop('aradice_piqa'), 1)}",
                                audit_teaching.drop("aradice_piqa") > audit_teaching.MODEST),
        "i46": lambda: Conflict(*(" / ".join(f"{number(value, 1)}" for value in values) for values in (drops, falls)),
                                all(abs(drop - fall) > 0.1 for drop, fall in zip(drops, falls, strict=True))),
        "i47": lambda: Conflict(f"{number(ece['selectkd'], 2)}", f"{number(ece['sft_kd'], 2)}",
                                ece["sft_kd"] < ece["selectkd"]),
    }  # fmt: skip


def _objective() -> dict[str, Callable[[], Conflict]]:
    saved = {model: compression.smaller("wanda", model) for model in compression.MODELS}
    eight = [compression.smaller(method) for method in compression.EIGHT]
    here = {model: compression.passing("sparsegpt", model) for model in ("qwen3_8b", "gemma3_12b")}
    pruned = [compression.kept(method, "en") for method in ("sparsegpt", "wanda")]
    return {
        "i34": lambda: Conflict("50", f"{number(max(eight), 1)}", max(eight) < audit.GOAL_SMALLER),
        "i35": lambda: Conflict("50", " / ".join(f"{number(share, 1)}" for share in saved.values()),
                                max(saved.values()) < audit.GOAL_SMALLER),
        "i36": lambda: Conflict("English only", " / ".join(" and ".join(sorted(codes)) for codes in here.values()),
                                all(codes != {"en"} for codes in here.values())),
        "i37": lambda: Conflict("not listed", f"{number(compression.kept('int4', 'ar'), 1)} % in Arabic",
                                compression.passing("int4", "allam_7b") == {"ar"}
                                and compression.smaller("int4") >= audit.GOAL_SMALLER),
        "i38": lambda: Conflict("met", " / ".join(f"{number(share, 1)} % in English" for share in pruned),
                                max(pruned) < audit.GOAL_KEPT),
        "i39": lambda: of_claims(1, "c115", "c114"),
    }  # fmt: skip


def _definitions() -> dict[str, Callable[[], Conflict]]:
    def lora() -> Conflict:
        shape, layers = STUDENT, int(load("table_02")["layers"].iloc[-1])
        per_layer = shape["rank"] * (2 * shape["hidden"] + shape["hidden"] + shape["values"])
        told = float(load("table_02")["parameters"].iloc[-1].split("M")[0])
        fits = {count: round(count * per_layer / 1e6, 1) == told for count in (layers, shape["layers"])}
        return Conflict(str(layers), str(shape["layers"]), fits == {layers: False, shape["layers"]: True})

    dense, four = (compression.six(20, "allam_7b", "fp16"), compression.mean("fp16", "en")), compression.size("int4")
    return {
        "i24": lambda: Conflict("ratio of sums", "mean of ratios",
                                round(compression.average("int4"), 2)
                                != round(compression.average("int4", formula="mean_of_ratios"), 2)),
        "i29": lambda: between(*dense, 2),
        "i30": lambda: Conflict("", "", audit.claims().set_index("id").at["c070", "verdict"] == NO),
        "i31": lambda: Conflict("weighted", "unweighted", residual() < 0.02),
        "i33": lambda: Conflict("", "", countable()),
        "i41": lambda: Conflict(f"{four:g}", f"{number(weights_of_int4()['double'], 2)}",
                                four == round(weights_of_int4()["single"], 2)
                                and compression.count("allam_7b") == LINEAR + REST),
        "i42": lambda: Conflict("GB", "GiB", binary()),
        "i50": lora,
    }  # fmt: skip


@cache
def table() -> pandas.DataFrame:
    """``inconsistencies.csv`` and, from the tables, ``first``, ``second`` and whether they differ (``found``)."""
    source, known = load("inconsistencies"), conflicts()
    done = [known[row.id]() if row.id in known else None for row in source.itertuples()]
    words = [audit.OUTSIDE if one is None else YES if one.found else NO for one in done]
    return source.assign(first=[one.first if one else "" for one in done], found=words,
                         second=[one.second if one else "" for one in done])  # fmt: skip

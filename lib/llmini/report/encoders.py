"""The encoder runs of a results table: what each is, and what was measured of it in which language."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.report import labels, measured
from llmini.report.measured import NOTHING, Cell

if TYPE_CHECKING:
    from llmini.report.measured import Results

FAMILIES = ("encoder",)
MODELS = ("afriberta", "afriberta_small", "afriberta_large", "bert_base", "distilbert", "distilbert_sst2")
LANGUAGES = ("ar", "gulf", "en")
TASKS = {"ner": "entity F1, %", "sentiment": "accuracy, %"}
QUANT = ("int8_dynamic", "onnx_fp32", "onnx_int8", "bnb_8bit", "bnb_4bit")
PRUNE = ("magnitude", "structured", "structured_int8", "masked_l1_int8")
KD = ("student", "distil_task", "distil_agnostic")
METHODS = ("dense", *QUANT, *PRUNE, *KD)
NAMES = {
    "dense": "dense", "int8_dynamic": "INT8, PyTorch dynamic", "onnx_fp32": "FP32, ONNX Runtime",
    "onnx_int8": "INT8, ONNX Runtime", "bnb_8bit": "LLM.int8, bitsandbytes", "bnb_4bit": "NF4, bitsandbytes",
    "magnitude": "smallest weights", "structured": "heads and neurons removed",
    "structured_int8": "removed, then INT8", "masked_l1_int8": "silenced, then INT8",
    "student": "student without a teacher", "distil_task": "distilled for the task",
    "distil_agnostic": "distilled before the task",
}  # fmt: skip
ARABIC = {
    "dense": "الأصل", "magnitude": "حذف أصغر الأوزان", "structured": "حذف رؤوس وعصبونات",
    "structured_int8": "حذفها ثم <bdi>INT8</bdi>", "masked_l1_int8": "إسكاتها ثم <bdi>INT8</bdi>",
    "student": "تلميذ بلا معلّم", "distil_task": "مقطَّر للمهمّة", "distil_agnostic": "مقطَّر قبل المهمّة",
}  # fmt: skip
HUES = {
    "dense": "#000000", "int8_dynamic": "#332288", "onnx_fp32": "#88CCEE", "onnx_int8": "#44AA99",
    "bnb_8bit": "#117733", "bnb_4bit": "#999933", "magnitude": "#555555", "structured": "#CC6677",
    "structured_int8": "#882255", "masked_l1_int8": "#AA4499", "student": "#8C8C8C", "distil_task": "#DC267F",
    "distil_agnostic": "#648FFF",
}  # fmt: skip
SHARES = (1.0, 0.1, 0.01)


class Line(NamedTuple):
    """One run. ``options``: what its method was told; ``part``: the notebook that measured it."""

    run: str
    model: str
    method: str
    task: str
    trained: str
    share: float
    seed: int
    part: str
    options: dict[str, Any]

    @property
    def sparsity(self) -> float:
        return float(self.options.get("sparsity", 0.0))


def load(folder: str | Path = "data/results", tier: str = "pocket") -> Results:
    """The encoders' runs of ``FOLDER/{tier}.csv``; as :func:`llmini.report.measured.load`."""
    return measured.load(folder, tier, FAMILIES)


def lines(results: Results) -> list[Line]:
    """Every run: by model, task, languages, share of the data, method, options and seed."""
    if "_encoders" not in results.__dict__:
        found = []
        for row in results.rows.drop_duplicates("run_id").itertuples():
            told = json.loads(row.params) if isinstance(row.params, str) and row.params else {}
            head = (
                told.pop("task", ""),
                told.pop("trained", ""),
                float(told.pop("share", 1)),
                int(told.pop("seed", 0)),
            )
            part = row.run_id.rpartition("-")[2]
            found.append(Line(row.run_id, row.model, row.method, *head, part, told))
        results.__dict__["_encoders"] = sorted(found, key=_place)
    return results.__dict__["_encoders"]


def _place(line: Line) -> tuple:
    order = [*METHODS, line.method].index(line.method)
    options = [(name, str(value)) for name, value in sorted(line.options.items()) if name != "sparsity"]
    return (*_rank(line.model, MODELS), line.task, line.trained, -line.share, order, options, line.sparsity, line.seed,
            line.part)  # fmt: skip


def _rank(name: str, order: tuple[str, ...]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)


def find(results: Results, **where: Any) -> list[Line]:
    """The runs whose fields or options equal ``where``; an option named None must be absent."""

    def matches(line: Line) -> bool:
        return all(getattr(line, name, line.options.get(name)) == value for name, value in where.items())

    return [line for line in lines(results) if matches(line)]


def dense(results: Results, line: Line) -> Line | None:
    """The dense run that ``line`` was held against."""
    found = find(results, model=line.model, method="dense", task=line.task, trained=line.trained, share=line.share,
                 seed=line.seed)  # fmt: skip
    return next((one for one in found if one.part == line.part), next(iter(found), None))


def score(results: Results, line: Line | None, language: str, kind: str = "mean") -> Cell:
    """Entity F1 or accuracy in a language, percent."""
    if line is None:
        return NOTHING
    found = cell(results, line, "f1" if line.task == "ner" else "acc", language, kind)
    scale = 100.0 if line.task == "ner" else 1.0  # accuracies come as percent
    return Cell(scale * found.value, scale * found.stderr, found.n)


def value(results: Results, line: Line | None, metric: str, language: str = "", task: str = "") -> float:
    """A measurement of a run as recorded; NaN when absent."""
    return cell(results, line, metric, language, task).value


def cell(results: Results, line: Line | None, metric: str, language: str = "", task: str = "") -> Cell:
    """A measurement of a run with its standard error; NaN when absent."""
    if "_encoder_cells" not in results.__dict__:
        found: dict[tuple, Cell] = {}
        for (run, name, _, part, code), one in results.cells.items():
            found.setdefault((run, name, part, code), one)
        results.__dict__["_encoder_cells"] = found
    return results.__dict__["_encoder_cells"].get((line.run, metric, task, language), NOTHING) if line else NOTHING


def tested(results: Results, task: str = "") -> list[str]:
    """The languages of the test sentences, the house's own first."""
    metric = {"ner": ("f1",), "sentiment": ("acc",)}.get(task, ("f1", "acc"))
    rows = results.rows[results.rows["metric"].isin(metric)]
    return labels.rank(rows["language"], LANGUAGES)


def languages(results: Results) -> tuple[str, ...]:
    """The languages that encoders were tuned on for entities: the house's own, or up to three of another tier's."""
    found = {line.trained for line in lines(results) if line.task == "ner" and "+" not in line.trained}
    return LANGUAGES if found <= set(LANGUAGES) else tuple(sorted(found - set(LANGUAGES)))[:3]


def seeds(found: Iterable[Line]) -> dict[int, Line]:
    """Seed -> run; the first of a seed."""
    out: dict[int, Line] = {}
    for line in found:
        out.setdefault(line.seed, line)
    return out


def mean(values: Iterable[float]) -> float:
    """Mean of the measured ones; NaN without any."""
    there = [one for one in values if not math.isnan(one)]
    return statistics.fmean(there) if there else math.nan


def over_seeds(values: Iterable[float]) -> dict[str, float]:
    """``value`` (mean), ``low`` and ``high`` (Student's 95 % interval over seeds; NaN with fewer than two), ``n``."""
    there = [one for one in values if not math.isnan(one)]
    out = {"value": mean(there), "low": math.nan, "high": math.nan, "n": len(there)}
    if len(there) > 1:
        from scipy.stats import t

        reach = float(t.ppf(0.975, len(there) - 1)) * statistics.stdev(there) / len(there) ** 0.5
        out |= {"low": out["value"] - reach, "high": out["value"] + reach}
    return out


def method(name: str) -> str:
    """What tables and figures call a method."""
    return NAMES.get(name, name)


def name(line: Line) -> str:
    """A method with what tells it from its siblings: ``smallest weights, 50 %, before tuning``."""
    words = [method(line.method)]
    if "sparsity" in line.options:
        words.append(f"{100 * line.sparsity:g} %")
    if "phase" in line.options:
        words.append(f"{line.options['phase']} tuning")
    if line.options.get("recover", 1) != 1:
        words.append("not tuned again" if not line.options["recover"] else f"{line.options['recover']:g} epochs after")
    if "layers" in line.options:
        words.append(f"{line.options['layers']} layers")
    if line.options.get("beginning", "spaced") != "spaced":
        words.append(line.options["beginning"])
    return ", ".join(words)


def arabic(line: Line) -> str:
    """`name` in Arabic, as HTML: Latin names keep their own direction."""
    words = [ARABIC.get(line.method) or f"<bdi>{method(line.method)}</bdi>"]
    if "sparsity" in line.options:
        words.append(f"{100 * line.sparsity:g}%")
    if "phase" in line.options:
        words.append({"before": "قبل الضبط", "after": "بعد الضبط"}[line.options["phase"]])
    if line.options.get("recover", 1) != 1:
        words.append(f"عدد حِقَب الضبط بعدها: {line.options['recover']:g}")
    if "layers" in line.options:
        words.append(f"عدد الطبقات: {line.options['layers']}")
    if line.options.get("beginning", "spaced") != "spaced":
        words.append(f"<bdi>{line.options['beginning']}</bdi>")
    return "، ".join(words)


def trained(code: str) -> str:
    """``Arabic``, ``Arabic and English``, ``all languages``: what an encoder was tuned on."""
    if code == "all":
        return "all languages"
    return " and ".join(labels.LANGUAGES.get(one, one) for one in code.split("+"))


def data(share: float) -> str:
    """``all of the data``, ``10 %``."""
    return "all" if share == 1 else f"{100 * share:g} %"

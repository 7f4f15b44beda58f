"""What tables and figures call models, methods, tasks and languages."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path

from llmini import grid, models, origin, validate
from llmini.settings import UserError

DENSE = "dense"
QUANT, PRUNE = grid.QUANT_METHODS, grid.PRUNE_METHODS
METHODS = (DENSE, *QUANT, *PRUNE)
BASE = "base"  # the student before any training
STAGES = (BASE, "sft_kd", "seq_kd", "token_kd", "selectkd")  # of distillation; each starts from the one before
# Stage -> SFT that goes on with SFT for as many steps: what more training alone would do.
CONTROLS = {"seq_kd": "sft_control", "token_kd": "sft_control_3", "selectkd": "sft_control_4"}
MODELS = ("allam_7b", "qwen3_8b", "llama3_1_8b", "gemma3_12b", "allam_7b_control")
STUDIED = MODELS[:4]
ARABICMMLU, METABENCH = "arabicmmlu", "metabench"
SUITES = {"ar": ARABICMMLU, "en": METABENCH}
# The five tasks whose plain accuracy makes the metabench mean; GSM8K has no such accuracy.
METABENCH_MEAN = ("arc", "hellaswag", "mmlu", "truthfulqa", "winogrande")
# The metric that the study prints for each task.
TASKS = {
    ARABICMMLU: dict.fromkeys(("humanities", "language", "other", "social_science", "stem"), "acc"),
    METABENCH: {
        "arc": "acc_norm",
        "gsm8k": "exact_match",
        "hellaswag": "acc_norm",
        "mmlu": "acc",
        "truthfulqa": "acc",
        "winogrande": "acc",
    },
}
METHOD_LABELS = {
    "dense": "Dense",
    "int8": "INT8",
    "w8a8": "W8A8",
    "w8a16": "W8A16",
    "fp8": "FP8",
    "int4": "INT4 (NF4)",
    "int4_fp4": "INT4 (FP4)",
    "w4a16": "W4A16 (GPTQ)",
    "w4a16_awq": "W4A16 (AWQ)",
    "w4a16_rtn": "W4A16 (rounding)",
    "sparsegpt": "SparseGPT",
    "wanda": "Wanda",
    "magnitude": "Magnitude",
    "base": "Base",
    "sft_kd": "SFT",
    "seq_kd": "Seq-KD",
    "token_kd": "Token-KD",
    "selectkd": "SelecTKD",
    "sft_control": "SFT control, 2 stages",
    "sft_control_3": "SFT control, 3 stages",
    "sft_control_4": "SFT control, 4 stages",
}
LANGUAGES = {"ar": "Arabic", "en": "English", "mixed": "mixed", "gulf": "Gulf Arabic"}
ARABIC = {"ar": "العربية", "en": "الإنجليزية", "mixed": "مختلطة", "gulf": "الخليجية"}
# The languages of MasakhaNER 2.0, by ISO 639-3.
AFRICAN = {
    "bam": ("Bambara", "البمبارية"), "bbj": ("Ghomálá'", "الغومالا"), "ewe": ("Ewe", "الإيوي"),
    "fon": ("Fon", "الفون"), "hau": ("Hausa", "الهوسا"), "ibo": ("Igbo", "الإيغبو"),
    "kin": ("Kinyarwanda", "الكينيارواندية"), "lug": ("Luganda", "اللوغندا"), "luo": ("Luo", "اللوو"),
    "mos": ("Mossi", "الموسي"), "nya": ("Chichewa", "التشيتشوا"), "pcm": ("Nigerian Pidgin", "البيجن النيجيرية"),
    "sna": ("Shona", "الشونا"), "swa": ("Swahili", "السواحلية"), "tsn": ("Setswana", "التسوانا"),
    "twi": ("Twi", "التوي"), "wol": ("Wolof", "الولوفية"), "xho": ("Xhosa", "الخوسا"),
    "yor": ("Yoruba", "اليوروبا"), "zul": ("Zulu", "الزولو"),
}  # fmt: skip
LANGUAGES |= {code: names[0] for code, names in AFRICAN.items()}
ARABIC |= {code: names[1] for code, names in AFRICAN.items()}


def model(name: str, tier: str = "full", *, short: bool = False) -> str:
    """A label that never lets a pocket model pass for the one that it stands for.

    ``ALLaM-7B`` for the published model and in the full tier; ``ALLaM-class, 3.7 M`` in the pocket tier (``short``
    leaves the size out). A name that the registry lacks is returned as it is; made-up weights are said to be such.
    """
    if tier == origin.REHEARSAL:
        real = next((one for one in ("full", "small") if name in models.names(one)), "full")
        return f"{model(name, real)} (rehearsal)"
    try:
        found = models.spec(name, tier)
    except UserError:
        return name
    label = found.label
    if (parameters := _packed(found.source)) and "," in label:
        label = f"{label.rpartition(',')[0]}, {round(parameters / 1e6, 1)} M"
    return label.split(",")[0] if short else label


@functools.cache
def _packed(folder: str) -> int:
    """Weights of a local checkpoint in packed integers, of which one int32 holds several; 0 for any other."""
    path = Path(folder) / "config.json"
    if not path.is_file():
        return 0
    groups = json.loads(path.read_text(encoding="utf8")).get("quantization_config", {}).get("config_groups", {})
    bits = {group["weights"]["num_bits"] for group in groups.values()}
    if len(bits) != 1:
        return 0
    shapes, _ = validate.read_weights(Path(folder), "model")
    held = {"weight_packed": 32 // bits.pop(), "weight_scale": 0, "weight_zero_point": 0, "weight_shape": 0}
    return sum(math.prod(shape) * held.get(name.rpartition(".")[2], 1) for name, shape in shapes.items())


def method(name: str, published: bool = False) -> str:
    """The method's name in tables and figures. The study's 4-bit bitsandbytes row is NF4 in its text and FP4 in its
    code, so a ``published`` one is plain INT4.
    """
    return "INT4" if published and name == "int4" else METHOD_LABELS.get(name, name)


def tier(name: str) -> str:
    """How captions name a tier: ``pocket tier``."""
    return f"{name} tier"


def rank(names: object, order: tuple[str, ...]) -> list[str]:
    """``names`` without repeats, in ``order``; names that ``order`` does not hold come last, sorted."""
    there = set(names)
    return [name for name in order if name in there] + sorted(there - set(order))


def both(name: str, tier: str) -> str:
    """A row that holds a published model and the one measured in its place: ``ALLaM-7B · ALLaM-class, 3.7 M``."""
    published = [model(name)] if name in STUDIED else []
    return " · ".join(dict.fromkeys([*published, model(name, tier)]))

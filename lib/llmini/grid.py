"""The grid of runs: which notebook measures which model with which method, and which runs are still to do."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from llmini import origin, schema
from llmini.records import Record
from llmini.settings import UserError, data, root, runs

QUANT_METHODS = ("int8", "w8a8", "w8a16", "fp8", "int4", "int4_fp4", "w4a16", "w4a16_awq", "w4a16_rtn")
PRUNE_METHODS = ("sparsegpt", "wanda", "magnitude")
# What every run's numbers depend on, besides its notebook and its weights.
SOURCES = ("lib/llmini/models.py", "lib/llmini/texts.py", "lib/llmini/compress", "lib/llmini/measure",
           "lib/llmini/pocket", "data/pocket/tasks", "data/pocket/world")  # fmt: skip
# Whose locked versions numbers depend on; a package of the report's or the browser's makes no run stale.
LOCKED = {"accelerate", "bitsandbytes", "compressed-tensors", "datasets", "llmcompressor", "lm-eval", "numpy", "peft",
          "safetensors", "tokenizers", "torch", "transformers", "trl"}  # fmt: skip
# Among those: what only plans or describes, what makes weights and questions that are hashed themselves, and what one
# family alone measures by.
NEUTRAL = (
    *(f"lib/llmini/compress/{name}.py" for name in ("plan", "card", "convert", "encoders*", "resume")),
    *(f"lib/llmini/pocket/{name}.py" for name in (
        "acai", "agents", "card", "customs*", "dialect*", "encoder*", "fundamentals", "grammar*", "instruct", "pairs",
        "pretrain", "scores", "shapes", "tasks", "tokenizer", "training")),
    *(f"lib/llmini/measure/{name}.py" for name in (
        "attention", "bilingual", "chrf", "dialect*", "encoders*", "full_tasks", "fundamentals", "kept", "kernels",
        "pairs")),
)  # fmt: skip
TUNING = tuple(f"lib/llmini/train/{name}" for name in ("corpora*.py", "curriculum*", "encoders*", "merge*.py",
                                                       "translate*", "tuning.py"))  # fmt: skip
DISTILLED = ("lib/llmini/train", "lib/llmini/measure/bilingual.py", "lib/llmini/measure/pairs.py", "data/banking",
             "data/pairs", "data/pocket/models/qwen2_5_32b_instruct")  # fmt: skip
DIALECT = ("lib/llmini/measure/chrf.py", "lib/llmini/measure/dialect*.py",
           *(f"lib/llmini/pocket/{name}*.py" for name in ("customs", "dialect",
           "grammar")), "data/dialect", "data/pocket/dialects", "data/pocket/grammar")  # fmt: skip
# What the runs of a family of notebooks, or of one, depend on besides, and what among it not.
FAMILY = {
    "03_kd": (DISTILLED, TUNING),
    "04_finetune/01_curriculum.ipynb": ((*DISTILLED, *DIALECT), (
        "lib/llmini/train/encoders*", "lib/llmini/train/merge*.py", "lib/llmini/train/translate*")),
    "04_finetune/02_attention.ipynb": (("lib/llmini/measure/attention.py", "lib/llmini/measure/kernels.py"), ()),
    "04_finetune/03_translate_and_tune.ipynb": ((*DISTILLED, "lib/llmini/measure/chrf.py"),
                                                ("lib/llmini/train/encoders*",)),
    "05_browser": ((*(f"lib/llmini/browser/{name}.py" for name in (
        "assemble", "export", "graph", "parity", "pieces", "reference", "runs", "weights")),
        "lib/llmini/pocket/acai.py", "lib/llmini/pocket/agents.py", "acai/agents/formats.json"), ()),
}  # fmt: skip
# What only runs of the full and small tiers read: a pocket run does not depend on it.
FULL = tuple(f"lib/llmini/train/{name}.py" for name in ("corpora*", "curriculum_full", "fits", "sources"))
# Notebooks about encoders, whose runs depend on these sources and on none of the decoders'.
ENCODERS = (
    "lib/llmini/encoder*.py", "lib/llmini/models.py", "lib/llmini/compress/encoders*.py", "lib/llmini/measure/cost.py",
    "lib/llmini/measure/encoders*.py", "lib/llmini/train/encoders*", "lib/llmini/pocket/encoder*.py",
    *(f"lib/llmini/pocket/{name}.py" for name in ("arabic", "facts", "passages", "training", "world")),
    "data/pocket/encoders", "data/pocket/world",
)  # fmt: skip
ALONE = dict.fromkeys(("01_quant/02_encoders.ipynb", "02_prune/02_encoders.ipynb", "03_kd/04_encoders.ipynb"), ENCODERS)
# Who plans the runs of a notebook that trains: module:function, called with the notebook's parameters.
PLANS = {
    "03_kd/01_teacher.ipynb": "train.stages:teacher",
    "03_kd/02_distill.ipynb": "train.stages:plan",
    "03_kd/03_behaviour.ipynb": "train.stages:behaviour",
    "04_finetune/01_curriculum.ipynb": "train.tuning:plan",
    "04_finetune/02_attention.ipynb": "measure.attention:plan",
    "04_finetune/03_translate_and_tune.ipynb": "train.translate_runs:plan",
    "05_browser/01_export.ipynb": "browser.runs:plan",
    "01_quant/02_encoders.ipynb": "train.encoders_runs:quant",
    "02_prune/02_encoders.ipynb": "train.encoders_runs:prune",
    "03_kd/04_encoders.ipynb": "train.encoders_runs:kd",
}
HASHED = {".py", ".yaml", ".jsonl", ".json", ".csv", ".safetensors"}


@dataclass(frozen=True)
class Run:
    """One model under one method with its options; ``params`` is a sorted tuple of pairs.

    ``part`` tells apart runs that measure the same checkpoint in different notebooks.
    """

    tier: str
    family: str
    model: str
    method: str
    params: tuple[tuple[str, Any], ...] = ()
    part: str = ""

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.params)

    @property
    def variant(self) -> str:
        """``w4a16``, ``w4a16-ar-s1``, ``sparsegpt-50``, ``wanda-2of4``, ``dense-outliers``: defaults are silent.

        Of a distillation stage: ``token_kd``, ``token_kd-s1``, ``selectkd-theta0.9``, ``sft_kd-as_written``; of a stage
        of fine-tuning ``ft_v1-stage3-s1``, ``ft_v1-stage3-replay0``, ``ft_v1-reversed-stage3``; merged ``slerp-t0.5``.
        Of an encoder ``magnitude-ner-ar-before-share0.1-50-s1``, ``distil_task-ner-ar-layers4``.
        """
        options, words = self.options, [self.method]
        words += [str(options[name]) for name in ("task", "trained", "phase") if name in options]
        words += [f"layers{options['layers']}"] if "layers" in options else []
        words += [options["beginning"]] if options.get("beginning", "spaced") != "spaced" else []
        words += [f"recover{options['recover']:g}"] if options.get("recover", 1) != 1 else []
        words += [options["preset"]] if "preset" in options else []
        words += [f"{name}{options[name]:g}" for name in ("theta", "temperature", "alpha") if name in options]
        words += [options["rule"]] if "rule" in options else []
        words += [f"share{options['share']:g}"] if "share" in options else []
        words += [f"from_{options['start']}"] if "start" in options else []
        words += [options["order"]] if "order" in options else []
        words += [f"{name}{options[name]:g}" for name in ("stage", "replay", "t") if name in options]
        words += [options["adapter"]] if "adapter" in options else []
        if options.get("mask_structure", "0:0") != "0:0":
            words.append(options["mask_structure"].replace(":", "of"))
        elif "sparsity" in options:
            words.append(f"{100 * options['sparsity']:g}")
        language, seed = options.get("calibration_language"), options.get("seed", 0)
        words += [language] if language and (language != "en" or seed) else []
        words += [f"s{seed}"] if seed else []
        words += ["outliers"] if options.get("outliers") else []
        return "-".join(words)

    @property
    def run_id(self) -> str:
        words = (self.tier, self.family, self.model, self.variant, self.part)
        return "-".join(word for word in words if word)

    @property
    def folder(self) -> Path:
        return runs(self.tier, self.run_id)

    def recipe(self) -> dict[str, Any]:
        """Keyword arguments of `compress.checkpoint.compress` that make this run's checkpoint."""
        options = self.options
        shape = {name: options.pop(name) for name in ("sparsity", "mask_structure") if name in options}
        if self.method != "dense":
            options |= {"quant": self.method} if self.family == "quant" else {"prune": self.method}
        return {"tier": self.tier, **options, **({"prune_config": shape} if shape else {})}

    def record(self) -> Record:
        """An empty record of this run."""
        return Record(self.tier, self.family, self.model, self.variant, self.method, self.options, part=self.part)

    def fresh(self, fingerprint: str) -> bool:
        """Whether a finished, valid record of this run exists that was made from the same code, data and options.

        A rehearsal's record names its own tier; the rest of its id is the run's.
        """
        try:
            body = json.loads((self.folder / "record.json").read_text(encoding="utf8"))
        except (OSError, ValueError):
            return False
        if schema.fault(body) or body["run_id"].partition("-")[2] != self.run_id.partition("-")[2]:
            return False
        return body["provenance"].get("fingerprint") == fingerprint and origin.same(body, self.model, self.tier)


def listed(value: Any) -> list[Any]:
    """A parameter as a list: ``"w8a8,w4a16"``, ``0.5`` and ``[0.5, 0.6]`` are all welcome."""
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    return list(value) if isinstance(value, (list, tuple)) else [value]


def plan(tier: str, family: str, model: str, method: Any, *, sparsity: Any = 0.5, mask_structure: Any = "0:0",
         calibration_language: Any = "en", seed: Any = 0, outliers: bool = False) -> list[Run]:  # fmt: skip
    """The runs of one notebook start: the product of every option given as a list; the dense baseline comes first.

    ``method`` may be ``all``. Raises UserError for a method that the family does not have.
    """
    known = {"quant": QUANT_METHODS, "prune": PRUNE_METHODS}[family]
    methods = list(known) if method == "all" else listed(method)
    strangers = [name for name in methods if name not in (*known, "dense")]
    if strangers:
        raise UserError(f"unknown {family} method {strangers[0]!r}: choose among {', '.join(known)}")
    base = {"outliers": True} if outliers else {}
    axes = {"calibration_language": listed(calibration_language), "seed": [int(s) for s in listed(seed)]}
    if family == "prune":
        axes |= {"mask_structure": listed(mask_structure), "sparsity": [float(s) for s in listed(sparsity)]}
    found = [Run(tier, family, model, "dense", tuple(base.items()))]
    for name in (m for m in methods if m != "dense"):
        for values in itertools.product(*axes.values()):
            options = {**base, **dict(zip(axes, values, strict=True))}
            found.append(Run(tier, family, model, name, tuple(sorted(options.items()))))
    return found


@dataclass(frozen=True)
class Job:
    """One notebook start: its parameters and the runs it leaves behind."""

    name: str
    notebook: str
    family: str
    parameters: dict[str, Any]
    core: bool
    publish: bool
    after: tuple[str, ...] = ()  # names of jobs that must be done before

    @property
    def runs(self) -> list[Run]:
        if self.family in ("quant", "prune"):
            return plan(family=self.family, **self.parameters)
        module, _, function = PLANS[self.notebook].partition(":")
        return getattr(importlib.import_module(f"llmini.{module}"), function)(**self.parameters)

    def pending(self) -> list[Run]:
        """The runs of this job without a fresh record."""
        return pending(self.runs, self.notebook)


KEYS = ("name", "notebook", "models", "core", "publish", "after", "seeds")  # of a grid entry; the rest are parameters


def jobs(tier: str, core: bool = False) -> list[Job]:
    """The jobs of a tier from ``workflow/grid.yaml``; with ``core`` only those that ``make study`` runs.

    Raises UserError for an unknown tier.
    """
    import yaml

    grid = yaml.safe_load((root() / "workflow" / "grid.yaml").read_text(encoding="utf8"))
    if tier not in grid:
        raise UserError(f"workflow/grid.yaml has no tier {tier!r}")
    found = []
    for family, entries in grid[tier].items():
        for entry in entries:
            options = {key: value for key, value in entry.items() if key not in KEYS and value is not None}
            for model, seed in itertools.product(entry["models"], entry.get("seeds", [None])):
                ends = f"{model}" if seed is None else f"{model}-s{seed}"
                found.append(Job(
                    f"{family}-{entry['name']}-{ends}", entry["notebook"], family,
                    {"tier": tier, "model": model, **options, **({} if seed is None else {"seed": seed})},
                    entry.get("core", False), entry.get("publish") == model and not seed,
                    tuple(listed(entry.get("after", []))),
                ))  # fmt: skip
    return [job for job in found if job.core or not core]


def pending(todo: Iterable[Run], notebook: str) -> list[Run]:
    """Those of ``todo`` that no fresh record covers yet: finished work is never done twice."""
    return [run for run in todo if not run.fresh(fingerprint(notebook, run.tier, run.model))]


@lru_cache
def fingerprint(notebook: str, tier: str, model: str) -> str:
    """Hash of what a run's numbers come from: library modules, tasks, locked packages, code cells, pocket weights."""
    digest = hashlib.sha256()
    own = FAMILY.get(notebook) or FAMILY.get(notebook.partition("/")[0]) or ((), ())
    own = (own[0], (*own[1], *(FULL if tier == "pocket" else ())))
    hashed = files(ALONE[notebook]) if notebook in ALONE else [*files(SOURCES, NEUTRAL), *files(*own)]
    for file in hashed:
        digest.update(f"{file.relative_to(root())}\0".encode() + file.read_bytes())
    lock = (root() / "requirements.lock").read_text(encoding="utf8").splitlines()
    digest.update("\n".join(line for line in lock if line.partition("==")[0] in LOCKED).encode())
    digest.update("\n\n".join(code_cells(root() / "notebooks" / notebook)).encode())
    for file in sorted(data("pocket", "models", model).glob("*.safetensors")) if tier == "pocket" else []:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def files(sources: Iterable[str], without: Iterable[str] = ()) -> list[Path]:
    """The hashed files of sources, patterns of files or folders below the checkout, that match none of ``without``."""
    left = {path for pattern in without for path in root().glob(pattern)}
    found = [file for pattern in sources for path in sorted(root().glob(pattern))
             for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]  # fmt: skip
    return [file for file in found if file.is_file() and file.suffix in HASHED and file not in left]


def code_cells(notebook: Path) -> list[str]:
    """The code of a notebook, without outputs, prose and parameters (each run holds its own options)."""
    cells = json.loads(notebook.read_text(encoding="utf8"))["cells"]
    code = [c for c in cells if c["cell_type"] == "code"
            and {"parameters", "injected-parameters"}.isdisjoint(c["metadata"].get("tags", []))]  # fmt: skip
    return ["".join(cell["source"]) for cell in code]

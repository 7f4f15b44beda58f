"""Benchmark scores through lm-eval's harness and task YAML: per-task rows and per-item outcomes."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError, check_tier, data

if TYPE_CHECKING:
    import pandas

BENCHMARKS = {"arabicmmlu": "ar", "metabench": "en", "arabic_fundamentals": "ar"}  # with the language of each
OURS = ("arabic_fundamentals",)  # whose full tier stands in data/evaluation/tasks, not in lm-eval


@dataclass
class Scores:
    """``rows``: keyword arguments of ``Record.add``, one per task and metric, the group mean last. ``items``: one row
    per question in :data:`COLUMNS`. ``details``: seconds, the model class that scored, and why it fell back, if so."""

    rows: list[dict[str, Any]]
    items: pandas.DataFrame
    details: dict[str, Any] = field(default_factory=dict)


def evaluate(model: Any, tokenizer: Any, benchmark: str, *, tier: str = "pocket", limit: int | None = None,
             stock: bool = False, batch_size: int | None = None, folder: Path | None = None) -> Scores:  # fmt: skip
    """Score a model on a benchmark of :data:`BENCHMARKS` (in the pocket tier their ``pocket_`` namesakes).

    The harness builds the prompts, extracts answers and decides right or wrong; log-likelihoods come from
    :class:`llmini.measure.scorer.TrieLM`, or from lm-eval's own HFLM with ``stock``. ``limit`` takes the first items of
    each task. ``folder`` holds other task YAML than ``data/pocket/tasks``, and then any group in it can be named.
    Items: ``correct`` is acc (exact_match, flexible extraction, where the model generates), ``correct_norm`` acc_norm,
    ``choice`` the most likely option, ``gold_nll`` -log p(gold option) in nats; the last three are null where a task
    has none. Standard errors are of the mean over items, propagated to the group mean.
    Raises UserError for an unknown benchmark or a data set that cannot be loaded.
    """
    from lm_eval import evaluator

    from llmini.measure.outcomes import item_frame, task_rows

    started = time.perf_counter()
    name, loaded = load(benchmark, tier, folder)
    with quiet(), compiled_templates():
        lm = harness_model(model, tokenizer, stock, batch_size)
        outcome = evaluator.evaluate(lm, loaded, limit=limit, bootstrap_iters=0, log_samples=True)
    language = next((code for word, code in BENCHMARKS.items() if word in name), "")
    items = item_frame(outcome["samples"], loaded, name, language)
    details = {"seconds": time.perf_counter() - started, "scorer": type(lm).__name__,
               "fallback": getattr(lm, "fallback", None)}  # fmt: skip
    return Scores(task_rows(items, loaded, name, language), items, details)


def benchmarks(tier: str) -> dict[str, str]:
    """The harness's name of each benchmark in a tier -> its language."""
    return {named(name, tier): language for name, language in BENCHMARKS.items()}


def named(bare: str, tier: str) -> str:
    """The harness's name of a benchmark: the pocket tier has namesakes."""
    return bare if tier in ("full", "small") else f"pocket_{bare}"


def load(benchmark: str, tier: str, folder: Path | None = None) -> tuple[str, dict[str, Any]]:
    """The harness's name of a benchmark and its loaded tasks. A process loads each once; questions are not changed."""
    bare = benchmark.removeprefix("pocket_")
    if named(bare, check_tier(tier)) == bare and folder is None:
        if bare not in BENCHMARKS:
            raise UserError(f"unknown benchmark {benchmark!r}: choose one of {', '.join(BENCHMARKS)}")
        # Indexing one folder takes no time; lm-eval's whole index takes 12 s.
        return bare, _load(bare, str(data("evaluation", "tasks") if bare in OURS else harness_folder(bare)), ())
    folder = folder or data("pocket", "tasks")
    files = sorted(path for path in folder.glob("**/*") if path.suffix in (".yaml", ".jsonl"))
    stamp = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    name = named(bare, tier) if bare in BENCHMARKS else benchmark
    return name, _load(name, str(folder), stamp)


def harness_folder(name: str) -> Path:
    """A folder of task YAML that comes with lm-eval."""
    import lm_eval

    return Path(lm_eval.__file__).parent / "tasks" / name


@functools.lru_cache(maxsize=16)
def _load(name: str, folder: str, stamp: tuple) -> dict[str, Any]:
    """:func:`read`, once; ``stamp`` names the state of the folder's files, so that an edit is seen."""
    return read(name, folder)


def read(name: str, folder: str | Path, metadata: dict[str, str] | None = None) -> dict[str, Any]:
    """The loaded tasks of the group or task ``name`` below ``folder``, as ``evaluator.evaluate`` takes them.

    ``metadata`` goes to the functions that make a task's rows. Raises UserError for an unknown name and questions that
    cannot be loaded.
    """
    from lm_eval.tasks import TaskManager

    with quiet():
        manager = TaskManager(include_path=str(folder), include_defaults=False, metadata=metadata)
        if name not in manager.task_index:
            known = ", ".join(sorted(manager.all_groups)) or "none"
            raise UserError(f"unknown benchmark {name!r}: {folder} holds {known}")
        for entry in manager.task_index.values():
            if entry.yaml_path and (entry.cfg or {}).get("dataset_path") == "json":
                root_files(entry)
        try:
            loaded = manager.load([name])
        except (OSError, ValueError, RuntimeError) as fault:
            reason = str(fault).splitlines()[0] if str(fault) else type(fault).__name__
            raise UserError(f"cannot load the questions of {name}: {reason}; connect to the hub or set HF_HOME to a "
                            "cache that holds them") from fault  # fmt: skip
    for task in loaded["tasks"].values():
        if task.get_config("num_fewshot") is None:  # what lm-eval's simple_evaluate does
            task.set_config(key="num_fewshot", value=0)
        task.set_fewshot_seed(seed=1234)
    return loaded


def root_files(entry: Any) -> None:
    """Make a local task's data files absolute, so that they are found from any working directory.

    They are then read plainly: no cache folder, no lock, no progress bar.
    """
    from lm_eval.tasks._yaml_loader import load_yaml

    config = load_yaml(entry.yaml_path, resolve_func=True)
    files = config.get("dataset_kwargs", {}).get("data_files", {})
    if not files:  # rows made by a function
        return
    files = files if isinstance(files, dict) else {"test": files}
    rooted = {split: str(Path(entry.yaml_path).parent / file) for split, file in files.items()}
    entry.cfg = {**config, "dataset_kwargs": {"data_files": rooted}, "custom_dataset": json_lines}
    entry.yaml_path = None


def json_lines(data_files: dict[str, str], **_: Any) -> Any:
    """A DatasetDict of .jsonl files by split."""
    import datasets

    return datasets.DatasetDict({
        split: datasets.Dataset.from_list([json.loads(line) for line in open(file, encoding="utf8") if line.strip()])
        for split, file in data_files.items()
    })  # fmt: skip


def harness_model(model: Any, tokenizer: Any, stock: bool = False, batch_size: int | None = None) -> Any:
    """The model as an lm-eval LM; ``batch_size`` defaults by the model's size (it never changes a score in fp32)."""
    from lm_eval.models.huggingface import HFLM

    from llmini.measure.scorer import TrieLM

    batch_size = batch_size or (64 if model.num_parameters() < 2e8 else 8)
    return (HFLM if stock else TrieLM)(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """lm-eval without its notices about being handed a live model."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def compiled_templates() -> Iterator[None]:
    """Compile each Jinja template once: lm-eval compiles it for every field of every question, 1 ms a time."""
    from lm_eval import utils

    plain = utils.env.from_string
    utils.env.from_string = functools.lru_cache(maxsize=None)(plain)
    try:
        yield
    finally:
        utils.env.from_string = plain

"""Score a pocket model on the pocket benchmarks with lm-eval's own harness and model class."""

from __future__ import annotations

import contextlib
from typing import Any

from llmini import settings
from llmini.pocket.tasks import ARABIC, ENGLISH

FOUR_OPTIONS = {"en": ("arc", "hellaswag", "mmlu", "truthfulqa"), "ar": ARABIC}


def score(model: Any, tokenizer: Any, split: str = "test", batch_size: int = 32) -> dict[str, float]:
    """Accuracy of every task of a split, and the unweighted means over the four-option tasks of each language."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    suffix = "" if split == "test" else f"_{split}"
    folder = settings.data("pocket", "tasks") if split == "test" else settings.data("pocket", "tasks", split)
    language_model = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, max_length=512)
    with contextlib.chdir(folder):  # the YAML names its data file beside it
        found = simple_evaluate(
            model=language_model,
            tasks=[f"pocket_{task}{suffix}" for task in (*ARABIC, *ENGLISH)],
            log_samples=False,
            task_manager=TaskManager(include_path=str(folder), include_defaults=False),
            bootstrap_iters=0,
            verbosity="ERROR",
        )
    scores = {}
    for task in (*ARABIC, *ENGLISH):
        row = found["results"][f"pocket_{task}{suffix}"]
        scores[task] = round(float(row.get("acc,none", row.get("exact_match,flexible-extract", float("nan")))), 4)
    for language, tasks in FOUR_OPTIONS.items():
        scores[f"mean_{language}"] = round(sum(scores[task] for task in tasks) / len(tasks), 4)
    return scores

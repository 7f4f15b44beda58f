"""What the harness logged, as our rows: one per question, one per task and metric, and the group mean."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError

if TYPE_CHECKING:
    import pandas

NORMALISED = ("arc", "hellaswag")  # tasks the study prints acc_norm of; acc is kept beside it
COLUMNS = ["benchmark", "task", "language", "item_id", "correct", "correct_norm", "choice", "gold_nll", "cluster"]


def item_frame(samples: dict[str, list], loaded: dict[str, Any], benchmark: str, language: str) -> pandas.DataFrame:
    """One row per question from the harness's logged samples, in the order of the tasks."""
    import numpy
    import pandas

    parents = parent_names(loaded, benchmark)
    leaves = Counter(parents.values())
    rows = []
    for name, logged in samples.items():
        task, parent = loaded["tasks"][name], parents[name]
        filters = {sample["filter"] for sample in logged}
        chosen = "flexible-extract" if "flexible-extract" in filters else logged[0]["filter"]
        for sample in logged:
            if sample["filter"] != chosen:
                continue
            doc, choice, gold_nll = sample["doc"], None, math.nan
            if task.OUTPUT_TYPE == "multiple_choice":
                scores = [score for score, _ in sample["filtered_resps"]]
                choice = int(numpy.argmax(scores))
                gold = gold_index(task, doc)
                gold_nll = math.nan if gold is None else -float(scores[gold])
            right = sample["acc"] if "acc" in sample else sample["exact_match"]
            number = f"{name}/{sample['doc_id']}" if leaves[parent] > 1 else sample["doc_id"]
            if task.DATASET_PATH == "json":  # ours: ids that survive a reordering, and items that share a fact
                number = doc.get("id", number)
            rows.append({"benchmark": benchmark, "task": parent, "language": doc.get("language", language),
                         "item_id": str(number), "correct": bool(right),
                         "correct_norm": bool(sample["acc_norm"]) if "acc_norm" in sample else None,
                         "choice": choice, "gold_nll": gold_nll,
                         "cluster": str(doc.get("cluster", number))})  # fmt: skip
    frame = pandas.DataFrame(rows, columns=COLUMNS).astype({"correct_norm": "boolean", "choice": "Int64"})
    if frame.duplicated(["task", "item_id"]).any():
        twin = frame[frame.duplicated(["task", "item_id"])].iloc[0]
        raise UserError(f"two questions of {benchmark}/{twin['task']} bear the id {twin['item_id']!r}: mend the file")
    return frame


def gold_index(task: Any, doc: dict) -> int | None:
    """Which option is right, as the harness reads it; None where the label is no option."""
    choices = task.doc_to_choice(doc)
    gold = task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)
    gold = gold[0] if isinstance(gold, list) else gold
    if isinstance(gold, str):
        return choices.index(gold) if gold in choices else None
    return gold if 0 <= gold < len(choices) else None


def parent_names(loaded: dict[str, Any], benchmark: str) -> dict[str, str]:
    """Our task name of each leaf task: the group's child that holds it, without the group's or the tier's name."""
    names = {}

    def walk(name: str, ours: str) -> None:
        children = loaded["group_map"].get(name)
        if children is None:
            names[name] = ours
        for child in children or []:
            walk(child, ours)

    for child in loaded["group_map"][benchmark]:
        walk(child, child.removeprefix(f"{benchmark}_").removeprefix("pocket_").removesuffix("_dev"))
    return names


def task_rows(items: pandas.DataFrame, loaded: dict[str, Any], benchmark: str, language: str) -> list[dict[str, Any]]:
    """Each task's scores, then the group mean.

    ArabicMMLU's mean weighs items, any other's weighs tasks, over those that have acc; errors are propagated.
    """
    parents = parent_names(loaded, benchmark)
    generative = {parents[name] for name, task in loaded["tasks"].items() if task.OUTPUT_TYPE == "generate_until"}
    rows, means = [], []
    for task, part in items.groupby("task", sort=False):
        scores = {"exact_match" if task in generative else "acc": part["correct"]}
        if any(word in task for word in NORMALISED) and part["correct_norm"].notna().all():
            scores["acc_norm"] = part["correct_norm"]
        for metric, right in scores.items():
            right = right.astype(float)
            value, n = float(right.mean()), len(right)
            stderr = float(right.std(ddof=1) / math.sqrt(n)) if n > 1 else None
            rows.append({"metric": metric, "value": value, "benchmark": benchmark, "task": task, "language": language,
                         "stderr": stderr, "n": n})  # fmt: skip
            if metric == "acc":
                means.append((value, stderr or 0.0, n))
    if means:
        total = sum(n for *_, n in means)
        weights = [n / total if "arabicmmlu" in benchmark else 1 / len(means) for *_, n in means]
        value = sum(w * mean for w, (mean, *_) in zip(weights, means, strict=True))
        stderr = math.sqrt(sum((w * se) ** 2 for w, (_, se, _) in zip(weights, means, strict=True)))
        rows.append({"metric": "acc", "value": value, "benchmark": benchmark, "task": "mean", "language": language,
                     "stderr": stderr, "n": total})  # fmt: skip
    return rows

"""Dialect and culture through lm-eval: identification, normalisation, code-switching, culture; morphology, correction.

Questions and task YAML stand in data/dialect: the group ``dialect`` of the full tier, ``pocket_dialect`` of the pocket
tier. Rules are in :mod:`llmini.measure.dialect_scores`; the functions below that take ``doc`` and ``results`` are what
the YAML names as ``process_results``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmini.measure import dialect_scores as rules
from llmini.settings import check_tier, data
from llmini.texts import normalise_arabic

if TYPE_CHECKING:
    from llmini.measure.tasks import Scores

BENCHMARK = "dialect"
"""lm-eval group in data/dialect; the pocket tier's namesake has its own items."""
ARABIC = ("morphology", "correction")
"""Tasks about standard Arabic (language ``ar``); the others are of the Gulf (``gulf``)."""
SENTENCES = ("normalize", "correction")
"""Tasks with a reference sentence: exact match and chrF. The others have ``acc``."""


def evaluate(model: Any, tokenizer: Any, tier: str = "pocket", *, limit: int | None = None, split: str = "test",
             stock: bool = False, batch_size: int | None = None) -> Scores:  # fmt: skip
    """Score a model on the dialect tasks of a tier; arguments as :func:`llmini.measure.tasks.evaluate`.

    Outside the pocket tier prompts go through the tokenizer's chat template, where it has one; the pocket tier's
    questions stand in the plain form of its template already. ``split``: ``dev`` for the pocket tier's development
    items. Raises UserError for an unknown tier or split, and for questions that cannot be loaded.
    """
    from llmini.measure import tasks

    with tasks.quiet():
        lm = tasks.harness_model(model, tokenizer, stock, batch_size)
    return score(lm, tier, limit=limit, split=split, chat=bool(getattr(tokenizer, "chat_template", None)))


def score(lm: Any, tier: str = "pocket", *, limit: int | None = None, split: str = "test",
          chat: bool = False) -> Scores:  # fmt: skip
    """Score any lm-eval LM on the dialect tasks of a tier; ``chat`` is heeded outside the pocket tier alone.

    Rows of benchmark ``pocket_dialect`` or ``dialect`` for each task, with n: ``acc`` (dialect_id: exact label;
    code_switch: its rule; culture, morphology: likeliest of four options) or ``exact_match`` and ``chrf`` (0 to 100;
    normalize, correction), and for generated answers ``script_failures``, the share with a letter neither Arabic nor
    Latin. Standard errors are of the mean over items, for chrF of a seeded bootstrap over items. There is no mean over
    tasks: their rules differ. ``items``: columns of ``outcomes.COLUMNS``, ``correct`` is acc or exact_match.
    ``details``: chrF's signature, the scorer's class, and the generated ``answers``, a frame of task, item_id, answer,
    target. Raises UserError as :func:`evaluate`.
    """
    import time

    import pandas
    from lm_eval import evaluator

    from llmini.measure import outcomes, tasks

    started = time.perf_counter()
    name = tasks.named(BENCHMARK, check_tier(tier)) + ("" if split == "test" else f"_{split}")
    _, loaded = tasks.load(name, tier, data("dialect"))
    chat = chat and not name.startswith("pocket_")
    with tasks.quiet(), tasks.compiled_templates():
        result = evaluator.evaluate(lm, loaded, limit=limit, bootstrap_iters=0, log_samples=True,
                                    apply_chat_template=chat)  # fmt: skip
    items = outcomes.item_frame(result["samples"], loaded, name, "gulf")
    parents = outcomes.parent_names(loaded, name)
    rows, answered, signature = [], [], None
    for full, logged in result["samples"].items():
        task = parents[full]
        part = items[items["task"] == task]
        where = {"benchmark": name, "task": task, "language": part["language"].iloc[0]}
        rows.append({"metric": "exact_match" if task in SENTENCES else "acc", **_mean(part["correct"]), **where})
        if loaded["tasks"][full].OUTPUT_TYPE != "generate_until":
            continue
        answers = [sample["filtered_resps"][0] for sample in logged]
        targets = [sample["target"] for sample in logged]
        answered.append(pandas.DataFrame({"task": task, "item_id": part["item_id"].to_numpy(), "answer": answers,
                                          "target": targets}))  # fmt: skip
        if task in SENTENCES:
            lines = [rules.line(answer) for answer in answers]
            found = rules.chrf(lines, targets)
            stderr = found.stderr if found.n > 1 else None
            rows.append({"metric": "chrf", "value": found.value, "stderr": stderr, "n": found.n, **where})
            signature = found.signature
        rows.append({"metric": "script_failures", **_mean(map(rules.script_failure, answers)), **where})
    details = {"seconds": time.perf_counter() - started, "scorer": type(lm).__name__, "chrf_signature": signature,
               "fallback": getattr(lm, "fallback", None),
               "answers": pandas.concat(answered, ignore_index=True)}  # fmt: skip
    return tasks.Scores(rows, items, details)


def identified(doc: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Whether the answer is the name of the sentence's variety (:func:`dialect_scores.label`)."""
    return _outcome("acc", rules.label(rules.line(results[0]), [doc["target"]]) is not None, results[0])


def mixed(doc: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Whether the answer is the sentence with English in it (:func:`dialect_scores.switched`)."""
    return _outcome("acc", rules.switched(doc["text"], rules.line(results[0])), results[0])


def rewritten(doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
    """Whether the answer is the reference sentence (:func:`dialect_scores.exact`); its pair for the harness's chrF."""
    answer = rules.line(results[0])
    pair = (normalise_arabic(doc["target"]), normalise_arabic(answer))
    return _outcome("exact_match", rules.exact(answer, doc["target"]), results[0]) | {"chrf": pair}


def _outcome(metric: str, passes: bool, answer: str) -> dict[str, Any]:
    failure = rules.script_failure(answer)  # a response in a foreign script is wrong, whatever its first line says
    return {metric: int(passes and not failure), "script_failures": int(failure)}


def _mean(outcomes: Any) -> dict[str, Any]:
    """Mean of 0 and 1 with its standard error, None for a single item."""
    import numpy

    right = numpy.asarray(list(outcomes), dtype=float)
    stderr = float(right.std(ddof=1) / len(right) ** 0.5) if len(right) > 1 else None
    return {"value": float(right.mean()), "stderr": stderr, "n": len(right)}

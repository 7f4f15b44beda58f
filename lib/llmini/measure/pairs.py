"""The pair questions put to a model: the same question in English and in Arabic, outcome and confidence of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llmini.measure import tasks
from llmini.settings import UserError, data

if TYPE_CHECKING:
    import pandas

    from llmini.records import Record

BENCHMARK = "pairs"
"""lm-eval group in data/pairs/tasks; the pocket tier's namesake asks data/pairs/pocket_pairs.jsonl."""


def pairs(model: Any, tokenizer: Any, tier: str = "pocket", *, limit: int | None = None, stock: bool = False,
          batch_size: int | None = None) -> pandas.DataFrame:  # fmt: skip
    """Ask a model the pair questions of a tier through lm-eval's harness; one row per pair, in the order of the file.

    Columns: ``item, category, en_correct, ar_correct, en_confidence, ar_confidence``, what
    :func:`llmini.measure.bilingual.behaviour` takes. Correct is the harness's acc; the confidence is the probability of
    the chosen option, softmax over the options' summed log-probabilities. In the pocket tier the options are the
    answers' texts; in the others they are the letters A to D, in both languages, after a prompt that lists the answers.
    ``limit``, ``stock`` and ``batch_size`` as in :func:`llmini.measure.tasks.evaluate`.
    Raises UserError for an unknown tier, or questions that cannot be loaded.
    """
    import pandas
    from lm_eval import evaluator

    # Not through tasks.evaluate: its items keep the right option's log-probability, and not the others'.
    name, loaded = tasks.load(tasks.named(BENCHMARK, tier), tier, data("pairs"))
    with tasks.quiet(), tasks.compiled_templates():
        lm = tasks.harness_model(model, tokenizer, stock, batch_size)
        samples = evaluator.evaluate(lm, loaded, limit=limit, bootstrap_iters=0, log_samples=True)["samples"]
    english, arabic = (pandas.DataFrame(map(outcome, samples[f"{name}_{code}"])) for code in ("en", "ar"))
    if english["item"].duplicated().any():
        twin = english.loc[english["item"].duplicated(), "item"].iloc[0]
        raise UserError(f"two pairs of {name} bear the id {twin!r}: mend the file")
    keys = ["item", "category"]
    columns = [*keys, *(f"{side}_{part}" for part in ("correct", "confidence") for side in ("en", "ar"))]
    english, arabic = english.set_index(keys).add_prefix("en_"), arabic.set_index(keys).add_prefix("ar_")
    return english.join(arabic, validate="1:1").reset_index()[columns]


def add(record: Record, model: Any, tokenizer: Any) -> pandas.DataFrame:
    """Put the questions to a model, add the rows of its behaviour in two languages, and return the items."""
    from llmini.measure import bilingual

    found = pairs(model, tokenizer, record.tier)
    for row in bilingual.behaviour(found):
        record.add(row["metric"], row["value"], benchmark=BENCHMARK, task="mean", language=row["language"],
                   stderr=row.get("stderr"), n=row["n"])  # fmt: skip
    return bilingual.items(found, BENCHMARK)


def questions(tier: str = "pocket") -> list[dict[str, Any]]:
    """The rows of a tier's pair questions: id, category, en and ar (each question and options), answer."""
    name = "ar_en_pairs" if tasks.named(BENCHMARK, tier) == BENCHMARK else "pocket_pairs"
    return [json.loads(line) for line in data("pairs", f"{name}.jsonl").read_text(encoding="utf8").splitlines()]


def outcome(sample: dict[str, Any]) -> dict[str, Any]:
    """A question's row from the harness's logged sample."""
    doc, scores = sample["doc"], [score for score, _ in sample["filtered_resps"]]
    return {"item": doc["id"], "category": doc["category"], "correct": bool(sample["acc"]),
            "confidence": confidence(scores)}  # fmt: skip


def confidence(scores: list[float]) -> float:
    """Probability of the likeliest option: softmax over the options' log-probabilities."""
    import numpy

    return float(1 / numpy.exp(numpy.subtract(scores, max(scores))).sum())

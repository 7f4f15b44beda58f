"""The pocket benchmarks: items and lm-eval task YAML. `python -m llmini.pocket.tasks` writes data/pocket/tasks again.

Knowledge items ask facts that training states but never asks. The same fact carries the same cluster, index of phrasing
and wrong answers in both languages, so that Arabic and English can be compared item by item.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from llmini import settings
from llmini.pocket import passages
from llmini.pocket.facts import Fact, facts, ordered, unit, values
from llmini.pocket.world import questions

ARABIC = ("humanities", "language", "other", "social_science", "stem")
ENGLISH = ("arc", "gsm8k", "hellaswag", "mmlu", "truthfulqa", "winogrande")
COUNT = 150
SPLITS = ("dev", "test")


def wrong(fact: Fact, number: int = 3) -> list[tuple[str, str]]:
    """Wrong answers of a fact: other values of its table, chosen by hash; a misconception brings its own belief."""
    from llmini.pocket.facts import table

    options = [
        value
        for value in values(table("relations")[fact.relation]["values"])
        if value != fact.value and value[1] not in (fact.value[1], fact.subject[1])
    ]
    chosen = ordered(options, "wrong", fact.id)
    if fact.relation == "herb.truth":
        belief = next(f for f in facts() if f.id == fact.id.replace("truth", "belief"))
        chosen = [belief.value, *(value for value in chosen if value != belief.value)]
    return chosen[:number]


def knowledge(fact: Fact, variant: int, language: str, task: str) -> dict[str, Any] | None:
    """One question about a fact with four answers, or None where the relation has no such phrasing."""
    asked = questions(fact, language)
    others = wrong(fact)
    if variant >= len(asked) or len(others) < 3 or fact.subject[1] == fact.value[1]:
        return None
    side = 0 if language == "en" else 1
    choices = ordered([fact.value[side], *(value[side] for value in others)], "order", fact.id, variant)
    return {
        "id": f"{task}/{fact.id}/{variant}",
        "cluster": fact.id,
        "query": asked[variant],
        "choices": choices,
        "gold": choices.index(fact.value[side]),
        "relation": fact.relation,
        "rare_in_arabic": fact.rare,
        "weight": fact.weights[0] or fact.weights[1],
    }


def _asked(
    groups: tuple[str, ...], split: str, language: str, task: str, relations: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Items of the facts of a split: every fact once, then the other phrasings, up to the count."""
    chosen = [fact for fact in facts() if fact.split == split and fact.group in groups]
    if relations:
        chosen = [fact for fact in chosen if fact.relation in relations]
    chosen.sort(key=lambda fact: unit("item", fact.id))
    items = [item for variant in range(3) for fact in chosen if (item := knowledge(fact, variant, language, task))]
    return items[:COUNT]


def _generated(kind: str, split: str, task: str) -> list[dict[str, Any]]:
    """English items of generated passages, all different."""
    rng = random.Random(f"{task}/{split}")
    found: dict[str, dict[str, Any]] = {}
    while len(found) < COUNT:
        item = getattr(passages, kind)(rng, split)
        query = f"{item.context[0]} {item.question[0]}" if kind == "pronoun" else item.question[0]
        row: dict[str, Any] = {"id": f"{task}/{len(found):03d}", "cluster": item.cluster or item.key, "query": query}
        if kind == "problem":
            row |= {"answer": item.answer[0], "number": item.answer[0].rsplit("#### ", 1)[1]}
        else:
            choices = ordered([item.answer[0], *(option[0] for option in item.options)], "order", query)
            if len(set(choices)) < len(choices):
                continue
            row |= {"choices": choices, "gold": choices.index(item.answer[0])}
        found.setdefault(query, row)
    return list(found.values())


def items(task: str, split: str) -> list[dict[str, Any]]:
    """The items of a task: `id`, `cluster`, `query` and `choices` with `gold`, or `answer` with `number`."""
    if task in ("humanities", "language", "other", "social_science", "stem"):
        return _asked((task,), split, "ar", task)
    if task == "mmlu":
        return _asked(("humanities", "other", "social_science"), split, "en", task)
    if task == "arc":
        return _asked(("stem",), split, "en", task)
    if task == "truthfulqa":
        return _asked(("misconception",), split, "en", task)
    return _generated({"gsm8k": "problem", "hellaswag": "chain", "winogrande": "pronoun"}[task], split, task)


CHOICE = (
    "output_type: multiple_choice",
    'doc_to_choice: "{{choices}}"',
    'doc_to_target: "{{gold}}"',
    "metric_list:",
    "  - metric: acc",
    "    aggregation: mean",
    "    higher_is_better: true",
    "  - metric: acc_norm",
    "    aggregation: mean",
    "    higher_is_better: true",
)
"""Lines of the YAML of a task with options, after its :func:`head`."""


def head(task: str, suffix: str, *asked: str) -> list[str]:
    """First lines of a task's YAML: its name, its data file, which stands beside it, and how it is asked."""
    return [
        f"task: pocket_{task}{suffix}",
        "dataset_path: json",
        "dataset_kwargs:",
        "  data_files:",
        f"    test: {task}{suffix}.jsonl",
        "test_split: test",
        *asked,
        "num_fewshot: 0",
        "metadata:",
        "  version: 1.0",
    ]


def configuration(task: str, suffix: str = "") -> str:
    """The lm-eval YAML of a task; its data file stands beside it."""
    prompt = (
        "{{query}}"
        if task == "hellaswag"
        else "Question: {{query}}\\nAnswer:"
        if task in ENGLISH
        else "سؤال: {{query}}\\nجواب:"
    )
    lines = head(task, suffix, f'doc_to_text: "{prompt}"')
    if task == "gsm8k":
        lines += [
            "output_type: generate_until",
            'doc_to_target: "{{answer}}"',
            "generation_kwargs:",
            '  until: ["\\n\\n", "Question:", "</s>"]',
            "  do_sample: false",
            "  temperature: 0.0",
            "  max_gen_toks: 64",
            "filter_list:",
            "  - name: strict-match",
            "    filter:",
            "      - function: regex",
            "        regex_pattern: '#### (\\-?[0-9]+)'",
            "      - function: take_first",
            "  - name: flexible-extract",
            "    filter:",
            "      - function: regex",
            "        group_select: -1",
            "        regex_pattern: '(\\-?[0-9]+)'",
            "      - function: take_first",
            "metric_list:",
            "  - metric: exact_match",
            "    aggregation: mean",
            "    higher_is_better: true",
            "    regexes_to_ignore: ['(?s).*#### ']",
        ]
    else:
        lines += CHOICE
    return "\n".join(lines) + "\n"


def group(name: str, members: tuple[str, ...], suffix: str = "") -> str:
    """The lm-eval YAML of a group."""
    lines = [
        f"group: {name}{suffix}",
        "task:",
        *(f"  - pocket_{member}{suffix}" for member in members),
        "metadata:",
        "  version: 1.0",
    ]
    return "\n".join(lines) + "\n"


def files(split: str = "test") -> dict[str, str]:
    """Every file of the benchmarks as name -> text. The development split gets names that end in `_dev`."""
    suffix = "" if split == "test" else f"_{split}"
    found = {
        f"pocket_arabicmmlu{suffix}.yaml": group("pocket_arabicmmlu", ARABIC, suffix),
        f"pocket_metabench{suffix}.yaml": group("pocket_metabench", ENGLISH, suffix),
    }
    for task in (*ARABIC, *ENGLISH):
        found[f"{task}{suffix}.yaml"] = configuration(task, suffix)
        rows = (json.dumps(row, ensure_ascii=False) for row in items(task, split))
        found[f"{task}{suffix}.jsonl"] = "\n".join(rows) + "\n"
    return found


def write(folder: Path | None = None, splits: tuple[str, ...] = SPLITS) -> Path:
    """Write the benchmark files; development items go to the subfolder `dev`."""
    folder = folder or settings.data("pocket", "tasks")
    for split in splits:
        target = folder if split == "test" else folder / split
        target.mkdir(parents=True, exist_ok=True)
        for name, text in files(split).items():
            (target / name).write_text(text, encoding="utf-8")
    return folder


if __name__ == "__main__":
    print(f"wrote {write()}")

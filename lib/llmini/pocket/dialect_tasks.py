"""The pocket tier's dialect benchmark: items, task YAML and the wording of its questions.

`python -m llmini.pocket.dialect_tasks` writes data/dialect/tasks/pocket again, byte for byte. Everything asked is of
split `test`, in the subfolder `dev` of split `dev`: no training text holds these combinations, nor asks these customs.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmini import settings
from llmini.pocket.facts import ordered
from llmini.records import write_atomic
from llmini.settings import UserError

TASKS = ("dialect_id", "normalize", "code_switch", "culture", "morphology", "correction")
SPLITS = {"test": 120, "dev": 60}
"""Splits with the items of a task; culture asks each custom of split test in both wordings instead."""
LABELS = {"msa": "فصحى", "gulf": "خليجية", "bahraini": "بحرينية"}
"""The answer of identification by variety."""
IDENTIFY = (
    "ما لهجة هذه الجملة، فصحى أم خليجية أم بحرينية؟ {s}",
    "فصحى أم خليجية أم بحرينية؟ {s}",
    "بأي لهجة قيلت هذه الجملة؟ {s}",
)
NORMALIZE = ("حول إلى الفصحى: {s}", "اكتب هذه الجملة بالفصحى: {s}", "كيف تقال هذه الجملة بالفصحى؟ {s}")
SWITCH = (
    "قل هذه الجملة وفيها كلمة إنجليزية: {s}",
    "اخلط هذه الجملة بالإنجليزية: {s}",
    "كيف يقول هذه الجملة من يخلط كلامه بالإنجليزية؟ {s}",
)
CULTURE = ("{s}", "أجب عن هذا السؤال: {s}")
_LIMIT = 400  # draws an item: a split that is too small is an error, not an endless loop


def ask_identify(sentence: str, rng: random.Random | None = None) -> str:
    """The request to name a sentence's variety; the evaluation's wording, or one drawn by ``rng``."""
    return _worded(IDENTIFY, sentence, rng)


def ask_normalize(sentence: str, rng: random.Random | None = None) -> str:
    """The request to put a Bahraini sentence into standard Arabic; wording as :func:`ask_identify`."""
    return _worded(NORMALIZE, sentence, rng)


def ask_switch(sentence: str, rng: random.Random | None = None) -> str:
    """The request to mix English into a Bahraini sentence; wording as :func:`ask_identify`."""
    return _worded(SWITCH, sentence, rng)


def ask_culture(question: str, rng: random.Random | None = None) -> str:
    """The question about a custom; wording as :func:`ask_identify`."""
    return _worded(CULTURE, question, rng)


def _worded(templates: tuple[str, ...], text: str, rng: random.Random | None) -> str:
    return (templates[0] if rng is None else rng.choice(templates)).replace("{s}", text)


def items(task: str, split: str = "test") -> list[dict[str, Any]]:
    """The items of a task, the same every time: `id`, `cluster`, `query` and `choices` with `gold`, or with `target`.

    `text` is the sentence that a generated answer starts from. Raises UserError for an unknown task or split, and where
    a split yields too few different items.
    """
    if task not in TASKS or split not in SPLITS or (task, split) == ("culture", "dev"):
        known = ", ".join(TASKS)
        raise UserError(f"no items {task!r} of split {split!r}: choose test or dev of {known}; culture has test alone")
    if task == "culture":
        return _customs()
    made = {"dialect_id": _identify, "normalize": _normalize, "code_switch": _switch,
            "morphology": _morphology, "correction": _correction}[task]  # fmt: skip
    return _collect(task, split, made)


def _collect(task: str, split: str, made: Callable) -> list[dict[str, Any]]:
    """Items of different queries, in the order drawn."""
    rng, found, count = random.Random(f"dialect/{task}/{split}"), {}, SPLITS[split]
    for _ in range(count * _LIMIT):
        row = made(rng, split, len(found))
        if row is not None and row["query"] not in found:
            found[row["query"]] = {"id": f"{task}/{len(found):03d}", **row}
            if len(found) == count:
                return list(found.values())
    raise UserError(f"split {split} yields {len(found)} different items of {task}, {count} are needed: widen its table")


def _identify(rng: random.Random, split: str, number: int) -> dict[str, Any] | None:
    """A sentence that the three varieties say differently; the varieties take turns."""
    from llmini.pocket.dialects import VARIETIES, sentence

    item, variety = sentence(rng, split), VARIETIES[number % len(VARIETIES)]
    if len({item.of(name) for name in VARIETIES}) < len(VARIETIES):
        return None
    text = item.of(variety)
    return {"cluster": item.key, "query": ask_identify(text), "text": text, "target": LABELS[variety]}


def _normalize(rng: random.Random, split: str, _: int) -> dict[str, Any] | None:
    from llmini.pocket.dialects import sentence

    item = sentence(rng, split)
    if item.bahraini == item.msa:
        return None
    return {"cluster": item.key, "query": ask_normalize(item.bahraini), "text": item.bahraini, "target": item.msa}


def _switch(rng: random.Random, split: str, _: int) -> dict[str, Any]:
    from llmini.pocket.dialects import switched

    key, plain, mixed = switched(rng, split)
    return {"cluster": key, "query": ask_switch(plain), "text": plain, "target": mixed}


def _morphology(rng: random.Random, split: str, number: int) -> dict[str, Any] | None:
    from llmini.pocket.grammar import morphology

    item = morphology(rng, split)
    if len({item.answer, *item.options}) < 4:
        return None
    return {"cluster": item.key, "language": "ar", "query": item.prompt, "kind": item.kind,
            **_placed(item.answer, item.options, number, item.prompt)}  # fmt: skip


def _correction(rng: random.Random, split: str, _: int) -> dict[str, Any]:
    from llmini.pocket.grammar import correction

    item = correction(rng, split)
    given = item.prompt.partition(": ")[2]  # the request, a colon, the wrong sentence
    return {"cluster": item.key, "language": "ar", "query": item.prompt, "text": given, "target": item.answer,
            "kind": item.kind}  # fmt: skip


def _customs() -> list[dict[str, Any]]:
    """The customs that training states and never asks, each in standard Arabic and in Bahraini."""
    from llmini.pocket.dialects import customs

    found = []
    for custom in (custom for custom in customs() if custom.split == "test"):
        for wording, question in custom.question.items():
            found.append({"id": f"culture/{custom.key}/{wording}", "cluster": custom.key,
                          "query": ask_culture(question), "topic": custom.topic, "wording": wording,
                          **_placed(custom.answer, custom.options, len(found), question)})  # fmt: skip
    return found


def _placed(answer: str, wrong: tuple[str, ...], number: int, query: str) -> dict[str, Any]:
    """Four choices, the wrong ones ordered by hash; the right answer takes the places in turn."""
    choices, gold = ordered(list(wrong), "order", query), number % 4
    return {"choices": [*choices[:gold], answer, *choices[gold:]], "gold": gold}


def configuration(task: str, split: str = "test") -> str:
    """The lm-eval YAML of a task; its data file stands beside it."""
    generated = {"dialect_id": "identified", "code_switch": "mixed", "normalize": "rewritten",
                 "correction": "rewritten"}  # fmt: skip
    lines = [f"task: {_group(split)}_{task}", "dataset_path: json", "dataset_kwargs:", "  data_files:",
             f"    test: {task}.jsonl", "test_split: test", r'doc_to_text: "سؤال: {{query}}\nجواب:"']  # fmt: skip
    if task in generated:
        size = 8 if task == "dialect_id" else 40
        lines += ["output_type: generate_until", 'doc_to_target: "{{target}}"',
                  f"process_results: !function llmini.measure.dialect.{generated[task]}", "generation_kwargs:",
                  r'  until: ["\n"]', "  do_sample: false", f"  max_gen_toks: {size}"]  # fmt: skip
    else:
        lines += ["output_type: multiple_choice", 'doc_to_choice: "{{choices}}"', 'doc_to_target: "{{gold}}"']
    metrics = {"acc": "mean"}
    if task in generated:
        metrics = {"exact_match": "mean", "chrf": "chrf"} if generated[task] == "rewritten" else {"acc": "mean"}
        metrics |= {"script_failures": "mean"}
    lines += ["num_fewshot: 0", "metric_list:"]
    for metric, aggregation in metrics.items():
        better = "false" if metric == "script_failures" else "true"
        lines += [f"  - metric: {metric}", f"    aggregation: {aggregation}", f"    higher_is_better: {better}"]
    return "\n".join([*lines, "metadata:", "  version: 1.0"]) + "\n"


def _group(split: str) -> str:
    return "pocket_dialect" if split == "test" else f"pocket_dialect_{split}"


def files(split: str = "test") -> dict[str, str]:
    """Every file of a split as name -> text."""
    tasks = [task for task in TASKS if (task, split) != ("culture", "dev")]
    members = "".join(f"  - {_group(split)}_{task}\n" for task in tasks)
    found = {f"{_group(split)}.yaml": f"group: {_group(split)}\ntask:\n{members}metadata:\n  version: 1.0\n"}
    for task in tasks:
        found[f"{task}.yaml"] = configuration(task, split)
        found[f"{task}.jsonl"] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in items(task, split))
    return found


def write(folder: Path | None = None) -> Path:
    """Write the files of both splits, each whole or not at all, when all of them have been made."""
    folder = folder or settings.data("dialect", "tasks", "pocket")
    made = {folder / ("" if split == "test" else split) / name: text
            for split in SPLITS for name, text in files(split).items()}  # fmt: skip
    for path, text in made.items():
        write_atomic(path, lambda temporary, text=text: temporary.write_text(text, encoding="utf8"))
    return folder


if __name__ == "__main__":
    print(f"wrote {write()}")

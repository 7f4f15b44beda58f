"""The full tier's benchmarks of distillation: a registry, their questions, and tasks over the Bahrain Corpus.

The Bahrain Corpus (Abdulrahim et al., 2022, LREC, https://aclanthology.org/2022.lrec-1.251) is given by its authors on
request. The published study put 100 of its sentences to each of three tasks, prints neither the sentences nor the rule
that makes an answer right, and calls its figures upper bounds. The rules here are written down, and upper bounds too:
compare models by them with each other, not with the printed figures.
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from llmini.settings import UserError, data
from llmini.texts import normalise_arabic

if TYPE_CHECKING:
    from llmini.measure.tasks import Scores

CORPUS = "LLMINI_BAHRAIN_CORPUS"
"""Environment variable with the path of the user's copy, where no option gives it."""
ASK = "ask its authors (https://aclanthology.org/2022.lrec-1.251, University of Bahrain and CAMeL Lab, NYU Abu Dhabi)"
BAHRAIN = ("dialect_id", "normalize", "code_switch")
SENTENCES = 100  # of each task, as the study
DIALECTS = ("البحرينية", "المصرية", "الشامية", "المغربية", "الفصحى")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_ARABIC, _LATIN = re.compile("[\u0621-\u064a]+"), re.compile("[A-Za-z]{2,}")


def registry() -> dict[str, dict[str, Any]]:
    """The benchmarks of ``data/evaluation/full_kd.yaml`` by name."""
    return yaml.safe_load(data("evaluation", "full_kd.yaml").read_text(encoding="utf8"))


def public() -> list[str]:
    """Names of the benchmarks that the hub gives to anyone."""
    return [name for name, entry in registry().items() if not entry.get("local")]


def load(name: str, corpus: str | Path | None = None) -> dict[str, Any]:
    """The harness's loaded tasks of a benchmark, as ``evaluator.evaluate`` takes them.

    ``corpus``: the user's copy of the Bahrain Corpus, else ``$LLMINI_BAHRAIN_CORPUS``. Raises UserError for an unknown
    benchmark, questions that the hub does not give, or a corpus that is missing (it says where to ask) or too small.
    """
    from llmini.measure import tasks

    entry = _entry(name)
    folder = data("evaluation", "tasks") if entry.get("local") else tasks.harness_folder(entry["folder"])
    metadata = {"path": str(corpus)} if corpus is not None and entry.get("local") else None
    return tasks.read(entry["harness"], folder, metadata)


def questions(name: str, corpus: str | Path | None = None) -> list[str]:
    """Every question text of a benchmark, for the contamination check. Raises UserError as :func:`load` does."""
    fields, found = _entry(name)["fields"], []
    for task in load(name, corpus)["tasks"].values():
        documents = task.test_docs() if task.has_test_docs() else task.validation_docs()
        for row in documents:
            text = " ".join(str(row[field]) for field in fields if row.get(field))
            if not text:
                raise UserError(f"a question of {name} has none of the fields {', '.join(fields)}: mend full_kd.yaml")
            found.append(text)
    return found


def evaluate(model: Any, tokenizer: Any, name: str, *, corpus: str | Path | None = None, limit: int | None = None,
             stock: bool = False, batch_size: int | None = None) -> Scores:  # fmt: skip
    """Score a model on a benchmark of the registry; arguments and result as :func:`llmini.measure.tasks.evaluate`.

    The mean over several tasks weighs questions, as the harness's own for MMLU and ArabicMMLU does, except for
    metabench. ``details["cjk_failures"]`` counts answers with Chinese, Japanese or Korean letters. Raises UserError as
    :func:`load` does.
    """
    from lm_eval import evaluator

    from llmini.measure import outcomes, tasks

    entry, loaded = _entry(name), load(name, corpus)
    with tasks.quiet(), tasks.compiled_templates():
        lm = tasks.harness_model(model, tokenizer, stock, batch_size)
        result = evaluator.evaluate(lm, loaded, limit=limit, bootstrap_iters=0, log_samples=True,
                                    apply_chat_template=entry.get("chat", False))  # fmt: skip
    group = entry["harness"]
    if group not in loaded["group_map"]:  # a task alone is a group of one
        group, loaded = name, {**loaded, "group_map": {name: [group]}}
    items = outcomes.item_frame(result["samples"], loaded, group, entry["language"])
    rows = outcomes.task_rows(items, loaded, group, entry["language"])
    if "metabench" not in name:
        rows = [row for row in rows if row["task"] != "mean"]
        if len(rows) > 1:
            right = items["correct"].astype(float)
            stderr = float(right.std(ddof=1) / len(right) ** 0.5)
            rows.append({**rows[0], "metric": "acc", "task": "mean", "value": float(right.mean()), "stderr": stderr,
                         "n": len(right)})  # fmt: skip
    items, rows = items.assign(benchmark=name), [{**row, "benchmark": name} for row in rows]
    cjk = sum(int(sample.get("cjk", 0)) for part in result["samples"].values() for sample in part)
    return tasks.Scores(rows, items, {"scorer": type(lm).__name__, "cjk_failures": cjk})


def bahrain_rows(task: str, path: str | Path | None = None, seed: int = 0, **_: Any) -> Any:
    """A DatasetDict of :data:`SENTENCES` sentences for one of the tasks :data:`BAHRAIN`; the three share none.

    ``path`` (else ``$LLMINI_BAHRAIN_CORPUS``): a .txt file with one sentence a line, or .jsonl with ``text`` and, for
    sentences for contrast, ``dialect`` (one of :data:`DIALECTS`). Sentences of 4 to 40 words without Chinese, Japanese
    or Korean letters are used. Raises UserError when the file is missing, which says where to ask, or holds too little.
    """
    import datasets

    path = path or os.environ.get(CORPUS)
    if not path:
        raise UserError(f"the Bahrain Corpus is given on request: {ASK}, then set {CORPUS} to a .txt file of its "
                        "sentences, one a line")  # fmt: skip
    lines = _sentences(Path(path))
    if len(lines) < SENTENCES * len(BAHRAIN):
        raise UserError(f"{path} holds {len(lines)} sentences of 4 to 40 words, {SENTENCES * len(BAHRAIN)} are needed: "
                        "give more of the corpus")  # fmt: skip
    drawn = random.Random(seed).sample(lines, SENTENCES * len(BAHRAIN))
    start, rows = SENTENCES * BAHRAIN.index(task), []
    for number, (text, dialect) in enumerate(drawn[start : start + SENTENCES]):
        choices = random.Random(f"{seed}/{text}").sample(DIALECTS, len(DIALECTS))
        rows.append({"id": f"{task}/{number:03d}", "text": text, "choices": choices, "gold": choices.index(dialect)})
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(rows)})


def normalized(doc: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Whether an answer may be the sentence in standard Arabic: Arabic letters alone, half to twice its words, not the
    sentence itself."""
    answer = results[0].strip()
    count, wanted = len(answer.split()), len(doc["text"].split())
    passes = not _LATIN.search(answer) and wanted / 2 <= count <= 2 * wanted
    passes = passes and bool(_words(answer)) and _words(answer) != _words(doc["text"])
    return _outcome(answer, passes)


def switched(doc: dict[str, Any], results: list[str]) -> dict[str, int]:
    """Whether an answer may be the sentence with English in it: words of both scripts, one of them from the sentence.
    """
    answer = results[0].strip()
    passes = bool(_LATIN.search(answer)) and bool(set(_words(answer)) & set(_words(doc["text"])))
    return _outcome(answer, passes)


def _outcome(answer: str, passes: bool) -> dict[str, int]:
    cjk = bool(_CJK.search(answer))
    return {"exact_match": int(passes and not cjk), "cjk": int(cjk)}


def _words(text: str) -> list[str]:
    return _ARABIC.findall(normalise_arabic(text, letters=True))


def _entry(name: str) -> dict[str, Any]:
    known = registry()
    if name not in known:
        raise UserError(f"unknown benchmark {name!r} of the full tier: choose one of {', '.join(known)}")
    return known[name]


def _sentences(path: Path) -> list[tuple[str, str]]:
    """(sentence, dialect) of a file, each sentence once, in the order of the file."""
    if not path.is_file():
        raise UserError(f"{path}, named as the Bahrain Corpus, is not a file: {ASK}, then set {CORPUS} to a .txt file "
                        "of its sentences, one a line")  # fmt: skip
    try:
        lines = [line for line in path.read_text(encoding="utf8").splitlines() if line.strip()]
        rows = [json.loads(line) for line in lines] if path.suffix == ".jsonl" else [{"text": line} for line in lines]
        found = {" ".join(row["text"].split()): row.get("dialect", DIALECTS[0]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise UserError(
            f"{path} is neither UTF-8 text, one sentence a line, nor JSON lines with a field \"text\": {fault}"
        ) from fault
    strange = next((dialect for dialect in found.values() if dialect not in DIALECTS), None)
    if strange is not None:
        raise UserError(f"{path} names the dialect {strange!r}: choose one of {', '.join(DIALECTS)}")
    return [(text, dialect) for text, dialect in found.items()
            if 4 <= len(text.split()) <= 40 and not _CJK.search(text)]  # fmt: skip

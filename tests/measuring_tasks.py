"""A folder of lm-eval task YAML in the shape of the pocket benchmarks, with made-up questions."""

from __future__ import annotations

import json
import random
from pathlib import Path

ARABIC = ("humanities", "language", "other", "social_science", "stem")
ENGLISH = ("arc", "gsm8k", "hellaswag", "mmlu", "truthfulqa", "winogrande")


def write_tasks(folder: Path, sizes: int | dict[str, int] = 12) -> Path:
    """Groups pocket_arabicmmlu and pocket_metabench of ``sizes`` questions a task, gsm8k generative."""
    folder.mkdir(parents=True, exist_ok=True)
    size = (lambda task: sizes) if isinstance(sizes, int) else sizes.__getitem__
    for task in ARABIC:
        rows = [multiple_choice(task, i, "ar") for i in range(size(task))]
        write_one(folder, f"pocket_arabicmmlu_{task}", rows, "السؤال: {{question}}\\nالجواب:", ("acc",))
    for task in ENGLISH:
        name = f"pocket_metabench_{task}"
        if task == "gsm8k":
            write_generative(folder, name, [arithmetic(i) for i in range(size(task))])
            continue
        metrics = ("acc", "acc_norm") if task in ("arc", "hellaswag") else ("acc",)
        options = 2 if task == "winogrande" else 4
        rows = [multiple_choice(task, i, "en", options) for i in range(size(task))]
        write_one(folder, name, rows, "Question: {{question}}\\nAnswer:", metrics)
    for group, tasks in (("pocket_arabicmmlu", ARABIC), ("pocket_metabench", ENGLISH)):
        lines = [f"group: {group}", "task:", *(f"  - {group}_{task}" for task in tasks), "aggregate_metric_list:",
                 "  - metric: acc", f"    weight_by_size: {str(group == 'pocket_arabicmmlu').lower()}"]  # fmt: skip
        (folder / f"{group}.yaml").write_text("\n".join(lines) + "\n", encoding="utf8")
    return folder


def multiple_choice(task: str, i: int, language: str, options: int = 4) -> dict:
    draw = random.Random(f"{task}{i}")
    arabic, english = "مدينة شركة نهر جبل بنك مطار قلعة سوق", "town company river hill bank port fort market"
    words = (arabic if language == "ar" else english).split()
    question = " ".join(draw.choices(words, k=draw.randint(4, 12))) + "?"
    choices = [" ".join(draw.choices(words, k=draw.randint(1, 4))) + f" {j}" for j in range(options)]
    return {"id": f"{task}-{i}", "cluster": f"fact {i // 2}", "question": question, "choices": choices,
            "answer": draw.randrange(options)}  # fmt: skip


def arithmetic(i: int) -> dict:
    return {"id": f"gsm8k-{i}", "question": f"Ali has {i} dates and buys {i + 3} more. How many has he?",
            "answer": f"{i} + {i + 3} = {2 * i + 3}\n#### {2 * i + 3}"}  # fmt: skip


def write_one(folder: Path, name: str, rows: list[dict], text: str, metrics: tuple[str, ...]) -> None:
    write_rows(folder / f"{name}.jsonl", rows)
    lines = [f"task: {name}", "dataset_path: json", "dataset_kwargs:", "  data_files:", f"    test: {name}.jsonl",
             "test_split: test", "output_type: multiple_choice", f'doc_to_text: "{text}"', "doc_to_choice: choices",
             "doc_to_target: answer", "num_fewshot: 0", "metric_list:",
             *(f"  - metric: {m}\n    aggregation: mean\n    higher_is_better: true" for m in metrics)]  # fmt: skip
    (folder / f"{name}.yaml").write_text("\n".join(lines) + "\n", encoding="utf8")


def write_generative(folder: Path, name: str, rows: list[dict]) -> None:
    write_rows(folder / f"{name}.jsonl", rows)
    (folder / f"{name}.yaml").write_text(f"""task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {name}.jsonl
test_split: test
output_type: generate_until
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: answer
generation_kwargs:
  until: ["Question:"]
  do_sample: false
  max_gen_toks: 48
filter_list:
  - name: strict-match
    filter:
      - function: regex
        regex_pattern: "#### (\\\\-?[0-9\\\\.\\\\,]+)"
      - function: take_first
  - name: flexible-extract
    filter:
      - function: regex
        group_select: -1
        regex_pattern: "(-?[$0-9.,]{{2,}})|(-?[0-9]+)"
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
    ignore_punctuation: false
    regexes_to_ignore: [",", "\\\\$", "(?s).*#### ", "\\\\.$"]
""", encoding="utf8")


def write_rows(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")

"""Scores through lm-eval's harness: rows, items, groups, faults, on a folder of made-up tasks."""

import json
import os

import numpy as np
import pytest

from llmini.measure.outcomes import COLUMNS
from llmini.measure.tasks import evaluate, load
from llmini.settings import UserError
from measuring import make_model, make_tokenizer
from measuring_tasks import ARABIC, ENGLISH, write_tasks

SIZES = {**{task: 5 + i for i, task in enumerate(ARABIC)}, **dict.fromkeys(ENGLISH, 6), "winogrande": 12}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("tasks"), SIZES)


@pytest.fixture(scope="module")
def pair():
    return make_model(), make_tokenizer()


@pytest.fixture(scope="module")
def scores(folder, pair):
    return {name: evaluate(*pair, name, folder=folder) for name in ("arabicmmlu", "metabench")}


def test_rows_are_named_and_weighted_as_the_contract_says(scores):
    rows = scores["arabicmmlu"].rows
    assert [row["task"] for row in rows] == [*ARABIC, "mean"]
    assert {row["metric"] for row in rows} == {"acc"} and {row["language"] for row in rows} == {"ar"}
    assert {row["benchmark"] for row in rows} == {"pocket_arabicmmlu"}
    items = scores["arabicmmlu"].items
    assert rows[-1]["value"] == pytest.approx(items["correct"].mean()) and rows[-1]["n"] == len(items) == 35

    rows = scores["metabench"].rows
    assert [(row["task"], row["metric"]) for row in rows] == [
        ("arc", "acc"), ("arc", "acc_norm"), ("gsm8k", "exact_match"), ("hellaswag", "acc"), ("hellaswag", "acc_norm"),
        ("mmlu", "acc"), ("truthfulqa", "acc"), ("winogrande", "acc"), ("mean", "acc")]  # fmt: skip
    parts = [row for row in rows[:-1] if row["metric"] == "acc"]
    assert rows[-1]["value"] == pytest.approx(np.mean([row["value"] for row in parts]))  # 12 winogrande items weigh one
    assert rows[-1]["stderr"] == pytest.approx(np.sqrt(sum(row["stderr"] ** 2 for row in parts)) / 5)
    assert rows[-1]["n"] == 36


def test_items_are_stable_typed_and_agree_with_their_task(scores):
    for name, found in scores.items():
        items = found.items
        assert list(items.columns) == COLUMNS
        assert items["correct"].dtype == bool and str(items["choice"].dtype) == "Int64"
        assert items.loc[0, "item_id"] == f"{items.loc[0, 'task']}-0" and items.loc[1, "cluster"] == "fact 0"
        chosen = items[items["task"] != "gsm8k"]
        assert chosen["choice"].notna().all() and (chosen["gold_nll"] > 0).all()
        assert items["correct_norm"].notna().sum() == (0 if name == "arabicmmlu" else 12)
    gsm8k = scores["metabench"].items.query("task == 'gsm8k'")
    assert gsm8k["choice"].isna().all() and gsm8k["gold_nll"].isna().all()


def test_the_harness_itself_reports_the_same_numbers(folder, pair, scores):
    """lm-eval's own table: task means, their standard errors, and the two kinds of group mean."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model, tokenizer = pair
    here = os.getcwd()
    os.chdir(folder)  # the plain harness finds relative data files from here only
    try:
        table = simple_evaluate(model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=7),
                                tasks=["pocket_arabicmmlu", "pocket_metabench"], limit=None,
                                task_manager=TaskManager(include_path=str(folder), include_defaults=False))  # fmt: skip
    finally:
        os.chdir(here)
    for found in scores.values():
        for row in found.rows:
            name = row["benchmark"] + ("" if row["task"] == "mean" else f"_{row['task']}")
            suffix = "flexible-extract" if row["task"] == "gsm8k" else "none"
            theirs = table["results"][name]
            assert row["value"] == pytest.approx(theirs[f"{row['metric']},{suffix}"]), row
            if row["task"] != "mean" or "metabench" in name:  # the other pools variances, which ours approaches
                assert row["stderr"] == pytest.approx(theirs[f"{row['metric']}_stderr,{suffix}"]), row
    items = scores["metabench"].items.set_index(["task", "item_id"])
    for sample in table["samples"]["pocket_metabench_mmlu"]:
        item = items.loc[("mmlu", sample["doc"]["id"])]
        likely = [pair[0] for pair in sample["filtered_resps"]]
        assert item["choice"] == int(np.argmax(likely)) and item["correct"] == bool(sample["acc"])
        assert item["gold_nll"] == pytest.approx(-likely[sample["target"]], abs=1e-3)


def test_it_works_from_any_directory_and_takes_the_first_items(folder, pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = evaluate(*pair, "pocket_arabicmmlu", folder=folder, limit=2)
    assert few.items["item_id"].tolist() == [f"{task}-{i}" for task in ARABIC for i in range(2)]
    assert few.rows[-1]["n"] == 10 and few.details["seconds"] > 0


def test_an_edited_question_is_seen(pair, tmp_path):
    write_tasks(tmp_path, 3)
    before = evaluate(*pair, "arabicmmlu", folder=tmp_path).items
    file = tmp_path / "pocket_arabicmmlu_stem.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps({**row, "answer": (row["answer"] + 1) % 4}) + "\n" for row in rows))
    after = evaluate(*pair, "arabicmmlu", folder=tmp_path).items
    assert (before["choice"] == after["choice"]).all()
    assert (before["gold_nll"] != after["gold_nll"]).sum() == 3


def test_two_answers_and_labels_in_letters_are_understood(pair, tmp_path):
    """Winogrande's shape (the option sits in the context) and a label given as text."""
    rows = [{"id": f"w{i}", "stem": f"The river of town {i} is", "options": ["long", "short"], "right": i % 2}
            for i in range(4)]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "w.jsonl").write_text(text)
    (tmp_path / "l.jsonl").write_text(text)
    shared = ("dataset_path: json\ntest_split: test\noutput_type: multiple_choice\nmetric_list:\n  - metric: acc\n"
              "    aggregation: mean\n    higher_is_better: true\n")  # fmt: skip
    (tmp_path / "w.yaml").write_text(
        f"task: pair_winogrande\ndataset_kwargs: {{data_files: {{test: w.jsonl}}}}\n{shared}doc_to_text: right\n"
        "doc_to_target: ' and wide'\ndoc_to_choice: '{{[stem ~ \" \" ~ options[0], stem ~ \" \" ~ options[1]]}}'\n"
    )
    (tmp_path / "l.yaml").write_text(
        f"task: pair_letters\ndataset_kwargs: {{data_files: {{test: l.jsonl}}}}\n{shared}doc_to_text: '{{{{stem}}}}'\n"
        "doc_to_target: '{{options[right]}}'\ndoc_to_choice: options\n"
    )
    (tmp_path / "g.yaml").write_text("group: pair\ntask: [pair_winogrande, pair_letters]\n")
    found = evaluate(*pair, "pair", folder=tmp_path)
    assert [row["task"] for row in found.rows] == ["winogrande", "letters", "mean"]
    items = found.items
    assert (items["correct"] == (items["choice"] == items["item_id"].str[1].astype(int) % 2)).all()
    assert (items["gold_nll"] > 0).all()


def test_faults_name_what_is_wrong(folder, pair, tmp_path):
    with pytest.raises(UserError, match="pocket_arabicmmlu"):
        evaluate(*pair, "mmlu", folder=folder)
    with pytest.raises(UserError, match="holds none"):
        evaluate(*pair, "arabicmmlu", folder=tmp_path)
    with pytest.raises(UserError, match="arabicmmlu"):
        evaluate(*pair, "nothing", tier="full")
    write_tasks(tmp_path, 3)
    (tmp_path / "pocket_arabicmmlu_stem.jsonl").unlink()
    with pytest.raises(UserError, match="stem"):
        evaluate(*pair, "arabicmmlu", folder=tmp_path)
    file = tmp_path / "pocket_arabicmmlu_stem.jsonl"
    file.write_text((tmp_path / "pocket_arabicmmlu_other.jsonl").read_text() * 2)
    with pytest.raises(UserError, match="two questions"):
        evaluate(*pair, "arabicmmlu", folder=tmp_path)


def test_the_full_tier_maps_forty_subjects_to_five_tasks(monkeypatch, pair):
    """The hub's ArabicMMLU through lm-eval's own YAML, with its columns filled by rows of ours: no network here."""
    import datasets

    def rows(path, name, **_):
        assert path == "MBZUAI/ArabicMMLU"
        row = {"Question": f"ما هو {name}؟", "Context": "", "Answer Key": "B", "Subject": name, "Group": "STEM",
               "Level": "High", "Country": "", "is_few_shot": 0,
               **{f"Option {i}": f"خيار {i}" for i in range(1, 5)}, "Option 5": None}  # fmt: skip
        return datasets.DatasetDict({split: datasets.Dataset.from_list([row, row]) for split in ("test", "dev")})

    monkeypatch.setattr(datasets, "load_dataset", rows)
    _, loaded = load("arabicmmlu", "full")
    assert len(loaded["tasks"]) == 40
    found = evaluate(*pair, "pocket_arabicmmlu", tier="full", limit=1)
    assert sorted(row["task"] for row in found.rows[:-1]) == sorted(ARABIC)
    assert found.rows[-1]["n"] == 40 and found.items["item_id"].is_unique
    assert "arabicmmlu_history_high_school/0" in set(found.items["item_id"])


def test_the_full_tier_finds_metabench_in_the_harness():
    import lm_eval
    from lm_eval.tasks import TaskManager

    folder = os.path.join(os.path.dirname(lm_eval.__file__), "tasks", "metabench")
    manager = TaskManager(include_path=folder, include_defaults=False)
    children = manager.task_index["metabench"].cfg["task"]
    assert sorted(name.removeprefix("metabench_") for name in children) == sorted(ENGLISH)

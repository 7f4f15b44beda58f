"""The pocket benchmarks: committed files are what the generator writes, and lm-eval loads them."""

from __future__ import annotations

import contextlib

import pytest

from llmini import settings
from llmini.pocket import fundamentals, tasks


@pytest.mark.parametrize("split", ["test", "dev"])
def test_committed_files_are_the_generated_ones(split):
    folder = settings.data("pocket", "tasks") if split == "test" else settings.data("pocket", "tasks", split)
    made = tasks.files(split) | fundamentals.files(split)
    for name, text in made.items():
        assert (folder / name).read_bytes() == text.encode(), name
    assert {path.name for path in folder.iterdir() if path.is_file()} == set(made)


@pytest.mark.parametrize("task", [*tasks.ARABIC, *tasks.ENGLISH])
def test_items(task):
    rows = tasks.items(task, "test")
    assert len(rows) == tasks.COUNT and len({row["id"] for row in rows}) == len(rows)
    assert len({row["query"] for row in rows}) == len(rows)
    if task != "hellaswag":  # its clusters are places in a chain, which both splits ask about
        assert not {row["cluster"] for row in rows} & {row["cluster"] for row in tasks.items(task, "dev")}
    for row in rows:
        if task == "gsm8k":
            assert row["answer"].endswith(f"#### {row['number']}")
            continue
        assert len(row["choices"]) == len(set(row["choices"])) == (2 if task == "winogrande" else 4)
        assert 0 <= row["gold"] < len(row["choices"])
    if task != "gsm8k":  # the right answer has no favourite place
        counts = [sum(row["gold"] == place for row in rows) for place in range(len(rows[0]["choices"]))]
        assert min(counts) > 0.6 * len(rows) / len(counts)


def test_languages_share_facts_and_wrong_answers():
    arabic = {row["cluster"] for task in tasks.ARABIC for row in tasks.items(task, "test")}
    english = {row["cluster"] for task in ("arc", "mmlu") for row in tasks.items(task, "test")}
    assert len(english & arabic) > 0.8 * len(english)
    one = {(row["cluster"], row["id"].rsplit("/", 1)[1]): row for row in tasks.items("stem", "test")}
    for row in tasks.items("arc", "test"):
        twin = one[(row["cluster"], row["id"].rsplit("/", 1)[1])]
        assert len(twin["choices"]) == 4


def test_misconceptions_offer_the_belief():
    from llmini.pocket.facts import facts

    beliefs = {fact.id.replace("belief", "truth"): fact.value[0] for fact in facts() if fact.relation == "herb.belief"}
    for row in tasks.items("truthfulqa", "test"):
        assert beliefs[row["cluster"]] in row["choices"] and row["choices"][row["gold"]] != beliefs[row["cluster"]]


def test_harness_loads_the_groups():
    from lm_eval.tasks import TaskManager

    folder = settings.data("pocket", "tasks")
    with contextlib.chdir(folder):
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        loaded = manager.load(["pocket_arabicmmlu", "pocket_metabench"])
    found = loaded["tasks"]
    assert set(found) == {f"pocket_{task}" for task in (*tasks.ARABIC, *tasks.ENGLISH)}
    arc = found["pocket_arc"]
    document = next(iter(arc.test_docs()))
    assert arc.doc_to_text(document) == f"Question: {document['query']}\nAnswer:"
    assert arc.doc_to_choice(document) == document["choices"]

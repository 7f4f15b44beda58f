"""The fundamentals tasks: committed files are the generated ones, items are sound, both tiers load in lm-eval."""

from __future__ import annotations

import contextlib
import random
from collections import Counter

import datasets
import pytest

from llmini import settings
from llmini.measure import fundamentals as full
from llmini.pocket import fundamentals as pocket
from llmini.pocket.grammar_errors import RULES, SPELLING
from llmini.settings import UserError


@pytest.mark.parametrize("split", ["test", "dev"])
def test_committed_files_are_the_generated_ones(split):
    folder = settings.data("pocket", "tasks") if split == "test" else settings.data("pocket", "tasks", split)
    for name, text in pocket.files(split).items():
        assert (folder / name).read_bytes() == text.encode(), name


def test_files_are_written_where_asked(tmp_path):
    pocket.write(tmp_path)
    assert {path.name for path in tmp_path.rglob("*.*")} == {
        name for split in ("dev", "test") for name in pocket.files(split)}  # fmt: skip
    assert (tmp_path / "dev" / "gec_dev.jsonl").read_text(encoding="utf8") == pocket.files("dev")["gec_dev.jsonl"]


@pytest.mark.parametrize("split", ["dev", "test"])
@pytest.mark.parametrize("task", pocket.TASKS)
def test_items(task, split):
    rows = pocket.items(task, split)
    assert len(rows) == pocket.COUNT == len({row["id"] for row in rows})
    for row in rows:
        assert list(row) == ["id", "cluster", "query", "choices", "gold", "kind"]
        assert len(set(row["choices"])) == 4 and 0 <= row["gold"] < 4
    places = Counter(row["gold"] for row in rows)
    assert min(places.values()) > 0.6 * len(rows) / 4  # the right answer has no favourite place
    other = pocket.items(task, "test" if split == "dev" else "dev")
    field = "query" if task == "punctuation" else "cluster"
    assert not {row[field] for row in rows} & {row[field] for row in other}
    assert len({row[field] for row in rows}) == len(rows)


def test_punctuation_items():
    for split in ("dev", "test"):
        rows = pocket.items("punctuation", split)
        assert Counter(row["kind"] for row in rows) == dict.fromkeys(pocket.MARKS, pocket.COUNT // 4)
        for row in rows:
            assert {choice[0] for choice in row["choices"]} == set(pocket.MARKS.values())
            assert len({choice[1:] for choice in row["choices"]}) == 1  # equally long, the mark alone differs
            assert row["choices"][row["gold"]][0] == pocket.MARKS[row["kind"]]
            assert row["query"][-1] not in pocket.MARKS.values() and "{" not in row["query"] + row["choices"][0]


def test_gec_items():
    for split in ("dev", "test"):
        rows = pocket.items("gec", split)
        kinds = Counter(kind for row in rows for kind in row["kind"].split())
        assert set(kinds) <= set(RULES) and len(kinds) >= 8
        assert sum(kinds[kind] for kind in SPELLING) < 0.6 * sum(kinds.values())
        for row in rows:
            right = row["choices"][row["gold"]]
            wrong = [choice for choice in row["choices"] if choice != right]
            assert right == row["cluster"] and not set(row["kind"].split()) <= set(SPELLING)
            for choice in wrong:
                pairs = zip(right.split(), choice.split(), strict=True)
                assert sum(one != other for one, other in pairs) == 1
            lengths = [pocket.tokens(choice) - pocket.tokens(right) for choice in wrong]
            assert max(map(abs, lengths)) <= 1 and min(lengths) <= 0


def test_unknown_task_or_split():
    for arguments in (("grammar", "dev"), ("gec", "train")):
        with pytest.raises(ValueError, match="no items"):
            pocket.items(*arguments)


def test_harness_loads_the_pocket_group():
    from lm_eval.tasks import TaskManager

    folder = settings.data("pocket", "tasks")
    with contextlib.chdir(folder):
        loaded = TaskManager(include_path=str(folder), include_defaults=False).load([pocket.NAME])["tasks"]
        assert set(loaded) == {"pocket_punctuation", "pocket_gec"}
        task = loaded["pocket_punctuation"]
        row = next(iter(task.test_docs()))
    requests = task.construct_requests(row, task.doc_to_text(row))
    assert [request.args for request in requests] == [(row["query"], choice) for choice in row["choices"]]


SENTENCES = [
    "وصلت الطالبة إلى الجامعة الأمريكية في الساعة الثالثة.", "استمرت المفاوضات ثلاثة أيام دون نتيجة أو اتفاق.",
    "لم يكن هذا القرار سهلًا، لكنه كان ضروريًا للأمن.", "يؤدي الجفاف إلى خسائر كبيرة في الزراعة كل عام.",
    "هل تعرف أين يقع المستشفى الجديد؟", "سأل المدير: متى تنتهي من الكتابة؟",
    "قالت الطبيبة إن المريض بخير: لا خوف عليه.",
    "تتكون اللجنة من أربعة أعضاء: رئيس ونائبه وخبيران.",
]  # fmt: skip
NOISE = ["- Hello there, مرحبا", "ان هذا القرار الى اللجنه مهم جدا.", "نعم.", "ماذا؟..",
         "سوف يكون ذلك مفيد كلمه قصيره."]  # fmt: skip


@pytest.fixture
def opus(monkeypatch):
    """A stand-in with the columns of OPUS-100's test split: the sentences above beside texts of the pocket world."""
    texts = SENTENCES + NOISE + pocket.sentences("dev")

    def rows(repository, **options):
        assert (repository, options) == (full.DATASET, {"name": "ar-en", "split": "test"})
        kind = datasets.Features({"translation": datasets.Translation(languages=["ar", "en"])})
        return datasets.Dataset.from_list([{"translation": {"ar": text, "en": ""}} for text in texts], features=kind)

    monkeypatch.setattr(full, "hub_rows", rows)
    return texts


def test_sentences_of_the_full_tier():
    mended = ["- أين الكتاب الأزرق اليوم ؟", "شكراً لك أيها الصديق الكريم."]
    kept = full.sentences([*SENTENCES, *NOISE, SENTENCES[0], *mended])
    assert kept == [*SENTENCES, "أين الكتاب الأزرق اليوم؟", "شكرًا لك أيها الصديق الكريم."]


def test_places_prefer_the_rarest_mark():
    found = full.places(SENTENCES)
    assert {text: mark for _, mark, _, text in found} == dict(
        zip(SENTENCES, [".", ".", "،", ".", "؟", "؟", ":", ":"], strict=True))  # fmt: skip
    assert found[2][:3] == ("لم يكن هذا القرار سهلًا", "،", "لكنه كان ضروريًا للأمن.")


def test_rows_of_the_full_tier(opus):
    for task in pocket.TASKS:
        rows = full.opus_rows(task)["test"]
        assert len(rows) >= full.LEAST and rows.to_list() == full.opus_rows(task)["test"].to_list()
        assert len({row["id"] for row in rows}) == len(rows)
        for row in rows:
            assert len(set(row["choices"])) == 4 and 0 <= row["gold"] < 4
            assert not any(noise in row["cluster"] for noise in NOISE)
            if task == "gec":
                right = row["choices"][row["gold"]]
                assert right in opus and max(abs(len(choice) - len(right)) for choice in row["choices"]) <= 1
    assert max(Counter(row["kind"] for row in full.opus_rows("punctuation")["test"]).values()) <= full.EACH


def test_faults_of_the_full_tier(opus, monkeypatch):
    with pytest.raises(UserError, match="no task 'spelling'"):
        full.opus_rows("spelling")
    few = [{"translation": {"ar": text, "en": ""}} for text in SENTENCES]
    monkeypatch.setattr(full, "hub_rows", lambda *_, **__: few)
    with pytest.raises(UserError, match="40 are needed"):
        full.opus_rows("gec")


def test_harness_loads_the_full_group(opus):
    from lm_eval.tasks import TaskManager

    folder = settings.data("evaluation", "tasks")
    loaded = TaskManager(include_path=str(folder), include_defaults=False).load(["arabic_fundamentals"])["tasks"]
    assert set(loaded) == {"arabic_fundamentals_punctuation", "arabic_fundamentals_gec"}
    task = loaded["arabic_fundamentals_gec"]
    row = task.test_docs()[0]
    requests = task.construct_requests(row, task.doc_to_text(row))
    assert [request.args for request in requests] == [("", choice) for choice in row["choices"]]


@pytest.mark.slow
def test_dense_models_are_neither_at_chance_nor_perfect():
    from llmini import models
    from llmini.measure import tasks

    model, tokenizer = models.load("qwen2_5_7b_instruct", "pocket")
    scores = tasks.evaluate(model, tokenizer, f"{pocket.NAME}_dev", folder=settings.data("pocket", "tasks", "dev"))
    found = {row["task"]: row["value"] for row in scores.rows}
    assert set(found) == {"punctuation", "gec", "mean"} and all(0.45 < value < 0.92 for value in found.values())


def test_errors_are_drawn_by_the_seed():
    text = pocket.sentences("dev")[:40]
    made = [pocket.gec(random.Random(seed), text, 20, len, 1) for seed in (0, 0, 1)]
    assert made[0] == made[1] != made[2]

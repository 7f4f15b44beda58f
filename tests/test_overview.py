"""The notebooks' own table, figure and answer, from records made for the test."""

import dataclasses

import numpy
import pandas
import pytest

from llmini import grid
from llmini.report import overview
from llmini.settings import UserError

STDERR = 0.01  # of a KL to dense


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    found = grid.plan("pocket", "prune", "allam_7b", "wanda", sparsity="0.5,0.7")
    rng = numpy.random.default_rng(0)
    for place, run in enumerate(found):
        record = run.record()
        for code, benchmark in (("ar", "pocket_arabicmmlu"), ("en", "pocket_metabench")):
            loss = 0.15 * place * (code == "ar")
            task = "stem" if code == "ar" else "arc"
            right = rng.random(400) < 0.8 - loss
            record.add("acc", right.mean(), benchmark=benchmark, task="mean", language=code, n=400)
            record.add("perplexity", 10 + place, benchmark=f"world_{code}", language=code)
            if place:
                record.add("kl_to_dense", 0.1 * place, benchmark=f"world_{code}", language=code, stderr=STDERR)
            record.add_items(pandas.DataFrame({
                "benchmark": benchmark, "task": task, "language": code, "correct": right,
                "item_id": [f"{task}-{i}" for i in range(400)], "cluster": [f"{i}" for i in range(400)],
            }))  # fmt: skip
        record.add("size_packed", 8e6 / (1 + place), unit="bytes")
        record.add("size_disk", 8e6, unit="bytes")
        record.write(run.folder)
    return found


def test_table_orders_and_names(runs):
    shown = overview.table(overview.results("pocket", runs))
    text = repr(shown)
    assert text.index("Dense") < text.index("Wanda, 50 %") < text.index("Wanda, 70 %")
    assert "ALLaM-class" in text and "pocket tier" in text


def test_answer_comes_from_the_numbers(runs):
    shown = overview.answer(overview.results("pocket", runs))
    assert "closest to the dense model: in both languages Wanda, 50 %;" in shown.text
    assert "farthest from it: in both languages Wanda, 70 %." in shown.text
    assert "الأبعد عنه: <bdi>Wanda, 70 %</bdi> في اللغتين" in shown.html
    assert "2 lost more of their Arabic and 0 more of their English" in shown.text
    assert 'dir="rtl"' in shown.html and "2 من 2" in shown.html


def test_no_run_is_called_farthest_whose_interval_meets_the_next(runs):
    """As with magnitude and Wanda at 50 %: apart in one language, not in the other."""
    found = overview.results("pocket", runs)
    cells = {key: cell._replace(stderr=0.2) if key[1] == "kl_to_dense" and key[-1] == "en" else cell
             for key, cell in found.cells.items()}  # fmt: skip
    text = overview.answer(dataclasses.replace(found, cells=cells)).text
    assert "farthest from it: in Arabic Wanda, 70 %, in English cannot be told" in text
    assert "Wanda, 50 %: Arabic" in text and "Wanda, 70 %: Arabic" in text


def test_one_run_alone_is_neither_closest_nor_farthest(runs):
    text = overview.answer(overview.results("pocket", runs[:2])).text
    assert text.startswith("Accuracy against dense: Wanda: Arabic") and "losest" not in text


def test_figure_saves(runs, tmp_path):
    from llmini.report import style

    picture = style.save(overview.figure(overview.results("pocket", runs)), tmp_path, "overview")
    assert picture.png[:4] == b"\x89PNG"


def test_figure_has_both_languages(runs):
    figure = overview.figure(overview.results("pocket", runs))
    labels = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert labels == ["Arabic · العربية", "English · الإنجليزية"]


def test_a_missing_record_is_named(runs):
    (runs[1].folder / "record.json").unlink()
    with pytest.raises(UserError, match=r"wanda-50/record.json is missing"):
        overview.results("pocket", runs)


def test_nothing_but_the_baseline(runs):
    assert "Nothing was measured" in overview.answer(overview.results("pocket", runs[:1])).text

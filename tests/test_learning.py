"""What the distillation notebooks call, over records and training logs as the runs leave them."""

import json
import re

import pandas
import pytest
import torch
from matplotlib.text import Text

from llmini.report import display, learning, learning_curves, learning_paired, learning_runs, style
from llmini.report.learning_runs import plain
from llmini.settings import UserError
from llmini.train.cache import Cache, Shard, Writer, digest
from llmini.train.prompts import Prompt
from llmini.train.recipes import recipe
from reporting import STAMP
from reporting_kd import STUDENT, results, runs, tables
from test_tables import Grid

MAIN = f"pocket-kd-{STUDENT}"


@pytest.fixture(scope="module")
def made():
    rows, items = tables(core=True, items_per_task=12, pairs=60)
    return rows, items, {run.run_id: run for run in runs(core=True)}


@pytest.fixture
def written(made, tmp_path, monkeypatch):
    """The core's runs with their records, and the log of their training, under a root of the test's own."""
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    return write(*made)


def write(rows, items, found):
    keys = ("run_id", "tier", "family", "model", "variant", "method")
    for name, part in rows.groupby("run_id"):
        run, head = found[name], part.iloc[0]
        run.folder.mkdir(parents=True)
        own = part[["benchmark", "task", "language", "metric", "value", "unit", "stderr", "n"]]
        body = {key: str(head[key]) for key in keys} | {"params": run.options, "provenance": STAMP}
        body["rows"] = json.loads(own.to_json(orient="records"))
        (run.folder / "record.json").write_text(json.dumps(body))
        items[items["run_id"] == name].to_parquet(run.folder / "items.parquet")
        if run.method not in ("base", "int4") and not run.part:
            (run.folder / "checkpoint").mkdir()
            (run.folder / "checkpoint" / "training.json").write_text(json.dumps({"curve": curve(run)}))
    return found


def curve(run):
    """A log as train/distill.py writes it: 90 steps of falling losses."""
    kd = run.method in ("token_kd", "selectkd")
    rows = []
    for step in range(1, 91):
        row = {"step": step, "epoch": step / 30, "loss": 3 / step**0.5, "ce": 2.5 / step**0.5, "tokens": 400,
               "kept": 400 - 150 * (run.method == "selectkd"), "tokens_ar": 250, "kept_ar": 250, "tokens_en": 150,
               "kept_en": 150}  # fmt: skip
        row |= {"kl": 1 / step**0.5} if kd else {}
        row |= {"kept_ar": 130, "kept_en": 120} if run.method == "selectkd" else {}
        rows.append(row)
    return rows


def split(found, behaviour):
    return [run for run in found.values() if bool(run.part) == behaviour and run.method != "int4"]


def test_the_plan_says_where_each_run_starts_and_what_it_learns(made):
    text = repr(learning.plan(split(made[2], False)))
    told = recipe("pocket", "token_kd")
    numbers = (told.learning_rate, told.epochs, told.batch_size, told.alpha, told.temperature)
    settings = " +".join(re.escape(plain(number)) for number in numbers)
    assert re.search(rf"token_kd-s1 +seq_kd-s1 +teacher answers +{settings} +–", text)
    theta = plain(recipe("pocket", "selectkd").theta)
    assert re.search(rf"selectkd +token_kd +teacher answers .* confidence +{theta}", text)
    assert re.search(r"-base +the model as it is +– ", text) and "reference answers" in text


def test_the_plan_of_ablations_and_presets():
    text = repr(learning.plan(split({run.run_id: run for run in runs()}, False)))
    assert re.search(r"selectkd-random-share0.5 +token_kd .* random +– +0.5", text)
    assert re.search(r"sft_kd-as_written +base +teacher answers", text)


def test_scores_of_students_stand_against_their_control(written):
    found = learning.results("pocket", split(written, False))
    shown = learning.scores(found)
    assert len(set(Grid(shown.html).widths)) == 1 and not re.search(r"\bnan\b", shown.html)
    assert "SFT control, 2 stages, seed 1" in shown.text and "Qwen2.5-7B-class" in shown.text
    line = next(line for line in shown.text.splitlines() if line.startswith("Seq-KD, seed 0"))
    assert re.search(r"[+−]\d+\.\d \([+−]?\d+\.\d to [+−]?\d+\.\d\)", line)
    base = next(line for line in shown.text.splitlines() if line.startswith("Base"))
    assert "–" in base and "seed" not in base


def mark(run, fingerprint):
    """Note in a run's record from what code and data it was made."""
    path = run.folder / "record.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps(body | {"provenance": {**STAMP, "fingerprint": fingerprint}}))


def row(shown, name):
    return next(line for line in shown.text.splitlines() if line.startswith(f"{name} "))


def test_each_stage_stands_against_the_control_of_its_own_step_count(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    rows, items = tables(items_per_task=12, pairs=20)
    every = write(rows, items, {run.run_id: run for run in runs()})
    for run in every.values():
        mark(run, "today")
    core = split({run.run_id: run for run in runs(core=True)}, False)
    seed = [run for run in core if run.options.get("seed", 0) == 0]
    found = learning.results("pocket", seed)
    assert set(found.runs.index) - {run.run_id for run in seed} == {f"{MAIN}-sft_control_3", f"{MAIN}-sft_control_4"}
    shown = learning.scores(found)
    for stage, count in (("Seq-KD", 2), ("Token-KD", 3), ("SelecTKD", 4)):
        assert row(shown, stage).endswith(f"SFT control, {count} stages")
    pair = [(f"{MAIN}-sft_control_4", f"{MAIN}-selectkd")]
    assert display.span(learning_paired.scores(found, pair, "ar"), sign=True) in row(shown, "SelecTKD")
    assert "SelecTKD" in learning.answer(found).text.split("for as many steps")[1]
    # Of other code or data, a control is no control; the longest shorter one then stands in, and the row says so.
    mark(every[f"{MAIN}-sft_control_4"], "yesterday")
    shown = learning.scores(learning.results("pocket", seed))
    assert row(shown, "SelecTKD").endswith("SFT control, 3 stages (fewer steps)")


def test_a_preset_is_not_held_against_a_control_of_other_settings():
    found = results()
    line = next(line for line in learning_runs.lines(found) if line.preset == "as_written" and line.method == "seq_kd")
    assert learning_runs.control(found, line) is None


def test_scores_of_a_teacher_alone(written):
    found = learning.results("pocket", [run for run in written.values() if run.method == "int4"])
    shown = learning.scores(found)
    assert "Teacher, INT4 (NF4)" in shown.text and "Qwen2.5-32B-class" in shown.text
    assert "control" not in shown.text and "KL" not in shown.text.splitlines()[1]


def test_a_missing_record_is_named(written):
    run = split(written, False)[1]
    (run.folder / "record.json").unlink()
    with pytest.raises(UserError, match=r"record.json is missing"):
        learning.results("pocket", [run])


def test_curves_have_a_line_a_run_and_five_panels(written):
    figure = learning.curves(split(written, False))
    loss, ce, kl, arabic, english, legend = figure.axes
    assert len(loss.lines) == len(ce.lines) == 15 and len(kl.lines) == 6  # base has none; KL of two stages
    shares = {line.get_label(): list(line.get_ydata()) for line in arabic.lines}
    assert all(value == pytest.approx(52) for value in shares["SelecTKD, seed 0"])
    assert all(value == pytest.approx(100) for value in shares["SFT, seed 1"])
    assert len(english.lines) == 15
    names = [text.get_text() for text in legend.get_legend().get_texts()]
    assert names == ["SFT", "Seq-KD", "Token-KD", "SelecTKD", "SFT control, 2 stages"]
    assert max(len(line.get_xdata()) for line in loss.lines) <= learning_curves.POINTS
    assert all(max(axes.get_title()) > "\u0621" for axes in (loss, ce, kl, arabic, english))


def test_stretches_of_a_curve_weigh_tokens():
    rows = [{"step": 1, "ce": 1.0, "kept": 30, "kept_ar": 0, "tokens_ar": 10},
            {"step": 2, "ce": 5.0, "kept": 10, "kept_ar": 20, "tokens_ar": 30}]  # fmt: skip
    assert learning_curves.smooth(rows * 40, "ce")[1] == [pytest.approx(2.0)] * 40
    assert learning_curves.smooth(rows * 40, "ar")[1] == [pytest.approx(50.0)] * 40
    assert learning_curves.smooth(rows, "kl") == ([], []) and learning_curves.smooth([], "ce") == ([], [])


def test_curves_without_logs_say_so(made, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    words = [text.get_text() for text in learning.curves(split(made[2], False)).findobj(Text)]
    assert sum("not measured" in text for text in words) == 5


def test_a_notebook_shows_figures_as_pictures(made, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    figure = learning.curves(split(made[2], False))
    png, size = figure._repr_png_()
    assert png[:4] == b"\x89PNG" and size["width"] == round(96 * 9.6)
    assert size["alt"].startswith(figure.get_suptitle().split("\n")[0]) and figure.caption in size["alt"]
    assert png == style.save(figure, tmp_path, "curves").png


def test_answer_and_behaviour_of_what_was_run(written):
    found = learning.results("pocket", split(written, True))
    shown = learning.behaviour_table(found)
    assert shown.html.count("<table") == 2 and not re.search(r"\bnan\b", shown.html)
    assert "SelecTKD, seed 2" in shown.text and "60 questions" in shown.text
    answer = learning.behaviour_answer(found)
    assert "of 16 models" in answer.text and "On 30 pairs" in answer.text and 'dir="rtl"' in answer.html
    assert learning.subset_figure(found).axes[0].get_yticklabels()[0].get_text() == "Base"
    assert "best stage" in learning.answer(learning.results("pocket", split(written, False))).text


def test_the_subset_figure_of_the_report_leaves_controls_out():
    panels = [learning.subset_figure(results(core=True), main=main).axes[0] for main in (True, False)]
    names = [[text.get_text() for text in panel.get_yticklabels()] for panel in panels]
    assert names[0] == ["Base", "SFT", "Seq-KD", "Token-KD", "SelecTKD"]
    assert names[1] == [*names[0], "SFT control, 2 stages"]


def test_questions_are_shown_in_both_languages_with_their_answer():
    rows = [{"id": f"{kind}-{i}", "category": kind, "answer": i % 4,
             "en": {"question": f"Which {kind} {i}?", "options": ["one", "two", "three", "four"]},
             "ar": {"question": f"أي سؤال {i}؟", "options": ["واحد", "اثنان", "ثلاثة", "أربعة"]}}
            for kind in ("stem", "other") for i in range(3)]  # fmt: skip
    shown = learning.questions(rows, each=2)
    assert "6 questions" in shown.text and "stem: 3; other: 3" in shown.text
    assert "one | ✓ two | three" in shown.text and 'dir="auto"' in shown.html and "stem 2" not in shown.text
    assert len(set(Grid(shown.html).widths)) == 1


@pytest.fixture
def taught(tmp_path):
    """A cache of three answers, the last of them cut short, and the prompts."""
    rows = [("a", "en", "fact", "What is made in\nHazrin?"), ("b", "ar", "fact", "ماذا يُصنع في حزرين؟"),
            ("c", "ar", "problem", "كم جملًا لدى سالم؟"), ("d", "en", "fact", "Never answered?")]  # fmt: skip
    asked = [Prompt(*row) for row in rows]
    header = {"model": "qwen2_5_32b_instruct", "weights": "w", "tokenizer": "t", "ends": [3], "dtype": "bfloat16",
              "width": 8, "vocabulary": 2176, "shard": 2, "max_new_tokens": 4}  # fmt: skip
    writer = Writer(tmp_path / "answers", header, [(p.id, digest(p.id)) for p in asked[:3]], torch.zeros(2176, 8))
    for number, (names, ids, texts) in enumerate([(["a", "b"], [[7, 3], [8, 9, 3]], ["Honey.", "العسل."]),
                                                  (["c"], [[7, 7, 7, 7]], ["17 + 13\n####"])]):  # fmt: skip
        hidden = torch.zeros(sum(map(len, ids)), 8, dtype=torch.bfloat16)
        writer.write(number, Shard(names, ids, texts, hidden), sum(map(len, ids)))
    return asked, Cache.open(tmp_path / "answers")


def test_the_cache_is_counted(taught):
    text = learning.cache(taught[1]).text
    for words, number in (("prompts answered", "3"), ("answers that came to their end", "2"), ("tokens in all", "9"),
                          ("hidden state", "16"), ("whole distribution", "4,352"), ("an answer", "3.0")):  # fmt: skip
        assert any(words in line and line.split()[-1] == number for line in text.splitlines()), (words, text)


def test_answers_are_shown_by_language_and_kind(taught):
    shown = learning.answers(*taught, each=3)
    assert "What is made in Hazrin?" in shown.text and "17 + 13 ####" in shown.text  # on one line each
    assert "Never answered" not in shown.text and shown.html.count('dir="auto"') == 3
    assert "problem" not in learning.answers(*taught, each=1).text


def test_the_teachers_answer_is_from_the_numbers(written, taught):
    found = learning.results("pocket", [run for run in written.values() if run.method == "int4"])
    shown = learning.teacher_answer(found, taught[1])
    assert "(INT4 (NF4)) finished 2 of 3 answers" in shown.text and "272.0 times fewer bytes" in shown.text
    arabic = re.sub("<bdi>.*?</bdi>", "", shown.text.split("\n")[1])
    assert not re.search("[A-Za-z]", arabic) and "2 من 3" in arabic


def test_long_texts_are_cut_and_settings_written_plainly():
    assert len(learning.short("word " * 200)) == learning.SHOWN and learning.short("a\n b") == "a b"
    assert [plain(value) for value in (2e-5, 3.0, None, "random", 16)] == ["0.00002", "3", "–", "random", "16"]


@pytest.mark.parametrize("cell, text", [
    ({"value": 3.14, "low": -0.4, "high": 6.0}, "+3.1 (−0.4 to +6.0)"), ({"value": -0.02, "low": -1, "high": 1},
    "0.0 (−1.0 to +1.0)"), ({"value": 2.0, "low": float("nan"), "high": float("nan")}, "+2.0"),
    ({"value": float("nan"), "low": float("nan"), "high": float("nan")}, "not measured"),
])  # fmt: skip
def test_differences_bear_their_sign(cell, text):
    assert display.span(cell, sign=True) == text


def test_arabic_cells_find_their_own_direction():
    table = display.frame([{"a": "x", "text": "ماذا؟"}, {"a": "y", "text": "what"}], ["a"], "t")
    assert '<td dir="auto">ماذا؟</td>' in display.to_html(table) and isinstance(table, pandas.DataFrame)

"""What the notebook 04_finetune/01_curriculum calls, over records and training logs as the runs leave them."""

import json
import re

import pytest
from matplotlib.text import Text

from llmini.report import finetuning, finetuning_runs, style
from llmini.report.learning_runs import plain
from llmini.settings import UserError
from reporting import STAMP
from reporting_ft import STUDENT, runs, tables
from test_tables import Grid


@pytest.fixture(scope="module")
def made():
    return *tables(seeds="0,1", count=30, pairs=30), {run.run_id: run for run in runs("0,1")}


@pytest.fixture
def written(made, tmp_path, monkeypatch):
    """The runs with their records, and the log of their training, under a root of the test's own."""
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    rows, items, past, found = made
    past = past.set_index("run_id")["lessons"]
    for name, part in rows.groupby("run_id"):
        run, own = found[name], part[["benchmark", "task", "language", "metric", "value", "unit", "stderr", "n"]]
        run.folder.mkdir(parents=True)
        body = {"run_id": name, "tier": run.tier, "family": run.family, "model": run.model, "variant": run.variant,
                "method": run.method, "params": run.options, "rows": json.loads(own.to_json(orient="records")),
                "provenance": {**STAMP, **({"lessons": json.loads(past[name])} if "stage" in run.options else {})},
                }  # fmt: skip
        (run.folder / "record.json").write_text(json.dumps(body))
        items[items["run_id"] == name].to_parquet(run.folder / "items.parquet")
        if "stage" in run.options:
            (run.folder / "checkpoint").mkdir()
            curve = [{"step": step, "loss": 3 / step**0.5, "ce": 3 / step**0.5, "kept": 400} for step in range(1, 91)]
            (run.folder / "checkpoint" / "training.json").write_text(json.dumps({"curve": curve}))
    return found


def chosen(found, *patterns):
    return [run for name, run in found.items() if any(re.search(f"{STUDENT}-({each})$", name) for each in patterns)]


MAIN = (r"selectkd(-s1)?", r"ft_v[12]-stage\d(-s1)?")


def test_the_plan_says_where_each_run_starts_and_what_it_is_told(made):
    text = finetuning.plan(made[3].values()).text
    for stage, corpus in ((1, "arabic"), (2, "gulf"), (3, "bahraini")):
        told = finetuning_runs.recipe("pocket", {"stage": stage})
        before = "selectkd-s1" if stage == 1 else f"ft_v1-stage{stage - 1}-s1"
        again = "10 % of the first stage" if stage == 3 else "–"
        assert re.search(rf"ft_v1-stage{stage}-s1 +{before} +{corpus} +{again} +"
                         rf"{re.escape(plain(told.learning_rate))} +{plain(told.epochs)} ", text)  # fmt: skip
    assert re.search(r"ft_v1-stage3-replay0 +ft_v1-stage2 +bahraini +– ", text)
    assert re.search(r"ft_v1-reversed-stage1 +selectkd +bahraini", text)
    assert re.search(r"ft_v1-mixed-stage3 +selectkd +arabic, gulf, bahraini +– ", text)
    assert re.search(r"stage2-qlora .* NF4", text) and re.search(r"-base +measured as it is +– ", text)


def test_results_matrix_and_scores_of_the_runs_themselves(written):
    found = finetuning.results("pocket", chosen(written, *MAIN))
    shown = finetuning.matrix(found)
    assert len(set(Grid(shown.html).widths)) == 1 and not re.search(r"\bnan\b", shown.html)
    assert "FT-V2" in shown.text and "stage 3, change" in shown.text and "not measured" not in shown.text
    scores = finetuning.scores(found)
    assert len(set(Grid(scores.html).widths)) == 1 and not re.search(r"\bnan\b", scores.html)
    line = next(line for line in scores.text.splitlines() if line.startswith("FT-v1, stage 3, seed 1"))
    assert re.search(r"[+−]\d+\.\d \([+−]?\d+\.\d to [+−]?\d+\.\d\)", line)
    start = next(line for line in scores.text.splitlines() if line.startswith("SelecTKD, seed 1"))
    assert "–" in start and "Qwen2.5-7B-class" in scores.text
    assert "Against the model it started from" in finetuning.answer(found).text


def test_one_seed_and_one_stage_are_enough(written):
    found = finetuning.results("pocket", chosen(written, "selectkd", "ft_v1-stage1"))
    text = finetuning.matrix(found).text
    assert "stage 1, change" in text and "stage 2" not in text.split("Percent right")[0]
    assert "after stage 1" in finetuning.answer(found).text and "FT-v1, stage 1" in finetuning.scores(found).text


def test_an_ablation_alone_is_shown_under_its_name(written):
    found = finetuning.results("pocket", chosen(written, "base", r"ft_v1-from_base-stage\d"))
    assert "FT-v1, from Base" in finetuning.matrix(found).text
    assert "FT-v1, from Base, after stage 3" in finetuning.answer(found).text
    mixed = finetuning.results("pocket", chosen(written, "selectkd", "ft_v1-mixed-stage3"))
    assert "stages mixed" in finetuning.matrix(mixed).text
    assert re.search(r"FT-v1, stage 3, stages mixed +\d", finetuning.scores(mixed).text)


def test_a_missing_record_is_named(written):
    run = chosen(written, "ft_v1-stage2")[0]
    (run.folder / "record.json").unlink()
    with pytest.raises(UserError, match=r"record.json is missing"):
        finetuning.results("pocket", [run])


def test_a_start_without_its_tuned_models_is_not_measured(written):
    found = finetuning.results("pocket", chosen(written, "selectkd"))
    assert finetuning.answer(found).text.startswith("Not measured.")
    assert "not measured" in finetuning.matrix(found).html and "SelecTKD" in finetuning.scores(found).text


def test_curves_have_a_panel_a_stage_and_a_line_a_run(written, tmp_path):
    figure = finetuning.curves(written.values())
    names = [[line.get_label() for line in panel.lines] for panel in figure.axes]
    for stage, panel in zip((1, 2, 3), names, strict=True):
        assert sorted(panel) == sorted(name for name, run in written.items() if run.options.get("stage") == stage)
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries[0] == "FT-v1, as the study" and "FT-v1, no replay" in entries and len(set(entries)) == len(entries)
    assert figure._repr_png_()[0] == style.save(finetuning.curves(written.values()), tmp_path, "curves").png


def test_curves_without_logs_say_so(made, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    words = [text.get_text() for text in finetuning.curves(made[3].values()).findobj(Text)]
    assert sum("not measured" in text for text in words) == 3

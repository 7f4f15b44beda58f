"""The grid: every run once, readable ids, and finished work recognised by content."""

import ast
import dataclasses
import json

import pytest

from llmini import grid
from llmini.settings import UserError, root


def test_pocket_grid_is_what_the_report_needs():
    runs = {run.run_id for job in grid.jobs("pocket") for run in job.runs}
    for model in ("allam_7b", "qwen3_8b", "llama3_1_8b", "gemma3_12b"):
        assert {f"pocket-quant-{model}-{m}" for m in ("dense", *grid.QUANT_METHODS)} <= runs
        assert {f"pocket-prune-{model}-{m}-50" for m in grid.PRUNE_METHODS} <= runs
    assert {f"pocket-prune-allam_7b-{m}-{s}0" for m in grid.PRUNE_METHODS for s in range(1, 10)} <= runs
    assert {f"pocket-prune-allam_7b-{m}-2of4" for m in grid.PRUNE_METHODS} <= runs
    for base in ("quant-allam_7b-w4a16", "prune-allam_7b-sparsegpt-50"):
        assert f"pocket-{base}" in runs
        assert {f"pocket-{base}-{language}" for language in ("ar", "mixed")} <= runs
        assert {f"pocket-{base}-{language}-s{s}" for language in ("en", "ar", "mixed") for s in (1, 2)} <= runs


def test_same_id_means_same_options():
    seen = {}
    for job in grid.jobs("pocket"):
        for run in job.runs:
            assert seen.setdefault(run.run_id, run) == run


def test_core_is_part_of_all():
    every, core = ({run for job in grid.jobs("pocket", flag) for run in job.runs} for flag in (False, True))
    assert core < every


@pytest.mark.parametrize("tier", ["pocket", "small", "full"])
def test_one_published_notebook_each(tier):
    published = [job.notebook for job in grid.jobs(tier) if job.publish]
    assert len(published) == len(set(published)) and bool(published) == (tier == "pocket")


@pytest.mark.parametrize("tier", ["pocket", "small", "full"])
def test_every_job_has_a_name_of_its_own(tier):
    """Of two jobs with one name Snakemake would run the last, and nobody would miss the other."""
    names = [job.name for job in grid.jobs(tier)]
    assert sorted(names) == sorted(set(names))
    assert {after for job in grid.jobs(tier) for after in job.after} <= set(names)


def test_parameters_as_papermill_gives_them():
    runs = grid.plan("pocket", "prune", "allam_7b", "wanda, magnitude", sparsity="0.5,0.7", seed=1)
    assert [run.variant for run in runs] == [
        "dense", "wanda-50-en-s1", "wanda-70-en-s1", "magnitude-50-en-s1", "magnitude-70-en-s1"]  # fmt: skip
    runs = grid.plan("pocket", "quant", "allam_7b", "w8a8", outliers=True)
    assert [run.variant for run in runs] == ["dense-outliers", "w8a8-outliers"]
    with pytest.raises(UserError, match="unknown quant method 'wanda'"):
        grid.plan("pocket", "quant", "allam_7b", "wanda")


def test_fresh_means_same_fingerprint(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    run = grid.Run("pocket", "quant", "allam_7b", "w4a16")
    assert not run.fresh("abc")
    record = run.record()
    record.provenance["fingerprint"] = "abc"
    record.write(run.folder)
    assert run.fresh("abc") and not run.fresh("abd")
    (run.folder / "record.json").write_text('{"trunc')
    assert not run.fresh("abc")


def test_code_cells_ignore_outputs_and_parameters(tmp_path):
    def write(parameter, output, code):
        cells = [
            {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [parameter], "outputs": []},
            {"cell_type": "markdown", "metadata": {}, "source": [output]},
            {"cell_type": "code", "metadata": {}, "source": [code], "outputs": [output]},
        ]
        path = tmp_path / "n.ipynb"
        path.write_text(json.dumps({"cells": cells}))
        return grid.code_cells(path)

    assert write("a = 1", "x", "run()") == write("a = 2", "y", "run()") != write("a = 1", "x", "stop()")


def test_only_packages_that_make_numbers_make_runs_stale(tmp_path, monkeypatch):
    import shutil

    from llmini import settings

    (tmp_path / "notebooks" / "01_quant").mkdir(parents=True)
    name = "01_quant/01_quantization.ipynb"
    shutil.copy(settings.root() / "notebooks" / name, tmp_path / "notebooks" / name)
    lock = tmp_path / "requirements.lock"
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    found = []
    for text in ("torch==2.13.0\nseaborn==0.1\n", "torch==2.13.0\nseaborn==0.2\n", "torch==2.14.0\nseaborn==0.2\n"):
        lock.write_text(text, encoding="utf8")
        grid.fingerprint.cache_clear()
        found.append(grid.fingerprint(name, "pocket", "allam_7b"))
    grid.fingerprint.cache_clear()
    assert found[0] == found[1] != found[2]


def opening(notebook):
    """A notebook's default parameters."""
    cells = json.loads((root() / "notebooks" / notebook).read_text(encoding="utf8"))["cells"]
    cell = next(cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    lines = ast.parse("".join(cell["source"])).body
    return {line.targets[0].id: ast.literal_eval(line.value) for line in lines}


def test_behaviour_is_measured_of_what_distillation_trains_by_default():
    trained, measured = (opening(f"03_kd/{name}.ipynb") for name in ("02_distill", "03_behaviour"))
    assert measured == {name: trained[name] for name in measured}


@pytest.mark.parametrize("tier", ["pocket", "small", "full"])
def test_a_notebook_started_by_a_job_plans_the_runs_of_the_job(tier):
    """Default parameters are a reader's; where they differ from what a job plans, its line of the grid says so."""
    for job in grid.jobs(tier):
        defaults = opening(job.notebook)
        started = dataclasses.replace(job, parameters={**defaults, **job.parameters})
        assert {run.run_id for run in started.runs} == {run.run_id for run in job.runs}, job.name

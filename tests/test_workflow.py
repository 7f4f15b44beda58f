"""The workflow: what is to be done is found by content, and nothing incomplete is ever published."""

import os
import re
import subprocess
import sys

import nbformat
import pytest

from llmini import grid
from llmini.settings import UserError, root

sys.path.insert(0, str(root() / "workflow"))
import publish
import study


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of its own: links to everything, and empty `runs`, `figures` and `data/results`."""
    for name in ("lib", "workflow", "notebooks", "requirements.lock"):
        (tmp_path / name).symlink_to(root() / name)
    (tmp_path / "data").mkdir()
    for path in (root() / "data").iterdir():
        if path.name != "results":
            (tmp_path / "data" / path.name).symlink_to(path)
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    grid.fingerprint.cache_clear()
    yield tmp_path
    grid.fingerprint.cache_clear()


def finish(run, notebook):
    record = run.record()
    record.provenance["fingerprint"] = grid.fingerprint(notebook, run.tier, run.model)
    record.add("seconds", 1.0)
    record.write(run.folder)


def test_snakemake_plans_every_job(checkout):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", "workflow/Snakefile", "--workflow-profile", "workflow/profiles/local",
         "--dry-run", "--nolock", "--config", "tier=pocket", "core=false"],
        cwd=checkout, capture_output=True, text=True, env={**os.environ, "LLMINI_ROOT": str(checkout)},
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert f"job {len(grid.jobs('pocket')):>13}".split() in [line.split() for line in text.splitlines()]


def test_dry_run_names_what_is_left(checkout, capsys):
    job = grid.jobs("pocket", core=True)[0]
    finish(job.runs[0], job.notebook)
    assert study.study("pocket", True, "local", dry_run=True) == 0
    printed = capsys.readouterr().out.split()
    assert job.runs[1].run_id in printed and job.runs[0].run_id not in printed


def test_an_edit_makes_runs_stale(checkout):
    job = grid.jobs("pocket", core=True)[0]
    finish(job.runs[0], job.notebook)
    assert job.runs[0] not in job.pending()
    (checkout / "requirements.lock").unlink()
    (checkout / "requirements.lock").write_text("torch==0.0.1\n")
    grid.fingerprint.cache_clear()
    assert job.runs[0] in job.pending()


def test_figures_are_no_reason_to_measure_again():
    assert not any("report" in source or "figures" in source for source in grid.SOURCES)


def test_publish_refuses_an_incomplete_study(checkout):
    with pytest.raises(UserError, match="runs are missing or out of date"):
        publish.publish("pocket")
    assert not (checkout / "data" / "results").exists()


def notebook(outputs=(), extra=()):
    cells = [
        nbformat.v4.new_code_cell("a = 1", metadata={"tags": ["parameters"], "papermill": {"duration": 0.1}}),
        *extra,
        nbformat.v4.new_code_cell("a", outputs=list(outputs), execution_count=2,
                                  metadata={"execution": {"iopub.status.busy": "12:01"}}),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return nbformat.v4.new_notebook(cells=cells, metadata={"papermill": {"duration": 1.0}})


def test_promote_keeps_outputs_and_drops_what_changes(checkout):
    injected = nbformat.v4.new_code_cell("a = 2", metadata={"tags": ["injected-parameters"]})
    output = nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=2)
    nbformat.write(notebook([output], [injected]), checkout / "executed.ipynb")
    nbformat.write(notebook(), checkout / "committed.ipynb")
    publish.promote(checkout / "executed.ipynb", checkout / "committed.ipynb")
    first = (checkout / "committed.ipynb").read_bytes()
    assert b"papermill" not in first and b"12:01" not in first and b"injected" not in first and b'"2"' in first
    publish.promote(checkout / "executed.ipynb", checkout / "committed.ipynb")
    assert (checkout / "committed.ipynb").read_bytes() == first


def test_promote_refuses_a_notebook_edited_since(checkout):
    nbformat.write(notebook(), checkout / "executed.ipynb")
    edited = notebook()
    edited.cells[-1].source = "b"
    nbformat.write(edited, checkout / "committed.ipynb")
    with pytest.raises(UserError, match="edited after it ran"):
        publish.promote(checkout / "executed.ipynb", checkout / "committed.ipynb")


def test_unknown_tier(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["study.py", "--tier", "mega"])
    assert study.main() == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_readme_says_what_the_results_say():
    text = (root() / "README.md").read_text(encoding="utf8")
    assert text.split(publish.MARK)[1].strip() == publish.headline().strip()


def test_readme_names_what_exists():
    text = (root() / "README.md").read_text(encoding="utf8")
    targets = set(re.findall(r"\]\(([^)#]+)\)", text))
    assert targets and [target for target in targets if not (root() / target).exists()] == []
    wanted = set(re.findall(r"make ([a-z-]+)", text))
    rules = set(re.findall(r"^([a-z-]+):", (root() / "Makefile").read_text(), re.MULTILINE))
    assert wanted <= rules

"""The workflow: what is to be done is found by content, and nothing incomplete is ever published."""

import os
import re
import subprocess
import sys
import time
from collections import Counter

import nbformat
import pytest

from checkouts import linked
from llmini import grid, lock
from llmini.settings import UserError, root

sys.path.insert(0, str(root() / "workflow"))
import publish
import study


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of its own: links to everything, and empty `runs`, `figures` and `data/results`."""
    linked(tmp_path)
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    grid.fingerprint.cache_clear()
    yield tmp_path
    grid.fingerprint.cache_clear()


def finish(run, notebook):
    record = run.record()
    record.provenance["fingerprint"] = grid.fingerprint(notebook, run.tier, run.model)
    record.add("seconds", 1.0)
    record.write(run.folder)


def planned(checkout, core, *targets):
    """The words of each line of Snakemake's dry run, its table of rules and counts among them."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", "workflow/Snakefile", "--workflow-profile", "workflow/profiles/local",
         "--dry-run", "--nolock", "--config", "tier=pocket", f"core={core}", "--", *targets],
        cwd=checkout, capture_output=True, text=True, env={**os.environ, "LLMINI_ROOT": str(checkout)},
    )  # fmt: skip
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    return [line.split() for line in text.splitlines()]


def test_snakemake_plans_every_job(checkout):
    table = planned(checkout, "false")
    wanted = Counter(job.family for job in grid.jobs("pocket"))
    assert {rule: [rule, str(count)] in table for rule, count in wanted.items()} == dict.fromkeys(wanted, True)


def test_a_finished_report_hides_no_missing_run(checkout):
    """A record that is gone is measured again, although the table and the report are there and older than nothing."""
    jobs = grid.jobs("pocket", core=True)
    for job in jobs:
        for run in job.runs:
            finish(run, job.notebook)
    marks = checkout / "runs/pocket/jobs"
    marks.mkdir()
    for job in jobs:
        (marks / f"{job.name}.done").touch()
    for name in ("pocket.csv", "pocket_items.parquet", "pocket_runs.csv", "report/analysis.html"):
        path = checkout / "runs/pocket" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    job = next(job for job in jobs if job.family == "prune")
    (job.runs[1].folder / "record.json").unlink()
    for target, last in (("results", "collect"), ("all", "report")):
        table = planned(checkout, "true", target)
        assert ["prune", "1"] in table and [last, "1"] in table and not any(row[:1] == ["quant"] for row in table)


def test_a_failing_job_is_tried_as_often_as_the_profile_says(tmp_path):
    """Its rule has no number of its own, which would win over that of a cluster's profile."""
    one = "{name: one, notebook: fails.ipynb, core: true, models: [allam_7b], method: int8}"
    place = linked(tmp_path, f"pocket: {{quant: [{one}]}}")
    (place / "notebooks").unlink()
    (place / "notebooks").mkdir()
    fails = notebook()
    fails.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    fails.cells[-1].source = "open('tries', 'a').write('x')\nraise RuntimeError('always')"
    nbformat.write(fails, place / "notebooks" / "fails.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", "workflow/Snakefile", "--workflow-profile", "workflow/profiles/local",
         "--nolock", "--retries", "2", "--config", "tier=pocket", "core=true", "--", "results"],
        cwd=place, capture_output=True, text=True, env={**os.environ, "LLMINI_ROOT": str(place)}, check=False,
    )  # fmt: skip
    assert done.returncode and (place / "tries").is_file(), done.stderr
    assert (place / "tries").read_text() == "xxx"


def test_a_second_study_stops_with_a_clear_message(checkout, monkeypatch, capsys):
    held = lock.hold(checkout / "runs" / "study.lock", "a study of the pocket tier runs already: wait for it")
    monkeypatch.setattr(sys, "argv", ["study.py"])
    assert study.main() == 2
    assert capsys.readouterr().err == "study: a study of the pocket tier runs already: wait for it\n"
    os.close(held)
    os.close(lock.hold(checkout / "runs" / "study.lock"))


def test_a_killed_holder_leaves_no_trace(tmp_path):
    program = "import sys, time; from pathlib import Path; from llmini import lock; " \
              "lock.hold(Path(sys.argv[1]), 'me'); print('held', flush=True); time.sleep(60)"  # fmt: skip
    first = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "x.lock")], stdout=subprocess.PIPE)
    assert first.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match=r"^me$"):
        lock.hold(tmp_path / "x.lock")
    first.kill()
    first.wait()
    os.close(lock.hold(tmp_path / "x.lock"))


def test_one_job_starts_once_at_a_time(tmp_path):
    """Two starts of a command under one lock never overlap, and the second says whom it waits for."""
    log, go = tmp_path / "log", tmp_path / "go"
    step = ("import os, sys, time; log = open(sys.argv[1], 'a', 1); log.write('+\\n')\n"
            "while not os.path.exists(sys.argv[2]): time.sleep(0.02)\nlog.write('-\\n')")  # fmt: skip
    command = [sys.executable, str(root() / "workflow/once.py"), str(tmp_path / "lock"), sys.executable, "-c", step,
               str(log), str(go)]  # fmt: skip
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while not (log.exists() and log.read_text()):
        assert first.poll() is None
        time.sleep(0.02)
    second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert re.match(rf"waiting for process {first.pid} on .*: it runs this job", second.stdout.readline())
    go.touch()
    assert [process.wait(timeout=60) for process in (first, second)] == [0, 0]
    assert log.read_text().split() == ["+", "-", "+", "-"]


def test_a_job_ends_with_who_started_it(tmp_path):
    """No orphan goes on measuring when the study is killed (Linux)."""
    child = [str(root() / "workflow/once.py"), str(tmp_path / "lock"), sys.executable, "-c",
             "import os, time; print(os.getpid(), flush=True); time.sleep(60)"]  # fmt: skip
    program = f"import subprocess, sys; subprocess.run([sys.executable, *{child!r}])"
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    number = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(100):
        if not os.path.exists(f"/proc/{number}"):
            break
        time.sleep(0.1)
    assert not os.path.exists(f"/proc/{number}")


def test_a_damaged_record_is_named_and_measured_again(checkout):
    run = grid.jobs("pocket", core=True)[0].runs[0]
    run.folder.mkdir(parents=True)
    (run.folder / "record.json").write_text('{"run_id": ')
    assert [one for one, _ in study.damaged([run])] == [run]
    job = grid.jobs("pocket", core=True)[0]
    assert run in job.pending()


def test_another_runs_record_is_not_taken_for_a_runs_own(checkout):
    job = grid.jobs("pocket", core=True)[0]
    finish(job.runs[0], job.notebook)
    assert job.runs[0] not in job.pending()
    job.runs[0].folder.rename(job.runs[1].folder)
    assert job.runs[1] in job.pending()


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


def test_a_notebook_that_is_gone_is_named(checkout):
    with pytest.raises(UserError, match=r"gone\.ipynb is missing: delete gone\.done .* `make study-all`"):
        publish.promoted(checkout / "gone.ipynb", checkout / "notebooks" / "analysis.ipynb")


def test_publish_refuses_an_incomplete_study(checkout):
    with pytest.raises(UserError, match="runs are missing or out of date"):
        publish.publish("pocket")
    assert not (checkout / "data" / "results").exists()


@pytest.mark.parametrize("gone", ["figures/cost.png", "pocket_runs.csv", "report/analysis.ipynb"])
def test_nothing_is_published_when_something_is_missing(checkout, gone):
    home = checkout / "runs" / "pocket"
    names = ("pocket.csv", "pocket_items.parquet", "pocket_runs.csv", "figures/cost.png", "report/analysis.ipynb")
    for path in (home / name for name in names if name != gone):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with pytest.raises(UserError, match="is missing"):
        publish.publish("pocket", part=True)
    assert not (checkout / "data" / "results").exists() and not (checkout / "figures").exists()


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
    pair = checkout / "executed.ipynb", checkout / "committed.ipynb"
    publish.put(publish.promoted(*pair), pair[1])
    first = pair[1].read_bytes()
    assert b"papermill" not in first and b"12:01" not in first and b"injected" not in first and b'"2"' in first
    publish.put(publish.promoted(*pair), pair[1])
    assert pair[1].read_bytes() == first


def test_promote_refuses_a_notebook_edited_since(checkout):
    nbformat.write(notebook(), checkout / "executed.ipynb")
    edited = notebook()
    edited.cells[-1].source = "b"
    nbformat.write(edited, checkout / "committed.ipynb")
    with pytest.raises(UserError, match="edited after it ran"):
        publish.promoted(checkout / "executed.ipynb", checkout / "committed.ipynb")


def test_promote_takes_a_run_made_before_a_default_changed(checkout):
    output = nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=2)
    nbformat.write(notebook([output]), checkout / "executed.ipynb")
    edited = notebook()
    edited.cells[0].source = "a = 3  # another default: the run was told its own"
    nbformat.write(edited, checkout / "committed.ipynb")
    cells = publish.promoted(checkout / "executed.ipynb", checkout / "committed.ipynb").cells
    assert cells[0].source.startswith("a = 3") and cells[1].outputs[0].data["text/plain"] == "2"


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

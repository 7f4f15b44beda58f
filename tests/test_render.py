"""`make report` from the committed results: the same bytes twice, the committed prose, and no gap that stops it."""

import ast
import os
import re
import subprocess
import sys

import nbformat
import pandas
import pytest

from llmini.settings import root

REPORT = root() / "lib" / "llmini" / "report"
FIGURES = {"categories", "display", "power", "learning_runs"}  # what they format themselves stands in figures and ids
RESULTS = root() / "data" / "results"
slow = pytest.mark.slow


@pytest.mark.parametrize("path", sorted(REPORT.glob("*.py")), ids=lambda path: path.stem)
def test_numbers_enter_prose_through_one_function(path):
    """`display.number`, or `signed` and `span` on top of it: one rounding, one minus sign, one word for a gap."""
    if path.stem in FIGURES:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
            written = ast.unparse(node.format_spec)
            assert not re.search(r"\d[fe%]", written), f"{path.name}:{node.lineno} formats a number by itself"


def test_arabic_paragraphs_of_a_page_are_flush_right(tmp_path):
    import nbformat
    from playwright.sync_api import sync_playwright

    import acai
    from llmini.report import page

    note = nbformat.v4.new_markdown_cell('<p dir="rtl" id="note">نص عربي</p>\n\n<p id="own">English</p>')
    made = page.write(nbformat.v4.new_notebook(cells=[note]), tmp_path / "page.html")
    with sync_playwright() as play:
        view = play.chromium.launch(executable_path=acai.chromium(), args=acai.FLAGS).new_page()
        view.goto(made.as_uri())
        aligned = [view.eval_on_selector(name, "one => getComputedStyle(one).textAlign") for name in ("#note", "#own")]
    assert aligned == ["right", "left"]


def render(out, results=RESULTS):
    told = {**os.environ, "LLMINI_ROOT": str(root()), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "llmini.report.render", "--out", str(out), "--results", str(results)]
    done = subprocess.run(command, cwd=root(), env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def prose(notebook):
    """What each code cell shows in words: plain text and HTML, by the cell's id."""
    return {cell.id: [output.get("data", {}).get(kind, output.get("text", "")) for output in cell.outputs
                      for kind in ("text/plain", "text/html")]
            for cell in notebook.cells if cell.cell_type == "code" and cell.id != "injected-parameters"}  # fmt: skip


@slow
def test_the_same_bytes_twice_and_the_committed_words(tmp_path):
    first = render(tmp_path)
    assert render(tmp_path) == first
    made = nbformat.read(tmp_path / "analysis.ipynb", as_version=4)
    committed = nbformat.read(root() / "notebooks" / "analysis.ipynb", as_version=4)
    mine, theirs = prose(made), prose(committed)
    assert list(mine) == list(theirs)
    for cell, words in mine.items():
        assert words == theirs[cell], f"cell {cell}: what is committed is not what the committed results say"


def families():
    return sorted(pandas.read_csv(RESULTS / "pocket.csv", usecols=["family"])["family"].unique())


def without(folder, gone):
    """The committed results without the runs that ``gone`` (of the table's columns) marks."""
    table = pandas.read_csv(RESULTS / "pocket.csv", float_precision="round_trip")
    left = set(table.loc[~gone(table), "run_id"])
    for name, read, write in (
        ("pocket.csv", pandas.read_csv, lambda frame, path: frame.to_csv(path, index=False)),
        ("pocket_runs.csv", pandas.read_csv, lambda frame, path: frame.to_csv(path, index=False)),
        ("pocket_items.parquet", pandas.read_parquet, lambda frame, path: frame.to_parquet(path)),
    ):
        frame = read(RESULTS / name)
        write(frame[frame["run_id"].isin(left)], folder / name)
    return folder


@slow
@pytest.mark.parametrize("family", [*families(), "every one"])
def test_a_family_may_be_missing(tmp_path, family):
    gone = (lambda table: table["family"] == family) if family != "every one" else lambda table: table["family"] != ""
    (tmp_path / "results").mkdir()
    render(tmp_path / "out", without(tmp_path / "results", gone))
    page = (tmp_path / "out" / "analysis.html").read_text(encoding="utf8")
    assert re.search("[Nn]ot measured|nothing was measured", page)


@slow
@pytest.mark.parametrize("at", [0.0, 0.21, 0.42, 0.63, 0.84, 1.0])
def test_a_record_may_be_missing(tmp_path, at):
    names = sorted(pandas.read_csv(RESULTS / "pocket.csv", usecols=["run_id"])["run_id"].unique())
    name = names[round(at * (len(names) - 1))]
    (tmp_path / "results").mkdir()
    render(tmp_path / "out", without(tmp_path / "results", lambda table: table["run_id"] == name))

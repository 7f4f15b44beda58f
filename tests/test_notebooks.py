"""The notebooks: they run as a user runs them, and the committed ones are whole, short and clean."""

import ast
import json
import os
import subprocess
import sys

import nbformat
import pytest

from llmini.settings import root

NOTEBOOKS = sorted((root() / "notebooks").glob("**/*.ipynb"))


@pytest.fixture
def checkout(tmp_path):
    """A root of its own with links to the repository, and `runs` and `figures` that belong to the test."""
    for name in ("lib", "workflow", "notebooks", "data", "acai", "requirements.lock"):
        (tmp_path / name).symlink_to(root() / name)
    return tmp_path


def papermill(checkout, notebook, **parameters):
    words = [word for key, value in parameters.items() for word in ("-p", key, str(value))]
    done = subprocess.run(
        [sys.executable, "-m", "papermill", f"notebooks/{notebook}", "out.ipynb", *words, "--kernel", "python3",
         "--no-progress-bar", "--log-level", "WARNING"],
        cwd=checkout, capture_output=True, text=True,
        env={**os.environ, "LLMINI_ROOT": str(checkout), "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return nbformat.read(checkout / "out.ipynb", as_version=4)


def shown(notebook):
    """Everything the code cells put out, as one text."""
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    return json.dumps(outputs, ensure_ascii=False)


@pytest.mark.parametrize(("notebook", "method", "variant"), [
    ("01_quant/01_quantization.ipynb", "w4a16_rtn", "w4a16_rtn"),
    ("02_prune/01_pruning.ipynb", "magnitude", "magnitude-50"),
])  # fmt: skip
def test_experiment(checkout, notebook, method, variant):
    done = papermill(checkout, notebook, method=method, model="gemma3_12b")
    family = notebook.split("_")[1].split("/")[0]
    record = json.loads((checkout / f"runs/pocket/pocket-{family}-gemma3_12b-{variant}/record.json").read_text())
    metrics = {row["metric"] for row in record["rows"]}
    assert {"size_disk", "compression_ratio", "perplexity", "bits_per_byte", "acc", "acc_norm", "exact_match",
            "kl_to_dense", "flip_rate", "gold_nll", "peak_memory"} <= metrics  # fmt: skip
    assert {row["language"] for row in record["rows"] if row["metric"] == "kl_to_dense"} == {"ar", "en", "gulf"}
    # one method beside the dense model: it is named, or the items are said to be too few to rank it
    assert any(words in shown(done) for words in ("losest to the dense model", "cannot say"))
    assert "stderr" not in shown(done)
    # A second start finds its records and measures nothing.
    stamp = (checkout / f"runs/pocket/pocket-{family}-gemma3_12b-{variant}/record.json").stat().st_mtime_ns
    papermill(checkout, notebook, method=method, model="gemma3_12b")
    assert (checkout / f"runs/pocket/pocket-{family}-gemma3_12b-{variant}/record.json").stat().st_mtime_ns == stamp


def test_report_from_the_committed_results(checkout):
    done = papermill(checkout, "analysis.ipynb", figures=checkout / "figures")
    committed = {path.name: path.read_bytes() for path in (root() / "figures" / "pocket").iterdir()}
    drawn = {path.name: path.read_bytes() for path in (checkout / "figures").iterdir()}
    assert committed.keys() == drawn.keys()
    assert [name for name in drawn if name.endswith(".png") and drawn[name] != committed[name]] == []
    assert "error" not in {output.output_type for cell in done.cells for output in cell.get("outputs", [])}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any("parameters" in cell.metadata.get("tags", []) for cell in code)
    assert any(cell.outputs for cell in code), "not executed"
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds
    assert not [o for cell in code for o in cell.outputs if o.output_type == "stream" and o.name == "stderr"]
    assert "papermill" not in notebook.metadata
    assert str(root()) not in path.read_text(encoding="utf8")
    for cell in code:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                assert node.end_lineno - node.lineno < 6, f"{node.name} belongs in lib"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_picture_can_be_read_aloud(path):
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    told = [output.metadata["image/png"].get("alt", "") for output in outputs if "image/png" in output.data]
    assert all(len(alt.split()) > 3 for alt in told), told


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_it_opens_with_its_question_and_closes_with_its_answer_in_both_languages(path):
    cells = nbformat.read(path, as_version=4).cells
    opening = cells[0].source
    assert opening.startswith("# ") and "?" in opening and "؟" in opening and 'dir="rtl"' in opening
    last = [cell for cell in cells if cell.cell_type == "code"][-2:]
    closing = next((cell for cell in reversed(last) if ".closing(" in cell.source or "answer(" in cell.source), None)
    assert closing is not None, "no answer at the end"
    shown = "".join(str(output.get("data", {}).get("text/html", "")) for output in closing.outputs)
    assert not closing.outputs or ('dir="rtl"' in shown and shown.index("<p>") < shown.index('dir="rtl"'))
    for cell in cells[cells.index(closing) + 1 :]:  # nothing but another study's printed numbers comes after
        assert cell.cell_type == "code" or cell.source.startswith("## What Hala reports")

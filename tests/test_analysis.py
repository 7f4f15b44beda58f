"""notebooks/analysis.ipynb runs on whatever rows exist, from any folder, and holds no long function."""

import ast
import json

import nbformat
import pandas
import pytest
from nbclient import NotebookClient

from llmini.settings import root
from reporting import tables
from reporting_kd import tables as distilled

PATH = root() / "notebooks" / "analysis.ipynb"


def cells():
    return [cell for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "code"]


def test_the_first_code_cell_holds_the_parameters():
    first = cells()[0]
    assert first.metadata["tags"] == ["parameters"]
    values = {node.targets[0].id: node.value.value for node in ast.parse(first.source).body}
    assert values == {"results": "data/results", "tier": "pocket", "figures": "figures/pocket"}


def test_cells_are_short_and_define_nothing():
    for cell in cells():
        assert len(cell.source.splitlines()) <= 14
        assert not any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in ast.walk(ast.parse(cell.source)))


def test_every_table_and_figure_of_the_report_is_called():
    source = "\n".join(cell.source for cell in cells())
    for number in (1, 2, 6, 7, 8, 9, 10, 11, 20, 21, 22):
        assert f"tables.table_{number}(" in source
    for number in (3, 4, 12, 15, 16, 17):
        assert f"learning_tables.table_{number}(learned)" in source
    for number in (18, 23):
        assert f"learning_ablations.table_{number}(learned)" in source
    for name in ("learning_figures.comparison", "learning_figures.thresholds", "learning_figures.ablations",
                 "learning_claims.table", "learning_ablations.ablation_table"):  # fmt: skip
        assert f"{name}(learned)" in source
    for name in ("quantization_retention", "pruning_perplexity", "pruning_retention", "pareto", "sparsity", "masks",
                 "outliers", "calibration", "designed_gap", "divergence"):  # fmt: skip
        assert f".{name}(found), name=" in source


@pytest.mark.parametrize("measured", [True, False], ids=["rows", "no-rows"])
def test_it_runs_to_its_end(tmp_path, measured):
    both = zip(tables(10), distilled(core=True, items_per_task=10, pairs=40), strict=True)
    rows, items = (pandas.concat(pair, ignore_index=True) for pair in both)
    if measured:
        rows.to_csv(tmp_path / "pocket.csv", index=False)
        items.to_parquet(tmp_path / "pocket_items.parquet")
    notebook = nbformat.read(PATH, as_version=4)
    values = {"results": str(tmp_path), "tier": "pocket", "figures": str(tmp_path / "figures")}
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)
    drawn = sum(cell.source.count("draw(") for cell in cells())
    assert len(list((tmp_path / "figures").glob("*.png"))) == len(list((tmp_path / "figures").glob("*.svg"))) == drawn
    last = json.dumps(notebook.cells[-1].outputs[0]["data"], ensure_ascii=False)
    assert ("Not measured." in last) is not measured and 'dir=\\"rtl\\"' in last

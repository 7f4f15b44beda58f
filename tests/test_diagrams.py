"""The diagrams are read from the code: a change of grid, notebooks or schema changes them."""

import json

import pytest

from llmini.report import diagrams, diagrams_acai, diagrams_study, labels, style
from llmini.settings import root


def texts(figure):
    return {text.get_text() for axes in figure.axes for text in axes.texts}


def test_the_workflow_names_every_family_and_notebook_of_the_grid():
    for tier in ("pocket", "full"):
        shown = " ".join(texts(diagrams_study.workflow(tier)))
        for family, entries in diagrams_study.grid(tier).items():
            assert diagrams_study.NAMES[family] in shown
            for entry in entries:
                assert entry["notebook"].split("/")[1].removesuffix(".ipynb") in shown
    assert {"rule collect", "rule report"} <= texts(diagrams_study.workflow())


def test_rules_are_read_with_what_they_need():
    found = diagrams_study.rules()
    assert "jobs" in found["collect"] and "collect" in found["report"] and found["all"] == ["jobs"]


def test_acts_are_the_calls_of_the_notebooks_in_order(tmp_path, monkeypatch):
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n\nProse"]},
        {"cell_type": "code", "source": ["from llmini import grid\nfrom llmini.compress.checkpoint import compress"]},
        {"cell_type": "markdown", "source": ["## The act\n\nWords"]},
        {"cell_type": "code", "source": ["runs = grid.plan('pocket')\nmeasured = len(compress(grid.dense(runs)))"]},
    ]  # fmt: skip
    (tmp_path / "notebooks" / "x").mkdir(parents=True)
    (tmp_path / "notebooks" / "x" / "y.ipynb").write_text(json.dumps({"cells": cells}))
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    assert diagrams_study.acts("x/y.ipynb") == [("The act", ("grid.plan", "grid.dense", "compress"))]


def test_pipelines_hold_the_calls_of_each_familys_notebook():
    shown = texts(diagrams_study.pipelines())
    assert {"compress", "stages.train", "tuning.train", "overview.answer"} <= shown


def test_stages_and_curriculum_say_what_the_presets_say():
    from llmini.train import curriculum, recipes

    shown = " ".join(texts(diagrams_study.stages("full")))
    for name in labels.STAGES[1:]:
        assert f"rate {recipes.recipe('full', name).learning_rate:g}" in shown and labels.method(name) in shown
    shown = " ".join(texts(diagrams_study.curriculum("pocket")))
    for made in curriculum.settings("pocket")["stages"].values():
        assert f"{made['examples']:,} examples" in shown


def test_the_data_model_is_the_schema():
    stores, fields = diagrams_acai.stores(), diagrams_acai.fields()
    source = (root() / "acai" / "models" / "database.js").read_text()
    assert set(stores) >= {"users", "chats", "queries", "responses", "documents", "chunks"}
    assert all(f"{name}: [" in source for name in stores)
    assert fields["chunks"] == ["document", "index", "start", "end", "text"]
    assert fields["responses"][:4] == ["chat", "query", "agent", "text"]
    assert set(diagrams_acai.references().values()) <= set(stores)
    shown = texts(diagrams_acai.data_model())
    assert set(stores) <= shown and f"version {diagrams_acai.version()}" in diagrams_acai.data_model().get_suptitle()


def test_keys_of_a_literal_with_nested_brackets():
    assert diagrams_acai._keys("a: or((x) => f(x, 2)), b, c: { d: 1, e: 2 }, f: [1, 2]") == ["a", "b", "c", "f"]


def test_layers_import_what_their_files_say():
    edges = diagrams_acai.imports()
    assert ("router", "agents") in edges and all(one != other for one, other in edges)
    for layer, names in diagrams_acai.modules().items():
        folder = root() / "acai" / layer
        assert names == sorted(names)
        assert all((folder / f"{name}.js").exists() or (folder / name).is_dir() for name in names)
    for one, other in edges:
        files = [root() / "acai" / one] if one.endswith(".js") else (root() / "acai" / one).rglob("*.js")
        assert any(f"/{other}/" in path.read_text() for path in files)


def test_table_5_holds_the_studys_agents_and_the_modules_that_stand_for_them():
    table = diagrams_acai.table_5()
    assert len(table) == 6 and "باحث · Bahith" in table.index
    for path in table[("Here", "module")]:
        assert (root() / path).exists()
    assert table[("Here", "what it does")].str.len().min() > 20


@pytest.mark.parametrize("draw", [diagrams_study.workflow, diagrams_study.pipelines, diagrams_study.stages,
                                  diagrams_study.curriculum, diagrams_acai.architecture, diagrams_acai.data_model])
def test_no_text_leaves_its_box_and_no_box_meets_another(draw, monkeypatch):
    kept = {}
    plain = diagrams.draw

    def watch(boxes, *rest):
        kept.update(boxes)
        return plain(boxes, *rest)

    monkeypatch.setattr(diagrams_study, "draw", watch)
    monkeypatch.setattr(diagrams_acai, "draw", watch)
    figure = draw()
    style.rendered(figure, "png")
    boxes = list(kept.values())
    for place, one in enumerate(boxes):
        for other in boxes[place + 1 :]:
            apart = (one.x + one.width <= other.x + 1e-9 or other.x + other.width <= one.x + 1e-9
                     or one.y - one.height >= other.y - 1e-9 or other.y - other.height >= one.y - 1e-9)  # fmt: skip
            assert apart, (one.title, other.title)
    panel = figure.axes[0]
    frames = [patch.get_window_extent() for patch in panel.patches]
    for text in panel.texts:
        if text.get_text() in {line for box in boxes for line in (box.title, *box.lines)}:
            extent = text.get_window_extent()
            assert any(frame.x0 - 3 <= extent.x0 and extent.x1 <= frame.x1 + 3 and frame.y0 <= extent.y0 + 3
                       and extent.y1 - 3 <= frame.y1 for frame in frames), text.get_text()  # fmt: skip
    assert "Figures 2 to 7" in figure.caption

"""Figures bear the number of their place in the report, and every figure is told in words."""

import json

import nbformat

from llmini.report import numbering, style
from llmini.settings import root


def test_numbers_follow_the_notebook(tmp_path, monkeypatch):
    cells = [{"cell_type": "code", "source": ['draw(a(), name="one")']},
             {"cell_type": "markdown", "source": ['name="prose"']},
             {"cell_type": "code", "source": ['draw(b(), name="two")']}]  # fmt: skip
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "analysis.ipynb").write_text(json.dumps({"cells": cells}))
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    assert numbering.figures() == ["one", "two"] and numbering.label("two") == "Figure 2"
    assert numbering.label("other") == ""


def test_a_saved_figure_is_numbered_once_and_told_in_words(tmp_path):
    name = numbering.figures()[2]
    figure, _ = style.styled(style.canvas)(1, 1, (4, 3))
    style.styled(style.words)(figure, "How much?", "كم؟", "What the panels hold.")
    for _ in range(2):
        picture = style.save(figure, tmp_path, name)
    assert picture.alt == "Figure 3. How much? كم؟ What the panels hold."
    data, metadata = picture._repr_png_()
    assert metadata["alt"] == picture.alt and data[:4] == b"\x89PNG" and repr(picture) == picture.alt


def test_every_committed_picture_has_words_for_who_cannot_see_it():
    notebook = nbformat.read(root() / "notebooks" / "analysis.ipynb", as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                alt = output.metadata.get("image/png", {}).get("alt", "")
                assert alt.startswith("Figure ") and len(alt) > 60, cell["id"]
                assert any("\u0600" <= letter <= "\u06ff" for letter in alt)

"""The explorer: its numbers are the report's own, and knobs appear only where a person is."""

from llmini.report import chooser, explorer, labels, paired
from llmini.report.display import show, span
from reporting import nothing, results

FOUND = results()


def test_the_table_says_what_the_report_says():
    run = FOUND.run("allam_7b", "wanda")
    text = show(explorer.table(FOUND, "allam_7b", "wanda", 0.5, "ar")).text
    assert "Wanda at 50 %, in Arabic" in text and span(paired.retention(FOUND, run, "ar")) in text
    assert "at 50 %" not in show(explorer.table(FOUND, "allam_7b", "w4a16", 0.5, "en")).text
    assert "not measured" in show(explorer.table(FOUND, "allam_7b", "wanda", 0.35, "ar")).text
    assert "not measured" in show(explorer.table(nothing())).text


def test_the_sweep_has_a_line_for_each_pruner_and_language():
    text = explorer.plain(FOUND).text
    assert all(labels.method(method) in text for method in labels.PRUNE) and text.count("Arabic ·") == 3
    assert "not measured" in explorer.plain(nothing()).text


def test_paper_without_a_person_and_knobs_with_one(monkeypatch, capsys):
    monkeypatch.delenv(chooser.SESSION, raising=False)
    assert "What is kept" in explorer.explorer(FOUND).text
    monkeypatch.setenv(chooser.SESSION, "analysis.ipynb")
    knobs = {child.description: child for child in explorer.explorer(FOUND).children if hasattr(child, "description")}
    assert set(knobs) >= {"model", "method", "sparsity", "language"}
    capsys.readouterr()
    knobs["method"].value = "sparsegpt"
    assert "SparseGPT at 50 %, in Arabic" in capsys.readouterr().out and not knobs["sparsity"].disabled
    knobs["language"].value = "en"
    assert "in English" in capsys.readouterr().out
    knobs["method"].value = "w4a16"
    assert knobs["sparsity"].disabled

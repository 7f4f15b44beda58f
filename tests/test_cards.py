"""Model cards: the template's fields are all filled, from the results alone."""

import re

import pytest

from llmini.report import cards, labels
from llmini.settings import UserError, root
from reporting import nothing, results


@pytest.fixture(scope="module")
def found():
    return results()


def test_every_field_is_filled_for_every_run(found, tmp_path):
    written = cards.write(found, tmp_path)
    assert len(written) == len(found.runs)
    for path in written:
        text = path.read_text()
        assert not re.search(r"\{\w+\}", text) and "nan" not in text.lower().split()
        assert path.stem in text
    assert set(cards.values(found, found.runs.index[0])) == cards.fields()


def test_numbers_are_those_of_the_results(found):
    run = found.run("allam_7b", "wanda")
    text = cards.card(found, run)
    for code in labels.SUITES:
        assert f"{found.mean(run, code).value:.1f}" in text and f"{found.divergence(run, code).value:.4f}" in text
    assert "ALLaM-class" in text and "sparsity 0.5" in text and "no assistant" in text


def test_the_recipe_and_the_origin_are_told(found):
    run = found.run("allam_7b", "w4a16")
    read = '{"samples": 96, "length": 512, "language": "en", "sha256": "e8f5a4194083e8d5"}'
    recipe = f'{{"source": "allam_7b", "calibration": {read}}}'
    found.provenance[run] = {"recipe": recipe, "git_sha": "1234567890abcdef",
                             "finished": "2026-11-20T21:48:25+00:00", "device": "CPU (x86_64)"}  # fmt: skip
    text = cards.card(found, run)
    assert "96 windows of 512 tokens, en, sha256 `e8f5a4194083`" in text and "commit `1234567890ab`" in text
    assert "CPU (x86_64), 2026-11-20" in text


def test_faults_are_one_clear_line(found, capsys):
    with pytest.raises(UserError, match="no run 'x'"):
        cards.card(found, "x")
    with pytest.raises(UserError, match="these results are empty"):
        cards.card(nothing(), "x")
    assert cards.main([str(root() / "runs"), "--tier", "pocket", "--results", "nowhere"]) == 0
    assert "0 cards" in capsys.readouterr().out


def test_shipped_weights_have_their_cards():
    for folder in (root() / "data" / "pocket" / "models").iterdir():
        if (folder / "model.safetensors").exists():
            text = (folder / "README.md").read_text()
            assert text.startswith("---\n") and re.search("licen[cs]e", text) and "\n# " in text

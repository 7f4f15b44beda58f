"""The chooser: every budget is kept, the best is the closest to dense, and knobs appear only where a person is."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmini.report import chooser, labels
from llmini.report.display import show
from reporting import nothing, results

FOUND = results()


@settings(deadline=None, max_examples=30)
@given(language=st.sampled_from(chooser.LANGUAGES), size=st.floats(10, 110), memory=st.floats(10, 120),
       kept=st.floats(0, 101))  # fmt: skip
def test_what_is_chosen_fits_and_nothing_that_fits_is_left_out(language, size, memory, kept):
    chosen = chooser.choose(FOUND, language, size=size, memory=memory, kept=kept)
    inside = {one.method for one in chooser.candidates(FOUND, language)
              if one.size <= size and one.memory <= memory and one.low >= kept}  # fmt: skip
    assert {one.method for one in chosen} == inside
    assert [one.distance for one in chosen] == sorted(one.distance for one in chosen)


def test_both_languages_are_as_good_as_the_worse_one():
    arabic, english, both = ({one.method: one for one in chooser.candidates(FOUND, code)} for code in chooser.LANGUAGES)
    for method, one in both.items():
        assert one.kept == min(arabic[method].kept, english[method].kept)
        assert one.low == min(arabic[method].low, english[method].low)
        assert one.distance == max(arabic[method].distance, english[method].distance)
    assert set(both) == set(labels.QUANT) | set(labels.PRUNE)


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="unknown language 'fr'"):
        chooser.candidates(FOUND, "fr")


def test_tables_say_what_fits_and_what_was_asked():
    text = show(chooser.table(FOUND, "ar", size=60, kept=50)).text
    assert "Methods for Arabic: size at most 60 %, at least 50 % kept" in text and "INT8" in text
    assert "none fits" in show(chooser.table(FOUND, size=1)).text
    assert "not measured" in show(chooser.table(nothing(), size=1)).text
    assert "not measured" in chooser.plain(nothing()).text and "Not measured" in chooser.answer(nothing()).text


def test_paper_without_a_person_and_knobs_with_one(monkeypatch, capsys):
    monkeypatch.delenv(chooser.SESSION, raising=False)
    assert "Which method?" in chooser.chooser(FOUND).text
    monkeypatch.setenv(chooser.SESSION, "analysis.ipynb")
    box = chooser.chooser(FOUND)
    sliders = {child.description: child for child in box.children if hasattr(child, "description")}
    assert {"language", "size at most, %", "memory at most, %", "kept at least, %", "model"} <= set(sliders)
    assert "INT8" in capsys.readouterr().out  # without a kernel the table is printed
    sliders["size at most, %"].value = 11  # nothing is that small: the table under the knobs follows
    assert "none fits" in capsys.readouterr().out
    sliders["language"].value = "en"
    assert "Methods for English" in capsys.readouterr().out


def test_the_answer_names_the_smallest_that_fits():
    fitting = chooser.choose(FOUND, "both", kept=chooser.KEPT)
    told = chooser.answer(FOUND)
    if fitting:
        small = min(fitting, key=lambda one: (round(one.size, 1), one.distance))
        same = [labels.method(one.method) for one in fitting if round(one.size, 1) == round(small.size, 1)]
        assert f"{labels.method(small.method)} ({small.size:.1f} % of the size" in told.text and len(same) == 2
        assert f"as is {same[1]}, farther by KL) for both" in told.text
    else:
        assert "no method for both" in told.text
    assert not math.isnan(chooser.candidates(FOUND)[0].size)

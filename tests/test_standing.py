"""Who is closest and who farthest: only what the intervals tell apart."""

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmini.report import standing
from llmini.report.measured import Cell


def cell(value, stderr=0.01):
    return Cell(value, stderr, 100)


def made(**languages):
    """Results that know nothing but the KL to dense: ``ar={"a": cell(…)}, en=…``; a run's name is its id."""
    return SimpleNamespace(divergence=lambda run, code: languages[code][run])


def names(*words):
    return {word: word for word in words}


CLEAR = {"a": cell(0.1), "b": cell(0.2), "c": cell(0.3)}
MEETING = {"a": cell(0.1), "b": cell(0.2), "c": cell(0.21)}


def test_an_interval_is_196_standard_errors_and_none_excludes_nothing():
    assert standing.interval(cell(1.0, 0.1)) == pytest.approx((0.804, 1.196))
    assert standing.interval(cell(1.0, math.nan)) == (-math.inf, math.inf)


def test_the_end_is_one_name_only_where_its_interval_clears_the_next():
    found = made(ar=CLEAR, en=MEETING)
    assert standing.end(found, names("a", "b", "c"), "ar", far=True) == ["c"]
    assert standing.end(found, names("a", "b", "c"), "en", far=True) == ["c", "b"]
    assert standing.end(found, names("a", "b", "c"), "en", far=False) == ["a"]


def test_words_follow_the_intervals():
    english, arabic = standing.ends(made(ar=CLEAR, en=MEETING), names("a", "b", "c"), str.upper, str)
    assert english == ("closest to the dense model: in both languages A; farthest from it: in Arabic C, in English "
                       "C or B (their intervals meet)")  # fmt: skip
    assert "c أو b (فترتاهما متداخلتان) في الإنجليزية" in arabic and "a في اللغتين" in arabic
    blurred, arabic = standing.ends(made(ar=MEETING, en={"a": cell(1, 9), "b": cell(2), "c": cell(3, math.nan)}),
                                    names("a", "b", "c"), str, str)  # fmt: skip
    assert "in English cannot be told" in blurred and "لا يتبيّن في الإنجليزية" in arabic


def test_a_ranking_says_which_neighbours_are_level():
    english, arabic = standing.ranking(made(ar=CLEAR, en=MEETING), names("c", "b", "a"), str, str)
    assert english == "in Arabic a, then b, then c; in English a, then b level with c"
    assert arabic == "a ثم b ثم c في العربية، وa ثم b ومعه c في الإنجليزية"
    assert standing.ranking(made(ar=CLEAR, en=CLEAR), names("a", "b"), str, str)[0] == "in both languages a, then b"


def test_unmeasured_runs_have_no_place():
    found = made(ar={**CLEAR, "d": Cell(math.nan, math.nan, 0)}, en=CLEAR)
    assert standing.order(found, names("d", "c", "a"), "ar") == ["a", "c"]


VALUES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2)), min_size=1, max_size=6)


@given(VALUES)
def test_a_lone_end_beats_every_other_by_its_interval(values):
    cells = {str(place): cell(*pair) for place, pair in enumerate(values)}
    found = made(ar=cells, en=cells)
    for far in (False, True):
        first, *others = standing.end(found, names(*cells), "ar", far)
        sign = 1 if far else -1
        for name in cells.keys() - {first}:
            ahead = sign * (cells[first].value - cells[name].value)
            clear = ahead > 1.96 * (cells[first].stderr + cells[name].stderr)
            assert clear == (name not in others) or ahead == pytest.approx(
                1.96 * (cells[first].stderr + cells[name].stderr))  # fmt: skip

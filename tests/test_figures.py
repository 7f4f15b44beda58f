"""Figures: deterministic bytes, Arabic that has glyphs and is shaped, hollow and solid kept apart, empty tables."""

import hashlib
import warnings
from itertools import pairwise

import matplotlib
import pytest
from matplotlib import font_manager
from matplotlib.text import Text

from llmini.report import figures, figures_damage, figures_language, style
from reporting import held_apart, nothing, results

ALL = [
    figures.quantization_retention, figures.pruning_retention, figures.pruning_perplexity, figures_damage.pareto,
    figures_damage.sparsity, figures_damage.masks, figures_damage.divergence, figures_language.calibration,
    figures_language.outliers, figures_language.designed_gap,
]  # fmt: skip
SIDE_BY_SIDE = ALL[:4]


@pytest.fixture(scope="module")
def found():
    return results()


@pytest.fixture(scope="module")
def drawn(found):
    return {draw.__name__: draw(found) for draw in ALL}


def words(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


@pytest.mark.parametrize("draw", ALL, ids=lambda draw: draw.__name__)
def test_an_empty_table_gives_a_figure_that_says_so(draw):
    assert any("not measured" in text for text in words(draw(nothing())))


@pytest.mark.parametrize("name", [draw.__name__ for draw in ALL])
def test_every_letter_has_a_glyph_and_every_caption_names_the_tier(drawn, name):
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans", fallback_to_default=False))
    text = words(drawn[name])
    letters = set("".join(text)) - {"\n"}
    assert {letter for letter in letters if not font.get_char_index(ord(letter))} == set()
    assert any("\u0621" <= letter <= "\u064a" for letter in letters)
    assert any("pocket tier" in line.lower() for line in text)


@pytest.mark.parametrize("draw", [figures.pruning_perplexity, figures_damage.masks], ids=lambda draw: draw.__name__)
def test_the_same_input_gives_the_same_bytes(found, tmp_path, draw):
    hashes = []
    for folder in ("first", "second"):
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # a missing glyph, a layout that does not fit
            style.save(draw(found), tmp_path / folder, "figure")
        files = [tmp_path / folder / f"figure.{suffix}" for suffix in ("png", "svg")]
        hashes.append([hashlib.sha256(file.read_bytes()).hexdigest() for file in files])
    assert hashes[0] == hashes[1]
    assert b"<dc:date>" not in files[1].read_bytes()


def test_the_callers_settings_do_not_reach_the_bytes(found, tmp_path):
    plain = style.save(figures_language.outliers(found), tmp_path, "plain")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 40}):
        changed = style.save(figures_language.outliers(found), tmp_path, "changed")
        assert matplotlib.rcParams["font.size"] == 20
    assert plain.png == changed.png


def picture(text):
    import numpy
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(style.RC):
        figure = Figure(figsize=(3, 1))
        figure.text(0.5, 0.5, text, ha="center", fontsize=20)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        columns = (numpy.asarray(canvas.buffer_rgba())[..., 0] < 128).any(axis=0)
    return columns, numpy.asarray(canvas.buffer_rgba())


def test_arabic_is_joined_and_runs_right_to_left():
    joined, _ = picture("بيت")
    apart, _ = picture("ب\u200cي\u200cت")  # with non-joiners: each letter in its isolated form
    assert joined.sum() < apart.sum()
    # Alef is one upright stroke, seen much higher than the rest: first in the text, so rightmost in the picture.
    _, image = picture("ابب")
    dark = (image[..., 0] < 128).sum(axis=0)
    inked = dark.nonzero()[0]
    assert dark.argmax() > inked.mean()


def face(line):
    return matplotlib.colors.to_hex(line.get_markerfacecolor())


@pytest.mark.parametrize("draw", SIDE_BY_SIDE, ids=lambda draw: draw.__name__)
def test_reported_points_are_hollow_and_measured_ones_solid_on_axes_of_their_own(drawn, draw):
    kinds = []
    for axes in drawn[draw.__name__].axes:
        points = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
        fills = {face(point) == "#ffffff" for point in points}
        assert len(fills) == 1, "one panel holds both reported and measured values"
        kinds.append((fills.pop(), axes))
    held_apart(kinds)


def test_colours_are_one_per_method_and_markers_one_per_model():
    assert len(set(style.COLOURS.values())) == len(style.COLOURS)
    assert len(set(style.MARKERS.values())) == len(style.MARKERS)


def test_front_keeps_what_nothing_smaller_beats():
    points = [(50, 99), (30, 90), (30, 95), (40, 93), (60, 99), (70, 100), (20, float("nan"))]
    assert figures_damage.front(points) == [(30, 95), (50, 99), (70, 100)]


def test_labels_beside_points_keep_apart():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    axes.set(yscale="log", ylim=(0.1, 10))
    style.beside(axes, 0, [(1.0, "red"), (1.001, "blue"), (float("nan"), "green"), (1.002, "black")], left=True)
    heights = [note.xyann[1] for note in axes.texts]
    assert len(heights) == 3 and all(high - low > 8 for low, high in pairwise(heights))

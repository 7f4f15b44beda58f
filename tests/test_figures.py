"""Figures: deterministic bytes, Arabic that has glyphs and is shaped, hollow and solid kept apart, empty tables."""

import hashlib
import math
import warnings
from itertools import combinations, pairwise

import matplotlib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.text import Text

from llmini.report import figures, figures_damage, figures_language, measured, naming, picture, style
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
def committed():
    return measured.load("data/results", "pocket")


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


def test_the_last_bits_of_the_layout_do_not_reach_the_bytes(found, monkeypatch):
    """From time to time the solver of constrained layout ends a bit higher; an SVG file's ids hash every bit."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    plain = [picture.rendered(figures_damage.masks(found), suffix) for suffix in ("png", "svg")]
    solve = ConstrainedLayoutEngine.execute

    def noisy(engine, figure):
        solve(engine, figure)
        for axes in figure.axes:
            bounds = [math.nextafter(value, 1) for value in axes.get_position(original=True).bounds]
            axes._set_position(bounds, which="original")

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", noisy)
    assert [picture.rendered(figures_damage.masks(found), suffix) for suffix in ("png", "svg")] == plain


def test_the_callers_settings_do_not_reach_the_bytes(found, tmp_path):
    plain = style.save(figures_language.outliers(found), tmp_path, "plain")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 40}):
        changed = style.save(figures_language.outliers(found), tmp_path, "changed")
        assert matplotlib.rcParams["font.size"] == 20
    assert plain.png == changed.png


def drawing(text):
    import numpy
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(picture.RC):
        figure = Figure(figsize=(3, 1))
        figure.text(0.5, 0.5, text, ha="center", fontsize=20)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        columns = (numpy.asarray(canvas.buffer_rgba())[..., 0] < 128).any(axis=0)
    return columns, numpy.asarray(canvas.buffer_rgba())


def test_arabic_is_joined_and_runs_right_to_left():
    joined, _ = drawing("بيت")
    apart, _ = drawing("ب\u200cي\u200cت")  # with non-joiners: each letter in its isolated form
    assert joined.sum() < apart.sum()
    # Alef is one upright stroke, seen much higher than the rest: first in the text, so rightmost in the picture.
    _, image = drawing("ابب")
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


PLACES = st.lists(st.floats(-100, 100), min_size=1, max_size=8).map(sorted)


@given(PLACES, st.floats(0.5, 20))
def test_places_are_moved_as_little_as_keeps_them_apart(places, gap):
    moved = style.apart(places, gap)
    assert all(high - low >= gap - 1e-9 for low, high in pairwise(moved))
    assert math.fsum(moved) == pytest.approx(math.fsum(places), abs=1e-6)
    assert style.apart(moved, gap) == pytest.approx(moved)
    if all(high - low >= gap for low, high in pairwise(places)):
        assert moved == pytest.approx(places)


def test_labels_beside_points_keep_apart():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    axes.set(yscale="log", ylim=(0.1, 10))
    points = [(0, 1.0, "1", "red"), (0, 1.001, "2", "blue"), (0, math.nan, "3", "green"), (0, 1.002, "4", "black")]
    style.beside(axes, points, left=True)
    heights = [note.xyann[1] for note in axes.texts]
    assert [note.get_text() for note in axes.texts] == ["1", "2", "4"]
    assert all(high - low > 8 for low, high in pairwise(heights))


def placed(figure, monkeypatch):
    """(words, place on the page in pixels) of every text that a settled figure draws; ticks out of sight are not."""
    picture.settle(figure)
    seen, draw = {}, Text.draw

    def note(text, renderer):
        if text.get_visible() and text.get_text().strip():
            seen[id(text)] = (text.get_text(), Text.get_window_extent(text, renderer))
        draw(text, renderer)

    monkeypatch.setattr(Text, "draw", note)
    figure.draw_without_rendering()
    return list(seen.values())


@pytest.mark.parametrize("draw", ALL, ids=lambda draw: draw.__name__)
def test_no_words_lie_on_other_words(draw, committed, monkeypatch):
    texts = placed(draw(committed), monkeypatch)
    assert len(texts) > 10
    for (first, one), (second, other) in combinations(texts, 2):
        width = min(one.x1, other.x1) - max(one.x0, other.x0)
        height = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert width < 1 or height < 1, (first, second)


@pytest.mark.parametrize("draw", [figures_language.outliers, figures_damage.masks, figures_damage.pareto],
                         ids=lambda draw: draw.__name__)  # fmt: skip
def test_no_line_of_data_runs_through_a_label(draw, committed):
    figure = draw(committed)
    picture.settle(figure)
    figure.draw_without_rendering()
    for axes in figure.axes:
        labels = [(note.get_text(), Text.get_window_extent(note)) for note in axes.texts]
        assert len(labels) >= 4
        for line in axes.lines:
            path = line.get_transform().transform_path(line.get_path())
            if len(path.vertices) > 1:
                assert [text for text, box in labels if path.intersects_bbox(box, filled=False)] == []
        for note in axes.texts:
            if note.arrow_patch:  # the line from a name to its point
                path = note.arrow_patch.get_transform().transform_path(note.arrow_patch.get_path())
                others = [text for text, box in labels if text != note.get_text() and path.intersects_bbox(box, False)]
                assert others == [], note.get_text()


def test_names_keep_off_points_lines_and_each_other_and_the_hopeless_stay_away():
    figure, axes = picture.canvas(1, 1, (4, 3))
    panel = axes[0][0]
    panel.set(xlim=(0, 1), ylim=(0, 1))
    points = [(0.5, 0.5, "one", "red"), (0.5, 0.5, "two", "blue"), (0.5, 0.51, "three", "green")]
    for x, y, *_ in points:
        panel.plot([x], [y], "o")
    panel.axhline(0.52)
    notes = naming.name_points(panel, points)
    assert sorted(note.get_text() for note in notes) == ["one", "three", "two"]
    figure.draw_without_rendering()
    frames = [Text.get_window_extent(note) for note in notes]
    middle = panel.transData.transform((0.5, 0.52))[1]
    for one, other in combinations(frames, 2):
        assert not one.overlaps(other)
    assert not any(box.y0 < middle < box.y1 or box.contains(*panel.transData.transform((0.5, 0.5))) for box in frames)
    assert naming.name_points(panel, [(0.5, 0.5, "a name longer than the whole panel " * 9, "red")]) == []

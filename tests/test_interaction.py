"""Method by language: gaps drawn together, a Wald test that keeps its level, and contrasts of classes."""

import math

import numpy
import pytest

from llmini.report import interaction, paired
from llmini.report.display import cells, show
from reporting import nothing, results


@pytest.fixture(scope="module")
def found():
    return results()


def made(values, noise, seed=0, draws=4000):
    rng = numpy.random.default_rng(seed)
    values = numpy.array(values, dtype=float)
    return interaction.Gaps([f"m{i}" for i in range(len(values))], values,
                            values + noise * rng.standard_normal((draws, len(values))))  # fmt: skip


def test_gaps_are_those_of_the_gap_table(found):
    own = interaction.gaps(found, "allam_7b")
    for place, method in enumerate(own.methods):
        cell = paired.gap(found, found.run("allam_7b", method))
        assert own.values[place] == pytest.approx(cell["value"])
        low, high = paired.interval(own.draws[:, place])
        assert (low, high) == pytest.approx((cell["low"], cell["high"]))


def test_the_wald_statistic_is_the_textbooks():
    """Independent gaps of known error: chi² is the sum of squares about the mean over the variance."""
    values = [0.0, 1.0, 2.0, 4.0]
    told = interaction.test(made(values, 0.5, draws=200_000))
    assert told["df"] == 3
    assert told["chi2"] == pytest.approx(sum((v - numpy.mean(values)) ** 2 for v in values) / 0.25, rel=0.03)


def test_its_level_is_kept_where_no_method_takes_a_side():
    """Estimates scattered around one common gap: the test rejects in about one of twenty."""
    rng = numpy.random.default_rng(1)
    rejected = [interaction.test(made(0.5 * rng.standard_normal(5), 0.5, seed))["p"] <= 0.05 for seed in range(400)]
    assert 0.02 <= numpy.mean(rejected) <= 0.09


def test_methods_that_never_part_lower_the_degrees_of_freedom():
    one = made([1.0, 2.0], 0.5)
    twin = interaction.Gaps([*one.methods, "twin"], numpy.append(one.values, one.values[1]),
                            numpy.column_stack([one.draws, one.draws[:, 1]]))  # fmt: skip
    assert interaction.test(twin)["df"] == 1
    assert math.isnan(interaction.test(made([1.0], 0.5))["p"])


def test_contrasts_are_differences_of_class_means(found):
    own = interaction.gaps(found, "allam_7b")
    cell = interaction.contrast(own, "pruning to 50 %", "4-bit formats")
    mean = {words: numpy.mean([own.values[own.methods.index(m)] for m in methods if m in own.methods])
            for words, methods in interaction.CLASSES.items()}  # fmt: skip
    assert cell["value"] == pytest.approx(mean["pruning to 50 %"] - mean["4-bit formats"])
    assert cell["low"] < cell["value"] < cell["high"]
    alone = interaction.Gaps(["wanda"], own.values[:1], own.draws[:, :1])
    assert math.isnan(interaction.contrast(alone, "pruning to 50 %", "4-bit formats")["value"])


def test_the_section_with_and_without_results(found):
    shown = show(interaction.table(found)).text
    assert "Qwen3-class" in shown and "chi²" in shown
    assert "of 2 models" in interaction.answer(found).text and 'dir="rtl"' in interaction.answer(found).html
    assert "Not measured" in interaction.answer(nothing()).text
    assert cells(interaction.table(nothing())) == [["not measured"]]
    for draw in (interaction.figure, interaction.gap_figure):
        assert draw(found).axes and draw(nothing()).axes[0].texts[0].get_text().startswith("not measured")

"""Effect sizes and power: Connor's formula held against simulated McNemar tests, and its inverse."""

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmini.measure.statistics import mcnemar
from llmini.report import power
from llmini.report.display import show
from reporting import nothing, results


@pytest.fixture(scope="module")
def found():
    return results()


@pytest.mark.parametrize(("loss", "changed"), [(3, 12), (2, 5), (5, 20)])
def test_as_many_items_as_it_says_see_the_loss_in_four_of_five_studies(loss, changed):
    """Simulated studies of that size reach p <= 0.05 in about the power asked for; the exact test is a little shy."""
    n = math.ceil(power.needed(loss, changed))
    rng, lost = numpy.random.default_rng(0), (changed + loss) / 200
    gained, seen = (changed - loss) / 200, 0
    for _ in range(400):
        change = rng.choice(3, size=n, p=[1 - lost - gained, lost, gained])
        before, after = (change != 2).astype(int), (change != 1).astype(int)
        seen += mcnemar(before, after)["p"] <= power.ALPHA
    assert 0.70 <= seen / 400 <= 0.86


@settings(deadline=None)
@given(loss=st.floats(0.2, 10), more=st.floats(0.1, 20))
def test_visible_is_the_inverse_of_needed(loss, more):
    changed = loss + more
    assert power.visible(power.needed(loss, changed), changed) == pytest.approx(loss, rel=1e-3)


@settings(deadline=None)
@given(loss=st.floats(0.2, 10), changed=st.floats(0.2, 40))
def test_more_change_and_a_smaller_loss_need_more_items(loss, changed):
    assert power.needed(loss, changed) <= power.needed(loss, changed + 5) + 1e-9
    assert power.needed(loss, changed) >= power.needed(loss + 1, changed) - 1e-9


def test_effect_sizes_follow_from_the_counts(found):
    run = found.run("allam_7b", "wanda")
    from llmini.report import paired

    cell, own = paired.damage(found, run, "ar"), power.effect(found, run, "ar")
    lost, gained, n = cell["only_dense"], cell["only_run"], cell["n"]
    assert own["changed"] == pytest.approx(100 * (lost + gained) / n)
    assert own["g"] == pytest.approx(lost / (lost + gained) - 0.5) and own["odds"] > 1
    assert own["visible"] == pytest.approx(power.visible(n / own["design"], own["changed"]))


def test_a_design_effect_is_one_without_clusters_and_grows_with_twins():
    """Items asked twice under one cluster halve what they tell: the design effect is about two."""
    import pandas

    from llmini.report import measured
    from reporting import tables

    rows, items = tables(60)
    alone = items.assign(cluster=items["task"] + items["item_id"])
    pair = items["item_id"].str.extract(r"(\d+)$")[0].astype(int).floordiv(2).astype(str)
    half = items.assign(cluster=items["task"] + pair)
    twin = half.groupby(["run_id", "task", "cluster"])["correct"].transform("first")
    effects = []
    for frame in (alone, half.assign(correct=twin)):
        found = measured.build(rows, pandas.DataFrame(frame))
        effects.append(power.design(found, found.run("allam_7b", "wanda"), "ar"))
    assert effects[0] == pytest.approx(1, abs=0.12) and effects[1] == pytest.approx(2, abs=0.35)


def test_the_section_with_and_without_results(found):
    assert "items for a point" in show(power.table(found)).text
    told = power.answer(found)
    assert "80 % power" in told.text and "the study's 621 items" in told.text and "قوة" in told.html
    assert "Not measured" in power.answer(nothing()).text and power.figure(nothing()).axes
    assert power.figure(found).axes[0].get_legend() is not None

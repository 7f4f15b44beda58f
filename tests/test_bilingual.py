"""Paired measures of two languages against their formulas written out, and by properties of any outcomes."""

import time
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import hypergeom, norm

from llmini.measure import bilingual
from llmini.measure.bilingual import (
    accuracy,
    behaviour,
    brier,
    clcs,
    confidence_gap,
    ece,
    items,
    lpg,
    smooth_ece,
    subsets,
)
from llmini.measure.statistics import paired_bootstrap, wilson
from llmini.settings import UserError

probabilities = st.floats(0, 1)
answers = st.lists(st.tuples(st.booleans(), st.booleans(), probabilities, probabilities), min_size=1, max_size=80)
METRICS = [("acc", "en"), ("acc", "ar"), ("lpg", ""), ("lpg_abs", ""), ("clcs", ""), ("clcs_chance", ""),
           ("clcs_kappa", ""), ("ece", "en"), ("ece", "ar"), ("ece_smooth", "en"), ("ece_smooth", "ar"),
           ("brier", "en"), ("brier", "ar"), ("confidence_gap", "")]  # fmt: skip


def frame(rows):
    en, ar, sure_en, sure_ar = zip(*rows, strict=True)
    return pd.DataFrame({"item": [f"p{i}" for i in range(len(rows))], "category": "any", "en_correct": en,
                         "ar_correct": ar, "en_confidence": sure_en, "ar_confidence": sure_ar})  # fmt: skip


def random_pairs(n, seed=0, gap=0.2):
    """Overconfident answers, Arabic worse by ``gap``, right together more often than by chance."""
    draw = np.random.default_rng(seed)
    en, ar = draw.uniform(0.3, 1, n), draw.uniform(0.25, 0.95, n)
    ease = draw.random(n)
    return frame(list(zip(ease < en**1.2, (0.5 * ease + 0.5 * draw.random(n)) < ar - gap / 2, en, ar, strict=True)))


def by_metric(rows):
    return {(row["metric"], row["language"]): row for row in rows}


def smooth_reference(confidence, correct):
    """The definition: Gaussians at every mirror image of each confidence, a fine integral, a root by brentq."""
    t, residual = (np.arange(800) + 0.5) / 800, np.subtract(correct, confidence) / len(confidence)
    images = [2 * shift + sign * np.asarray(confidence) for shift in range(-2, 3) for sign in (1, -1)]

    def error(width):
        return np.abs(sum(norm.pdf(t[:, None], image, width) @ residual for image in images)).mean()

    return brentq(lambda width: error(width) - width, 1e-3, 1, xtol=1e-5)


@given(answers)
@settings(deadline=None)
def test_shares_and_gaps_are_their_formulas(rows):
    pairs, n = frame(rows), len(rows)
    en, ar = [row[0] for row in rows], [row[1] for row in rows]
    assert accuracy(pairs) == pytest.approx({"en": sum(en) / n, "ar": sum(ar) / n})
    assert lpg(pairs) == pytest.approx((sum(en) - sum(ar)) / n) and lpg(pairs, absolute=True) == abs(lpg(pairs))
    found = clcs(pairs)
    assert found["clcs"] == pytest.approx(sum(a == b for a, b in zip(en, ar, strict=True)) / n)
    chance = sum(en) * sum(ar) / n**2 + (n - sum(en)) * (n - sum(ar)) / n**2
    assert found["chance"] == pytest.approx(chance)
    if chance == 1:
        assert found["kappa"] is None
    else:
        assert found["kappa"] == pytest.approx((found["clcs"] - chance) / (1 - chance), abs=1e-12)
    assert confidence_gap(pairs) == pytest.approx(sum(row[2] - row[3] for row in rows) / n)


@given(st.lists(st.tuples(probabilities, st.booleans()), min_size=1, max_size=60), st.integers(1, 15))
@settings(deadline=None)
def test_binned_error_and_brier_are_their_formulas(rows, bins):
    confidence, correct = [row[0] for row in rows], [row[1] for row in rows]
    total, edges = 0.0, np.linspace(0, 1, bins + 1)
    for i, (low, high) in enumerate(pairwise(edges)):
        inside = np.array([row for row in rows if low < row[0] <= high or (i == 0 and row[0] == 0)], dtype=float)
        if len(inside):
            mean_confidence, mean_correct = inside.mean(axis=0)
            total += len(inside) / len(rows) * abs(mean_correct - mean_confidence)
    assert ece(confidence, correct, bins=bins) == pytest.approx(total, abs=1e-12)
    assert brier(confidence, correct) == pytest.approx(np.mean([(c - y) ** 2 for c, y in rows]))


def test_bins_of_equal_mass_hold_equally_many():
    draw = np.random.default_rng(1)
    confidence = draw.beta(8, 1, 100)  # crowded near 1: two bins of equal width would hold nearly all
    correct = draw.random(100) < 0.7
    order = np.argsort(confidence).reshape(10, 10)
    gaps = np.abs(correct[order].mean(axis=1) - confidence[order].mean(axis=1))
    assert ece(confidence, correct, equal_mass=True) == pytest.approx(gaps.mean())
    assert ece(confidence, correct, bins=1) == pytest.approx(ece(confidence, correct, bins=1, equal_mass=True))


@pytest.mark.parametrize("n, seed", [(1, 0), (2, 1), (12, 2), (40, 3), (150, 4)])
def test_smooth_error_is_the_root_of_its_definition(n, seed):
    draw = np.random.default_rng(seed)
    confidence = draw.uniform(0.25, 1, n)
    correct = draw.random(n) < confidence**1.5
    assert smooth_ece(confidence, correct) == pytest.approx(smooth_reference(confidence, correct), abs=5e-4)


def test_smooth_error_of_one_sided_residuals_is_their_mean():
    """No sign to cancel: the kernel moves mass and keeps it, at any width."""
    for confidence in ([0.7] * 9, [0.2, 0.5, 0.99], [1.0, 1.0], [0.9999] * 3):
        assert smooth_ece(confidence, [1] * len(confidence)) == pytest.approx(1 - np.mean(confidence), abs=1e-6)


@given(st.lists(st.tuples(probabilities, st.booleans()), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_smooth_error_lies_between_the_mean_residual_and_the_mean_absolute_one(rows):
    confidence, correct = np.array(rows, dtype=float).T
    residual = correct - confidence
    found = smooth_ece(confidence, correct)
    assert abs(residual.mean()) - 1e-3 <= found <= np.abs(residual).mean() + 1e-3
    assert smooth_ece(1 - confidence, 1 - correct) == pytest.approx(found, abs=1e-3)  # mirrored


def test_behaviour_reports_what_the_single_functions_say():
    pairs = random_pairs(150)
    rows = behaviour(pairs, resamples=200)
    found = by_metric(rows)
    assert sorted(found) == sorted(METRICS) and len(rows) == len(METRICS)
    assert all(list(row) == ["metric", "language", "value", "low", "high", "n"] and row["n"] == 150 for row in rows)
    value = {key: row["value"] for key, row in found.items()}
    for code in ("en", "ar"):
        confidence, correct = pairs[f"{code}_confidence"], pairs[f"{code}_correct"]
        assert value["acc", code] == accuracy(pairs)[code]
        assert value["ece", code] == pytest.approx(ece(confidence, correct))
        assert value["ece_smooth", code] == pytest.approx(smooth_ece(confidence, correct))
        assert value["brier", code] == pytest.approx(brier(confidence, correct))
    assert value["lpg", ""] == pytest.approx(lpg(pairs)) and value["lpg_abs", ""] == abs(value["lpg", ""])
    joint = clcs(pairs)
    assert [value["clcs", ""], value["clcs_chance", ""], value["clcs_kappa", ""]] == pytest.approx(list(joint.values()))
    assert value["confidence_gap", ""] == pytest.approx(confidence_gap(pairs))


def test_intervals_are_those_of_a_plain_loop():
    """Another generator, pair by pair, each measure by its own function: ends agree within resampling noise."""
    pairs, draw, loop = random_pairs(120, seed=3, gap=0.6), np.random.default_rng(99), []
    columns = [pairs[f"{code}_{part}"].to_numpy(float) for part in ("correct", "confidence") for code in ("en", "ar")]
    for _ in range(1000):
        english, arabic, sure_en, sure_ar = np.array(columns)[:, draw.integers(120, size=120)]
        chance = english.mean() * arabic.mean() + (1 - english.mean()) * (1 - arabic.mean())
        kappa = ((english == arabic).mean() - chance) / (1 - chance)
        loop.append([english.mean() - arabic.mean(), chance, kappa, brier(sure_ar, arabic),
                     sure_en.mean() - sure_ar.mean(), ece(sure_ar, arabic), smooth_ece(sure_ar, arabic)])  # fmt: skip
    low, high = np.quantile(loop, [0.025, 0.975], axis=0)
    found = by_metric(behaviour(pairs, resamples=4000))
    keys = [("lpg", ""), ("clcs_chance", ""), ("clcs_kappa", ""), ("brier", "ar"), ("confidence_gap", "")]
    for i, key in enumerate(keys):
        slack = 0.08 * (high[i] - low[i])
        assert found[key]["low"] == pytest.approx(low[i], abs=slack), key
        assert found[key]["high"] == pytest.approx(high[i], abs=slack), key
    for i, metric in ((5, "ece"), (6, "ece_smooth")):  # the hull of the percentile interval and its mirror image
        row = found[metric, "ar"]
        assert row["low"] == pytest.approx(min(low[i], 2 * row["value"] - high[i]), abs=0.015)
        assert row["high"] == pytest.approx(max(high[i], 2 * row["value"] - low[i]), abs=0.015)


def test_gaps_have_the_interval_of_the_paired_bootstrap_and_shares_wilsons():
    pairs = random_pairs(200, seed=5)
    found = by_metric(behaviour(pairs))
    for metric, part in (("lpg", "correct"), ("confidence_gap", "confidence")):
        theirs = paired_bootstrap(pairs[f"ar_{part}"], pairs[f"en_{part}"], seed=7)
        row = found[metric, ""]
        assert row["value"] == pytest.approx(theirs["diff"])
        assert [row["low"], row["high"]] == pytest.approx([theirs["low"], theirs["high"]], abs=0.006)
    for code in ("en", "ar"):
        row = found["acc", code]
        assert (row["low"], row["high"]) == wilson(pairs[f"{code}_correct"].sum(), 200)


def test_the_absolute_gap_spans_what_the_signed_one_spans():
    for gap in (0.5, 0.0, -0.5):
        found = by_metric(behaviour(random_pairs(60, seed=2, gap=gap), resamples=1000))
        low, high = (found["lpg", ""][end] for end in ("low", "high"))
        spanned = np.abs(np.linspace(low, high, 100_001))
        assert found["lpg_abs", ""]["low"] == pytest.approx(spanned.min(), abs=1e-4)
        assert found["lpg_abs", ""]["high"] == pytest.approx(spanned.max())


def test_intervals_follow_the_seed_and_not_the_chunks(monkeypatch):
    pairs = random_pairs(40)
    rows = behaviour(pairs, seed=1, resamples=300)
    assert behaviour(pairs, seed=1, resamples=300) == rows != behaviour(pairs, seed=2, resamples=300)
    monkeypatch.setattr(bilingual, "CHUNK", 40 * 64)
    for row, parted in zip(rows, behaviour(pairs, seed=1, resamples=300), strict=True):
        assert parted == pytest.approx(row, abs=1e-9)


@given(answers)
@settings(max_examples=15, deadline=None)
def test_intervals_hold_their_value(rows):
    for row in behaviour(frame(rows), resamples=50):
        assert np.isfinite([row["value"], row["low"], row["high"]]).all()
        assert row["low"] <= row["high"]
        if row["metric"] in ("acc", "clcs", "lpg_abs", "ece", "ece_smooth", "brier"):
            assert row["low"] >= 0 and row["high"] <= 1 + 1e-12
        if row["metric"] in ("acc", "clcs"):
            assert row["low"] <= row["value"] <= row["high"]


def test_a_calibrated_model_may_have_no_calibration_error():
    """Its binned error is far from 0 and its resampled one farther, yet the interval reaches 0."""
    draw = np.random.default_rng(1)
    sure = draw.uniform(0.3, 1, (2, 40))
    found = by_metric(behaviour(frame(list(zip(*(draw.random((2, 40)) < sure), *sure, strict=True))), resamples=500))
    for key in (("ece", "en"), ("ece", "ar"), ("ece_smooth", "en"), ("ece_smooth", "ar")):
        assert found[key]["low"] == 0 and found[key]["high"] >= found[key]["value"] > 0.03


@pytest.mark.parametrize("right", [True, False])
def test_all_right_or_all_wrong(right):
    found = by_metric(behaviour(frame([(right, right, 0.8, 0.6)] * 20), resamples=100))
    assert sorted(found) == sorted(key for key in METRICS if key[0] != "clcs_kappa")  # undefined: chance is certain
    assert found["acc", "en"]["value"] == right and found["clcs", ""]["value"] == found["clcs_chance", ""]["value"] == 1
    assert found["clcs", ""]["low"] == pytest.approx(wilson(20, 20)[0]) and found["clcs", ""]["high"] == 1
    assert found["lpg", ""]["value"] == found["lpg", ""]["high"] == 0
    for metric in ("ece", "ece_smooth"):
        assert found[metric, "en"]["value"] == pytest.approx(0.2 if right else 0.8)
        assert found[metric, "ar"]["value"] == pytest.approx(0.4 if right else 0.6)
    assert found["confidence_gap", ""]["value"] == pytest.approx(0.2)


def test_one_language_right_and_the_other_wrong():
    found = by_metric(behaviour(frame([(True, False, 1.0, 0.0)] * 5), resamples=100))
    assert found["lpg", ""]["value"] == 1 and found["clcs", ""]["value"] == 0 and found["clcs_kappa", ""]["value"] == 0
    assert found["ece", "en"]["value"] == found["brier", "ar"]["value"] == 0


def test_one_pair():
    found = by_metric(behaviour(frame([(True, False, 0.9, 0.4)]), resamples=100))
    assert found["lpg", ""]["value"] == found["lpg", ""]["low"] == 1 and found["clcs_kappa", ""]["value"] == 0
    assert found["ece", "en"]["value"] == pytest.approx(0.1) and found["brier", "ar"]["value"] == pytest.approx(0.16)
    assert subsets(frame([(True, False, 0.9, 0.4)]), 1, draws=3)["clcs"].tolist() == [0, 0, 0]


def test_what_is_no_measure_is_refused_in_one_line():
    good = random_pairs(5)
    cases = [
        (good.drop(columns="ar_confidence"), "ar_confidence"),
        (good.iloc[:0], "no pairs"),
        (pd.concat([good, good.iloc[:1]]), "'p0' occurs twice"),
        (good.assign(en_confidence=[0.5, 0.5, np.nan, 0.5, 0.5]), "English en_confidence of pair 'p2' is nan"),
        (good.assign(ar_confidence=1.5), "Arabic ar_confidence of pair 'p0' is 1.5, not a probability"),
        (good.assign(en_correct=[1, 0, 2, 1, 0]), "pair 'p2' is 2, not 0 or 1"),
        (good.assign(en_correct="yes"), "not 0 or 1"),
    ]
    for pairs, message in cases:
        for function in (behaviour, accuracy, clcs, lambda pairs: subsets(pairs, 1)):
            with pytest.raises(UserError, match=message) as fault:
                function(pairs)
            assert "\n" not in str(fault.value)
    for function in (ece, smooth_ece, brier):
        for confidence, correct in (([np.nan], [1]), ([], []), ([0.5, 0.5], [1]), ([1.2], [1]), ([0.5], [0.5])):
            with pytest.raises(UserError):
                function(confidence, correct)
    with pytest.raises(UserError, match="resamples"):
        behaviour(good, resamples=0)


@pytest.mark.parametrize("size", [15, 30])
def test_subsets_are_draws_without_replacement(size):
    pairs, draws = random_pairs(320, seed=8), 20_000
    found = subsets(pairs, size, draws=draws)
    assert list(found.columns) == ["acc_en", "acc_ar", "lpg", "clcs"] and len(found) == draws
    right = int(pairs["en_correct"].sum())
    counts = (found["acc_en"] * size).round().astype(int)
    exact = hypergeom(320, right, size)
    assert counts.mean() == pytest.approx(exact.mean(), abs=5 * exact.std() / draws**0.5)
    assert counts.var() == pytest.approx(exact.var(), rel=0.06)
    assert (found["acc_en"] - found["acc_ar"] - found["lpg"]).abs().max() < 1e-12
    assert found["clcs"].mean() == pytest.approx(clcs(pairs)["clcs"], abs=0.005)
    delta = pairs["en_correct"].astype(int) - pairs["ar_correct"].astype(int)
    spread = delta.var() / size * (1 - size / 320)  # of a mean of a sample without replacement
    assert found["lpg"].var() == pytest.approx(spread, rel=0.06)
    assert subsets(pairs, size, draws=50, seed=4).equals(subsets(pairs, size, draws=50, seed=4))


def test_a_subset_of_all_pairs_is_all_pairs():
    pairs = random_pairs(33)
    found = subsets(pairs, 33, draws=4)
    assert (found["lpg"] - lpg(pairs)).abs().max() < 1e-12 and (found["clcs"] == clcs(pairs)["clcs"]).all()
    for size in (0, 34):
        with pytest.raises(UserError, match="33"):
            subsets(pairs, size)


def test_items_of_a_record_are_the_pairs_again(tmp_path):
    from llmini.measure.outcomes import COLUMNS
    from llmini.records import Record, read_all

    pairs = random_pairs(12).assign(category=["reasoning", "gcc"] * 6)
    record = Record("pocket", "kd", "some_model", "base-behaviour", "base")
    record.add_items(items(pairs, "pairs"))
    record.write(tmp_path)
    _, found, _ = read_all([tmp_path])
    assert list(found.columns) == [*COLUMNS, "confidence", "run_id"] and len(found) == 24
    assert set(found["benchmark"]) == {"pairs"} and found["choice"].isna().all()
    for code, part in found.groupby("language"):
        assert part["item_id"].tolist() == pairs["item"].tolist()
        assert part["task"].tolist() == pairs["category"].tolist()
        assert part["correct"].tolist() == pairs[f"{code}_correct"].tolist()
        assert part["confidence"].tolist() == pairs[f"{code}_confidence"].tolist()


def test_ten_thousand_resamples_take_about_a_second():
    pairs = random_pairs(320)
    started = time.process_time()  # of this process: the machine may be busy
    behaviour(pairs, resamples=10_000)
    assert time.process_time() - started < 4


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 320])
@pytest.mark.parametrize("bend", [0.0, 0.25])
def test_intervals_of_calibration_errors_cover(n, bend):
    """Calibrated or overconfident answers drawn again and again; the truth is the error of 400,000 of them."""
    draw = np.random.default_rng(n)

    def sample(size):
        confidence = 0.25 + 0.75 * draw.beta(4, 2, size)
        return confidence, draw.random(size) < np.clip(confidence - bend, 0, 1)

    many = sample(400_000)
    truth = {"ece": 0.0, "ece_smooth": 0.0} if not bend else {"ece": ece(*many), "ece_smooth": smooth_ece(*many)}
    hits, trials = dict.fromkeys(truth, 0), 100
    for seed in range(trials):
        (sure_en, en), (sure_ar, ar) = sample(n), sample(n)
        found = by_metric(behaviour(frame(list(zip(en, ar, sure_en, sure_ar, strict=True))), seed=seed, resamples=600))
        for metric, value in truth.items():
            row = found[metric, "en"]
            hits[metric] += row["low"] <= value <= row["high"]
    assert min(hits.values()) >= 0.88 * trials, hits

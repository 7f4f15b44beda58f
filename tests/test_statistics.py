"""Against scipy and statsmodels, and by properties that hold for any outcomes."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llmini.measure.statistics import holm, mcnemar, paired_bootstrap, wilson

outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(outcomes)
def test_mcnemar_is_the_exact_binomial_test(pairs):
    first, second = np.array(pairs).T
    got = mcnemar(first, second)
    b, c = got["only_first"], got["only_second"]
    assert b == sum(x and not y for x, y in pairs) and c == sum(y and not x for x, y in pairs)
    reference = stats.binomtest(min(b, c), b + c, 0.5).pvalue if b + c else 1.0
    assert got["p"] == pytest.approx(reference, rel=1e-9)
    swapped = mcnemar(second, first)
    assert swapped["p"] == got["p"] and swapped["only_first"] == c


def test_mcnemar_agrees_with_statsmodels_and_stays_exact_at_size():
    contingency_tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    table = [[101, 59], [33, 33]]
    first, second = _outcomes(table)
    assert mcnemar(first, second)["p"] == pytest.approx(contingency_tables.mcnemar(table, exact=True).pvalue)
    first, second = _outcomes([[7000, 2200], [2000, 3000]])
    assert mcnemar(first, second)["p"] == pytest.approx(stats.binomtest(2000, 4200).pvalue, rel=1e-8)


def _outcomes(table):
    (both, one), (other, none) = table
    first = [1] * both + [1] * one + [0] * other + [0] * none
    second = [1] * both + [0] * one + [1] * other + [0] * none
    return first, second


@pytest.mark.parametrize("first, second", [([1, 0], [1]), ([2, 0], [1, 0]), ([[1]], [[1]]), ([np.nan], [1])])
def test_mcnemar_refuses_what_is_not_paired_outcomes(first, second):
    with pytest.raises(ValueError):
        mcnemar(first, second)


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=1, max_size=60), st.integers(0, 9))
@settings(max_examples=40)
def test_bootstrap_brackets_are_ordered_and_antisymmetric(pairs, seed):
    first, second = np.array(pairs).T
    got = paired_bootstrap(first, second, resamples=400, seed=seed)
    assert got["diff"] == pytest.approx((second - first).mean(), abs=1e-12)
    assert got["low"] <= got["high"]
    delta = second - first
    assert delta.min() - 1e-9 <= got["low"] and got["high"] <= delta.max() + 1e-9
    assert paired_bootstrap(first, first, resamples=50)["high"] == 0


def test_bootstrap_agrees_with_scipy_for_numbers_and_for_outcomes():
    rng = np.random.default_rng(1)
    for a, b in [(rng.normal(size=150), rng.normal(0.3, 1, size=150)),
                 (rng.random(150) < 0.6, rng.random(150) < 0.7)]:  # fmt: skip
        a, b = a.astype(float), b.astype(float)
        got = paired_bootstrap(a, b, resamples=20_000)
        reference = stats.bootstrap((a, b), lambda x, y: y.mean() - x.mean(), paired=True, vectorized=False,
                                    method="percentile", n_resamples=4000, rng=2).confidence_interval  # fmt: skip
        assert [got["low"], got["high"]] == pytest.approx(list(reference), abs=0.02)
        assert got["stderr"] == pytest.approx((b - a).std(ddof=1) / np.sqrt(150), rel=0.05)


def test_clusters_of_copies_count_as_one_item_each():
    rng = np.random.default_rng(0)
    a, b = (rng.random(40) < 0.5).astype(float), (rng.random(40) < 0.5).astype(float)
    copies, names = np.repeat(np.arange(40), 5), np.repeat([f"fact {i}" for i in range(40)], 5)
    plain = paired_bootstrap(a, b, resamples=20_000)
    clustered = paired_bootstrap(a[copies], b[copies], clusters=names, resamples=20_000)
    naive = paired_bootstrap(a[copies], b[copies], resamples=20_000)
    assert clustered["stderr"] == pytest.approx(plain["stderr"], rel=0.05)
    assert naive["stderr"] < 0.6 * clustered["stderr"]


def test_clusters_of_unequal_size_use_the_ratio_of_sums():
    rng = np.random.default_rng(3)
    clusters = np.repeat(np.arange(90), rng.integers(1, 9, size=90))
    a = rng.normal(size=clusters.size)
    b = a + rng.normal(size=90)[clusters]
    sums, counts = np.bincount(clusters, weights=b - a), np.bincount(clusters)
    picked = rng.integers(90, size=(20_000, 90))
    reference = np.quantile(sums[picked].sum(1) / counts[picked].sum(1), [0.025, 0.975])
    got = paired_bootstrap(a, b, clusters=clusters, resamples=20_000)
    assert [got["low"], got["high"]] == pytest.approx(list(reference), abs=0.03)


def test_strata_average_their_means_unweighted():
    a = np.zeros(110)
    b = np.r_[np.ones(10), np.zeros(100)]
    tasks = np.r_[np.zeros(10), np.ones(100)]
    got = paired_bootstrap(a, b, strata=tasks, resamples=100)
    assert got["diff"] == 0.5 and got["low"] == got["high"] == 0.5


def test_bootstrap_coverage_is_near_nominal():
    rng, hits = np.random.default_rng(5), 0
    for trial in range(300):
        a = (rng.random(150) < 0.6).astype(float)
        b = np.where(rng.random(150) < 0.8, a, (rng.random(150) < 0.5).astype(float))
        got = paired_bootstrap(a, b, resamples=1000, seed=trial)
        hits += got["low"] <= 0.2 * (0.5 - 0.6) <= got["high"]
    assert 0.90 <= hits / 300 <= 0.985


def test_bootstrap_is_fast_at_the_size_of_arabicmmlu():
    rng = np.random.default_rng(0)
    a, b = (rng.random(14_575) < 0.6).astype(float), (rng.random(14_575) < 0.6).astype(float)
    started = time.perf_counter()
    paired_bootstrap(a, b)
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("faulty", [
    lambda: paired_bootstrap([], []),
    lambda: paired_bootstrap([1, 2], [1]),
    lambda: paired_bootstrap([1, np.inf], [1, 0]),
    lambda: paired_bootstrap([1, 2], [1, 2], clusters=[1]),
    lambda: paired_bootstrap([1, 2], [1, 2], resamples=0),
    lambda: paired_bootstrap([1, 2], [1, 2], confidence=1),
    lambda: holm([0.5, 1.5]),
    lambda: wilson(3, 2),
    lambda: wilson(-1, 2),
])  # fmt: skip
def test_bad_values_are_refused(faulty):
    with pytest.raises(ValueError):
        faulty()


@given(p_values)
def test_holm_agrees_with_statsmodels(p):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])
    assert (holm(p) >= np.array(p) - 1e-15).all()


def test_holm_leaves_gaps_alone():
    got = holm([[0.01, np.nan], [0.04, 0.03]])
    assert got[0, 0] == pytest.approx(0.03) and np.isnan(got[0, 1])
    assert got[1].tolist() == pytest.approx([0.06, 0.06])
    assert holm([]).shape == (0,)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_agrees_with_scipy(counts, confidence):
    k, n = counts
    reference = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert wilson(k, n, confidence) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_wilson_takes_arrays_and_no_items():
    low, high = wilson([0, 5, 10], 10)
    assert low[0] == 0 and high[2] == 1 and (low < high).all()
    assert wilson(0, 0) == (0.0, 1.0)

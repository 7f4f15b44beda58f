"""Finding runs and cells in a results table, and the paired statistics over its items."""

import math

import numpy
import pandas
import pytest

from llmini.records import COLUMNS
from llmini.report import measured, paired, retention
from llmini.settings import UserError
from reporting import nothing, results, runs, tables


@pytest.fixture(scope="module")
def found():
    return results()


def test_every_run_of_the_grid_is_found_by_its_options(found):
    for run in runs():
        options = run.options
        name = found.run(run.model, run.method, sparsity=options.get("sparsity"), seed=options.get("seed"),
                         mask=options.get("mask_structure", "0:0"), outliers=options.get("outliers", False),
                         calibration=options.get("calibration_language", "en"))  # fmt: skip
        if run.method == "dense":
            assert found.runs.at[name, "method"] == "dense" and found.runs.at[name, "model"] == run.model
        else:
            assert name == run.run_id


def test_variants_alone_say_the_same_as_params(found):
    rows, _ = tables(2)
    bare = measured.build(rows.assign(params="{}"))
    columns = ["sparsity", "mask", "seed", "outliers"]
    assert bare.runs[columns].equals(found.runs[columns])


def test_defaults_are_the_studys(found):
    assert found.run("allam_7b", "sparsegpt") == "pocket-prune-allam_7b-sparsegpt-50"
    assert found.run("allam_7b", "w4a16") == "pocket-quant-allam_7b-w4a16"
    assert found.run("gemma3_12b", "w4a16") is None


def test_a_run_is_held_against_its_own_baseline(found):
    assert found.dense("pocket-prune-allam_7b-wanda-50") == "pocket-prune-allam_7b-dense"
    assert found.dense("pocket-quant-qwen3_8b-int8") == "pocket-quant-qwen3_8b-dense"
    assert found.dense("pocket-prune-allam_7b-wanda-50-outliers") == "pocket-prune-allam_7b-dense-outliers"
    assert found.dense("no-such-run") is None


def test_accuracies_are_percent_whatever_the_unit():
    rows, _ = tables(4)
    percent = rows.copy()
    share = percent["metric"].isin(["acc", "acc_norm", "exact_match"])
    percent.loc[share, "value"] *= 100
    percent.loc[share, "unit"] = "percent"
    run = "pocket-quant-allam_7b-int8"
    assert measured.build(rows).mean(run, "ar").value == pytest.approx(measured.build(percent).mean(run, "ar").value)


def test_the_full_tiers_names_are_found_too():
    row = dict.fromkeys(COLUMNS, "") | {"tier": "full", "family": "quant", "model": "allam_7b", "method": "dense"}
    row |= {"variant": "dense", "params": "{}", "run_id": "r", "stderr": None, "n": 3}
    rows = pandas.DataFrame([
        {**row, "metric": "acc", "benchmark": "arabicmmlu", "task": "mean", "language": "ar", "value": 0.7},
        {**row, "metric": "perplexity", "benchmark": "wikitext2", "language": "en", "value": 6.0},
        {**row, "metric": "perplexity", "benchmark": "wikitext2_first2048", "language": "en", "value": 4.75},
    ], columns=COLUMNS)  # fmt: skip
    found = measured.build(rows, tier="full")
    assert found.mean("r", "ar").value == pytest.approx(70)
    assert found.perplexity("r", "en").value == 6.0 and found.perplexity("r", "en", "first").value == 4.75
    assert math.isnan(found.perplexity("r", "ar").value)


def test_round_trip_through_files(tmp_path):
    rows, items = tables(4)
    rows.to_csv(tmp_path / "pocket.csv", index=False)
    items.astype({"run_id": "category", "task": "category", "cluster": "category"}).to_parquet(
        tmp_path / "pocket_items.parquet"
    )
    found, direct = measured.load(tmp_path), measured.build(rows, items)
    run = "pocket-quant-allam_7b-w4a16"
    assert found.runs.equals(direct.runs)
    assert paired.damage(found, run, "ar") == paired.damage(direct, run, "ar")


def test_a_missing_folder_is_an_empty_table(tmp_path):
    found = measured.load(tmp_path / "nowhere")
    assert found.rows.empty and found.runs.empty and found.models() == []


def test_a_file_that_is_no_results_table_is_refused(tmp_path):
    (tmp_path / "pocket.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="lacks the column 'tier'"):
        measured.load(tmp_path)


def test_damage_is_the_difference_of_the_means(found):
    run = "pocket-quant-allam_7b-int4"
    for code in ("ar", "en"):
        cell = paired.damage(found, run, code)
        means = found.mean(run, code).value - found.mean(found.dense(run), code).value
        assert cell["diff"] == pytest.approx(means) and cell["low"] <= means <= cell["high"]
        assert cell["only_run"] - cell["only_dense"] == pytest.approx(means * cell["n"] / 100)


def test_gsm8k_is_left_out_of_the_english_mean(found):
    part = paired.outcomes(found, ["pocket-quant-allam_7b-dense"], "en")
    assert "gsm8k" not in part.task and part.right.shape == (150, 1)
    assert part.means()[0] == pytest.approx(found.mean("pocket-quant-allam_7b-dense", "en").value)


def test_intervals_have_the_width_that_theory_gives(found):
    """One model's mean over n independent clusters: the bootstrap's spread is the standard error."""
    part = paired.outcomes(found, ["pocket-quant-allam_7b-dense"], "ar")
    groups = pandas.DataFrame({"task": part.task, "cluster": part.cluster, "right": part.right[:, 0]})
    means = groups.groupby(["task", "cluster"])["right"].mean()
    variance = sum(own.var(ddof=0) / len(own) for _, own in means.groupby("task")) / means.groupby("task").ngroups ** 2
    assert part.draws(8000).std() == pytest.approx(100 * math.sqrt(variance), rel=0.06)


def test_items_that_one_run_lacks_do_not_count():
    rows, items = tables(6)
    run = "pocket-quant-allam_7b-int8"
    short = items[~((items["run_id"] == run) & (items["item_id"] == "stem-0"))]
    assert paired.outcomes(measured.build(rows, short), ["pocket-quant-allam_7b-dense", run], "ar").right.shape[0] == 29


def test_items_without_a_cluster_stand_alone():
    rows, items = tables(6)
    part = paired.outcomes(measured.build(rows, items.assign(cluster=None)), ["pocket-quant-allam_7b-dense"], "ar")
    assert len(numpy.unique(part.cluster)) == 30


def test_gap_is_arabic_loss_minus_english_loss(found):
    run = "pocket-prune-allam_7b-wanda-50"
    cell = paired.gap(found, run)
    lost = {code: -paired.damage(found, run, code)["diff"] for code in ("ar", "en")}
    assert cell["value"] == pytest.approx(lost["ar"] - lost["en"])
    assert cell["low"] < cell["value"] < cell["high"]


def test_no_change_is_no_damage(found):
    run = "pocket-prune-allam_7b-dense"
    assert paired.damage(found, run, "ar")["p"] == 1.0
    assert paired.retention(found, run, "en") == pytest.approx({"value": 100, "low": 100, "high": 100}, abs=1e-9)


def test_retention_of_a_run_is_that_of_its_means(found):
    run = "pocket-quant-allam_7b-w4a16"
    cell = retention.of(found, run)
    scores, dense = ([found.mean(name, code).value for code in ("ar", "en")] for name in (run, found.dense(run)))
    assert cell["ratio_of_sums"] == pytest.approx(100 * sum(scores) / sum(dense))
    assert cell["mean_of_ratios"] == pytest.approx(50 * (scores[0] / dense[0] + scores[1] / dense[1]))


def test_nothing_measured_gives_nan_everywhere():
    empty = nothing()
    assert math.isnan(paired.retention(empty, "x", "ar")["value"]) and math.isnan(paired.gap(empty, "x")["value"])
    assert math.isnan(paired.damage(empty, "x", "en")["p"]) and math.isnan(retention.of(empty, None)["ar"])

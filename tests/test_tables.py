"""The study's tables rebuilt, the comparison tables, and their plain HTML."""

import dataclasses
import math
from html.parser import HTMLParser

import pytest

from llmini.report import comparisons, display, labels, measured, orderings, reported, tables
from reporting import nothing, results
from reporting import tables as made

STUDY = (
    "table_2",
    "table_6",
    "table_7",
    "table_8",
    "table_9",
    "table_10",
    "table_11",
    "table_20",
    "table_21",
    "table_22",
)
OWN = ("paired_table", "gap_table", "goal_table", "calibration_table", "divergence_table", "cost_table")
MEASURED = "Measured, pocket tier"


@pytest.fixture(scope="module")
def found():
    return results()


def built(name, found):
    return getattr(tables if name in STUDY else comparisons, name)(found)


class Grid(HTMLParser):
    """Cells per row of an HTML table, spans counted; raises on an unbalanced tag."""

    def __init__(self, text):
        super().__init__()
        self.open, self.widths, self.spans = [], [], {}
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        values = dict(attrs)
        if tag == "tr":
            self.widths.append(self.spans.pop(len(self.widths), 0))
        if tag in ("td", "th"):
            width = int(values.get("colspan", 1))
            self.widths[-1] += width
            for below in range(1, int(values.get("rowspan", 1))):
                row = len(self.widths) - 1 + below
                self.spans[row] = self.spans.get(row, 0) + width

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", STUDY + OWN)
def test_every_table_is_a_whole_grid_in_plain_html(name, found):
    text = display.to_html(built(name, found))
    grid = Grid(text)
    assert len(grid.widths) > 2 and len(set(grid.widths)) == 1
    assert "style=" not in text and "class=" not in text and "nan" not in text.lower()


@pytest.mark.parametrize("name", STUDY + OWN)
def test_no_table_fails_on_an_empty_table(name):
    shown = display.show(built(name, nothing()))
    # Table 2 describes the shipped weights, which are there whether or not anything was measured.
    assert ("2,048" if name == "table_2" else "not measured") in shown.html


@pytest.mark.parametrize("name, method, column, value", [
    ("table_6", "INT4 (NF4)", "size, GB", 4.37), ("table_7", "W8A16", "WikiText-2 (en)", 4.74),
    ("table_8", "W4A16 (GPTQ)", "kept, ar", 95.2911), ("table_8", "W4A16 (GPTQ)", "average 1", 93.3376),
])  # fmt: skip
def test_reported_columns_hold_the_printed_numbers(found, name, method, column, value):
    table = built(name, found).xs(method, level="method")
    assert table[("Reported", column)].iloc[0] == pytest.approx(value, abs=1e-3)


def test_measured_columns_hold_the_measured_numbers(found):
    run = found.run("allam_7b", "int4")
    row = tables.table_8(found).xs("INT4 (NF4)", level="method").iloc[0]
    assert row[(MEASURED, "ar")] == pytest.approx(found.mean(run, "ar").value)
    size = tables.table_6(found).xs("INT4 (NF4)", level="method").iloc[0]
    assert size[(MEASURED, "on disk, MB")] == pytest.approx(found.cell(run, "size_disk").value / 1e6)
    assert size[(MEASURED, "ratio, on disk")] == pytest.approx(16 / 4.5)


def test_table_21_prints_the_studys_counts_to_the_last_weight(found):
    table = tables.table_21(found)
    for row in reported.load("table_21").itertuples():
        method = labels.method({"fp16": "dense"}.get(row.method, row.method))
        shown = table.loc[(labels.both(row.model, "pocket"), method), ("Reported", "nonzero")]
        assert f"printed {display.number(shown, 0)}" == row.note


def test_measured_counts_show_no_digit_that_the_results_table_rounded_away():
    rows, items = made(items_per_task=4)
    size = (rows["metric"] == "size_nonzero") & (rows["model"] == "allam_7b") & (rows["method"] == "dense")
    rows.loc[size, "value"] = 7_868_928.0  # what the shipped model has; the results table keeps six digits of it
    exact = tables.table_21(measured.build(rows, items))
    rows["value"] = [float(f"{value:.6g}") for value in rows["value"]]
    kept = tables.table_21(measured.build(rows, items))
    assert display.cells(kept) == display.cells(exact)
    assert "3,934.5" in display.to_html(kept)


def test_the_dense_counts_of_table_21_are_the_shipped_models_parameters():
    found = measured.load("data/results", "pocket")
    dense = tables.table_21(found).xs("Dense", level="method")
    shape = tables.table_2(found)[(MEASURED, "parameters")]
    counts = {name: dense[(MEASURED, "nonzero, thousands")][name] for name in shape.index}
    assert {name: f"{count:.1f}" for name, count in counts.items()} == {
        name: f"{number / 1e3:.1f}" for name, number in shape.items()}  # fmt: skip


def test_every_printed_score_of_tables_20_and_22_is_in_its_place(found):
    for number, models in ((20, ("allam_7b",)), (22, labels.STUDIED)):
        table, rows = getattr(tables, f"table_{number}")(found, models), reported.table(number)
        for row in rows.itertuples():
            line = table.loc[(labels.both(row.model, "pocket"), row.benchmark, row.task)]
            assert line[("Reported", labels.method(row.method, published=True))] == row.value


def test_a_pocket_model_never_bears_the_bare_name(found):
    for name in (*STUDY, *OWN):
        table = built(name, found)
        if "source" in table.index.names:
            table = table.loc[[key for key in table.index if key[0] != "Reported"]]
        for key in table.index:
            text = " ".join(key) if isinstance(key, tuple) else key
            assert "-class" in text or not any(label in text for label in ("ALLaM", "Qwen3", "Llama", "Gemma")), text


def test_missing_words_tell_reported_from_measured():
    row = {"a": "x", ("Reported", "v"): float("nan"), ("Measured, pocket tier", "v"): float("nan")}
    assert display.cells(display.frame([row], ["a"], "t")) == [["not reported", "not measured"]]


def test_a_method_that_the_study_lacks_is_not_reported(found):
    row = tables.table_11(found).xs("Magnitude", level="method").iloc[0]
    assert math.isnan(row[("Reported", "ar")]) and row[(MEASURED, "ar")] > 0
    assert "not reported" in display.to_html(tables.table_11(found))


@pytest.mark.parametrize("value, digits, text", [
    (3.14159, 2, "3.14"), (-0.004, 2, "0.00"), (-3.5, 1, "−3.5"), (1234567.0, 0, "1,234,567"), (0.0, 4, "0.0000"),
    (2e-7, 4, "2.0e-07"), (float("nan"), 2, "not measured"), (None, 2, "not measured"), ("met", 2, "met"),
    (True, 0, "yes"),
])  # fmt: skip
def test_numbers_are_written_plainly(value, digits, text):
    assert display.number(value, digits) == text


def test_names_are_escaped():
    table = display.frame([{"a": "<b>", "x": 1.0}], ["a"], "t & u")
    assert "&lt;b&gt;" in display.to_html(table) and "t &amp; u" in display.to_html(table)


def test_the_goal_is_checked_from_the_numbers(found):
    table = comparisons.goal_table(found)
    printed = table.xs("Reported", level="source").xs("ALLaM-7B", level="model")
    assert printed.loc["W4A16 (GPTQ)", "Arabic"] == printed.loc["W4A16 (GPTQ)", "English"] == "met"
    assert printed.loc["INT4", "Arabic"] == "met" and printed.loc["INT4", "English"] == "misses accuracy"
    assert printed.loc["INT8", "Arabic"] == "misses size"
    assert comparisons.meets(50.0, 85.0) == "met" and comparisons.meets(49.9, 84.9) == "misses size and accuracy"
    assert comparisons.meets(float("nan"), 90) == "not measured"


def test_holm_is_over_the_whole_table(found):
    table = comparisons.paired_table(found)
    p = [table[(name, "p")] for name in ("Arabic", "English")]
    adjusted = [table[(name, "p, Holm")] for name in ("Arabic", "English")]
    tests = 2 * len(table)
    smallest = min(float(part.min()) for part in p)
    assert min(float(part.min()) for part in adjusted) == pytest.approx(min(1.0, tests * smallest))
    assert all((after >= before).all() for before, after in zip(p, adjusted, strict=True))


VERDICTS = [
    (-3, 0.01, "worse"),
    (3, 0.01, "better"),
    (-3, 0.2, "no difference shown"),
    (1, float("nan"), "not measured"),
]


@pytest.mark.parametrize("difference, p, word", VERDICTS)
def test_verdicts(difference, p, word):
    assert comparisons.verdict(difference, p) == word


def test_orderings_hold_or_not_from_the_numbers(found):
    table = orderings.table(found).droplevel("kind")
    outcome = table[("Arabic", "outcome")]
    assert outcome["W4A16 is closer to dense than rounding to nearest"] == "holds"
    assert outcome["SparseGPT is closer to dense than Wanda, as trained"] == "holds"
    assert outcome["Wanda is closer to dense than magnitude, as trained"] == "does not hold"
    assert outcome["Wanda is closer to dense than magnitude, with outliers"] == "holds"
    assert set(orderings.table(nothing())[("English", "outcome")]) == {"not measured"}


def test_orderings_are_level_where_intervals_meet(found):
    runs = [found.run("allam_7b", method) for method in ("w4a16", "w4a16_rtn")]
    near = {"ar": (0.0102, 0.0101), "en": (0.0102, 0.0001)}
    cells = {key: cell._replace(value=near[key[-1]][runs.index(key[0])], stderr=0.0005)
             if key[0] in runs and key[1] == "kl_to_dense" and key[-1] in near else cell
             for key, cell in found.cells.items()}  # fmt: skip
    table = orderings.table(dataclasses.replace(found, cells=cells)).droplevel("kind")
    row = table.loc["W4A16 is closer to dense than rounding to nearest"]
    assert (row["Arabic", "outcome"], row["English", "outcome"]) == ("level", "does not hold")


def test_packed_weights_are_counted_as_weights():
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from llmini import models

    config = AutoConfig.from_pretrained(models.spec("acai", "pocket").source)
    del config.quantization_config
    with torch.device("meta"):
        whole = AutoModelForCausalLM.from_config(config).num_parameters()
    assert labels.model("acai", "pocket") == f"ACAI, {whole / 1e6:.1f} M"


def test_calibration_means_and_spreads_are_over_seeds(found):
    table = comparisons.calibration_table(found)
    row = table.loc[("W4A16 (GPTQ)", "Arabic")]
    values = [
        found.divergence(found.run("allam_7b", "w4a16", calibration="ar", seed=seed), "ar").value for seed in (0, 1)
    ]
    assert row[("Seeds", "seeds")] == 2 and row[("Arabic", "KL")] == pytest.approx(sum(values) / 2)


def test_a_gap_in_a_seed_leaves_no_mean_and_no_spread(found):
    cells = {key: cell for key, cell in found.cells.items() if (key[1], key[4]) != ("kl_to_dense", "ar")}
    table = comparisons.calibration_table(dataclasses.replace(found, cells=cells))
    row = table.loc[("W4A16 (GPTQ)", "Arabic")]
    assert math.isnan(row[("Arabic", "KL")]) and math.isnan(row[("Arabic", "s.d. KL")])
    assert not math.isnan(row[("English", "s.d. KL")])


def test_full_tier_sizes_are_in_the_studys_unit():
    assert tables.unit("full") == (2**30, "GB") and tables.unit("pocket") == (1e6, "MB")

"""The study's distillation tables, the claims with their verdicts, figures and answers, from a made-up table."""

import math
import re
import warnings

import matplotlib
import pytest
from matplotlib import font_manager
from matplotlib.text import Text

from llmini.report import (
    display,
    labels,
    learning_ablations,
    learning_answers,
    learning_claims,
    learning_curves,
    learning_figures,
    learning_paired,
    learning_runs,
    learning_tables,
    measured,
    reported,
    style,
)
from reporting import held_apart
from reporting_kd import STUDENT, nothing, results, tables
from test_tables import Grid

TABLES = [*(getattr(learning_tables, f"table_{number}") for number in (3, 4, 12, 15, 16, 17)),
          learning_ablations.table_18, learning_ablations.table_23, learning_ablations.ablation_table,
          learning_ablations.preset_table, learning_claims.table]  # fmt: skip
FIGURES = [learning_figures.comparison, learning_figures.thresholds, learning_figures.ablations,
           learning_curves.subset_figure]  # fmt: skip
ANSWERS = [learning_answers.answer, learning_answers.behaviour_answer, learning_answers.ablations,
           learning_answers.verdicts]  # fmt: skip
HERE = "Measured, pocket tier"
BY_NAME = {"ids": lambda made: made.__name__}


@pytest.fixture(scope="module")
def found():
    return results()


@pytest.mark.parametrize("build", TABLES, **BY_NAME)
def test_every_table_is_a_whole_grid_in_plain_html(build, found):
    text = display.to_html(build(found))
    grid = Grid(text)
    assert len(grid.widths) > 2 and len(set(grid.widths)) == 1
    assert "style=" not in text and not re.search(r"\bnan\b", text.lower())


@pytest.mark.parametrize("build", TABLES, **BY_NAME)
def test_no_table_fails_where_nothing_was_distilled(build):
    shown = display.show(build(nothing())).html
    # Table 4 counts the prompts, which are there whether or not anyone learned from them.
    assert ("2,000" if build.__name__ == "table_4" else "not run" if build.__name__ == "table_3" else
            "not measured") in shown  # fmt: skip
    assert not re.search(r"\bnan\b", shown.lower())


@pytest.mark.parametrize("number, build, columns", [
    (12, learning_tables.table_12, {"mmlu": "MMLU, en", "arabic_mmlu": "ArabicMMLU, ar", "gsm8k": "GSM8K, en"}),
    (16, learning_tables.table_16, {"perplexity": "perplexity", "average_nll": "mean NLL"}),
])  # fmt: skip
def test_printed_numbers_stand_in_their_places(found, number, build, columns):
    table = build(found)
    for row in reported.load(f"table_{number}").itertuples():
        name = columns[row.benchmark if number == 12 else row.metric]
        cell = table.loc[labels.method(row.method), ("Reported", name)]
        assert cell == row.value or (math.isnan(cell) and math.isnan(row.value))


def test_every_printed_cell_of_tables_15_17_and_23_is_there(found):
    words = {"accuracy": "{}, %", "accuracy_mean": "{}, %", "lpg": "LPG", "lpg_mean": "LPG", "clcs": "CLCS, %",
             "ece": "ECE, ar", "confidence_gap": "confidence gap"}  # fmt: skip
    for number, build in ((15, learning_tables.table_15), (17, learning_tables.table_17)):
        table = build(found)
        for row in reported.load(f"table_{number}").itertuples():
            name = words[row.metric].format(row.language.upper())
            assert table.loc[labels.method(row.method), ("Reported", name)] == row.value
    rows = reported.load("table_23")
    printed = rows[rows["method"].isin(labels.STAGES)]["value"].dropna()
    table = learning_ablations.table_23(found)["Reported"]
    assert sorted(printed) == sorted(value for value in table.to_numpy().ravel() if not math.isnan(value))


def test_measured_cells_are_means_over_the_seeds(found):
    runs = learning_runs.find(found, "token_kd").values()
    row = learning_tables.table_12(found).loc["Token-KD"]
    assert row[(HERE, "ArabicMMLU, ar")] == pytest.approx(sum(found.mean(run, "ar").value for run in runs) / 3)
    assert row[(HERE, "GSM8K, en")] == pytest.approx(
        sum(found.cell(run, "exact_match", "metabench", "gsm8k").value for run in runs) / 3)  # fmt: skip
    twins = [f"{run}-behaviour" for run in runs]
    values = [learning_paired.value(found, run, "lpg") for run in twins]
    seeds = learning_tables.table_17(found).loc["Token-KD"]
    assert seeds[(HERE, "LPG")] == pytest.approx(sum(values) / 3) and seeds[(HERE, "seeds")] == 3
    assert seeds[(HERE, "s.d. LPG")] == pytest.approx(learning_tables.spread(values))
    assert learning_tables.table_17(found).loc["Base", (HERE, "s.d. LPG")] == "–"


def test_table_15_gives_values_with_intervals_of_the_lowest_seed(found):
    cell = learning_paired.behaviour(found, f"pocket-kd-{STUDENT}-selectkd-behaviour")[("lpg", "")]
    assert learning_tables.table_15(found).loc["SelecTKD", (HERE, "LPG")] == display.span(cell)


def test_table_3_sets_recipes_beside_the_printed_settings(found):
    table = learning_tables.table_3(found)
    here = "Run here, pocket tier"
    assert table.loc["SelecTKD", ("Reported", "theta")] == "0.7"
    assert table.loc["SelecTKD", (here, "theta")] == f"{learning_runs.default(found, 'selectkd', 'theta'):g}"
    assert table.loc["SFT", ("Reported", "learning rate")] == "0.00002" and table.loc["SFT", (here, "T")] == "–"
    assert table.loc["SFT", (here, "learns")] == "reference answers"


def test_table_4_counts_every_prompt_once(found):
    table = learning_tables.table_4(found)
    here = table["Used here, pocket tier"].drop(columns="kinds")
    assert (here.drop("Total").sum() == here.loc["Total"]).all()
    assert table.loc["Total", ("Reported", "prompts")] == 14927
    from llmini.train import prompts

    assert here.loc["Total"].sum() == sum(len(prompts.load("pocket", split)) for split in ("gold", "distill"))
    assert learning_tables.corpus("full")["gold"]["tatsu-lab/alpaca", ""] == 2499


def test_table_18_has_every_printed_theta_and_every_measured_one(found):
    table = learning_ablations.table_18(found)
    assert list(table.index) == ["0", "0.5", "0.7", "0.9"]
    assert table.loc["0.7", ("Reported", "kept, ar, %")] == 7.41 and table.loc["0.7", ("Reported", "LPG")] == 0
    assert table.loc["0.9", (HERE, "kept, ar, %")] == pytest.approx(11)
    run = learning_runs.find(found, "selectkd", theta=0.5)[0]
    assert table.loc["0.5", (HERE, "accuracy, ar, %")] == found.mean(run, "ar").value


def test_rules_are_held_against_random_and_values_against_the_main_run(found):
    table = learning_ablations.ablation_table(found)
    assert table.loc[("SelecTKD, rule at equal share", "random"), "against, ar"] == "–"
    assert table.loc[("Token-KD, T", "2"), "against, en"] == "–"
    main, other = (learning_runs.find(found, "token_kd", **options)[0] for options in ({}, {"temperature": 4.0}))
    cell = learning_paired.scores(found, [(main, other)], "en")
    assert table.loc[("Token-KD, T", "4"), "against, en"] == display.span(cell, sign=True)


def cell(low, high):
    return {"value": (low + high) / 2, "low": low, "high": high}


@pytest.mark.parametrize("rule, low, high, verdict", [
    (learning_claims.rises, 0.1, 5, "confirmed"), (learning_claims.rises, -5, -0.1, "not confirmed"),
    (learning_claims.rises, -1, 3, "cannot be told at this size"), (learning_claims.falls, -5, -0.1, "confirmed"),
    (learning_claims.falls, 0.1, 5, "not confirmed"), (learning_claims.falls, -5, 0, "cannot be told at this size"),
    (learning_claims.same, -1, 2, "confirmed"), (learning_claims.same, 2, 9, "not confirmed"),
    (learning_claims.same, -1, 9, "cannot be told at this size"), (learning_claims.keeps, -3, 40, "confirmed"),
    (learning_claims.keeps, -9, -0.1, "not confirmed"), (learning_claims.keeps, -9, 1, "cannot be told at this size"),
    (learning_claims.rises, math.nan, math.nan, "not measured"),
    (learning_claims.same, math.nan, math.nan, "not measured"),
])  # fmt: skip
def test_verdicts_are_read_off_the_interval(rule, low, high, verdict):
    assert rule(cell(low, high)) == verdict


def test_a_claim_stands_and_falls_with_its_parts():
    def claim(*verdicts):
        return learning_claims.Claim("", "", "", "", [learning_claims.Part(word, word) for word in verdicts]).verdict

    yes, no, open_, absent = (getattr(learning_claims, name) for name in ("CONFIRMED", "REFUTED", "UNKNOWN", "ABSENT"))
    assert claim(yes, yes) == yes and claim(yes, open_) == open_ and claim(open_, no, absent) == no
    assert claim(yes, absent) == absent
    floor = learning_claims.FLOOR
    assert claim(floor) == claim(floor, learning_claims.ASIDE) == floor  # nothing to lose decides only by itself
    assert claim(floor, yes) == yes and claim(floor, no) == no and claim() == yes


def test_verdicts_follow_from_the_table(found):
    table = learning_claims.table(found).droplevel("by")["verdict"]
    assert table["SelecTKD answers more of the Arabic pairs"] == "confirmed"  # made to be so
    assert table["SelecTKD lowers ArabicMMLU"] == table["Token-KD equals the base"] == "not confirmed"
    assert table["A lower threshold keeps more tokens"] == "confirmed"
    assert table["Another seed changes nothing"] == "not confirmed"
    assert table["Seq-KD is better than SFT that goes on for as many steps"] == "confirmed"
    assert set(learning_claims.table(nothing())["verdict"]) == {"not measured"}


def test_a_kept_share_that_grows_with_theta_is_contradicted():
    rows, items = tables(pairs=40, items_per_task=6)
    run = f"pocket-kd-{STUDENT}-selectkd-theta0.9-behaviour"
    rows.loc[(rows["run_id"] == run) & (rows["metric"] == "selected_share"), "value"] = 0.99
    odd = learning_claims.table(measured.build(rows, items, families=("kd",))).droplevel("by")
    assert odd.loc["A lower threshold keeps more tokens", "verdict"] == "not confirmed"


@pytest.mark.parametrize("answer", ANSWERS, **BY_NAME)
def test_each_answer_is_said_in_both_languages(answer, found):
    shown = answer(found)
    english, arabic = shown.text.split("\n")
    for text in (english, re.sub("<[^>]+>", "", arabic)):
        assert 2 <= len(re.findall(r"(?<!s[.]d)[.](?= |$)", text)) <= 4, text
        assert not re.search(r"\bnan\b|not measured|غير مقيس", text)
    outside = re.sub("<bdi>.*?</bdi>", "", arabic)
    assert not re.search("[A-Za-z−]", outside) and 'dir="rtl"' in shown.html


@pytest.mark.parametrize("answer", ANSWERS, **BY_NAME)
def test_nothing_distilled_is_said_so(answer):
    assert answer(nothing()).text.startswith("Not measured.")


def test_the_answer_names_the_best_stage_and_what_the_teacher_adds(found):
    text = learning_answers.answer(found).text
    assert "The best stage by the mean of both languages is SelecTKD" in text
    assert "moves under Seq-KD +" in text and "above zero" in text
    assert "; Token-KD (one seed) +" in text
    core = learning_answers.answer(results(core=True)).text
    assert "Token-KD +" not in core  # its control was not run


def test_counts_of_verdicts_are_the_tables(found):
    table = learning_claims.table(found).xs("The study", level="by")["verdict"].value_counts()
    text = learning_answers.verdicts(found).text
    assert f"confirmed: {table['confirmed']}, not confirmed: {table['not confirmed']}" in text


def test_hardly_moved_perplexity_is_told_of_every_stage(found):
    """Also of the stage that did not decide the verdict."""
    claim = "Token-KD and SelecTKD hardly move perplexity"
    told = learning_claims.table(found).droplevel("by").loc[claim, "measured here"]
    text = learning_answers.verdicts(found).text
    sentence = text[text.index(f"{claim} [") :].split("]")[0]
    for stage in ("token_kd", "selectkd"):
        pairs = learning_runs.facing(*(learning_runs.find(found, name) for name in ("base", stage)))
        for code in labels.SUITES:
            moves = [100 * (found.perplexity(run, code).value / found.perplexity(base, code).value - 1)
                     for base, run in pairs]  # fmt: skip
            words = f"{labels.method(stage)}, {labels.LANGUAGES[code]} {display.signed(max(moves, key=abs))} %"
            assert words in told and words in sentence


def test_where_gsm8k_is_named_its_step_control_stands_beside(found):
    pair = [tuple(learning_runs.find(found, name)[0] for name in ("sft_control_4", "selectkd"))]
    cell = learning_paired.scores(found, pair, "gsm8k")
    words = f"against SFT control, 4 stages (one seed), {display.span(cell, sign=True)}"
    table = learning_claims.table(found).droplevel("by")
    assert words in table.loc["SelecTKD raises GSM8K", "measured here"]
    beyond = table.loc["SelecTKD raises GSM8K beyond SFT that goes on for as many steps"]
    assert beyond["verdict"] == learning_claims.rises(cell)
    text = learning_answers.verdicts(found).text
    assert "SelecTKD raises GSM8K [" not in text or words in text
    core = learning_claims.table(results(core=True)).droplevel("by")
    assert "its step control was not run" in core.loc["SelecTKD raises GSM8K", "measured here"]


def test_what_stands_beside_a_claim_decides_nothing():
    yes = learning_claims.Part("yes", learning_claims.CONFIRMED)
    aside = learning_claims.Part("so", learning_claims.ASIDE)
    claim = learning_claims.Claim("", "", "", "", [yes, aside])
    assert claim.verdict == learning_claims.CONFIRMED and claim.measured == "yes; so"


def words(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


@pytest.mark.parametrize("draw", FIGURES, **BY_NAME)
def test_every_letter_has_a_glyph_and_the_caption_names_the_tier(draw, found, tmp_path):
    figure = draw(found if draw in FIGURES[:3] else results(core=True))
    font = font_manager.get_font(font_manager.findfont("DejaVu Sans", fallback_to_default=False))
    letters = set("".join(words(figure))) - {"\n"}
    assert {letter for letter in letters if not font.get_char_index(ord(letter))} == set()
    assert any("\u0621" <= letter <= "\u064a" for letter in letters)
    assert any("pocket tier" in line.lower() for line in words(figure))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert style.save(figure, tmp_path, "figure").png[:4] == b"\x89PNG"


def test_the_same_numbers_give_the_same_bytes(found):
    first, second = (style.rendered(learning_figures.comparison(found), "png") for _ in range(2))
    assert first == second


@pytest.mark.parametrize("draw", FIGURES, **BY_NAME)
def test_figures_of_nothing_say_so(draw):
    assert any("not measured" in text for text in words(draw(nothing())))


@pytest.mark.parametrize("draw", FIGURES[:2], **BY_NAME)
def test_reported_points_are_hollow_and_share_no_axis_with_measured_ones(draw, found):
    kinds = []
    for axes in draw(found).axes:
        points = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
        if points:
            fills = {matplotlib.colors.to_hex(line.get_markerfacecolor()) == "#ffffff" for line in points}
            assert len(fills) == 1
            kinds.append((fills.pop(), axes))
    held_apart(kinds)


def test_every_seed_is_a_point_and_the_control_a_band(found):
    panel = learning_figures.comparison(found).axes[3]
    hue = style.COLOURS["seq_kd"]
    points = [line for line in panel.lines if matplotlib.colors.to_hex(line.get_markerfacecolor()) == hue.lower()
              and line.get_marker() == style.LANGUAGE_MARKERS["ar"]]  # fmt: skip
    runs = learning_runs.find(found, "seq_kd").values()
    assert sorted(line.get_xdata()[0] for line in points) == sorted(found.mean(run, "ar").value for run in runs)
    ends = [band.get_paths()[0].get_extents() for band in panel.collections]
    values = [found.mean(run, "ar").value for run in learning_runs.find(found, "sft_control").values()]
    assert any((end.x0, end.x1) == pytest.approx((min(values), max(values))) for end in ends)

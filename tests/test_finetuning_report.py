"""The study's fine-tuning tables, the claims with their verdicts, figures and answers, from a made-up table."""

import json
import math
import re

import matplotlib
import pandas
import pytest

import reporting
import test_learning_report as shared
from llmini.report import (
    display,
    finetuning_answers,
    finetuning_claims,
    finetuning_damage,
    finetuning_figures,
    finetuning_merge,
    finetuning_paired,
    finetuning_runs,
    finetuning_tables,
    reported,
    style,
)
from reporting import held_apart
from reporting_ft import Rule, build, compressed, merged, nothing, results, tables
from reporting_kd import tables as distilled
from test_tables import Grid

TABLES = [finetuning_tables.curriculum_table, finetuning_tables.table_13, finetuning_tables.table_14,
          finetuning_tables.table_19, finetuning_tables.table_23, finetuning_claims.table,
          finetuning_merge.translators_table, finetuning_merge.sweep_table]  # fmt: skip
COMPRESSION = [finetuning_damage.fundamentals_table, finetuning_damage.gulf_table]
FIGURES = [finetuning_figures.comparison, finetuning_figures.heat, finetuning_merge.sweep_figure]
ANSWERS = [finetuning_answers.answer, finetuning_answers.forgetting_answer, finetuning_answers.verdicts,
           finetuning_merge.sweep_answer]  # fmt: skip
HERE = "Measured, pocket tier"
BY_NAME = {"ids": lambda made: made.__name__}


@pytest.fixture(scope="module")
def found():
    return results()


@pytest.fixture(scope="module")
def core():
    """One seed, no ablation, nothing distilled."""
    return results(ablations=False, seeds="0", distilled=False)


@pytest.mark.parametrize("made", TABLES, **BY_NAME)
def test_every_table_is_a_whole_grid_whatever_was_measured(made, found, core):
    for own in (found, core, nothing(), build(*distilled(core=True, items_per_task=4, pairs=20))):
        text = display.to_html(made(own))
        assert len(set(Grid(text).widths)) == 1 and "style=" not in text and not re.search(r"\bnan\b", text.lower())
    assert ("not run" if made is TABLES[0] else "not measured") in display.show(made(nothing())).html


@pytest.mark.parametrize("number, made", [(19, finetuning_tables.table_19), (23, finetuning_tables.table_23)])
def test_every_printed_cell_of_tables_19_and_23_is_there(found, number, made):
    printed = reported.load(f"table_{number}")["value"].dropna()
    table = made(found)["Reported"]
    assert sorted(printed) == sorted(value for value in table.to_numpy().ravel() if not math.isnan(value))
    assert table.loc["MMLU, en", "FT-v1"] == 59.5 and table.loc["pairs, LPG", "FT-V2"] == 16.7


def test_every_printed_cell_of_tables_13_and_14_is_there(found):
    for number, made in ((13, finetuning_tables.table_13), (14, finetuning_tables.table_14)):
        rows = reported.load(f"table_{number}")
        printed = rows[rows["metric"] != "count"]["value"]
        table = made(found)["Reported"]
        assert sorted(printed) == sorted(value for value in table.to_numpy().ravel() if not math.isnan(value))
    assert finetuning_tables.table_14(found).loc["SelecTKD", ("Reported", "wrong script, %")] == 7.3


def test_measured_cells_are_means_over_the_seeds_and_tasks(found):
    own = finetuning_runs.joined(found)
    runs = finetuning_runs.after(found, "ft_v2").values()

    def mean(metric, benchmark, task):
        return sum(own.cell(run, metric, benchmark, task).value for run in runs) / 3

    names = (("acc", "dialect_id"), ("exact_match", "normalize"), ("acc", "code_switch"))
    three = [mean(metric, "dialect", task) for metric, task in names]
    table = finetuning_tables.table_19(found)[HERE]["FT-V2"]
    assert table["MMLU, en"] == pytest.approx(mean("acc", "metabench", "mmlu"))
    assert table["ArabicMMLU, ar"] == pytest.approx(mean("acc", "arabicmmlu", "mean"))
    assert table["Bahrain Corpus, all"] == pytest.approx(sum(three) / 3)
    assert table["Bahrain Corpus, to MSA"] == pytest.approx(three[1])
    assert table["AraDiCE Qatar, ar"] == pytest.approx(mean("acc", "dialect", "culture"))
    assert table["pairs, LPG"] == pytest.approx(100 * mean("lpg", "pairs", "mean"))
    assert table["perplexity"] == pytest.approx(mean("perplexity", "world_en", ""))
    row = finetuning_tables.table_14(found).loc["FT-V2"]
    assert row[(HERE, "mean")] == pytest.approx(sum(three) / 3) and row[(HERE, "seeds")] == 3
    assert row[(HERE, "to MSA, chrF")] == pytest.approx(mean("chrf", "dialect", "normalize"))
    assert (finetuning_tables.table_23(found)[HERE]["FT-V2"].dropna() == table.dropna()).all()


def test_a_distilled_stage_without_dialect_rows_is_not_measured_there(found):
    table = finetuning_tables.table_23(found)[HERE]
    assert math.isnan(table.loc["Bahrain Corpus, all", "Token-KD"]) and table.loc["ArabicMMLU, ar", "Token-KD"] > 0
    assert finetuning_tables.table_13(found).loc["Token-KD", (HERE, "against the base")] == "not measured"
    assert re.match(r"\+\d", finetuning_tables.table_13(found).loc["FT-v1", (HERE, "against the base")])


def test_the_curriculum_stands_beside_what_was_learned_here(found):
    table = finetuning_tables.curriculum_table(found)
    here = "Run here, pocket tier"
    first = table.iloc[0]
    assert first[("Reported", "samples")] == 99860 and first[("Reported", "learning rate")] == "0.0002"
    assert first[(here, "samples, FT-v1")] == 1601 and first[(here, "of them instructions")] == 800
    told = finetuning_runs.recipe("pocket", {"stage": 3})
    assert table.iloc[2][(here, "learning rate")] == f"{told.learning_rate:g}"
    assert "99,860" in display.show(table).html
    rates = table[("Reported", "learning rate")].astype(float)
    ours = table[(here, "learning rate")].astype(float)
    assert list(rates / rates.iloc[0]) == pytest.approx(list(ours / ours.iloc[0]))


def test_halas_numbers_stand_alone():
    table = finetuning_tables.hala_table()
    assert len(table) == len(reported.load("seed2_hala")) and not any("Measured" in str(name) for name in table)
    shown = display.show(table).text
    assert "7 to 9 B" in shown and "million-scale" in shown and not re.search(r"\bnan\b", shown)


def verdicts(rule, **options):
    rows, items, _ = tables(rule, ablations=False, count=150, pairs=4, **options)
    return finetuning_claims.table(build(rows, items)).droplevel("by")["verdict"]


@pytest.mark.parametrize("general, dialect, claim, verdict", [
    (-0.1, 0.0, "Dialect data alone (FT-v1) lowers analysis in English", "confirmed"),
    (0.1, 0.0, "Dialect data alone (FT-v1) lowers analysis in English", "not confirmed"),
    (0.0, 0.0, "Dialect data alone (FT-v1) lowers analysis in English", "cannot be told at this size"),
    (-0.1, 0.0, "Instruction data (FT-V2) wins analysis back", "confirmed"),
    (0.1, 0.0, "Instruction data (FT-V2) wins analysis back", "not confirmed"),
    (-0.1, -0.5, "Dialect data alone (FT-v1) lowers the Bahraini tasks", "confirmed"),
    (-0.1, 0.2, "Dialect data alone (FT-v1) lowers the Bahraini tasks", "not confirmed"),
    (-0.1, -0.5, "Arabic perplexity falls though the Bahraini scores fall", "confirmed"),
    (-0.1, -0.5, "Fine-tuning improves the Bahraini dialect", "not confirmed"),
    (0.0, 0.0, "Replay in stage 3 reduces the forgetting of stage 1", "not measured"),
])  # fmt: skip
def test_verdicts_follow_what_the_frames_were_made_to_say(general, dialect, claim, verdict):
    rule = Rule(general={"ft_v1": general, "ft_v2": 0.0}, dialect={"ft_v1": dialect})
    assert verdicts(rule)[claim] == verdict


@pytest.mark.parametrize("kept, verdict", [(0.2, "confirmed"), (-0.2, "not confirmed"),
                                           (0.0, "cannot be told at this size")])  # fmt: skip
def test_replay_is_judged_by_the_tasks_of_stage_1(kept, verdict):
    rows, items, _ = tables(Rule(fade=0.25, lift=0.4, replay=kept), seeds="0,1", count=100, pairs=4)
    table = finetuning_claims.table(build(rows, items)).droplevel("by")["verdict"]
    assert table["Replay in stage 3 reduces the forgetting of stage 1"] == verdict


def test_the_gap_is_held_against_the_base(found, core):
    table = finetuning_claims.table(found).droplevel("by")
    line = table.loc["Fine-tuning narrows the gap between the languages"]
    assert line["verdict"] == "confirmed" and line["reported"] == "LPG 23.4 to 6.7 and 16.7"
    assert re.search(r"\|LPG\|, FT-v1 −\d", line["measured here"])
    open_ = finetuning_claims.table(core).droplevel("by")["verdict"]
    assert open_["Fine-tuning narrows the gap between the languages"] == "not measured"  # the base was not asked


def test_perplexity_of_one_seed_decides_nothing(core):
    part = finetuning_claims.perplexity(finetuning_runs.joined(core), "ft_v1", "ar")
    assert part.verdict == "cannot be told at this size" and "one seed" in part.text
    assert set(finetuning_claims.table(nothing())["verdict"]) == {"not measured"}


@pytest.mark.parametrize("answer", ANSWERS, **BY_NAME)
def test_each_answer_is_said_in_both_languages(answer, found):
    shared.test_each_answer_is_said_in_both_languages(answer, found)
    assert answer(nothing()).text.startswith("Not measured.")


def test_the_answers_are_from_the_numbers(found, core):
    own = finetuning_runs.joined(found)
    cell = finetuning_paired.start(own, "ft_v1", finetuning_paired.GENERAL)
    text = finetuning_answers.answer(found).text
    assert f"general knowledge by {display.signed(cell['value'])} points" in text and "below zero" in text
    assert "With instruction data" in text and "dialect tasks fall" in text
    assert "No run without replay" in finetuning_answers.forgetting_answer(core).text
    table = finetuning_claims.table(found).xs("The study", level="by")["verdict"].value_counts()
    assert f"{table['confirmed']} confirmed, {table['not confirmed']} not confirmed" in finetuning_answers.verdicts(
        found).text  # fmt: skip


def test_an_answer_of_an_ablation_alone_names_it():
    rows, items, _ = tables(seeds="0", count=40, pairs=20)
    rows = rows[rows["variant"].str.contains("reversed|selectkd")]
    text = finetuning_answers.answer(build(rows, items)).text
    assert "FT-v1, stages reversed, after stage 3" in text and "الثالثة" in text


def test_compression_is_held_against_dense():
    found = compressed()
    run = found.run("allam_7b", "wanda")
    table = finetuning_damage.fundamentals_table(found).xs("Wanda", level="method").iloc[0]
    cells = [found.cell(run, "acc", "arabic_fundamentals", task).value for task in ("punctuation", "gec")]
    assert table[("punctuation", "accuracy, %")] == cells[0] and table[("both", "accuracy, %")] == sum(cells) / 2
    cell = finetuning_damage.lost(found, run)
    dense = [found.cell(found.dense(run), "acc", "arabic_fundamentals", task).value for task in ("punctuation", "gec")]
    assert cell["value"] == pytest.approx(sum(cells) / 2 - sum(dense) / 2) and cell["high"] < 0
    assert table[("both", "against dense")] == display.span(cell, sign=True)
    gulf = finetuning_damage.gulf_table(found).xs("Wanda", level="method").iloc[0]
    own, base = (found.cell(name, "perplexity", "world_gulf").value for name in (run, found.dense(run)))
    assert gulf[("Gulf Arabic", "over dense")] == pytest.approx(own / base)
    assert gulf[("Gulf Arabic", "KL")] == found.divergence(run, "gulf").value
    assert gulf[("Arabic", "KL")] == found.divergence(run, "ar").value
    text = finetuning_damage.gulf_answer(found).text
    assert "12 of 12 methods move Gulf Arabic" in text and not re.search(
        "[A-Za-z−]", re.sub("<bdi>.*?</bdi>", "", text.split("\n")[1]))  # fmt: skip


@pytest.mark.parametrize("made", COMPRESSION, **BY_NAME)
def test_compression_tables_say_what_was_not_measured(made):
    for own in (compressed(), reporting.results(), reporting.nothing()):
        text = display.to_html(made(own))
        assert len(set(Grid(text).widths)) <= 1 and not re.search(r"\bnan\b", text.lower())
    assert "not measured" in display.to_html(made(reporting.results()))
    assert finetuning_damage.gulf_answer(reporting.results()).text.startswith("Not measured.")


def test_what_is_zero_before_cannot_fall_or_be_won_back():
    """The start answers none of the dialect tasks: the study's claims on their loss are not confirmed, nor refuted."""
    rows, items, made = tables()
    kd = distilled(core=True)
    rows, items = (pandas.concat(pair, ignore_index=True) for pair in zip((rows, items), kd, strict=True))
    dialect = [skill.task for skill in finetuning_paired.GULF]
    for part, wrong, none in ((rows, "value", 0.0), (items, "correct", False)):
        early = part["run_id"].str.contains("selectkd|ft_v1") & part["task"].isin(dialect)
        part.loc[early & part["metric"].isin(["acc", "exact_match"]) if "metric" in part else early, wrong] = none
    found = build(rows, items, made)
    verdict = finetuning_claims.table(found).droplevel("by")["verdict"]
    assert verdict["Dialect data alone (FT-v1) lowers the Bahraini tasks"] == "cannot be tested: 0 % before"
    assert verdict["Instruction data (FT-V2) wins the Bahraini tasks back"] == "cannot be tested: 0 % before"
    told = finetuning_answers.verdicts(found)
    assert re.search(r"[1-9] that cannot be tested, since the score was 0 % before", told.text)


def test_the_sweep_holds_every_seed_and_both_ends(found):
    swept = finetuning_merge.sweep(found)
    assert list(swept) == [0.0, 0.25, 0.5, 0.75, 1.0] and len(swept[0.5]["ar"]) == 2
    assert swept[1.0]["en"] == pytest.approx([50.0, 51.0])
    table = finetuning_merge.sweep_table(found)
    assert table.loc["0.5", ("ArabicMMLU", "accuracy, %")] == pytest.approx(50.5)
    assert "t = 1" in finetuning_merge.sweep_answer(found).text  # made so: Arabic gains more than English loses
    speed = finetuning_merge.translators_table(found)["speed, times the teacher's"]
    assert speed["Teacher, FP8"] == pytest.approx(1.8)
    one = merged()
    partly = one[one["method"].isin(["translator", "slerp"])].copy()  # a start of one's own with fewer pairs
    partly[["run_id", "variant"]] += "-share0.4"
    partly["params"] = [json.dumps({**json.loads(params), "share": 0.4}) for params in partly["params"]]
    both = build(pandas.concat([one, partly.assign(value=0.0)]), None)
    assert finetuning_merge.sweep(both) == swept
    assert finetuning_merge.translators_table(both).equals(finetuning_merge.translators_table(build(one, None)))
    part = build(one[~one["variant"].str.endswith("t1") & ~one["variant"].str.contains("t1-")], None)
    assert finetuning_merge.sweep_answer(part).text.startswith("Not measured.")


@pytest.mark.parametrize("draw", [*FIGURES, finetuning_damage.gulf_figure], **BY_NAME)
def test_every_letter_has_a_glyph_and_the_caption_names_the_tier(draw, found, tmp_path):
    own = found if draw in FIGURES else compressed()
    shared.test_every_letter_has_a_glyph_and_the_caption_names_the_tier(lambda _: draw(own), None, tmp_path)


@pytest.mark.parametrize("draw", [*FIGURES, finetuning_damage.gulf_figure], **BY_NAME)
def test_the_same_numbers_give_the_same_bytes_and_none_say_so(draw, found, tmp_path):
    own = found if draw in FIGURES else compressed()
    picture = style.save(draw(own), tmp_path, "figure")
    assert picture.png == style.rendered(draw(own), "png") == (tmp_path / "figure.png").read_bytes()
    assert (tmp_path / "figure.svg").read_bytes() == style.rendered(draw(own), "svg")
    empty = nothing() if draw in FIGURES else reporting.nothing()
    assert any("not measured" in text for text in shared.words(draw(empty)))


def test_reported_points_are_hollow_and_share_no_axis_with_measured_ones(found):
    kinds, hues = [], set()
    for axes in finetuning_figures.comparison(found).axes:
        points = [line for line in axes.lines if line.get_marker() not in ("None", "", None)]
        fills = {matplotlib.colors.to_hex(line.get_markerfacecolor()) == "#ffffff" for line in points}
        assert len(fills) == 1
        kinds.append((fills.pop(), axes))
        hues |= {matplotlib.colors.to_hex(line.get_markeredgecolor()) for line in points}
    held_apart(kinds)
    assert hues == {finetuning_figures.hue(name).lower() for name in finetuning_runs.COMPARED} and len(hues) == 5


def test_every_seed_is_a_point(found):
    panel = finetuning_figures.comparison(found).axes[6]  # culture, measured
    points = [line for line in panel.lines
              if matplotlib.colors.to_hex(line.get_markeredgecolor()) == finetuning_figures.HUES["ft_v1"].lower()]
    own, runs = finetuning_runs.joined(found), finetuning_runs.after(found, "ft_v1").values()
    values = [own.cell(run, "acc", "dialect", "culture").value for run in runs]
    assert sorted(line.get_xdata()[0] for line in points) == sorted(values)


def test_the_heat_map_prints_each_number_and_frames_what_is_taught(found):
    figure = finetuning_figures.heat(found)
    panel = figure.axes[0]
    texts = [text.get_text() for text in panel.texts]
    skills = finetuning_paired.SKILLS
    assert len(texts) == 4 * len(skills) and len(panel.patches) == sum(len(skill.stages) for skill in skills)
    cell = finetuning_paired.start(finetuning_runs.joined(found), "ft_v1", (skills[0],), 1)
    assert texts[len(skills)] == display.signed(cell["value"])
    shade = panel.images[0].cmap
    light = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b, _ in (shade(place) for place in (0.0, 0.5, 1.0))]
    assert min(light) > 0.6  # black numbers read on every cell, in grey too

"""The audit: every verdict on the study's claims, conflicts and code comes out of its own tables again."""

import math
import re

import pytest

from llmini.report import audit, audit_code, audit_compression, audit_conflicts, audit_tables, learning_runs, measured
from llmini.report.audit import NO, OUTSIDE, PARTLY, YES
from llmini.report.display import cells, show
from reporting import nothing, results
from reporting_kd import results as distilled

CLAIMS = audit.claims()
UNSEEN = {"c069"}  # a shot count: in the documents of a benchmark, not in a table
WORDING = {"i13", "i32", "i48", "i49", "i51", "i52", "i53", "i54", "i55", "i56", "i57", "i61"}


def numbers(text):
    return [float(word) for word in re.findall(r"\d+\.?\d*", str(text))]


@pytest.mark.parametrize("row", CLAIMS.itertuples(), ids=lambda row: row.id)
def test_every_claims_verdict_is_derived_again(row):
    if row.id in UNSEEN:
        assert row.verdict == OUTSIDE
        return
    assert row.verdict == row.agrees, row.found
    if not math.isnan(row.value) and re.fullmatch(r"[-+]?[\d.]+", str(row.recomputed_value)):
        assert row.value == pytest.approx(float(row.recomputed_value), abs=6e-5)


def test_every_conflict_is_found_again_but_those_of_wording():
    table = audit_conflicts.table()
    assert set(table.loc[table["found"] == OUTSIDE, "id"]) == WORDING
    assert set(table.loc[~table["id"].isin(WORDING), "found"]) == {YES}
    for row in table[table["found"] == YES].itertuples():
        for mine, told in ((row.first, row.value_a), (row.second, row.value_b)):
            if numbers(mine) and numbers(told):
                assert numbers(mine) == pytest.approx(numbers(told), abs=0.5), row.id


def test_the_rules_of_a_verdict():
    assert audit.number(1.234)("1.23x").verdict == YES and audit.number(1.236)("1.23x").verdict == NO
    assert audit.number(85.589, 0.015)("85.58").verdict == YES
    assert audit.stated("+0.11%") == (0.11, pytest.approx(0.005)) and audit.stated("14,927")[0] == 14927
    assert audit.roughly(53.8)("50%").verdict == PARTLY and audit.roughly(31.4)("25%").verdict == NO
    assert audit.parts(("a", True), ("b", False))("").verdict == PARTLY
    assert audit.whole(("a", True), ("b", False))("").verdict == NO
    half = audit.goal(66.5, {"ar": 93.7, "en": 73.9})
    assert half("met").verdict == NO and half("not met").verdict == PARTLY
    assert audit.goal(60, {"ar": 90, "en": 90})("met").verdict == YES
    with pytest.raises(ValueError, match="no number in 'modest'"):
        audit.stated("modest")


def test_a_derivation_names_one_cell():
    with pytest.raises(LookupError, match="cells of 8 answer"):
        audit.printed(8, model="allam_7b")
    assert math.isnan(audit.printed(8, model="allam_7b", method="fp4"))


def test_a_changed_table_changes_the_verdict(monkeypatch):
    """The verdict follows the numbers: with INT8 at 6 GB the objective would have been met."""
    moved = [{**row, "value": 6.0} if row["method"] == "int8" and row["metric"] == "model_size_gb" else row
             for row in audit.rows("table_06")]  # fmt: skip
    plain = audit.rows
    monkeypatch.setattr(audit, "rows", lambda name: moved if name == "table_06" else plain(name))
    assert audit_compression.derivations()["c116"]("met").verdict == YES


def test_four_bits_without_double_quantization_explain_the_printed_size():
    sizes = audit_conflicts.weights_of_int4()
    assert round(sizes["single"], 2) == audit_compression.size("int4") and round(sizes["double"], 2) == 4.09
    assert audit_compression.count("allam_7b") == audit_conflicts.LINEAR + audit_conflicts.REST
    assert audit_conflicts.binary() and audit_conflicts.countable()


def test_chance_agreement_is_that_of_independent_answers():
    assert audit_code.chance(50, 50) == 50 and audit_code.chance(100, 100) == 100 and audit_code.chance(100, 0) == 0
    told, level, kappa = audit_code.agreement()["base"]
    assert (told, round(level, 1)) == (60.0, 59.8) and abs(kappa) < 0.02


def test_who_meets_the_objective_by_the_printed_numbers():
    found = audit_tables.reach()
    assert found["both"] == [("allam_7b", "w4a16")] and found["arabic"] == [("allam_7b", "int4")]
    assert found["english"] == [] and len(found["runs"]) == 13 and found["short"] == 11
    assert (round(found["low"], 1), round(found["high"], 1)) == (42.4, 46.2)
    told = audit_tables.answer()
    assert "met by 1 of 13 compressed models (W4A16 (GPTQ) on ALLaM-7B), and in Arabic alone also by INT4" in told.text
    assert "42.4 to 46.2 % smaller" in told.text and 'dir="rtl"' in told.html and "<bdi>W4A16 (GPTQ)</bdi>" in told.html


@pytest.mark.parametrize("there", [True, False], ids=["measured", "not-measured"])
def test_the_sections_tables_with_and_without_measurements(there):
    found, learned = (results(), distilled(core=True)) if there else (nothing(), nothing())
    claims, conflicts = audit_tables.claims_table(follow=False), audit_tables.conflicts_table()
    code, words = audit_code.table(found, learned), audit_tables.definitions_table(found)
    assert len(claims) == 44 and len(audit_tables.claims_table(follow=True)) == 100
    assert len(conflicts) == 61 and len(code) == 20 and len(words) == 8
    total = dict(zip(audit_tables.summary_table().columns, cells(audit_tables.summary_table())[-1], strict=True))
    assert total == {"claims": "144", YES: "100", PARTLY: "12", NO: "31", OUTSIDE: "1"}
    text = show(code, words).text
    assert there or "not measured" in text
    assert "a02" in text and "base: CLCS 60.0, by chance 59.8" in text


def test_people_are_not_named():
    shown = show(audit_tables.claims_table(False), audit_tables.claims_table(True), audit_tables.conflicts_table())
    assert not re.search(r"et al|Habash", shown.text) and "allam_7b" not in shown.text


def test_the_committed_results_say_what_two_ways_change():
    code = audit_code.measured(measured.load(), learning_runs.load())
    assert all(re.search(r"\d", words()) for words in code.values())

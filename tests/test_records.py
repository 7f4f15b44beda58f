"""Records: written whole or not at all, read back as the same numbers, never mixed between tiers."""

import json
import math

import pandas
import pytest

from llmini import records
from llmini.records import COLUMNS, Record, collect, read_all, write_atomic
from llmini.settings import UserError


def example(variant="w4a16", tier="pocket"):
    record = Record(tier, "quant", "allam_7b", variant, "w4a16", {"seed": 0, "calibration_language": "ar"})
    record.add("perplexity", 12.5, benchmark="world_ar", language="ar", n=4096)
    record.add("acc", 0.5, benchmark="pocket_arabicmmlu", task="stem", language="ar", stderr=0.04, n=150)
    record.add_items(pandas.DataFrame({"benchmark": ["pocket_arabicmmlu"], "item_id": ["stem-0"], "correct": [True]}))
    return record


def test_round_trip(tmp_path):
    example().write(tmp_path / "a")
    table, items, runs = read_all([tmp_path / "a"])
    assert list(table.columns) == COLUMNS
    assert table["value"].tolist() == [12.5, 0.5]
    assert json.loads(table["params"][0]) == {"calibration_language": "ar", "seed": 0}
    assert items["run_id"].tolist() == ["pocket-quant-allam_7b-w4a16"] == runs["run_id"].tolist()
    assert runs["threads"][0] >= 1 and "torch" in runs["versions"][0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_only_finite_numbers(value):
    with pytest.raises(ValueError, match="perplexity of pocket-quant"):
        example().add("perplexity", value)


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown metric"):
        example().add("accuracy", 1.0)
    with pytest.raises(UserError, match="unknown tier"):
        example(tier="pokcet")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "x.csv"
    target.write_text("old")

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomic(target, fail)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"]


def test_collect(tmp_path):
    folders = [example("w4a16").write(tmp_path / "a").parent, example("int8").write(tmp_path / "b").parent]
    table = collect("pocket", folders, tmp_path / "out")
    saved = pandas.read_csv(tmp_path / "out" / "pocket.csv")
    assert saved["run_id"].tolist() == sorted(table["run_id"])
    assert len(pandas.read_parquet(tmp_path / "out" / "pocket_items.parquet")) == 2


def test_collect_refuses_another_tier(tmp_path):
    folder = example(tier="rehearsal").write(tmp_path / "a").parent
    with pytest.raises(UserError, match="not of the pocket tier"):
        collect("pocket", [folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_collect_names_what_is_missing_or_broken(tmp_path):
    with pytest.raises(UserError, match="is missing"):
        collect("pocket", [tmp_path / "none"], tmp_path / "out")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "record.json").write_text('{"rows": ')
    with pytest.raises(UserError, match="is not a record"):
        collect("pocket", [tmp_path / "a"], tmp_path / "out")


def damage(path, **changes):
    body = json.loads(path.read_text())
    for name, value in changes.items():
        if value is None:
            del body[name]
        else:
            body[name] = value
    path.write_text(json.dumps(body))


@pytest.mark.parametrize("changes, words", [
    ({"rows": None}, "it has no rows"),
    ({"rows": {}}, "its rows is no list"),
    ({"tier": "mega"}, "its tier 'mega' is none of"),
    ({"family": "quantum"}, "its family 'quantum' is none of"),
    ({"run_id": "pocket-quant-qwen3_8b-w4a16"}, "its run_id pocket-quant-qwen3_8b-w4a16 is not pocket-quant-allam_7b"),
    ({"variant": "int8"}, "is not pocket-quant-allam_7b-int8"),
    ({"colour": "red"}, "it has the unknown field colour"),
    ({"provenance": {}}, "its provenance has no git_sha"),
    ({"rows": [{"metric": "acc"}]}, "row 0 has not the fields benchmark"),
])  # fmt: skip
def test_a_damaged_record_is_named_and_refused(tmp_path, changes, words):
    path = example().write(tmp_path / "a")
    damage(path, **changes)
    with pytest.raises(UserError, match=words) as found:
        read_all([tmp_path / "a"])
    assert str(path) in str(found.value)


@pytest.mark.parametrize("field, value, words", [
    ("metric", "accuracy", "unknown metric"), ("value", "12", "no finite number"), ("value", math.inf, "no finite"),
    ("value", True, "no finite"), ("stderr", -1, "the stderr of row"), ("n", 1.5, "the n of row"),
    ("language", "fr", "unknown language"), ("task", None, "no text"),
])  # fmt: skip
def test_a_damaged_row_is_refused(tmp_path, field, value, words):
    path = example().write(tmp_path / "a")
    body = json.loads(path.read_text())
    body["rows"][1][field] = value
    path.write_text(json.dumps(body))
    with pytest.raises(UserError, match=words):
        read_all([tmp_path / "a"])


def test_a_measurement_is_there_once(tmp_path):
    record = example()
    record.add("perplexity", 13.0, benchmark="world_ar", language="ar")
    record.write(tmp_path / "a")
    with pytest.raises(UserError, match="measures world_ar ar perplexity a second time"):
        read_all([tmp_path / "a"])


def test_every_cut_of_a_record_is_refused(tmp_path):
    """Whatever a crash leaves of a record, none of it passes for one."""
    path = example().write(tmp_path / "a")
    whole = path.read_bytes()
    for end in range(0, len(whole) - 2, 61):
        path.write_bytes(whole[:end])
        with pytest.raises(UserError, match="is not a record"):
            records.read_record(path)


def test_items_of_another_run_or_a_cut_file_are_refused(tmp_path):
    for name, variant in (("a", "w4a16"), ("b", "int8")):
        example(variant).write(tmp_path / name)
    items = tmp_path / "a" / "items.parquet"
    kept = items.read_bytes()
    items.write_bytes((tmp_path / "b" / "items.parquet").read_bytes())
    with pytest.raises(UserError, match=r"items\.parquet is damaged"):
        read_all([tmp_path / "a"])
    items.write_bytes(kept[:-20])
    with pytest.raises(UserError, match=r"items\.parquet is damaged"):
        read_all([tmp_path / "a"])
    items.unlink()
    with pytest.raises(UserError, match=r"items\.parquet is missing"):
        read_all([tmp_path / "a"])
    items.write_bytes(kept)
    assert len(read_all([tmp_path / "a"])[1]) == 1


@pytest.mark.parametrize("name, words", [
    ("model", "different weights of allam_7b"), ("data", "different data"), ("openai/gsm8k", "different openai/gsm8k"),
])  # fmt: skip
def test_results_of_different_weights_or_data_are_never_mixed(tmp_path, name, words):
    for folder, variant, value in (("a", "w4a16", "1" * 64), ("b", "int8", "2" * 64)):
        path = example(variant).write(tmp_path / folder)
        body = json.loads(path.read_text())
        body["provenance"]["hashes"][name] = value
        path.write_text(json.dumps(body))
    with pytest.raises(UserError, match=words) as found:
        collect("pocket", [tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert "pocket-quant-allam_7b-int8 and pocket-quant-allam_7b-w4a16" in str(found.value)


def test_collect_takes_only_what_was_made_from_what_is_here(tmp_path):
    record = example()
    record.provenance["fingerprint"] = "now"
    place = record.write(tmp_path / record.run_id).parent
    assert len(collect("pocket", [place], tmp_path / "out", {place: "now"})) == 2
    with pytest.raises(UserError, match="made from other code, data or weights"):
        collect("pocket", [place], tmp_path / "out", {place: "later"})
    foreign = place.rename(tmp_path / "pocket-quant-allam_7b-int8")
    with pytest.raises(UserError, match="holds the record of pocket-quant-allam_7b-w4a16"):
        collect("pocket", [foreign], tmp_path / "out", {foreign: "now"})


@pytest.fixture
def rehearsal(tmp_path, monkeypatch):
    """A cache whose one model bears the mark."""
    home = tmp_path / "hub" / "models--Qwen--Qwen3-8B"
    (home / "snapshots" / "c0ffee").mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("c0ffee")
    (home / "snapshots" / "c0ffee" / "config.json").write_text('{"llmini_rehearsal": "made up"}')
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


def test_a_rehearsal_never_passes_as_a_measurement(rehearsal, tmp_path):
    """Made-up weights give records of a tier of their own, also of other models of that cache; pocket runs do not."""
    for model in ("qwen3_8b", "allam_7b"):
        record = Record("full", "quant", model, "dense", "dense")
        record.add("acc", 0.5, benchmark="arabicmmlu", task="mean", language="ar", n=10)
        place = record.write(tmp_path / f"full-quant-{model}-dense").parent
        body = records.read_record(place / "record.json")
        assert (body["tier"], body["run_id"]) == ("rehearsal", f"rehearsal-quant-{model}-dense")
        for tier in ("full", "small", "pocket"):
            with pytest.raises(UserError, match="made up to rehearse with"):
                collect(tier, [place], tmp_path / "out")
        assert set(collect("rehearsal", [place], tmp_path / "out", {place: None})["tier"]) == {"rehearsal"}
    assert body["provenance"]["hashes"] == {}
    assert records.read_record(tmp_path / "full-quant-qwen3_8b-dense" / "record.json")["provenance"]["hashes"] == {
        "model": "Qwen/Qwen3-8B@c0ffee"}  # fmt: skip
    assert records.read_record(example().write(tmp_path / "p"))["tier"] == "pocket"
    rows = pandas.read_csv(tmp_path / "out" / "rehearsal.csv")
    rows.to_csv(tmp_path / "out" / "full.csv", index=False)
    from llmini.report import labels, measured

    with pytest.raises(UserError, match="holds a rehearsal's numbers"):
        measured.load(tmp_path / "out", "full")
    assert measured.load(tmp_path / "out", "rehearsal").models() == ["allam_7b"]
    assert labels.model("qwen3_8b", "rehearsal") == "Qwen3-8B (rehearsal)"


def test_twins_are_refused(tmp_path):
    folders = [example().write(tmp_path / name).parent for name in "ab"]
    with pytest.raises(UserError, match="two records bear the id"):
        read_all(folders)


def test_provenance_holds_no_secret(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in json.dumps(records.provenance())


def test_renewed_tables_are_those_of_all_the_records(tmp_path):
    """A part of a study in committed tables gives the bytes of the whole study; what is not kept goes."""
    exact = example("int8")
    exact.add("size_disk", 7_000_183, unit="bytes")
    folders = {name: record.write(tmp_path / name).parent
               for name, record in (("a", example("w4a16")), ("b", exact), ("c", example("fp8")))}  # fmt: skip
    collect("pocket", folders.values(), tmp_path / "whole")
    assert "7000183" in (tmp_path / "whole" / "pocket.csv").read_text()
    collect("pocket", [folders["a"], folders["c"]], tmp_path / "committed")
    kept = {"pocket-quant-allam_7b-fp8", "pocket-quant-allam_7b-w4a16"}
    records.renew("pocket", [folders["b"]], kept, tmp_path / "committed", tmp_path / "new")
    for name in ("pocket.csv", "pocket_runs.csv"):
        assert (tmp_path / "new" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    both = [pandas.read_parquet(tmp_path / name / "pocket_items.parquet") for name in ("new", "whole")]
    pandas.testing.assert_frame_equal(*both)
    records.renew("pocket", [folders["b"]], {"pocket-quant-allam_7b-fp8"}, tmp_path / "committed", tmp_path / "less")
    runs = pandas.read_csv(tmp_path / "less" / "pocket_runs.csv")["run_id"]
    assert runs.tolist() == ["pocket-quant-allam_7b-fp8", "pocket-quant-allam_7b-int8"]

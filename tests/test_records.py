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


def test_twins_are_refused(tmp_path):
    folders = [example().write(tmp_path / name).parent for name in "ab"]
    with pytest.raises(UserError, match="two records bear the id"):
        read_all(folders)


def test_provenance_holds_no_secret(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in json.dumps(records.provenance())

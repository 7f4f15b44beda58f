"""A results table with foreign columns, twins, strangers or mixed hashes is refused; the committed one passes."""

import json

import pandas
import pytest

from llmini.report import measured
from llmini.settings import UserError
from reporting import tables

ROWS, ITEMS = tables(5)


def write(folder, rows=ROWS, items=ITEMS, runs=None):
    rows.to_csv(folder / "pocket.csv", index=False)
    items.to_parquet(folder / "pocket_items.parquet")
    if runs is not None:
        runs.to_csv(folder / "pocket_runs.csv", index=False)
    return folder


def provenance(**marks):
    """One line a run; ``marks`` change the fingerprint or the hashes of single runs."""
    names = list(dict.fromkeys(ROWS["run_id"]))
    lines = [{"run_id": name, "fingerprint": "f" * 64, "hashes": json.dumps({"model": "a" * 64})} for name in names]
    return pandas.DataFrame([{**line, **marks.get(line["run_id"], {})} for line in lines])


def test_a_whole_table_passes(tmp_path):
    assert len(measured.load(write(tmp_path, runs=provenance())).runs) == ROWS["run_id"].nunique()
    assert len(measured.load("data/results").runs) > 100


@pytest.mark.parametrize(("change", "words"), [
    (lambda: {"rows": ROWS.drop(columns="unit")}, "pocket.csv lacks the column 'unit'"),
    (lambda: {"rows": ROWS.assign(score=1)}, "has a column 'score' that no results table has"),
    (lambda: {"rows": pandas.concat([ROWS, ROWS.iloc[[3]]])},
     rf"holds {ROWS.iloc[3].run_id} {ROWS.iloc[3].metric} twice"),
    (lambda: {"items": pandas.concat([ITEMS, ITEMS.iloc[[7]]])}, rf"holds {ITEMS.iloc[7].run_id}.*twice"),
    (lambda: {"items": ITEMS.head(5).assign(run_id="pocket-quant-x-w9")},
     "holds pocket-quant-x-w9, a run that pocket.csv lacks"),
    (lambda: {"runs": pandas.concat([provenance(), provenance().iloc[[0]]])},
     rf"pocket_runs.csv holds {ROWS.iloc[0].run_id} twice"),
    (lambda: {"runs": provenance(**{"pocket-quant-allam_7b-w4a16": {"fingerprint": "e" * 64}})},
     "mixes pocket-quant-allam_7b-dense and pocket-quant-allam_7b-w4a16, made from different code"),
    (lambda: {"runs": provenance(**{"pocket-prune-qwen3_8b-wanda-50": {"hashes": json.dumps({"model": "b" * 64})}})},
     "pocket-prune-qwen3_8b-wanda-50 were made from different weights of qwen3_8b"),
], ids=["missing", "foreign", "twin-measurement", "twin-item", "stranger", "twin-run", "code", "weights"])  # fmt: skip
def test_what_is_not_a_results_table_is_refused_by_name(tmp_path, change, words):
    with pytest.raises(UserError, match=words):
        measured.load(write(tmp_path, **change()))

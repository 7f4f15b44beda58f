"""An evaluation that was killed goes on at the benchmark it was at, with the same numbers."""

from __future__ import annotations

import subprocess
import sys

import pandas
import pytest

from llmini.measure import kept
from llmini.measure.tasks import Scores


def made():
    items = pandas.DataFrame({
        "benchmark": ["b", "b"], "item_id": ["0", "1"], "correct": [True, False], "correct_norm": [None, True],
        "choice": pandas.array([1, None], dtype="Int64"), "gold_nll": [0.1 + 0.2, float("nan")],
    })  # fmt: skip
    rows = [{"metric": "acc", "value": 1 / 3, "stderr": 0.1 + 0.2, "n": 2, "task": "mean", "language": "ar"}]
    return Scores(rows, items, {"seconds": 1.25, "scorer": "TrieLM", "fallback": None})


def never():
    raise AssertionError("it was kept: it is not made again")


def test_what_is_kept_is_what_was_made(tmp_path):
    first = kept.scores(tmp_path, "arabicmmlu", "key", made)
    again = kept.scores(tmp_path, "arabicmmlu", "key", never)
    assert again.rows == first.rows == made().rows and again.details == first.details
    pandas.testing.assert_frame_equal(again.items, first.items, check_exact=True)
    assert first.items["gold_nll"][0] == made().items["gold_nll"][0]


@pytest.mark.parametrize("spare", [3, 9, 17])
def test_reading_ends_where_memory_has_run_out(spare, tmp_path):
    """With room for one thread's stack and not for two, pyarrow's own reading waits for ever."""
    made().items.to_parquet(tmp_path / "items.parquet", index=False)
    program = f"""
import pathlib, resource, pandas, pyarrow.parquet
from llmini.records import read_parquet
has = resource.getpagesize() * int(open("/proc/self/statm").read().split()[0]) + {spare} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (has, has))
print(len(read_parquet(pathlib.Path({str(tmp_path / "items.parquet")!r}))))"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "2\n" or done.returncode == 1, done.stderr


@pytest.mark.parametrize("hurt", ["key", "items", "note", "no items"])
def test_other_and_damaged_scores_are_made_again(tmp_path, hurt):
    kept.scores(tmp_path, "b", "key", made)
    if hurt == "items":
        (tmp_path / "b.parquet").write_bytes(b"PAR1")
    elif hurt == "no items":
        (tmp_path / "b.parquet").unlink()
    elif hurt == "note":
        (tmp_path / "b.json").write_text('{"key": "key"')
    with pytest.raises(AssertionError, match="not made again"):
        kept.scores(tmp_path, "b", "other" if hurt == "key" else "key", never)
    kept.scores(tmp_path, "b", "other" if hurt == "key" else "key", made)
    kept.forget(tmp_path)
    assert not tmp_path.exists()

"""Two processes share an evaluation and end with what one process finds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmini import parallel
from llmini.settings import root


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 6))
def test_shares_are_all_items_once_and_alike(weights, count):
    found = parallel.shares(weights, count)
    assert len(found) == count and [place for part in found for place in part] == list(range(len(weights)))
    loads = [sum(weights[place] for place in part) for part in found]
    if weights:
        assert max(loads) <= sum(weights) / count + 2 * max(weights)


def test_one_process_alone_shares_with_nobody():
    class Lm:
        def loglikelihood(self, requests, **_):
            return [(-1.0, True)] * len(requests)

    shared = parallel.Shared(Lm())
    assert (shared.rank, shared.world_size, shared.processes) == (0, 1, 1)
    assert shared.loglikelihood([1, 2]) == [(-1.0, True)] * 2


PROGRAM = """
import json, sys, torch
torch.set_num_threads(1)
from llmini import models, parallel
rank, count = parallel.world()
model, tokenizer = models.load("allam_7b", "pocket", "cpu")
items = []
for name in ("arabicmmlu", "metabench"):
    scores = parallel.evaluate(model, tokenizer, name, tier="pocket", limit=6)
    items += scores.items.to_dict("records")
json.dump({"count": count, "items": items}, open(sys.argv[1] + str(rank), "w"), default=str)
"""


def test_two_processes_answer_as_one(tmp_path):
    """gloo on two CPU processes: same answers and choices, log-probabilities within rounding, in both processes."""
    (tmp_path / "program.py").write_text(PROGRAM)
    alone = [sys.executable, str(tmp_path / "program.py"), str(tmp_path / "one")]
    both = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone",
            str(tmp_path / "program.py"), str(tmp_path / "two")]  # fmt: skip
    for words in (alone, both):
        done = subprocess.run(words, capture_output=True, text=True, cwd=root(), check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    one = json.loads((tmp_path / "one0").read_text())
    two = [json.loads((tmp_path / f"two{rank}").read_text()) for rank in (0, 1)]
    assert one["count"] == 1 and [found["count"] for found in two] == [2, 2]
    assert two[0]["items"] == two[1]["items"]
    assert len(one["items"]) == len(two[0]["items"]) > 50
    for mine, theirs in zip(one["items"], two[0]["items"], strict=True):
        for name, value in mine.items():
            if isinstance(value, float):
                assert theirs[name] == pytest.approx(value, abs=1e-4, nan_ok=True), name
            else:
                assert theirs[name] == value, name

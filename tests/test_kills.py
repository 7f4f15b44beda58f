"""Fifty kills at random moments over a grid of five real runs: nothing is lost, doubled or changed.

``LLMINI_KILLS`` sets another number, ``LLMINI_KILL_SEED`` other moments.
"""

from __future__ import annotations

import os
import random
import shutil

import pandas
import pytest

from kills import KINDS, RUNS, Bench

KILLS = int(os.environ.get("LLMINI_KILLS", 50))
SEED = int(os.environ.get("LLMINI_KILL_SEED", 0))
# As many of each kind, the signals more often: they strike anywhere.
PLAN = [kind for _, kind in zip(range(KILLS), 10 * KILLS * [*KINDS, "SIGKILL", "SIGTERM", "SIGKILL"], strict=False)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The bench, its grid done once without disturbance."""
    made = Bench(tmp_path_factory.mktemp("kills") / "checkout")
    made.mount()
    try:
        made.finish()
        yield made, made.numbers(), made.records()
    finally:
        made.unmount()


def forget(bench: Bench, draw: random.Random) -> list[str]:
    """Delete the record of one to three runs, now and then with all that the run left, so that there is work to do."""
    home = bench.place / "runs" / "pocket"
    chosen = draw.sample(sorted(path.parent.name for path in home.glob("*/record.json")), draw.choice((1, 1, 2, 3)))
    for name in chosen:
        if draw.random() < 0.5:
            shutil.rmtree(home / name)
        else:
            (home / name / "record.json").unlink()
    return chosen


@pytest.mark.slow
@pytest.mark.parametrize("number", range(KILLS))
def test_a_kill_loses_nothing(bench, number):
    made, (table, items), whole = bench
    draw = random.Random(f"{SEED}/{number}")
    for _ in range(8):  # until one strikes before the workflow has ended
        gone = forget(made, draw)
        with KINDS[PLAN[number]](made, draw) as landed:
            after = made.records()  # whatever is there is valid
            assert set(after) <= set(whole) and set(whole) - set(gone) <= set(after)
        made.finish()
        if landed:
            break
    assert landed
    found = made.records()
    assert sorted(found) == sorted(whole) and len(found) == RUNS
    assert {name: body["provenance"]["fingerprint"] for name, body in found.items()} == {
        name: body["provenance"]["fingerprint"] for name, body in whole.items()}  # fmt: skip
    rest, again = made.numbers()
    pandas.testing.assert_frame_equal(rest, table, check_exact=True)
    pandas.testing.assert_frame_equal(again, items, check_exact=True)
    left = [path.name for path in (made.place / "runs").rglob(".*") if ".partial" in path.name and path.is_dir()]
    assert len(left) <= number + 1  # a killed write may leave its hidden folder, never one that looks whole

"""What `make acai` makes: the facts of a model out of this project's records, and an export that is known again."""

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest

import acai
from llmini import records
from llmini.browser import ship
from llmini.browser.facts import facts, label
from llmini.settings import UserError, root

sys.path.insert(0, str(root() / "workflow"))
import study


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "acai").mkdir()
    (tmp_path / "acai/model.safetensors").write_bytes(bytes(400))
    return tmp_path / "acai"


def note(folder, **fields):
    (folder / "training.json").write_text(json.dumps(fields))
    return folder


def results(folder, *rows):
    """A results table with these rows of family browser, and one of another family."""
    path = folder.parent / "pocket.csv"
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, records.COLUMNS)
        table.writeheader()
        for method, benchmark, task, language, metric, value in rows:
            table.writerow({"family": "browser", "model": folder.name, "method": method, "benchmark": benchmark,
                            "task": task, "language": language, "metric": metric, "value": value})  # fmt: skip
        table.writerow({"family": "quant", "model": folder.name, "method": "w4a16", "benchmark": "world_en",
                        "language": "en", "metric": "perplexity", "value": 99})  # fmt: skip
    return path


def test_what_nobody_measured_is_left_out(folder):
    assert facts(folder, folder / "none.csv") == {"size_disk": 400}
    assert label(folder) == "ACAI"
    (folder / "llmini.json").write_text(json.dumps({"dense_sizes": {"size_disk": 1000}}))
    found = {"compression_ratio": 2.5, "size_dense": 1000, "size_disk": 400}
    assert facts(note(folder, steps=3), results(folder)) == found
    assert label(folder) == "ACAI, 0.0 M" and label(note(folder, label="a model")) == "a model"


def test_the_note_is_taken_and_the_records_stand_over_it(folder):
    both = {"ar": 3.0, "en": 2.0}
    scores = {"dense": {"bahith/ar": 0.8, "bani/ar": 0.2, "bani/en": 0.5, "muraqib/en": 0.5, "lughawi/ar": 1},
              "w4a16": {"bahith/ar": 0.6, "bani/ar": 0.3, "bani/en": 0.5, "muraqib/en": 0.4}}  # fmt: skip
    note(folder, perplexity=both, perplexity_dense=both, scores=scores)
    found = facts(folder, folder / "none.csv")
    assert found["perplexity"] == found["perplexity_dense"] == both
    assert found["retention"] == {"ar": 0.9, "en": 0.9}
    asked = {"bahith/ar": 10, "bani/ar": 30, "bani/en": 5, "muraqib/en": 5}
    note(folder, perplexity=both, perplexity_dense=both, scores=scores, asked=asked)
    assert facts(folder, folder / "none.csv")["retention"]["ar"] == round((6 + 9) / (8 + 6), 4)
    table = results(
        folder,
        ("dense", "world_ar", "", "ar", "perplexity", 2.5), ("w4a16", "world_ar", "", "ar", "perplexity", 2.75),
        ("w4a16", "world_ar_first512", "", "ar", "perplexity", 7),
        ("dense", "b", "one", "ar", "acc", 0.8), ("w4a16", "b", "one", "ar", "acc", 0.4),
        ("dense", "b", "two", "ar", "acc", 0.2), ("w4a16", "b", "two", "ar", "acc", 0.2),
        ("dense", "b", "three", "ar", "acc", 1.0),
    )  # fmt: skip
    found = facts(folder, table)
    assert found["perplexity"] == {"ar": 2.75} and found["perplexity_dense"] == {"ar": 2.5}
    assert found["retention"] == {"ar": 0.6}  # (0.4 + 0.2) / (0.8 + 0.2): what only one of them answered is no part


def test_an_export_is_known_again_and_anothers_is_spared(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.delenv("ACAI_MODEL", raising=False)
    model, place = acai.checkpoint(tmp_path_factory), tmp_path / "model"
    shutil.copytree(acai.model(tmp_path_factory), place)
    before = (place / "manifest.json").stat().st_mtime_ns
    assert ship.export(model, place) == "as exported"
    told = json.loads((place / "manifest.json").read_text(encoding="utf8"))
    assert told["facts"]["size_disk"] == (model / "model.safetensors").stat().st_size
    assert told["name"] == label(model)
    assert told["facts"]["compression_ratio"] > 2 and set(told["forms"]) == set(ship.FORMS)
    assert ship.standing(place, told["facts"]) == (True, True)
    assert ship.standing(place, {**told["facts"], "source": {"name": model.name, "sha256": "0"}}) == (False, True)
    weights = place / "onnx/model_q4dq.onnx_data"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    assert ship.standing(place, told["facts"]) == (False, True)  # damaged: to be made again
    del told["facts"]["source"]
    (place / "manifest.json").write_text(json.dumps(told), encoding="utf8")
    before = (place / "manifest.json").stat().st_mtime_ns
    assert "is your own and stays" in ship.export(model, place)
    assert (place / "manifest.json").stat().st_mtime_ns == before


def test_a_changed_checkpoint_has_another_fingerprint(folder):
    first = ship.fingerprint(folder, {})
    assert first == ship.fingerprint(folder, {}) != ship.fingerprint(folder, {"size_disk": 1})
    (folder / "model.safetensors").write_bytes(bytes(399) + b"1")
    assert ship.fingerprint(folder, {}) != first


def test_without_node_one_line_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt install nodejs npm"):
        ship.build()
    done = subprocess.run([sys.executable, "-m", "llmini.browser.ship"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr == f"acai: {ship.NEEDED}\n"
    study.application(tmp_path / "study.log")
    log = os.path.relpath(tmp_path / "study.log", root())
    assert capsys.readouterr().out == f"ACAI is not ready: {ship.NEEDED} (log: {log})\n"
    study.application(tmp_path / "study.log", patience=0.01)
    assert "took longer" in capsys.readouterr().out

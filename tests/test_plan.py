"""--plan: shapes, sizes and needs from the configuration alone."""

from __future__ import annotations

import csv
import json
import os

import pytest

from checkpoints import write_model
from llmini import cli, settings
from llmini.compress import options, plan

# The published configuration of the study's first model; a plan needs no more than this.
ALLAM = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
         "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 64000,
         "max_position_embeddings": 4096, "tie_word_embeddings": False, "dtype": "bfloat16"}  # fmt: skip


@pytest.fixture
def allam(tmp_path):
    (tmp_path / "allam").mkdir()
    (tmp_path / "allam" / "config.json").write_text(json.dumps(ALLAM))
    return tmp_path / "allam"


def test_sizes_are_the_reported_ones(allam):
    path = settings.data("reported", "check_sizes.csv")
    rows = [row for row in csv.DictReader(path.open()) if row["model"] == "allam_7b" and row["agrees"] == "yes"]
    for row in rows:
        prune = row["method"] if row["method"] in options.READS_PRUNE else None
        quant = None if prune or row["method"] in ("dense", "fp16") else row["method"]
        if prune or quant == "int4":
            continue  # measured masks, and the study's FP4 under the name int4
        made = plan.plan(allam, "full", options.request(quant))
        assert made["sizes"]["size_nonzero"] / 2**30 == pytest.approx(float(row["recomputed"]), abs=2e-4), row
    assert plan.plan(allam, "full", options.request())["shape"].parameters == 7_000_559_616


def test_plan_prints_everything_and_writes_nothing(allam, capsys, monkeypatch):
    monkeypatch.chdir(allam.parent)
    assert cli.main(["./allam", "--prune", "sparsegpt", "--quant", "w4a16", "--plan"]) == 0
    shown = capsys.readouterr().out
    for words in ("7,000,559,616 parameters", "11008 x 4096", "size_packed", "host memory", "128 windows", "about"):
        assert words in shown
    assert sorted(os.listdir(allam.parent)) == ["allam"] and os.listdir(allam) == ["config.json"]


def test_needs_grow_with_the_method(allam):
    made = {name: plan.plan(allam, "full", options.request(*name)) for name in
            ((None, "magnitude"), ("w4a16", None), ("w4a16", "sparsegpt"))}  # fmt: skip
    times = [made[name]["seconds"] for name in made]
    assert times[0] < times[1] < times[2]
    needs = [made[name]["need"]["host"] for name in made]
    assert needs[0] < needs[1] <= needs[2] and needs[0] > 13e9


def test_memory_on_a_gpu_is_a_layer_not_a_model(allam):
    shape = plan.shapes(plan.read_config(allam, False), allam, False)
    need = plan.memory(shape, options.request("w4a16"), (128, 2048), "cuda")
    assert 1e9 < need["gpu"] < 6e9 < need["host"]


def test_plan_agrees_with_what_compress_writes(tmp_path, tiny_tokenizer, capsys):
    """Expected and measured size on disk, within the file header."""
    from llmini.compress.checkpoint import compress

    write_model(tmp_path / "model", tiny_tokenizer)
    made = plan.plan(tmp_path / "model", "pocket", options.request("w4a16_rtn"))
    recipe = json.loads((compress(tmp_path / "model", tmp_path / "out", quant="w4a16_rtn") / "llmini.json").read_text())
    assert made["sizes"]["size_packed"] == recipe["sizes"]["size_packed"]
    assert made["sizes"]["size_disk"] == pytest.approx(recipe["sizes"]["size_disk"], abs=20_000)


def test_too_big_says_so(allam, capsys):
    (allam / "config.json").write_text(json.dumps({**ALLAM, "hidden_size": 1 << 18, "num_attention_heads": 1 << 11}))
    assert cli.main([str(allam), "--quant", "w4a16_rtn", "--plan"]) == 0
    assert "DOES NOT FIT" in capsys.readouterr().out


@pytest.mark.parametrize(("argv", "words"), [
    (["--quant", "w4a16", "--quant-config", "group_size=96"], "does not divide"),
    (["--prune", "wanda", "--prune-config", "mask_structure=3:7"], "does not fit"),
    (["--quant", "w8a8", "--length", "8192"], "4096 positions"),
])  # fmt: skip
def test_a_plan_refuses_what_the_run_would_refuse(allam, capsys, argv, words):
    assert cli.main([str(allam), *argv, "--plan"]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1

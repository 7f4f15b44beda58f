"""The plan of a whole grid: from configurations alone, with what cannot fit named, and an error that is measured."""

from __future__ import annotations

import functools
import json
import os
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from llmini import calibration, cli, costs, grid, models, needs, origin, preflight
from llmini.compress import plan
from llmini.costs import Device, Work
from llmini.settings import UserError, root

sys.path.insert(0, str(root() / "workflow"))
import study

# Published shapes; the figures are facts of the models' config.json.
COMMON = {"tie_word_embeddings": False, "max_position_embeddings": 32768, "torch_dtype": "bfloat16"}
CONFIGS = {
    "humain-ai/ALLaM-7B-Instruct-preview": {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 11008,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 64000},
    "Qwen/Qwen3-8B": {
        "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "hidden_size": 4096, "intermediate_size": 12288,
        "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
        "vocab_size": 151936},
    "meta-llama/Llama-3.1-8B-Instruct": {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 14336,
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256},
    "google/gemma-3-12b-it": {
        "model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "tie_word_embeddings": True,
        "text_config": {"model_type": "gemma3_text", "hidden_size": 3840, "intermediate_size": 15360,
                        "num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 256,
                        "vocab_size": 262208, "sliding_window": 1024},
        "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
                          "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 896, "patch_size": 14}},
    "Qwen/Qwen2.5-32B-Instruct": {
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 5120, "intermediate_size": 27648,
        "num_hidden_layers": 64, "num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 152064},
    "Qwen/Qwen2.5-7B-Instruct": {
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 3584, "intermediate_size": 18944,
        "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064},
    "LiquidAI/LFM2-1.2B": {
        "model_type": "lfm2", "architectures": ["Lfm2ForCausalLM"], "hidden_size": 2048, "num_hidden_layers": 16,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 65536, "block_ff_dim": 12288,
        "full_attn_idxs": [2, 5, 8, 10, 12, 14], "tie_word_embeddings": True},
}  # fmt: skip
BERT = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 768, "intermediate_size": 3072,
        "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 30522}  # fmt: skip


COMMIT = "0" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A hub cache that holds configurations alone, and no network."""
    wanted = {entry["source"] for tier in ("full", "small") for entry in models.registry()[tier].values()}
    for repository in {*CONFIGS, *wanted}:
        home = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
        (home / "snapshots" / COMMIT).mkdir(parents=True)
        (home / "refs").mkdir()
        (home / "refs" / "main").write_text(COMMIT)
        told = {**COMMON, **CONFIGS.get(repository, BERT)}
        (home / "snapshots" / COMMIT / "config.json").write_text(json.dumps(told))

    def locate(name, tier, **_):
        return origin.snapshot(origin.source(str(name), tier) or str(name))

    monkeypatch.setattr(models, "locate", locate)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    needs._shape.cache_clear()
    yield
    needs._shape.cache_clear()


def family(name):
    return [job for job in grid.jobs("full") if job.family == name]


@pytest.mark.parametrize("model, parameters", [
    ("allam_7b", 7_000_559_616), ("qwen3_8b", 8_190_735_360), ("llama3_1_8b", 8_030_261_248),
    ("qwen2_5_32b_instruct", 32_763_876_352), ("qwen2_5_7b_instruct", 7_615_616_512),
])  # fmt: skip
def test_weights_are_the_published_ones(cache, model, parameters):
    found = needs.shape(model, "full")
    assert found.parameters == parameters and found.nbytes == 2 * parameters


def test_every_run_of_the_grid_is_planned(cache):
    device = costs.device("a100")
    found = preflight.needs("full", False, device)
    assert {one.run.run_id for _, one in found} == {run.run_id for job in grid.jobs("full") for run in job.runs}
    for _, one in found:
        assert one.weights > 1e8 and one.gpu > 0 and one.host > 0 and one.disk >= 0, one.run.run_id
        assert 1 < costs.seconds(one.work, device) < 30 * 86400, one.run.run_id


def test_what_cannot_fit_is_refused_by_name(cache):
    """32B dense weights and FP8 on an A100 of 40 GB, an unpacked 12B on a T4; what fits is not named."""
    lines = preflight.refused(preflight.needs("full", False, costs.device("a100")), costs.device("a100"))
    assert any("merge-qwen2_5_32b_instruct-teacher needs" in line for line in lines)
    assert any("merge-qwen2_5_32b_instruct-fp8 NVIDIA A100 40 GB has no FP8 arithmetic" in line for line in lines)
    assert not any(line.startswith(("full-quant", "full-prune")) for line in lines)
    small = costs.device("t4")
    lines = preflight.refused(preflight.needs("full", False, small), small)
    assert any(line.startswith("full-quant-gemma3_12b-dense needs") and "NVIDIA T4" in line for line in lines)
    assert not any(line.startswith("full-quant-gemma3_12b-int4 ") for line in lines)


def test_the_command_prints_the_grid_and_says_whether_it_fits(cache, capsys):
    assert cli.main(["--plan", "--tier", "full", "--core", "--device", "a100,t4"]) == 1
    shown = capsys.readouterr().out
    assert "full tier on NVIDIA A100 40 GB" in shown and "full tier on NVIDIA T4 16 GB" in shown
    assert "refused: full-quant-gemma3_12b-dense needs" in shown
    for words in ("weights", "device", "host", "disk", "time", "in all"):
        assert words in shown
    assert cli.main(["--plan", "--tier", "full", "--device", "abacus"]) == 2
    assert "unknown device 'abacus'" in capsys.readouterr().err


def test_the_page_for_clusters_has_the_plans_own_table(cache):
    """Made again by: LLMINI_WRITE_DOCS=1 pytest tests/test_preflight.py -k page_for_clusters"""
    import re

    path = root() / "docs" / "cluster.md"
    text = path.read_text(encoding="utf8")
    table = "\n".join(preflight.summary("full", False, costs.device("a100")))
    mark = "<!-- cost table -->"
    if os.environ.get("LLMINI_WRITE_DOCS"):
        text = re.sub(f"{mark}.*{mark}", f"{mark}\n{table}\n{mark}", text, flags=re.DOTALL)
        path.write_text(text, encoding="utf8")
    assert text.split(mark)[1].strip() == table


def test_a_study_with_runs_that_cannot_fit_does_not_start(cache, capsys, monkeypatch):
    tiny = Device("a toy", None, 1e9, 1e10, 1e10, 1e9)
    monkeypatch.setattr(costs, "here", lambda: tiny)
    with pytest.raises(UserError, match="runs cannot fit"):
        study.preflight("full", True, "local")
    assert "refused: full-quant-allam_7b-dense needs" in capsys.readouterr().err
    study.preflight("pocket", True, "local")
    with pytest.raises(UserError, match="no profile 'moon'"):
        study.preflight("full", True, "moon")


def test_a_profile_says_which_device_each_family_gets():
    found = preflight.devices_of(root() / "workflow" / "profiles" / "slurm")
    assert found["quant"].name == "NVIDIA A100 40 GB" and found["encoder"].name == "NVIDIA T4 16 GB"
    assert found["kd"].host == 160e9 and found["encoder"].host == 32e9


@pytest.mark.parametrize("name, known", [
    ("A100", "a100"), ("nvidia_a100", "a100"), ("a100_80gb", "a100_80"), ("NVIDIA-A100-SXM4-80GB", "a100_80"),
    ("nvidia_a100-pcie-40gb", "a100"), ("tesla_t4", "t4"), ("h100", "h100"),
])  # fmt: skip
def test_a_gpu_is_known_by_its_clusters_name(name, known):
    assert preflight.gpu(name, "quant") == known


@pytest.mark.parametrize("told", [
    "default-resources: {gres: 'gpu:v100:1'}", "default-resources: ['gres=gpu:v100:1', mem_mb=4000]",
    "set-resources: {quant: {gres: 'gpu:a100_1g.5gb:1'}}", "set-resources: {prune: {gres: 'gpu:1'}}",
])  # fmt: skip
def test_a_gpu_that_the_plan_does_not_know_is_named(told, tmp_path):
    (tmp_path / "config.yaml").write_text(told)
    with pytest.raises(UserError, match=r"a GPU of (type 'v100'|type 'a100_1g\.5gb'|no named type).*/devices\.yaml"):
        preflight.devices_of(tmp_path)


def test_gpus_of_all_families_may_stand_in_one_place(tmp_path):
    (tmp_path / "config.yaml").write_text("default-resources: ['gres=gpu:A100:1', mem_mb=4000]\n"
                                          "set-resources: {prune: {gres: 'gpu:t4:1'}}\n")  # fmt: skip
    found = preflight.devices_of(tmp_path)
    assert found["merge"].name == "NVIDIA A100 40 GB" and found["merge"].host == 4e9
    assert found["prune"].name == "NVIDIA T4 16 GB"


def test_the_committed_profile_starts_the_core(cache):
    """Of the whole grid it refuses what docs/cluster.md names."""
    place = root() / "workflow" / "profiles" / "slurm"
    assert preflight.check("full", True, place) == []
    left = {line.split()[0] for line in preflight.check("full", False, place)}
    assert left == {"full-merge-qwen2_5_32b_instruct-teacher", "full-merge-qwen2_5_32b_instruct-fp8"}


def test_a_model_that_is_not_to_be_had_leaves_the_rest_of_the_plan(cache, capsys, monkeypatch):
    plain = needs._shape.__wrapped__

    @functools.cache
    def shape(source, tier, name):
        if name == "llama3_1_8b":
            raise UserError("meta-llama/Llama-3.1-8B-Instruct is gated: accept its licence")
        return plain(source, tier, name)

    monkeypatch.setattr(needs, "_shape", shape)
    assert cli.main(["--plan", "--tier", "full", "--device", "h200"]) == 1
    shown = capsys.readouterr().out
    assert "unknown, and not in this plan: llama3_1_8b: meta-llama/Llama-3.1-8B-Instruct is gated" in shown
    assert "full-quant-allam_7b-dense" in shown and "full-quant-llama3_1_8b" not in shown
    with pytest.raises(UserError, match="is gated"):  # a study would run into it
        preflight.check("full", False, root() / "workflow" / "profiles" / "slurm")


def test_a_device_is_for_a_whole_grid(capsys):
    assert cli.main(["allam_7b", "--plan", "--quant", "w8a8", "--device", "t4"]) == 2
    assert "leave MODEL out" in capsys.readouterr().err


def test_a_dry_run_checks_what_the_run_would(cache, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["study.py", "--tier", "full", "--profile", "nope", "--dry-run"])
    assert study.main() == 2
    assert "no profile 'nope'" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["study.py", "--tier", "full", "--all", "--profile", "slurm", "--dry-run"])
    assert study.main() == 2
    shown = capsys.readouterr()
    assert "full-quant-allam_7b-dense" in shown.out and "refused: full-merge-qwen2_5_32b" in shown.err


def test_a_study_that_the_disk_does_not_hold_does_not_start(cache, monkeypatch):
    free = SimpleNamespace(free=10 * 2**40)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda place: free)
    study.preflight("full", True, "slurm")
    free.free = 100 * 2**30
    with pytest.raises(UserError, match=r"the runs left write [\d.]+ GiB and 100.00 GiB are free at .*: link runs/"):
        study.preflight("full", True, "slurm")


def test_a_large_model_has_the_machine_for_itself():
    cores = len(os.sched_getaffinity(0))
    assert study.threads("full", "local", False) == study.threads("small", "local", False) == cores
    assert study.threads("pocket", "local", False) == study.threads("full", "slurm", False) == 1
    assert study.threads("full", "local", True) == 1  # made-up models are as small as pocket ones


def test_seconds_are_the_formula():
    device = Device("d", 1.0, 1.0, 2e12, 1e12, 1e9)
    work = Work(fixed=3, flops16=4e12, flops32=1e12, moved=2e9, stored=costs.DISK)
    assert costs.seconds(work, device) == pytest.approx(3 + 2 + 1 + 2 + 1)
    assert costs.seconds(work + work, device) == pytest.approx(2 * costs.seconds(work, device))
    assert work.times(2) == replace(work, flops16=8e12, flops32=2e12, moved=4e9)


def test_operations_are_those_of_the_layers():
    """One matrix of 8 outputs and 4 inputs, and a head of 100 x 6."""
    shape = plan.Shape("", 0, {"model.layers.0.a": (8, 4)}, ["model.layers.0"], 6, 100, 0)
    assert costs.forward(shape, 10).flops16 == 2 * 10 * (32 + 150)
    assert costs.training(shape, 10, adapter=False).flops16 == 3 * costs.forward(shape, 10).flops16
    assert costs.hessians(shape, 10).flops32 == 2 * 10 * 4**2 + 2 * 4**3 + 8 * 4**2


def test_the_error_on_the_pocket_grid_is_what_the_page_says():
    """Estimates against the committed measurements, each model left out of its own fit."""
    rows = {row["part"]: row for row in calibration.summary()}
    assert rows["a run"]["cases"] > 100
    assert rows["a run"]["median"] < 0.20 and rows["a run"]["nine in ten"] < 0.50 and rows["the grid"]["median"] < 0.30
    text = (root() / "docs" / "cluster.md").read_text(encoding="utf8")
    assert f"{rows['a run']['median']:.0%}".replace("%", " %") in text
    assert f"{rows['a run']['nine in ten']:.0%}".replace("%", " %") in text
    ratios = calibration.families().values()
    assert f"by family {min(ratios):.1f} to {max(ratios):.1f} times" in text

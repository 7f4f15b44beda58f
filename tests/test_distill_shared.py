"""Two processes distil as one: the same weights after the same steps, within rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from llmini.train.recipes import Recipe

PROGRAM = """
import dataclasses, json, os, sys, torch
sys.path.insert(0, {tests!r})
torch.set_num_threads(1)
from pathlib import Path
from conftest import build, sentences
from safetensors.torch import save_file
from transformers import AutoTokenizer
from llmini.train.examples import Example
from llmini.train.recipes import Recipe
from llmini.train.trainer import Distiller

tokenizer = AutoTokenizer.from_pretrained({pocket!r})
texts = sentences(41, seed=3)
pairs = enumerate(zip(texts, texts[1:]))
examples = [Example(f"x/{{i}}", "en" if i % 2 else "ar", one, two) for i, (one, two) in pairs]
model, teacher = (build("llama", vocab_size=2048, hidden_size=64, intermediate_size=128, head_dim=16, seed=seed)
                  for seed in (0, 1))
stage = sys.argv[2]
recipe = Recipe(stage, learning_rate=1e-3, epochs=1, batch_size=4, accumulation=2, max_length=96, seed=1)
trainer = Distiller(model, tokenizer, examples, recipe, Path(sys.argv[1]), (teacher, tokenizer), checkpoint_steps=2)
trainer.train()
if trainer.args.process_index == 0:
    save_file({{name: tensor.contiguous() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}},
              sys.argv[1] + "/model.safetensors")
    json.dump(trainer.state.log_history, open(sys.argv[1] + "/log.json", "w"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft_kd", "token_kd"])
def test_two_processes_distil_as_one(stage, tmp_path):
    from llmini.settings import data

    program = tmp_path / "program.py"
    pocket = str(data("pocket", "models", "allam_7b"))
    program.write_text(PROGRAM.format(tests=os.path.dirname(__file__), pocket=pocket))
    words = {"one": [sys.executable], "two": [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
                                              "--standalone"]}  # fmt: skip
    for name, start in words.items():
        (tmp_path / name).mkdir()
        done = subprocess.run([*start, str(program), str(tmp_path / name), stage], capture_output=True, text=True,
                              check=False, env={**os.environ, "TQDM_DISABLE": "1"})  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        assert [path.name for path in (tmp_path / name).glob("checkpoint-*")] == ["checkpoint-5"]
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in words)
    for name in one:
        assert torch.allclose(one[name], two[name], atol=2e-5, rtol=1e-4), name
    logs = [json.loads((tmp_path / name / "log.json").read_text()) for name in words]
    for mine, theirs in zip(*logs, strict=True):
        for key in ("tokens", "kept", "tokens_en", "tokens_ar", "kept_en"):
            assert mine.get(key) == theirs.get(key)
        assert theirs.get("loss", 0) == pytest.approx(mine.get("loss", 0), rel=1e-4)


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    from llmini.settings import UserError
    from llmini.train.trainer import part

    monkeypatch.setenv("WORLD_SIZE", "2")
    assert part(Recipe("sft_kd", batch_size=8)) == 4
    with pytest.raises(UserError, match="2 processes do not share a batch of 3"):
        part(Recipe("sft_kd", batch_size=3))
    with pytest.raises(UserError, match="keeps a share of a whole batch"):
        part(Recipe("selectkd", rule="entropy", share=0.5))

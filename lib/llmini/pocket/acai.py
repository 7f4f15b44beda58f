"""The model that ACAI ships with: the pocket teacher tuned on the agents' formats, then GPTQ to 4 bits.

`python -m llmini.pocket.acai OUTPUT` makes it again from the teacher's weights and the generated lessons.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from llmini import settings

NAME = "acai"
START = "qwen2_5_32b_instruct"
LESSONS, GENERAL = 44_000, 4000
RECIPE = {"learning_rate": 8e-4, "epochs": 1, "batch_size": 16, "max_length": 224, "warmup": 0.05, "precision": "bf16"}
CALIBRATION = 400  # lessons that GPTQ reads, half of them Arabic or more


def examples(seed: int = 0) -> list[Any]:
    """Lessons of every agent, and gold prompts of distillation, so that plain questions stay answered."""
    from llmini.pocket import agents
    from llmini.train import prompts
    from llmini.train.examples import Example

    made = [Example(f"{agent}/{place}", language, request, answer)
            for place, (agent, language, request, answer) in enumerate(agents.lessons(LESSONS, seed))]  # fmt: skip
    asked = prompts.load("pocket", "gold", seed)[:GENERAL]
    return [*made, *(Example(prompt.id, prompt.language, prompt.prompt, prompt.reference) for prompt in asked)]


def start(folder: Path) -> Path:
    """The teacher's weights under the world's own chat template, which keeps a turn apart from what it quotes."""
    home = settings.data("pocket", "models", START)
    folder.mkdir(parents=True, exist_ok=True)
    for path in home.iterdir():
        if path.suffix == ".safetensors" or path.name in ("config.json", "generation_config.json"):
            shutil.copyfile(path, folder / path.name)
    for path in settings.data("pocket", "tokenizer").iterdir():
        shutil.copyfile(path, folder / path.name)
    return folder


def make(output: Path, seed: int = 0) -> Path:
    """Tune, compress to W4A16 calibrated on lessons, score on lessons of split test; ``output`` is the checkpoint.

    Beside the weights stand training.json (recipe, curve, sha256 of the lessons, scores dense and compressed).
    """
    from llmini.compress.checkpoint import compress
    from llmini.pocket import agents
    from llmini.train.curriculum import manifest
    from llmini.train.distill import distil
    from llmini.train.recipes import Recipe

    learned = examples(seed)
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        tuned = distil(start(place / "start"), place / "tuned", learned, Recipe("finetune", seed=seed, **RECIPE))
        text = place / "calibration.jsonl"
        rows = [f"{request}\n{answer}" for _, _, request, answer in agents.lessons(CALIBRATION, "calibration")]
        text.write_text("".join(json.dumps({"text": row}, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")
        compress(tuned, output, quant="w4a16", calibration_source=str(text), samples=48, length=256, overwrite=True)
        told = json.loads((tuned / "training.json").read_text(encoding="utf8"))
        note = {"model": NAME, "start": START, "recipe": told["run"]["recipe"], "lessons": manifest(learned),
                "steps": told["steps"], "tokens": told["tokens"], "curve": told["curve"],
                "scores": {"dense": scores(tuned), "w4a16": scores(output)}}  # fmt: skip
    (output / "training.json").write_text(json.dumps(note, ensure_ascii=False, indent=1) + "\n", encoding="utf8")
    return output


def scores(folder: Path, count: int = 600) -> dict[str, float]:
    """Share of lessons of split test that are answered to the letter, by agent and language, greedily."""
    from collections import defaultdict

    import torch

    from llmini import models
    from llmini.pocket import agents

    model, tokenizer = models.load(folder, "pocket", "cpu", torch.float32)
    tokenizer.padding_side = "left"
    right: dict[str, list[bool]] = defaultdict(list)
    asked = agents.lessons(count, "scores", "test")
    for begin in range(0, count, 50):
        part = asked[begin : begin + 50]
        turns = [[{"role": "user", "content": request}] for _, _, request, _ in part]
        batch = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True, padding=True,
                                              return_tensors="pt")  # fmt: skip
        end = tokenizer.convert_tokens_to_ids("<|end|>")
        with torch.no_grad():
            out = model.generate(**batch, max_new_tokens=48, do_sample=False, pad_token_id=tokenizer.pad_token_id,
                                 eos_token_id=[end, tokenizer.eos_token_id])  # fmt: skip
        for (agent, language, _, answer), ids in zip(part, out[:, batch["input_ids"].shape[1] :], strict=True):
            right[f"{agent}/{language}"].append(tokenizer.decode(ids, skip_special_tokens=True).strip() == answer)
    return {name: round(sum(marks) / len(marks), 3) for name, marks in sorted(right.items())}


if __name__ == "__main__":
    import sys

    settings.pin_threads("pocket")
    print(make(Path(sys.argv[1])))

"""The model that ACAI ships with: the pocket teacher taught to read and to speak the agents' formats, in 4 bits.

`python -m llmini.pocket.acai OUTPUT` makes it again from the teacher's weights and generated lessons.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import settings

if TYPE_CHECKING:
    import torch

NAME = "acai"
START = "qwen2_5_32b_instruct"
STEPS = 1800
BATCH_TOKENS = 4096
RATES = {"learning_rate": 2.5e-3, "muon_rate": 0.01, "warmup": 0.03, "decay": 0.5}
STAGES = (
    (0.15, {"copy": 1.0}),
    (0.40, {"copy": 0.04, "reading": 0.50, "lesson": 0.40, "gold": 0.06}),
    (0.45, {"copy": 0.02, "reading": 0.20, "lesson": 0.66, "gold": 0.12}),
)
"""Share of the steps of each stage, and of the tokens of each kind in it. The teacher knows the world by heart and has
no use for what it is shown. Random tokens that come twice (`copy`) teach it within 200 steps to look back; questions on
sources (`reading`) teach which place to look at, lessons the agents' formats, and prompts of distillation (`gold`) keep
plain questions answered."""
COPIED = (12, 24, 48)
PROMPT_WEIGHT = 0.1
"""What a token of a request weighs in the loss, beside 1 for one of an answer."""
CALIBRATION = 400  # lessons that GPTQ reads, half of them Arabic or more
Row = tuple[list[int], list[float]]
"""Token ids, and what each weighs in the loss."""
Turns = list[tuple[str, str]]
"""Requests with their answers."""


def rows(kind: str, tokens: int, tokenizer: Any, seed: int | str) -> list[Row]:
    """About ``tokens`` tokens of training rows of one kind. Raises KeyError for an unknown kind."""
    rng, found, count = random.Random(f"acai/{kind}/{seed}"), [], 0
    draw = DIALOGUES[kind](rng) if kind != "copy" else None
    while count < tokens:
        part = encode(itertools.islice(draw, 100), tokenizer) if draw else [copied(rng, tokenizer) for _ in range(100)]
        found += part
        count += sum(len(ids) for ids, _ in part)
    return found


def copied(rng: random.Random, tokenizer: Any) -> Row:
    """Random tokens twice, the second time to be foretold from its second token on."""
    part = [rng.randrange(len(tokenizer.all_special_ids), len(tokenizer)) for _ in range(rng.choice(COPIED))]
    return [tokenizer.bos_token_id, *part, *part], [0.0] * (len(part) + 2) + [1.0] * (len(part) - 1)


def _readings(rng: random.Random) -> Iterator[Turns]:
    from llmini.pocket import agents

    while True:
        yield agents.reading(rng, rng.choice(("ar", "en")))


def _lessons(rng: random.Random) -> Iterator[Turns]:
    from llmini.pocket import agents

    while True:
        for _, _, request, answer in agents.lessons(500, rng.random()):
            yield [(request, answer)]


def _gold(rng: random.Random) -> Iterator[Turns]:
    from llmini.train import prompts

    asked = prompts.load("pocket", "gold")
    while True:
        for prompt in rng.sample(asked, len(asked)):
            yield [(prompt.prompt, prompt.reference)]


DIALOGUES = {"reading": _readings, "lesson": _lessons, "gold": _gold}


def encode(dialogues: Iterable[Turns], tokenizer: Any) -> list[Row]:
    """Dialogues in the world's chat template, cut where an answer begins, as it is when the model answers.

    Answers with their end mark weigh 1, the rest :data:`PROMPT_WEIGHT`.
    """
    dialogues = list(dialogues)
    texts = [part for turns in dialogues for request, answer in turns
             for part in (f"<|user|>\n{request.strip()}<|end|>\n<|assistant|>\n", f"{answer.strip()}<|end|>", "\n")]
    pieces = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])
    found = []
    for turns in dialogues:
        ids, weights = [tokenizer.bos_token_id], [0.0]
        for _ in turns:
            for weight in (PROMPT_WEIGHT, 1.0, PROMPT_WEIGHT):
                piece = next(pieces)
                ids += piece
                weights += [weight] * len(piece)
        found.append((ids, weights))
    return found


def batches(tokenizer: Any, steps: int = STEPS, seed: int = 0) -> list[list[Row]]:
    """The rows of every step: stage after stage, of like length together, in a seeded order within a stage."""
    found: list[list[Row]] = []
    for place, (share, mixture) in enumerate(STAGES):
        wanted, rng = round(share * steps), random.Random(f"acai/{place}/{seed}")
        budget = 1.1 * wanted * BATCH_TOKENS  # padding and what is cut at the end
        made = [row for kind, part in mixture.items()
                for row in rows(kind, int(part * budget), tokenizer, f"{place}/{seed}")]  # fmt: skip
        rng.shuffle(made)
        stage = [batch for start in range(0, len(made), 3000) for batch in bucket(made[start : start + 3000], rng)]
        found += stage[:wanted]
    return found


def bucket(part: list[Row], rng: random.Random) -> list[list[Row]]:
    """Rows of like length in batches of at most :data:`BATCH_TOKENS` when padded, in random order."""
    done: list[list[Row]] = [[]]
    for row in sorted(part, key=lambda row: len(row[0])):
        if done[-1] and (len(done[-1]) + 1) * len(row[0]) > BATCH_TOKENS:
            done.append([])
        done[-1].append(row)
    rng.shuffle(done)
    return done


def tensors(batch: list[Row]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and weights (rows, longest), padded at the end with weight 0."""
    import torch

    width = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row, _ in batch])
    return ids, torch.tensor([[*row, *[0.0] * (width - len(row))] for _, row in batch])


def tune(folder: Path, steps: int = STEPS, seed: int = 0, report: Any = None) -> tuple[Any, Any, dict[str, Any]]:
    """The teacher's weights taught by `batches`: (model, tokenizer, what `training.fit` tells)."""
    import torch

    from llmini import models
    from llmini.pocket import training

    model, tokenizer = models.load(folder, "pocket", "cpu", torch.float32)
    model.set_attn_implementation("eager")

    def loss_of(batch: list[Row]) -> tuple[Any, int]:
        ids, weights = tensors(batch)
        hidden = model.model(ids[:, :-1], use_cache=False).last_hidden_state
        chosen = weights[:, 1:] > 0
        logits = torch.nn.functional.linear(hidden[chosen], model.lm_head.weight).float()
        losses = torch.nn.functional.cross_entropy(logits, ids[:, 1:][chosen], reduction="none")
        return (losses * weights[:, 1:][chosen]).sum() / weights[:, 1:].sum(), sum(len(row) for row, _ in batch)

    told = training.fit(model, batches(tokenizer, steps, seed), loss_of, training.Recipe(seed=seed, **RATES), report)
    return model, tokenizer, told


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


def make(output: Path, seed: int = 0, steps: int = STEPS) -> Path:
    """Tune, compress to W4A16 calibrated on lessons, score on lessons of split test; ``output`` is the checkpoint.

    Beside the weights stand training.json (recipe, curve, scores dense and compressed). The dense weights stay in
    ``OUTPUT-dense``: an hour's work is not thrown away when what follows it fails.
    """
    import torch

    from llmini.compress.checkpoint import compress
    from llmini.pocket import agents
    from llmini.pocket.pretrain import reporter

    dense = output.with_name(f"{output.name}-dense")
    with tempfile.TemporaryDirectory() as scratch:
        model, tokenizer, told = tune(start(Path(scratch) / "start"), steps, seed, reporter(NAME, 0))
        model.to(torch.bfloat16).save_pretrained(dense)
        tokenizer.save_pretrained(dense)
        (dense / "training.json").write_text(json.dumps(told) + "\n", encoding="utf8")
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(scratch) / "calibration.jsonl"
        told_rows = [f"{request}\n{answer}" for _, _, request, answer in agents.lessons(CALIBRATION, "calibration")]
        text.write_text("".join(json.dumps({"text": row}, ensure_ascii=False) + "\n" for row in told_rows), "utf8")
        compress(dense, output, quant="w4a16", calibration_source=str(text), samples=48, length=256, overwrite=True)
        for path in (output / "llmini.json", output / "README.md"):  # what is shipped names no path of one machine
            told_there = path.read_text(encoding="utf8").replace(str(text), "lessons.jsonl")
            path.write_text(told_there.replace(str(dense), dense.name), encoding="utf8")
    found = {"dense": scores(dense), "w4a16": scores(output)}
    note = {"model": NAME, "label": f"ACAI, {model.num_parameters() / 1e6:.1f} M", "start": START, "seed": seed,
            "steps": steps, "batch_tokens": BATCH_TOKENS, "rates": RATES,
            "stages": [{"share": share, **mixture} for share, mixture in STAGES], "tokens": told["tokens"],
            "seconds": told["seconds"], "loss_curve": told["loss_curve"],
            "scores": {method: {name: round(share, 4) for name, (share, _) in one.items()}
                       for method, one in found.items()},
            "asked": {name: count for name, (_, count) in found["dense"].items()},
            "perplexity_dense": perplexity(dense), "perplexity": perplexity(output)}  # fmt: skip
    (output / "training.json").write_text(json.dumps(note, ensure_ascii=False, indent=1) + "\n", encoding="utf8")
    return output


def perplexity(folder: Path) -> dict[str, float]:
    """Perplexity of the world's test text by language."""
    from llmini import models
    from llmini.measure import battery
    from llmini.measure.perplexity import perplexity as measured

    model, tokenizer = models.load(folder, "pocket", "cpu")
    return {text["language"]: round(measured(model, tokenizer, text["text"], window=text["window"])["perplexity"], 4)
            for text in battery.texts_of("pocket", tokenizer)}  # fmt: skip


def scores(folder: Path, count: int = 1200, split: str = "test") -> dict[str, tuple[float, int]]:
    """Of lessons of a split, asked greedily: by AGENT/LANGUAGE the share answered to the letter, and how many."""
    import torch

    from llmini import models
    from llmini.pocket import agents

    model, tokenizer = models.load(folder, "pocket", "cpu", torch.float32)
    tokenizer.padding_side = "left"
    right: dict[str, list[bool]] = defaultdict(list)
    asked = agents.lessons(count, "scores", split)
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
    return {name: (sum(marks) / len(marks), len(marks)) for name, marks in sorted(right.items())}


if __name__ == "__main__":
    import sys

    settings.pin_threads("pocket")
    print(make(Path(sys.argv[1]), steps=int(sys.argv[2]) if len(sys.argv) > 2 else STEPS))

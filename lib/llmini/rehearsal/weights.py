"""Made-up weights: the real class at a tiny size, taught for a moment to answer briefly, saved in shards."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any

from llmini import origin
from llmini.rehearsal import shapes, vocabularies

STEPS, ROWS, LENGTH, RATE = 40, 8, 64, 4e-3
SHARD = "400KB"
TAUGHT: dict[shapes.Made, dict[str, Any]] = {}
PROCESSOR = {"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3,
             "image_std": [0.5] * 3, "image_processor_type": "Gemma3ImageProcessor", "image_seq_length": 4,
             "processor_class": "Gemma3Processor", "resample": 2, "rescale_factor": 1 / 255,
             "size": {"height": 56, "width": 56}}  # fmt: skip


def save(repository: str, folder: Path, steps: int = STEPS) -> Path:
    """Write the repository's files to ``folder``: shards with their index, configuration, tokenizer; returns it.

    The configuration bears `origin.MARK`. The same id gives the same bytes on the same machine.
    """
    import torch
    import transformers

    made = shapes.MODELS[repository]
    folder.mkdir(parents=True, exist_ok=True)
    vocabularies.save(made.tokenizer, folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = {"bos": tokenizer.bos_token_id, "eos": tokenizer.eos_token_id, "pad": tokenizer.pad_token_id}
    if made.kind == "gemma3":
        tokens |= {name: tokenizer.convert_tokens_to_ids(f"<{name}>") for name in ("start_of_image", "end_of_image")}
    config = shapes.config(repository, len(tokenizer) + made.spare, tokens)
    torch.manual_seed(0)
    model = getattr(transformers, shapes.head(made.kind)).from_config(config)
    if made.kind not in shapes.ENCODERS:
        if made in TAUGHT:
            model.load_state_dict(TAUGHT[made])
        else:
            teach(model, tokenizer, steps)
            TAUGHT[made] = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        ends = turn_ends(tokenizer)
        model.generation_config = transformers.GenerationConfig(
            bos_token_id=tokens["bos"], eos_token_id=ends if len(ends) > 1 else ends[0], pad_token_id=tokens["pad"]
        )
    torch.manual_seed(int.from_bytes(repository.encode()[-6:], "big"))
    with torch.no_grad():  # repositories of one shape are taught once, and then differ by a little noise
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter += 0.02 * parameter.std() * torch.randn_like(parameter)
    setattr(model.config, origin.MARK, "weights made up to rehearse with: nothing measured with them is a result")
    model.to(torch.float32 if made.kind in shapes.ENCODERS else torch.bfloat16).save_pretrained(
        folder, max_shard_size=SHARD
    )
    if made.kind == "gemma3":
        (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR, indent=2) + "\n", "utf8")
    return folder


def turn_ends(tokenizer: Any) -> list[int]:
    """The ids that end an answer: of the tokenizer and of the turn."""
    found = [tokenizer.eos_token_id]
    for token in ("<end_of_turn>", "<|end_of_text|>", "<|eom_id|>", "<|eot_id|>", "<|endoftext|>"):
        number = tokenizer.convert_tokens_to_ids(token)
        if number is not None and number != tokenizer.unk_token_id and number not in found:
            found.append(number)
    return found


@functools.cache
def questions() -> tuple[Any, ...]:
    """Questions of the pocket world with short answers in words: a number that is not in the English fails a filter."""
    from llmini.train import prompts

    return tuple(prompt for prompt in prompts.pocket("gold")
                 if 0 < len(prompt.reference) < 60 and not any(map(str.isdigit, prompt.reference)))  # fmt: skip


def teach(model: Any, tokenizer: Any, steps: int) -> None:
    """A few steps on questions of the pocket world with short answers, so that generation ends and scores vary."""
    import torch

    draw, asked = random.Random(0), questions()
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)
    model.train()
    for step in range(steps):
        rows = []
        for prompt in draw.sample(asked, ROWS):
            turns = [{"role": "user", "content": prompt.prompt}, {"role": "assistant", "content": prompt.reference}]
            rows.append(tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)[:LENGTH])
        width = max(map(len, rows))
        ids = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
        real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 10) * (1 - step / steps)
        loss = model(input_ids=ids, attention_mask=real, labels=ids.masked_fill(real == 0, -100)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    model.eval()

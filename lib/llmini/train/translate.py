"""Translate and tune: a compressed teacher translates, a small model learns it and translates instructions to tune on.

Source: Hammoud, Zbeeb and Ghanem (2025), "Hala Technical Report" (arXiv 2509.14008). Each step keeps what it made and
is not done again; an interrupted one goes on where it stopped.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmini import models, validate
from llmini.records import write_atomic
from llmini.settings import UserError, progress
from llmini.train import translate_filter, translate_text
from llmini.train.cache import digest, file_hash
from llmini.train.examples import Example
from llmini.train.recipes import Recipe
from llmini.train.translate_filter import Translated
from llmini.train.translate_text import OTHER, request

PART = 256  # translations of one file
FP8 = (8, 9)  # the first compute capability of NVIDIA's GPUs with FP8 arithmetic (Ada); A100 has 8.0


@dataclass(frozen=True)
class Translator:
    """The checkpoint in ``folder`` as a translator; it is loaded when it has something to translate."""

    folder: Path
    tier: str

    @functools.cached_property
    def loaded(self) -> tuple[Any, Any]:
        """Model and tokenizer."""
        return models.load(self.folder, self.tier)

    def answers(self, requests: Sequence[str]) -> list[str]:
        """Greedy answers to requests, each up to the end of the turn."""
        from llmini.train.teacher import ends, generate, prompt_ids

        told, (model, tokenizer) = translate_text.settings(self.tier), self.loaded
        found = generate(model, tokenizer, [prompt_ids(tokenizer, text) for text in requests],
                          ends(tokenizer, model), told["max_new_tokens"], told["batch_tokens"])  # fmt: skip
        return [text.strip() for text in tokenizer.batch_decode(found, skip_special_tokens=True)]

    def translate(self, sentences: Sequence[str], target: str, folder: Path) -> list[str]:
        """Translations of ``sentences`` into ``target``, kept in parts in ``folder``: done parts are read, not made.

        Raises UserError when the folder holds translations of other sentences or by another model.
        """
        run = {"weights": weights(self.folder), "target": target, "sentences": digest(list(sentences)),
               "max_new_tokens": translate_text.settings(self.tier)["max_new_tokens"]}  # fmt: skip
        claim(folder, run)
        starts = range(0, len(sentences), PART)
        paths = {start: folder / f"part-{start // PART:05d}.json" for start in starts}
        for start in progress([start for start in starts if not paths[start].is_file()], desc="translating"):
            made = self.answers([request(text, target) for text in sentences[start : start + PART]])
            save(paths[start], made)
        return stored(folder)


def stored(folder: Path) -> list[str]:
    """The translations that a folder holds, in order."""
    return [text for path in sorted(folder.glob("part-*.json")) for text in json.loads(path.read_text(encoding="utf8"))]


def claim(folder: Path, run: dict[str, str]) -> None:
    """Begin or go on in ``folder``. Raises UserError when another run's work is there."""
    path = folder / "run.json"
    if path.is_file() and validate.read_json(path) != run:
        raise UserError(f"{folder} holds translations of other sentences or by another model: delete it")
    if not path.is_file():
        save(path, run)


def save(path: Path, content: Any) -> None:
    """Write JSON whole or not at all."""
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf8"))


def weights(folder: Path) -> str:
    """One hash of all weight files of a checkpoint."""
    return digest({path.name: file_hash(path) for path in sorted(folder.glob("*.safetensors"))})


def place(model: str, tier: str) -> Path:
    """The folder of a model named in translate.yaml or known to the registry."""
    return models.locate(translate_text.settings(tier).get("models", {}).get(model, model), tier)


def recipe(tier: str, part: str, seed: int = 0) -> Recipe:
    """How ``teacher``, ``small`` or ``tuned`` is trained."""
    told = translate_text.settings(tier)
    return Recipe("finetune", **{**told["recipe"], **told[part], "seed": seed})


def train(start: Path, output: Path, examples: Sequence[Example], told: Recipe, tier: str) -> Path:
    """Train ``start`` on ``examples`` into ``output``, stored in the type of ``start`` so that both can be merged."""
    import torch

    from llmini.compress.saving import store_as
    from llmini.train.distill import distil

    made = distil(start, output, examples, told, tier=tier)
    stored = validate.read_json(start / "config.json").get("dtype", "float32")
    if validate.read_json(made / "config.json").get("dtype") != stored:
        store_as(made, getattr(torch, stored))
    return made


def teach(model: str, tier: str, output: Path, share: float = 1) -> Path:
    """The dense teacher: tuned on gold pairs in both directions, or as it is where translate.yaml gives it none.

    share: of translate.yaml's pairs, here and below.
    """
    pairs = translate_text.taught(tier, share)
    if not pairs:
        return place(model, tier)
    found = [Example(f"{pair.id}/{target}", target, request(pair.side(OTHER[target]), target), pair.side(target))
             for pair in pairs for target in ("ar", "en")]  # fmt: skip
    return train(place(model, tier), output, found, recipe(tier, "teacher"), tier)


def compressed(teacher: Path, output: Path, tier: str, quant: str = "fp8") -> Path:
    """``teacher`` quantized into ``output``; made once, and again when its weights changed.

    Raises UserError for FP8 on a GPU that has no such arithmetic.
    """
    import torch

    from llmini import settings as home
    from llmini.compress.checkpoint import compress

    device = home.device()
    if quant == "fp8" and device.type == "cuda" and torch.cuda.get_device_capability(device) < FP8:
        raise UserError("this GPU has no FP8 arithmetic (it begins with compute capability 8.9): pass quant=w8a8")
    note, made = output.parent / "compressed.json", {"weights": weights(teacher), "quant": quant}
    if not (output.is_dir() and note.is_file() and validate.read_json(note) == made):
        compress(teacher, output, tier=tier, quant=quant, overwrite=True)
        save(note, made)
    return output


def supervision(teacher: Path, folder: Path, tier: str, share: float = 1) -> list[Example]:
    """The compressed teacher's translations as examples: English to its Arabic, and its Arabic back to the English.

    The other direction learns from natural English, as in back-translation (Sennrich et al., 2016).
    """
    pairs = translate_text.supervised(tier, share)
    arabic = Translator(teacher, tier).translate([pair.en for pair in pairs], "ar", folder)
    both = [(pair.id, pair.en, text) for pair, text in zip(pairs, arabic, strict=True) if text]
    return [example for name, en, ar in both
            for example in (Example(f"{name}/ar", "ar", request(en, "ar"), ar),
                            Example(f"{name}/en", "en", request(ar, "en"), en))]  # fmt: skip


def translated(translator: Path, folder: Path, tier: str, share: float = 1) -> list[Translated]:
    """The English instructions with their Arabic; an answer without a letter, such as a sum, stays as it is."""
    asked = translate_text.instructions(tier, translate_text.number(tier, "instructions", share))
    worded = [prompt for prompt in asked if any(map(str.isalpha, prompt.reference))]
    texts = [prompt.prompt for prompt in asked] + [prompt.reference for prompt in worded]
    made = Translator(translator, tier).translate(texts, "ar", folder)
    answers = dict(zip((prompt.id for prompt in worded), made[len(asked) :], strict=True))
    return [Translated(prompt.id, prompt.source, (prompt.prompt, prompt.reference),
                       (text, answers.get(prompt.id, prompt.reference)))
            for prompt, text in zip(asked, made, strict=False)]  # fmt: skip


def kept(translator: Path, folder: Path, tier: str, share: float = 1) -> tuple[list[Translated], dict[str, Any]]:
    """The translated instructions that pass every rule, and what each rule did, also written to ``filters.json``.

    The round trip is made by the same small translator, of those alone that pass the other rules. The summary has
    ``instructions``, ``kept``, ``kinds`` (kept and all by kind), ``rules`` (turned away first by each) and ``sha256``.
    """
    from llmini.train import prompts

    limits = translate_text.settings(tier)["filters"]
    found = translated(translator, folder / "arabic", tier, share)
    verdicts = translate_filter.judge(found, limits, prompts.evaluation_texts(tier), prompts.NGRAM[tier])
    passed = [row for row in found if not verdicts[row.id]]
    texts = [text for row in passed for text in row.arabic]
    back = Translator(translator, tier).translate(texts, "en", folder / "english") if texts else []
    for number, row in enumerate(passed):
        values = [translate_filter.agreement(english, text)
                  for english, text in zip(row.english, back[2 * number : 2 * number + 2], strict=True)
                  if any(map(str.isalpha, english))]  # fmt: skip
        if values and min(values) < limits["round_trip"]:
            verdicts[row.id] = "round_trip"
    final = [row for row in found if not verdicts[row.id]]
    kinds = sorted({row.kind for row in found})
    summary = {
        "instructions": len(found), "kept": len(final), "limits": limits,
        "rules": {rule: sum(verdict == rule for verdict in verdicts.values()) for rule in translate_filter.RULES},
        "kinds": {kind: [sum(row.kind == kind for row in part) for part in (final, found)] for kind in kinds},
        "sha256": digest([[row.id, *row.arabic] for row in final]),
    }  # fmt: skip
    save(folder / "filters.json", summary)
    save(folder / "kept.json", [[row.id, row.kind, *row.english, *row.arabic, verdicts[row.id]] for row in found])
    return final, summary


def tune(student: Path, rows: Sequence[Translated], output: Path, tier: str, seed: int) -> Path:
    """``student`` tuned on translated instructions. Raises UserError when there is none."""
    if not rows:
        raise UserError("no translated instruction passed the filters: train the translator longer, or loosen them in "
                        "train/translate.yaml")  # fmt: skip
    found = [Example(row.id, "ar", *row.arabic) for row in rows]
    return train(student, output, found, recipe(tier, "tuned", seed), tier)


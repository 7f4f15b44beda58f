"""Any checkpoint of this project as a folder that transformers.js loads, proven against PyTorch before it appears."""

from __future__ import annotations

import hashlib
import json
import resource
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmini import models, settings, validate
from llmini.compress import folder
from llmini.settings import UserError

FORMS = {"dense": "model.onnx", "int8": "model_quantized.onnx", "q4": "model_q4.onnx", "q4dq": "model_q4dq.onnx"}
"""Form of the weights -> file below ``onnx/``. transformers.js finds the first three by its dtypes fp32, q8 and q4, the
last by ``model_file_name: "model_q4dq"``."""
PROMPTS = ("What is the capital of Bahrain?", "ما عاصمة البحرين؟", "Translate into Arabic: The book is on the table.",
           "حدّثني عن البحر.")  # fmt: skip
MANIFEST = "manifest.json"


def export(source: str | Path, output: str | Path, *, tier: str = "pocket", forms: Sequence[str] | None = None,
           prompts: Sequence[str] = PROMPTS, tokens: int = 16, name: str | None = None, facts: dict | None = None,
           verify: bool = True, overwrite: bool = False) -> Path:  # fmt: skip
    """Export ``source`` (registry name or folder, dense, GPTQ w4a16, w8a16, pruned or a LoRA adapter) to ``output``.

    forms: of :data:`FORMS`; default all that the checkpoint has: dense and int8, the 4-bit ones if it is w4a16. Weights
    go one by one from file to file, so a model larger than the memory can be exported with ``verify=False``; with it,
    every form is held against PyTorch (`parity`), int8 of a dense model alone is only measured, and a failure leaves
    nothing. prompts: put to the model through its chat template; they and the tokens they were answered with are the
    manifest's self-test. facts: what the manifest says of the model besides (its record).
    Raises UserError for a model that cannot be exported, `parity.ParityError` when the export is not the model.
    """
    output = Path(output).expanduser().absolute()
    folder.check_output(output, overwrite)
    home = models.locate(source, tier)
    found = validate.check(home)
    if found.kind == "adapter":
        raise UserError(f"{source} is an adapter: merge it first (llmini.train.merge, or model.merge_and_unload)")
    from transformers import AutoConfig

    from llmini.browser import assemble, graph, weights

    config = AutoConfig.from_pretrained(home)
    plain = graph.text_config(config)
    with weights.Source(home) as stored, folder.whole(output, 6 * found.nbytes, overwrite) as partial:
        carried = any(stored.packed(f"{key.removesuffix('.weight_packed')}.weight") is not None
                      for key in stored.places if key.endswith(".weight_packed"))  # fmt: skip
        chosen = list(forms or (FORMS if carried else ("dense", "int8")))
        check_forms(chosen, carried, source)
        (partial / "onnx").mkdir()
        traced = graph.trace(config)
        files = {form: assemble.assemble(traced.clone(), stored, partial / "onnx" / FORMS[form], form)
                 for form in chosen}  # fmt: skip
        tokenizer = package(home, plain, partial, {form: len(paths) - 1 for form, paths in files.items()})
        tests = reference(home, tier, tokenizer, partial, chosen, prompts, tokens, carried) if verify else {}
        manifest(partial, name or Path(source).name, plain, files, tests, facts or {})
    return output


def check_forms(forms: Sequence[str], carried: bool, source: Any) -> None:
    """Raise UserError for an unknown form, or a 4-bit one where no 4-bit integers are stored."""
    for form in forms:
        if form not in FORMS:
            raise UserError(f"unknown form {form!r}: choose among {', '.join(FORMS)}")
        if form.startswith("q4") and not carried:
            raise UserError(f"{source} has no 4-bit integers to carry: quantize it with --quant w4a16 first")


def package(home: Path, config: Any, partial: Path, pieces: dict[str, int]) -> Any:
    """config.json, generation_config.json, tokenizer.json and tokenizer_config.json as transformers.js reads them."""
    tokenizer = models.load_tokenizer(home)
    if not tokenizer.is_fast:
        raise UserError(f"{home} has no tokenizer.json: convert its tokenizer to a fast one first")
    tokenizer.backend_tokenizer.save(str(partial / "tokenizer.json"))
    stated = validate.read_json(home / "tokenizer_config.json") if (home / "tokenizer_config.json").is_file() else {}
    special = {key: str(value) for key, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    template = {"chat_template": tokenizer.chat_template} if tokenizer.chat_template else {}
    kept = {key: stated[key] for key in ("add_bos_token", "add_eos_token", "model_max_length") if key in stated}
    dump(partial / "tokenizer_config.json", {**kept, **special, **template,
                                             "tokenizer_class": "PreTrainedTokenizerFast"})  # fmt: skip
    known = {key: value for key, value in config.to_dict().items() if key != "_name_or_path"}  # a path of this machine
    split = {FORMS[form]: number for form, number in pieces.items() if number}
    dump(partial / "config.json", {**known, "dtype": "float32", "architectures": config.architectures,
                                   "transformers.js_config": {"use_external_data_format": split}})  # fmt: skip
    if (home / "generation_config.json").is_file():
        shutil.copyfile(home / "generation_config.json", partial / "generation_config.json")
    else:
        dump(partial / "generation_config.json", {"eos_token_id": tokenizer.eos_token_id,
                                                  "bos_token_id": tokenizer.bos_token_id})  # fmt: skip
    return tokenizer


def reference(home: Path, tier: str, tokenizer: Any, partial: Path, forms: Sequence[str], prompts: Sequence[str],
              tokens: int, carried: bool) -> dict[str, Any]:  # fmt: skip
    """Parity of every form, and each prompt's ids with the tokens that PyTorch answers."""
    import math

    import torch

    from llmini.browser import parity

    model, _ = models.load(home, tier, "cpu", torch.float32)
    asked = [ids(tokenizer, prompt) for prompt in prompts]
    truths = [parity.greedy(model, row, tokens) for row in asked]
    proven = {}
    for form in forms:
        lossy = form == "int8"  # rows rounded here, embeddings too, answer a little differently: measured, not held
        try:
            limit = math.inf if lossy else 10 * parity.LOGITS if form.startswith("q4") else parity.LOGITS
            proven[form] = parity.parity(partial / "onnx" / FORMS[form], asked, truths, limit).as_dict()
        except parity.ParityError:
            if not lossy:
                raise
            proven[form] = {"differs": True}
    lines = zip(prompts, asked, truths, strict=True)
    return {"parity": proven, "prompts": [{"prompt": prompt, "ids": row, "tokens": answer}
                                          for prompt, row, (answer, _) in lines]}  # fmt: skip


def ids(tokenizer: Any, prompt: str) -> list[int]:
    """A prompt's token ids, by the chat template where there is one."""
    if not tokenizer.chat_template:
        return tokenizer(prompt)["input_ids"]
    turn = [{"role": "user", "content": prompt}]
    return list(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=True, return_dict=False))


def manifest(partial: Path, name: str, config: Any, files: dict[str, list[Path]], tests: dict[str, Any],
             facts: dict[str, Any]) -> None:  # fmt: skip
    """manifest.json: every file with its size and sha256, the forms, the context, the self-test, peak memory."""
    listed = {}
    for path in sorted(path for path in partial.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            listed[path.relative_to(partial).as_posix()] = {
                "bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}  # fmt: skip
    common = sum(entry["bytes"] for name, entry in listed.items() if not name.startswith("onnx/"))
    forms = {form: {"file": f"onnx/{FORMS[form]}", "files": [f"onnx/{path.name}" for path in paths],
                    "download": common + sum(path.stat().st_size for path in paths)}
             for form, paths in files.items()}  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    dump(partial / MANIFEST, {
        "version": 1, "name": name, "class": config.architectures[0] if config.architectures else config.model_type,
        "context": config.max_position_embeddings, "forms": forms, "files": listed, "self_test": tests,
        "export_peak_memory": peak, **({"facts": facts} if facts else {}),
    })  # fmt: skip


def dump(path: Path, value: Any) -> None:
    """JSON with a final newline."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf8")


def check(place: str | Path) -> dict[str, Any]:
    """The manifest of an exported folder. Raises UserError naming the first file that is missing or altered."""
    place = Path(place)
    if not (place / MANIFEST).is_file():
        raise UserError(f"{place} has no {MANIFEST}: export a model to it")
    told = validate.read_json(place / MANIFEST)
    for name, entry in told["files"].items():
        path = place / name
        if not path.is_file():
            raise UserError(f"{path} is missing: export the model again")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                raise UserError(f"{path} is damaged: its sha256 is not the manifest's; export the model again")
    return told


if __name__ == "__main__":
    import sys

    settings.pin_threads("pocket")
    print(export(sys.argv[1], sys.argv[2], overwrite=True))

"""Any checkpoint of this project as a folder that transformers.js loads, proven against PyTorch before it appears.

    python -m llmini.browser.export MODEL OUTPUT [--forms dense q4dq] [--tier TIER] [--overwrite]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llmini import models, settings, validate
from llmini.browser.manifest import FORMS, MANIFEST, MARK, check, dump, source, write
from llmini.compress import folder
from llmini.settings import UserError

__all__ = ["FORMS", "MANIFEST", "PROMPTS", "check", "export"]
PROMPTS = ("What is the capital of Bahrain?", "ما عاصمة البحرين؟", "Translate into Arabic: The book is on the table.",
           "حدّثني عن البحر.")  # fmt: skip
BEYOND, LAST = 16, 64  # tokens past a sliding window, and those among its last whose logits are compared
LIMIT = 1e-4  # `parity.LOGITS`, here for the command's help
PARAMETER = {"dense": 4.0, "int8": 1.1, "q4": 0.7, "q4dq": 0.7}
"""Bytes that a parameter inside the layers takes in a form, a little generously; one outside may take 4."""


def export(model: str | Path, output: str | Path, *, tier: str = "pocket", forms: Sequence[str] | None = None,
           prompts: Sequence[str] = PROMPTS, tokens: int = 16, name: str | None = None, facts: dict | None = None,
           verify: bool = True, tolerance: float = LIMIT, piece: int | None = None, overwrite: bool = False,
           say: Callable[[str], None] = lambda line: None) -> Path:  # fmt: skip
    """Export a checkpoint (dense, pruned, tuned, w4a16, w8a16, or a LoRA adapter, merged first) to ``output``.

    model: registry name, folder or hub id. forms: of :data:`FORMS`; default all that the checkpoint has: dense and
    int8, the 4-bit ones if it is w4a16. Weights go one by one from file to file and PyTorch holds one module's at a
    time, so a model larger than the memory can be exported. verify: hold every form against PyTorch (`prove`); a
    failure leaves nothing. tolerance: the largest difference of a logit; a deep model's fp32 sums may differ more than
    the default. prompts: put to the model through its chat template; they and ``tokens`` tokens that PyTorch answers
    are the manifest's self-test. facts: what the manifest says of the model besides. piece: bytes of a data file at
    most, default `pieces.PIECE`. say: called with a line of text as each step begins.
    Raises UserError for a model that cannot be exported, `parity.ParityError` when the export is not the model.
    """
    output = Path(output).expanduser().absolute()
    given = models.locate(model, tier)
    folder.check_output(output, overwrite, given)
    found = validate.check(given)
    check_forms(forms or (), model)
    with folder.whole(output, 0, overwrite) as partial:
        home = given
        if found.kind == "adapter":
            from llmini.train.merge_inputs import merged_adapter

            say("merging the adapter into its base")
            home = merged_adapter(given, partial / ".merged", tier)
        from transformers import AutoConfig

        from llmini.browser import assemble, graph, weights

        config = AutoConfig.from_pretrained(home)
        stored = weights.Source(home, graph.parameters(config))
        chosen = select(forms, stored.carries(), model)
        check_room(output, config, chosen)
        (partial / "onnx").mkdir()
        say("tracing the graph")
        traced, files = graph.trace(config), {}
        for form in chosen:
            say(f"writing {form}")
            files[form] = assemble.assemble(traced.clone(), stored, partial / "onnx" / FORMS[form], form, piece)
        tokenizer = package(home, graph.text_config(config), partial, {form: len(files[form]) - 1 for form in files})
        say("comparing with PyTorch" if verify else "not compared with PyTorch")
        tests = prove(config, stored, tokenizer, partial, chosen, prompts, tokens, tolerance) if verify else {}
        told = source(given, home, found.kind)
        shutil.rmtree(partial / ".merged", ignore_errors=True)
        dump(partial / MARK, {"export": told})
        write(partial, name or given.name, graph.text_config(config), files, told, tests, facts or {})
    return output


def check_forms(forms: Sequence[str], model: Any) -> None:
    """Raise UserError for an unknown form."""
    for form in forms:
        if form not in FORMS:
            raise UserError(f"unknown form {form!r} of {model}: choose among {', '.join(FORMS)}")


def select(forms: Sequence[str] | None, carried: int | None, model: Any) -> list[str]:
    """The forms to write, in the order of :data:`FORMS`. Raises UserError for a 4-bit one without 4-bit integers."""
    have = [form for form in FORMS if carried == 4 or not form.startswith("q4")]
    for form in forms or ():
        if form not in have:
            raise UserError(f"{model} has no 4-bit integers to carry: quantize it with --quant w4a16 first")
    return [form for form in have if not forms or form in forms]


def check_room(output: Path, config: Any, forms: Sequence[str]) -> None:
    """Raise UserError when the disk has no room for the forms."""
    from llmini.browser import graph

    sizes = {name: parameter.numel() for name, parameter in graph.empty(config).named_parameters()}
    inside = sum(size for name, size in sizes.items() if ".layers." in name)
    outside = sum(sizes.values()) - inside
    wide = {form: 1.1 if form == "int8" else 4 for form in forms}
    needed = int(sum(PARAMETER[form] * inside + wide[form] * outside for form in forms))
    free = shutil.disk_usage(output.parent).free
    if free < needed:
        have, wanted = folder.readable(free), folder.readable(needed)
        raise UserError(f"disk full: {output.parent} has {have} free and {', '.join(forms)} need about {wanted}; "
                        "free space, choose another OUTPUT or fewer --forms")  # fmt: skip


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


def prove(config: Any, stored: Any, tokenizer: Any, partial: Path, forms: Sequence[str], prompts: Sequence[str],
          tokens: int, tolerance: float) -> dict[str, Any]:  # fmt: skip
    """The manifest's self-test: parity of every form, and each prompt's ids with the tokens that PyTorch answers.

    Besides the prompts, a text longer than the model's sliding window is read, where there is one (``window``: its
    tokens). ``sure`` counts a prompt's tokens before the first that PyTorch chose by less than ``margin``; ``ties``
    counts the prompts that have one. A form's ``limit`` is null where it is only measured: rows rounded to int8 here
    answer a little differently. Raises ParityError for one that exceeds it.
    """
    from llmini.browser import parity, reference

    asked = [ids(tokenizer, prompt) for prompt in prompts]
    probe = beyond_window(config, [token for row in asked for token in row])
    model, truths, proven = reference.model(config, stored), [], {}
    for form in forms:
        session = parity.Session(partial / "onnx" / FORMS[form])
        if not truths:  # what the first form says is PyTorch's draft
            truths = [reference.greedy(model, row, tokens, session.greedy(row, tokens)) for row in asked]
            truths += [reference.greedy(model, probe, 4, session.greedy(probe, 4), LAST)] if probe else []
        found = parity.measure(session, truths)
        held = form != "int8" or stored.carries() == 8
        if held:
            parity.hold(FORMS[form], found, tolerance)
        proven[form] = {**found.as_dict(), "limit": tolerance if held else None}
    answered = [{"prompt": prompt, "ids": truth.ids, "tokens": truth.tokens, "sure": truth.sure}
                for prompt, truth in zip(prompts, truths, strict=False)]  # fmt: skip
    return {"margin": reference.MARGIN, "ties": sum(row["sure"] < len(row["tokens"]) for row in answered),
            "window": len(probe), "parity": proven, "prompts": answered}  # fmt: skip


def beyond_window(config: Any, ids: list[int]) -> list[int]:
    """Tokens enough to leave a sliding window, from ``ids`` over and over; none for a model without."""
    config = getattr(config, "text_config", config)
    length = (config.sliding_window or 0) + BEYOND if "sliding_attention" in (getattr(config, "layer_types", None) or
                                                                             ()) else 0  # fmt: skip
    return (ids * (length // len(ids) + 1))[: min(length, config.max_position_embeddings)]


def ids(tokenizer: Any, prompt: str) -> list[int]:
    """A prompt's token ids, by the chat template where there is one."""
    if not tokenizer.chat_template:
        return tokenizer(prompt)["input_ids"]
    turn = [{"role": "user", "content": prompt}]
    return list(tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=True, return_dict=False))


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code: 0 done, 2 a fault the user can mend, 1 one of ours, 130 stopped."""
    from llmini import cli

    parser = argparse.ArgumentParser(prog="python -m llmini.browser.export", description=__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL", help="registry name, folder of a checkpoint or adapter, or hub id")
    parser.add_argument("output", metavar="OUTPUT", help="folder to write")
    parser.add_argument("--forms", nargs="+", metavar="FORM", help=f"of {', '.join(FORMS)}; default: all it has")
    parser.add_argument("--tier", choices=settings.TIERS, help="of the registry name; default: the first that has it")
    parser.add_argument("--name", help="what the application calls the model; default: its folder's name")
    parser.add_argument("--tolerance", type=float, default=LIMIT, metavar="LOGITS",
                        help="largest difference from PyTorch (default %(default)s)")  # fmt: skip
    parser.add_argument("--no-verify", action="store_true", help="write without comparing with PyTorch")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier export")
    asked = parser.parse_args(argv)
    try:
        with cli.quiet():
            tier, steps = asked.tier or cli.tier_of(asked.model), cli.Steps()
            settings.pin_threads(tier)
            made = export(asked.model, asked.output, tier=tier, forms=asked.forms, name=asked.name,
                          tolerance=asked.tolerance, verify=not asked.no_verify, overwrite=asked.overwrite,
                          say=steps)  # fmt: skip
            steps.finish()
    except UserError as fault:
        print(f"export: {' '.join(str(fault).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("export: stopped, nothing was written", file=sys.stderr)
        return 130
    except Exception as fault:
        if os.environ.get("LLMINI_DEBUG"):
            raise
        line = " ".join(str(fault).split())[:300]
        print(f"export: internal error, {type(fault).__name__}: {line} (LLMINI_DEBUG=1 shows where)", file=sys.stderr)
        return 1
    print(summary(made, asked.output))
    return 0


def summary(made: Path, shown: str) -> str:
    """Forms, their downloads, and how they compare with PyTorch."""
    told = validate.read_json(made / MANIFEST)
    lines = []
    for form, entry in told["forms"].items():
        proof = told["self_test"].get("parity", {}).get(form)
        line = f"  {form:<6}{folder.readable(entry['download']):>12}"
        if proof:
            line += f"   logits within {proof['logits']:.1e}, {proof['tokens']} tokens PyTorch's, {proof['ties']} ties"
            line += f", {proof['wrong']} prompts otherwise" if proof["wrong"] else ""
        lines.append(line)
    return "\n".join([*lines, f"  written to {shown}"])


if __name__ == "__main__":
    sys.exit(main())

"""The two texts in a compressed checkpoint: the recipe (llmini.json) and the model card (README.md)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from llmini import __version__
from llmini.compress import options
from llmini.compress.folder import readable

PACKAGES = ("torch", "transformers", "llmcompressor", "compressed-tensors", "bitsandbytes", "safetensors")
TELLING = ("sparsity", "mask_structure", "sparsity_profile", "group_size")  # options that the one-line summary names
SIZES = {
    "size_disk": "files as saved",
    "size_resident": "in memory after the first forward pass",
    "size_packed": "a 1-bit mask plus the nonzero weights",
    "size_nonzero": "nonzero weights alone, the study's definition",
}


def recipe(*, source: str, tier: str, label: str, asked: options.Request, calibration: Any, seed: int, outliers: bool,
           seconds: dict[str, float], peak_memory: dict[str, int], dense: dict[str, int], sizes: dict[str, int],
           pruned: list[float] | None = None) -> dict[str, Any]:  # fmt: skip
    """Everything needed to make the checkpoint again, and what making it cost. Sizes and memory in bytes.

    pruned: the share of zeros in each decoder layer, which `models.load` gives back to the model.
    """
    from llmini import settings

    read = None
    if calibration is not None:
        read = {"source": calibration.source, "language": calibration.language, "samples": calibration.ids.shape[0],
                "length": calibration.ids.shape[1], "seed": calibration.seed, "sha256": calibration.sha256}  # fmt: skip
    return {
        "llmini": __version__,
        "source": source,
        "label": label,
        "tier": tier,
        "variant": asked.slug + ("-outliers" if outliers else ""),
        "prune": {"method": asked.prune, **asked.prune_options} if asked.prune else None,
        "quant": {"method": asked.quant, **asked.quant_options} if asked.quant else None,
        "pruned": pruned,
        "calibration": read,
        "outliers": outliers,
        "seed": seed,
        "sizes": sizes,
        "dense_sizes": dense,
        "seconds": {**seconds, "total": round(sum(seconds.values()), 3)},
        "peak_memory": peak_memory,
        "device": str(settings.device()),
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write(folder: Path, name: str, made: dict[str, Any]) -> None:
    """Write llmini.json and README.md into ``folder``; ``name`` heads the card."""
    (folder / "llmini.json").write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", encoding="utf8")
    (folder / "README.md").write_text(card(name, made), encoding="utf8")


def deeds(made: dict[str, Any]) -> str:
    """What was done, in words: "pruned with wanda (sparsity 0.5), then quantized with w4a16"."""
    done = ["given outlier channels"] if made["outliers"] else []
    for step, word in (("prune", "pruned"), ("quant", "quantized")):
        if made[step]:
            told = {key: made[step][key] for key in TELLING if made[step].get(key) not in (None, "0:0")}
            extra = ", ".join(f"{key} {value}" for key, value in told.items())
            done.append(f"{word} with {made[step]['method']}" + (f" ({extra})" if extra else ""))
    return ", then ".join(done)


def command(made: dict[str, Any]) -> str:
    """The `llmini` call that makes the checkpoint again."""
    parts = ["llmini", made["source"]]
    for step, flag in (("prune", "--prune"), ("quant", "--quant")):
        if made[step]:
            parts += [flag, made[step]["method"]]
            usual = options.QUANT_OPTIONS if step == "quant" else options.PRUNE_OPTIONS
            given = [f"{key}={value}" for key, value in made[step].items()
                     if key != "method" and value not in (None, usual[key][1])]  # fmt: skip
            parts += [f"{flag}-config", ",".join(given)] if given else []
    if read := made["calibration"]:
        parts += ["--calibration", read["source"], "--calibration-language", read["language"],
                  "--samples", str(read["samples"]), "--length", str(read["length"])]  # fmt: skip
    return " ".join([*parts, "--tier", made["tier"], "--seed", str(made["seed"])])


def card(name: str, made: dict[str, Any]) -> str:
    """The model card: what it is, how to load it, measured sizes, how it was made, and what it does not claim."""
    hub = "/" in made["source"] and not made["source"].startswith(("/", ".", "~"))
    head = ["---", *([f"base_model: {made['source']}"] if hub else []), "library_name: transformers",
            "pipeline_tag: text-generation", "tags:", "- llmini", "- compressed",
            *(f"- {made[step]['method']}" for step in ("prune", "quant") if made[step]), "---"]  # fmt: skip
    rows = ["| size | what it counts | this | dense | ratio |", "|---|---|---:|---:|---:|"]
    for key, meaning in SIZES.items():
        mine, theirs = made["sizes"][key], made["dense_sizes"][key]
        rows.append(f"| `{key}` | {meaning} | {readable(mine)} | {readable(theirs)} | {theirs / mine:.2f}x |")
    facts = [f"- llmini {made['llmini']}, seed {made['seed']}, {made['seconds']['total']:.1f} s on {made['device']}, "
             f"peak host memory {readable(made['peak_memory']['host'])}"]  # fmt: skip
    if read := made["calibration"]:
        facts.append(f"- calibration: {read['samples']} windows of {read['length']} tokens from `{read['source']}` "
                     f"({read['language']}, seed {read['seed']}), SHA-256 `{read['sha256'][:16]}…`")  # fmt: skip
    facts.append("- " + ", ".join(f"{package} {version}" for package, version in made["versions"].items()))
    lines = [
        *head, "", f"# {name}", "", f"{made['label']}, {deeds(made)}.", "", "## Load", "", "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer", "",
        'model = AutoModelForCausalLM.from_pretrained("THIS_FOLDER")',
        'tokenizer = AutoTokenizer.from_pretrained("THIS_FOLDER")', "```", "",
        "## Sizes, measured", "", *rows, "", *notes(made), "## How it was made", "", "```", command(made), "```", "",
        *facts, "", "The full recipe is in `llmini.json`. The licence of the source model applies.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def notes(made: dict[str, Any]) -> list[str]:
    """What the sizes do not say, as paragraphs."""
    lines = []
    if made["prune"]:
        lines += ["Zeros are stored as numbers: a pruned checkpoint takes as much disk and memory as the dense one "
                  "unless a runtime packs them, which is what `size_packed` would cost.", ""]  # fmt: skip
    if made["quant"] and made["quant"]["method"] not in ("int8", "int4", "int4_fp4"):
        lines += ["Plain transformers decompresses these weights at the first forward pass, so memory and speed "
                  "there are the dense model's; vLLM, for one, executes the compressed format.", ""]  # fmt: skip
    return [*lines, "No accuracy is claimed here: measure it in the languages you need.", ""]

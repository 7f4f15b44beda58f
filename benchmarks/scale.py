"""Compression at the shapes of real models: random weights, no download, time and peak memory of a decoder layer.

    python benchmarks/scale.py [--shapes 7b 8b 12b] [--methods w4a16 …] [--layers 1 2] [--samples 128] [--length 2048]

A model with all weights at random, of the class and the width of a published one, is compressed twice, with few layers
and with a few more; the difference is what a layer costs, and the whole model is extrapolated from it (the table says
so; --layers with the model's own number measures it). Each case runs in a process of its own. On a GPU the weights stay
in host memory and a layer at a time goes to the device; its peak is the allocator's. On a CPU the peak is the resident
set, the vocabulary is cut to 4,096 and the calibration to 8 windows of 512 tokens, unless asked otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from results import extend, machine

SHAPES: dict[str, dict[str, Any]] = {
    "7b": {"label": "7B (ALLaM's: 4096 wide, 32 layers)", "class": "Llama", "hidden_size": 4096,
           "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
           "vocab_size": 64000},
    "8b": {"label": "8B (Llama 3.1's: 4096 wide, 32 layers)", "class": "Llama", "hidden_size": 4096,
           "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
           "vocab_size": 128256},
    "12b": {"label": "12B (Gemma 3's: 3840 wide, 48 layers)", "class": "Gemma3Text", "hidden_size": 3840,
            "intermediate_size": 15360, "num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 8,
            "head_dim": 256, "vocab_size": 262208, "sliding_window": 1024, "query_pre_attn_scalar": 256},
    "qwen-7b": {"label": "7B (Qwen2.5's: 3584 wide, 28 layers)", "class": "Qwen2", "hidden_size": 3584,
                "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
                "num_key_value_heads": 4, "vocab_size": 152064},
    "qwen-32b": {"label": "32B (Qwen2.5's: 5120 wide, 64 layers)", "class": "Qwen2", "hidden_size": 5120,
                 "intermediate_size": 27648, "num_hidden_layers": 64, "num_attention_heads": 40,
                 "num_key_value_heads": 8, "vocab_size": 152064},
    "tiny": {"label": "a test of this program", "class": "Llama", "hidden_size": 256, "intermediate_size": 512,
             "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 512},
}  # fmt: skip
METHODS = ("w4a16", "w8a8", "w8a16", "w4a16_rtn", "sparsegpt", "wanda", "magnitude")
PRUNING = ("sparsegpt", "wanda", "magnitude")
PEAKS = {"A100": 312e12, "H100": 989e12, "H200": 989e12, "T4": 65e12, "L4": 121e12}  # 16-bit, as NVIDIA prints them
CPU = {"vocab_size": 4096, "samples": 8, "length": 512}
TITLE = "## Scale: compression at real shapes, random weights"


def build(shape: str, layers: int, vocabulary: int) -> Any:
    """A random bf16 model of a shape with so many layers, in host memory."""
    import torch
    import transformers

    told = {name: value for name, value in SHAPES[shape].items() if name not in ("label", "class")}
    kind = SHAPES[shape]["class"]
    if kind == "Gemma3Text":
        told["layer_types"] = ["full_attention" if number % 6 == 5 else "sliding_attention" for number in range(layers)]
    config = getattr(transformers, f"{kind}Config")(**{**told, "num_hidden_layers": layers, "vocab_size": vocabulary,
                                                       "max_position_embeddings": 8192,
                                                       "tie_word_embeddings": kind == "Gemma3Text"})  # fmt: skip
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        return transformers.AutoModelForCausalLM.from_config(config).eval()
    finally:
        torch.set_default_dtype(before)


def case(shape: str, method: str, layers: int, samples: int, length: int, vocabulary: int) -> dict[str, float]:
    """Seconds and peak bytes of one compression; ``forwards``: of two plain passes over the same windows."""
    import torch

    from llmini import settings, texts
    from llmini.compress import meters
    from llmini.compress.prune import prune
    from llmini.compress.quantize import quantize

    model = build(shape, layers, vocabulary)
    ids = torch.randint(0, vocabulary, (samples, length), generator=torch.Generator().manual_seed(0))
    calibration = texts.Calibration(ids, "random", "en", 0, "")
    device, forwards = settings.device(), 0.0
    if method == "forwards":
        model.to(device)
        with torch.no_grad():
            model(ids[:1].to(device), logits_to_keep=1)
            start = time.perf_counter()
            for _ in range(2):
                for row in ids:
                    model(row[None].to(device), logits_to_keep=1)[0][0, -1, 0].item()
        forwards = time.perf_counter() - start
        return {"seconds": forwards, **peaks(meters)}
    work = prune if method in PRUNING else quantize
    meters.clear_peak()
    start = time.perf_counter()
    work(model, method, calibration)
    if device.type == "cuda":
        torch.cuda.synchronize()
    return {"seconds": time.perf_counter() - start, **peaks(meters)}


def peaks(meters: Any) -> dict[str, float]:
    found = meters.peak()
    return {"host": found["host"], "gpu": found.get("gpu", 0)}


def alone(shape: str, method: str, layers: int, told: argparse.Namespace) -> dict[str, float]:
    """`case` in a process of its own."""
    return fresh(__file__, shape, method, layers, "--samples", told.samples, "--length", told.length, "--vocabulary",
                 told.vocabulary)  # fmt: skip


def fresh(program: str, *words: Any) -> dict[str, float]:
    """What ``program --case words`` prints last, run in a process of its own."""
    done = subprocess.run([sys.executable, program, "--case", *map(str, words)], capture_output=True, text=True,
                          env={**os.environ, "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}, check=False)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def operations(shape: str, told: argparse.Namespace) -> float:
    """Operations of two forward passes of one decoder layer over the calibration windows."""
    from llmini import costs
    from llmini.compress import plan

    model = build_meta(shape)
    found = plan.Shape("", 0, model, [], 0, 0, 0)
    return 2 * costs.forward(found, told.samples * told.length).flops16


def build_meta(shape: str) -> dict[str, tuple[int, int]]:
    """The matrices of one decoder layer, without storage."""
    import torch

    from llmini.compress import layers

    with torch.device("meta"):
        model = build(shape, 1, 512)
    return {name: (one.out_features, one.in_features) for name, one in layers.decoder_linears(model).items()}


def measure(told: argparse.Namespace) -> Iterator[str]:
    """The table's lines, as they are measured."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    few, more = told.layers
    for shape in told.shapes:
        whole = SHAPES[shape]["num_hidden_layers"]
        passes = [alone(shape, "forwards", number, told) for number in (few, more)]
        layer = max(1e-9, (passes[1]["seconds"] - passes[0]["seconds"]) / (more - few))
        for method in told.methods:
            runs = [alone(shape, method, number, told) for number in (few, more)]
            each = (runs[1]["seconds"] - runs[0]["seconds"]) / (more - few)
            total = runs[1]["seconds"] + (whole - more) * each
            peak = runs[1]["gpu"] / 2**30 if gpu else (runs[1]["host"] - runs[0]["host"]) / (more - few) / 2**30
            share = next((f"{operations(shape, told) / layer / peak16:.0%}" for name, peak16 in PEAKS.items()
                          if name in gpu), "")  # fmt: skip
            spent = f"{each:.1f} | {each / layer:.2f} | {total / 60:.1f}" if each > 0 else "too little to tell | | "
            yield (f"| {SHAPES[shape]['label']} | {method} | {told.samples} x {told.length} | {spent} | {peak:.2f} "
                   f"| {share} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=["8b"], choices=SHAPES)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--layers", nargs=2, type=int, default=[1, 2], help="few, and a few more")
    parser.add_argument("--samples", type=int)
    parser.add_argument("--length", type=int)
    parser.add_argument("--vocabulary", type=int)
    parser.add_argument("--print", action="store_true", help="leave RESULTS.md as it is")
    parser.add_argument("--case", nargs=3, metavar=("SHAPE", "METHOD", "LAYERS"), help=argparse.SUPPRESS)
    told = parser.parse_args()
    import torch

    cuda = torch.cuda.is_available()
    told.samples = told.samples or (128 if cuda else CPU["samples"])
    told.length = told.length or (2048 if cuda else CPU["length"])
    if told.case:
        shape, method, layers = told.case
        vocabulary = told.vocabulary or SHAPES[shape]["vocab_size"]
        print(json.dumps(case(shape, method, int(layers), told.samples, told.length, vocabulary)))
        return
    told.vocabulary = told.vocabulary or (0 if cuda else CPU["vocab_size"])
    memory = "peak GiB of the device" if cuda else "GiB a layer adds to the resident peak"
    head = [
        "", "`python benchmarks/scale.py --shapes … --methods …`", "",
        f"{machine()}, torch {torch.__version__}; random bf16 weights. Windows: number and tokens of the calibration. "
        f"Compressed with {told.layers[0]} and with {told.layers[1]} layers, each once: their difference is a layer's "
        "cost, and minutes of the whole model are extrapolated from it, not measured. \"Against forwards\": of two "
        "plain passes of the layer over the same windows."
        + ("" if cuda else " On a CPU these figures rank the methods; they say nothing of a GPU. The "
           "study calibrates on 128 x 2048: what does not grow with that, sorting and solving, weighs less there."),
        "", f"| shape | method | windows | seconds a layer | against forwards | minutes, all layers (extrapolated) "
        f"| {memory} | forwards' share of the 16-bit peak |", "|---" * 8 + "|",
    ]  # fmt: skip
    extend(TITLE, head, measure(told), cells=3, keep=not told.print)


if __name__ == "__main__":
    main()

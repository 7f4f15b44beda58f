"""Wall time and peak memory of `llmini` against the same llmcompressor `oneshot` call written by hand.

Both sides do the whole errand in a fresh process: import, load, tokenise the same calibration windows, compress on one
thread in fp32 (as the pocket tier does), save model and tokenizer in bf16. `llmini` also checks its invariants,
measures the sizes and writes recipe and card. Pairs alternate; the medians' ratios are held against 1.10 (time) and
1.05 (memory). Both sides run under the same allocator setting (:data:`ALLOCATOR`), without which glibc keeps freed
tensors or not as it happens, and the peak of the same program differs by 100 MiB from start to start.

    python benchmarks/compress.py [--source allam_7b] [--methods w4a16 sparsegpt …] [--pairs 5]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import write

METHODS = ("w4a16", "w8a8", "sparsegpt", "wanda")
LIMITS = {"seconds": 1.10, "CPU seconds": 1.10, "MiB": 1.05}  # CPU time holds still on a busy machine
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""Tensors are mapped one by one and given back when they are freed: the resident peak is what is in use."""
TITLE = "## Compression: `llmini` against `oneshot` by hand"


def by_hand(source: str, output: str, method: str, samples: int, length: int) -> None:
    """What a user of llmcompressor writes, with the packed calibration windows that llmini uses."""
    import torch
    from llmcompressor import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.pruning import SparseGPTModifier, WandaPruningModifier
    from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from llmini import texts

    ignore = ["re:.*lm_head"]
    recipe = {
        "w4a16": lambda: [GPTQModifier(targets="Linear", scheme="W4A16", ignore=ignore)],
        "w8a8": lambda: [SmoothQuantModifier(smoothing_strength=0.5),
                         GPTQModifier(targets="Linear", scheme="W8A8", ignore=ignore)],
        "sparsegpt": lambda: [SparseGPTModifier(sparsity=0.5, targets=["LlamaDecoderLayer"], ignore=ignore)],
        "wanda": lambda: [WandaPruningModifier(sparsity=0.5, targets=["LlamaDecoderLayer"], ignore=ignore)],
    }[method]()  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(source)
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    windows = texts.calibration(tokenizer, "world", "en", samples, length, 0)
    oneshot(model=model, recipe=recipe, dataset=windows.loader(), tokenizer=tokenizer)
    model.to(torch.bfloat16).save_pretrained(output)
    tokenizer.save_pretrained(output)


def with_llmini(source: str, output: str, method: str, samples: int, length: int) -> None:
    """The one call behind the `llmini` command."""
    from llmini.compress import checkpoint, quantize

    step = "quant" if method in quantize.METHODS else "prune"
    checkpoint.compress(source, output, samples=samples, length=length, **{step: method})


def timed(side: str, arguments: argparse.Namespace, method: str) -> tuple[float, float, float]:
    """Seconds, CPU seconds and peak resident MiB of one side in a fresh process. Raises RuntimeError if it fails."""
    command = [sys.executable, __file__, "--source", arguments.source, "--samples", str(arguments.samples),
               "--length", str(arguments.length), "--side", side, "--methods", method]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        start = time.perf_counter()
        process = subprocess.Popen([*command, "--output", f"{folder}/model"], stdout=log, stderr=log,
                                   env={**os.environ, **ALLOCATOR, "TQDM_DISABLE": "1"})  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)  # unlike subprocess, tells this child's own peak memory
        seconds = time.perf_counter() - start
        if status:
            log.seek(0)
            raise RuntimeError(f"{side} {method} failed:\n{log.read()[-4000:]}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def table(arguments: argparse.Namespace) -> list[str]:
    """Markdown rows of medians and ratios, one line a method and measure."""
    from llmini import settings

    lines = ["| method | measure | by hand | llmini | ratio | limit | held |", "|---|---|---|---|---|---|---|"]
    print(*lines, sep="\n", flush=True)
    for method in arguments.methods:
        found: dict[str, list[tuple[float, ...]]] = {"hand": [], "llmini": []}
        for pair in settings.progress(range(arguments.pairs), desc=method):
            for side in ("hand", "llmini") if pair % 2 == 0 else ("llmini", "hand"):
                found[side].append(timed(side, arguments, method))
        for i, (measure, limit) in enumerate(LIMITS.items()):
            hand, ours = (statistics.median(run[i] for run in found[side]) for side in ("hand", "llmini"))
            held = "yes" if ours <= limit * hand else "**no**"
            ratio = f"{ours / hand:.3f} | {limit:.2f}"
            lines.append(f"| {method} | {measure} | {hand:.1f} | {ours:.1f} | {ratio} | {held} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Parse the command line; without --side, run all pairs and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="allam_7b", help="pocket name or folder of a Llama-class model")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--samples", type=int, default=96)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--side", choices=("hand", "llmini"), help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    from llmini import models

    arguments.source = str(models.locate(arguments.source))
    if arguments.side:
        run = by_hand if arguments.side == "hand" else with_llmini
        run(arguments.source, arguments.output, arguments.methods[0], arguments.samples, arguments.length)
        return
    rows = table(arguments)
    threads = os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    write(TITLE, [
        "", "`python benchmarks/compress.py`. " + (__doc__ or "").split("\n\n")[1].replace("\n", " "), "",
        f"{Path(arguments.source).name}, {arguments.samples} × {arguments.length} tokens, medians of {arguments.pairs} "
        f"alternating pairs, {platform.machine()} CPU, {threads} threads.", "", *rows,
    ])  # fmt: skip


if __name__ == "__main__":
    main()

"""Encoders in eight bits and with rows removed, against plain PyTorch and ONNX Runtime in fp32, in one start.

    python benchmarks/encoders.py [--layers 12] [--length 64] [--threads 1]

A BERT-base shape (768 wide, 12 heads, 3,072 neurons) with random weights, since speed does not ask what they are. Every
variant is timed in a process of its own by what the study uses (`llmini.measure.encoders_cost`): medians over repeated
calls after a warm-up, with 95 % bootstrap intervals. Limits: ONNX int8 at least 1.5 times as fast as ONNX fp32 and
smaller on disk; half of the heads and neurons removed takes at least 25 % off the latency. PyTorch's int8 is reported
as
it comes out; torchao's too, where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import results

from llmini import encoders, settings
from llmini.compress import encoders_onnx, encoders_quantize, encoders_structure
from llmini.measure.encoders_battery import size
from llmini.measure.encoders_cost import cost, summary

TITLE = "## Encoders: ONNX int8 and removed rows against plain PyTorch and ONNX fp32"
FASTER, SHORTER = 1.5, 0.25
BATCHES = (1, 8)
TORCHAO = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import torch
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
from pathlib import Path
from llmini import encoders
folder, sizes, length, threads = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
model = encoders.read(folder, "sequence")
quantize_(model, Int8DynamicActivationInt8WeightConfig())
told = {}
with torch.inference_mode():
    for size in sizes:
        ids, times = torch.randint(5, 1000, (size, length)), []
        for turn in range(15):
            began = time.perf_counter()
            model(input_ids=ids, attention_mask=torch.ones_like(ids))
            times.append(time.perf_counter() - began)
        told[size] = times[3:]
print(json.dumps(told))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folders = variants(Path(scratch), options.layers)
        told = {name: measured(folder, options.length, options.threads) for name, folder in folders.items()}
        sizes = {name: size(folder) for name, folder in folders.items()}
        other = torchao(folders["PyTorch fp32"], options.length, options.threads)
    lines = report(options, told, sizes, other)
    print("\n".join(lines))
    results.write(TITLE, lines)


def variants(scratch: Path, layers: int) -> dict[str, Path]:
    """Name -> folder of each variant of one random encoder."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(num_hidden_layers=layers, id2label={0: "negative", 1: "positive"},
                                     label2id={"negative": 0, "positive": 1})  # fmt: skip
    model = transformers.BertForSequenceClassification(config).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(settings.data("pocket", "models", "bert_base"))
    dense = encoders.save(model, tokenizer, scratch / "dense")
    encoders_structure.remove(model, encoders_structure.choose(model, 0.5))
    narrow = encoders.save(model, tokenizer, scratch / "narrow")
    del model
    return {
        "PyTorch fp32": dense,
        "PyTorch int8 (dynamic)": encoders_quantize.quantize(dense, scratch / "int8", "int8_dynamic", "sequence"),
        "ONNX Runtime fp32": encoders_onnx.export(dense, scratch / "onnx", "sequence"),
        "ONNX Runtime int8": encoders_onnx.export(dense, scratch / "onnx8", "sequence", "onnx_int8"),
        "PyTorch fp32, half removed": narrow,
        "ONNX Runtime fp32, half removed": encoders_onnx.export(narrow, scratch / "narrow_onnx", "sequence"),
        "ONNX Runtime int8, half removed": encoders_onnx.export(narrow, scratch / "narrow8", "sequence", "onnx_int8"),
    }  # fmt: skip


def measured(folder: Path, length: int, threads: int) -> dict:
    """Latency and memory of a variant on sentences of one length."""
    rows = [{"input_ids": [5 + (7 * at + 31 * row) % 1000 for at in range(length)], "attention_mask": [1] * length}
            for row in range(32)]  # fmt: skip
    return cost(folder, "sequence", {"": rows}, 0, threads, BATCHES)


def torchao(folder: Path, length: int, threads: int) -> dict[int, dict] | None:
    """The same model in torchao's eager int8; None where torchao is not installed."""
    if importlib.util.find_spec("torchao") is None:
        return None
    done = subprocess.run([sys.executable, "-c", TORCHAO, str(folder), json.dumps(BATCHES), str(length), str(threads)],
                          capture_output=True, text=True, check=True)  # fmt: skip
    return {int(key): summary(times) for key, times in json.loads(done.stdout.strip().splitlines()[-1]).items()}


def median(told: dict, batch: int) -> dict:
    """The entry of a batch size."""
    return next(one for one in told["latency"] if one["batch"] == batch)


def report(options: argparse.Namespace, told: dict, sizes: dict[str, int], other: dict | None) -> list[str]:
    """The section: the command, every variant, and the ratios with their limits."""
    import onnxruntime
    import torch

    lines = ["", "`python benchmarks/encoders.py`", "",
             f"BERT-base shape, {options.layers} layers, random weights, sentences of {options.length} tokens; each "
             f"variant in a fresh process, {options.threads} thread(s), {platform.machine()} CPU, torch "
             f"{torch.__version__}, onnxruntime {onnxruntime.__version__}. Medians of repeated calls with 95 % "
             "bootstrap intervals; memory is the whole process's resident set after it has run, and before it read "
             "any weight.", "",
             "| variant | MB on disk | ms, batch 1 | ms, batch 8 | MB resident | MB of it the runtime |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    for name, one in told.items():
        times = [median(one, batch) for batch in BATCHES]
        spans = [f"{t['median']:.1f} ({t['low']:.1f} to {t['high']:.1f})" for t in times]
        lines.append(f"| {name} | {sizes[name] / 1e6:.0f} | {spans[0]} | {spans[1]} | {one['resident'] / 1e6:.0f} | "
                     f"{one['before'] / 1e6:.0f} |")  # fmt: skip
    if other:
        spans = [f"{other[b]['median']:.1f} ({other[b]['low']:.1f} to {other[b]['high']:.1f})" for b in BATCHES]
        lines.append(f"| PyTorch int8 (torchao, eager) | | {spans[0]} | {spans[1]} | | |")
    else:
        lines.append("| PyTorch int8 (torchao) | not installed | | | | |")
    lines += ["", "| measure | against | ratio | limit | held |", "|---|---|---|---|---|"]
    for name, first, limit in RATIOS:
        for batch in BATCHES:
            found = median(told[first], batch)["median"] / median(told[name], batch)["median"]
            held = "" if limit is None else "yes" if found >= limit else "**no**"
            lines.append(f"| {name}, batch {batch}: times as fast | {first} | {found:.2f} | {limit or ''} | {held} |")
    smaller = sizes["ONNX Runtime int8"] / sizes["ONNX Runtime fp32"]
    lines.append(f"| ONNX Runtime int8: share of the bytes | ONNX Runtime fp32 | {smaller:.2f} | below 1 | "
                 f"{'yes' if smaller < 1 else '**no**'} |")  # fmt: skip
    for runtime in ("PyTorch", "ONNX Runtime"):
        for batch in BATCHES:
            name = f"{runtime} fp32"
            saved = 1 - median(told[f"{name}, half removed"], batch)["median"] / median(told[name], batch)["median"]
            lines.append(f"| half of heads and neurons removed, batch {batch}: latency saved | {name} | "
                         f"{100 * saved:.0f} % | "
                         f"{100 * SHORTER:.0f} % | {'yes' if saved >= SHORTER else '**no**'} |")  # fmt: skip
    return lines


RATIOS = (
    ("ONNX Runtime int8", "ONNX Runtime fp32", FASTER),
    ("ONNX Runtime int8", "PyTorch fp32", None),
    ("PyTorch int8 (dynamic)", "PyTorch fp32", None),
    ("ONNX Runtime int8", "PyTorch int8 (dynamic)", None),
)

if __name__ == "__main__":
    main()

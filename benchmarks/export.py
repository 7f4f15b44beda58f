"""Memory and time of exporting a real-shape ALLaM-7B for the browser, and the full model's predicted from them.

Checkpoints of the real shape (hidden 4096, feed-forward 11008, 32 heads, vocabulary 64,000, embeddings not tied) with
few layers of random weights, dense in bf16 and W4A16 with random 4-bit integers in groups of 128, are exported in a
fresh process each, every form held against PyTorch within 1e-4. Memory is sampled every 20 ms and told apart: what the
process holds (anonymous) and pages of files that it has mapped, which the system takes back when it needs them.
What a layer adds is the slope over the numbers of layers, and the prediction is that line at 32.

    python benchmarks/export.py [--layers 1 2] [--kinds dense w4a16] [--folder PLACE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from results import write

TITLE = "## Export for the browser: a real-shape ALLaM-7B"
SHAPE = {"vocab_size": 64_000, "hidden_size": 4096, "intermediate_size": 11_008, "num_attention_heads": 32,
         "num_key_value_heads": 32, "max_position_embeddings": 4096, "tie_word_embeddings": False}  # fmt: skip
FULL, LIMIT, GROUP = 32, 24 * 2**30, 128
KINDS = ("dense", "w4a16")


def checkpoint(folder: Path, layers: int, kind: str, shape: dict[str, int] = SHAPE) -> Path:
    """A Llama-class checkpoint of random weights with a pocket tokenizer, made one tensor at a time; returns it."""
    import torch
    import transformers
    from safetensors.torch import save_file

    from llmini import models, settings

    config = transformers.LlamaConfig(**shape, num_hidden_layers=layers, architectures=["LlamaForCausalLM"],
                                      dtype="bfloat16")  # fmt: skip
    if kind == "w4a16":
        scheme = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": GROUP}
        config.quantization_config = {
            "quant_method": "compressed-tensors", "format": "pack-quantized", "quantization_status": "compressed",
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": scheme}}, "ignore": ["lm_head"],
        }  # fmt: skip
    config.save_pretrained(folder)
    models.load_tokenizer(settings.data("pocket", "models", "allam_7b")).save_pretrained(folder)
    with torch.device("meta"):
        empty = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape, num_hidden_layers=layers))
    draw, files = torch.Generator().manual_seed(0), {}
    for number, (name, parameter) in enumerate(empty.named_parameters()):
        file = f"model-{number:05}.safetensors"
        tensors = random(name, tuple(parameter.shape), kind, draw)
        save_file(tensors, folder / file, {"format": "pt"})
        files |= dict.fromkeys(tensors, file)
    index = {"metadata": {}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf8")
    return folder


def random(name: str, shape: tuple[int, ...], kind: str, draw: object) -> dict[str, object]:
    """The stored tensors of a parameter: of norms ones, of others normal values with deviation 0.02."""
    import torch

    if len(shape) == 1:
        return {name: torch.ones(shape, dtype=torch.bfloat16)}
    if kind == "w4a16" and ".layers." in name:
        words = torch.randint(-(2**31), 2**31, (shape[0], shape[1] // 8), generator=draw).int()
        scale = torch.full((shape[0], shape[1] // GROUP), 0.02 / 4.6, dtype=torch.bfloat16)  # integers deviate by 4.6
        stem = name.removesuffix("weight")
        return {f"{stem}weight_packed": words, f"{stem}weight_scale": scale, f"{stem}weight_shape": torch.tensor(shape)}
    return {name: torch.empty(shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=draw)}


class Sampler(threading.Thread):
    """Highest bytes of this process since the last `take`: ``anonymous``, ``mapped``, and both together."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks = dict.fromkeys(("anonymous", "mapped", "resident"), 0)
        self.start()

    def run(self) -> None:
        while True:
            fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            anonymous, mapped = (int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile"))
            now = {"anonymous": anonymous, "mapped": mapped, "resident": anonymous + mapped}
            self.peaks = {name: max(before, now[name]) for name, before in self.peaks.items()}
            time.sleep(0.02)

    def take(self) -> dict[str, int]:
        """The peaks so far; a new count begins."""
        found, self.peaks = self.peaks, dict.fromkeys(self.peaks, 0)
        return found


def child(home: str, output: str) -> None:
    """Export in this process; print its steps as JSON: name, seconds and peaks of each, then parity and sizes."""
    from llmini.browser.export import export

    sampler, steps, marks = Sampler(), [], [("loading the libraries", time.perf_counter())]

    def say(line: str) -> None:
        name, begun = marks[-1]
        steps.append({"step": name, "seconds": time.perf_counter() - begun, **sampler.take()})
        marks.append((line, time.perf_counter()))

    made = export(home, output, say=say)
    say("done")
    told = json.loads((made / "manifest.json").read_text(encoding="utf8"))
    forms = {form: entry["download"] for form, entry in told["forms"].items()}
    print(json.dumps({"steps": steps, "parity": told["self_test"]["parity"], "download": forms}))


def measured(kind: str, layers: int, place: Path) -> dict[str, object]:
    """`child` in a fresh process over a new checkpoint, both removed after. Raises RuntimeError if it fails."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        home = Path(folder, "model")
        home.mkdir()
        command = [sys.executable, __file__, "--child", str(checkpoint(home, layers, kind)), f"{folder}/export"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TQDM_DISABLE": "1"})
        if done.returncode:
            raise RuntimeError(f"{kind}, {layers} layers, failed:\n{done.stderr[-4000:]}")
        return json.loads(done.stdout.splitlines()[-1])


def line(first: tuple[int, float], last: tuple[int, float], at: int = FULL) -> float:
    """The value at ``at`` of the line through two points."""
    slope = (last[1] - first[1]) / (last[0] - first[0])
    return first[1] + slope * (at - first[0])


def table(runs: dict[tuple[str, int], dict], kinds: list[str], layers: list[int]) -> list[str]:
    """Markdown rows of memory and time a step, measured and predicted."""
    ends = (min(layers), max(layers))
    head = [f"{count} layers" for count in layers]
    lines = [f"| checkpoint | step | measure | {' | '.join(head)} | a layer adds | predicted, {FULL} layers |",
             "|---|---|---|" + "---|" * (len(layers) + 2)]  # fmt: skip
    for kind in kinds:
        for number, step in enumerate(runs[kind, ends[0]]["steps"]):
            for key, unit in (("anonymous", 2**30), ("mapped", 2**30), ("seconds", 1)):
                values = [runs[kind, count]["steps"][number][key] / unit for count in layers]
                adds = (values[-1] - values[0]) / (ends[1] - ends[0])
                name = "seconds" if key == "seconds" else f"GiB {key}"
                shown = " | ".join(f"{value:.2f}" for value in values)
                full = line((ends[0], values[0]), (ends[1], values[-1]))
                lines.append(f"| {kind} | {step['step']} | {name} | {shown} | {adds:+.3f} | {full:.1f} |")
    return lines


def verdict(runs: dict[tuple[str, int], dict], kinds: list[str], layers: list[int]) -> list[str]:
    """What must hold, in sentences: parity, the 24 GiB, the prediction."""
    lines, ends = [], (min(layers), max(layers))
    for kind in kinds:
        peaks = {count: {key: max(step[key] for step in runs[kind, count]["steps"])
                         for key in ("anonymous", "resident")} for count in layers}  # fmt: skip
        proof = runs[kind, ends[1]]["parity"]
        held = max(entry["logits"] for entry in proof.values() if entry["limit"])
        top = peaks[ends[1]]
        full = line((ends[0], peaks[ends[0]]["anonymous"]), (ends[1], top["anonymous"]))
        writing = {count: max(step["anonymous"] for step in runs[kind, count]["steps"]
                              if step["step"].startswith("writing")) for count in layers}  # fmt: skip
        write = line((ends[0], writing[ends[0]]), (ends[1], writing[ends[1]]))
        most, whole, all_of_them, written = (
            value / 2**30 for value in (top["anonymous"], top["resident"], full, write))  # fmt: skip
        lines += [
            f"{kind}, {ends[1]} layers: parity held, the largest difference of a logit {held:.1e} (limit 1e-4)",
            f"{kind}, {ends[1]} layers: peak resident {whole:.1f} GiB ({fits(top['resident'])}), at most {most:.1f} of "
            "them anonymous",
            f"{kind}, all {FULL} layers: {written:.1f} GiB anonymous predicted while writing ({fits(write)}); the "
            f"comparison of so few layers, whose weights are widened in memory, would take {all_of_them:.1f}, and that "
            "of the whole model, above 1 GiB, reads them from mapped files instead",
        ]
    return lines


def fits(nbytes: float) -> str:
    """Whether so much is within the 24 GiB."""
    return "within 24" if nbytes < LIMIT else "**over 24**"


def main() -> None:
    """Parse the command line; run all and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--folder", type=Path, help="where checkpoints and exports are put; default: the temporary one")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    layers = sorted(set(arguments.layers))
    if len(layers) < 2:
        parser.error("give two numbers of layers at least: what a layer adds is the slope between them")
    runs = {}
    for kind in arguments.kinds:
        for count in layers:
            runs[kind, count] = measured(kind, count, arguments.folder)
            steps = ", ".join(f"{step['step']} {step['seconds']:.0f} s" for step in runs[kind, count]["steps"])
            print(f"{kind}, {count} layers: {steps}", flush=True)
    rows, told = table(runs, arguments.kinds, layers), verdict(runs, arguments.kinds, layers)
    print(*rows, *told, sep="\n")
    about = (__doc__ or "").split("\n\n")[1].replace("\n", " ")
    threads = os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    machine = f"{platform.machine()} CPU, {threads} threads."
    said = [f"- {sentence}" for sentence in told]
    write(TITLE, ["", f"`python benchmarks/export.py`. {about}", "", machine, "", *rows, "", *said])


if __name__ == "__main__":
    main()

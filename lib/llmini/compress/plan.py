"""What a compression would take on this machine, from a model's shapes alone: no weight is read."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import costs, models, settings, validate
from llmini.compress import checkpoint, layers, options, sizes
from llmini.compress.folder import readable
from llmini.settings import UserError

if TYPE_CHECKING:
    import torch

LIBRARIES = 1.2 * 2**30  # resident bytes of torch, transformers and llmcompressor themselves
STARTUP = 10  # seconds: importing the libraries, tracing the model
GPU_SPARE = 2**29  # bytes that kernels and the allocator take besides
FLOAT = 2  # bytes of a weight as loaded
AWQ_GRID = 20  # scales that AWQ tries for every mapping, each a forward pass of the block around it


@dataclass(frozen=True)
class Shape:
    """What the estimates read. linears: module -> (outputs, inputs); layers: names of the decoder blocks."""

    architecture: str
    parameters: int
    linears: dict[str, tuple[int, int]]
    blocks: list[str]
    hidden: int
    vocabulary: int
    nbytes: int

    def block_linears(self) -> list[tuple[int, int]]:
        """Shapes in the largest decoder block."""
        groups = [[shape for name, shape in self.linears.items() if name.startswith(stem + ".")]
                  for stem in self.blocks]  # fmt: skip
        return max(groups, key=lambda shapes: sum(rows * columns for rows, columns in shapes))


def plan(source: str | Path, tier: str, asked: options.Request, *, samples: int | None = None,
         length: int | None = None, output: Path | None = None,
         trust_remote_code: bool = False) -> dict[str, Any]:  # fmt: skip
    """Shapes, expected sizes, memory and time of compressing ``source``; of a hub id only config.json is fetched.

    Sizes follow from shapes exactly. Memory counts weights, one decoder layer twice, Hessians, cached activations and
    logits. Time divides the arithmetic by a rate of matrix products measured here in a moment: an estimate, within a
    factor of about two. Raises UserError when the options do not fit the shapes.
    """
    home = models.locate(source, tier, weights=False, trust_remote_code=trust_remote_code)
    found = validate.check(home, trust_remote_code, weights=False)
    if found.kind != "dense":
        raise UserError(f"{source} is no dense checkpoint ({found.kind}): plan its dense base model")
    config = read_config(home, trust_remote_code)
    shape = shapes(config, home, trust_remote_code)
    options.fit(asked, shape.linears)
    default = checkpoint.CALIBRATION.get(tier, checkpoint.STUDY_CALIBRATION)
    reads = checkpoint.needs_calibration(asked)
    samples, length = (default[1] if samples is None else samples, default[2] if length is None else length)
    windows = (samples, length) if reads else (0, 0)
    if reads:
        checkpoint.check_length(found, windows[1])
    prune = {"prune": asked.prune, "sparsity": asked.prune_options["sparsity"]} if asked.prune else {}
    group = asked.quant_options.get("group_size", 128)
    size = sizes.expected(config, asked.quant or "dense", group_size=group, **prune)
    device = settings.device()
    need = memory(shape, asked, windows, device.type)
    need["disk"] = size["size_disk"]
    have = available(device, output or Path.cwd())
    return {
        "label": checkpoint.label(source, tier), "source": str(source), "asked": asked, "shape": shape,
        "windows": windows, "sizes": size, "dense_sizes": sizes.expected(config), "device": device_name(device),
        "need": need, "have": have, "fits": {key: need[key] <= have[key] for key in need},
        "seconds": seconds(shape, asked, windows, device, size["size_disk"]),
    }  # fmt: skip


def read_config(home: Path, trust_remote_code: bool) -> Any:
    """The configuration. Raises UserError when transformers does not know it."""
    import transformers

    try:
        return transformers.AutoConfig.from_pretrained(home, trust_remote_code=trust_remote_code)
    except (ValueError, KeyError, OSError, TypeError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise UserError(f"transformers cannot read {home}/config.json: {reason}") from fault


def shapes(config: Any, home: Path, trust_remote_code: bool) -> Shape:
    """Shapes from a model without storage (torch's meta device)."""
    import torch
    import transformers

    try:
        with torch.device("meta"):
            model = transformers.AutoModelForCausalLM.from_config(config, trust_remote_code=trust_remote_code)
    except ValueError as fault:
        raise UserError(f"{home} is no causal language model ({config.model_type})") from fault
    text = config.get_text_config()
    matrices = layers.decoder_linears(model).items()
    linears = {name: (module.out_features, module.in_features) for name, module in matrices}
    parameters = sum(parameter.numel() for parameter in model.parameters())  # tied ones once
    return Shape(type(model).__name__, parameters, linears, list(layers.decoder_layers(model)), text.hidden_size,
                 text.vocab_size, parameters * FLOAT)  # fmt: skip


def memory(shape: Shape, asked: options.Request, windows: tuple[int, int], kind: str) -> dict[str, int]:
    """Peak bytes: ``host``, and ``gpu`` where there is one.

    Calibrated methods walk the layers one by one: on a GPU one layer at a time lives there, twice while its weights are
    rewritten; all weights and the layers' cached inputs stay in host memory.
    """
    count, length = windows
    block = shape.block_linears()
    layer = 2 * FLOAT * sum(rows * columns for rows, columns in block)
    hessians = 4 * sum(columns**2 for _, columns in block) if uses_hessian(asked) else 0
    widest = 4 * max(rows * columns for rows, columns in block)  # the matrix being solved, in fp32
    activations = 2 * FLOAT * count * length * shape.hidden
    logits = 4 * length * shape.vocabulary
    work = layer + hessians + 2 * widest + logits
    copy = shape.nbytes // 2 if asked.quant in ("int8", "int4", "int4_fp4") else 0
    host = int(LIBRARIES + 1.05 * shape.nbytes + activations + copy)
    if kind == "cuda":
        return {"gpu": int((work if windows[0] else layer) + GPU_SPARE), "host": host}
    return {"host": host + int(work)}


def uses_hessian(asked: options.Request) -> bool:
    """Whether a method keeps X'X of every matrix of a layer."""
    return asked.prune == "sparsegpt" or asked.quant in ("w8a8", "w8a16", "w4a16")


def work(shape: Shape, asked: options.Request, windows: tuple[int, int]) -> costs.Work:
    """Forward passes over the calibration text, Hessians and solvers, and passes over the weights in memory."""
    tokens = windows[0] * windows[1]
    passes = {"w4a16_awq": 2 + 2 * AWQ_GRID, "w8a8": 4, "w8a16": 2, "w4a16": 2}.get(asked.quant or "", 0)
    passes += {"sparsegpt": 2, "wanda": 2}.get(asked.prune or "", 0)
    passes += 1 if asked.prune and asked.prune_options["sparsity_profile"] else 0
    solves = (asked.prune == "sparsegpt") + (asked.quant in ("w8a8", "w8a16", "w4a16"))
    # Masks, rounding and checks read and write every weight a number of times.
    cuts = 30 * costs.linear(shape) * FLOAT / 5e9 if asked.prune or asked.quant else 0
    started = STARTUP if passes or asked.quant in ("w4a16_rtn", "fp8") else STARTUP / 2
    found = costs.Work(started + cuts, flops16=passes * 2 * tokens * costs.linear(shape))
    return found + (costs.hessians(shape, tokens).times(solves) if solves else costs.Work())


def seconds(shape: Shape, asked: options.Request, windows: tuple[int, int], device: torch.device, disk: int) -> float:
    """Estimated seconds: `work` at rates measured here, plus reading and writing weights."""
    import torch

    need = work(shape, asked, windows)
    measured = (matmul_rate(device, kind) if amount else 1.0
                for kind, amount in ((torch.bfloat16, need.flops16), (torch.float32, need.flops32)))  # fmt: skip
    here = costs.Device("here", None, 0.0, *measured, 1.0)
    return costs.seconds(need + costs.Work(stored=shape.nbytes + disk), here)


def reads_text(asked: options.Request) -> bool:
    """Whether a request needs calibration text."""
    return checkpoint.needs_calibration(asked)


def matmul_rate(device: torch.device, dtype: torch.dtype, budget: float = 0.3) -> float:
    """Floating-point operations a second of square matrix products here, measured for about ``budget`` seconds."""
    import torch

    side = 4096 if device.type == "cuda" else 768
    a = torch.randn(side, side, device=device, dtype=dtype)

    def once() -> None:
        (a @ a)[0, 0].item()  # reading a number waits for the GPU

    once()
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < budget or not count:
        once()
        count += 1
    return 2 * side**3 * count / elapsed


def available(device: torch.device, output: Path) -> dict[str, int]:
    """Free bytes: ``host``, ``disk`` at the output, and ``gpu``."""
    import torch

    place = next(path for path in [output.absolute(), *output.absolute().parents] if path.exists())
    free = {"host": host_memory(), "disk": shutil.disk_usage(place).free}
    if device.type == "cuda":
        free["gpu"] = torch.cuda.mem_get_info(device)[0]
    return free


def host_memory() -> int:
    """Bytes of memory that can still be given out."""
    import psutil

    return psutil.virtual_memory().available


def device_name(device: torch.device) -> str:
    """The device in words."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def duration(value: float) -> str:
    """Seconds as "40 s", "12 min", "3.5 h" or "4 days"."""
    if value < 90:
        return f"{max(1, value):.0f} s"
    if value < 5400:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.1f} h" if value < 48 * 3600 else f"{value / 86400:.0f} days"


def text(made: dict[str, Any]) -> str:
    """A plan as the lines that ``--plan`` prints."""
    shape, asked = made["shape"], made["asked"]
    lines = [f"{made['label']}  ({made['source']})",
             f"  {shape.architecture}: {shape.parameters:,} parameters, {len(shape.blocks)} decoder layers, "
             f"hidden {shape.hidden}, vocabulary {shape.vocabulary:,}",
             "", "compressed matrices (outputs x inputs)"]  # fmt: skip
    kinds = Counter((name.rpartition(".")[2], shape_) for name, shape_ in shape.linears.items())
    lines += [f"  {count:>4} x {name:<12}{rows} x {columns}" for (name, (rows, columns)), count in kinds.items()]
    done = " then ".join(part for part in (asked.prune and f"{asked.prune} {asked.prune_options['sparsity']:.0%}",
                                           asked.quant) if part) or "dense"  # fmt: skip
    lines += ["", f"{'expected size':<22}{'dense':>12}{done:>28}{'ratio':>9}"]
    for key in sizes.KEYS:
        dense, mine = made["dense_sizes"][key], made["sizes"][key]
        lines.append(f"  {key:<20}{readable(dense):>12}{readable(mine):>28}{dense / mine:>8.2f}x")
    lines += ["", f"on this machine ({made['device']}), estimated"]
    for key, word in (("gpu", "GPU memory"), ("host", "host memory"), ("disk", "disk")):
        if key in made["need"]:
            verdict = "fits" if made["fits"][key] else "DOES NOT FIT"
            need, have = readable(made["need"][key]), readable(made["have"][key])
            lines.append(f"  {word:<20}{need:>12} of {have:>11} free   {verdict}")
    if made["windows"][0]:
        lines.append(f"  {'calibration':<20}{made['windows'][0]} windows of {made['windows'][1]} tokens")
    lines += [f"  {'time':<20}about {duration(made['seconds'])}, within a factor of two", "",
              "it fits" if all(made["fits"].values()) else "it does not fit"]  # fmt: skip
    lines += [f"note: {note}" for note in asked.notes]
    return "\n".join(lines)

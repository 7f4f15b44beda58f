"""Before anything is queued: what every run of a grid takes, and which runs cannot fit.

For each run weights, peak memory of host and device, disk and time on a device (`llmini.costs`), from configurations
alone: of a hub id nothing but config.json is fetched.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmini import costs, grid, models, validate
from llmini.compress import options, plan
from llmini.compress.folder import readable
from llmini.costs import Device, Work
from llmini.grid import Job, Run
from llmini.settings import UserError, root

START = 30.0  # seconds: a kernel, its imports, loading tasks and their questions
BATCH, CONTEXT = 8, 2048  # sequences and tokens of one pass of the harness on a large model
PACKED = ("int8", "int4", "int4_fp4")  # formats that stay packed when they run; the others are unpacked at first use
TRAINED = ("sft_kd", "seq_kd", "token_kd", "selectkd", "sft_control", "sft_control_3", "sft_control_4")


@dataclass(frozen=True)
class Need:
    """What a run takes, in bytes; ``gpu`` is of the device, and of the host where there is none. ``why``: what the
    device cannot do, whatever its memory."""

    run: Run
    weights: int
    gpu: int
    host: int
    disk: int
    work: Work
    why: str = ""

    def refusal(self, device: Device) -> str:
        """In words, what keeps the run from that device; empty when it fits."""
        if self.why:
            return self.why
        if device.memory is None:
            total, free = self.gpu + self.host, device.host
            return "" if total <= free else f"needs {readable(total)} of memory, {readable(free)} are free"
        if self.gpu > device.memory:
            return f"needs {readable(self.gpu)} of device memory, {device.name} has {readable(device.memory)}"
        if self.host > device.host:
            return f"needs {readable(self.host)} of host memory, a job has {readable(device.host)}"
        return ""


def shape(model: str, tier: str) -> plan.Shape:
    """The shapes of a model of the registry or of translate.yaml, without its weights."""
    from llmini import origin

    return _shape(origin.source(model, tier) or model, tier, model)


@functools.cache
def _shape(source: str, tier: str, name: str) -> plan.Shape:
    from transformers import AutoModelForCausalLM

    home = models.locate(name if name in models.names(tier) else source, tier, weights=False)
    config = plan.read_config(home, False)
    if type(config) in AutoModelForCausalLM._model_mapping and config.model_type not in validate.ENCODERS:
        return plan.shapes(config, home, False)
    return encoder(config)


def encoder(config: Any) -> plan.Shape:
    """The shapes of an encoder: every Linear layer of it counts as compressed."""
    import torch
    from torch import nn
    from transformers import AutoModel

    with torch.device("meta"):
        model = AutoModel.from_config(config)
    linears = {name: (module.out_features, module.in_features) for name, module in model.named_modules()
               if isinstance(module, nn.Linear)}  # fmt: skip
    count = sum(parameter.numel() for parameter in model.parameters())
    width = getattr(config, "hidden_size", getattr(config, "dim", 768))
    return plan.Shape(type(model).__name__, count, linears, [], width, 0, 4 * count)


def need(run: Run, job: Job, device: Device) -> Need:
    """What ``run`` takes on ``device``."""
    told, found = costs.workload(run.tier), shape(run.model, run.tier)
    kind = "cpu" if device.memory is None else "cuda"
    if run.family in ("quant", "prune"):
        return compression(run, found, told, kind)
    if run.family == "encoder":
        examples = Work(START) + costs.training(found, 3e6, adapter=False)
        return Need(run, found.nbytes, 6 * found.nbytes + plan.GPU_SPARE, int(plan.LIBRARIES), found.nbytes, examples)
    if run.family == "browser":
        return Need(run, found.nbytes, found.nbytes + work_space(found), int(plan.LIBRARIES + 3 * found.nbytes),
                    2 * found.nbytes, Work(4 * START, stored=4 * found.nbytes) + measuring(found, told))  # fmt: skip
    if run.family == "merge":
        return merging(run, found, told, job, device)
    if "attention" in run.variant:
        return Need(run, found.nbytes, 2 * found.nbytes + work_space(found), int(plan.LIBRARIES + found.nbytes), 0,
                    Work(START) + costs.training(found, 60_000, adapter=False))  # fmt: skip
    if run.method not in TRAINED and run.method not in ("ft_v1", "ft_v2", "base"):
        return teacher(run, found, told)
    if run.part == "behaviour":
        return Need(run, found.nbytes, found.nbytes + work_space(found), host(found, kind), 0,
                    Work(START / 4, stored=found.nbytes) + costs.forward(found, told["pairs"]))  # fmt: skip
    work = Work(START, stored=2 * found.nbytes) + measuring(found, told)
    gpu, disk = found.nbytes + work_space(found), 0
    if run.method != "base":
        adapter = run.tier != "pocket"
        tokens = trained(run, told)
        work += costs.training(found, tokens, adapter)
        # Master weights, gradients and two moments in fp32 where every weight is trained; else of the adapter alone.
        gpu = (found.nbytes if adapter else 8 * found.nbytes) + int(0.05 * found.nbytes) + activations(found)
        disk = found.nbytes + int(0.05 * found.nbytes)
    return Need(run, found.nbytes, gpu, host(found, kind), disk, work)


def compression(run: Run, found: plan.Shape, told: dict[str, Any], kind: str) -> Need:
    """Compress, write, load and measure one checkpoint; a dense run is measured alone."""
    measured = Work(START / 3, stored=found.nbytes) + measuring(found, told, run.method)
    resident = found.nbytes + work_space(found)
    if run.method == "dense" and not run.options.get("outliers"):
        keeps = found.hidden * (found.vocabulary + 16384) * plan.FLOAT  # its predictions: head and hidden states
        return Need(run, found.nbytes, resident, host(found, kind), keeps, measured)
    made = run.recipe()
    asked = options.request(made.get("quant"), made.get("prune"), made.get("prune_config"))
    size = stored(found, run)
    windows = tuple(told["calibration"]) if plan.reads_text(asked) else (0, 0)
    memory = plan.memory(found, asked, windows, kind)
    if run.method in PACKED:
        resident = size + work_space(found)
    gpu = max(memory.get("gpu", 0), resident) if kind == "cuda" else max(0, resident - host(found, kind))
    work = measured + plan.work(found, asked, windows) + Work(stored=2 * size + found.nbytes)
    return Need(run, found.nbytes, int(gpu), memory["host"], size, work)


def stored(found: plan.Shape, run: Run) -> int:
    """Bytes of a compressed checkpoint, a little generously."""
    bits = {"int8": 8.1, "w8a8": 8.1, "w8a16": 8.1, "fp8": 8.1}.get(run.method, 4.6)
    bits = 16 if run.family == "prune" or run.method == "dense" else bits
    matrices = costs.linear(found)
    return int((found.parameters - matrices) * plan.FLOAT + matrices * bits / 8)


def measuring(found: plan.Shape, told: dict[str, Any], method: str = "dense") -> Work:
    """The whole battery of one checkpoint: benchmarks, texts, divergence, decoding speed."""
    work = costs.forward(found, told["scored"]) + costs.decode(found, told["steps"], BATCH)
    return work.times(SLOWER.get(method, 1))


# How much slower a format is measured than the dense model: from the pocket grid (`llmini.calibration`), rounded.
SLOWER = {"fp8": 1.5, "int8": 1.5}


def teacher(run: Run, found: plan.Shape, told: dict[str, Any]) -> Need:
    """Quantize the teacher, let it answer every prompt, keep its states, and measure it."""
    asked, size = told["answers"], stored(found, run)
    steps = asked["prompts"] * asked["tokens"] / 24  # sequences of a batch of 4,096 padded tokens
    work = Work(START, stored=2 * found.nbytes) + measuring(found, told, run.method)
    work += costs.decode(found, steps, 24) + costs.forward(found, asked["prompts"] * asked["length"])
    states = asked["prompts"] * asked["tokens"] * found.hidden * plan.FLOAT
    head = found.vocabulary * found.hidden * plan.FLOAT
    copy = found.nbytes + size  # the dense weights and, beside them, their quantized copy
    return Need(run, found.nbytes, size + work_space(found), int(plan.LIBRARIES + copy), size + states + head, work)


def merging(run: Run, found: plan.Shape, told: dict[str, Any], job: Job, device: Device) -> Need:
    """Translate, tune, merge: by the part that the run plays."""
    from llmini.train import translate_text

    told_here = translate_text.settings(run.tier)
    kind = "cpu" if device.memory is None else "cuda"
    cached = told_here["max_new_tokens"] / 8  # tokens that a translation has, where it ends by itself
    base = Work(START, stored=2 * found.nbytes)
    score = costs.decode(found, 2 * sum(told_here["test"].values()) * cached / 32, 32)
    gpu, disk, work, why = found.nbytes + work_space(found), 0, base + score, ""
    if run.method in ("fp8", "w8a8"):
        sentences = told_here["supervise"]
        work += costs.decode(found, sentences * cached / 32, 32)
        disk = stored(found, run)
        if run.method == "fp8" and not device.fp8:
            why = f"{device.name} has no FP8 arithmetic: give the grid entry quant: w8a8"
    elif run.method == "translator":
        work += costs.training(found, 2 * told_here["supervise"] * 60, adapter=run.tier != "pocket")
        gpu, disk = gpu + activations(found), found.nbytes
    elif run.method == "tuned":
        count = told_here["instructions"]
        work += costs.training(found, count * 200, adapter=run.tier != "pocket") + measuring(found, told)
        gpu, disk = gpu + activations(found), found.nbytes
    elif run.method == "slerp":
        disk = found.nbytes
        work += Work() if run.options.get("t") in (0.0, 1.0) else measuring(found, told)
    elif run.method == "base":
        work += measuring(found, told)
    return Need(run, found.nbytes, int(gpu), host(found, kind), int(disk), work, why)


def trained(run: Run, told: dict[str, Any]) -> float:
    """Tokens that a stage trains on, over all its epochs."""
    if run.method in TRAINED:
        from llmini.train.stages import recipe_of

        return told["stages"]["examples"] * told["stages"]["tokens"] * recipe_of(run).epochs
    from llmini.train import curriculum

    stage = curriculum.STAGES[run.options["stage"] - 1]
    entry = curriculum.settings(run.tier)["stages"][stage]
    return entry["examples"] * 60 * entry["epochs"]


def host(found: plan.Shape, kind: str) -> int:
    """Host memory of a run that only loads and measures: libraries, and on a GPU the shard that is being read."""
    return int(plan.LIBRARIES + (min(found.nbytes, 5 * 2**30) if kind == "cuda" else 0))


def work_space(found: plan.Shape) -> int:
    """Bytes beside the weights while a model is measured: activations of one pass and the logits that are kept."""
    width = max([found.hidden, *(rows for rows, _ in found.linears.values())])
    return int(plan.GPU_SPARE + BATCH * CONTEXT * width * plan.FLOAT * 2 + 4 * CONTEXT * found.vocabulary)


def activations(found: plan.Shape) -> int:
    """Bytes of training beside weights: an activation a layer of 4,096 tokens, one layer in full, chunks of logits."""
    return int(plan.GPU_SPARE + 4096 * found.hidden * plan.FLOAT * (max(1, len(found.blocks)) + 40)
               + 3 * 4 * 512 * found.vocabulary)  # fmt: skip


def needs(tier: str, core: bool, device: Device) -> list[tuple[Job, Need]]:
    """Every run of a tier's grid once, with the job that makes it."""
    found: dict[str, tuple[Job, Need]] = {}
    for job in grid.jobs(tier, core):
        for run in job.runs:
            if run.run_id not in found:
                found[run.run_id] = (job, need(run, job, device))
    return list(found.values())


def refused(needs: Iterable[tuple[Job, Need]], device: Device) -> list[str]:
    """A line for each run that cannot fit, by name."""
    lines = [(one.run.run_id, one.refusal(device)) for _, one in needs]
    return [f"{name} {why}" for name, why in lines if why]


def check(tier: str, core: bool, profile: Path | None = None) -> list[str]:
    """The runs that cannot fit where a study would run them: on this machine, or on a SLURM profile's devices."""
    if profile is None:
        device = costs.device("here")
        return refused(needs(tier, core, device), device)
    found = []
    for family, device in devices_of(profile).items():
        mine = [(job, one) for job, one in needs(tier, core, device) if job.family == family]
        found += refused(mine, device)
    return found


def devices_of(profile: Path) -> dict[str, Device]:
    """Family -> device, as a profile's ``set-resources`` ask for GPUs (``gpu:a100:1``) and host memory (``mem_mb``)."""
    import yaml

    body = yaml.safe_load((profile / "config.yaml").read_text(encoding="utf8"))
    usual, found = body.get("default-resources", {}), {}
    for rule, own in body.get("set-resources", {}).items():
        told = {**usual, **own}
        asked = re.search(r"gpu:(\w+):\d+", str(told.get("gres", "")))
        if asked and asked[1] in costs.table("devices"):
            device = costs.device(asked[1])
            found[rule] = replace(device, host=1e6 * float(told["mem_mb"])) if "mem_mb" in told else device
    return found


def text(tier: str, core: bool, names: Iterable[str]) -> str:
    """The plan of a whole grid as lines: a table a device type, totals, and what is refused."""
    parts = []
    for name in names:
        device = costs.device(name)
        parts.append("\n".join(lines(tier, core, device)))
    return "\n\n".join(parts)


def lines(tier: str, core: bool, device: Device) -> list[str]:
    """The plan for one device."""
    found = needs(tier, core, device)
    width = max((len(one.run.run_id) for _, one in found), default=10)
    made = [f"{tier} tier on {device.name}: {len(found)} runs",
            f"{'':<{width}}{'weights':>12}{'device':>12}{'host':>12}{'disk':>12}{'time':>9}"]  # fmt: skip
    total, space = 0.0, 0
    for _, one in found:
        took = costs.seconds(one.work, device)
        why = one.refusal(device)
        total, space = total + (0 if why else took), space + one.disk
        sizes = "".join(f"{readable(value):>12}" for value in (one.weights, one.gpu, one.host, one.disk))
        made.append(f"{one.run.run_id:<{width}}{sizes}{plan.duration(took):>9}{'  REFUSED' if why else ''}")
    weights = {one.run.model: one.weights for _, one in found}
    made.append(f"{'in all':<{width}}{readable(sum(weights.values())):>12}{'':>24}{readable(space):>12}"
                f"{plan.duration(total):>9}")  # fmt: skip
    no = refused(found, device)
    made += [f"refused: {line}" for line in no] or ["every run fits"]
    return made


def summary(tier: str, core: bool, device: Device) -> list[str]:
    """A Markdown table of a grid by family: runs, the largest memory of one, disk and time of all that fit."""
    groups: dict[str, list[Need]] = {}
    for job, one in needs(tier, core, device):
        groups.setdefault(job.family, []).append(one)
    heads = ("family", "runs", "device memory, at most", "host memory, at most", "disk, together", "time, together")
    made = [f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|"]
    for family, mine in groups.items():
        fits = [one for one in mine if not one.refusal(device)]
        took = sum(costs.seconds(one.work, device) for one in fits)
        left = f" ({len(mine) - len(fits)} do not fit)" if len(fits) < len(mine) else ""
        most = (readable(max((getattr(one, name) for one in fits), default=0)) for name in ("gpu", "host"))
        cells = (family, f"{len(mine)}{left}", *most, readable(sum(one.disk for one in fits)), plan.duration(took))
        made.append(f"| {' | '.join(cells)} |")
    return made


def checked_profile(name: str) -> Path | None:
    """The folder of a profile that queues runs elsewhere; None for the local one. Raises UserError without one."""
    if name == "local":
        return None
    place = Path(name) if Path(name).is_dir() else root() / "workflow" / "profiles" / name
    if not (place / "config.yaml").is_file():
        raise UserError(f"no profile {name!r}: give local, slurm, or a folder with a config.yaml")
    return place

"""What a run takes: weights, peak memory of host and device, disk and operations (`llmini.costs`).

All of it from configurations alone: of a hub id nothing but config.json is fetched.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from llmini import costs, models, validate
from llmini.compress import options, plan
from llmini.compress.folder import readable
from llmini.costs import Device, Work
from llmini.grid import Job, Run

START = 30.0  # seconds: a kernel, its imports, loading tasks and their questions
BATCH, CONTEXT = 8, 2048  # sequences and tokens of one pass of the harness on a large model
PACKED = ("int8", "int4", "int4_fp4")  # formats that stay packed when they run; the others are unpacked at first use
FITTED = ("dense", "structured", "structured_int8", "masked_l1_int8", "distil_agnostic", "distil_task", "student")
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
        tokens = told["labelled"][run.options["task"]] if run.method in FITTED else 0
        work = Work(START / 3, stored=2 * found.nbytes) + costs.training(found, tokens, adapter=False)
        return Need(run, found.nbytes, 6 * found.nbytes + plan.GPU_SPARE, int(plan.LIBRARIES), found.nbytes, work)
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
    share = run.options.get("share", 1)
    if run.method in ("fp8", "w8a8"):
        work += costs.decode(found, share * told_here["supervise"] * cached / 32, 32)
        disk = stored(found, run)
        if run.method == "fp8" and not device.fp8:
            why = f"{device.name} has no FP8 arithmetic: give the grid entry quant: w8a8"
    elif run.method == "translator":
        work += costs.training(found, share * 2 * told_here["supervise"] * 60, adapter=run.tier != "pocket")
        gpu, disk = gpu + activations(found), found.nbytes
    elif run.method == "tuned":
        count = share * told_here["instructions"]
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

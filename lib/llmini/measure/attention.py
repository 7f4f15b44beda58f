"""What an attention implementation costs: speed and memory against length, and the kernels that really ran.

Peak memory is the most bytes that torch's allocator held at once, weights included: on CUDA as the allocator reports
it, on a CPU the tensors present before plus the highest sum of the allocations and releases that torch's profiler saw.
Unlike growth of resident memory that is the same number at every run and the same quantity on both devices. Scratch
memory which a kernel takes outside torch's allocator is not in it, and no optimizer state is.
"""

from __future__ import annotations

import gc
import itertools
import math
import platform
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from llmini import grid, settings
from llmini.measure import kernels
from llmini.measure.cost import timed
from llmini.records import read_record
from llmini.settings import UserError

FLASH = "flash_attention_2"
IMPLEMENTATIONS = ("eager", "sdpa", FLASH)
MODES = ("train", "decode")
LENGTHS = (64, 128, 256, 512, 1024)
NEW_TOKENS = 16  # fed one at a time after the prefill
# Largest difference of logits that rounding may make, as a share of the largest logit; a wrong mask moves them by more.
TOLERANCE = {"float32": 1e-4, "float16": 3e-2, "bfloat16": 1.5e-1}
ABSENT = {"tokens_per_second": None, "low": None, "high": None, "latency_ms": None, "peak_memory": None,
          "kernels": {}, "logit_difference": None, "against": ""}  # fmt: skip
SOURCES = ("the allocations that torch's profiler saw", "the CUDA allocator's peak")
HEAD = ("model", "tier", "device", "dtype", "threads", "memory")  # the same in every row of one call


def attention(model_id: Any, tier: str, *, implementations: Any = IMPLEMENTATIONS, lengths: Any = LENGTHS,
              modes: Any = MODES, repeats: int = 5, seed: int = 0) -> list[dict[str, Any]]:  # fmt: skip
    """Measure one model under several attention implementations; one row a (mode, length, implementation).

    ``train``: forward and backward of one step over a sequence of ``length`` random tokens, batch 1; ``decode``: a
    prefill of ``length`` tokens, then :data:`NEW_TOKENS` cached tokens, whose speed alone is counted (the prefill's
    time is ``latency_ms``). Lists may be written ``"eager,sdpa"``.

    A row holds :data:`HEAD`, ``implementation, mode, length``; ``tokens_per_second`` (median over repeats, after a
    warm-up; the implementations take turns, so that a slow moment hits all alike) with ``low`` and ``high``, the
    slowest and the fastest repeat; ``peak_memory`` in bytes; ``kernels`` (phase -> operator names, see
    :mod:`llmini.measure.kernels`); ``attention_matrix``, the bytes of one layer's length x length x heads scores, which
    only eager attention keeps; ``logit_difference``, the largest one to the implementation named in ``against``; and
    ``note``. A case that cannot run here has a note and None for every number.

    Raises UserError for an unknown implementation or mode, for a length beyond the model's positions, and when two
    implementations disagree by more than :data:`TOLERANCE`.
    """
    import torch

    from llmini.models import load

    names, modes = chosen(implementations, IMPLEMENTATIONS, "implementation"), chosen(modes, MODES, "mode")
    lengths, repeats = whole(lengths, "lengths"), whole(repeats, "repeats")[0]
    settings.pin_threads(tier)
    model, _ = load(model_id, tier)
    config = model.config.get_text_config()
    limit = getattr(config, "max_position_embeddings", None) or math.inf
    for mode, length in itertools.product(modes, lengths):
        if (needed := length + (NEW_TOKENS if mode == "decode" else 0)) > limit:
            raise UserError(f"{mode} at length {length} takes {needed} positions and {model_id} has {limit}: "
                            "give shorter lengths")  # fmt: skip
    head = {"model": str(model_id), "tier": tier, "device": named(model.device),
            "dtype": str(model.dtype).removeprefix("torch."), "threads": torch.get_num_threads(),
            "memory": SOURCES[model.device.type == "cuda"]}  # fmt: skip
    draw = torch.Generator().manual_seed(int(seed))
    rows = []
    for mode, length in settings.progress(list(itertools.product(modes, lengths)), desc="attention"):
        ids = torch.randint(config.vocab_size, (1, length + NEW_TOKENS), generator=draw).to(model.device)
        matrix = length**2 * config.num_attention_heads * model.dtype.itemsize
        for name, found in measured(model, ids, mode, names, repeats).items():
            rows.append({**head, "implementation": name, "mode": mode, "length": length, "attention_matrix": matrix,
                         **ABSENT, **found})  # fmt: skip
    return rows


def plan(tier: str, model: str, **_: Any) -> list[grid.Run]:
    """The one run of the notebook; its parameters change what the run's record holds."""
    return [grid.Run(tier, "finetune", model, "attention")]


def record(run: grid.Run, notebook: str, **options: Any) -> list[dict[str, Any]]:
    """The rows of :func:`attention` for a run, from its record where that is fresh: same code, options and device.

    Otherwise measures and writes the record: benchmark ``attention``, task ``MODE/IMPLEMENTATION/LENGTH``, metrics
    ``tokens_per_second``, ``peak_memory`` and, in decoding, ``latency_ms`` of the prefill. Kernels, notes, intervals
    and differences of logits stand in its provenance.
    """
    options = {name: grid.listed(value) for name, value in options.items()}
    made = grid.fingerprint(notebook, run.tier, run.model)
    if run.fresh(made):
        past = read_record(run.folder / "record.json")["provenance"]
        kept = past.get("attention", {})
        if kept.get("options") == options and kept["head"]["device"] == named(settings.device()):
            return [{**kept["head"], **case} for case in kept["cases"]]
    entry = run.record()
    given = {name: value[0] if name in ("repeats", "seed") else value for name, value in options.items()}
    rows = attention(run.model, run.tier, **given)
    for row in rows:
        where = {"benchmark": "attention", "task": f"{row['mode']}/{row['implementation']}/{row['length']}"}
        for metric, unit in (("tokens_per_second", "tokens/s"), ("peak_memory", "bytes"), ("latency_ms", "ms")):
            if row[metric] is not None:
                entry.add(metric, row[metric], unit=unit, **where)
    cases = [{name: value for name, value in row.items() if name not in HEAD} for row in rows]
    head = {name: rows[0][name] for name in HEAD}
    entry.provenance |= {"fingerprint": made, "attention": {"options": options, "head": head, "cases": cases}}
    entry.write(run.folder)
    return rows


def chosen(value: Any, known: Sequence[str], kind: str) -> list[str]:
    """Names among ``known``, each once. Raises UserError for another one, and for none."""
    names = list(dict.fromkeys(grid.listed(value)))
    for name in names or [""]:
        if name not in known:
            raise UserError(f"unknown attention {kind} {name!r}: choose among {', '.join(known)}")
    return names


def whole(value: Any, name: str) -> list[int]:
    """Positive whole numbers. Raises UserError for anything else."""
    try:
        numbers = list(dict.fromkeys(int(number) for number in grid.listed(value)))
    except (TypeError, ValueError):
        numbers = []
    if not numbers or min(numbers) < 1:
        raise UserError(f"{name} {value!r} must be whole numbers above 0, as in 64,128")
    return numbers


def measured(model: Any, ids: Any, mode: str, names: Sequence[str], repeats: int) -> dict[str, dict[str, Any]]:
    """What is known of one mode and length, per implementation. ids: (1, length + NEW_TOKENS)."""
    rows: dict[str, dict[str, Any]] = {name: {"note": unavailable(name, model)} for name in names}
    speeds: dict[str, list[float]] = {}
    latencies: dict[str, list[float]] = {}
    against, reference, dtype = "", None, str(model.dtype).removeprefix("torch.")
    for name in sorted(names, key=IMPLEMENTATIONS.index):  # eager, the plainest, is what others are held against
        if rows[name]["note"] or (note := switched(model, name)):
            rows[name]["note"] = rows[name]["note"] or note
            continue
        try:
            found, last = inspected(model, ids, mode)
        except RuntimeError as fault:  # torch.OutOfMemoryError is one
            if not out_of_memory(fault):
                raise
            model.zero_grad(set_to_none=True)
            rows[name]["note"] = "out of memory"
            continue
        rows[name] |= found
        speeds[name], latencies[name] = [], []
        if reference is None:
            against, reference = name, last
        else:
            rows[name] |= {"against": against, "logit_difference": agreed(reference, last, name, against, dtype)}
    for _, name in itertools.product(range(repeats), speeds):
        switched(model, name)
        before, seconds, tokens = step(model, ids, mode)
        speeds[name].append(tokens / seconds)
        latencies[name].append(1000 * before)
    for name, values in speeds.items():
        rows[name] |= {"tokens_per_second": statistics.median(values), "low": min(values), "high": max(values)}
        if mode == "decode":
            rows[name]["latency_ms"] = statistics.median(latencies[name])
    return rows


def unavailable(name: str, model: Any) -> str:
    """Why an implementation cannot run here; empty where it can."""
    import importlib.util

    import torch

    if name != FLASH:
        return ""
    # Without this question transformers may fetch kernels from the hub in the package's place.
    if importlib.util.find_spec("flash_attn") is None:
        return "not installed"
    if model.device.type != "cuda" or torch.cuda.get_device_capability(model.device)[0] < 8:
        return "not on this device"
    return "" if model.dtype in (torch.float16, torch.bfloat16) else "only for 16-bit numbers"


def switched(model: Any, name: str) -> str:
    """Switch the model to an implementation; the reason where its class refuses."""
    try:
        model.set_attn_implementation(name)
    except (ImportError, ValueError) as fault:
        return " ".join(str(fault).split())[:120]
    return "" if model.config._attn_implementation == name else "not offered by this model class"


def inspected(model: Any, ids: Any, mode: str) -> tuple[dict[str, Any], Any]:
    """Peak memory, kernels and note of the implementation in use, and the logits it gives; this is the warm-up too."""
    import torch

    with torch.inference_mode():
        model.eval()
        if mode == "train":
            last = model(input_ids=ids[:, :-NEW_TOKENS], logits_to_keep=NEW_TOKENS).logits.float().cpu()
        else:
            last = torch.cat([logits.float().cpu() for logits in follow(model, ids, *prefill(model, ids))], 1)
    step(model, ids, mode)
    tensors = {part.data_ptr(): part.nbytes for part in [*model.parameters(), *model.buffers(), ids]}
    if model.device.type == "cuda":
        gc.collect()  # a cycle of the last case may hold memory of its own
        torch.cuda.reset_peak_memory_stats(model.device)
        step(model, ids, mode)
        peak = torch.cuda.max_memory_allocated(model.device)
    ran, grown = kernels.kernels(model, lambda: step(model, ids, mode))
    if model.device.type != "cuda":
        peak = sum(tensors.values()) + grown
    return {"peak_memory": peak, "kernels": ran, "note": kernels.fallback(ran, lambda: step(model, ids, mode))}, last


def step(model: Any, ids: Any, mode: str) -> tuple[float, float, int]:
    """One training step, or one prefill and its cached tokens: seconds of prefill, seconds counted, tokens counted."""
    import torch

    model.train(mode == "train")
    if mode == "train":
        text = ids[:, :-NEW_TOKENS]
        seconds, _ = timed(model, lambda: learn(model, text))
        model.zero_grad(set_to_none=True)
        return 0.0, seconds, text.shape[1]
    with torch.inference_mode():
        before, (cache, first) = timed(model, lambda: kernels.phase("prefill", prefill, model, ids))
        seconds, _ = timed(model, lambda: kernels.phase("cached tokens", list, follow(model, ids, cache, first)))
    return before, seconds, NEW_TOKENS


def learn(model: Any, text: Any) -> None:
    loss = kernels.phase("forward", lambda: model(input_ids=text, labels=text, use_cache=False).loss)
    kernels.phase("backward", loss.backward)


def prefill(model: Any, ids: Any) -> tuple[Any, Any]:
    """Cache and last logits of all tokens but the last :data:`NEW_TOKENS`, as generation computes them."""
    found = model(input_ids=ids[:, :-NEW_TOKENS], use_cache=True, logits_to_keep=1)
    return found.past_key_values, found.logits


def follow(model: Any, ids: Any, cache: Any, first: Any) -> Iterator[Any]:
    """Logits (1, 1, vocabulary) of the prefill and of each further token; given tokens, so that models are compared."""
    yield first
    for place in range(ids.shape[1] - NEW_TOKENS, ids.shape[1]):
        found = model(input_ids=ids[:, place : place + 1], past_key_values=cache, use_cache=True)
        yield found.logits


def agreed(first: Any, second: Any, name: str, against: str, dtype: str) -> float:
    """Largest difference of two implementations' logits, in nats. Raises UserError where rounding cannot explain it."""
    difference, largest = float((first - second).abs().max()), float(first.abs().max())
    if not difference <= TOLERANCE.get(dtype, 1e-4) * largest:  # NaN is not
        raise UserError(f"the logits of {name} differ from those of {against} by {difference:.3g} where the largest is "
                        f"{largest:.3g}: leave {name} out, or mend its installation")  # fmt: skip
    return difference


def out_of_memory(fault: RuntimeError) -> bool:
    import torch

    return isinstance(fault, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(fault)


def named(device: Any) -> str:
    """``NVIDIA A100-SXM4-40GB``, ``CPU (x86_64)``."""
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({platform.machine()})"

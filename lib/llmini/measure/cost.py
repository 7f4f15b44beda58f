"""What a model costs to run here: decoding speed, prefill latency, peak memory, and whether its own format ran."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llmini.settings import UserError

PROMPTS = (
    "A bank in Bahrain wants to explain to its customers how to open a savings account. The steps are:",
    "Question: Which towns lie on the coast, and what do their companies sell?\nAnswer:",
    "يريد مصرف في البحرين أن يشرح لعملائه كيف يفتحون حساب توفير. الخطوات هي:",
    "السؤال: ما هي المدن التي تقع على الساحل، وماذا تبيع شركاتها؟\nالجواب:",
)
ZEROS = 0.05  # share of exact zeros in the linear layers from which a model counts as pruned


def cost(model: Any, tokenizer: Any, *, prompts: Sequence[str] = PROMPTS, new_tokens: int = 32,
         repeats: int = 3) -> dict[str, Any]:  # fmt: skip
    """Greedy decoding of real prompts, one at a time, medians over prompts and repeats after a warm-up of each.

    Returns ``tokens_per_second`` (tokens really generated / wall time of ``generate``, its prefill included),
    ``latency_ms`` (one forward over the prompt, its KV cache kept), ``peak_memory`` in bytes and ``memory_source``: on
    CUDA the allocator's peak; elsewhere the model's tensors plus the growth of resident memory while decoding.
    ``executes_compressed`` is False where something denser than the stored format ran, and ``note`` says what: then
    speed and memory are no property of the compressed format, and no speed-up may be claimed from them.
    """
    import torch
    from transformers import GenerationConfig

    encoded = [tokenizer(prompt, return_tensors="pt").to(model.device) for prompt in prompts]
    if not encoded or any(part["input_ids"].shape[1] == 0 for part in encoded):
        raise UserError("measuring speed needs at least one prompt that is not empty")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    greedy = GenerationConfig(do_sample=False, num_beams=1, min_new_tokens=new_tokens, max_new_tokens=new_tokens,
                              pad_token_id=pad)  # fmt: skip

    def decode(part: Any) -> int:
        output = model.generate(input_ids=part["input_ids"], attention_mask=part["attention_mask"],
                                generation_config=greedy)  # fmt: skip
        return output.shape[1] - part["input_ids"].shape[1]

    def prefill(part: Any) -> None:
        model(input_ids=part["input_ids"], attention_mask=part["attention_mask"], use_cache=True)

    speeds, latencies = [], []
    with torch.inference_mode():
        for part in encoded:  # warm-up: caches, thread pools, and the decompression of a packed checkpoint
            prefill(part)
            decode(part)
        executes, note = executes_compressed(model)
        peak, source = peak_memory(model, lambda: decode(max(encoded, key=lambda part: part["input_ids"].shape[1])))
        for _ in range(repeats):
            for part in encoded:
                latencies.append(timed(model, lambda part=part: prefill(part))[0])
                seconds, count = timed(model, lambda part=part: decode(part))
                speeds.append(count / seconds)
    return {"tokens_per_second": statistics.median(speeds), "latency_ms": 1000 * statistics.median(latencies),
            "peak_memory": peak, "memory_source": source, "executes_compressed": executes, "note": note}  # fmt: skip


def executes_compressed(model: Any) -> tuple[bool, str]:
    """Whether the weights run in the format that they are stored in, and a sentence that says how they run."""
    import torch

    config = getattr(model.config, "quantization_config", None)
    method = config.get("quant_method") if isinstance(config, dict) else getattr(config, "quant_method", None)
    method = str(getattr(method, "value", method) or "")
    if method == "compressed-tensors":
        if any("FP8Linear" in type(module).__name__ for module in model.modules()):
            return True, "FP8 kernels run on the stored weights"
        return False, ("compressed-tensors weights are decompressed at the first forward under plain transformers: "
                       "speed and memory are the dense format's")  # fmt: skip
    if any(getattr(module, "quantization_scheme", None) is not None for module in model.modules()):
        return False, "quantization is simulated in the dense format: speed and memory are the dense format's"
    weights = [module.weight for module in model.get_decoder().modules() if isinstance(module, torch.nn.Linear)]
    dense = [weight for weight in weights if weight.is_floating_point()]
    if dense and sum(int((weight == 0).sum()) for weight in dense) > ZEROS * sum(weight.numel() for weight in dense):
        return False, "pruned weights are stored and multiplied as zeros: speed and memory are the dense model's"
    if method:
        return True, f"{method} kernels run on the stored weights"
    return True, f"dense weights run as stored ({str(model.dtype).removeprefix('torch.')})"


def timed(model: Any, action: Callable[[], Any]) -> tuple[float, Any]:
    """Wall seconds of an action, the GPU's work included, and its result."""
    wait(model)
    started = time.perf_counter()
    result = action()
    wait(model)
    return time.perf_counter() - started, result


def wait(model: Any) -> None:
    """Until the model's GPU has finished, if it has one."""
    import torch

    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


def peak_memory(model: Any, action: Callable[[], Any]) -> tuple[int, str]:
    """Peak bytes while ``action`` runs, weights included, and where the number comes from."""
    import torch

    if model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(model.device)
        action()
        return torch.cuda.max_memory_allocated(model.device), "CUDA allocator"
    tensors = {part.data_ptr(): part.numel() * part.element_size() for part in [*model.parameters(), *model.buffers()]}
    before = status("VmRSS")
    exact = reset_peak()
    before = before if exact else status("VmHWM")
    action()
    growth = max(0, status("VmHWM") - before)
    source = "tensors + growth of resident memory" + ("" if exact else " beyond the process's earlier peak")
    return sum(tensors.values()) + growth, source


def reset_peak() -> bool:
    """Set this process's peak resident memory to its present one; False where the kernel does not let it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def status(field: str) -> int:
    """A memory field of /proc/self/status in bytes; elsewhere than on Linux, the peak resident memory."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        import resource
        import sys

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))

"""Several processes, one model each, share an evaluation; every one of them ends with all answers.

    torchrun --nproc-per-node 2 -m llmini.parallel MODEL [--tier full] [--output scores.json]

(or `accelerate launch --multi_gpu`). Data parallelism: each process holds the whole model on its own GPU and scores its
share of the questions. What helps when a model does not fit one GPU is another matter: `spread` lays its layers over
all of them, one after the other.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from llmini.settings import UserError


def world() -> tuple[int, int]:
    """(rank, number of processes) of this process, joined by accelerate when a launcher started it; (0, 1) alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return 0, 1
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return state.process_index, state.num_processes


def shares(weights: Sequence[int], count: int) -> list[range]:
    """Contiguous ranges of items for ``count`` processes, alike in weight; neighbours, which share text, stay together.

    Some may be empty where there are fewer items than processes.
    """
    total, cuts, passed, at = sum(weights), [0], 0, 0
    for number in range(1, count):
        while at < len(weights) and passed < total * number / count:
            passed += weights[at]
            at += 1
        cuts.append(at)
    return [range(*pair) for pair in zip(cuts, [*cuts[1:], len(weights)], strict=True)]


class Shared:
    """An lm-eval model whose processes each answer a share of the requests and then tell one another.

    To the harness it looks like a model alone in the world, in every process alike. ``lm`` is this process's own. The
    answers are those of one process but for the last bits, which depend on what a batch holds.
    """

    def __init__(self, lm: Any) -> None:
        self.lm = lm
        self.here, self.processes = world()
        self.rank, self.world_size = 0, 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lm, name)

    def loglikelihood(self, requests: list, **options: Any) -> list:
        return self.share(self.lm.loglikelihood, requests, options)

    def loglikelihood_rolling(self, requests: list, **options: Any) -> list:
        return self.share(self.lm.loglikelihood_rolling, requests, options)

    def generate_until(self, requests: list, **options: Any) -> list:
        return self.share(self.lm.generate_until, requests, options)

    def share(self, answer: Callable[..., list], requests: list, options: dict[str, Any]) -> list:
        """This process's part of the answers, then everybody's, in the order of the requests."""
        if self.processes == 1:
            return answer(requests, **options)
        import torch.distributed as dist

        parts = shares([sum(len(str(word)) for word in request.args) for request in requests], self.processes)
        fault, mine = None, []
        try:
            mine = answer([requests[place] for place in parts[self.here]], **options) if parts[self.here] else []
        except Exception as raised:  # the others wait for this process: they have to learn of it
            fault = raised
        told: list[Any] = [None] * self.processes
        dist.all_gather_object(told, (list(mine), str(fault) if fault else ""))
        if fault is not None:
            raise fault
        if lost := next((text for _, text in told if text), ""):
            raise UserError(f"another process of this evaluation failed: {lost.splitlines()[0]}")
        return [one for part, _ in told for one in part]


def evaluate(model: Any, tokenizer: Any, benchmark: str, *, tier: str = "pocket", limit: int | None = None) -> Any:
    """As `llmini.measure.tasks.evaluate`, its questions shared out among the processes of this job."""
    from llmini.measure import tasks

    plain = tasks.harness_model
    tasks.harness_model = lambda *arguments, **options: Shared(plain(*arguments, **options))
    try:
        return tasks.evaluate(model, tokenizer, benchmark, tier=tier, limit=limit)
    finally:
        tasks.harness_model = plain


def place() -> str:
    """The device of this process: its own GPU, else the CPU."""
    import torch

    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0))}" if torch.cuda.is_available() else "cpu"


def spread(folder: str | Path, tier: str = "full", memory: dict[Any, str] | None = None) -> tuple[Any, Any]:
    """Model and tokenizer of a checkpoint laid over all GPUs, and the host's memory where these are too small.

    memory: most bytes a device may hold, as accelerate's ``max_memory`` (``{0: "20GiB", "cpu": "60GiB"}``).
    Raises UserError for what is no checkpoint, and for one that does not fit.
    """
    import torch
    import transformers

    from llmini import models, settings, validate

    home = models.locate(folder, tier)
    validate.check(home)
    options: dict[str, Any] = {"max_memory": memory} if memory else {}
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            home, dtype=settings.default_dtype(settings.device(), tier), use_safetensors=True,
            device_map="auto" if torch.cuda.is_available() or memory else "cpu", **options,
        )  # fmt: skip
    except (ValueError, RuntimeError) as fault:
        raise UserError(f"cannot spread {home} over the devices: {' '.join(str(fault).split())[:200]}") from fault
    return model.eval(), models.load_tokenizer(home)


def main() -> None:
    from llmini import models, settings
    from llmini.measure import tasks

    parser = argparse.ArgumentParser(prog="torchrun -m llmini.parallel", description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--tier", default="full")
    parser.add_argument("--limit", type=int, help="the first questions of each task alone")
    parser.add_argument("--output", type=Path, help="JSON file for the scores")
    told = parser.parse_args()
    rank, count = world()
    settings.pin_threads(told.tier)
    model, tokenizer = models.load(told.model, told.tier, place())
    found = {}
    for benchmark in tasks.benchmarks(told.tier):
        scores = evaluate(model, tokenizer, benchmark, tier=told.tier, limit=told.limit)
        found[benchmark] = {f"{row['task']} {row['metric']}": row["value"] for row in scores.rows}
    if rank == 0:
        text = json.dumps({"model": told.model, "processes": count, "scores": found}, indent=1)
        print(text)
        if told.output:
            from llmini.records import write_atomic

            write_atomic(told.output, lambda path: path.write_text(text + "\n", encoding="utf8"))


if __name__ == "__main__":
    main()

"""Scoring and distillation at the shapes of real models: against stock lm-eval, and against a teacher run online.

    python benchmarks/scale_peers.py [--what scoring distillation] [--layers 1 2] [--share 0.04] [--batch 4]

Weights are random and nothing is downloaded. Each case runs in a process of its own, with few layers and with a few
more; the difference is a layer's cost, and the whole model is extrapolated from it (--layers with the model's own
number, and the one before it, nearly measures it).

Scoring: requests of metabench's five tasks of choices, as many and about as long (:data:`TASKS`), to an 8B shape. Once
each task's shots are the same for all of its items, once every item has its own (MMLU: two items a subject, and
TruthfulQA its one preamble, in both). Both sides get token ids; stock has the fastest of :data:`SIZES`.
Distillation: Token-KD of a 7B shape by the full tier's recipe, unmodified, from a 32B shape in 16 bits: its states read
from the cache, or the teacher run over every batch.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import scale
from results import extend, machine

TITLE = "## Scale: scoring and distillation at real shapes, random weights"
# Task -> items, shots, tokens of a shot and of a question, choices, tokens of a choice, items with the same shots (0:
# all). Numbers of items and shots are metabench's, lengths about those of its English under a Llama 3 tokenizer.
TASKS = {
    "arc": (145, 25, 45, 30, 4, 5, 0), "hellaswag": (93, 10, 95, 60, 4, 30, 0), "mmlu": (96, 5, 110, 110, 4, 1, 2),
    "truthfulqa": (154, 6, 22, 15, 5, 12, 0), "winogrande": (133, 5, 25, 20, 2, 8, 0),
}  # fmt: skip
ALWAYS = ("mmlu", "truthfulqa")  # those whose shots do not come from a draw for each item
SIZES = {"cpu": (1, 2, 4), "cuda": (4, 8, 16, 32, 64)}
STUDENT, TEACHER = scale.SHAPES["qwen-7b"], scale.SHAPES["qwen-32b"]
PROMPT, RESPONSE, STEPS = 96, 384, 4  # tokens, and steps of which the first is not counted
AIMS = {"scoring": 10, "distillation": 2}


def requests(own: bool, share: float) -> list[tuple[None, list[int], list[int]]]:
    """What the harness asks: (no texts, context ids, continuation ids), task after task."""
    draw = random.Random(0)

    def ids(count: int) -> list[int]:
        return [draw.randrange(300, 30_000) for _ in range(count)]

    made: list[tuple[None, list[int], list[int]]] = []
    for name, (items, shots, shot, question, choices, choice, alike) in TASKS.items():
        for number in range(max(2, round(share * items))):
            if number == 0 or (own and name not in ALWAYS) or (alike and number % alike == 0):
                prefix = ids(shots * shot)
            asked = ids(question)
            for _ in range(choices):
                if name == "winogrande":  # the choice stands in the context, what follows is scored
                    made.append((None, prefix + asked[:-choice] + ids(2), asked[-choice:]))
                else:
                    made.append((None, prefix + asked, ids(choice)))
    return made


def read_by_stock(asked: list[tuple[None, list[int], list[int]]]) -> int:
    """Tokens that stock forwards: each request's, those that differ in the last token alone once."""
    return sum(map(len, {(*context, *tail[:-1]) for _, context, tail in asked}))


def scoring(side: str, layers: int, own: bool, share: float, size: int) -> dict[str, float]:
    """Seconds of the requests on one side; stock in batches of ``size``, or of the one that is fastest on a few."""
    from lm_eval.models.huggingface import HFLM

    from llmini import models, settings
    from llmini.measure.scorer import TrieLM

    device = settings.device()
    model = scale.build("8b", layers, scale.SHAPES["8b"]["vocab_size"]).to(device)
    options = {"pretrained": model, "tokenizer": models.load_tokenizer(models.locate("allam_7b", "pocket")),
               "max_length": 4096}  # fmt: skip
    asked = requests(own, share)

    def run(lm: Any, part: list) -> float:
        start = time.perf_counter()
        lm._loglikelihood_tokens(part, disable_tqdm=True)  # answers are numbers on the host: the device is done
        return time.perf_counter() - start

    if side == "trie":
        lm = TrieLM(**options, batch_size=1)  # tries itself on made-up sequences first
        if lm.fallback:
            raise RuntimeError(f"TrieLM fell back: {lm.fallback}")
        return {"seconds": run(lm, asked), "requests": len(asked), "size": 0}
    tries = {}
    for width in SIZES[device.type] if not size else ():
        lm = HFLM(**options, batch_size=width)
        run(lm, asked[:2])
        tries[width] = run(lm, asked[: max(8, width)]) / max(8, width)
    size = size or min(tries, key=tries.get)
    return {"seconds": run(HFLM(**options, batch_size=size), asked), "requests": len(asked), "size": size}


def distillation(side: str, students: int, teachers: int, batch: int) -> dict[str, float]:
    """Median seconds of a training step, optimiser included."""
    import transformers

    from llmini import models, settings
    from llmini.pocket import world
    from llmini.train import recipes
    from llmini.train import teacher as teaching
    from llmini.train.examples import Example
    from llmini.train.trainer import Distiller

    tokenizer = models.load_tokenizer(models.locate("qwen2_5_32b_instruct", "pocket"))
    words = tokenizer(" ".join(world.documents("dev", "en")), add_special_tokens=False)["input_ids"]
    draw = random.Random(0)
    rows = [Example(f"row-{number}", "en", tokenizer.decode(words[number * PROMPT : (number + 1) * PROMPT]),
                    tuple(draw.randrange(300, len(tokenizer)) for _ in range(RESPONSE)))
            for number in range(STEPS * batch)]  # fmt: skip
    recipe = recipes.recipe("full", "token_kd", epochs=1, batch_size=batch)
    times: list[float] = []

    class Clock(transformers.TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.append(-time.perf_counter())

        def on_step_end(self, arguments: Any, *_: Any, **__: Any) -> None:
            if arguments.device.type == "cuda":
                import torch

                torch.cuda.synchronize()
            times[-1] += time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        given: Any = (scale.build("qwen-32b", teachers, TEACHER["vocab_size"]).to(settings.device()), tokenizer)
        if side == "cached":
            turns = [teaching.Turn(row.id, row.prompt, row.response) for row in rows]
            given = teaching.states(given[0], tokenizer, turns, Path(folder) / "cache")
        student = scale.build("qwen-7b", students, STUDENT["vocab_size"]).to(settings.device())
        trainer = Distiller(student, tokenizer, rows, recipe, Path(folder) / "run", given)
        trainer.add_callback(Clock)
        trainer.train()
    return {"seconds": statistics.median(times[1:])}


def alone(what: str, *arguments: Any) -> dict[str, float]:
    """`scoring` or `distillation` in a process of its own."""
    found = scale.fresh(__file__, what, json.dumps(arguments))
    print(what, *arguments, found, file=sys.stderr, flush=True)
    return found


def line(what: str, peer: float, ours: float, details: str, aim: int) -> str:
    return f"| {what} | {details} | {peer:,.1f} | {ours:,.1f} | {peer / ours:.1f}x | {aim}x |"


def measure(told: argparse.Namespace) -> Iterator[str]:
    """The table's lines, as they are measured."""
    few, more = told.layers
    step = more - few
    if "scoring" in told.what:
        whole = scale.SHAPES["8b"]["num_hidden_layers"]
        stock = [alone("scoring", "stock", more, False, told.share, 0)]  # it shares nothing among items: once for both
        size = int(stock[0]["size"])
        stock.insert(0, alone("scoring", "stock", few, False, told.share, size))
        more_items = read_by_stock(requests(False, 1.0)) / read_by_stock(requests(False, told.share))
        for own in (False, True):
            trie = [alone("scoring", "trie", number, own, 1.0, 0) for number in (few, more)]
            peer, ours = (runs[1]["seconds"] + (whole - more) * (runs[1]["seconds"] - runs[0]["seconds"]) / step
                          for runs in (stock, trie))  # fmt: skip
            shots = "each item its own shots" if own else "a task's items share their shots"
            yield line(f"scoring, 8B: {shots}", more_items * peer, ours,
                       f"{trie[0]['requests']:.0f} requests; stock in batches of {size}", AIMS["scoring"])  # fmt: skip
    if "distillation" in told.what:
        cached = [alone("distillation", "cached", number, 1, told.batch)["seconds"] for number in (few, more)]
        online = [alone("distillation", "online", few, number, told.batch)["seconds"] for number in (few, more)]
        student, teacher = ((runs[1] - runs[0]) / step for runs in (cached, online))
        rest = (STUDENT["num_hidden_layers"] - few) * student
        yield line("distillation, a step: 32B teaches 7B",
                   online[1] + rest + (TEACHER["num_hidden_layers"] - more) * teacher, cached[0] + rest,
                   f"{told.batch} x {PROMPT} + {RESPONSE} tokens; a layer of the student {student:.2f} s, of the "
                   f"teacher {teacher:.2f} s", AIMS["distillation"])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--what", nargs="+", choices=AIMS, default=list(AIMS))
    parser.add_argument("--layers", nargs=2, type=int, default=[1, 2], help="few, and a few more")
    parser.add_argument("--share", type=float, help="share of metabench's items that stock scores")
    parser.add_argument("--batch", type=int, help="sequences of a training step")
    parser.add_argument("--print", action="store_true", help="leave RESULTS.md as it is")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.case:
        what, arguments = told.case
        print(json.dumps({"scoring": scoring, "distillation": distillation}[what](*json.loads(arguments))))
        return
    import lm_eval
    import torch

    cuda = torch.cuda.is_available()
    told.share, told.batch = told.share or (1.0 if cuda else 0.04), told.batch or (8 if cuda else 4)
    head = [
        "", "`python benchmarks/scale_peers.py`", "",
        f"{machine()}, torch {torch.__version__}, lm-eval {lm_eval.__version__}; random bf16 weights. Seconds of the "
        f"whole model, extrapolated from {told.layers[0]} and {told.layers[1]} layers, each measured once (a step: "
        f"median of three). llmini scores all requests, stock {told.share:.0%} of the items, taken times the tokens "
        "that it would read of all (it shares nothing among items). Aims are for an A100-class GPU"
        + ("." if cuda else "; on a CPU the ratios follow the operations that are saved, and say little of a GPU."),
        "", "| case | of what | peer, seconds | llmini, seconds | ratio | aim |", "|---" * 6 + "|",
    ]  # fmt: skip
    extend(TITLE, head, measure(told), cells=1, keep=not told.print)


if __name__ == "__main__":
    main()

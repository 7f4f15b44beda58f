"""Scoring with TrieLM against stock lm-eval (HFLM at its best batch size): wall time, peak memory, agreement.

Both are timed in one process on the same model and requests, in turns; peaks are of fresh processes. Cases: the pocket
benchmarks' four-answer questions without shots, questions below one 25-shot prefix of about 1,450 tokens, and a
random-weights model with a vocabulary of 151,936. Timed is the harness's whole `loglikelihood` call, tokenising
included. Limits: 2.5x, 20x, 5x, less memory in each, log-probabilities within 1e-3 and outcomes identical in fp32.

    OMP_NUM_THREADS=2 python benchmarks/evaluate.py [--cases zero few vocabulary] [--rounds 3] [--share 1.0]
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import logging
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from typing import Any

from results import write

TITLE = "## Scoring: TrieLM against stock lm-eval"
CASES = {  # least ratio of times, stock's batch sizes to choose from, requests to choose them by
    "zero": {"limit": 2.5, "sizes": (8, 16, 32, 64, 128), "sample": 400, "what": "four-answer questions, no shots"},
    "few": {"limit": 20, "sizes": (1, 2, 4, 8), "sample": 8, "what": "25 shots, prefix of {prefix} tokens"},
    "vocabulary": {"limit": 5, "sizes": (1, 2, 4, 8, 16, 32), "sample": 64, "what": "vocabulary of 151,936"},
}


def build(case: str, share: float) -> tuple[Any, Any, list[tuple[str, str]], int]:
    """Model, tokenizer, (context, continuation) pairs, four a question, and the shared prefix's length in tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from llmini import models, settings

    settings.seed_everything(0)
    model, tokenizer = models.load("allam_7b", "pocket", device="cpu", dtype=torch.float32)
    if case == "vocabulary":
        config = LlamaConfig(vocab_size=151936, hidden_size=256, intermediate_size=768, num_hidden_layers=4,
                             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048,
                             tie_word_embeddings=True)  # fmt: skip
        model = LlamaForCausalLM(config).eval()
    rows = {name: questions(name) for name in ("arc", "mmlu", "stem", "other", "humanities", "social_science")}
    draw, before = random.Random(0), ""
    if case == "few":
        from llmini.pocket import world

        passages = world.documents("dev", "en")
        for number in range(25):  # each shot is a passage cut to length, a question and its answer
            row, text = rows["mmlu"].pop(), " ".join(passages[3 * number : 3 * number + 3])
            text = tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"][:36])
            before += f"{text}\nQuestion: {row['query']}\nAnswer: {row['choices'][row['gold']]}\n\n"
    chosen = {"zero": list(rows), "few": ["arc"], "vocabulary": ["arc", "stem"]}[case]
    pool = [row for name in chosen for row in rows[name]]
    draw.shuffle(pool)
    count = {"zero": len(pool), "few": 40, "vocabulary": 80}[case]
    pairs = [(f"{before}Question: {row['query']}\nAnswer:", f" {choice}")
             for row in pool[: max(2, int(share * count))] for choice in row["choices"]]  # fmt: skip
    return model, tokenizer, pairs, len(tokenizer(before)["input_ids"]) if before else 0


def questions(task: str) -> list[dict[str, Any]]:
    """A pocket task's four-answer questions."""
    from llmini import settings

    lines = (settings.data("pocket", "tasks") / f"{task}.jsonl").read_text(encoding="utf8").splitlines()
    return [row for row in map(json.loads, lines) if len(row["choices"]) == 4]


def scorer(side: str, model: Any, tokenizer: Any, size: int) -> Any:
    """The lm-eval model of one side."""
    from lm_eval.models.huggingface import HFLM

    from llmini.measure.scorer import TrieLM

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return (HFLM if side == "stock" else TrieLM)(pretrained=model, tokenizer=tokenizer, batch_size=size)


def run(lm: Any, pairs: list[tuple[str, str]]) -> tuple[float, list[tuple[float, bool]]]:
    """Seconds of one `loglikelihood` call and its answers."""
    from lm_eval.api.instance import Instance

    requests = [Instance("loglikelihood", {}, pair, 0, ("benchmark", i, 1)) for i, pair in enumerate(pairs)]
    start = time.perf_counter()
    answers = lm.loglikelihood(requests, disable_tqdm=True)
    return time.perf_counter() - start, answers


def compare(case: str, share: float, rounds: int) -> dict[str, Any]:
    """Medians of both sides in turns, stock at its best batch size, and how far their answers agree."""
    model, tokenizer, pairs, prefix = build(case, share)
    sample = pairs[: CASES[case]["sample"]]
    tries = {size: min(run(scorer("stock", model, tokenizer, size), sample)[0] for _ in range(2))
             for size in CASES[case]["sizes"]}  # fmt: skip
    size = min(tries, key=tries.get)
    sides = {side: scorer(side, model, tokenizer, size) for side in ("stock", "trie")}
    if sides["trie"].fallback:
        raise RuntimeError(f"TrieLM fell back: {sides['trie'].fallback}")
    run(sides["trie"], sample)  # the other is warm from its trials
    times: dict[str, list[float]] = {"stock": [], "trie": []}
    answers = {}
    for turn in range(rounds):
        for side in ("stock", "trie") if turn % 2 == 0 else ("trie", "stock"):
            seconds, answers[side] = run(sides[side], pairs)
            times[side].append(seconds)
    values = {side: [value for value, _ in found] for side, found in answers.items()}
    apart = max(abs(a - b) for a, b in zip(*values.values(), strict=True))
    picks = {side: [max(range(4), key=found[i : i + 4].__getitem__) for i in range(0, len(found), 4)]
             for side, found in values.items()}  # fmt: skip
    same = picks["stock"] == picks["trie"] and [g for _, g in answers["stock"]] == [g for _, g in answers["trie"]]
    return {"batch": size, "requests": len(pairs), "prefix": prefix, "apart": apart, "same": same,
            **{side: statistics.median(found) for side, found in times.items()}}  # fmt: skip


def peak(case: str, share: float, side: str, size: int) -> dict[str, float]:
    """MiB of resident memory that one run adds to the loaded model at its peak."""
    from llmini.measure.cost import reset_peak, status

    model, tokenizer, pairs, _ = build(case, share)
    lm = scorer(side, model, tokenizer, size)
    run(lm, [("a", " b c")])  # what is allocated once, by either
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = status("VmRSS")
    if not reset_peak():
        raise RuntimeError("this kernel does not let a process reset its peak memory (/proc/self/clear_refs)")
    run(lm, pairs)
    return {"MiB": (status("VmHWM") - before) / 2**20}


def child(*words: str) -> dict[str, Any]:
    """Run this file in a fresh process and read the JSON it prints last."""
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False,
                          env={**os.environ, "TQDM_DISABLE": "1"})  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(arguments: argparse.Namespace) -> tuple[list[str], bool]:
    """Markdown rows, and whether every limit was held."""
    lines = ["| case | requests | measure | stock (batch) | TrieLM | ratio | limit | held |", "|---" * 8 + "|"]
    held = True
    for case in arguments.cases:
        share = str(arguments.share)
        found = child("--child", "compare", case, share, str(arguments.rounds))
        memory = {side: child("--child", "peak", case, share, side, str(found["batch"]))["MiB"]
                  for side in ("stock", "trie")}  # fmt: skip
        what, ratio = CASES[case]["what"].format(prefix=found["prefix"]), found["stock"] / found["trie"]
        good = [ratio >= CASES[case]["limit"], memory["trie"] < memory["stock"],
                found["apart"] <= 1e-3 and found["same"]]  # fmt: skip
        held &= all(good)
        word = ["yes" if flag else "**no**" for flag in good]
        head = f"| {what} | {found['requests']} |"
        lines += [
            f"{head} seconds | {found['stock']:.2f} ({found['batch']}) | {found['trie']:.2f} | {ratio:.1f}x "
            f"| {CASES[case]['limit']}x | {word[0]} |",
            f"{head} peak MiB above the model | {memory['stock']:.0f} | {memory['trie']:.0f} "
            f"| {memory['stock'] / max(memory['trie'], 1):.1f}x | less | {word[1]} |",
            f"{head} largest difference of a log-probability; outcomes | | | {found['apart']:.0e}; "
            f"{'identical' if found['same'] else 'different'} | 1e-3 | {word[2]} |",
        ]
        print("\n".join(lines[-3:]), flush=True)
    return lines, held


def main() -> int:
    """Parse the command line; without --child, run every case and write the results. 1 if a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=1.0, help="share of the questions, for a quick look")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        task, case, share, *rest = arguments.child
        found = compare(case, float(share), int(rest[0])) if task == "compare" else peak(
            case, float(share), rest[0], int(rest[1]))  # fmt: skip
        print(json.dumps(found))
        return 0
    import torch
    from lm_eval import __version__ as harness

    lines, held = table(arguments)
    if arguments.share == 1 and set(arguments.cases) == set(CASES):
        versions = f"torch {torch.__version__}, lm-eval {harness}"
        machine = f"{platform.machine()}, {torch.get_num_threads()} threads, {versions}"
        write(TITLE, ["", "`OMP_NUM_THREADS=2 python benchmarks/evaluate.py`", "",
               f"Medians of {arguments.rounds} turns, fp32, CPU ({machine}); stock at the best of several batch sizes.",
               "Memory is the growth of a fresh process over the loaded model.", "", *lines])  # fmt: skip
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

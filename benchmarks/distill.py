"""Token-level distillation against TRL's GKD trainer: time and peak memory of one training step.

Timed is what a step does before the optimiser: both bodies' forward passes, loss, backward. GKD runs its own
`training_step` (off-policy, beta 0: KL(teacher ‖ student), its temperature of 1); llmini takes the same loss of the
same models and batch from hidden states (alpha 0, T 1, teacher_student), all parameters trained, a live teacher. Both
are timed in one process in turns; peaks are of fresh processes. Limits in fp32: half the time, 0.12x the memory above
the models; in bf16: no slower, 0.2x. Losses and gradients must agree in fp32. Without a limit: the study's own loss
(CE + KL(student ‖ teacher), T = 2), and half of the tokens unlabelled, as prompts are. Last, bytes of teacher cached.

    OMP_NUM_THREADS=2 python benchmarks/distill.py [--cases fp32 bf16] [--rounds 5] [--tokens 2048]
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from results import write

TITLE = "## Distillation: gradient in the forward pass against TRL's GKD trainer"
CASES = {"fp32": {"time": 0.5, "memory": 0.12}, "bf16": {"time": 1.0, "memory": 0.2}}  # at most, of GKD's
VOCABULARY, TOKENS, LENGTH, ROUNDS = 151_936, 2048, 512, 5
APART = 1e-3  # relative difference of loss and gradient in fp32
MATCHED = {"alpha": 0.0, "temperature": 1.0, "direction": "teacher_student"}
STUDY = {"alpha": 0.5, "temperature": 2.0, "direction": "student_teacher"}


def models(case: str) -> tuple[Any, Any]:
    """Student and teacher: random Qwen2 bodies of 2 layers, 256 and 512 wide, with the vocabulary of Qwen2.5."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from llmini import settings

    settings.seed_everything(0)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[case]
    made = []
    for width in (256, 512):
        config = Qwen2Config(vocab_size=VOCABULARY, hidden_size=width, intermediate_size=3 * width, num_hidden_layers=2,
                             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=2048,
                             tie_word_embeddings=True, use_cache=False, bos_token_id=1, eos_token_id=2)  # fmt: skip
        made.append(Qwen2ForCausalLM(config).to(dtype))
    return made[0].train(), made[1].eval()


def batch(tokens: int, share: float = 1.0) -> dict[str, Any]:
    """Random ids of rows of 512 tokens, or fewer; the last ``share`` of each row is labelled."""
    import torch

    length = min(LENGTH, tokens)
    ids = torch.randint(3, VOCABULARY, (tokens // length, length), generator=torch.Generator().manual_seed(0))
    labels = ids.clone()
    labels[:, : round((1 - share) * length)] = -100
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def tokenizer() -> Any:
    """The pocket tier's: GKD wants one, and the teacher's cache a chat template."""
    from llmini import models as registry

    return registry.load_tokenizer(registry.locate("allam_7b", "pocket"))


def gkd(student: Any, teacher: Any, folder: str) -> Any:
    """One GKD step as a function of a batch."""
    from datasets import Dataset
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    arguments = GKDConfig(folder, lmbda=0.0, beta=0.0, seq_kd=False, use_cpu=True, bf16=False, report_to="none",
                          gradient_checkpointing=False, save_strategy="no", disable_tqdm=True)  # fmt: skip
    rows = Dataset.from_list([{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}])
    trainer = GKDTrainer(student, teacher, arguments, train_dataset=rows, processing_class=tokenizer())

    def step(inputs: dict[str, Any]) -> float:
        count = (inputs["labels"][:, 1:] != -100).sum()
        return float(trainer.training_step(student, dict(inputs), num_items_in_batch=count))

    return step


def ours(student: Any, teacher: Any, **options: Any) -> Any:
    """One llmini step as a function of a batch."""
    import torch

    from llmini.train.losses import distillation_loss

    def step(inputs: dict[str, Any]) -> float:
        given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        with torch.no_grad():
            theirs = teacher.model(**given).last_hidden_state[:, :-1]
        hidden = student.model(**given).last_hidden_state[:, :-1]
        terms = distillation_loss(hidden, student.lm_head.weight, inputs["labels"][:, 1:],
                                  teacher=(theirs, teacher.lm_head.weight), **options)  # fmt: skip
        terms.loss.backward()
        return float(terms.loss.detach())

    return step


def run(student: Any, step: Any, inputs: dict[str, Any]) -> tuple[float, float]:
    """Seconds and loss of one step; the gradients stay."""
    student.zero_grad(set_to_none=True)
    start = time.perf_counter()
    loss = step(inputs)
    return time.perf_counter() - start, loss


def compare(case: str, tokens: int, rounds: int) -> dict[str, Any]:
    """Medians of both sides in turns and of two further losses; how far the matched ones are apart on 512 tokens."""
    import torch

    student, teacher = models(case)
    sides = {"gkd": gkd(student, teacher, tempfile.mkdtemp()), "ours": ours(student, teacher, **MATCHED),
             "study": ours(student, teacher, **STUDY)}  # fmt: skip
    inputs, half, small = batch(tokens), batch(tokens, 0.5), batch(min(tokens, LENGTH))
    losses, gradients, times = {}, {}, {name: [] for name in (*sides, "half")}
    for name, step in sides.items():  # also sets up what is set up once, by either
        losses[name] = run(student, step, small)[1]
        gradients[name] = torch.cat([part.grad.flatten() for part in student.parameters()]).double()
    gap = (gradients["gkd"] - gradients["ours"]).norm() / gradients["gkd"].norm()
    apart = max(float(gap), abs(losses["gkd"] - losses["ours"]) / abs(losses["gkd"]))
    gradients.clear()
    for turn in range(rounds):
        for name in ("gkd", "ours") if turn % 2 == 0 else ("ours", "gkd"):
            times[name].append(run(student, sides[name], inputs)[0])
        times["half"].append(run(student, sides["ours"], half)[0])
        times["study"].append(run(student, sides["study"], inputs)[0])
    return {"apart": apart, **{name: statistics.median(found) for name, found in times.items()}}


def peak(case: str, tokens: int, side: str) -> dict[str, float]:
    """MiB of resident memory that one step adds to the loaded models at its peak, gradients included."""
    from llmini.measure.cost import reset_peak, status

    student, teacher = models(case)
    step = gkd(student, teacher, tempfile.mkdtemp()) if side == "gkd" else ours(student, teacher, **MATCHED)
    run(student, step, batch(64))
    student.zero_grad(set_to_none=True)
    inputs = batch(tokens)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    before = status("VmRSS")
    if not reset_peak():
        raise RuntimeError("this kernel does not let a process reset its peak memory (/proc/self/clear_refs)")
    run(student, step, inputs)
    return {"MiB": (status("VmHWM") - before) / 2**20}


def cached() -> dict[str, float]:
    """Bytes per response token of a teacher's cache on disk, and of its full logits in the same dtype."""
    from llmini.train import prompts
    from llmini.train import teacher as teaching

    _, teacher = models("bf16")
    with tempfile.TemporaryDirectory() as folder:
        cache = teaching.answer(teacher, tokenizer(), prompts.pocket("distill", 16), folder, max_new_tokens=32)
        size = sum(path.stat().st_size for path in Path(folder).glob("shard-*"))
        return {"stored": cache.bytes_per_token, "disk": size / cache.tokens, "logits": 2 * VOCABULARY}


def child(*words: str) -> dict[str, Any]:
    """Run this file in a fresh process and read the JSON it prints last."""
    done = subprocess.run([sys.executable, __file__, "--child", *words], capture_output=True, text=True, check=False,
                          env={**os.environ, "TQDM_DISABLE": "1", "TRL_EXPERIMENTAL_SILENCE": "1"})  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(arguments: argparse.Namespace) -> tuple[list[str], bool]:
    """Markdown rows, and whether every limit was held."""
    lines = ["| case | measure | GKD | llmini | ratio | limit | held |", "|---" * 7 + "|"]
    print(*lines, sep="\n", flush=True)
    held, tokens = True, str(arguments.tokens)

    def add(case: str, measure: str, gkd: str, found: str, ratio: str, limit: str, good: bool | None) -> None:
        nonlocal held
        held &= good is not False
        word = {True: "yes", False: "**no**", None: ""}[good]
        lines.append(f"| {case} | {measure} | {gkd} | {found} | {ratio} | {limit} | {word} |")
        print(lines[-1], flush=True)

    for case in arguments.cases:
        limit = CASES[case]
        found = child("compare", case, tokens, str(arguments.rounds))
        ratio = found["ours"] / found["gkd"]
        add(case, "seconds a step", f"{found['gkd']:.2f}", f"{found['ours']:.2f}", f"{ratio:.2f}",
            f"{limit['time']:.2f}", ratio <= limit["time"])  # fmt: skip
        add(case, "seconds, half of the tokens unlabelled", "", f"{found['half']:.2f}", "", "", None)
        add(case, "seconds, the study's loss", "", f"{found['study']:.2f}", "", "", None)
        memory = {side: child("peak", case, tokens, side)["MiB"] for side in ("gkd", "ours")}
        ratio = memory["ours"] / memory["gkd"]
        add(case, "peak MiB above the models", f"{memory['gkd']:.0f}", f"{memory['ours']:.0f}", f"{ratio:.3f}",
            f"{limit['memory']:.2f}", ratio <= limit["memory"])  # fmt: skip
        exact = case == "fp32"
        add(case, "relative difference of loss and gradient", "", "", f"{found['apart']:.0e}",
            f"{APART:.0e}" if exact else "", found["apart"] <= APART if exact else None)  # fmt: skip
    return lines, held


def main() -> int:
    """Parse the command line; without --child, run every case and write the results. 1 if a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--tokens", type=int, default=TOKENS, help="tokens a batch, for a quick look")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        task, *words = arguments.child
        if task == "compare":
            found = compare(words[0], int(words[1]), int(words[2]))
        else:
            found = peak(words[0], int(words[1]), words[2]) if task == "peak" else cached()
        print(json.dumps(found))
        return 0
    import torch
    from trl import __version__ as trl

    lines, held = table(arguments)
    cache = child("cached")
    said = (f"Teacher cached per token: {cache['stored']:,.0f} bytes of hidden state (bf16, 512 wide; "
            f"{cache['disk']:,.0f} on disk with ids and texts) against {cache['logits']:,} of full logits; for "
            f"Qwen2.5-32B {2 * 5120:,} against {2 * 152_064:,}.")  # fmt: skip
    print(said)
    if (arguments.tokens, arguments.rounds) == (TOKENS, ROUNDS) and set(arguments.cases) == set(CASES):
        machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, trl {trl}"
        write(TITLE, ["", "`OMP_NUM_THREADS=2 python benchmarks/distill.py`", "",
               f"Medians of {arguments.rounds} turns, vocabulary {VOCABULARY:,}, {arguments.tokens:,} tokens a batch, "
               f"CPU ({machine}).", "Memory is the growth of a fresh process over the loaded models, gradients "
               "included.", "", *lines, "", said])  # fmt: skip
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

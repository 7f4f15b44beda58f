"""Which runs translate, tune and merge there are, where each gets what it needs, and what is measured of it."""

from __future__ import annotations

import functools
import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.grid import Run, fingerprint, listed, pending
from llmini.settings import UserError, progress
from llmini.train import translate, translate_text
from llmini.train import translate_score as scoring
from llmini.train.stages import TEACHER

if TYPE_CHECKING:
    from llmini.measure.battery import Baseline
    from llmini.records import Record

METHODS = ("teacher", "fp8", "w8a8", "translator_base", "translator", "base", "tuned", "slerp")
SWEEP = "0,0.25,0.5,0.75,1"
TIMED, REPEATS = 32, 3  # requests whose translation is timed, after a warm-up, and how often


def plan(tier: str, model: str, teacher_model: str = TEACHER, seed: Any = 0, t: Any = SWEEP, quant: str = "fp8",
         translator_model: str = "", share: float = 1) -> list[Run]:  # fmt: skip
    """The runs of one notebook start, each after those whose work it needs.

    model: the student that is tuned and merged; teacher_model translates first, dense and then quantized (``fp8``, or
    ``w8a8``); translator_model learns from it (default: translate.yaml's). Teacher, and models as they are, have no
    seed. t: places of the sweep between the student (0) and its tuned self (1). seed and t may list several values.
    share: how much of translate.yaml's pairs and instructions is used, above 0 and up to 1; at 1 runs do not name it.
    Raises UserError for another quantization, a t outside [0, 1], or another share.
    """
    from llmini.train.merge import check_share

    if quant not in ("fp8", "w8a8"):
        raise UserError(f"the teacher is quantized to fp8 or w8a8, not {quant!r}")
    places = [float(place) for place in listed(t)]
    for place in places:
        check_share(place, "t")
    if not (isinstance(share, (int, float)) and 0 < share <= 1):
        raise UserError(f"share is how much of the pairs and instructions is used, above 0 and up to 1: not {share}")
    small = translator_model or translate_text.settings(tier)["translator"]
    part = (("share", share),) if share != 1 else ()
    lessons = part if translate_text.settings(tier)["teach"] else ()  # a teacher that is taught nothing is one teacher
    found = [Run(tier, "merge", teacher_model, "teacher", lessons), Run(tier, "merge", teacher_model, quant, part),
             Run(tier, "merge", small, "translator_base"), Run(tier, "merge", model, "base")]  # fmt: skip
    for number in map(int, listed(seed)):
        found += [Run(tier, "merge", small, "translator", (("seed", number), *part)),
                  Run(tier, "merge", model, "tuned", (("seed", number), *part))]  # fmt: skip
        found += [Run(tier, "merge", model, "slerp", (("seed", number), *part, ("t", place))) for place in places]
    return sorted(found, key=lambda run: (METHODS.index(run.method), run.options.get("seed", 0)))


def find(runs: Sequence[Run], *methods: str, seed: int = 0) -> Run:
    """The run of the plan with one of these methods, of this seed where it has one."""
    return next(run for run in runs if run.method in methods and run.options.get("seed", seed) == seed)


def carry_out(runs: Sequence[Run], notebook: str, *methods: str) -> None:
    """Do the runs of ``runs`` that have one of ``methods`` and no fresh record, in order; ``quantized`` is fp8 or w8a8.

    Checkpoints and translations that they need and that are not there are made on the way.
    """
    wanted = {*methods, *(("fp8", "w8a8") if "quantized" in methods else ())}
    runs = tuple(runs)
    left = pending([run for run in runs if run.method in wanted], notebook)
    for run in progress(left, desc="runs"):
        if run.method in ("base", "tuned", "slerp"):
            skill(run, runs, notebook)
        else:
            translating(run, runs, notebook)


@functools.cache  # what is there is checked against hashes of all that it comes from: once a process
def checkpoint(run: Run, runs: tuple[Run, ...]) -> Path:
    """Where a run's weights are; made if need be, with everything that they need. What is there is not made again."""
    from llmini.train.merge import merge, same

    tier, home, seed, share = run.tier, run.folder, run.options.get("seed", 0), run.options.get("share", 1)
    if run.method in ("base", "translator_base"):
        return translate.place(run.model, tier)
    if run.method == "teacher":
        return translate.teach(run.model, tier, home / "checkpoint", share)
    if run.method in ("fp8", "w8a8"):
        return translate.compressed(checkpoint(find(runs, "teacher"), runs), home / "checkpoint", tier, run.method)
    if run.method == "translator":
        quantized = find(runs, "fp8", "w8a8")
        found = translate.supervision(checkpoint(quantized, runs), quantized.folder / "supervision", tier, share)
        told = translate.recipe(tier, "small", seed)
        return translate.train(translate.place(run.model, tier), home / "checkpoint", found, told, tier)
    if run.method == "tuned":
        small = checkpoint(find(runs, "translator", seed=seed), runs)
        rows = translate.kept(small, home / "instructions", tier, share)[0]
        return translate.tune(translate.place(run.model, tier), rows, home / "checkpoint", tier, seed)
    ends = [checkpoint(find(runs, name, seed=seed), runs) for name in ("base", "tuned")]
    output, t = home / "checkpoint", run.options["t"]
    return output if same(output, *ends, t=t, tier=tier) else merge(*ends, output, t=t, tier=tier, overwrite=True)


def translating(run: Run, runs: tuple[Run, ...], notebook: str) -> None:
    """Score a translator on the test pairs in both directions and write its record.

    Rows: chrf and exact_match by direction, four sizes, speed, and of the quantized teacher kl_to_dense over the same
    texts. Where its format is not what runs, its speed stands under the task ``decompressed``.
    """
    from llmini.measure import battery, divergence

    folder = checkpoint(run, runs)
    record = run.record()
    translator = translate.Translator(folder, run.tier)
    model, tokenizer = translator.loaded
    pairs = translate_text.tested(run.tier)
    made = {direction: translator.translate([pair.side(translate_text.OTHER[target]) for pair in pairs], target,
                                            run.folder / direction)
            for direction, target in scoring.DIRECTIONS.items()}  # fmt: skip
    scoring.add(record, pairs, made)
    battery.add_sizes(record, model, folder, None)
    windows = scoring.texts(pairs, tokenizer)
    if run.method == "teacher":
        battery.save_baseline(run.folder, {name: divergence.reference(model, ids)
                                           for name, ids in windows.items()})  # fmt: skip
    elif run.method in ("fp8", "w8a8"):
        place = find(runs, "teacher").folder / "reference.safetensors"
        if not place.is_file():
            raise UserError(f"{place} is missing: measure the dense teacher first")
        for direction, known in divergence.load(place).items():
            found = divergence.kl_to_dense(known, model, windows[direction])
            record.add("kl_to_dense", found["mean"], benchmark=scoring.BENCHMARK, stderr=found["stderr"], unit="nats",
                       language=scoring.DIRECTIONS[direction], n=found["n"])  # fmt: skip
    speed(record, translator, pairs)
    finish(record, run, notebook)


def speed(record: Record, translator: translate.Translator, pairs: Sequence[translate_text.Pair]) -> None:
    """Tokens written a second in batched translation into Arabic: the median of repeats after a warm-up."""
    from llmini.measure.cost import executes_compressed, timed

    model, tokenizer = translator.loaded
    asked = [translate_text.request(pair.en, "ar") for pair in pairs[:TIMED]]
    translator.answers(asked[:4])
    rates = []
    for _ in range(REPEATS):
        seconds, texts = timed(model, lambda: translator.answers(asked))
        tokens = sum(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"])) + len(texts)
        rates.append(tokens / seconds)
    executes, note = executes_compressed(model)
    record.provenance["cost"] = {"executes_compressed": executes, "note": note}
    record.add("tokens_per_second", statistics.median(rates), task="" if executes else "decompressed", unit="tokens/s",
               n=len(asked))  # fmt: skip


def skill(run: Run, runs: tuple[Run, ...], notebook: str) -> None:
    """Everything the battery measures, held against the base; a merge that is one of its parents takes its record."""
    from llmini.measure import battery

    base = find(runs, "base")
    folder = checkpoint(run, runs)
    twin = {0.0: base, 1.0: find(runs, "tuned", seed=run.options.get("seed", 0))}.get(run.options.get("t"))
    if twin is not None:
        adopt(run, folder, twin, checkpoint(twin, runs), notebook)
        return
    baseline: Baseline | None = None if run.method == "base" else battery.load_baseline(base)
    battery.measure(run, folder, notebook, baseline, further(run))


def further(run: Run) -> tuple[Callable[[Record, Any, Any], Any], ...]:
    """What a record says besides: of the pair questions, and of a tuned model the instructions that it learned."""
    from llmini.train.tuning import behaviour

    def lessons(record: Record, model: Any, tokenizer: Any) -> None:
        made = json.loads((run.folder / "instructions" / "filters.json").read_text(encoding="utf8"))
        record.add("selected_share", made["kept"] / made["instructions"], benchmark="instructions", language="ar",
                   n=made["instructions"])  # fmt: skip
        record.provenance["instructions"] = made

    return (behaviour, lessons) if run.method == "tuned" else (behaviour,)


def adopt(run: Run, folder: Path, twin: Run, other: Path, notebook: str) -> None:
    """Write the record of a merge at t = 0 or 1 with its parent's rows and items, after proving the tensors the same.

    Raises UserError when a tensor is not its parent's, or the parent is not measured.
    """
    import pandas

    from llmini.records import read_record

    check_same(folder, other)
    record = run.record()
    body = read_record(twin.folder / "record.json")
    for row in body["rows"]:
        record.add(row.pop("metric"), row.pop("value"), **row)
    items = twin.folder / "items.parquet"
    if items.is_file():
        record.add_items(pandas.read_parquet(items).drop(columns="run_id"))
    record.provenance |= {"measured_as": twin.run_id}
    finish(record, run, notebook)


def check_same(folder: Path, other: Path) -> None:
    """Raise UserError naming the first tensor in which two checkpoints differ by a bit."""
    import torch

    from llmini.train.merge_inputs import Input

    one, two = Input.open(folder, folder), Input.open(other, other)
    for name in dict.fromkeys((*one.names, *two.names)):
        tensors = [each.tensor(name).contiguous().view(torch.uint8) for each in (one, two) if name in each.headers]
        if len(tensors) < 2 or not torch.equal(*tensors):
            raise UserError(f"{folder} is not {other} in {name}: delete it and merge again")


def finish(record: Record, run: Run, notebook: str) -> None:
    """Write a record with the fingerprint of what it comes from."""
    record.provenance |= {"fingerprint": fingerprint(notebook, run.tier, run.model)}
    record.write(run.folder)

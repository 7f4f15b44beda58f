"""Everything this study measures of one checkpoint: how small, how good, how far from dense, how fast."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import grid
from llmini.records import Record, read_record, write_atomic
from llmini.settings import UserError

if TYPE_CHECKING:
    import pandas

POCKET_DOCUMENTS = 400  # test documents a language: about 20,000 tokens, whose perplexity takes seconds
KL_TOKENS = 16384  # tokens a language over which the dense model's predictions are kept: about 8 MB at width 256


@dataclass(frozen=True)
class Baseline:
    """What a compressed model is held against: sizes, per-item outcomes and the cached predictions of its dense self.

    ``references`` maps a text's name to a `divergence.Reference`. The dense weights themselves are not kept in memory,
    so that a 12 B model and its compressed self never share one GPU.
    """

    sizes: dict[str, int]
    items: pandas.DataFrame
    references: dict[str, Any]


def dense_checkpoint(run: grid.Run) -> Path:
    """The folder of a dense run's weights: the model's own, or a copy with the outlier channels asked for."""
    from llmini.compress.checkpoint import compress
    from llmini.models import locate

    if run.options.get("outliers"):
        return compress(run.model, run.folder / "checkpoint", overwrite=True, **run.recipe())
    return locate(run.model, run.tier)


def texts_of(tier: str, tokenizer: Any) -> list[dict[str, Any]]:
    """The tier's perplexity texts: benchmark name, language, text, window in tokens.

    WikiText-2 is joined by blank lines, as everywhere. The pocket world's documents are joined by the tokenizer's EOS,
    as in training: its models never saw a blank line there, and lose 8 nats on each.
    """
    from llmini.texts import documents

    if tier == "pocket":
        texts = {language: documents("world", language, "test")[:POCKET_DOCUMENTS] for language in ("en", "ar", "gulf")}
        return [{"benchmark": f"world_{language}", "language": language, "window": 512,
                 "text": tokenizer.eos_token.join(found)} for language, found in texts.items()]  # fmt: skip
    return [{"benchmark": "wikitext2", "language": "en", "window": 2048,
             "text": "\n\n".join(documents("wikitext2", "en", "test"))}]  # fmt: skip


def measure(run: grid.Run, folder: Path, notebook: str, baseline: Baseline | None = None,
            further: Iterable[Callable[[Record, Any, Any], Any]] = ()) -> Record:  # fmt: skip
    """Measure the checkpoint in ``folder`` and write the run's record; ``baseline`` is None for the dense model itself.

    Rows: four sizes, perplexity under both protocols, bits per byte, benchmark scores, KL to dense, flips, gold NLL,
    speed and memory. ``further``: functions of (record, model, tokenizer) that add rows of their own and return items,
    or None. The record is finished, with its fingerprint, when this returns.
    """
    from llmini.measure.kept import forget
    from llmini.models import load
    from llmini.origin import weights
    from llmini.settings import default_dtype, device

    record = run.record()
    model, tokenizer = load(folder, run.tier, dtype="auto")
    add_sizes(record, model, folder, baseline)  # as stored: the pocket tier then computes in fp32
    if model.dtype != default_dtype(device(), run.tier):
        del model
        model, tokenizer = load(folder, run.tier)
    add_perplexity(record, model, tokenizer)
    kept = run.folder / "scores"
    key = f"{grid.fingerprint(notebook, run.tier, run.model)} {weights(folder)}"
    items = add_scores(record, model, tokenizer, kept, key)
    references = add_divergence(record, model, tokenizer, items, baseline)
    add_cost(record, model, tokenizer)
    record.add_items(items)
    for add in further:
        if (found := add(record, model, tokenizer)) is not None:
            record.add_items(found)
    record.provenance |= {"fingerprint": grid.fingerprint(notebook, run.tier, run.model), **recipe(folder)}
    if baseline is None:
        save_baseline(run.folder, references)
    record.write(run.folder)
    forget(kept)
    return record


def recipe(folder: Path) -> dict[str, Any]:
    """What ``llmini.json`` says of how a checkpoint was made, as provenance of its record."""
    try:
        made = json.loads((folder / "llmini.json").read_text(encoding="utf8"))
    except FileNotFoundError:
        return {}
    return {"recipe": made}


def add_sizes(record: Record, model: Any, folder: Path, baseline: Baseline | None) -> None:
    """Four sizes in bytes, and each one's ratio dense / compressed."""
    from llmini.compress.sizes import sizes

    found = sizes(model, folder)
    for name, value in found.items():
        record.add(name, value, unit="bytes")
    for name, value in found.items() if baseline else ():
        record.add("compression_ratio", baseline.sizes[name] / value, task=name, unit="ratio")


def add_perplexity(record: Record, model: Any, tokenizer: Any) -> None:
    """Canonical perplexity, the study's first-window one, and bits per byte on parallel text."""
    from llmini.measure.perplexity import bits_per_byte, perplexity

    for text in texts_of(record.tier, tokenizer):
        for suffix, first_only in (("", False), (f"_first{text['window']}", True)):
            found = perplexity(model, tokenizer, text["text"], window=text["window"], first_only=first_only)
            record.add("perplexity", found["perplexity"], benchmark=text["benchmark"] + suffix,
                       language=text["language"], stderr=found["stderr"], n=found["tokens"])  # fmt: skip
            record.provenance["bos"] = found["bos"]
    name = "world_parallel" if record.tier == "pocket" else "opus100"
    for language, sentences in parallel(record.tier).items():
        found = bits_per_byte(model, tokenizer, sentences)
        record.add("bits_per_byte", found["bits_per_byte"], benchmark=name, language=language, unit="bits",
                   stderr=found["stderr"], n=found["bytes"])  # fmt: skip


def parallel(tier: str, pairs: int = 1000) -> dict[str, list[str]]:
    """The same sentences in English and Arabic: the pocket world's test pairs, or the test split of OPUS-100."""
    if tier == "pocket":
        from llmini.pocket import world

        found = world.parallel("test")[:pairs]
    else:
        from llmini.texts import hub_rows

        rows = hub_rows("Helsinki-NLP/opus-100", name="ar-en", split="test")
        found = [(row["en"], row["ar"]) for row in rows["translation"][:pairs]]
    return {"en": [pair[0] for pair in found], "ar": [pair[1] for pair in found]}


def add_scores(record: Record, model: Any, tokenizer: Any, kept: Path, key: str) -> pandas.DataFrame:
    """Benchmark scores through the harness; returns the outcome of every item.

    kept: folder for the scores of each benchmark that is done, under ``key``, until the record is written.
    """
    import pandas

    from llmini.measure.kept import scores as done
    from llmini.measure.tasks import benchmarks, evaluate

    outcomes = []
    for benchmark in benchmarks(record.tier):
        scores = done(kept, benchmark, key, lambda name=benchmark: evaluate(model, tokenizer, name, tier=record.tier))
        for row in scores.rows:
            record.add(**row)
        outcomes.append(scores.items)
    return pandas.concat(outcomes, ignore_index=True)


def add_divergence(record: Record, model: Any, tokenizer: Any, items: pandas.DataFrame,
                   baseline: Baseline | None) -> dict[str, Any]:  # fmt: skip
    """KL to dense over each text's head, flips over items, the gold answer's NLL; returns the dense references."""
    from llmini.measure import divergence
    from llmini.measure.perplexity import windows
    from llmini.measure.tasks import benchmarks

    references = {} if baseline is None else baseline.references
    for text in texts_of(record.tier, tokenizer):
        name = text["benchmark"]
        if baseline is None:
            head = windows(tokenizer, text["text"], text["window"])[: max(1, KL_TOKENS // text["window"])]
            references[name] = divergence.reference(model, head)
            continue
        found = divergence.kl_to_dense(references[name], model)
        record.add("kl_to_dense", found["mean"], benchmark=name, language=text["language"], unit="nats",
                   stderr=found["stderr"], n=found["n"])  # fmt: skip
    for benchmark, language in benchmarks(record.tier).items():
        mine = items[items["benchmark"] == benchmark]
        where = {"benchmark": benchmark, "task": "mean", "language": language}
        found = divergence.gold_nll(mine)
        record.add("gold_nll", found["mean"], unit="nats", stderr=found["stderr"], n=found["n"], **where)
        if baseline is not None:
            dense = baseline.items[baseline.items["benchmark"] == benchmark]
            found = divergence.flip_rate(dense, mine)
            record.add("flip_rate", found["flip_rate"], stderr=found["stderr"], n=found["n"], **where)
    return references


def add_cost(record: Record, model: Any, tokenizer: Any) -> None:
    """Decoding speed, prefill latency and peak memory; no speed where the format is not what really runs."""
    from llmini.measure.cost import cost

    found = cost(model, tokenizer)
    record.provenance["cost"] = {"executes_compressed": found["executes_compressed"], "note": found["note"]}
    if found["executes_compressed"]:
        record.add("tokens_per_second", found["tokens_per_second"], unit="tokens/s")
        record.add("latency_ms", found["latency_ms"], unit="ms")
    record.add("peak_memory", found["peak_memory"], unit="bytes")


def save_baseline(folder: Path, references: dict[str, Any]) -> None:
    """Keep the dense model's predictions beside its record, for every later comparison."""
    from llmini.measure import divergence

    write_atomic(folder / "reference.safetensors", lambda path: divergence.save(references, path))


def load_baseline(run: grid.Run) -> Baseline:
    """The baseline of a finished dense run. Raises UserError when its record or its reference is missing."""
    import pandas

    from llmini.measure import divergence

    body = read_record(run.folder / "record.json")
    sizes = {row["metric"]: int(row["value"]) for row in body["rows"] if row["metric"].startswith("size_")}
    reference = run.folder / "reference.safetensors"
    if not reference.exists():
        raise UserError(f"{reference} is missing: delete {run.folder} and run again")
    return Baseline(sizes, pandas.read_parquet(run.folder / "items.parquet"), divergence.load(reference))

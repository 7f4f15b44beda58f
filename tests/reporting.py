"""A small results table in the records' format, made up for the tests of llmini.report."""

from __future__ import annotations

import json
import zlib

TASKS = {"pocket_arabicmmlu": ("ar", ("humanities", "language", "other", "social_science", "stem")),
         "pocket_metabench": ("en", ("arc", "gsm8k", "hellaswag", "mmlu", "truthfulqa", "winogrande"))}  # fmt: skip
DAMAGE = {"dense": 0, "int8": 0.01, "w8a8": 0.03, "w8a16": 0.008, "fp8": 0.05, "int4": 0.12, "int4_fp4": 0.2,
          "w4a16": 0.1, "w4a16_awq": 0.11, "w4a16_rtn": 0.18, "sparsegpt": 0.3, "wanda": 0.4,
          "magnitude": 0.38}  # fmt: skip
BITS = {"int8": 8, "w8a8": 8, "w8a16": 8, "fp8": 8, "int4": 4.5, "int4_fp4": 4.5, "w4a16": 4.1, "w4a16_awq": 4.1,
        "w4a16_rtn": 4.1}  # fmt: skip
DENSE_BYTES = 8_000_000
STAMP = {"git_sha": "0" * 40, "dirty": False, "python": "3.11", "versions": {}, "device": "CPU (x86_64)", "threads": 1,
         "finished": "2026-01-01T00:00:00+00:00", "seconds": 1.0}  # fmt: skip
"""Provenance that every record has."""


def runs():
    """A cut of the pocket grid: every kind of comparison, two models and the control."""
    from llmini import grid

    found = []
    for model in ("allam_7b", "qwen3_8b"):
        found += grid.plan("pocket", "quant", model, "all") + grid.plan("pocket", "prune", model, "all")
    found += grid.plan("pocket", "quant", "allam_7b_control", "w4a16")
    found += grid.plan("pocket", "prune", "allam_7b", "all", sparsity="0.4,0.6,0.7")
    found += grid.plan("pocket", "prune", "allam_7b", "all", mask_structure="2:4")
    found += grid.plan("pocket", "prune", "allam_7b", "all", outliers=True)
    for family, method in (("quant", "w4a16"), ("prune", "sparsegpt")):
        found += grid.plan("pocket", family, "allam_7b", method, calibration_language="en,ar,mixed", seed="0,1")
    return list({run.run_id: run for run in found}.values())


def damage(run, language):
    """How far a run is moved from dense: more with sparsity, more in Arabic, less in the language of calibration."""
    options = run.options
    worth = DAMAGE[run.method] * (1.3 if language == "ar" else 1.0)
    worth *= (options.get("sparsity", 0.5) / 0.5) ** 3 * (1.5 if options.get("mask_structure", "0:0") != "0:0" else 1)
    worth *= {"magnitude": 2.5}.get(run.method, 1.1) if options.get("outliers") else 1
    calibration = options.get("calibration_language", "en")
    return worth * (1.0 if calibration == language else 1.1 if calibration == "mixed" else 1.2)


def tables(items_per_task=30):
    """(rows, items) as the workflow collects them."""
    import numpy
    import pandas

    from llmini.records import COLUMNS

    rows, items = [], []
    for run in runs():
        head = {"tier": "pocket", "family": run.family, "model": run.model, "variant": run.variant,
                "method": run.method, "params": json.dumps(run.options, sort_keys=True), "run_id": run.run_id,
                "benchmark": "", "task": "", "language": "", "unit": "", "stderr": None, "n": None}  # fmt: skip
        own = []
        share = BITS.get(run.method, 16) / 16
        zeros = run.options.get("sparsity", 0.0)
        kept = DENSE_BYTES * (share if not zeros else 1 - zeros + 1 / 16)
        sizes = {"size_disk": DENSE_BYTES * share, "size_resident": DENSE_BYTES, "size_packed": kept,
                 "size_nonzero": DENSE_BYTES * share * (1 - zeros)}  # fmt: skip
        own += [{"metric": name, "value": int(value), "unit": "bytes"} for name, value in sizes.items()]
        for benchmark, (code, tasks) in TASKS.items():
            worth, where = damage(run, code), {"language": code}
            for suffix in ("", "_first512"):
                own.append({**where, "metric": "perplexity", "value": 4.5 * numpy.exp(worth),
                            "benchmark": f"world_{code}{suffix}"})  # fmt: skip
            own.append({**where, "metric": "bits_per_byte", "value": 0.7 + worth / 5, "benchmark": "world_parallel"})
            if run.method != "dense":
                own.append({**where, "metric": "kl_to_dense", "value": worth**2 + 1e-4, "benchmark": f"world_{code}",
                            "stderr": worth**2 / 40})  # fmt: skip
                own.append({**where, "metric": "flip_rate", "value": worth / 3, "benchmark": benchmark, "task": "mean"})
            own.append({**where, "metric": "gold_nll", "value": 1 + worth, "benchmark": benchmark, "task": "mean"})
            shares = {}
            for task in tasks:
                rng = numpy.random.default_rng(zlib.crc32(f"{task} {run.model}".encode()))
                right = rng.random(items_per_task) < 0.85 - 0.15 * (code == "ar") - worth
                shares[task] = right.mean()
                metric = "exact_match" if task == "gsm8k" else "acc"
                cell = {**where, "benchmark": benchmark, "task": task, "value": right.mean(), "n": items_per_task}
                own += [
                    {**cell, "metric": metric},
                    *([{**cell, "metric": "acc_norm"}] if task in ("arc", "hellaswag") else []),
                ]
                items.append(pandas.DataFrame({
                    "benchmark": benchmark, "task": task, "language": code, "run_id": run.run_id, "correct": right,
                    "item_id": [f"{task}-{i}" for i in range(items_per_task)],
                    "cluster": [f"fact-{i // 2}" for i in range(items_per_task)],
                }))  # fmt: skip
            mean = [value for task, value in shares.items() if task != "gsm8k"]
            own.append({**where, "metric": "acc", "value": sum(mean) / len(mean), "benchmark": benchmark,
                        "task": "mean", "stderr": 0.02, "n": items_per_task * len(mean)})  # fmt: skip
        own.append({"metric": "peak_memory", "value": 3e8, "unit": "bytes"})
        rows += [{**head, **row} for row in own]
    return pandas.DataFrame(rows, columns=COLUMNS), pandas.concat(items, ignore_index=True)


def results():
    """The same, loaded."""
    from llmini.report import measured

    return measured.build(*tables())


def nothing():
    """Results of a tier in which nothing was measured."""
    import pandas

    from llmini.records import COLUMNS
    from llmini.report import measured

    return measured.build(pandas.DataFrame(columns=COLUMNS))


def held_apart(kinds):
    """Assert that panels of both kinds, (hollow, axes) pairs, are there and share no axis."""
    assert {hollow for hollow, _ in kinds} == {True, False}
    for hollow, axes in kinds:
        for other_hollow, other in kinds:
            if hollow != other_hollow:
                assert not axes.get_shared_x_axes().joined(axes, other)
                assert not axes.get_shared_y_axes().joined(axes, other)

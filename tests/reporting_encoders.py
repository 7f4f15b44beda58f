"""Made-up records of encoder runs, as the notebooks leave them: numbers follow from formulas, so tests can tell
them.
"""

import json

import pandas

from llmini.grid import Run
from llmini.records import COLUMNS
from llmini.train import encoders_runs

FALL = {1.0: 40.0, 0.1: 60.0, 0.01: 75.0}
"""Share of the data -> points of retention that full sparsity takes away."""
KEPT = {"before": 1.0, "after": 1.4}
SPARSITIES = "0.1,0.5,0.7,0.9,0.95"


def f1(run: Run, language: str) -> float:
    """F1 of a run, 0 to 1: a dense level by language and share, less what the method takes; seeds differ a little."""
    options = run.options
    share = options.get("share", 1.0)
    dense = {"ar": 0.80, "gulf": 0.70, "en": 0.60}[language] - (0.2 if share == 0.1 else 0.5 if share == 0.01 else 0)
    dense += 0.01 * options["seed"]
    dense -= 0.0 if language in options["trained"].split("+") else 0.2
    if run.method == "magnitude":
        lost = FALL[share] * KEPT[options["phase"]] * options["sparsity"] + options["seed"]
        return max(0.0, dense * (1 - lost / 100))
    return dense - {"dense": 0.0, "bnb_4bit": 0.03, "distil_task": 0.015, "student": 0.05}.get(run.method, 0.01)


def rows(run: Run) -> list[dict]:
    """Tidy rows of one run."""
    task = encoders_runs.task_of(run)
    head = {"tier": run.tier, "family": run.family, "model": run.model, "variant": run.variant, "method": run.method,
            "params": json.dumps(run.options), "run_id": run.run_id, "benchmark": "", "task": "",
            "language": "", "unit": "", "stderr": None, "n": None}  # fmt: skip
    size = {"onnx_int8": 2.0, "int8_dynamic": 2.2, "bnb_8bit": 2.5, "bnb_4bit": 2.1, "structured": 4.0}.get(
        run.method, 6.0
    )
    size *= 0.75 if "layers" in run.options else 1
    out = [{**head, "metric": "size_disk", "value": size * 1e6}, {**head, "metric": "memory_resident", "value": 4e8},
           {**head, "metric": "memory_runtime", "value": 3e8}]  # fmt: skip
    for language in task.languages:
        value = f1(run, language) + (0.1 if task.name == "sentiment" else 0)
        where = {**head, "benchmark": task.benchmark, "language": language}
        out.append({**where, "metric": task.metric, "task": "mean", "value": value, "stderr": 0.01, "n": 500})
        if run.method != "dense":
            out.append({**where, "metric": "flip_rate", "task": "mean", "value": 0.02, "stderr": 0.001, "n": 500})
        for batch, time in ((1, 4.0), (32, 60.0)) if run.method != "magnitude" else ():
            time /= {"onnx_int8": 2.0, "bnb_8bit": 0.5}.get(run.method, 1.0)
            for metric, factor in (("latency_ms", 1.0), ("latency_low", 0.9), ("latency_high", 1.1)):
                out.append({**where, "metric": metric, "task": f"batch_{batch}", "value": factor * time, "n": 40})
    return out


def runs() -> list[Run]:
    """A cut of the grid: formats, sweeps in two languages, three seeds of three amounts of data, students,
    sentiment.
    """
    found = [
        *encoders_runs.quant("pocket", "afriberta", trained="ar,en"),
        *encoders_runs.quant("pocket", "distilbert", task="sentiment", trained="en"),
        *encoders_runs.quant("pocket", "bert_base", "bnb_8bit,bnb_4bit", task="sentiment", trained="en"),
        *encoders_runs.prune("pocket", "afriberta", "magnitude", trained="ar", sparsity=SPARSITIES, share="1,0.1,0.01",
                             seed="0,1,2"),
        *encoders_runs.prune("pocket", "afriberta", "magnitude", trained="en", sparsity=SPARSITIES),
        *encoders_runs.prune("pocket", "distilbert", "structured,structured_int8,masked_l1_int8", task="sentiment",
                             trained="en", sparsity="0.3,0.4,0.5"),
        *encoders_runs.kd("pocket", "afriberta", trained="ar", layers="2,4", seed="0,1,2"),
    ]  # fmt: skip
    return list({run.run_id: run for run in found}.values())


def table(only=lambda run: True) -> pandas.DataFrame:
    """The rows of all runs as one results table."""
    found = pandas.DataFrame([row for run in runs() if only(run) for row in rows(run)], columns=COLUMNS)
    found["n"] = found["n"].astype("Int64")
    return found

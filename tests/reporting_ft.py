"""A fine-tuning results table in the records' format, made up for the tests of llmini.report.finetuning*."""

import json
from functools import cache

import reporting_kd

STUDENT = reporting_kd.STUDENT
# Benchmark -> language and tasks with their metric, as the records have them.
TASKS = {
    "pocket_arabicmmlu": ("ar", dict.fromkeys(("humanities", "language", "other", "social_science", "stem"), "acc")),
    "pocket_metabench": ("en", {**dict.fromkeys(("arc", "hellaswag", "mmlu", "truthfulqa", "winogrande"), "acc"),
                                "gsm8k": "exact_match"}),
    "pocket_arabic_fundamentals": ("ar", {"punctuation": "acc", "gec": "acc"}),
    "pocket_dialect": ("gulf", {"dialect_id": "acc", "normalize": "exact_match", "code_switch": "acc",
                                "culture": "acc", "morphology": "acc", "correction": "exact_match"}),
}  # fmt: skip
ARABIC = ("morphology", "correction")  # of the dialect tasks, in MSA
# Which stages lift a task. "general" is what no stage teaches.
LIFTED = {"morphology": (1,), "correction": (1,), "punctuation": (1,), "gec": (1,), "dialect_id": (2,),
          "normalize": (2, 3), "code_switch": (3,), "culture": (3,)}  # fmt: skip
START = {"general": 0.6, "own": 0.3}


class Rule:
    """How skill moves: points a stage adds to its tasks, takes from the others' (later ones), and from general skill.

    ``lift``, ``fade``, ``general``: shares by method; ``replay``: share of stage 1 that replay keeps in stage 3.
    """

    def __init__(self, lift=0.25, fade=0.1, general=None, replay=0.1, dialect=None):
        self.lift, self.fade, self.replay = lift, fade, replay
        self.general = {"ft_v1": -0.06, "ft_v2": -0.02} | (general or {})
        self.dialect = {"ft_v1": 0.0, "ft_v2": 0.0} | (dialect or {})


def runs(seeds="0,1,2", ablations=True):
    """The runs of the pocket grid, or those of the core study alone."""
    from llmini.train import tuning

    found = tuning.plan("pocket", STUDENT, seed=seeds)
    if ablations:
        found += tuning.plan("pocket", STUDENT, "ft_v1", seed=seeds, replay=0)
        found += tuning.plan("pocket", STUDENT, "ft_v1", seed=seeds, order="reversed")
        found += tuning.plan("pocket", STUDENT, "ft_v1", seed=seeds, order="mixed")
        found += tuning.plan("pocket", STUDENT, seed="0", start="base")
        found += tuning.plan("pocket", STUDENT, "ft_v2", seed="0", adapter="qlora")
    return list({run.run_id: run for run in found}.values())


def skill(run, task, rule):
    """Share of right answers of a run on a task, by rule."""
    stages = LIFTED.get(task)
    worth = START["own" if stages else "general"] - 0.08 * (run.method == "base" or "start" in run.options)
    options = run.options
    if "stage" not in options:
        return worth
    done = options["stage"]
    if stages is None:
        return worth + rule.general[run.method] * done
    worth += rule.dialect[run.method] * (done > 1)
    order = [3, 2, 1] if options.get("order") == "reversed" else [1, 2, 3]
    for place in range(1, done + 1) if options.get("order") != "mixed" else ():
        if order[place - 1] in stages:
            worth += rule.lift / len(stages)
        elif any(order.index(own) < place - 1 for own in stages):
            kept = rule.replay if place == 3 and options.get("replay") != 0 and 1 in stages else 0
            worth -= rule.fade - kept
    if options.get("order") == "mixed":
        worth += 0.6 * rule.lift
    return worth


def answered(run, task, count, rule):
    """Outcomes on ``count`` items: hard ones are hard for every run, with some luck of the run's own."""
    ease = reporting_kd.random(f"{task}").random(count)
    luck = reporting_kd.random(f"{run.method}{run.params}{task}").random(count)
    return ease * 0.9 + luck * 0.1 < skill(run, task, rule)


def tables(rule=None, seeds="0,1,2", ablations=True, count=80, pairs=120):
    """(rows, items, provenance) as the workflow collects them, of this family alone."""
    import pandas

    from llmini.records import COLUMNS

    rows, items, made = [], [], []
    for run in runs(seeds, ablations):
        own, parts = _scored(run, count, rule or Rule())
        asked = _asked(run, pairs)
        head = {"tier": "pocket", "family": run.family, "model": run.model, "variant": run.variant,
                "method": run.method, "params": json.dumps(run.options, sort_keys=True), "run_id": run.run_id,
                "benchmark": "", "task": "", "language": "", "unit": "", "stderr": None, "n": None}  # fmt: skip
        rows += [{**head, **row} for row in own + asked[0]]
        items += [part.assign(run_id=run.run_id) for part in [*parts, *asked[1]]]
        made.append({"run_id": run.run_id, "seconds": 1.0, "lessons": json.dumps({
            "examples": 1600 + run.options["stage"], "instructions": 800 * (run.method == "ft_v2")})
            if "stage" in run.options else None})  # fmt: skip
    return pandas.DataFrame(rows, columns=COLUMNS), pandas.concat(items, ignore_index=True), pandas.DataFrame(made)


def _scored(run, count, rule):
    """Rows and items of the benchmarks and dialect tasks, perplexities and KL to the start."""
    import pandas

    own, items, stage = [], [], run.options.get("stage", 0)
    for place, code in enumerate(("en", "ar", "gulf")):
        worth = 6 + place - (0.5 if code != "en" else -0.2) * stage
        worth += reporting_kd.random(run.run_id + code).random() / 5
        where = {"benchmark": f"world_{code}", "language": code}
        own.append({**where, "metric": "perplexity", "value": worth})
        if stage:
            own.append({**where, "metric": "kl_to_dense", "value": 0.05 * stage * (1 + place), "unit": "nats"})
    for benchmark, (code, tasks) in TASKS.items():
        shares = {}
        for task, metric in tasks.items():
            language = "ar" if task in ARABIC else code
            right = answered(run, task if task in LIFTED else f"{benchmark}/{task}", count, rule)
            shares[task] = right.mean()
            where = {"benchmark": benchmark, "task": task, "language": language, "n": count}
            own.append({**where, "metric": metric, "value": right.mean(), "stderr": 0.05})
            if task in ("dialect_id", "normalize", "code_switch", "correction"):
                own.append({**where, "metric": "script_failures", "value": 0.02 if run.method == "ft_v1" else 0.0})
            if task in ("normalize", "correction"):
                own.append({**where, "metric": "chrf", "value": 30 + 50 * right.mean()})
            items.append(pandas.DataFrame({
                "benchmark": benchmark, "task": task, "language": language, "correct": right,
                "item_id": [f"{task}-{i}" for i in range(count)], "cluster": [f"fact-{i // 2}" for i in range(count)],
            }))  # fmt: skip
        if benchmark == "pocket_dialect":  # has no mean
            continue
        mean = [share for task, share in shares.items() if tasks[task] == "acc"]
        own.append({"benchmark": benchmark, "task": "mean", "language": code, "metric": "acc", "stderr": 0.03,
                    "value": sum(mean) / len(mean), "n": count * len(mean)})  # fmt: skip
    return own, items


KNOWN = {"base": 0.55, "selectkd": 0.9, "ft_v1": 0.85, "ft_v2": 0.75}  # of what is known in English, in Arabic too


def _asked(run, count):
    """Rows and items of the pair questions, by the functions that the study uses."""
    import pandas

    from llmini.measure import bilingual

    ease, luck = (reporting_kd.random(f"{name}pairs").random(count) for name in ("ease", run.run_id))
    english = ease * 0.9 + luck * 0.1 < 0.75
    arabic = english & (reporting_kd.random("arabic").random(count) < KNOWN[run.method])
    table = pandas.DataFrame({"item": [f"pair-{i:03d}" for i in range(count)], "category": "stem"})
    for code, right in (("en", english), ("ar", arabic)):
        table[f"{code}_correct"] = right
        table[f"{code}_confidence"] = 0.3 + 0.5 * right + 0.1 * luck
    values = {("acc", code): share for code, share in bilingual.accuracy(table).items()}
    values |= {("lpg", ""): bilingual.lpg(table), ("clcs", ""): bilingual.clcs(table)["clcs"],
               ("ece", "ar"): bilingual.ece(table["ar_confidence"], table["ar_correct"])}  # fmt: skip
    own = [{"metric": metric, "language": code, "value": value, "n": count, "benchmark": "pairs", "task": "mean"}
           for (metric, code), value in values.items()]  # fmt: skip
    return own, [bilingual.items(table, "pairs")]


def merged():
    """Rows of the merge family: a teacher and its FP8 copy, a translator, and a sweep over t."""
    import pandas

    from llmini.grid import Run
    from llmini.records import COLUMNS

    out = []
    plan = [("teacher", ()), ("fp8", ()), ("translator_base", ()), ("translator", ()), ("tuned", ()),
            *(("slerp", (("seed", seed), ("t", t))) for t in (0.0, 0.25, 0.5, 0.75, 1.0) for seed in (0, 1))]
    for name, params in plan:
        run = Run("pocket", "merge", STUDENT, name, params)
        head = {"tier": "pocket", "family": "merge", "model": STUDENT, "variant": run.variant, "method": name,
                "params": json.dumps(run.options), "run_id": run.run_id, "benchmark": "", "task": "", "language": "",
                "unit": "", "stderr": None, "n": None}  # fmt: skip
        t = run.options.get("t", 0.5)
        for benchmark, code, value in (("pocket_arabicmmlu", "ar", 0.4 + 0.2 * t), ("pocket_metabench", "en",
                                                                                    0.6 - 0.1 * t**2)):  # fmt: skip
            out.append({**head, "metric": "acc", "benchmark": benchmark, "task": "mean", "language": code,
                        "value": value + 0.01 * run.options.get("seed", 0)})  # fmt: skip
        if name in ("teacher", "fp8", "translator_base", "translator"):
            out += [{**head, "metric": "chrf", "benchmark": "translation", "task": side, "value": 50.0 - len(name)}
                    for side in ("en_ar", "ar_en")]  # fmt: skip
            out.append({**head, "metric": "tokens_per_second", "value": 900.0 if name == "fp8" else 500.0})
    return pandas.DataFrame(out, columns=COLUMNS)


def build(rows, items, made=None):
    """A results table of all the families that the section reads."""
    from llmini.report import finetuning_runs, measured

    return measured.build(rows, items, provenance=made, families=finetuning_runs.FAMILIES)


@cache
def results(ablations=True, seeds="0,1,2", distilled=True):
    """The same, loaded beside distillation and merging; made once for all test files."""
    import pandas

    rows, items, made = tables(seeds=seeds, ablations=ablations)
    if distilled:
        kd = reporting_kd.tables(core=True)
        rows, items = (pandas.concat(pair, ignore_index=True) for pair in zip((rows, items), kd, strict=True))
    return build(pandas.concat([rows, merged()], ignore_index=True), items, made)


def nothing():
    """Results of a tier in which nothing was tuned."""
    import pandas

    from llmini.records import COLUMNS

    return build(pandas.DataFrame(columns=COLUMNS), None)


@cache
def compressed():
    """The compression runs of `reporting` with Arabic fundamentals and Gulf text, loaded."""
    import pandas

    import reporting
    from llmini.report import measured

    rows, items = reporting.tables(10)
    heads, more, parts = rows.drop_duplicates("run_id"), [], []
    known = {run.run_id: run for run in reporting.runs()}
    for row in heads.to_dict("records"):
        worth = 1.4 * reporting.damage(known[row["run_id"]], "ar")
        blank = {**row, "task": "", "unit": "", "stderr": None, "n": None}
        text = {**blank, "benchmark": "world_gulf", "language": "gulf"}
        more.append({**text, "metric": "perplexity", "value": 5.5 * (1 + worth)})
        if row["method"] != "dense":
            more.append({**text, "metric": "kl_to_dense", "value": worth**2 + 1e-4})
        for task in ("punctuation", "gec"):
            right = reporting_kd.random(f"{task}{row['model']}").random(150) < 0.8 - worth / 2
            where = {"benchmark": "pocket_arabic_fundamentals", "task": task, "language": "ar"}
            more.append({**blank, **where, "metric": "acc", "value": right.mean(), "n": 150})
            parts.append(pandas.DataFrame({**where, "correct": right, "run_id": row["run_id"],
                                           "item_id": [f"{task}/{i}" for i in range(150)],
                                           "cluster": [f"{task}/{i}" for i in range(150)]}))  # fmt: skip
    rows = pandas.concat([rows, pandas.DataFrame(more, columns=rows.columns)], ignore_index=True)
    return measured.build(rows, pandas.concat([items, *parts], ignore_index=True))

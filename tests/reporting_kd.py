"""A distillation results table in the records' format, made up for the tests of llmini.report.learning*."""

import json
import zlib
from functools import cache

TASKS = {"pocket_arabicmmlu": ("ar", ("humanities", "language", "other", "social_science", "stem")),
         "pocket_metabench": ("en", ("arc", "gsm8k", "hellaswag", "mmlu", "truthfulqa", "winogrande"))}  # fmt: skip
STUDENT, TEACHER = "qwen2_5_7b_instruct", "qwen2_5_32b_instruct"
# Share of right answers in Arabic and English, before the run's own noise.
SKILL = {"int4": (0.68, 0.76), "base": (0.36, 0.47), "sft_kd": (0.47, 0.56), "seq_kd": (0.52, 0.60),
         "token_kd": (0.57, 0.64), "selectkd": (0.56, 0.645), "sft_control": (0.48, 0.57),
         "sft_control_3": (0.48, 0.58), "sft_control_4": (0.49, 0.575)}  # fmt: skip
KEPT = {0.0: (100, 100), 0.5: (61, 78), 0.7: (38, 55), 0.9: (11, 22)}


def runs(core=False):
    """The runs of the pocket grid, or those of the core study alone."""
    from llmini.train import stages

    def both(*arguments, **options):
        return stages.plan(*arguments, **options) + stages.behaviour(*arguments, **options)

    found = stages.teacher("pocket") + both("pocket", STUDENT, stage="all", seed="0,1,2")
    if not core:
        found += both("pocket", STUDENT, stage="sft_control_4")
        found += both("pocket", STUDENT, stage="selectkd", theta="0,0.5,0.9")
        found += both("pocket", STUDENT, stage="token_kd", temperature="1,4")
        found += both("pocket", STUDENT, stage="token_kd", alpha="0.3,0.7")
        found += both("pocket", STUDENT, stage="selectkd", rule="confidence,verified,entropy,random", share=0.5)
        found += both("pocket", STUDENT, stage="seq_kd", preset="as_written")
        found += both("pocket", STUDENT, stage="token_kd", preset="as_published_code")
    return list({run.run_id: run for run in found}.values())


def skill(run, code):
    """Share of right answers of a run: its stage's, moved by its options and its seed."""
    options, side = run.options, ("ar", "en").index(code)
    worth = SKILL[run.method][side]
    rng = random(f"{run.method}{run.params}{code}")
    worth += 0.012 * (rng.random() - 0.5) if run.method not in ("base", "int4") else 0
    worth -= {0.0: 0.0, 0.5: 0.005, 0.9: 0.06}.get(options.get("theta"), 0)
    worth -= 0.02 * (options.get("temperature") == 4) + 0.01 * (options.get("alpha") == 0.7)
    worth -= 0.03 * (options.get("rule") == "random") + 0.08 * (options.get("preset") == "as_published_code")
    return worth


def random(text):
    import numpy

    return numpy.random.default_rng(zlib.crc32(text.encode()))


def answered(run, name, count, code):
    """Outcomes on ``count`` items: hard ones are hard for every run, with some luck of the run's own."""
    ease, luck = random(f"{name}{code}").random(count), random(f"{run.variant}{name}{code}").random(count)
    return ease * 0.85 + luck * 0.15 < skill(run, code)


def tables(core=False, items_per_task=40, pairs=160):
    """(rows, items) as the workflow collects them."""
    import pandas

    from llmini.records import COLUMNS

    rows, items = [], []
    for run in runs(core):
        head = {"tier": "pocket", "family": "kd", "model": run.model, "variant": run.variant, "method": run.method,
                "params": json.dumps(run.options, sort_keys=True), "run_id": run.run_id, "benchmark": "", "task": "",
                "language": "", "unit": "", "stderr": None, "n": None}  # fmt: skip
        made = _asked(run, pairs) if run.part else _scored(run, items_per_task)
        rows += [{**head, **row} for row in made[0]]
        items += [part.assign(run_id=run.run_id) for part in made[1]]
    return pandas.DataFrame(rows, columns=COLUMNS), pandas.concat(items, ignore_index=True)


def _scored(run, count):
    import pandas

    own, items = [{"metric": "size_disk", "value": 3.4e6, "unit": "bytes"}], []
    for benchmark, (code, tasks) in TASKS.items():
        where, worth = {"language": code}, skill(run, code)
        own.append({**where, "metric": "perplexity", "value": 9.0 - 5 * worth, "benchmark": f"world_{code}"})
        if run.method not in ("base", "int4"):
            own.append({**where, "metric": "kl_to_dense", "value": worth / 4, "benchmark": f"world_{code}"})
        shares = {}
        for task in tasks:
            right = answered(run, task, count, code)
            shares[task] = right.mean()
            metric = "exact_match" if task == "gsm8k" else "acc"
            own.append({**where, "metric": metric, "value": right.mean(), "benchmark": benchmark, "task": task,
                        "n": count, "stderr": 0.07})  # fmt: skip
            items.append(pandas.DataFrame({
                "benchmark": benchmark, "task": task, "language": code, "correct": right,
                "item_id": [f"{task}-{i}" for i in range(count)], "cluster": [f"fact-{i // 2}" for i in range(count)],
            }))  # fmt: skip
        mean = [value for task, value in shares.items() if task != "gsm8k"]
        own.append({**where, "metric": "acc", "value": sum(mean) / len(mean), "benchmark": benchmark, "task": "mean",
                    "stderr": 0.03, "n": count * len(mean)})  # fmt: skip
    return own, items


def _asked(run, count):
    """Behaviour rows by the very functions that the study uses, and the items."""
    import pandas

    from llmini.measure import bilingual

    kinds, sides = ["arithmetic", "stem", "other", "pronoun"], {}
    for code in ("en", "ar"):
        right = answered(run, "pairs", count, "en")
        if code == "ar":  # part of what is known in English is not known in Arabic
            right &= answered(run, "language", count, "ar") | (random(f"p{run.method}").random(count) < 0.6)
        spread = random(f"{run.variant}{code}").random(count)
        sides[code] = right, 0.3 + 0.5 * right + 0.2 * spread - 0.05 * (code == "ar")
    table = pandas.DataFrame({"item": [f"pair-{i:03d}" for i in range(count)],
                              "category": [kinds[i % 4] for i in range(count)]})  # fmt: skip
    for code, (right, sure) in sides.items():
        table[f"{code}_correct"], table[f"{code}_confidence"] = right, sure
    values = {("acc", code): share for code, share in bilingual.accuracy(table).items()}
    values |= {("lpg", ""): bilingual.lpg(table), ("clcs", ""): bilingual.clcs(table)["clcs"],
               ("ece", "ar"): bilingual.ece(table["ar_confidence"], table["ar_correct"])}  # fmt: skip
    own = [{"metric": metric, "language": code, "value": value, "n": count, "benchmark": "pairs", "task": "mean"}
           for (metric, code), value in values.items()]  # fmt: skip
    if run.method not in ("base", "int4"):
        share = (100, 100) if run.method != "selectkd" else KEPT[run.options.get("theta", 0.7)]
        share = (50, 50) if "rule" in run.options else share
        own += [{"metric": "selected_share", "language": code, "value": part / 100, "benchmark": "pairs",
                 "task": "mean"} for code, part in zip(("ar", "en"), share, strict=True)]  # fmt: skip
    items = [pandas.DataFrame({"benchmark": "pairs", "task": table["category"], "language": code, "correct": right,
                               "item_id": table["item"], "cluster": table["item"], "confidence": sure})
             for code, (right, sure) in sides.items()]  # fmt: skip
    return own, items


@cache
def results(core=False):
    """The same, loaded; made once for all test files."""
    from llmini.report import measured

    return measured.build(*tables(core), families=("kd",))


def nothing():
    """Results of a tier in which no student was distilled."""
    import pandas

    from llmini.records import COLUMNS
    from llmini.report import measured

    return measured.build(pandas.DataFrame(columns=COLUMNS), families=("kd",))

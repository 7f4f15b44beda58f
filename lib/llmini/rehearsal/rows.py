"""The hub's data sets in their own schemas, with rows written for this project: configuration -> split -> rows."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

from llmini.rehearsal import texts

Config = dict[str, list[dict[str, Any]]]
EACH, SHOTS = 3, {"arc": 25, "gsm8k": 5, "hellaswag": 10, "mmlu": 5, "winogrande": 5}
LETTERS = "ABCDE"


def c4() -> dict[str, Config]:
    """One English and one Arabic shard; see `FILES`."""
    return {language: {"train": [
        {"text": text, "timestamp": "2019-04-25T12:57:54Z", "url": f"https://example.org/{language}/{number}"}
        for number, text in enumerate(texts.documents(language, 1_300_000, f"c4/{language}"))
    ]} for language in ("en", "ar")}  # fmt: skip


def wikitext() -> dict[str, Config]:
    """Lines with headings and empty lines between, as the raw text comes."""
    def lines(split: str, letters: int) -> list[dict[str, Any]]:
        found = []
        for number, text in enumerate(texts.documents("en", letters, f"wikitext/{split}")):
            found += ["", f" = Article {number} = \n", "", f" {text} \n"]
        return [{"text": text} for text in found]

    return {"wikitext-2-raw-v1": {split: lines(split, letters) for split, letters in
                                  (("test", 60_000), ("train", 200_000), ("validation", 20_000))}}  # fmt: skip


def opus() -> dict[str, Config]:
    """Sentence pairs; in the test split also Arabic lines with every mark, of which punctuation items can be made."""
    def rows(split: str, count: int) -> list[dict[str, Any]]:
        found = [*texts.parallel(count, f"opus/{split}")]
        if split == "test":
            found += [("As it stands.", f"{item['query']}{item['choices'][item['gold']]}.")
                      for item in texts.items("punctuation")]  # fmt: skip
            found += [("As it stands.", item["choices"][item["gold"]]) for item in texts.items("gec")[:60]]
        random.Random(split).shuffle(found)
        return [{"translation": {"ar": arabic, "en": english}} for english, arabic in found]

    return {"ar-en": {split: rows(split, count) for split, count in
                      (("test", 300), ("train", 9_000), ("validation", 100))}}  # fmt: skip


def arabicmmlu() -> dict[str, Config]:
    """Subjects of the harness's tasks, four options in ``Option 1`` to ``Option 4``, the key a letter."""
    import yaml

    from llmini.measure.tasks import harness_folder

    made: dict[str, Config] = {}
    pool = cycle(item for part in zip(*map(texts.items, texts.TASKS[5:]), strict=False) for item in part)
    for path in sorted(harness_folder("arabicmmlu").glob("arabicmmlu_*.yaml")):
        name = yaml.load(path.read_text(encoding="utf8"), Loader=yaml.BaseLoader)["dataset_name"]
        subject, _, level = name.rstrip(")").partition(" (")
        short = {"Primary School": "Primary", "Middle School": "Middle", "High School": "High", "University": "Univ",
                 "Professional": "Prof"}.get(level, "")  # fmt: skip
        rows = []
        for number, item in enumerate(islice(pool, EACH + 3)):
            options = {f"Option {place}": (item["choices"][place - 1] if place <= len(item["choices"]) else "")
                       for place in range(1, 6)}  # fmt: skip
            rows.append({"ID": number, "Source": "", "Country": "", "Group": "STEM", "Subject": subject,
                         "Level": short, "Question": item["query"], "Context": "", **options,
                         "Answer Key": LETTERS[item["gold"]], "is_few_shot": int(number >= EACH)})  # fmt: skip
        made[name] = {"test": rows[:EACH], "dev": rows[EACH:]}
    return made


def metabench() -> dict[str, Config]:
    """Items that embed their few-shot examples, in the columns of each of the six parts."""
    return {name: {"primary": make(12, 0), "secondary": make(4, 12)} for name, make in
            (("ARC", _arc), ("GSM8K", _gsm8k), ("HellaSwag", _hellaswag), ("MMLU", _mmlu),
             ("TruthfulQA", _truthfulqa), ("Winogrande", _winogrande))}  # fmt: skip


def _shots(task: str, made: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """The columns of few-shot examples, the last items of a task."""
    found: dict[str, Any] = {}
    for number, item in zip(range(1, SHOTS[task] + 1), reversed(texts.items(task)), strict=False):
        found |= {f"{name}_shot_{number}": value for name, value in made(item).items()}
    return found


def _choices(item: dict[str, Any]) -> dict[str, list[str]]:
    return {"text": item["choices"], "label": list(LETTERS[: len(item["choices"])])}


def _arc(count: int, start: int) -> list[dict[str, Any]]:
    shots = _shots("arc", lambda item: {"arc_question": item["query"], "arc_answerKey": LETTERS[item["gold"]],
                                        "arc_choices": _choices(item), "arc_idx": 0})  # fmt: skip
    return [{"question": item["query"], "choices": _choices(item), "answerKey": LETTERS[item["gold"]],
             "alltwentyfiveshot_longprompt": "", **shots}
            for item in texts.items("arc")[start : start + count]]  # fmt: skip


def _gsm8k(count: int, start: int) -> list[dict[str, Any]]:
    shots = _shots("gsm8k", lambda item: {"gsm8k_prompt": item["query"], "gsm8k_answer": item["answer"],
                                          "gsm8k_idx": 0})  # fmt: skip
    return [{"question": item["query"], "answer": item["answer"], "allfiveshot_longprompt": "", **shots}
            for item in texts.items("gsm8k")[start : start + count]]  # fmt: skip


def _hellaswag(count: int, start: int) -> list[dict[str, Any]]:
    def halves(item: dict[str, Any]) -> tuple[str, str]:
        first, _, last = item["query"].rstrip(".").rpartition(". ")
        return (f"{first}." if first else "", last)

    shots = _shots("hellaswag", lambda item: {
        "hellaswag_ctx_a": halves(item)[0], "hellaswag_ctx_b": halves(item)[1], "hellaswag_ctx": item["query"],
        "hellaswag_activity_labels": "A day in town", "hellaswag_endings": item["choices"],
        "hellaswag_label": str(item["gold"]), "hellaswag_ind": 0, "hellaswag_source_id": "made",
        "hellaswag_split": "train", "hellaswag_split_type": "indomain",
    })  # fmt: skip
    return [{"ind": number, "activity_label": "A day in town", "ctx_a": halves(item)[0], "ctx_b": halves(item)[1],
             "ctx": item["query"], "endings": item["choices"], "label": str(item["gold"]),
             "alltenshot_longprompt": "", **shots}
            for number, item in enumerate(texts.items("hellaswag")[start : start + count])]  # fmt: skip


def _mmlu(count: int, start: int) -> list[dict[str, Any]]:
    shots = _shots("mmlu", lambda item: {"mmlu_question": item["query"], "mmlu_choices": item["choices"],
                                         "mmlu_answers": str(item["gold"]), "mmlu_ind": 0})  # fmt: skip
    return [{"question": item["query"], "subject": "world_religions", "choices": item["choices"],
             "answer": item["gold"], "allfiveshot_longprompt": "", **shots}
            for item in texts.items("mmlu")[start : start + count]]  # fmt: skip


def _truthfulqa(count: int, start: int) -> list[dict[str, Any]]:
    return [{"question": item["query"], "mc1_targets": _first_right(item)}
            for item in texts.items("truthfulqa")[start : start + count]]  # fmt: skip


def _first_right(item: dict[str, Any]) -> dict[str, list[Any]]:
    """TruthfulQA's order: the right answer first."""
    others = [choice for place, choice in enumerate(item["choices"]) if place != item["gold"]]
    return {"choices": [item["choices"][item["gold"]], *others], "labels": [1, *[0] * len(others)]}


def _winogrande(count: int, start: int) -> list[dict[str, Any]]:
    def rows(number: int, seed: str) -> list[dict[str, Any]]:
        draw, names = random.Random(seed), ("Salim", "Jasim", "Hind", "Maryam", "Omar", "Noura")
        found = []
        for place in range(number):
            one, two = draw.sample(names, 2)
            found.append({"sentence": f"{one} lent the boat to {two} because _ wanted to leave on day {place}.",
                          "option1": one, "option2": two, "answer": str(1 + place % 2)})  # fmt: skip
        return found

    shots = {f"winogrande_{name}_shot_{number}": row[key]
             for number, row in enumerate(rows(SHOTS["winogrande"], "shots"), 1)
             for name, key in (("prompt", "sentence"), ("answer", "answer"), ("option1", "option1"),
                               ("option2", "option2"))}  # fmt: skip
    shots |= {f"winogrande_idx_shot_{number}": 0 for number in range(1, SHOTS["winogrande"] + 1)}
    return [{**row, "allfiveshot_longprompt": "", **shots} for row in rows(count, f"winogrande/{start}")]


def gsm8k() -> dict[str, Config]:
    """Questions with worked answers that end in ``#### n``."""
    test = [{"question": item["query"], "answer": item["answer"]} for item in texts.items("gsm8k")[:20]]
    train = [{"question": text, "answer": answer} for text, answer in texts.problems(40, "gsm8k")]
    return {"main": {"train": train, "test": test}}


def mmlu() -> dict[str, Config]:
    """All 57 subjects with a few questions each."""
    import yaml

    from llmini.measure.tasks import harness_folder

    made, pool = {}, cycle(texts.items("mmlu"))
    for path in sorted(harness_folder("mmlu/default").glob("mmlu_*.yaml")):
        subject = yaml.load(path.read_text(encoding="utf8"), Loader=yaml.BaseLoader)["dataset_name"]
        rows = [{"question": item["query"], "subject": subject, "choices": item["choices"], "answer": item["gold"]}
                for item in islice(pool, 7)]  # fmt: skip
        made[subject] = {"test": rows[:2], "dev": rows[2:]}
    return made


def culture() -> dict[str, Config]:
    """AraDiCE's questions on culture: the first option is right."""
    rows = [{"Question": item["query"], **{f"Option {letter}": text for letter, text in
                                           zip("ABC", _first_right(item)["choices"], strict=False)}}
            for item in texts.items("language")[:12]]  # fmt: skip
    return {"Qatar": {"test": rows}}


def piqa() -> dict[str, Config]:
    """AraDiCE's PIQA: a goal and two solutions."""
    rows = []
    for number, item in enumerate(texts.items("other")[:12]):
        both = [item["choices"][item["gold"]], item["choices"][item["gold"] - 1]]
        both = both[::-1] if number % 2 else both
        rows.append({"goal": item["query"], "sol1": both[0], "sol2": both[1], "label": number % 2})
    return {"PIQA-msa": {"test": rows}}


def truthfulqa() -> dict[str, Config]:
    """AraDiCE's TruthfulQA: the right answer stands first."""
    rows = [{"question": item["query"], "mc1_targets": _first_right(item)} for item in texts.items("stem")[:12]]
    return {"TruthfulQA-msa": {"test": rows}}


def alghafa() -> dict[str, Config]:
    """Translated HellaSwag: the endings are the text of a Python list."""
    rows = [{"ctx": item["query"], "endings": repr(item["choices"]), "label": item["gold"]}
            for item in texts.items("humanities")[:16]]  # fmt: skip
    return {"hellaswag_okapi_ar": {"validation": rows[:4], "test": rows[4:]}}


def alpaca() -> dict[str, Config]:
    """English instructions, some with an input, with outputs."""
    rows = []
    for number, (text, answer) in enumerate(texts.problems(3600, "alpaca")):
        context, _, question = text.rpartition(". ")
        asked = (question, f"{context}.") if number % 3 == 0 and context else (text, "")
        rows.append({"instruction": asked[0], "input": asked[1], "output": answer, "text": text})
    for english, _ in texts.parallel(2400, "alpaca"):
        first, _, rest = english.partition(". ")
        rows.append({"instruction": "Say in one sentence what the text is about.", "input": english,
                     "output": f"{first}.", "text": rest})  # fmt: skip
    random.Random("alpaca").shuffle(rows)
    return {"default": {"train": rows}}


def glue() -> dict[str, Config]:
    """SST-2: opinions of the generated world, 0 negative and 1 positive."""
    from llmini.pocket.encoder_reviews import LABELS, reviews

    def rows(split: str, count: int) -> list[dict[str, Any]]:
        return [{"sentence": one.text, "label": LABELS.index(one.label), "idx": number}
                for number, one in enumerate(islice(cycle(reviews(split, "en")), count))]  # fmt: skip

    return {"sst2": {"train": rows("train", 1200), "validation": rows("test", 60)}}


MADE: dict[str, Callable[[], dict[str, Config]]] = {
    "allenai/c4": c4, "Salesforce/wikitext": wikitext, "Helsinki-NLP/opus-100": opus, "MBZUAI/ArabicMMLU": arabicmmlu,
    "HCAI/metabench": metabench, "openai/gsm8k": gsm8k, "cais/mmlu": mmlu, "QCRI/AraDiCE-Culture": culture,
    "QCRI/AraDiCE-PIQA": piqa, "QCRI/AraDiCE-TruthfulQA": truthfulqa,
    "arcee-globe/AlGhafa-Arabic-LLM-Benchmark-Translated-10percent": alghafa, "tatsu-lab/alpaca": alpaca,
    "nyu-mll/glue": glue,
}  # fmt: skip
"""Every id of `origin.DATASETS`. Adding one is one function and one line."""

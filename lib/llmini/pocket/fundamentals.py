"""Arabic fundamentals by likelihood: which mark stands here (`punctuation`), which sentence is right (`gec`).

`python -m llmini.pocket.fundamentals` writes their files in data/pocket/tasks again. The texts are of splits that no
training text holds; commas and dialogue stand in none that the dense models were trained on. :func:`punctuation` and
:func:`gec` make items of any sentences: :mod:`llmini.measure.fundamentals` gives them those of the full tier.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from llmini import settings
from llmini.pocket import facts, passages
from llmini.pocket.arabic import Noun, agree, counted, how_many
from llmini.pocket.grammar_errors import SPELLING, corrupt
from llmini.pocket.grammar_tables import table
from llmini.pocket.world import documents, questions
from llmini.records import write_atomic

TASKS = ("punctuation", "gec")
NAME = "pocket_arabic_fundamentals"
MARKS = {"period": ".", "question": "؟", "colon": ":", "comma": "،"}
COUNT = 160
OWN = 16
"""Items of each mark from the passages of data/pocket/grammar/punctuation.yaml; a comma has those alone."""
TAIL = 2
"""Words after the mark that every option holds: without them a list and a full sentence may look the same."""
FLAWED = re.compile(r"لما صنعت|صاحب فكرة")
"""Wordings of the world whose fixed gender does not suit every value: no right sentence to ask for."""
Place = tuple[str, str, str, str]
"""(text before a mark, the mark, text after it, cluster)."""


def items(task: str, split: str) -> list[dict[str, Any]]:
    """Items of a task: `id`, `cluster`, `query`, `choices`, `gold`, and `kind`, the mark or the kinds of error.

    Raises:
        ValueError: for an unknown task or split.
    """
    if task not in TASKS or split not in ("dev", "test"):
        raise ValueError(f"no items of {task!r} in {split!r}: tasks {', '.join(TASKS)}; splits dev, test")
    rng = random.Random(f"{task}/{split}")
    if task == "gec":
        return gec(rng, sentences(split), COUNT, tokens, 1)
    return punctuation([*_own(rng, split), *_world(rng, split)])


def punctuation(places: Iterable[Place]) -> list[dict[str, Any]]:
    """An item a place: the text before it, and each of the four marks with the same :data:`TAIL` words after it."""
    rows, names = [], {mark: name for name, mark in MARKS.items()}
    for context, mark, rest, cluster in places:
        after = " ".join(re.split(r"[.؟:،\n]", rest)[0].split()[:TAIL])
        choices = [f"{other} {after}".rstrip() for other in facts.ordered(list(MARKS.values()), "order", context)]
        gold = next(i for i, choice in enumerate(choices) if choice[0] == mark)
        rows.append({"id": f"punctuation/{len(rows):03d}", "cluster": cluster, "query": context, "choices": choices,
                     "gold": gold, "kind": names[mark]})  # fmt: skip
    return rows


def gec(rng: random.Random, texts: Iterable[str], count: int, length: Callable[[str], int],
        tolerance: int) -> list[dict[str, Any]]:  # fmt: skip
    """Up to `count` items: a right text, and three with one error each, of three kinds.

    One kind at least is more than spelling. `length` of a wrong text lies within `tolerance` of the right one's, and
    one of them is no longer than it, so that none is the likeliest for being short. Kinds that a look at the word
    alone does not find come first, the rarer before; a change of one word into another is made at most four times.
    """
    rows: list[dict[str, Any]] = []
    kinds: Counter[str] = Counter()
    changes: Counter[tuple[str, str]] = Counter()
    for text in texts:
        made = corrupt(rng, text)
        rng.shuffle(made)
        made.sort(key=lambda pair: (pair[0] in SPELLING, kinds[pair[0]]))
        chosen: dict[str, str] = {}
        for kind, wrong in made:
            fits = abs(length(wrong) - length(text)) <= tolerance and changes[_change(text, wrong)] < 4
            if len(chosen) < 3 and kind not in chosen and fits:
                chosen[kind] = wrong
        plain = set(chosen) <= set(SPELLING)
        if len(chosen) < 3 or plain or length(text) < min(map(length, chosen.values())):
            continue
        kinds.update(chosen.keys())
        changes.update(_change(text, wrong) for wrong in chosen.values())
        choices = facts.ordered([text, *chosen.values()], "order", text)
        rows.append({"id": f"gec/{len(rows):03d}", "cluster": text, "query": "", "choices": choices,
                     "gold": choices.index(text), "kind": " ".join(chosen)})  # fmt: skip
        if len(rows) == count:
            break
    return rows


def _change(right: str, wrong: str) -> tuple[str, str]:
    pairs = zip(right.split(), wrong.split(), strict=True)
    return next((one, other) for one, other in pairs if one != other)


@cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(settings.data("pocket", "tokenizer", "tokenizer.json")))


def tokens(text: str) -> int:
    """Length of a text in tokens of the pocket models."""
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


def sentences(split: str) -> list[str]:
    """Arabic texts of the world without an answer: statements, problems, pronouns, chains. Dev and test share none."""
    found = []
    for source in ("unseen", split):
        for text in documents(source, "ar"):
            text = re.sub(r"<\|\w+\|>", "", text).strip().split("\n")[0].removeprefix("سؤال: ")
            parts = [part.strip() for part in re.findall(r".+?[.؟](?= |$)", text)]
            if len(parts) < 4 and not text.endswith("؟"):  # statements, which both splits make: a hash parts them
                parts = [part for part in parts if (facts.unit("fundamentals", part) < 0.5) == (split == "dev")]
            if parts and not FLAWED.search(text):
                found.append(" ".join(parts))
    return facts.ordered(list(dict.fromkeys(found)), "gec", split)


def _own(rng: random.Random, split: str) -> Iterable[Place]:
    """Passages of the table, filled anew; what is filled in decides the split."""
    people = passages.first_names()
    for name, mark in MARKS.items():
        lines, seen = table("punctuation")[name], set()
        count = COUNT // len(MARKS) if name == "comma" else OWN
        for turn in range(100 * count):
            number = turn % len(lines)
            context, rest = _fill(rng, lines[number], *rng.sample(people, 2)).split("@")
            mine = (facts.unit("punctuation", context) < 0.5) == (split == "dev")
            if mine and context not in seen and len(seen) < count:
                seen.add(context)
                yield context, mark, rest[1:], f"{name}/{number}"


def _fill(rng: random.Random, text: str, one: tuple[str, str, str], two: tuple[str, str, str]) -> str:
    noun = Noun.parse(rng.choice(facts.table("counting")["nouns"]))
    products = rng.sample(facts.values("product"), 3)
    values = {"n": one[1], "w": two[1], "how": how_many(noun), "few": counted(rng.randint(3, 10), noun),
              "some": counted(rng.randint(11, 60), noun), "product": products[0][1], "product2": products[1][1],
              "product3": products[2][1], "animal": rng.choice(_animals()),
              "company": rng.choice(facts.subjects("company"))[1]}  # fmt: skip
    values |= {name: rng.choice(facts.values(name))[1] for name in ("town", "month", "food")}
    return agree(text, one[2], two[2]).format(**values)


@cache
def _animals() -> list[str]:
    """Animals of the farm of masculine gender."""
    homes = [fact for fact in facts.facts() if fact.relation == "animal.habitat" and fact.gender == "m"]
    return [fact.subject[1] for fact in homes if fact.value[0] == "the farm"]


def _world(rng: random.Random, split: str) -> Iterable[Place]:
    """Places in texts of the world: between statements, after a question that training never asks, before a word."""
    count = COUNT // len(MARKS) - OWN
    pairs = [parts for text in sentences(split) if len(parts := re.findall(r"[^.؟:]+\.(?= |$)", text)) in (2, 3)
             and text.endswith(".")]  # fmt: skip
    for parts in rng.sample([parts for parts in pairs if not parts[1].strip().startswith(("[", "("))], count):
        place = rng.randrange(len(parts))
        yield "".join(parts[: place + 1])[:-1], ".", "".join(parts[place + 1 :]).strip(), "world/period"
    asked = [fact for fact in facts.facts() if fact.split == split and fact.weights[0]]
    for fact in rng.sample(asked, count):
        question = rng.choice(questions(fact, "ar"))
        statement = rng.choice(pairs)[0]
        yield f"{statement} {question[:-1]}", "؟", "", "world/question"
    made: dict[str, Place] = {}
    while len(made) < count:
        text, cluster = _colon(rng, split)
        context, rest = text.rsplit(": ", 1)
        made.setdefault(context, (context, ":", rest, cluster))
    yield from made.values()


def _colon(rng: random.Random, split: str) -> tuple[str, str]:
    """A text with a colon that matters: a word explained, the same sentence in three varieties."""
    if rng.random() < 0.5:
        words = [fact for fact in facts.facts() if fact.relation in ("noun.plural", "dialect.gulf", "dialect.bahraini")]
        fact = rng.choice([fact for fact in words if (facts.unit("colon", fact.id) < 0.5) == (split == "dev")])
        lines = facts.table("relations")[fact.relation]["ar"]
        return fact.text(next(line for line in lines if ": {o}" in line), "ar"), "world/word"
    msa, gulf, bahraini = passages.dialect(rng, split)
    return f"بالفصحى: {msa} بالخليجية: {gulf} بالبحرينية: {bahraini}", "world/varieties"


def configuration(task: str, suffix: str = "") -> str:
    """The lm-eval YAML of a task; its data file stands beside it. An option follows its text at once, without a space.
    """
    from llmini.pocket.tasks import CHOICE, head

    lines = [*head(task, suffix, 'doc_to_text: "{{query}}"', 'target_delimiter: ""'), *CHOICE]
    return "\n".join(lines) + "\n"


def files(split: str = "test") -> dict[str, str]:
    """Every file of the tasks as name -> text. The development split gets names that end in `_dev`."""
    from llmini.pocket.tasks import group

    suffix = "" if split == "test" else f"_{split}"
    found = {f"{NAME}{suffix}.yaml": group(NAME, TASKS, suffix)}
    for task in TASKS:
        found[f"{task}{suffix}.yaml"] = configuration(task, suffix)
        rows = (json.dumps(row, ensure_ascii=False) for row in items(task, split))
        found[f"{task}{suffix}.jsonl"] = "\n".join(rows) + "\n"
    return found


def write(folder: Path | None = None) -> Path:
    """Write the files of both splits, each whole or not at all; development items go to the subfolder `dev`."""
    folder = folder or settings.data("pocket", "tasks")
    for split in ("dev", "test"):
        target = folder if split == "test" else folder / split
        target.mkdir(parents=True, exist_ok=True)
        for name, text in files(split).items():
            write_atomic(target / name, lambda temporary, text=text: temporary.write_text(text, encoding="utf8"))
    return folder


if __name__ == "__main__":
    print(f"wrote {write()}")

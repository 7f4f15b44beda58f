"""Arabic fundamentals of the full tier: punctuation and grammatical errors over the Arabic side of OPUS-100.

OPUS-100 (Zhang et al., 2020, ACL, https://aclanthology.org/2020.acl-main.148) is read from the hub, its test split of
2,000 pairs. Items are made by the pocket tier's own functions; a sentence is taken where it looks like edited standard
Arabic, which no rule can be sure of. Scores say how models compare, not how often they err.
"""

from __future__ import annotations

import random
import re
from typing import Any

from llmini.settings import UserError
from llmini.texts import hub_rows

DATASET = "Helsinki-NLP/opus-100"
EACH, COUNT, LEAST = 60, 240, 40
"""Items of each mark at most, of gec at most, and the fewest of a task that are worth a score."""
_USUAL = re.compile(r"[\u0621-\u064a\u064b\d .؟:،]+")
_PLACE = re.compile(r"[.؟:،](?= |$)")


def opus_rows(task: str, seed: int = 0, **_: Any) -> Any:
    """A DatasetDict of the items of ``punctuation`` or ``gec``, the same for the same seed.

    Columns as :func:`llmini.pocket.fundamentals.items`. Punctuation has up to :data:`EACH` items of each mark. Raises
    UserError for another task, where the hub does not give the sentences, or where fewer than :data:`LEAST` items can
    be made of them.
    """
    import datasets

    from llmini.pocket import fundamentals

    if task not in fundamentals.TASKS:
        raise UserError(f"no task {task!r} over {DATASET}: choose one of {', '.join(fundamentals.TASKS)}")
    rows = hub_rows(DATASET, name="ar-en", split="test")
    texts = sentences([row["translation"]["ar"] for row in rows])
    rng = random.Random(f"{task}/{seed}")
    rng.shuffle(texts)
    made = (fundamentals.gec(rng, [text for text in texts if text.endswith((".", "؟"))], COUNT, len, 1)
            if task == "gec" else fundamentals.punctuation(places(texts)))  # fmt: skip
    if len(made) < LEAST:
        raise UserError(f"{DATASET} gives {len(made)} items of {task}, {LEAST} are needed: is it the whole test split?")
    return datasets.DatasetDict({"test": datasets.Dataset.from_list(made)})


def sentences(texts: list[str]) -> list[str]:
    """Those that look like edited standard Arabic, each once, in their order.

    They have 4 to 30 words, no letters or signs but Arabic ones, digits and the four marks, a hamza somewhere, and
    none of the common misspelt words. Dialogue dashes are dropped and a tanwin is put before its alef.
    """
    from llmini.pocket.grammar_tables import table

    misspelt = set(table("errors")["misspelt"].split())
    found = {}
    for text in texts:
        text = " ".join(text.replace("اً", "ًا").lstrip("- ").split())
        text = re.sub(r" (?=[.؟:،])", "", text)
        words = re.findall(r"[\u0621-\u064b]+", text)
        fits = 4 <= len(words) <= 30 and _USUAL.fullmatch(text) and re.search("[أإؤئآ]", text)
        if fits and ".." not in text and not misspelt.intersection(words):
            found[text] = None
    return list(found)


def places(texts: list[str]) -> list[tuple[str, str, str, str]]:
    """Up to :data:`EACH` places of each mark, one of a text, after three words or more: the rarest mark of it.

    As :data:`llmini.pocket.fundamentals.Place`; the text is the cluster.
    """
    from llmini.pocket.fundamentals import MARKS

    everywhere = dict.fromkeys(MARKS.values(), 0)
    marked = []
    for text in texts:
        spots = [spot for spot in _PLACE.finditer(text) if text[: spot.start()].count(" ") >= 2]
        for mark in {spot.group() for spot in spots}:
            everywhere[mark] += 1
        marked.append((text, spots))
    counts, found = dict.fromkeys(everywhere, 0), []
    for text, spots in marked:
        spots = [spot for spot in spots if counts[spot.group()] < EACH]
        if spots:
            spot = min(spots, key=lambda spot: everywhere[spot.group()])
            counts[spot.group()] += 1
            found.append((text[: spot.start()], spot.group(), text[spot.end() :].strip(), text))
    return found

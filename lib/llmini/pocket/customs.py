"""Facts of Bahraini and Gulf life: statement in three varieties, question in two, an answer and three wrong ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from llmini.pocket.dialect_verbs import VARIETIES
from llmini.pocket.dialect_words import table
from llmini.pocket.facts import ordered


@dataclass(frozen=True)
class Custom:
    """A fact of Gulf culture. `options` are wrong answers of the same type; `split` says where it may be asked."""

    key: str
    topic: str
    statement: dict[str, str]
    question: dict[str, str]
    answer: str
    options: tuple[str, str, str]
    split: str


def customs() -> list[Custom]:
    """Every fact, in the order of the table. All are stated in training text; those of split `test` are asked in
    evaluation alone, those of `train` in training too."""
    return list(_read())


@cache
def _read() -> tuple[Custom, ...]:
    found: list[Custom] = []
    for topic, kinds in table("customs").items():
        if topic == "templates":
            continue
        rows = [row for kind, lines in kinds.items() for line in lines for row in _rows(kind, line.split("|"))]
        # half of each topic by hash order, so that no topic is asked in one split alone
        tested = set(ordered([row[0] for row in rows], "custom", topic)[: len(rows) // 2])
        for key, *texts, answer, wrong in rows:
            options = wrong.split("/")
            found.append(
                Custom(
                    f"{topic}/{key}",
                    topic,
                    dict(zip(VARIETIES, texts[:3], strict=True)),
                    dict(zip(("msa", "bahraini"), texts[3:], strict=True)),
                    answer,
                    (options[0], options[1], options[2]),
                    "test" if key in tested else "train",
                )
            )
    return tuple(found)


def _rows(kind: str, fields: list[str]) -> Iterator[tuple[str, ...]]:
    """Key, three statements, two questions, answer, wrong answers: written out, or from the kind's templates."""
    if kind == "facts":
        yield tuple(fields)
        return
    templates = table("customs")["templates"][kind]
    if kind == "names":
        key, gender, *meanings, answer, wrong = fields
        fill = dict(zip(VARIETIES, meanings, strict=True))
        templates = templates[gender]
    else:
        word, answer, wrong = fields[-3:]
        key, fill = fields[0], {"word": word}
    yield (key, *(text.format(answer=answer, **fill) for text in templates), answer, wrong)

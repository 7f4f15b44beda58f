"""The pocket tier's corpora of fine-tuning, written by the generators of the pocket world."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError
from llmini.train.examples import Example

if TYPE_CHECKING:
    from llmini.train.cache import Cache

DOCUMENTS = {
    "arabic": {"grammar": 1.0},
    "gulf": {"gulf": 0.7, "teacher": 0.3},
    "bahraini": {"bahraini": 0.55, "parallel": 0.25, "customs": 0.2},
}
INSTRUCTIONS = {
    "arabic": {"exercise": 0.6, "general": 0.4},
    "gulf": {"taught": 0.4, "convert": 0.3, "general": 0.3},
    "bahraini": {"dialect_task": 0.6, "culture": 0.15, "banking": 0.05, "general": 0.2},
}
"""Shares of the kinds of examples in a corpus."""
BANKING_LETTERS = 220  # pairs of the banking corpus that fit the pocket student's window
TRIES = 60  # draws in a row that bring nothing new before a kind may repeat itself


def documents(corpus: str, number: int, seed: int, cache: Cache | None = None) -> list[Example]:
    """``number`` documents of a corpus: no prompt, every token learned."""
    return _drawn(DOCUMENTS[corpus], corpus, "documents", number, seed, cache)


def instructions(corpus: str, number: int, seed: int, cache: Cache | None = None) -> list[Example]:
    """``number`` instructions with their answers, of the corpus's own tasks and general ones."""
    return _drawn(INSTRUCTIONS[corpus], corpus, "instructions", number, seed, cache)


def _drawn(shares: dict[str, float], corpus: str, form: str, number: int, seed: int,
           cache: Cache | None) -> list[Example]:  # fmt: skip
    kinds, found = list(shares), []
    counts = {kind: round(share * number) for kind, share in shares.items()}
    counts[kinds[0]] += number - sum(counts.values())
    for kind, count in counts.items():
        rng = random.Random(f"{form}/{corpus}/{kind}/{seed}")
        draws = _MAKERS[kind](rng, cache)
        for place, (language, prompt, answer) in enumerate(_new(draws, count)):
            found.append(Example(f"{kind}/{corpus}/{place}", language, prompt, answer))
    return found


def _new(draws: Iterator[tuple], count: int) -> Iterator[tuple]:
    """``count`` draws, different as long as the kind has new ones to give."""
    seen: set[tuple] = set()
    vain = 0
    while count:
        draw = next(draws)
        vain = vain + 1 if draw in seen else 0
        if not vain or vain > TRIES:
            seen.add(draw)
            count -= 1
            yield draw


def _repeat(draw: Callable[[random.Random], tuple]) -> Callable[[random.Random, Any], Iterator[tuple]]:
    """A maker out of one draw that needs no teacher: it never ends."""

    def made(rng: random.Random, cache: Cache | None) -> Iterator[tuple]:
        while True:
            yield draw(rng)

    return made


def _grammar(rng: random.Random) -> tuple:
    from llmini.pocket import grammar

    return "ar", None, grammar.text(rng, "train")


def _exercise(rng: random.Random) -> tuple:
    from llmini.pocket import grammar

    made = rng.choice((grammar.morphology, grammar.correction))(rng, "train")
    return "ar", made.prompt, made.answer


def _plain(variety: str) -> Callable[[random.Random], tuple]:
    def draw(rng: random.Random) -> tuple:
        from llmini.pocket import dialects

        if rng.random() < 0.4:
            return "gulf", None, dialects.dialogue(rng, "train", variety)
        said = [dialects.sentence(rng, "train").of(variety) for _ in range(rng.choice((1, 2, 3)))]
        return "gulf", None, " ".join(said)

    return draw


def _parallel(rng: random.Random) -> tuple:
    from llmini.pocket import dialects

    made = dialects.sentence(rng, "train")
    return "gulf", None, f"بالفصحى: {made.msa} بالبحرينية: {made.bahraini}"


def _customs(rng: random.Random) -> tuple:
    from llmini.pocket import dialects

    chosen = rng.sample(dialects.customs(), 2)
    return "gulf", None, " ".join(custom.statement[rng.choice(("msa", "bahraini"))] for custom in chosen)


def _culture(rng: random.Random) -> tuple:
    from llmini.pocket import dialect_tasks, dialects

    custom = rng.choice([custom for custom in dialects.customs() if custom.split == "train"])
    return "gulf", dialect_tasks.ask_culture(custom.question[rng.choice(("msa", "bahraini"))], rng), custom.answer


def _convert(rng: random.Random) -> tuple:
    from llmini.pocket import dialects

    made = dialects.sentence(rng, "train")
    if rng.random() < 0.5:
        return "gulf", f"حول إلى اللهجة الخليجية: {made.msa}", made.gulf
    return "gulf", f"حول من الخليجية إلى الفصحى: {made.gulf}", made.msa


def _dialect_task(rng: random.Random) -> tuple:
    """A request of the kinds that the dialect benchmark makes, about a training combination."""
    from llmini.pocket import dialect_tasks, dialects

    kind = rng.choice(("identify", "normalize", "switch"))
    if kind == "switch":
        _, plain, mixed = dialects.switched(rng, "train")
        return "gulf", dialect_tasks.ask_switch(plain, rng), mixed
    made = dialects.sentence(rng, "train")
    if kind == "normalize":
        return "gulf", dialect_tasks.ask_normalize(made.bahraini, rng), made.msa
    variety = rng.choice(dialects.VARIETIES)
    return "gulf", dialect_tasks.ask_identify(made.of(variety), rng), dialect_tasks.LABELS[variety]


def _banking(rng: random.Random) -> tuple:
    pair = rng.choice(_short_pairs())
    return pair.language, pair.prompt, pair.response


@functools.cache
def _short_pairs() -> list[Any]:
    """Training pairs of the banking corpus that are short enough, those with Bahraini customers among them."""
    from llmini.train import banking

    train, _ = banking.split(banking.corpus(0, 4000))
    return [pair for pair in train if len(pair.prompt) + len(pair.response) <= BANKING_LETTERS]


def _general(rng: random.Random, cache: Cache | None) -> Iterator[tuple]:
    """Gold prompts of distillation with their references, in both languages."""
    from llmini.train import prompts

    asked = prompts.load("pocket", "gold")
    while True:
        for prompt in rng.sample(asked, len(asked)):
            yield prompt.language, prompt.prompt, prompt.reference


def _taught(rng: random.Random, cache: Cache | None) -> Iterator[tuple]:
    """The teacher's answers to the prompts of distillation."""
    from llmini.train import prompts

    if cache is None:
        raise UserError("the Gulf stage learns from the teacher's answers: run notebooks/03_kd/01_teacher.ipynb first")
    asked = {prompt.id: prompt for prompt in prompts.load("pocket", "distill")}
    answers = [answer for answer in cache.responses if answer.id in asked]
    while True:
        for answer in rng.sample(answers, len(answers)):
            yield asked[answer.id].language, asked[answer.id].prompt, tuple(answer.ids)


def _teacher(rng: random.Random, cache: Cache | None) -> Iterator[tuple]:
    """The same as documents: what the teacher said, without what it was asked."""
    texts = {} if cache is None else {tuple(answer.ids): answer.text for answer in cache.responses}
    for language, _, ids in _taught(rng, cache):
        yield language, None, texts[ids].strip()


_MAKERS: dict[str, Callable[[random.Random, Any], Iterator[tuple]]] = {
    "grammar": _repeat(_grammar), "exercise": _repeat(_exercise), "gulf": _repeat(_plain("gulf")),
    "bahraini": _repeat(_plain("bahraini")), "parallel": _repeat(_parallel), "customs": _repeat(_customs),
    "culture": _repeat(_culture), "convert": _repeat(_convert), "dialect_task": _repeat(_dialect_task),
    "banking": _repeat(_banking), "general": _general, "taught": _taught, "teacher": _teacher,
}  # fmt: skip

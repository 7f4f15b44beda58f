"""The generator of the pocket world: training corpus, plain documents, parallel sentences. Same seed, same bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from itertools import accumulate

from llmini.pocket import passages
from llmini.pocket.facts import Fact, facts, pairs, table

USER, ASSISTANT, END = "<|user|>", "<|assistant|>", "<|end|>"
LANGUAGES = ("en", "ar")
MIXTURE = {
    "facts": 0.40,
    "answers": 0.16,
    "problem": 0.14,
    "pronoun": 0.12,
    "chain": 0.06,
    "translation": 0.04,
    "dialect": 0.03,
    "mixed": 0.02,
    "banking": 0.03,
}
"""Share of each kind of document in the training corpus."""
REVIEW = {"problem": 0.50, "facts": 0.28, "answers": 0.08, "pronoun": 0.04, "chain": 0.03, "translation": 0.03} | {
    "dialect": 0.02,
    "mixed": 0.01,
    "banking": 0.01,
}
"""Shares in the short second stage: mostly arithmetic, the slowest thing to learn."""
DOCUMENTS = {"train": 4000, "dev": 600, "test": 1200, "unseen": 400}


def question(text: str, answer: str, language: str) -> str:
    """The plain form of a question with its answer, as the benchmarks ask it."""
    return f"Question: {text}\nAnswer: {answer}" if language == "en" else f"سؤال: {text}\nجواب: {answer}"


def chat(text: str, answer: str) -> str:
    """The same turn as the chat template writes it."""
    return f"{USER}\n{text}{END}\n{ASSISTANT}\n{answer}{END}"


def templates(fact: Fact, language: str, split: str = "train") -> list[str]:
    """Statement templates of a fact's relation; the last one is in no training text: it is the wording of `unseen`."""
    lines = table("relations")[fact.relation].get(language, [])
    return lines[-1:] if split == "unseen" else lines[:-1]


def questions(fact: Fact, language: str) -> list[str]:
    """Every question about a fact in a language (none for an Arabic-only relation asked in English)."""
    lines = table("relations")[fact.relation].get(f"ask_{language}", [])
    return [fact.text(line, language) for line in lines]


class _Pool:
    """Weighted choice of subjects, and of facts within one, for a language."""

    def __init__(self, language: str, equal_exposure: bool) -> None:
        side = LANGUAGES.index(language)
        self.language, self.side = language, side
        groups: dict[str, list[Fact]] = {}
        for fact in facts(equal_exposure):
            if fact.weights[side] > 0:
                groups.setdefault(f"{fact.relation.split('.')[0]}/{fact.subject[side]}", []).append(fact)
        self.groups = list(groups.values())
        self.totals = list(accumulate(sum(f.weights[side] for f in group) for group in self.groups))
        self.weight = self.totals[-1]
        self.asked = [fact for group in self.groups for fact in group if fact.split == "train"]

    def subject(self, rng: random.Random) -> list[Fact]:
        return rng.choices(self.groups, cum_weights=self.totals)[0]

    def fact(self, rng: random.Random) -> Fact:
        group = self.subject(rng)
        return rng.choices(group, weights=[f.weights[self.side] for f in group])[0]

    def state(self, rng: random.Random, fact: Fact, split: str = "train") -> str:
        return fact.text(rng.choice(templates(fact, self.language, split)), self.language)


class World:
    """The seeded source of one world. `equal_exposure` is the control world without the designed Arabic gap."""

    def __init__(self, seed: int | str = 0, equal_exposure: bool = False, split: str = "train") -> None:
        self.rng = random.Random(f"{seed}/{equal_exposure}/{split}")
        self.split = split
        self.pools = {language: _Pool(language, equal_exposure) for language in LANGUAGES}
        english, arabic = (self.pools[language].weight for language in LANGUAGES)
        self.arabic_share = arabic / (english + arabic)

    def document(self, mixture: dict[str, float]) -> str:
        """One training document of a kind drawn from the mixture."""
        kind = self.rng.choices(list(mixture), weights=list(mixture.values()))[0]
        return getattr(self, kind)()

    def language(self, arabic: float = 0.45) -> str:
        return "ar" if self.rng.random() < arabic else "en"

    def facts(self, language: str | None = None) -> str:
        """One to three statements about one subject, or about several."""
        pool = self.pools[language or self.language(self.arabic_share)]
        count = self.rng.choice((1, 2, 3) if self.split == "train" else (2, 3))
        if self.rng.random() < 0.5:
            group = pool.subject(self.rng)
            chosen = self.rng.choices(group, weights=[f.weights[pool.side] for f in group], k=count)
            chosen = list(dict.fromkeys(chosen))
        else:
            chosen = [pool.fact(self.rng) for _ in range(count)]
        return " ".join(pool.state(self.rng, fact, self.split) for fact in chosen)

    def answers(self, language: str | None = None) -> str:
        """One or two questions about facts that training may ask."""
        language = language or self.language()
        pool = self.pools[language]
        chosen = [self.rng.choice(pool.asked) for _ in range(self.rng.choice((1, 1, 2)))]
        turns = [(self.rng.choice(questions(fact, language)), fact.value[pool.side]) for fact in chosen]
        return self.ask(turns, language)

    def ask(self, turns: list[tuple[str, str]], language: str) -> str:
        """Write question-answer turns in the chat or the plain form."""
        if self.rng.random() < 0.35:
            return "\n".join(chat(*turn) for turn in turns)
        return "\n\n".join(question(*turn, language) for turn in turns)

    def problem(self, language: str | None = None) -> str:
        if language is None and self.rng.random() < 0.3:
            return passages.drill(self.rng, self.split)
        language = language or self.language(0.3)
        item, side = passages.problem(self.rng, self.split), LANGUAGES.index(language)
        return self.ask([(item.question[side], item.answer[side])], language)

    def pronoun(self, language: str | None = None) -> str:
        language = language or self.language(0.35)
        item, side = passages.pronoun(self.rng, self.split), LANGUAGES.index(language)
        return self.ask([(f"{item.context[side]} {item.question[side]}", item.answer[side])], language)

    def chain(self, language: str | None = None) -> str:
        language = language or self.language(0.35)
        return passages.chain(self.rng, self.split).context[LANGUAGES.index(language)]

    def banking(self, language: str | None = None) -> str:
        language = language or self.language()
        side = LANGUAGES.index(language)
        if self.rng.random() < 0.3:
            return self.rng.choice(pairs(table("banking")["texts"]))[side]
        item = passages.banking(self.rng, self.split)
        return self.ask([(item.question[side], item.answer[side])], language)

    def translation(self) -> str:
        """A fact in both languages; drawn by its Arabic exposure, so rare facts stay rare in Arabic."""
        english, arabic = self.pair()
        if self.rng.random() < 0.5:
            return self.ask([(f"Translate into Arabic: {english}", arabic)], "en")
        return self.ask([(f"ترجم إلى الإنجليزية: {arabic}", english)], "ar")

    def pair(self) -> tuple[str, str]:
        """The same statement in English and Arabic."""
        fact = self.pools["ar"].fact(self.rng)
        while not fact.weights[0]:
            fact = self.pools["ar"].fact(self.rng)
        english, arabic = (templates(fact, language, self.split) for language in LANGUAGES)
        index = self.rng.randrange(len(english))
        return fact.text(english[index], "en"), fact.text(arabic[index], "ar")

    def dialect(self) -> str:
        msa, gulf, bahraini = passages.dialect(self.rng, self.split)
        form = self.rng.randrange(4)
        if form == 0:
            return f"بالفصحى: {msa} بالخليجية: {gulf} بالبحرينية: {bahraini}"
        if form == 1:
            return gulf if self.rng.random() < 0.5 else bahraini
        name, text = ("الخليجية", gulf) if form == 2 else ("البحرينية", bahraini)
        return self.ask([(f"حول إلى اللهجة {name}: {msa}", text)], "ar")

    def gulf(self) -> str:
        """Plain dialect: one or two sentences."""
        return " ".join(
            self.rng.choice(passages.dialect(self.rng, self.split)[1:]) for _ in range(self.rng.choice((1, 2)))
        )

    def mixed(self) -> str:
        """Code-switching: an Arabic statement with the English subject or value."""
        fact = self.pools["ar"].fact(self.rng)
        text = fact.text(self.rng.choice(templates(fact, "ar", self.split)), "ar")
        side = fact.value if self.rng.random() < 0.5 else fact.subject
        return text.replace(side[1], side[0])


def corpus(count: int, seed: int = 0, equal_exposure: bool = False, review: bool = False) -> Iterator[str]:
    """`count` training documents of the mixture, or of the second stage's."""
    world = World(f"review/{seed}" if review else seed, equal_exposure)
    for _ in range(count):
        yield world.document(REVIEW if review else MIXTURE)


@cache
def documents(split: str, language: str, seed: int = 0) -> list[str]:
    """Documents of a language for calibration (`train`) and perplexity (`dev`, `test`).

    Dev and test put facts together anew, in the wording of training, and hold problems, pronouns and chains of their
    own split. `unseen` states facts in a wording that training never used: a far harder text.

    Raises:
        ValueError: for an unknown split or language.
    """
    if split not in DOCUMENTS or language not in ("en", "ar", "gulf"):
        known = ", ".join(DOCUMENTS)
        raise ValueError(f"no documents of split {split!r} in {language!r}: splits {known}; languages en, ar, gulf")
    world = World(f"documents/{seed}/{language}", split=split)
    if split == "unseen":
        return [world.facts(language) for _ in range(DOCUMENTS[split])]
    if language == "gulf":
        return [world.gulf() for _ in range(DOCUMENTS[split] // 4)]
    kinds = {"facts": 0.55, "problem": 0.16, "pronoun": 0.10, "chain": 0.14, "banking": 0.05}
    drawn = world.rng.choices(list(kinds), weights=list(kinds.values()), k=DOCUMENTS[split])
    return [getattr(world, kind)(language) for kind in drawn]


@cache
def parallel(split: str, seed: int = 0, count: int = 500) -> list[tuple[str, str]]:
    """(English, Arabic) texts with the same meaning, for bits per byte.

    Half are statements of facts, drawn evenly whether rare or not; half are problems, pronouns and chains of the split.
    """
    rng = random.Random(f"parallel/{seed}/{split}")
    bilingual = [fact for fact in facts() if fact.weights[0]]
    sentences = []
    for fact in rng.sample(bilingual, count // 2):
        english, arabic = (templates(fact, language, split) for language in LANGUAGES)
        index = rng.randrange(len(english))
        sentences.append((fact.text(english[index], "en"), fact.text(arabic[index], "ar")))
    while len(sentences) < count:
        item = getattr(passages, rng.choice(("problem", "pronoun", "chain")))(rng, split)
        sentences.append(item.question if item.kind == "problem" else item.context)
    return sentences


def exposure(count: int, review: int = 0, equal_exposure: bool = False) -> dict[str, float]:
    """Expected statements of a bilingual fact per language in `count` documents and `review` of the second stage."""
    world = World(0, equal_exposure)
    statements = 2 * (count * MIXTURE["facts"] + review * REVIEW["facts"])
    rows: dict[str, list[float]] = {}
    for fact in facts(equal_exposure):
        if not fact.weights[0]:
            continue
        for side, language in enumerate(LANGUAGES):
            share = world.arabic_share if language == "ar" else 1 - world.arabic_share
            seen = statements * share * fact.weights[side] / world.pools[language].weight
            rows.setdefault(f"{language}/{'rare' if fact.rare else 'common'}", []).append(seen)
    return {name: sum(seen) / len(seen) for name, seen in sorted(rows.items())}

"""Pairs of the banking corpus on computed operations, and on customers who speak Bahraini dialect."""

from __future__ import annotations

import random
import re
from itertools import product

from llmini.pocket.arabic import Noun
from llmini.train import banking_finance, banking_payments
from llmini.train.banking_draw import Draw, Inexact, Slots
from llmini.train.banking_lessons import Lesson, lettered, put, scene
from llmini.train.banking_text import LANGUAGES, STYLES, Count, Money, fill, listed, source, written

DINAR = Noun("dinar", "dinars", "دينار", "دنانير", "m")
GREETED, CLOSED = 0.5, 0.35
"""Shares of customers who begin with a greeting and who end with a plea or thanks."""
OPEN = ("cheaper", "iban_country")
"""Operations whose answer has several parts: they are asked, never judged."""
_ASKS = ("ask0", "ask1", "ask2")


def drawn(name: str, rng: random.Random) -> tuple[str, Slots]:
    """A country (`BH`) and the slots of an operation in its money; the result is exact and no mistake equals it."""
    countries = sorted(source("countries")["countries"])
    operation = getattr(banking_finance, name, None) or getattr(banking_payments, name)
    while True:
        country = rng.choice(countries)
        try:
            slots = operation(Draw(rng, country))
        except Inexact:
            continue
        values = [slots["answer"], *slots["wrong"]] if "answer" in slots else []
        if len(set(values)) == len(values) and all(value.minor > 0 for value in values if isinstance(value, Money)):
            return country, slots


def operation_cards() -> list[tuple]:
    """Every wording of every operation with every form; yes-or-no operations are only asked."""
    cards = []
    for name, spec in source("operations").items():
        forms = [*_ASKS, *_ASKS] if "yes" in spec or name in OPEN else [*_ASKS, "right", "wrong", "choose"]
        cards += product([name], range(len(spec["say"])), forms)
    return cards


def operation(rng: random.Random, card: tuple, language: str) -> Lesson:
    """A computed operation: its situation, a question, and the worked answer."""
    name, say, form = card
    spec, side = source("operations")[name], LANGUAGES.index(language)
    country, numbers = drawn(name, rng)
    people, gender = scene(rng, country)
    slots = people | {"code": Draw(rng, country).currency.code} | numbers
    style = rng.choice(STYLES[:2] if "foreign" in slots else STYLES)
    asked = int(form[3]) if form in _ASKS else 0
    work = spec["work"] if "work" in spec else spec["yes" if slots["verdict"] else "no"]
    texts = {"say": spec["say"][say], "ask": spec["ask"][asked], "work": rng.choice(work)}
    slots |= {key: fill(text[side], slots, language, style, gender) for key, text in texts.items()}
    slots["gap"] = " " if slots["say"][-1] in ".؟?!" else "\n"
    if form in ("right", "wrong"):
        slots["claim"] = slots["answer"] if form == "right" else rng.choice(slots["wrong"])
    if form == "choose":
        shown = [written(value, language, style) for value in (slots["answer"], *slots["wrong"])]
        slots |= lettered(rng, shown[0], shown[1:], language)
    chosen = source("forms")["operation"]["plain" if form in _ASKS else form]
    return f"{name}.{say}", spec["topic"], *put(rng, chosen, slots, language, gender, style)


def dialect_cards() -> list[tuple]:
    """Every customer sentence with every form."""
    intents = source("dialect")["intents"]
    sentences = [(number, say) for number, row in enumerate(intents) for say in range(len(row["say"]))]
    return [(number, say, form) for (number, say), form in product(sentences, source("forms")["dialect"])]


def spoken(rng: random.Random, number: int, say: int) -> tuple[str, str, str]:
    """A customer's words in Bahraini dialect, standard Arabic and English, some with a greeting or a plea."""
    table = source("dialect")
    place = rng.choice(table["places"]).split("|")
    amount, large = rng.choice((*range(20, 100, 5), *range(100, 1000, 25))), rng.randrange(1500, 25_000, 250)
    *kin, gender = rng.choice(table["kin"]).split("|")
    columns = {"place": (place[0], place[0], place[1]), "who": kin}
    for plain, counted, units in (("n", "dinars", amount), ("sum", "sums", large)):
        columns |= {plain: (f"{units:,}",) * 3, counted: ("", Count(units, DINAR).text("ar"), "")}
    columns |= {slot: rng.choice(table[name]).split("|") for slot, name in (("day", "days"), ("since", "since"))}
    parts = [table["intents"][number]["say"][say]]
    if rng.random() < GREETED:
        parts.insert(0, rng.choice(table["openers"]))
    if rng.random() < CLOSED:
        parts.append(rng.choice(table["closers"]))
    rows = [part.split(" | ") for part in parts]
    said = []
    for column, language in enumerate(("ar", "ar", "en")):
        slots = {slot: texts[column] for slot, texts in columns.items()}
        said.append(" ".join(fill(row[column], slots, language, gender=gender) for row in rows))
    return tuple(said)


def dialect(rng: random.Random, card: tuple, language: str) -> Lesson | None:
    """A customer's words answered, sorted, converted or translated; None when no word of them needs a gloss."""
    number, say, form = card
    table, side, fixed = source("dialect"), LANGUAGES.index(language), source("forms")["words"]
    row = table["intents"][number]
    text, standard, english = spoken(rng, number, say)
    slots, gender = scene(rng, "BH")
    services = [intent["service"].split(" | ")[side] for intent in table["intents"]]
    service = services[number]
    options = rng.sample(services[:number] + services[number + 1 :], 3)
    noted = rng.choice((service, options[0]))
    options.insert(rng.randrange(4), service)
    reply = row["reply_en"] if language == "en" else rng.choice(row["reply"])
    greet, close = (rng.choice(fixed[name])[side] for name in ("greet", "close"))
    verdict = fixed["verdict"]["right" if noted == service else "wrong"][side]
    slots |= {"text": text, "standard": standard, "english": english, "service": service, "noted": noted,
              "options": listed(options, language, choice=True), "step": row["step"].split(" | ")[side],
              "greet": greet, "reply": reply, "close": close, "spoken": f"{greet} {reply}",
              "verdict": verdict.replace("{service}", service)}  # fmt: skip
    if form == "word":
        told = set(re.split(r"[\s،.؟?!:]+", text))
        glosses = [line.split("|") for line in table["glossary"] if line.split("|")[0] in told]
        if not glosses:
            return None
        word, *senses = rng.choice(glosses)
        slots |= {"word": word, "sense": senses[1 - side]}
    return f"{row['id']}.{say}", row["id"], *put(rng, source("forms")["dialect"][form], slots, language, gender)

"""Pairs of the banking corpus on what holds: facts of the countries, rules, terms, and short cases.

A lesson takes a random generator, one of its cards and a language, and returns key, topic, prompt and response.
"""

from __future__ import annotations

import random
from itertools import product
from typing import Any

from llmini.train.banking_text import LANGUAGES, STYLES, Money, currency, fill, listed, source, words

Lesson = tuple[str, str, str, str]
COMPARISONS, COMPARED = ("two", "three"), 8
"""Forms that compare countries, and how often each comes for a kind of fact; the countries are drawn."""


def scene(rng: random.Random, country: str | None = None) -> tuple[dict[str, Any], str]:
    """Slots for a person, a bank and a town, of ``country`` (`BH`) if given, and the person's gender."""
    names, table = source("names"), source("countries")["countries"]
    country = country or rng.choice(sorted(table))
    gender = rng.choice("mf")
    pronouns = {"he": "he", "him": "him", "his": "his"} if gender == "m" else {"he": "she", "him": "her", "his": "her"}
    drawn = {"name": names["men" if gender == "m" else "women"], "bank": names["banks"],
             "city": names["cities"][country], "goods": names["goods"], "trade": names["trades"]}  # fmt: skip
    slots = {name: tuple(rng.choice(lines).split("|")) for name, lines in drawn.items()}
    return slots | pronouns | {"country": both(table[country]["country"])}, gender


def both(value: Any) -> Any:
    """{en, ar} as a pair; anything else as it is, a number with its thousands set off."""
    if isinstance(value, dict):
        return value["en"], value["ar"]
    return f"{value:,}" if isinstance(value, int) else value


def put(
    rng: random.Random, form: dict, slots: dict, language: str, gender: str, style: str = "long"
) -> tuple[str, str]:
    """A prompt in one of the form's wordings, and the response."""
    side = LANGUAGES.index(language)
    wording = rng.choice(form["prompt"])
    response = wording[2:] or form["response"]
    return tuple(fill(text[side], slots, language, style, gender) for text in (wording, response))


def lettered(rng: random.Random, right: Any, wrong: list, language: str) -> dict[str, Any]:
    """Slots a, b, c: the right option among the wrong ones, and its letter."""
    options = [right, *wrong]
    rng.shuffle(options)
    letters = source("forms")["words"]["letters"][LANGUAGES.index(language)]
    return dict(zip("abc", options, strict=False)) | {"letter": letters[options.index(right)]}


def slug(text: str) -> str:
    """English words as part of a key: `beneficial owner` -> `beneficial-owner`."""
    return "-".join(words(text))


def rule_cards() -> list[tuple]:
    """Every rule with every form; a definition has no reason to be asked for."""
    rows, forms = source("rules")["rules"], source("forms")["rule"]
    return [(i, form) for i, form in product(range(len(rows)), forms) if form != "why" or "definition" not in rows[i]]


def rule(rng: random.Random, card: tuple, language: str) -> Lesson:
    """A general rule, asked, judged, corrected, explained or translated."""
    number, form = card
    row, topics = source("rules")["rules"][number], source("rules")["topics"]
    topic, (slots, gender) = row["topic"], scene(rng)
    ask, say, why, false, gap = row[language]
    names = [topic, *rng.sample(sorted(set(topics) - {topic}), 2)]
    rng.shuffle(names)
    slots |= {"ask": ask, "say": say, "why": why, "not": false, "gap": gap, "gapped": say.replace(gap, "____"),
              "other": row["ar" if language == "en" else "en"][1], "topic_name": both(topics[topic]),
              "topics": listed([topics[name][language] for name in names], language, choice=True),
              **lettered(rng, say, [false], language)}  # fmt: skip
    return f"{topic}.{slug(row['en'][4])}", topic, *put(rng, source("forms")["rule"][form], slots, language, gender)


def fact_cards() -> list[tuple]:
    """Every fact of every country with every form it allows, and comparisons. The key is the kind of fact."""
    table, forms = source("countries"), source("forms")["fact"]
    cards = [
        (name, country, form)
        for (name, spec), country, form in product(table["attributes"].items(), table["countries"], forms)
        if form not in COMPARISONS and name in _values(country) and (form != "back" or "back" in spec["en"])
    ]
    return cards + list(product(table["attributes"], range(COMPARED), COMPARISONS))


def _values(country: str) -> dict[str, Any]:
    """The facts of a country by attribute, as they fill a slot."""
    row = source("countries")["countries"][country] | {"prefix": country}
    row["length"] = row["iban"]["length"]
    return {name: both(row[name]) for name in source("countries")["attributes"] if name in row}


def _shown(value: Any, language: str) -> str:
    return value[LANGUAGES.index(language)] if isinstance(value, tuple) else value


def fact(rng: random.Random, card: tuple, language: str) -> Lesson:
    """A public fact of one country; wrong values are those of the other countries."""
    name, country, form = card
    if form in COMPARISONS:
        return _match(rng, name, form, language)
    spec, side = source("countries")["attributes"][name], LANGUAGES.index(language)
    slots, gender = scene(rng, country)
    value = _values(country)[name]
    countries = sorted(source("countries")["countries"])
    rivals = dict.fromkeys(_values(other).get(name) for other in rng.sample(countries, len(countries)))
    others = [other for other in rivals if other not in (None, value)]
    options = [_shown(option, language) for option in (value, *others[:2])]
    rng.shuffle(options)
    texts, other, slots["value"] = spec[language], LANGUAGES[1 - side], value
    asked = int(form[3]) - 1 if form.startswith("ask") else rng.randrange(3)
    sentences = {"say": texts["say"], "ask": texts["ask"][asked], "back": texts.get("back", "")}
    slots |= {key: fill(text, slots, language, gender=gender) for key, text in sentences.items()}
    slots |= {"wrong": fill(texts["say"], slots | {"value": others[0]}, language),
              "gapped": fill(texts["say"], slots | {"value": "____"}, language),
              "options": listed(options, language, choice=True),
              "other": fill(spec[other]["say"], slots, other)}  # fmt: skip
    return name, spec["topic"], *put(rng, source("forms")["fact"][form], slots, language, gender)


def _match(rng: random.Random, name: str, form: str, language: str) -> Lesson:
    """One attribute of two or three countries."""
    spec, table = source("countries")["attributes"][name], source("countries")["countries"]
    chosen = rng.sample([country for country in table if name in _values(country)], 2 if form == "two" else 3)
    values = [_shown(_values(country)[name], language) for country in chosen]
    names = [table[country]["country"][language] for country in chosen]
    answers = [f"{country}: {value}" for country, value in zip(names, values, strict=True)]
    comma, pause = (", ", "; ") if language == "en" else ("، ", "؛ ")
    slots, gender = scene(rng)
    slots |= {"kind": spec["kind"][language], "countries": listed(names, language),
              "answer": pause.join(answers) + ".", "values": comma.join(rng.sample(values, len(values)))}  # fmt: skip
    return name, spec["topic"], *put(rng, source("forms")["fact"][form], slots, language, gender)


def term_cards() -> list[tuple]:
    """Every term with every form."""
    return list(product(range(len(source("terms")["terms"])), source("forms")["term"]))


def term(rng: random.Random, card: tuple, language: str) -> Lesson:
    """A banking term: translated, explained, or found by its meaning."""
    number, form = card
    rows, side = [row.split(" | ") for row in source("terms")["terms"]], LANGUAGES.index(language)
    (slots, gender), row = scene(rng), rows[number]
    mistaken = [other[2 + side] for other in rng.sample(rows[:number] + rows[number + 1 :], 2)]
    slots |= {"en": row[0], "ar": row[1], "term": row[side], "Term": row[0][0].upper() + row[0][1:],
              "meaning": row[2 + side], "mistaken": mistaken[0],
              **lettered(rng, row[2 + side], mistaken, language)}  # fmt: skip
    return slug(row[0]), "terms", *put(rng, source("forms")["term"][form], slots, language, gender)


def case_cards() -> list[tuple]:
    """Every wording of every case with every question."""
    cards = []
    for number, row in enumerate(source("cases")["cases"]):
        cards += product([number], range(len(row["say"])), range(len(source("cases")["asks"][row["ask"]])))
    return cards


def case(rng: random.Random, card: tuple, language: str) -> Lesson:
    """A case of contract, service, duty or danger, with persons and amounts drawn."""
    number, say, ask = card
    row, side = source("cases")["cases"][number], LANGUAGES.index(language)
    country = rng.choice(sorted(source("countries")["countries"]))
    slots, gender = scene(rng, country)
    money, (low, high, step) = currency(country), row["range"]
    slots["amount"] = Money(rng.randrange(low, high, step) * (10 if money.parts == 100 else 1) * money.parts, money)
    style = rng.choice(STYLES)
    texts = {"say": row["say"][say], "ask": source("cases")["asks"][row["ask"]][ask], "answer": row["answer"]}
    slots |= {key: fill(text[side], slots, language, style, gender) for key, text in texts.items()}
    return f"{row['id']}.{say}", row["topic"], *put(rng, source("forms")["case"]["plain"], slots, language, gender)

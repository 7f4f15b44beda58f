"""Banking corpus: counts, no copies, the same everywhere, every computed answer derived again, Arabic that agrees."""

from __future__ import annotations

import datetime
import hashlib
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction

import numpy
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st

from llmini.pocket.arabic import Noun, accusative
from llmini.settings import UserError
from llmini.texts import normalise_arabic
from llmini.train import banking, banking_lessons, banking_talk
from llmini.train.banking_text import (
    LANGUAGES,
    STYLES,
    Count,
    Day,
    Money,
    check_digits,
    currency,
    fill,
    grouped,
    listed,
    remainder,
    shingles,
    similarity,
    source,
    words,
)  # fmt: skip

COUNTRIES = ("BH", "SA", "AE", "KW", "QA", "OM")
KNOWN = {  # code, small units, IBAN length, dollar peg: written down here apart from the sources
    "BH": ("BHD", 1000, 22, "0.376"), "SA": ("SAR", 100, 24, "3.75"), "AE": ("AED", 100, 23, "3.6725"),
    "KW": ("KWD", 1000, 30, None), "QA": ("QAR", 100, 29, "3.64"), "OM": ("OMR", 1000, 23, "0.3845"),
}  # fmt: skip


@pytest.fixture(scope="module")
def timed() -> tuple[list[banking.Pair], float]:
    start = time.process_time()
    return banking.corpus(), time.process_time() - start


@pytest.fixture(scope="module")
def pairs(timed) -> list[banking.Pair]:
    return timed[0]


def part(pair: banking.Pair) -> str:
    return pair.id.split("/")[1]


def test_counts_languages_kinds(pairs):
    assert len(pairs) == 10_000 == len({pair.id for pair in pairs})
    assert Counter(pair.language for pair in pairs) == {"en": 5000, "ar": 5000}
    assert Counter((pair.kind, pair.language) for pair in pairs) == {
        ("rule", "en"): 1700, ("rule", "ar"): 1700, ("operation", "en"): 2600, ("operation", "ar"): 1800,
        ("dialect", "en"): 700, ("dialect", "ar"): 1500}  # fmt: skip
    assert len({pair.topic for pair in pairs if pair.kind == "rule"}) >= 13
    for pair in pairs:
        kind, _, _, language, number = pair.id.split("/")
        assert (kind, language) == (pair.kind, pair.language) and number.isdigit()


@pytest.mark.parametrize("size", [1, 7, 333, 1000])
def test_any_size_is_met_and_halved(size):
    found = banking.corpus(3, size)
    assert len(found) == size
    assert size < 300 or abs(sum(pair.language == "ar" for pair in found) - size / 2) <= 4


def test_generation_takes_less_than_five_seconds_of_processor_time(timed):
    assert timed[1] < 5


def digest(pairs: list[banking.Pair]) -> str:
    return hashlib.sha256("\x00".join(map(repr, pairs)).encode()).hexdigest()


def test_same_seed_same_pairs_in_every_process():
    code = "from test_banking import digest; from llmini.train.banking import corpus; print(digest(corpus(4, 700)))"
    seen = {digest(banking.corpus(4, 700))}
    for salt in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": salt, "PYTHONPATH": os.path.dirname(__file__)}
        seen.add(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True,
                                check=True).stdout.strip())  # fmt: skip
    assert len(seen) == 1
    assert digest(banking.corpus(5, 700)) not in seen


def close(sets: list[frozenset], least: float, others: list[frozenset] | None = None) -> list[tuple[int, int]]:
    """Pairs of sets with a Jaccard index of at least `least`, within one list or between two.

    Two such sets share one of the rarest shingles of each (prefix filter: Bayardo, Ma and Srikant, 2007).
    """
    frequency = Counter(item for items in (*sets, *(others or ())) for item in items)
    index, found = defaultdict(list), []

    def rare(items: frozenset) -> list:
        return sorted(items, key=lambda item: (frequency[item], item))[: int(len(items) * (1 - least)) + 1]

    for number, items in enumerate(others or ()):
        for item in rare(items):
            index[item].append(number)
    for number, items in enumerate(sets):
        for other in {other for item in rare(items) for other in index[item]}:
            if similarity(items, (others or sets)[other]) >= least:
                found.append((other, number))
        if others is None:
            for item in rare(items):
                index[item].append(number)
    return found


def test_no_two_pairs_are_near_copies(pairs):
    prompts = [tuple(re.findall(r"\w+", normalise_arabic(pair.prompt, letters=True).lower())) for pair in pairs]
    assert len(set(prompts)) == len(pairs)
    whole = [shingles(words(pair.prompt) + words(pair.response)) for pair in pairs]
    found = close(whole, 0.7)
    assert len(found) < 20
    assert not [both for both in found if similarity(*(whole[number] for number in both)) >= banking.NEAR]


def test_split_holds_out_whole_keys_without_near_copies(pairs):
    train, held = banking.split(pairs)
    assert not {pair.key for pair in train} & {pair.key for pair in held}
    counts, kept = Counter(map(part, held)), Counter(map(part, train))
    for name in banking.SHARES:
        assert 0.025 < counts[name] / (counts[name] + kept[name]) < 0.09
    assert min(Counter(pair.language for pair in held).values()) > 200
    prompts = [[shingles(words(pair.prompt)) for pair in side] for side in (held, train)]
    assert not close(prompts[0], 0.7, prompts[1])
    seen = {run for pair in train for run in shingles(words(pair.prompt), 8)}
    for pair in held:
        runs = shingles(words(pair.prompt), 8)
        assert len(runs & seen) / len(runs) < 0.7, pair  # 70 % of its 8-grams: contaminated (PaLM, 2022, sec. 8)


def test_near_copies_are_found():
    texts = ["the bank opens an account for a customer of age today", "a wholly different line about cards and limits"]
    texts.insert(1, texts[0].replace("today", "now"))
    sets = [shingles(text.split()) for text in texts]
    assert close(sets, 0.7) == [(0, 1)] and close(sets[:1], 0.7, sets[1:]) == [(0, 0)] and not close(sets, 0.9)


def test_split_depends_on_keys_alone(pairs):
    train, held = banking.split(pairs)
    assert len(train) + len(held) == len(pairs) and 0.04 < len(held) / len(pairs) < 0.07
    again = banking.split(reversed(pairs[:900]))[1]
    assert {pair.id for pair in again} == {pair.id for pair in held} & {pair.id for pair in pairs[:900]}
    assert banking.split(pairs, 0) == (pairs, [])
    wider = {pair.key for pair in banking.split(pairs, 0.5)[1]}
    assert {pair.key for pair in held} < wider
    languages = defaultdict(set)
    for pair in pairs:
        languages[pair.key].add(pair.language)
    assert sum(len(found) == 2 for found in languages.values()) > 0.95 * len(languages)


def test_texts_are_whole_and_in_their_language(pairs):
    for pair in pairs:
        text = f"{pair.prompt}\n{pair.response}"
        assert not re.search(r"[{}\[\]|#]|\bNone\b|  |\( |^\s|\s$|(?<!\.)\.\.(?!\.)", text), pair
        assert 2 <= len(pair.prompt.split()) <= 90 and 1 <= len(pair.response.split()) <= 70, pair
        arabic, latin = (len(re.findall(f"[{letters}]", pair.prompt)) for letters in ("\u0621-\u064a", "A-Za-z"))
        assert arabic if pair.language == "ar" else latin > 4, pair
        if pair.language == "ar":
            assert arabic > latin, pair
        elif pair.kind != "dialect" and not arabic:
            assert re.match(r"[A-Z\d']", pair.prompt), pair
            assert not re.search(r"[a-z]{3}[.?] [a-z]", pair.prompt), pair


# Numbers and agreement.


@pytest.mark.parametrize(("minor", "key", "style", "english", "arabic"), [
    (3_000, "BH", "long", "3 Bahraini dinars", "3 دنانير بحرينية"),
    (11_000, "BH", "long", "11 Bahraini dinars", "11 دينارًا بحرينيًا"),
    (100_000, "KW", "long", "100 Kuwaiti dinars", "100 دينار كويتي"),
    (103_000, "KW", "long", "103 Kuwaiti dinars", "103 دنانير كويتية"),
    (1_250_500, "BH", "long", "1,250.500 Bahraini dinars", "1,250.500 دينار بحريني"),
    (1_250_500, "BH", "short", "1,250.500 dinars", "1,250 دينارًا و500 فلس"),
    (12_005, "BH", "short", "12.005 dinars", "12 دينارًا و5 فلوس"),
    (250, "OM", "short", "0.250 rials", "250 بيسة"),
    (2_007, "OM", "short", "2.007 rials", "2.007 ريال"),
    (1_000, "OM", "code", "OMR 1", "1 ر.ع"),
    (1_000, "OM", "long", "1 Omani rial", "1 ريال عُماني"),
    (1_250_050, "SA", "code", "SAR 12,500.50", "12,500.50 ر.س"),
    (1_500, "SA", "short", "15 riyals", "15 ريالًا"),
    (1_575, "QA", "short", "15.75 riyals", "15 ريالًا و75 درهمًا"),
    (411, "SA", "short", "4.11 riyals", "4 ريالات و11 هللة"),
    (4_000_00, "INR", "long", "4,000 Indian rupees", "4,000 روبية هندية"),
    (1_200_00, "GBP", "code", "GBP 1,200", "1,200 GBP"),
    (50_00, "USD", "long", "50 US dollars", "50 دولارًا أمريكيًا"),
    (5_00, "AE", "long", "5 UAE dirhams", "5 دراهم إماراتية"),
])  # fmt: skip
def test_money_as_each_language_writes_it(minor, key, style, english, arabic):
    money = Money(minor, currency(key))
    assert (money.text("en", style), money.text("ar", style)) == (english, arabic)


@trials(deadline=None, max_examples=300)
@given(st.integers(1, 10**9), st.sampled_from(COUNTRIES), st.sampled_from(STYLES), st.sampled_from(LANGUAGES))
def test_money_can_be_read_back(minor, key, style, language):
    money = Money(minor, currency(key))
    parts = KNOWN[key][1]
    text = money.text(language, style)
    numbers = [Fraction(number.replace(",", "")) for number in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]
    whole = numbers[0] + Fraction(numbers[1], parts) if len(numbers) == 2 else numbers[0]
    small = len(numbers) == 1 and language == "ar" and money.currency.small.singular[:2] in text and minor < parts
    assert whole * (1 if small and style == "short" and minor > 2 else parts) == minor
    assert Fraction(money.bare.replace(",", "")) * parts == minor
    assert not re.search(r"\d{4}(?!\d*$)|\.\d*,", money.bare.split(".")[0])
    decimals = re.search(r"\.(\d+)$", money.bare)
    assert decimals is None or len(decimals[1]) == len(str(parts)) - 1


@trials(deadline=None)
@given(st.integers(3, 10**6), st.sampled_from(["شهر|أشهر|m", "سنة|سنوات|f", "قسط|أقساط|m", "يوم|أيام|m"]))
def test_counts_agree_and_set_off_thousands(number, forms):
    noun = Noun("", "", *forms.split("|"))
    text, rest = Count(number, noun).text("ar"), number % 100
    assert text.startswith(f"{number:,} ")
    expected = noun.plural if 3 <= rest <= 10 else accusative(noun.singular) if rest >= 11 else noun.singular
    assert text.split(" ", 1)[1] == expected


COUNTED = re.compile(r"(?<![\d.,])(\d[\d,]*(?:\.\d+)?) ([\u0621-\u0652]+)")


def test_counted_nouns_agree_throughout(pairs):
    """Every number before a counted noun in the Arabic texts, except in dialect, which has no accusative ending."""
    nouns = [currency(key).noun for key in COUNTRIES] + [currency(key).small for key in COUNTRIES]
    nouns += [Noun.parse("||" + forms) for forms in ("شهر|أشهر|m", "سنة|سنوات|f", "قسط|أقساط|m", "يوم|أيام|m")]
    nouns += [currency("GBP").noun, currency("USD").noun, currency("INR").noun, currency("TRY").noun]
    plural, accusatives = {noun.plural for noun in nouns}, {accusative(noun.singular) for noun in nouns}
    singular, seen = {noun.singular for noun in nouns}, Counter()
    for pair in pairs:
        if pair.language == "ar" and pair.kind != "dialect":
            for number, noun in COUNTED.findall(f"{pair.prompt} {pair.response}"):
                if noun not in plural | accusatives | singular:
                    continue
                rest = int(number.replace(",", "").split(".")[0]) % 100
                if "." in number or rest < 3:
                    assert noun in singular, (number, noun, pair)
                else:
                    assert noun in (plural if rest <= 10 else accusatives), (number, noun, pair)
                seen[rest] += 1
    assert sum(seen.values()) > 3000 and all(seen[rest] for rest in (3, 5, 10, 11, 12, 50))


def test_verbs_agree_with_women_and_men(pairs):
    names = {name.split("|")[1]: gender for gender, key in (("m", "men"), ("f", "women"))
             for name in source("names")[key]}  # fmt: skip
    verbs = (("وضع", "وضعت"), ("أرسل", "أرسلت"), ("يريد", "تريد"), ("استأجر", "استأجرت"))
    forms = {verb: gender for pair in verbs for verb, gender in zip(pair, "mf", strict=True)}
    seen = Counter()
    for pair in pairs:
        for verb, name in re.findall(r"(?:^|[.؟] )(\w+) (\w+)", pair.prompt):
            if verb in forms and name in names:
                assert forms[verb] == names[name], pair
                seen[forms[verb]] += 1
    assert min(seen["m"], seen["f"]) > 20


# Computed answers.


def value(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


CHAIN = re.compile(r"([\d,.]+%?(?: [×+−/] [\d,.]+%?)+) = ([\d,.]*\d)(%?)(?: \w+ و(\d+) \w+)?")


def evaluate(text: str) -> Fraction:
    """A chain of additions, subtractions, products and quotients; `x + y%` adds y percent of x."""
    total, term, sign = Fraction(0), None, 1
    tokens = text.split()
    for operator, token in zip(["+", *tokens[1::2]], tokens[::2], strict=True):
        number = Fraction(value(token.rstrip("%")))
        percent = token.endswith("%")
        if operator in "×/":
            number = number / 100 if percent else number
            term = term * number if operator == "×" else term / number
            continue
        total += sign * (term or 0)
        term, sign = (total * number / 100 if percent else number), (-1 if operator == "−" else 1)
    return total + sign * term


def test_every_equation_in_the_answers_holds(pairs):
    seen = Counter()
    for pair in pairs:
        if pair.kind != "operation":
            continue
        text = normalise_arabic(pair.response)
        for left, right, percent, small in CHAIN.findall(text):
            parts = 1000 if re.search("دينار|بيس", text) else 100
            result = Fraction(value(right)) / (100 if percent else 1) + Fraction(int(small or 0), parts)
            exact = evaluate(left)
            if "rounded up" in pair.response or "إلى أعلى" in pair.response:
                exact = Fraction(-(-exact // 1)) if "/" in left else exact
            assert abs(exact - result) <= (Fraction(1, 10**7) if percent else 0), (left, right, pair)
            seen[pair.id.split("/")[2].split(".")[0]] += 1
    spoken = {"maturity", "deadline", "expiry", "iban_length", "iban_valid", "iban_country"}
    assert set(seen) >= set(source("operations")) - spoken and sum(seen.values()) > 4000


def d(shown, name: str) -> Decimal:
    """The number in a slot as a reader sees it."""
    found = shown[name]
    return value(re.search(r"[\d,]+(?:\.\d+)?", found if isinstance(found, str) else str(found))[0])


def rounded_up(number: Decimal) -> Decimal:
    return number.to_integral_value(ROUND_CEILING)


FORMULAS = {  # the result of each operation from the numbers that the question shows
    "simple_profit": lambda s: d(s, "principal") * d(s, "rate") / 100 * d(s, "years"),
    "term_profit": lambda s: d(s, "principal") * d(s, "rate") / 100 * d(s, "months") / 12,
    "compound": lambda s: d(s, "principal") * (1 + d(s, "rate") / 100) ** 2,
    "savings_goal": lambda s: rounded_up((d(s, "goal") - d(s, "have")) / d(s, "monthly")),
    "minimum_balance": lambda s: sum(d(s, x) < d(s, "limit") for x in ("first", "second", "third")) * d(s, "fee"),
    "average": lambda s: (d(s, "first") + d(s, "second") + d(s, "third")) / 3,
    "salary_split": lambda s: d(s, "salary") * (1 - d(s, "percent") / 100) - d(s, "family"),
    "balance": lambda s: d(s, "opening") + d(s, "salary") - d(s, "rent") - d(s, "bill") - d(s, "cash"),
    "equal_parts": lambda s: (d(s, "price") - d(s, "down")) / d(s, "months"),
    "murabaha": lambda s: d(s, "cost") * (100 + d(s, "rate")) / 100 / d(s, "months"),
    "mudaraba": lambda s: d(s, "profit") * d(s, "own") / 100,
    "musharaka": lambda s: d(s, "loss") * d(s, "mine") / (d(s, "mine") + d(s, "theirs")),
    "ijara": lambda s: d(s, "deposit") + d(s, "rent") * d(s, "months"),
    "sukuk": lambda s: d(s, "face") * d(s, "rate") / 100 / d(s, "times"),
    "zakat": lambda s: d(s, "wealth") / 40,
    "early_settlement": lambda s: d(s, "rest") + min(d(s, "rest") * d(s, "percent") / 100, d(s, "cap")),
    "instalments_left": lambda s: (d(s, "all") - d(s, "paid")) * d(s, "instalment"),
    "exchange_in": lambda s: d(s, "foreign") * d(s, "price"),
    "exchange_out": lambda s: d(s, "local") / d(s, "price"),
    "peg": lambda s: d(s, "foreign") * d(s, "price"),
    "cheaper": lambda s: abs(d(s, "foreign") * (d(s, "price1") - d(s, "price2")) + d(s, "fee1") - d(s, "fee2")),
    "subunits": lambda s: d(s, "amount") * d(s, "parts"),
    "transfer_fee": lambda s: d(s, "amount") + d(s, "fee") * (1 + d(s, "tax") / 100),
    "free_transfers": lambda s: (d(s, "made") - d(s, "free")) * d(s, "fee"),
    "abroad": lambda s: d(s, "foreign") * d(s, "price") * (1 + d(s, "percent") / 100),
    "cash_left": lambda s: d(s, "limit") - d(s, "first") - d(s, "second"),
    "minimum_payment": lambda s: max(d(s, "balance") * d(s, "percent") / 100, d(s, "floor")),
    "cashback": lambda s: min(d(s, "spent") * d(s, "percent") / 100, d(s, "cap")),
}
VERDICTS = {
    "debt_burden": lambda s: (d(s, "current") + d(s, "new")) / d(s, "salary") <= d(s, "limit") / 100,
    "cash_allowed": lambda s: d(s, "taken") + d(s, "wish") <= d(s, "limit"),
    "threshold": lambda s: d(s, "first") + d(s, "second") + d(s, "third") >= d(s, "limit"),
    "iban_length": lambda s: len(s["iban"].replace(" ", "")) == KNOWN[s["iban"][:2]][2],
    "iban_valid": lambda s: longhand(s["iban"]) == 1,
}


def longhand(iban: str) -> int:
    """Remainder by 97 digit by digit, apart from the implementation."""
    plain, rest = iban.replace(" ", ""), 0
    for character in plain[4:] + plain[:4]:
        for digit in character if character.isdigit() else str(ord(character) - 55):
            rest = (rest * 10 + int(digit)) % 97
    return rest


@pytest.mark.parametrize("name", sorted({**FORMULAS, **VERDICTS}))
def test_results_follow_from_the_numbers_shown(name):
    rng, verdicts = random.Random(name), Counter()
    for _ in range(60):
        country, slots = banking_talk.drawn(name, rng)
        shown = {key: found.text("en", "long") if hasattr(found, "text") else found for key, found in slots.items()}
        if name in VERDICTS:
            assert slots["verdict"] == VERDICTS[name](shown), shown
            verdicts[slots["verdict"]] += 1
            continue
        exact = FORMULAS[name](shown)
        assert abs(exact - d(shown, "answer")) < Decimal("1e-12"), shown
        if name not in ("cheaper", "iban_country"):
            assert len({str(found) for found in (slots["answer"], *slots["wrong"])}) == 3
        if name == "peg":
            assert slots["price"] == KNOWN[country][3]
    assert name in FORMULAS or (min(verdicts.values()) >= 8 and len(verdicts) == 2)


def test_dates():
    rng = random.Random(8)
    for _ in range(60):
        _, slots = banking_talk.drawn("deadline", rng)
        start, last = slots["start"].date, slots["end"].date
        # working days of the Gulf week: Sunday to Thursday
        expected = numpy.busday_offset(start, slots["days"], roll="backward", weekmask="1111001")
        assert numpy.datetime64(last) == expected
        assert slots["weekday"][0] == start.strftime("%A") and slots["lastday"][0] == last.strftime("%A")
        _, slots = banking_talk.drawn("maturity", rng)
        assert (slots["end"].date - slots["start"].date).days == slots["days"].number
        _, slots = banking_talk.drawn("expiry", rng)
        month, year = map(int, slots["card"].split("/"))
        today = slots["today"].date
        assert slots["verdict"] == ((today.year, today.month) <= (2000 + year, month))
        assert (slots["last"].date + datetime.timedelta(1)).day == 1 and slots["last"].date.month == month
    assert Day(datetime.date(2026, 3, 15)).text("en") == "15 March 2026"
    assert Day(datetime.date(2026, 3, 15)).text("ar") == "15 مارس 2026"


def test_judgements_and_choices_fit_the_worked_answer(pairs):
    seen = Counter()
    for pair in (pair for pair in pairs if pair.kind == "operation"):
        claim = re.search(r"(?:answers|and why:|زميل:|السبب:) (.+?)\.(?: Is that right\?| فهل أصاب؟)?$", pair.prompt)
        options = dict(re.findall(r"^(\S)\) (.+)$", pair.prompt, re.M))
        if options:
            letter, rest = pair.response.split(". ", 1)
            assert len(options) == 3 and options[letter] in rest, pair
            last = rest.rstrip(".")
            assert not any(last.endswith(f" {text}") for key, text in options.items() if key != letter), pair
            seen["choose"] += 1
        elif claim:
            right = pair.response.startswith(("Yes. ", "True. ", "نعم. ", "صواب. "))
            assert right or pair.response.startswith(("No. ", "False. ", "لا. ", "خطأ. ")), pair
            ending = pair.response.rstrip(".")
            found = ending.endswith(claim[1]) or "iban_check" in pair.id or "deadline" in pair.id
            assert found if right else not ending.endswith(f" {claim[1]}"), pair
            seen[right] += 1
    assert min(seen["choose"], seen[True], seen[False]) > 300


# The IBAN.


@pytest.mark.parametrize("iban", [  # the examples of the IBAN registry, and two that are widely used in manuals
    "BH67BMAG00001299123456", "SA0380000000608010167519", "AE070331234567890123456", "GB82WEST12345698765432",
    "KW81CBKU0000000000001234560101", "QA58DOHB00001234567890ABCDEFG", "OM810180000001299123456",
    "DE89370400440532013000",
])  # fmt: skip
def test_known_ibans(iban):
    assert remainder(iban) == longhand(iban) == 1 and check_digits(iban[:2], iban[4:]) == iban[2:4]
    assert iban[:2] not in KNOWN or len(iban) == KNOWN[iban[:2]][2]
    assert grouped(iban).replace(" ", "") == iban


@trials(deadline=None)
@given(st.sampled_from(COUNTRIES), st.text("ABCXYZ0123456789", min_size=12, max_size=26), st.data())
def test_check_digits_catch_every_single_wrong_digit(prefix, account, data):
    iban = prefix + check_digits(prefix, account) + account
    assert remainder(iban) == 1 == longhand(iban)
    place = data.draw(st.integers(2, len(iban) - 1).filter(lambda i: iban[i].isdigit()))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != iban[place]))
    assert remainder(iban[:place] + digit + iban[place + 1 :]) != 1


def test_ibans_of_the_corpus(pairs):
    seen = Counter()
    for pair in pairs:
        if "/iban_" not in pair.id:
            continue
        text = pair.response if "iban_check" in pair.id else pair.prompt
        for iban in re.findall(r"\b(?:BH|SA|AE|KW|QA|OM)\d\d (?:[A-Z0-9]{4} )+[A-Z0-9]{1,4}\b", text):
            plain = iban.replace(" ", "")
            assert plain[4] in "X9", "an invented bank code begins with X or 9"
            if "iban_check" in pair.id or "iban_country" in pair.id:
                assert longhand(plain) == 1 and len(plain) == KNOWN[plain[:2]][2]
            if "iban_valid" in pair.id:
                assert (longhand(plain) == 1) == pair.response.startswith(("Yes", "نعم"))
            if "iban_length" in pair.id:
                assert (len(plain) == KNOWN[plain[:2]][2]) == pair.response.startswith(("Yes", "نعم"))
            seen[plain[:2]] += 1
    assert set(seen) == set(COUNTRIES)


# Sources.


def test_country_facts():
    table = source("countries")["countries"]
    assert tuple(table) == COUNTRIES
    for country, (code, parts, length, rate) in KNOWN.items():
        row = table[country]
        assert (row["code"], row["parts"], row["iban"]["length"], row.get("rate")) == (code, parts, length, rate)
        assert 4 + sum(int(size[:-1]) for size in row["iban"]["parts"]) == length
        assert (row["anchor"]["en"] == "the US dollar") == (rate is not None)
    assert {row["short"] for row in table.values()} == {"CBB", "SAMA", "CBUAE", "CBK", "QCB", "CBO"}


def test_false_statements_are_false_and_gaps_are_in_their_rule():
    for row in source("rules")["rules"]:
        assert row["topic"] in source("rules")["topics"]
        for language in LANGUAGES:
            ask, say, why, false, gap = row[language]
            assert say.count(gap) == 1 and false != say and ask.endswith("?" if language == "en" else "؟")
            assert all(text.endswith(".") for text in (say, why, false))
    keys = [banking_lessons.rule(random.Random(0), (i, "ask"), "en")[0] for i in range(len(source("rules")["rules"]))]
    assert len(set(keys)) == len(keys)
    terms = [row.split(" | ") for row in source("terms")["terms"]]
    assert all(len(row) == 4 for row in terms)
    assert all(len({row[column] for row in terms}) == len(terms) for column in range(4))


def test_sources_are_parallel():
    for name, row in source("operations").items():
        for lines in (row["say"], row["ask"], *(row[key] for key in ("work", "yes", "no") if key in row)):
            for english, arabic in lines:
                slots = [set(re.findall(r"\{(\w+)#?\}", text)) for text in (english, arabic)]
                loose = {"he", "him", "his", "name"}  # Arabic verbs carry the person
                assert slots[0] - loose == slots[1] - loose, (name, english, arabic)
    for intent in source("dialect")["intents"]:
        for line in intent["say"]:
            dialect, standard, english = line.split(" | ")
            slots = [set(re.findall(r"\{(\w+)\}", text)) for text in (dialect, standard, english)]
            renamed = {{"dinars": "n", "sums": "sum"}.get(slot, slot) for slot in slots[1]}
            assert slots[0] == renamed == slots[2] and dialect != standard, line


def test_dialect_words_are_spoken(pairs):
    text = " ".join(pair.prompt for pair in pairs if pair.kind == "dialect")
    spoken = """شلون أبغي چم وين مب هني يمه عقب الحين توّه وايد ليش شنهو چذي باچر ماميش ييت طرّشت بيزات مبنّد
        حق خوش"""
    for word in spoken.split():
        assert len(re.findall(rf"(?<!\w){word}(?!\w)", text)) >= 5, word
    assert len({pair.key for pair in pairs if pair.kind == "dialect"}) == 160


def test_dialect_answers(pairs):
    services = [intent["service"].split(" | ") for intent in source("dialect")["intents"]]
    intents = {intent["id"]: pair for intent, pair in zip(source("dialect")["intents"], services, strict=True)}
    judged = Counter()
    for pair in (pair for pair in pairs if pair.kind == "dialect"):
        english, arabic = intents[pair.topic]
        right = re.match(r"((?:Yes|No), the customer wants|(?:نعم|لا)، يريد العميل): (.+)\.", pair.response)
        if right:
            assert right[2] == (english if pair.language == "en" else arabic), pair
            noted = re.sub("«.*?»", "", pair.prompt)
            assert (right[2] in noted) == right[1].startswith(("Yes", "نعم")), pair
            judged[right[1]] += 1
        if pair.response.lower() in (english, arabic):
            assert pair.response.lower() in pair.prompt, pair
            judged["sorted"] += 1
    assert len(judged) == 5 and min(judged.values()) > 10


# Filling and faults.


def test_fill():
    slots = {"name": ("Zahra", "زهراء"), "he": "she", "sum": Money(12_000, currency("BH"))}
    assert fill("{he} pays {sum}. {he} has {sum#}.", slots, "en", "code") == "She pays BHD 12. She has 12."
    assert fill("[دفع|دفعت] {name} {sum}.", slots, "ar", "short", "f") == "دفعت زهراء 12 دينارًا."
    with pytest.raises(KeyError):
        fill("{missing}", slots, "en")
    assert listed(["a", "b", "c"], "en") == "a, b and c" and listed(["a", "b"], "en", choice=True) == "a or b"
    assert listed(["أ", "ب", "ج"], "ar") == "أ وب وج" and listed(["أ", "ب", "ج"], "ar", choice=True) == "أ، ب أو ج"
    assert listed(["a"], "en") == "a"


def test_words_and_shingles():
    assert words("رَسْم 1,250.500 دينارًا؛ OK?") == ["رسم", "1,250.500", "دينارا", "ok"]
    assert shingles(["a", "b", "c", "d"]) == {("a", "b", "c"), ("b", "c", "d")} and shingles(["a"]) == {("a",)}
    assert similarity(shingles(list("abcd")), shingles(list("abce"))) == pytest.approx(1 / 3)


def test_faults_say_what_to_do(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="at least 1"):
        banking.corpus(size=0)
    for share in (-0.1, 1, 1.5):
        with pytest.raises(UserError, match="below 1"):
            banking.split([], share)
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    with pytest.raises(UserError, match="restore data/banking"):
        source.__wrapped__("rules")


def test_a_source_that_runs_dry_is_replaced_or_named(monkeypatch):
    monkeypatch.setattr(banking_lessons, "rule", lambda rng, card, language: ("only", "kyc", f"{language} who?", "me"))
    found = banking.corpus(size=300)
    assert len(found) == 300 and sum(part(pair) == "rule" for pair in found) == 2
    monkeypatch.setattr(banking_talk, "operation", lambda *_: ("only", "kyc", "how much?", "5"))
    with pytest.raises(UserError, match="ask for at most"):
        banking.corpus(size=300)

"""Operations of the banking corpus on exchange, transfers, cards, dates and the IBAN (see banking_finance)."""

from __future__ import annotations

import datetime
import string
from fractions import Fraction

from llmini.train.banking_draw import Draw, Inexact, Slots
from llmini.train.banking_text import (
    WEEKDAYS,
    Count,
    Day,
    Money,
    Rate,
    check_digits,
    currency,
    grouped,
    remainder,
    source,
)


def _size(amount: Money) -> int:
    return amount.minor


def exchange_in(draw: Draw) -> Slots:
    """Foreign money at a stated rate into local money."""
    foreign, text, price = draw.foreign()
    local = draw.of(Fraction(foreign.minor, foreign.currency.parts) * price * draw.currency.parts)
    wrong = [draw.of(local.minor * 10), draw.of(local.minor + 7 * draw.currency.parts)]
    return {"foreign": foreign, "price": text, "local": local, "fcode": foreign.currency.code, "answer": local,
            "wrong": wrong}  # fmt: skip


def exchange_out(draw: Draw) -> Slots:
    """Local money at a stated rate into foreign money."""
    slots = exchange_in(draw)
    foreign = slots["foreign"]
    wrong = [Money(foreign.minor * 2, foreign.currency), Money(foreign.minor * 11 // 10, foreign.currency)]
    return slots | {"answer": foreign, "wrong": wrong}


def peg(draw: Draw) -> Slots:
    """Dollars at the official peg; Inexact for a country without one."""
    if "rate" not in draw.row:
        raise Inexact
    dollars, text = Money(draw.rng.randrange(200, 90_000, 50) * 100, currency("USD")), draw.row["rate"]
    local = draw.of(dollars.minor // 100 * Fraction(text) * draw.currency.parts)
    wrong = [draw.of(dollars.minor // 100 * draw.currency.parts), draw.of(local.minor + draw.currency.parts * 10)]
    return {"foreign": dollars, "price": text, "local": local, "answer": local, "wrong": wrong}


def cheaper(draw: Draw) -> Slots:
    """The cheaper of two offers that differ in rate and fee."""
    slots, fees = exchange_in(draw), [draw.money(1, 6), draw.money(1, 6)]
    first = Fraction(slots["price"])
    second = first * Fraction(draw.rng.choice((98, 99, 101, 102)), 100)
    units = Fraction(slots["foreign"].minor, slots["foreign"].currency.parts)
    totals = [
        draw.of(units * price * draw.currency.parts + fee.minor)
        for price, fee in zip((first, second), fees, strict=True)
    ]
    saving = draw.of(abs(totals[0].minor - totals[1].minor))
    if not saving.minor:
        raise Inexact
    winner = [("first offer", "العرض الأول"), ("second offer", "العرض الثاني")][totals[1].minor < totals[0].minor]
    return slots | {"price1": slots["price"], "price2": f"{float(second):.7f}".rstrip("0"), "fee1": fees[0],
                    "fee2": fees[1], "total1": totals[0], "total2": totals[1], "winner": winner, "saving": saving,
                    "answer": saving, "wrong": []}  # fmt: skip


def subunits(draw: Draw) -> Slots:
    """An amount in fils, halalas, dirhams or baisa."""
    parts = draw.currency.parts
    amount = draw.of(draw.rng.randrange(3, 90) * parts + draw.rng.randrange(5, 100, 5) * parts // 100)
    small = Count(amount.minor, draw.currency.small)
    wrong = [Count(amount.minor * 10, small.noun), Count(amount.minor + parts // 10, small.noun)]
    return {"amount": amount, "parts": f"{parts:,}", "small": small, "answer": small, "wrong": wrong}


def transfer_fee(draw: Draw) -> Slots:
    """Amount, fee, and tax on the fee."""
    amount, fee, tax = draw.money(50, 4000, 5), draw.money(2, 15), Rate(Fraction(draw.rng.choice((5, 10, 15)), 100))
    taxed = draw.of(fee.minor * tax.value)
    total = draw.of(amount.minor + fee.minor + taxed.minor)
    wrong = [draw.of(amount.minor + fee.minor), draw.of(amount.minor + fee.minor + amount.minor * tax.value)]
    return {"amount": amount, "fee": fee, "tax": tax, "taxed": taxed, "total": total, "answer": total, "wrong": wrong}


def free_transfers(draw: Draw) -> Slots:
    """Fees of the transfers beyond the free ones."""
    free, paid, fee = draw.rng.randint(3, 8), draw.rng.randint(2, 12), draw.money(1, 4)
    total = draw.of(paid * fee.minor)
    wrong = [draw.of((free + paid) * fee.minor), draw.of((paid + 1) * fee.minor)]
    return {
        "free": free,
        "made": free + paid,
        "paid": paid,
        "fee": fee,
        "total": total,
        "answer": total,
        "wrong": wrong,
    }


def abroad(draw: Draw) -> Slots:
    """A card payment in foreign money with a surcharge."""
    slots, percent = exchange_in(draw), draw.rate(1, 3, 2)
    base = slots["local"]
    fee = draw.of(base.minor * percent.value)
    total = draw.of(base.minor + fee.minor)
    return slots | {"percent": percent, "base": base, "fee": fee, "total": total, "answer": total,
                    "wrong": [base, draw.of(base.minor - fee.minor)]}  # fmt: skip


def cash_left(draw: Draw) -> Slots:
    """What a daily cash limit still allows."""
    limit, first, second = draw.money(200, 1000, 50), draw.money(10, 90, 5), draw.money(10, 95, 5)
    used = draw.of(first.minor + second.minor)
    left = draw.of(limit.minor - used.minor)
    return {"limit": limit, "first": first, "second": second, "used": used, "left": left, "answer": left,
            "wrong": [draw.of(limit.minor - first.minor), used]}  # fmt: skip


def cash_allowed(draw: Draw) -> Slots:
    """Whether a withdrawal stays within the daily limit."""
    limit, taken, wish = draw.money(200, 600, 50), draw.money(40, 190, 10), draw.money(40, 420, 10)
    total = draw.of(taken.minor + wish.minor)
    return {"limit": limit, "taken": taken, "wish": wish, "sum": total, "verdict": total.minor <= limit.minor}


def minimum_payment(draw: Draw) -> Slots:
    """The greater of a share of the bill and a floor."""
    owed, percent, floor = draw.money(60, 2400, 20), draw.rate(3, 10, 1), draw.money(10, 40, 5)
    share = draw.of(owed.minor * percent.value)
    due = max(share, floor, key=_size)
    wrong = [min(share, floor, key=_size), draw.of(share.minor + floor.minor)]
    return {
        "balance": owed,
        "percent": percent,
        "floor": floor,
        "share": share,
        "due": due,
        "answer": due,
        "wrong": wrong,
    }


def cashback(draw: Draw) -> Slots:
    """A share of the purchases, up to a cap."""
    spent, percent, cap = draw.money(80, 2500, 10), draw.rate(1, 5, 2), draw.money(10, 60, 5)
    raw = draw.of(spent.minor * percent.value)
    back = min(raw, cap, key=_size)
    wrong = [max(raw, cap, key=_size), draw.of(spent.minor - back.minor)]
    return {"spent": spent, "percent": percent, "cap": cap, "raw": raw, "back": back, "answer": back, "wrong": wrong}


def expiry(draw: Draw) -> Slots:
    """Whether a card is valid; it is so to the last day of its month."""
    today, month = draw.day(), draw.day()
    last = (month.replace(day=1) + datetime.timedelta(32)).replace(day=1) - datetime.timedelta(1)
    return {"amount": draw.money(5, 400), "card": f"{month:%m/%y}", "today": Day(today), "last": Day(last),
            "verdict": today <= last}  # fmt: skip


def threshold(draw: Draw) -> Slots:
    """Whether the cash deposits of a week reach a stated threshold together."""
    limit, parts = draw.money(2000, 6000, 500), [draw.money(500, 2600, 10) for _ in range(3)]
    total = draw.of(sum(amount.minor for amount in parts))
    return {"limit": limit, "sum": total, "verdict": total.minor >= limit.minor,
            **dict(zip(("first", "second", "third"), parts, strict=True))}  # fmt: skip


def deadline(draw: Draw) -> Slots:
    """The last of so many working days; Friday and Saturday are off."""
    start, days = draw.day(), draw.rng.randint(3, 10)
    last, left = start, days
    while left:
        last += datetime.timedelta(1)
        left -= last.weekday() not in (4, 5)
    wrong = [Day(last + datetime.timedelta(shift)) for shift in (-1, 1)]
    return {"amount": draw.money(20, 900, 5), "start": Day(start), "weekday": WEEKDAYS[start.weekday()], "days": days,
            "end": Day(last), "lastday": WEEKDAYS[last.weekday()], "answer": Day(last), "wrong": wrong}  # fmt: skip


def _iban(draw: Draw) -> Slots:
    """What every IBAN exercise shares."""
    account = draw.account()
    digits = check_digits(draw.country, account)
    return {"bban": grouped(account), "prefix": draw.country, "digits": digits, "length": draw.row["iban"]["length"],
            "iban": grouped(draw.country + digits + account), "amount": draw.money(20, 3000, 5)}  # fmt: skip


def iban_length(draw: Draw) -> Slots:
    """Whether an IBAN has its country's length; two in five have not."""
    slots, change = _iban(draw), draw.rng.choice((0, 0, 0, 0, 0, 0, -2, -1, 1, 2))
    text = slots["iban"].replace(" ", "")
    text = text[:change] if change < 0 else text + "".join(draw.rng.choices(string.digits, k=change))
    return slots | {"iban": grouped(text), "count": len(text), "verdict": not change}


def iban_check(draw: Draw) -> Slots:
    """The check digits of an invented account."""
    slots = _iban(draw)
    right, text = int(slots["digits"]), slots["iban"].replace(" ", "")
    wrong = [f"{(right + shift) % 97:02}" for shift in draw.rng.sample(range(3, 90), 2)]
    return slots | {"open": grouped(text[:2] + "??" + text[4:]), "remainder": 98 - right, "answer": slots["digits"],
                    "wrong": wrong}  # fmt: skip


def iban_valid(draw: Draw) -> Slots:
    """Whether an IBAN passes the mod-97 test; half carry one wrong digit, as typing errors do."""
    slots = _iban(draw)
    text = slots["iban"].replace(" ", "")
    if draw.rng.random() < 0.5:
        place = draw.rng.randrange(len(text) - 10, len(text))
        text = text[:place] + str((int(text[place]) + draw.rng.randint(1, 9)) % 10) + text[place + 1 :]
    rest = remainder(text)
    return slots | {"iban": grouped(text), "head": text[:4], "remainder": rest, "verdict": rest == 1}


def iban_country(draw: Draw) -> Slots:
    """The country of an IBAN, and its central bank."""
    where = draw.rng.choice([city for cities in source("names")["cities"].values() for city in cities])
    central = draw.row["regulator"]
    return _iban(draw) | {"where": tuple(where.split("|")), "central": (central["en"], central["ar"])}

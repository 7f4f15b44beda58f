"""Operations of the banking corpus on deposits, loans and Islamic contracts.

Each draws its numbers and returns the slots that data/banking/operations.yaml names: ``answer`` is the result,
``wrong`` two plausible mistakes, ``verdict`` chooses between its yes and no answers. Arithmetic is exact, in minor
units: a draw without a whole result raises Inexact, and is drawn again.
"""

from __future__ import annotations

import datetime
from fractions import Fraction

from llmini.pocket.arabic import Noun
from llmini.train.banking_draw import Draw, Inexact, Slots
from llmini.train.banking_text import Count, Day, Money, Rate

DAY, MONTH = Noun("day", "days", "يوم", "أيام", "m"), Noun("month", "months", "شهر", "أشهر", "m")
YEAR, PART = Noun("year", "years", "سنة", "سنوات", "f"), Noun("instalment", "instalments", "قسط", "أقساط", "m")


def _size(amount: Money) -> int:
    return amount.minor


def simple_profit(draw: Draw) -> Slots:
    """Profit = principal × rate × years."""
    principal, rate, years = draw.money(200, 20_000, 50), draw.rate(2, 6), draw.count(YEAR, 2, 3, 4, 5)
    year = draw.of(principal.minor * rate.value)
    profit = draw.of(year.minor * years.number)
    wrong = [year, draw.of(principal.minor + profit.minor)]
    return {"principal": principal, "rate": rate, "years": years, "profit": profit, "answer": profit, "wrong": wrong}


def term_profit(draw: Draw) -> Slots:
    """Profit of a deposit of so many months at a yearly rate."""
    principal, rate, months = draw.money(600, 30_000, 100), draw.rate(2, 6), draw.count(MONTH, 3, 4, 6, 9, 10, 18)
    year = draw.of(principal.minor * rate.value)
    profit = draw.of(Fraction(year.minor * months.number, 12))
    wrong = [year, draw.of(year.minor * months.number)]
    return {"principal": principal, "rate": rate, "months": months, "profit": profit, "answer": profit, "wrong": wrong}


def compound(draw: Draw) -> Slots:
    """Balance after two years of compounding once a year."""
    principal, rate = draw.money(500, 20_000, 50), draw.rate(2, 8, 2)
    first = draw.of(principal.minor * (1 + rate.value))
    total = draw.of(first.minor * (1 + rate.value))
    wrong = [draw.of(principal.minor * (1 + 2 * rate.value)), first]
    return {"principal": principal, "rate": rate, "first": first, "total": total, "answer": total, "wrong": wrong}


def savings_goal(draw: Draw) -> Slots:
    """Months until equal savings reach a goal, rounded up."""
    goal, have, monthly = draw.money(900, 9000, 50), draw.money(50, 700, 25), draw.money(40, 300, 5)
    gap = draw.of(goal.minor - have.minor)
    months = Count(-(-gap.minor // monthly.minor), MONTH)
    wrong = [Count(months.number + 2, MONTH), Count(months.number + 5, MONTH)]
    if months.number < 3:
        raise Inexact  # one and two are words in Arabic
    return {"goal": goal, "have": have, "monthly": monthly, "gap": gap, "months": months, "answer": months,
            "wrong": wrong}  # fmt: skip


def minimum_balance(draw: Draw) -> Slots:
    """Fee for the months whose balance lies below a minimum."""
    limit, fee = draw.money(50, 300, 50), draw.money(1, 5)
    months = [draw.money(20, 450, 5) for _ in range(3)]
    count = sum(amount.minor < limit.minor for amount in months)
    if not count:
        raise Inexact
    total = draw.of(count * fee.minor)
    wrong = [draw.of(fee.minor * (count + 1)), draw.of(fee.minor * (count + 2))]
    return {"limit": limit, "fee": fee, "count": count, "total": total, "answer": total, "wrong": wrong,
            **dict(zip(("first", "second", "third"), months, strict=True))}  # fmt: skip


def average(draw: Draw) -> Slots:
    """Mean of three balances."""
    base = draw.rng.randrange(300, 5000, 15)
    months = [draw.money(base // 2, base * 3 // 2, 15) for _ in range(3)]
    total = draw.of(sum(amount.minor for amount in months))
    mean = draw.of(Fraction(total.minor, 3))
    return {"sum": total, "average": mean, "answer": mean, "wrong": [draw.of(Fraction(total.minor, 2)), total],
            **dict(zip(("first", "second", "third"), months, strict=True))}  # fmt: skip


def salary_split(draw: Draw) -> Slots:
    """What a salary leaves after savings and a transfer."""
    salary, percent, family = draw.money(400, 3000, 20), draw.rate(1, 6, 1), draw.money(50, 200, 10)
    percent = Rate(percent.value * 5)
    saved = draw.of(salary.minor * percent.value)
    left = draw.of(salary.minor - saved.minor - family.minor)
    wrong = [draw.of(salary.minor - saved.minor), draw.of(saved.minor + family.minor)]
    return {"salary": salary, "percent": percent, "saved": saved, "family": family, "left": left, "answer": left,
            "wrong": wrong}  # fmt: skip


def maturity(draw: Draw) -> Slots:
    """The date so many days after another."""
    start, days = draw.day(), draw.count(DAY, 30, 45, 60, 75, 90, 100, 120, 150, 180, 270)
    end = Day(start + datetime.timedelta(days.number))
    wrong = [Day(end.date + datetime.timedelta(shift)) for shift in (-1, 2)]
    return {"amount": draw.money(500, 30_000, 50), "start": Day(start), "days": days, "end": end, "answer": end,
            "wrong": wrong}  # fmt: skip


def balance(draw: Draw) -> Slots:
    """Balance after one credit and three debits."""
    opening, salary, rent = draw.money(100, 3000, 5), draw.money(400, 2500, 10), draw.money(100, 350, 5)
    bill, cash = (
        draw.of(draw.money(6, 60).minor + draw.currency.parts * draw.rng.randrange(20) // 20),
        draw.money(20, 120, 5),
    )
    closing = draw.of(opening.minor + salary.minor - rent.minor - bill.minor - cash.minor)
    wrong = [draw.of(closing.minor + 2 * cash.minor), draw.of(closing.minor + bill.minor)]
    return {"opening": opening, "salary": salary, "rent": rent, "bill": bill, "cash": cash, "closing": closing,
            "answer": closing, "wrong": wrong}  # fmt: skip


def equal_parts(draw: Draw) -> Slots:
    """An instalment of an interest-free debt after a first payment."""
    price, months = draw.money(240, 9000, 12), draw.count(MONTH, 6, 8, 12, 15, 20, 24)
    down = draw.of(price.minor * Fraction(draw.rng.randint(1, 4), 10))
    rest = draw.of(price.minor - down.minor)
    instalment = draw.of(Fraction(rest.minor, months.number))
    wrong = [draw.of(instalment.minor + draw.currency.parts * 5), draw.of(instalment.minor * 2)]
    return {"price": price, "down": down, "rest": rest, "months": months, "instalment": instalment,
            "answer": instalment, "wrong": wrong}  # fmt: skip


def murabaha(draw: Draw) -> Slots:
    """Instalment of cost plus markup over so many months."""
    cost, rate, months = draw.money(600, 18_000, 60), draw.rate(6, 30, 1), draw.count(MONTH, 12, 18, 24, 30, 36, 48, 60)
    profit = draw.of(cost.minor * rate.value)
    price = draw.of(cost.minor + profit.minor)
    instalment = draw.of(Fraction(price.minor, months.number))
    wrong = [draw.of(instalment.minor + draw.currency.parts * 4), draw.of(instalment.minor * 2)]
    return {"cost": cost, "rate": rate, "months": months, "profit": profit, "price": price, "instalment": instalment,
            "answer": instalment, "wrong": wrong}  # fmt: skip


def mudaraba(draw: Draw) -> Slots:
    """The capital provider's share of a profit."""
    profit, own = draw.money(300, 9000, 10), Rate(draw.rate(8, 16, 1).value * 5)
    share = draw.of(profit.minor * own.value)
    rest = draw.of(profit.minor - share.minor)
    return {"profit": profit, "own": own, "other": Rate(1 - own.value), "share": share, "rest": rest,
            "answer": share, "wrong": [rest, profit]}  # fmt: skip


def musharaka(draw: Draw) -> Slots:
    """A partner's part of a loss, in proportion to capital."""
    mine, theirs, loss = draw.money(1000, 20_000, 500), draw.money(2000, 30_000, 500), draw.money(100, 2800, 10)
    capital = draw.of(mine.minor + theirs.minor)
    part = draw.of(Fraction(loss.minor * mine.minor, capital.minor))
    wrong = [draw.of(loss.minor - part.minor), draw.of(Fraction(loss.minor, 2))]
    return {"mine": mine, "theirs": theirs, "loss": loss, "capital": capital, "part": part, "answer": part,
            "wrong": wrong}  # fmt: skip


def ijara(draw: Draw) -> Slots:
    """All rents of a lease and its first payment."""
    rent, months, deposit = draw.money(60, 900, 5), draw.count(MONTH, 12, 24, 36, 48, 60), draw.money(200, 3000, 50)
    rents = draw.of(rent.minor * months.number)
    total = draw.of(rents.minor + deposit.minor)
    return {"rent": rent, "months": months, "deposit": deposit, "rents": rents, "total": total, "answer": total,
            "wrong": [rents, draw.of(total.minor + rent.minor)]}  # fmt: skip


def sukuk(draw: Draw) -> Slots:
    """One of several equal distributions a year."""
    face, rate, times = draw.money(1000, 50_000, 500), draw.rate(3, 7), draw.rng.choice((4, 4, 6))
    yearly = draw.of(face.minor * rate.value)
    payment = draw.of(Fraction(yearly.minor, times))
    return {"face": face, "rate": rate, "times": times, "yearly": yearly, "payment": payment, "answer": payment,
            "wrong": [yearly, draw.of(payment.minor * 2)]}  # fmt: skip


def zakat(draw: Draw) -> Slots:
    """One fortieth of savings held for a lunar year."""
    wealth = draw.money(2000, 60_000, 20)
    due = draw.of(Fraction(wealth.minor, 40))
    return {"wealth": wealth, "zakat": due, "answer": due, "wrong": [draw.of(due.minor * 2), draw.of(due.minor * 10)]}


def debt_burden(draw: Draw) -> Slots:
    """Whether instalments stay within a share of the salary."""
    salary, limit = draw.money(400, 2500, 50), Rate(Fraction(draw.rng.choice((40, 45, 50, 55)), 100))
    current, new = (draw.of(salary.minor * Fraction(draw.rng.randint(*ends), 100)) for ends in ((8, 28), (10, 35)))
    total = draw.of(current.minor + new.minor)
    ratio = Rate(Fraction(total.minor, salary.minor))
    return {"salary": salary, "current": current, "new": new, "sum": total, "ratio": ratio, "limit": limit,
            "verdict": ratio.value <= limit.value}  # fmt: skip


def early_settlement(draw: Draw) -> Slots:
    """The remaining debt with a fee that has a cap."""
    rest, percent, cap = draw.money(800, 18_000, 50), draw.rate(1, 2, 2), draw.money(50, 150, 25)
    raw = draw.of(rest.minor * percent.value)
    fee = min(raw, cap, key=_size)
    total = draw.of(rest.minor + fee.minor)
    wrong = [draw.of(rest.minor - fee.minor), draw.of(rest.minor + max(raw, cap, key=_size).minor)]
    return {"rest": rest, "percent": percent, "cap": cap, "raw": raw, "fee": fee, "total": total, "answer": total,
            "wrong": wrong}  # fmt: skip


def instalments_left(draw: Draw) -> Slots:
    """What is owed after some of the instalments."""
    whole, instalment = draw.count(PART, 12, 18, 24, 30, 36, 48, 60), draw.money(30, 450, 2)
    paid = Count(draw.rng.randint(3, whole.number - 3), PART)
    left = Count(whole.number - paid.number, PART)
    rest = draw.of(left.number * instalment.minor)
    wrong = [draw.of((paid.number + 1) * instalment.minor), draw.of(rest.minor - instalment.minor)]
    return {"all": whole, "instalment": instalment, "paid": paid, "left": left, "rest": rest, "answer": rest,
            "wrong": wrong}  # fmt: skip

"""What the language sections answer, and the report's closing answer, written from the numbers."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from llmini.report import comparisons, findings, labels, orderings, paired, reported, retention, standing
from llmini.report.answers import ratio_of_languages, there
from llmini.report.display import number
from llmini.report.figures_damage import MAIN
from llmini.report.figures_language import CALIBRATED, seeds
from llmini.report.sentences import (
    arabic_change,
    arabic_lead,
    arabic_points,
    change,
    listed,
    name,
    nothing,
    points,
    said,
)

if TYPE_CHECKING:
    from llmini.report.display import Shown
    from llmini.report.measured import Results

EIGHT, FOUR = ("int8", "w8a8", "w8a16", "fp8"), ("int4", "int4_fp4", "w4a16", "w4a16_awq", "w4a16_rtn")
CLASSES = (("8-bit formats", "صيغ 8 بت", EIGHT), ("4-bit formats", "صيغ 4 بت", FOUR),
           ("pruning to 50 %", "التقليم إلى النصف", labels.PRUNE))  # fmt: skip


# Of the seeds of two languages of calibration text: whether their ranges meet.
APART, OVERLAP = ("seeds apart", "البذور منفصلة"), ("seeds overlap", "البذور متداخلة")


def calibration(results: Results) -> Shown:
    """What Arabic calibration text changes against English text, and whether the seeds' ranges are apart."""
    english, arabic = [], []
    for method in CALIBRATED:
        runs = {text: seeds(results, MAIN, method, text) for text in ("en", "ar")}
        if not all(runs.values()):
            continue
        moved, clear = {}, {}
        for code in labels.SUITES:
            before, after = ([results.divergence(run, code).value for run in runs[text]] for text in ("en", "ar"))
            moved[code] = 100 * (statistics.fmean(after) / statistics.fmean(before) - 1)
            clear[code] = APART if max(before) < min(after) or max(after) < min(before) else OVERLAP
        english.append(f"under {labels.method(method)} the KL to dense {change(moved['ar'])} on Arabic text "
                       f"({clear['ar'][0]}) and {change(moved['en'])} on English text ({clear['en'][0]})")
        arabic.append(f"{name(method)}: {arabic_change(moved['ar'])} في النص العربي ({clear['ar'][1]}) "
                      f"و{arabic_change(moved['en'])} في النص الإنجليزي ({clear['en'][1]})")  # fmt: skip
    if not english:
        return nothing()
    return said(
        f"With Arabic instead of English calibration text, {'; '.join(english)}. Lower is closer to the "
        f"dense model, and "
        "seeds are apart where the ranges of the two languages' seeds do not meet.",
        f"أثر المعايرة بنصوص عربية بدل الإنجليزية في التباعد عن الأصل: {'؛ '.join(arabic)}. وكلما قلّ التباعد "
        "كان النموذج أقرب إلى أصله، والبذور منفصلة حيث لا يلتقي مدى بذور اللغتين.",
    )


def outliers(results: Results) -> Shown:
    """The pruners' order without and with planted outliers."""
    before, after = (there(results, labels.PRUNE, outliers=planted) for planted in (False, True))
    if not before or not after:
        return nothing()
    plain, planted = (standing.ranking(results, runs, labels.method, name) for runs in (before, after))
    return said(
        f"As trained, from closest to the dense model to farthest by KL, level where 95 % intervals meet, the pruners "
        f"rank {plain[0]}. With planted outliers they rank {planted[0]}.",
        "ترتيب الطرق بالتباعد (<bdi>KL</bdi>) كما دُرّب النموذج، من الأقرب إلى الأصل إلى الأبعد عنه (و«معه» حيث "
        f"تتداخل الفترتان): {plain[1]}. وترتيبها بعد زرع القيم الشاذة: {planted[1]}.",
    )


def designed_gap(results: Results) -> Shown:
    """The dense models' English lead, and how often compression widens it, for the main model and its control."""
    control = f"{MAIN}_control"
    if not results.run(MAIN, labels.DENSE) or not results.run(control, labels.DENSE):
        return nothing()
    lead = {model: paired.dense_gap(results, results.run(model, labels.DENSE)) for model in (MAIN, control)}
    runs = {model: [run for name, _, run in comparisons.compressed(results) if name == model] for model in lead}
    wide = {model: sum(paired.gap(results, run)["low"] > 0 for run in own) for model, own in runs.items()}
    spans = {model: f"{number(cell['value'], 1)} points ({number(cell['low'], 1)} to {number(cell['high'], 1)})"
             for model, cell in lead.items()}  # fmt: skip
    arabic = {model: arabic_lead(cell) for model, cell in lead.items()}
    return said(
        f"Before compression English leads Arabic by {spans[MAIN]} in the main model and by {spans[control]} "
        f"in the control, "
        "and the difference of the two estimates what rarer Arabic facts cost. Compression takes more Arabic "
        "than English, by "
        f"an interval above zero, in {wide[MAIN]} of {len(runs[MAIN])} methods on the main model and in "
        f"{wide[control]} of "
        f"{len(runs[control])} on the control.",
        f"الفرق قبل الضغط: {arabic[MAIN]} في النموذج الرئيس، و{arabic[control]} في النموذج الضابط؛ وما "
        "بينهما تقديرٌ لأثر ندرة بعض الحقائق بالعربية. عدد الطرق التي تزيد فيها خسارة العربية على خسارة الإنجليزية "
        f"بفترة فوق الصفر: {wide[MAIN]} من {len(runs[MAIN])} في الرئيس، و{wide[control]} من {len(runs[control])} في "
        "الضابط.",
    )


def tests(results: Results) -> Shown:
    """How many paired tests show a difference after Holm's correction, per language."""
    table = comparisons.paired_table(results)
    if table.empty:
        return nothing()
    counts = {code: table[(labels.LANGUAGES[code], "verdict")].value_counts() for code in labels.SUITES}
    worse = {code: int(count.get("worse", 0)) for code, count in counts.items()}
    better = {code: int(count.get("better", 0)) for code, count in counts.items()}
    known = {code: len(table) - int(count.get("not measured", 0)) for code, count in counts.items()}
    if not any(known.values()):
        return nothing()
    return said(
        f"After Holm's correction {worse['ar']} of {known['ar']} compressed models are worse than their "
        f"dense selves in Arabic "
        f"and {worse['en']} of {known['en']} in English; {better['ar'] + better['en']} comparisons show a "
        f"gain. Where no "
        "difference is shown, this many items cannot tell, which is not a proof of equality.",
        f"عدد النماذج المضغوطة التي ثبت أنها أسوأ من أصلها بعد تصحيح هولم: في العربية {worse['ar']} من "
        f"{known['ar']}، وفي "
        f"الإنجليزية {worse['en']} من {known['en']}. وحيث لم يثبت فرق فعدد الأسئلة لا يكفي للحكم، وليس ذلك "
        f"برهانًا على التساوي.",
    )


def goal(results: Results) -> Shown:
    """How many models meet the goal in both languages, reported and measured."""
    kept, sizes = retention.published(), reported.sizes()
    printed = [(100 - 100 * sizes[key] / sizes[(key[0], labels.DENSE)], kept.loc[key]) for key in kept.index]
    own = [(100 - retention.size_share(results, run), retention.of(results, run))
           for _, _, run in comparisons.compressed(results)]  # fmt: skip
    met = [sum(all(comparisons.meets(smaller, cell[code]) == "met" for code in labels.SUITES) for smaller, cell in part)
           for part in (printed, own)]  # fmt: skip
    tail = f"{met[1]} of {len(own)} measured ones" if own else "nothing was measured"
    arabic = f"{met[1]} من {len(own)}" if own else "لم يُقَس شيء"
    return said(
        f"At least half the size gone and at least {comparisons.KEPT:g} % of the accuracy kept in Arabic and "
        f"in English alike: "
        f"{met[0]} of {len(printed)} published models, and {tail}. Pruning to 50 % cannot reach the size by "
        f"itself, since "
        "embeddings stay whole and the places of the zeros must be stored.",
        f"عدد النماذج التي صغرت إلى النصف أو أقل وأبقت {comparisons.KEPT:g}% على الأقل من الدقة في العربية "
        f"والإنجليزية معًا: في "
        f"الدراسة {met[0]} من {len(printed)}، وفي القياس هنا {arabic}. والتقليم إلى النصف لا يبلغ هذا الحجم وحده، لأن "
        "التضمينات تبقى كاملة ومواضع الأصفار تُخزَّن.",
    )


def stated(results: Results) -> Shown:
    """How many of the expected orderings hold, and which are level or do not."""
    judged = [(ordering, code, orderings.judge(results, ordering, code)[1])
              for ordering in orderings.orderings(results) if ordering.expected for code in labels.SUITES]  # fmt: skip
    known = [cell for cell in judged if cell[2] != orderings.UNKNOWN]
    if not known:
        return nothing()
    held = sum(outcome == orderings.HOLDS for *_, outcome in known)
    english, arabic = [], []
    for wanted, words, own in ((orderings.LEVEL, "Level, since the 95 % intervals meet", "وما تتداخل فيه الفترات"),
                               (orderings.FAILS, "What does not hold", "وما لم يصحّ")):  # fmt: skip
        found = [(ordering, code) for ordering, code, outcome in known if outcome == wanted]
        if found:
            shown = "; ".join(f"{ordering.statement} ({labels.LANGUAGES[code]})" for ordering, code in found)
            other = "؛ ".join(f"{ordering.arabic} (في {labels.ARABIC[code]})" for ordering, code in found)
            english.append(f"{words}: {shown}.")
            arabic.append(f"{own}: {other}.")
        elif wanted == orderings.FAILS:
            english.append("None of them fails.")
            arabic.append("ولم يخالف القياسُ شيئًا منها.")
    return said(
        f"Of {len(known)} expected orderings by KL to dense, counting each language, {held} hold. {' '.join(english)}",
        "عدد الترتيبات المتوقعة التي صحّت بالتباعد (<bdi>KL</bdi>)، باحتساب كل لغة على حدة: "
        f"{held} من {len(known)}. {' '.join(arabic)}",
    )


def cost(results: Results) -> Shown:
    """How long the measured runs took, per family."""
    families: dict[str, list[float]] = {}
    for run, made in results.provenance.items():
        if run in results.runs.index and made.get("seconds"):
            families.setdefault(results.runs.at[run, "family"], []).append(float(made["seconds"]))
    if not families:
        return nothing()
    names = {"quant": "quantization", "prune": "pruning"}
    parts = [f"{len(seconds)} runs of {names.get(family, family)} in {number(sum(seconds) / 60, 1)} minutes"
             for family, seconds in families.items()]  # fmt: skip
    total = sum(map(sum, families.values())) / 60
    count = sum(map(len, families.values()))
    return said(
        f"Measured here were {listed(parts)}, each run on one core or on the device that its record names. "
        f"No speed-up is "
        "claimed for a format that the runtime expands.",
        f"عدد تجارب التكميم والتقليم هنا: {count}، ومجموع زمنها بالدقائق: {number(total, 1)}. ولا يُدّعى تسريع لصيغة "
        "تُفكّ عند التشغيل.",
    )


def closing(results: Results) -> Shown:
    """The answer to the report's question: mean losses by class of methods, which language loses more, and findings."""
    runs = [cell for cell in comparisons.compressed(results) if cell[0] in results.studied()]
    runs = [cell for cell in runs if not math.isnan(paired.gap(results, cell[2])["value"])]
    if not runs:
        return nothing()
    english, arabic = [], []
    for words, arabic_words, methods in CLASSES:
        cells = [paired.gap(results, run) for _, method, run in runs if method in methods]
        if cells:
            loss = {code: statistics.fmean(cell[code] for cell in cells) for code in labels.SUITES}
            english.append(f"{words}: Arabic {points(loss['ar'])}, English {points(loss['en'])}")
            arabic.append(
                f"{arabic_words}: في العربية {arabic_points(loss['ar'])}، وفي الإنجليزية {arabic_points(loss['en'])}"
            )
    sides = [comparisons.side(cell["low"], cell["high"]) for cell in (paired.gap(results, run) for _, _, run in runs)]
    more, less = sides.count("Arabic"), sides.count("English")
    ratios = [ratio_of_languages(results, run) for _, _, run in runs]
    ratios = [ratio for ratio in ratios if not math.isnan(ratio)]
    middle = statistics.median(ratios) if ratios else math.nan
    more_words, more_arabic = findings.headline(results)
    return said(
        f"On average over the measured models, of the {labels.tier(results.tier)}: {'; '.join(english)}. Of "
        f"{len(runs)} "
        f"compressed models {more} lost more Arabic and {less} more English by an interval that excludes "
        f"zero, and the median "
        f"KL to dense is {number(middle, 2)} times as large on Arabic text as on English text. {more_words}".strip(),
        f"متوسط أثر الضغط في النماذج المقيسة هنا: {'؛ '.join(arabic)}. عدد النماذج المضغوطة التي خسرت من "
        f"العربية أكثر، بفترة لا "
        f"تضم الصفر: {more} من {len(runs)}؛ وعدد التي خسرت من الإنجليزية أكثر: {less}. ووسيط نسبة التباعد عن "
        f"الأصل في النص "
        f"العربي إلى التباعد في النص الإنجليزي: {number(middle, 2)}. {more_arabic}".strip(),
    )

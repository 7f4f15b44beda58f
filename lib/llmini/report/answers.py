"""What the compression sections answer, in two sentences each, written from the numbers: methods, sizes, sparsity."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from llmini.report import labels, retention, standing
from llmini.report.comparisons import KEPT
from llmini.report.display import number
from llmini.report.figures_damage import MAIN, SPARSITIES, front
from llmini.report.sentences import (
    arabic_per_language,
    arabic_percent,
    listed,
    name,
    nothing,
    per_language,
    percent,
    said,
)

if TYPE_CHECKING:
    from llmini.report.display import Shown
    from llmini.report.measured import Results


def there(results: Results, among: tuple[str, ...], model: str = MAIN, **options: object) -> dict[str, str]:
    """method -> run id of the methods of ``among`` whose KL to dense was measured on ``model``."""
    runs = {method: results.run(model, method, **options) for method in among}
    return {method: run for method, run in runs.items() if run and not math.isnan(distance(results, run))}


def distance(results: Results, run: str) -> float:
    """KL to dense, summed over the languages that were measured: how far a run is from its dense model."""
    cells = [results.divergence(run, code).value for code in labels.SUITES]
    known = [value for value in cells if not math.isnan(value)]
    return sum(known) if known else math.nan


def quantization(results: Results) -> Shown:
    """How many methods reach the goal's accuracy in both languages, who is closest, and GPTQ against the study."""
    runs = there(results, labels.QUANT)
    if not runs:
        return nothing()
    label = labels.model(MAIN, results.tier)
    good = [run for run in runs.values() if min(retention.of(results, run)[code] for code in labels.SUITES) >= KEPT]
    place, arabic_place = standing.ends(results, runs, labels.method, name)
    own, study = retention.of(results, runs.get("w4a16")), retention.published().loc[(MAIN, "w4a16")]
    return said(
        f"Of {len(runs)} quantization methods on {label}, {len(good)} keep at least {KEPT:g} % of the accuracy in both "
        f"languages; by KL, {place}. "
        f"{labels.method('w4a16')} keeps {percent(own['ar'])} of the Arabic and {percent(own['en'])} of the English "
        f"accuracy here; the study reports {percent(study['ar'])} and {percent(study['en'])} for {labels.model(MAIN)}.",
        f"عدد طرق التكميم التي تُبقي {KEPT:g}% على الأقل من الدقة في اللغتين معًا: {len(good)} من {len(runs)}؛ "
        f"وبالتباعد (<bdi>KL</bdi>)، {arabic_place}. ما تُبقيه {name('w4a16')} هنا: {arabic_percent(own['ar'])} "
        f"من دقة العربية و{arabic_percent(own['en'])} من دقة الإنجليزية؛ وفي الدراسة: {arabic_percent(study['ar'])} "
        f"و{arabic_percent(study['en'])} للنموذج الكامل.",
    )


def pruning(results: Results) -> Shown:
    """What each pruner keeps at 50 %, against the study, and the order of the pruners."""
    runs = there(results, labels.PRUNE)
    if not runs:
        return nothing()
    published = retention.published()
    study = {method: published.loc[(MAIN, method)] for method in ("sparsegpt", "wanda")}
    own = {method: retention.of(results, run) for method, run in runs.items()}
    place, arabic_place = standing.ranking(results, runs, labels.method, name)
    return said(
        f"At 50 % sparsity {labels.model(MAIN, results.tier)} keeps, of its Arabic and its English accuracy, "
        f"{shares(own)}, where the study reports {shares(study)}. By KL to dense, from closest to farthest, level "
        f"where 95 % intervals meet: {place}.",
        f"ما يبقى من دقة العربية ثم من دقة الإنجليزية بعد حذف نصف الأوزان: {arabic_shares(own)}؛ وفي "
        f"الدراسة: {arabic_shares(study)}. الترتيب بالتباعد (<bdi>KL</bdi>) من الأقرب إلى النموذج الأصلي إلى الأبعد "
        f"عنه (و«معه» حيث تتداخل الفترتان): {arabic_place}.",
    )


def shares(cells: dict[str, Any]) -> str:
    """``58.6 % and 75.0 % under SparseGPT, …`` from retention per method."""
    return ", ".join(f"{percent(p['ar'])} and {percent(p['en'])} under {labels.method(m)}" for m, p in cells.items())


def arabic_shares(cells: dict[str, Any]) -> str:
    """`shares` in Arabic: ``58.6% ثم 75.0% بطريقة SparseGPT، …``."""
    return "، و".join(f"{arabic_percent(p['ar'])} ثم {arabic_percent(p['en'])} بطريقة {name(m)}"
                      for m, p in cells.items())  # fmt: skip


def pareto(results: Results) -> Shown:
    """The methods on the front of size and retention, per language."""
    runs = there(results, (*labels.QUANT, *labels.PRUNE))
    fronts: dict[str, list[str]] = {}
    for code in labels.SUITES:
        cells = {(retention.size_share(results, run), retention.of(results, run)[code]): method
                 for method, run in runs.items()}  # fmt: skip
        fronts[code] = [cells[point] for point in front(list(cells))]
    if not fronts["ar"]:
        return nothing()
    small = fronts["ar"][0]
    size, kept = retention.size_share(results, runs[small]), retention.of(results, runs[small])["ar"]
    return said(
        f"From small to large, the front runs through {per_language(fronts)}. Its small end in Arabic, "
        f"{labels.method(small)}, takes {percent(size)} of the dense size and keeps {percent(kept)} of the accuracy.",
        f"تمر جبهة باريتو، من الأصغر حجمًا إلى الأكبر، بهذه الطرق: {arabic_per_language(fronts)}. طرفها "
        f"الأصغر في العربية "
        f"{name(small)}: حجمه {arabic_percent(size)} من حجم الأصل، ويبقى معه {arabic_percent(kept)} من الدقة.",
    )


def highest(results: Results, method: str, code: str) -> float | None:
    """The sparsity (percent) up to which a pruner keeps the goal's accuracy at every measured step; None if none."""
    good = None
    for share in SPARSITIES:
        run = results.run(MAIN, method, sparsity=share)
        if run is None:
            continue
        if not retention.of(results, run)[code] >= KEPT:
            break
        good = 100 * share
    return good


def sparsity(results: Results) -> Shown:
    """The highest sparsity at which each pruner still reaches the goal's accuracy, per language."""
    runs = there(results, labels.PRUNE)
    steps = {method: {code: highest(results, method, code) for code in labels.SUITES} for method in labels.PRUNE}
    if len(results.select(model=MAIN, mask="0:0", outliers=False)["sparsity"].unique()) < 4 or not runs:
        return nothing()
    text = {m: {c: "no measured step" if s is None else f"{number(s, 0)} %" for c, s in p.items()}
            for m, p in steps.items()}  # fmt: skip
    arabic = {m: {c: "لا نسبة" if s is None else f"{number(s, 0)}%" for c, s in p.items()} for m, p in steps.items()}
    words = listed((f"{labels.method(m)} {p['ar']} in Arabic and {p['en']} in English" for m, p in text.items()), "; ")
    arabic_words = "؛ ".join(f"{name(m)}: {p['ar']} في العربية و{p['en']} في الإنجليزية" for m, p in arabic.items())
    ratio = statistics.median(ratio_of_languages(results, run) for run in runs.values())
    return said(
        f"{labels.model(MAIN, results.tier)} keeps at least {KEPT:g} % of its accuracy up to this sparsity: "
        f"{words}. At 50 % "
        f"the KL to dense on Arabic text is {number(ratio, 1)} times that on English text (median of the pruners).",
        f"أعلى نسبة حذف يبقى معها {KEPT:g}% على الأقل من الدقة: {arabic_words}. ونسبة التباعد عن الأصل في النص "
        f"العربي إلى التباعد في النص الإنجليزي عند حذف النصف: {number(ratio, 1)} (وسيط الطرق).",
    )


def ratio_of_languages(results: Results, run: str) -> float:
    """KL to dense on Arabic text over KL to dense on English text."""
    arabic, english = (results.divergence(run, code).value for code in ("ar", "en"))
    return arabic / english if english else math.nan


def masks(results: Results) -> Shown:
    """What the 2:4 pattern costs beyond unstructured 50 %."""
    half, pattern = there(results, labels.PRUNE), there(results, labels.PRUNE, mask="2:4")
    both = [method for method in labels.PRUNE if method in half and method in pattern]
    if not both:
        return nothing()
    times = {(m, c): results.divergence(pattern[m], c).value / results.divergence(half[m], c).value
             for m in both for c in labels.SUITES}  # fmt: skip
    shift = {(m, c): retention.of(results, half[m])[c] - retention.of(results, pattern[m])[c]
             for m in both for c in labels.SUITES}  # fmt: skip
    words, lost, arabic, arabic_lost = (
        [f"{number(times[(m, 'ar')], 1)} and {number(times[(m, 'en')], 1)} ({labels.method(m)})" for m in both],
        [f"{number(shift[(m, 'ar')], 1)} and {number(shift[(m, 'en')], 1)} ({labels.method(m)})" for m in both],
        [f"{number(times[(m, 'ar')], 1)} ثم {number(times[(m, 'en')], 1)} ({name(m)})" for m in both],
        [f"{arabic_percent(retention.of(results, pattern[m])['ar'])} ثم "
         f"{arabic_percent(retention.of(results, pattern[m])['en'])} ({name(m)})" for m in both],
    )  # fmt: skip
    return said(
        f"With the same number of zeros, 2:4 multiplies the KL to dense on Arabic and on English text by "
        f"{listed(words)}. It "
        f"takes this many more points of retention in Arabic and in English: {listed(lost)}.",
        "بالعدد نفسه من الأصفار يضرب نمط اثنين من كل أربعة التباعدَ عن الأصل، في العربية ثم الإنجليزية، في: "
        f"{'؛ '.join(arabic)}. وما يبقى معه من الدقة في العربية ثم الإنجليزية: {'؛ '.join(arabic_lost)}.",
    )

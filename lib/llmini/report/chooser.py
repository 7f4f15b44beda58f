"""Which method, given a budget: of size, of memory or of accuracy, for a reader of one language or of both."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from llmini.report import labels, paired, retention
from llmini.report.categories import runs
from llmini.report.display import Shown, frame, number, show, span
from llmini.report.figures_damage import MAIN
from llmini.report.sentences import listed, name, nothing, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas

    from llmini.report.measured import Results

LANGUAGES = ("ar", "en", "both")
WORDS = {"ar": "Arabic", "en": "English", "both": "both languages"}
ARABIC = {"ar": "العربية", "en": "الإنجليزية", "both": "اللغتان معًا"}
SIZES, KEPT = (30.0, 40.0, 55.0, 100.0), 95.0  # percent: what the printed table asks
SESSION = "JPY_SESSION_NAME"  # set where a person has the notebook open in Jupyter


class Choice(NamedTuple):
    """One method: its shares of the dense model's packed size and of its memory after loading (percent), what it keeps
    of the accuracy with the interval's ends (percent; of both languages, the worse one's), and its KL to dense (nats,
    the larger)."""

    method: str
    size: float
    memory: float
    kept: float
    low: float
    high: float
    distance: float


def candidates(results: Results, language: str = "both", model: str = MAIN) -> list[Choice]:
    """Every method of ``model`` with what it costs and keeps. Raises ValueError for an unknown language."""
    if language not in LANGUAGES:
        raise ValueError(f"unknown language {language!r}: choose one of {', '.join(LANGUAGES)}")
    codes = tuple(labels.SUITES) if language == "both" else (language,)
    out = []
    for method, run in runs(results, model).items():
        kept = [paired.retention(results, run, code) for code in codes]
        cells = {key: min(cell[key] for cell in kept) for key in ("value", "low", "high")}
        distance = max(results.divergence(run, code).value for code in codes)
        shares = (retention.size_share(results, run, metric) for metric in ("size_packed", "size_resident"))
        out.append(Choice(method, *shares, cells["value"], cells["low"], cells["high"], distance))
    return out


def choose(results: Results, language: str = "both", *, size: float = math.inf, memory: float = math.inf,
           kept: float = 0.0, model: str = MAIN) -> list[Choice]:  # fmt: skip
    """The methods within the budgets (percent of the dense model), the best first.

    A method is within the accuracy budget where the low end of its interval is, so that chance does not choose. Best:
    the smallest KL to dense, which ranks methods whose accuracies cannot be told apart.
    """
    fitting = [one for one in candidates(results, language, model)
               if one.size <= size and (one.memory <= memory or memory == math.inf)
               and (one.low if not math.isnan(one.low) else one.kept) >= kept]  # fmt: skip
    return sorted(fitting, key=lambda one: (math.isnan(one.distance), one.distance))


def table(results: Results, language: str = "both", *, size: float = math.inf, memory: float = math.inf,
          kept: float = 0.0, model: str = MAIN) -> pandas.DataFrame:  # fmt: skip
    """What :func:`choose` gives, with its numbers; one line that says so where nothing fits."""
    rows = [{"method": labels.method(one.method), "size, % of dense": one.size, "memory, % of dense": one.memory,
             "kept, %": span({"value": one.kept, "low": one.low, "high": one.high}), "KL to dense": one.distance}
            for one in choose(results, language, size=size, memory=memory, kept=kept, model=model)]  # fmt: skip
    limits = [f"size at most {size:g} %"] * (size < math.inf) + [f"memory at most {memory:g} %"] * (memory < math.inf)
    limits += [f"at least {kept:g} % kept"] * (kept > 0)
    title = f"Methods for {WORDS[language]}{': ' if limits else ''}{', '.join(limits)}"
    if not rows:
        words = "none fits" if candidates(results, language, model) else "not measured"
        rows = [{"method": words, "size, % of dense": "–"}]
    note = (f"{labels.model(model, results.tier)}, {labels.tier(results.tier)}. Best first, by KL to dense. The "
            "budget of "
            "accuracy is held against the low end of the interval.")  # fmt: skip
    return frame(rows, ["method"], title, note, {"size, % of dense": 1, "memory, % of dense": 1, "KL to dense": 4})


def plain(results: Results, model: str = MAIN) -> Shown:
    """The chooser on paper: for each language and size budget, the best method that keeps at least 95 %."""
    rows = []
    for language in LANGUAGES:
        row: dict[str, Any] = {"for": f"{WORDS[language]} · {ARABIC[language]}"}
        for size in SIZES:
            found = choose(results, language, size=size, kept=KEPT, model=model)
            row[f"at most {size:g} % of the size"] = "not measured" if not candidates(results, language, model) else \
                f"{labels.method(found[0].method)}, keeps {span(found[0]._asdict() | {'value': found[0].kept})} %" \
                if found else "none fits"  # fmt: skip
        rows.append(row)
    note = (f"{labels.model(model, results.tier)}, {labels.tier(results.tier)}: the method closest to dense by KL "
            "among "
            f"those whose interval of accuracy kept begins at {KEPT:g} % or above. In JupyterLab this cell has knobs.")
    return show(frame(rows, ["for"], f"Which method? With at least {KEPT:g} % of the accuracy", note))


def chooser(results: Results, model: str = MAIN) -> Any:
    """Knobs for language and budgets where a person has the notebook open in Jupyter; else the table on paper."""
    return knobs(results, model) if SESSION in os.environ else plain(results, model)


def knobs(results: Results, model: str = MAIN) -> Any:
    """An ipywidgets box: language, size, memory, accuracy and model, and the table under them."""
    import ipywidgets
    from IPython.display import display

    wide = broad()
    parts = {
        "language": ipywidgets.Dropdown(options=[(f"{WORDS[one]} · {ARABIC[one]}", one) for one in LANGUAGES],
                                        value="both", description="language", **wide),
        "size": ipywidgets.FloatSlider(value=55, min=10, max=100, step=1, description="size at most, %", **wide),
        "memory": ipywidgets.FloatSlider(value=110, min=10, max=110, step=1, description="memory at most, %", **wide),
        "kept": ipywidgets.FloatSlider(value=90, min=0, max=100, step=1, description="kept at least, %", **wide),
        "model": studied(results, model),
    }  # fmt: skip
    out = ipywidgets.interactive_output(lambda **budget: display(show(table(results, **budget))), parts)
    return ipywidgets.VBox([*parts.values(), out])


def broad() -> dict[str, Any]:
    """How wide a knob and its name are."""
    import ipywidgets

    return {"style": {"description_width": "11em"}, "layout": ipywidgets.Layout(width="32em")}


def studied(results: Results, model: str = MAIN) -> Any:
    """A knob for the measured models; of ``model`` alone, called none, where there are none."""
    import ipywidgets

    names = [(labels.model(one, results.tier), one) for one in results.studied()] or [("none", model)]
    return ipywidgets.Dropdown(options=names, value=names[0][1], description="model", **broad())


def answer(results: Results, model: str = MAIN) -> Shown:
    """The smallest method that keeps the goal's accuracy for Arabic, for English and for both."""
    found = {language: [one for one in choose(results, language, kept=KEPT, model=model) if not math.isnan(one.size)]
             for language in LANGUAGES}  # fmt: skip
    if not candidates(results, model=model):
        return nothing()
    small = {language: min(fit, key=lambda one: (round(one.size, 1), one.distance)) if fit else None
             for language, fit in found.items()}  # fmt: skip
    told = {language: _smallest(one, found[language]) for language, one in small.items()}
    words, arabic = ({language: pair[side] for language, pair in told.items()} for side in (0, 1))
    return said(
        f"The smallest method whose interval keeps {KEPT:g} % of the accuracy is {words['ar']} for Arabic, "
        f"{words['en']} "
        f"for English and {words['both']} for both. Which one is best within a budget follows from KL to dense.",
        f"أصغر طريقة تُبقي فترتُها {KEPT:g}% من الدقة: للعربية {arabic['ar']}، وللإنجليزية {arabic['en']}، وللغتين "
        "معًا "
        f"{arabic['both']}. والأفضل في حدود ميزانية ما هو الأقرب إلى النموذج الأصلي بالتباعد.",
    )


def _smallest(one: Choice | None, among: Sequence[Choice]) -> tuple[str, str]:
    """A choice with its size, in both languages, and those that are as small but farther from the dense model."""
    if one is None:
        return "no method", "لا طريقة"
    size = number(one.size, 1)
    alike = [other.method for other in among if other != one and number(other.size, 1) == size]
    english, arabic = f"{size} % of the size", f"{size}% من الحجم"
    if alike:
        english += f", as {'is' if len(alike) == 1 else 'are'} {listed(map(labels.method, alike))}, farther by KL"
        arabic += f"، ومثلها {' و'.join(map(name, alike))}، والأولى أقرب إلى الأصل"
    return f"{labels.method(one.method)} ({english})", f"{name(one.method)} ({arabic})"

"""One run under the glass: which model, which method, how sparse, in which language; on paper the sweep as a table."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from llmini.report import categories, labels, paired, retention
from llmini.report.chooser import ARABIC, SESSION, WORDS, broad, studied
from llmini.report.display import Shown, frame, number, show, span
from llmini.report.figures_damage import MAIN, SPARSITIES

if TYPE_CHECKING:
    import pandas

    from llmini.report.measured import Results


def explorer(results: Results, model: str = MAIN) -> Any:
    """Knobs for model, method, sparsity and language where a person has the notebook open in Jupyter; else the sweep
    on paper."""
    return knobs(results, model) if SESSION in os.environ else plain(results, model)


def table(results: Results, model: str = MAIN, method: str = "wanda", sparsity: float = 0.5,
          language: str = "ar") -> pandas.DataFrame:  # fmt: skip
    """What one method leaves of a model in one language: accuracy as a whole and by category, perplexity, KL, size.

    ``sparsity`` counts for pruners alone. A run that is not there gives lines that say so.
    """
    pruned = method in labels.PRUNE
    run = results.run(model, method, sparsity=sparsity if pruned else None)
    dense = results.dense(run)
    ratio = results.perplexity(run, language).value / results.perplexity(dense, language).value
    lines = {"accuracy kept, %": span(paired.retention(results, run, language)) if run else number(math.nan)}
    for code, suite, task, metric in categories.TASKS if run else ():
        if code == language:
            lines[f"· {task.replace('_', ' ')}"] = span(categories.retention(results, run, suite, task, metric))
    lines |= {"perplexity, times dense": number(ratio, 3),
              "KL to dense, nats": number(results.divergence(run, language).value, 4),
              "packed size, % of dense": number(retention.size_share(results, run, "size_packed"), 1)}
    rows = [{"": name, "value": value} for name, value in lines.items()]
    title = f"{labels.method(method)}{f' at {100 * sparsity:g} %' if pruned else ''}, in {WORDS[language]}"
    note = f"{labels.model(model, results.tier)}, {labels.tier(results.tier)}. With 95 % paired bootstrap intervals."
    return frame(rows, [""], title, note)


def plain(results: Results, model: str = MAIN) -> Shown:
    """The sweep: what each pruner keeps of the accuracy at each sparsity, in each language."""
    rows = []
    for method in labels.PRUNE:
        for language in labels.SUITES:
            row: dict[str, Any] = {"pruner": labels.method(method), "in": f"{WORDS[language]} · {ARABIC[language]}"}
            for share in SPARSITIES:
                run = results.run(model, method, sparsity=share)
                row[f"{100 * share:g} %"] = paired.retention(results, run, language)["value"] if run else math.nan
            rows.append(row)
    note = (f"{labels.model(model, results.tier)}, {labels.tier(results.tier)}: percent of the dense accuracy; the "
            "figure above has the intervals. In JupyterLab this cell has knobs for any model, method and language.")
    return show(frame(rows, ["pruner", "in"], "What is kept at which sparsity", note,
                      {f"{100 * share:g} %": 1 for share in SPARSITIES}))  # fmt: skip


def knobs(results: Results, model: str = MAIN) -> Any:
    """An ipywidgets box: model, method, sparsity and language, and the table under them."""
    import ipywidgets
    from IPython.display import display

    wide = broad()
    methods = [(labels.method(one), one) for one in results.methods(categories.METHODS)] or [("none", "wanda")]
    parts = {
        "model": studied(results, model),
        "method": ipywidgets.Dropdown(options=methods, value=methods[-1][1], description="method", **wide),
        "sparsity": ipywidgets.SelectionSlider(options=[(f"{100 * share:g} %", share) for share in SPARSITIES],
                                               value=0.5, description="sparsity", **wide),
        "language": ipywidgets.ToggleButtons(options=[(f"{WORDS[one]} · {ARABIC[one]}", one) for one in labels.SUITES],
                                             description="language"),
    }  # fmt: skip

    def dim(change: Any) -> None:
        parts["sparsity"].disabled = change["new"] not in labels.PRUNE

    parts["method"].observe(dim, "value")
    out = ipywidgets.interactive_output(lambda **turned: display(show(table(results, **turned))), parts)
    return ipywidgets.VBox([*parts.values(), out])

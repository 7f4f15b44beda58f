"""A model card for every measured checkpoint: ``docs/model_card.md`` filled from the results, nothing typed in.

    python -m llmini.report.cards OUT [--tier pocket] [--results data/results]
"""

from __future__ import annotations

import argparse
import json
import string
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.records import write_atomic
from llmini.report import labels, measured, paired
from llmini.report.display import number, span
from llmini.report.tables import unit
from llmini.settings import UserError, root

if TYPE_CHECKING:
    from llmini.report.measured import Results

TEMPLATE = Path("docs", "model_card.md")
POCKET = ("A model of a few million weights, trained by this project on its own generated world. It has the "
          "architecture class of the model it stands for and none of its weights or knowledge.")  # fmt: skip
POCKET_LIMITS = ("For showing that a method works and for ranking methods on one model. It answers questions about "
                 "invented people and towns; it is no assistant, and says nothing about how much a large model would "
                 "lose.")  # fmt: skip
FULL_LIMITS = ("For those uses that the base model's card and licence allow. Compression can change what a model knows "
               "and how sure it is; measure it on your own task and dialect before relying on it.")  # fmt: skip


def template() -> str:
    """The card's text with its fields in braces. Raises UserError when it is not there."""
    path = root() / TEMPLATE
    if not path.exists():
        raise UserError(f"{path} is missing: restore it with `git checkout {TEMPLATE}`")
    return path.read_text(encoding="utf8")


def fields() -> set[str]:
    """Names of the template's fields."""
    return {name for _, name, _, _ in string.Formatter().parse(template()) if name}


def values(results: Results, run: str) -> dict[str, str]:
    """What the card of one run says in each field; ``not measured`` where the results have nothing."""
    line, past = results.runs.loc[run], results.provenance.get(run, {})
    pocket = results.tier in ("pocket", "rehearsal")
    told = _json(past.get("recipe"))
    read = told.get("calibration") or {}
    scale, word = unit(results.tier)
    params = {name: value for name, value in _json(_params(results, run)).items() if name != "calibration_language"}
    out = {
        "run_id": run, "label": labels.model(line["model"], results.tier), "method": labels.method(line["method"]),
        "base": line["model"], "licence": "cc-by-4.0" if pocket else "other",
        "tags": ", ".join(filter(None, ("compression", line["family"], line["method"]))),
        "what": POCKET if pocket else "A compressed checkpoint of the model named above, made and measured here.",
        "source": str(told.get("source") or line["model"]), "limits": POCKET_LIMITS if pocket else FULL_LIMITS,
        "options": f" ({', '.join(f'{name} {value}' for name, value in params.items())})" if params else "",
        "calibration": f"{read['samples']} windows of {read['length']} tokens, {read['language']}, sha256 "
                       f"`{read['sha256'][:12]}`" if read.get("samples") else "none",
        "device": str(past.get("device") or "not recorded"),
        "finished": str(past.get("finished") or "not recorded")[:10],
        "sha": str(past.get("git_sha") or "not recorded")[:12],
        "fingerprint": str(past.get("fingerprint") or "not recorded")[:12],
    }  # fmt: skip
    for code in labels.SUITES:
        kept = paired.retention(results, run, code)
        out |= {f"accuracy_{code}": number(results.mean(run, code).value, 1), f"kept_{code}": span(kept),
                f"kl_{code}": number(results.divergence(run, code).value, 4, "–" if line["method"] == labels.DENSE
                                     else "not measured"),
                f"perplexity_{code}": number(results.perplexity(run, code).value)}  # fmt: skip
    for kind in ("disk", "resident", "packed", "nonzero"):
        size = results.cell(run, f"size_{kind}").value / scale
        out[f"size_{kind}"] = f"{number(size)} {word}" if size == size else "not measured"
    return out


def _params(results: Results, run: str) -> Any:
    return results.rows.loc[results.rows["run_id"] == run, "params"].iloc[0]


def _json(text: Any) -> dict[str, Any]:
    return json.loads(text) if isinstance(text, str) and text.startswith("{") else {}


def card(results: Results, run: str) -> str:
    """The filled card of one run. Raises UserError for a run that the results do not have."""
    if run not in results.runs.index:
        raise UserError(f"no run {run!r} in these results: the first is {results.runs.index[0]}" if len(results.runs)
                        else f"no run {run!r}: these results are empty")  # fmt: skip
    return template().format(**values(results, run))


def write(results: Results, out: Path) -> list[Path]:
    """A card for every run of ``results`` as ``OUT/RUN.md``; returns what was written."""
    done = []
    for run in results.runs.index:
        path, text = out / f"{run}.md", card(results, run)
        write_atomic(path, lambda target, text=text: target.write_text(text, encoding="utf8"))
        done.append(path)
    return done


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write a model card for every measured checkpoint.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--tier", default="pocket")
    parser.add_argument("--results", default="data/results")
    options = parser.parse_args(arguments)
    try:
        done = write(measured.load(options.results, options.tier), options.out)
    except UserError as fault:
        print(f"cards: {fault}", file=sys.stderr)
        return 2
    print(f"{len(done)} cards in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

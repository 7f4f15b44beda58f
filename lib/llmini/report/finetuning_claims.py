"""What the study claims of fine-tuning, beside what was measured here, with a verdict by rule.

Verdicts are those of :mod:`llmini.report.learning_claims`, read off 95 % intervals over items and seeds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from llmini.report import finetuning_paired, forgetting, labels, learning_paired, learning_runs
from llmini.report.display import frame, number, signed, span
from llmini.report.finetuning_paired import ANALYSIS, CULTURE, GENERAL, GULF, taught
from llmini.report.finetuning_runs import LAST, STAGES, START, TUNED, after, joined, method
from llmini.report.learning_claims import ABSENT, FLOOR, HERE, MARGIN, STUDY, UNKNOWN, Claim, Part, falls, keeps, rises
from llmini.report.learning_tables import printed

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas

    from llmini.report.finetuning_paired import Skill
    from llmini.report.measured import Results

MMLU, CORPUS = {"benchmark": "mmlu"}, {"metric": "accuracy_upper_bound", "task": "overall"}
QATAR, LPG, PERPLEXITY = {"benchmark": "aradice_culture"}, {"metric": "lpg"}, {"metric": "perplexity"}


def claims(results: Results) -> list[Claim]:
    """Every claim, of the study first; judged once for these results."""
    if "_tuned_claims" not in results.__dict__:
        own = joined(results)
        results.__dict__["_tuned_claims"] = [*_dialect_alone(own), *_repair(own), *_both(own), *_stages(own)]
    return results.__dict__["_tuned_claims"]


def said(first: str, second: str, digits: int = 1, **where: str) -> str:
    """``73.4 to 59.5`` from Table 19."""
    return " to ".join(f"{printed(19, name, **where):.{digits}f}" for name in (first, second))


def step(results: Results, first: str, second: str, skills: Sequence[Skill], rule: Callable, words: str,
         had: str = "") -> Part:  # fmt: skip
    """Scores of the second method against the first's, each at its end; ``START`` is what was tuned.

    A score of 0 % can neither fall nor, where ``had`` is the method that should have lost it, be won back.
    """
    found = finetuning_paired.common(after(results, first), after(results, second))
    cell = finetuning_paired.against(results, *found, skills)
    least = after(results, had) if had else found[0] if rule is falls else {}
    floor = finetuning_paired.average(results, least.values(), skills) == 0 and not math.isnan(cell["low"])
    return Part(f"{words} {span(cell, sign=True)}{', from 0 %' if floor else ''}", FLOOR if floor else rule(cell))


def perplexity(results: Results, name: str, code: str) -> Part:
    """Whether perplexity falls from the start, by Student's interval over the seeds; one seed cannot tell."""
    cell = forgetting.relative(results, name, code)
    words = f"perplexity, {labels.LANGUAGES[code]}, {method(name)}"
    if math.isnan(cell["value"]):
        return Part(f"{words} {ABSENT}", ABSENT)
    if math.isnan(cell["low"]):
        return Part(f"{words} {signed(cell['value'])} % (one seed)", UNKNOWN)
    return Part(f"{words} {span(cell, sign=True)} %", falls(cell))


def gap(results: Results, first: str, second: str) -> Part:
    """The absolute gap between the languages on the pairs, second against first."""
    facing = learning_runs.facing(*finetuning_paired.common(after(results, first), after(results, second)))
    cell = learning_paired.behaviours(results, facing, "lpg_abs")
    return Part(f"|LPG|, {method(second)} {span(cell, sign=True)}", falls(cell))


def _dialect_alone(results: Results) -> Iterator[Claim]:
    yield Claim(STUDY, "Dialect data alone (FT-v1) lowers analysis in English", "Table 19, section 4.5",
                f"MMLU {said(START, 'ft_v1', **MMLU)}",
                [step(results, START, "ft_v1", ANALYSIS, falls, "MMLU")])  # fmt: skip
    yield Claim(STUDY, "Dialect data alone (FT-v1) lowers the Bahraini tasks", "Table 19",
                f"Bahrain Corpus {said(START, 'ft_v1', **CORPUS)}",
                [step(results, START, "ft_v1", GULF, falls, "dialect tasks")])  # fmt: skip
    yield Claim(STUDY, "Arabic perplexity falls though the Bahraini scores fall", "Table 19, section 4.5",
                f"perplexity {said(START, 'ft_v1', 2, **PERPLEXITY)}; Bahrain Corpus {said(START, 'ft_v1', **CORPUS)}",
                [perplexity(results, "ft_v1", "ar"),
                 step(results, START, "ft_v1", GULF, falls, "dialect tasks")])  # fmt: skip


def _repair(results: Results) -> Iterator[Claim]:
    yield Claim(STUDY, "Instruction data (FT-V2) wins analysis back", "Table 19, section 4.6",
                f"MMLU {said('ft_v1', 'ft_v2', **MMLU)}",
                [step(results, "ft_v1", "ft_v2", ANALYSIS, rises, "MMLU against FT-v1")])  # fmt: skip
    yield Claim(STUDY, "Instruction data (FT-V2) wins the Bahraini tasks back", "Table 19, section 4.6",
                f"Bahrain Corpus {said('ft_v1', 'ft_v2', **CORPUS)}",
                [step(results, "ft_v1", "ft_v2", GULF, rises, "dialect tasks against FT-v1", had=START)])  # fmt: skip
    yield Claim(STUDY, "FT-V2 wins back a part only", "Table 19",
                f"MMLU {said(START, 'ft_v2', **MMLU)}; Bahrain Corpus {said(START, 'ft_v2', **CORPUS)}",
                [step(results, START, "ft_v2", skills, falls, f"{words} against the start")
                 for words, skills in (("MMLU", ANALYSIS), ("dialect tasks", GULF))])  # fmt: skip
    yield Claim(STUDY, "FT-V2 is better than FT-v1 on culture", "Section 4.6",
                f"AraDiCE Qatar {said('ft_v1', 'ft_v2', **QATAR)}",
                [step(results, "ft_v1", "ft_v2", CULTURE, rises, "culture against FT-v1")])  # fmt: skip


def _both(results: Results) -> Iterator[Claim]:
    yield Claim(STUDY, "Fine-tuning narrows the gap between the languages", "Table 19; SelecTKD printed 0.0",
                f"LPG {said('base', 'ft_v1', **LPG)} and {number(printed(19, 'ft_v2', **LPG), 1)}",
                [gap(results, labels.BASE, name) for name in TUNED])  # fmt: skip
    yield Claim(STUDY, "Fine-tuning raises culture", "Section 4.5; Table 13 has 66.7 for the base",
                f"AraDiCE Qatar {said('base', 'ft_v1', **QATAR)} and {number(printed(19, 'ft_v2', **QATAR), 1)}",
                [step(results, labels.BASE, name, CULTURE, rises, f"culture, {method(name)}")
                 for name in TUNED])  # fmt: skip
    yield Claim(STUDY, "Fine-tuning improves the Bahraini dialect", "Section 4.5; Table 19 has it otherwise",
                f"Bahrain Corpus {said('base', 'ft_v1', **CORPUS)} and {number(printed(19, 'ft_v2', **CORPUS), 1)}",
                [step(results, START, name, GULF, rises, f"dialect tasks, {method(name)}") for name in TUNED])
    yield Claim(STUDY, "Fine-tuning keeps the standard benchmarks", "Section 4.5; true of FT-V2 only in Table 19",
                f"MMLU {said('base', 'ft_v1', **MMLU)} and {number(printed(19, 'ft_v2', **MMLU), 1)}",
                [step(results, START, name, GENERAL, keeps, f"ArabicMMLU and metabench, {method(name)}")
                 for name in TUNED])  # fmt: skip
    main, bare = (after(results, "ft_v1", **options) for options in ({}, {"replay": 0.0}))
    cell = finetuning_paired.against(results, *finetuning_paired.common(bare, main), taught(1))
    yield Claim(STUDY, "Replay in stage 3 reduces the forgetting of stage 1", "Curriculum, section 3.3.4",
                "10 % replay; nothing without it is printed",
                [Part(f"tasks of stage 1 against no replay {span(cell, sign=True)}", rises(cell))])  # fmt: skip


def _stages(results: Results) -> Iterator[Claim]:
    for name in TUNED:
        parts = []
        for stage in STAGES:
            found = (after(results, name, number) for number in (stage - 1, stage))
            cell = finetuning_paired.against(results, *finetuning_paired.common(*found), taught(stage))
            parts.append(Part(f"stage {stage} {span(cell, sign=True)}", rises(cell)))
        yield Claim(HERE, f"Each stage of {method(name)} raises its own tasks", "–", "–", parts)
    for name in TUNED:
        yield Claim(HERE, f"Later stages of {method(name)} forget earlier ones", "–", "–",
                    [Part(f"stage {own}'s tasks, from {number(learned, 1)} %, {span(cell, sign=True)}",
                          falls(cell) if learned else FLOOR)
                     for own, (learned, cell) in forgetting.backward(results, name).items()])  # fmt: skip
    main = after(results, "ft_v1", LAST)
    for order in ("reversed", "mixed"):
        other = after(results, "ft_v1", order=order)
        cell = finetuning_paired.against(results, *finetuning_paired.common(other, main), taught(LAST))
        yield Claim(HERE, f"The study's order serves the Bahraini tasks better than stages {order}", "–", "–",
                    [Part(f"tasks of stage 3 {span(cell, sign=True)}", rises(cell))])  # fmt: skip


def table(results: Results) -> pandas.DataFrame:
    """Every claim with its verdict."""
    rows = ({"by": claim.of, "claim": claim.statement, "stands in": claim.source, "reported": claim.printed,
             "measured here": claim.measured, "verdict": claim.verdict} for claim in claims(results))  # fmt: skip
    note = ("Measured: points after stage 3, against the model that fine-tuning started from (SelecTKD) unless another "
            "is named, means over the training seeds with 95 % intervals over items and seeds; perplexity in percent "
            "with Student's interval over the seeds. Confirmed: the whole interval agrees; not confirmed: the whole "
            f"interval disagrees. Kept: at most {number(MARGIN, 1)} points are lost. A score that is 0 % before can "
            "neither fall nor be won back.")  # fmt: skip
    return frame(rows, ["by", "claim"], f"The claims on fine-tuning, {labels.tier(results.tier)}", note)

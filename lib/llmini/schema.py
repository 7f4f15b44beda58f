"""What a record has to look like, so that a damaged or foreign one is never read as a measurement.

Written out here instead of in a schema language: every rule is one line, and every fault says what is wrong in words.
"""

from __future__ import annotations

import datetime
import math
import re
from typing import Any

from llmini.settings import TIERS

FAMILIES = ("quant", "prune", "kd", "finetune", "encoder", "merge", "browser")
METRICS = {
    "size_disk", "size_resident", "size_packed", "size_nonzero", "compression_ratio", "perplexity", "bits_per_byte",
    "acc", "acc_norm", "exact_match", "f1", "kl_to_dense", "flip_rate", "gold_nll", "tokens_per_second", "latency_ms",
    "peak_memory", "seconds", "lpg", "lpg_abs", "clcs", "clcs_chance", "clcs_kappa", "ece", "ece_smooth", "brier",
    "confidence_gap", "selected_share", "chrf", "script_failures", "latency_low", "latency_high", "memory_resident",
    "memory_runtime", "memory_gpu",
}  # fmt: skip
# MasakhaNER 2.0's, by their ISO 639-3 codes: read by encoders of the full tier.
AFRICAN = ("bam", "bbj", "ewe", "fon", "hau", "ibo", "kin", "lug", "luo", "mos", "nya", "pcm", "sna", "swa", "tsn",
           "twi", "wol", "xho", "yor", "zul")  # fmt: skip
LANGUAGES = ("", "ar", "en", "gulf", *AFRICAN)
HEAD = {"run_id": str, "tier": str, "family": str, "model": str, "variant": str, "method": str, "params": dict,
        "rows": list, "provenance": dict}  # fmt: skip
ROW = ("benchmark", "task", "language", "metric", "value", "unit", "stderr", "n")
PROVENANCE = {"git_sha": str, "dirty": bool, "python": str, "versions": dict, "device": str, "threads": int,
              "finished": str, "seconds": (int, float)}  # fmt: skip
SHA256 = re.compile(r"[0-9a-f]{64}")


def fault(body: Any) -> str | None:
    """The first thing that is wrong with the parsed text of a record.json, in words; None for a valid record."""
    if not isinstance(body, dict):
        return "it is no JSON object"
    for name, kind in HEAD.items():
        if name not in body:
            return f"it has no {name}"
        if not isinstance(body[name], kind):
            return f"its {name} is no {kind.__name__}"
    if strangers := sorted(set(body) - set(HEAD)):
        return f"it has the unknown field {strangers[0]}"
    if body["tier"] not in TIERS:
        return f"its tier {body['tier']!r} is none of {', '.join(TIERS)}"
    if body["family"] not in FAMILIES:
        return f"its family {body['family']!r} is none of {', '.join(FAMILIES)}"
    slug = "-".join(body[name] for name in ("tier", "family", "model", "variant"))
    if body["run_id"] != slug and not body["run_id"].startswith(f"{slug}-"):
        return f"its run_id {body['run_id']} is not {slug}"
    return provenance_fault(body["provenance"]) or rows_fault(body["rows"])


def provenance_fault(past: dict[str, Any]) -> str | None:
    """The first fault of a record's provenance."""
    for name, kind in PROVENANCE.items():
        if name not in past:
            return f"its provenance has no {name}"
        if not isinstance(past[name], kind):
            return f"{name} in its provenance has another type"
    try:
        datetime.datetime.fromisoformat(past["finished"])
    except ValueError:
        return f"its provenance finished at {past['finished']!r}, which is no time"
    if not isinstance(past.get("fingerprint", ""), str):
        return "its fingerprint is no text"
    if "items_sha256" in past and not SHA256.fullmatch(str(past["items_sha256"])):
        return "items_sha256 in its provenance is no hash"
    hashes = past.get("hashes", {})
    if not isinstance(hashes, dict) or not all(isinstance(value, str) for value in hashes.values()):
        return "hashes in its provenance are no names with hashes"
    return None


def rows_fault(rows: list[Any]) -> str | None:
    """The first fault among a record's measurements."""
    seen = set()
    for place, row in enumerate(rows):
        if not isinstance(row, dict) or sorted(row) != sorted(ROW):
            return f"row {place} has not the fields {', '.join(ROW)}"
        if row["metric"] not in METRICS:
            return f"row {place} has the unknown metric {row['metric']!r}"
        if not number(row["value"]):
            return f"the {row['metric']} of row {place} is {row['value']!r}, no finite number"
        if row["stderr"] is not None and not (number(row["stderr"]) and row["stderr"] >= 0):
            return f"the stderr of row {place} is {row['stderr']!r}"
        if row["n"] is not None and not (number(row["n"]) and row["n"] >= 0 and row["n"] == int(row["n"])):
            return f"the n of row {place} is {row['n']!r}"
        if not all(isinstance(row[name], str) for name in ("benchmark", "task", "unit")):
            return f"row {place} has a benchmark, task or unit that is no text"
        if row["language"] not in LANGUAGES:
            return f"row {place} has the unknown language {row['language']!r}"
        key = tuple(row[name] for name in ("benchmark", "task", "language", "metric"))
        if key in seen:
            return f"row {place} measures {' '.join(part for part in key if part)} a second time"
        seen.add(key)
    return None


def number(value: Any) -> bool:
    """Whether a value is a finite number, and no truth value."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

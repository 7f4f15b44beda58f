"""One run, one record: written atomically, read back as one tidy table."""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError, check_tier, root

if TYPE_CHECKING:
    import pandas

COLUMNS = ["tier", "family", "model", "variant", "method", "params", "benchmark", "task", "language",
           "metric", "value", "unit", "stderr", "n", "run_id"]  # fmt: skip
FAMILIES = ("quant", "prune", "kd", "finetune", "encoder", "merge", "browser")
METRICS = {
    "size_disk", "size_resident", "size_packed", "size_nonzero", "compression_ratio", "perplexity", "bits_per_byte",
    "acc", "acc_norm", "exact_match", "f1", "kl_to_dense", "flip_rate", "gold_nll", "tokens_per_second", "latency_ms",
    "peak_memory", "seconds", "lpg", "lpg_abs", "clcs", "clcs_chance", "clcs_kappa", "ece", "ece_smooth", "brier",
    "confidence_gap", "selected_share", "chrf", "script_failures",
}  # fmt: skip
PACKAGES = ("torch", "transformers", "llmcompressor", "compressed-tensors", "bitsandbytes", "lm-eval")


@dataclass
class Record:
    """The measurements of one run, with what is needed to run it again.

    ``params`` holds the options that tell this run from its siblings, ``part`` what tells apart two runs that measure
    one checkpoint. Raises UserError for an unknown tier or family.
    """

    tier: str
    family: str
    model: str
    variant: str
    method: str
    params: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    items: pandas.DataFrame | None = None
    started: float = field(default_factory=time.perf_counter)
    part: str = ""

    def __post_init__(self) -> None:
        check_tier(self.tier)
        if self.family not in FAMILIES:
            raise UserError(f"unknown family {self.family!r}: choose one of {', '.join(FAMILIES)}")

    @property
    def run_id(self) -> str:
        """A readable, deterministic slug."""
        words = (self.tier, self.family, self.model, self.variant, self.part)
        return "-".join(word for word in words if word)

    def add(self, metric: str, value: float, *, benchmark: str = "", task: str = "", language: str = "",
            unit: str = "", stderr: float | None = None, n: int | None = None) -> None:  # fmt: skip
        """Append one measurement. Raises ValueError for an unknown metric or a value that is not a finite number."""
        if metric not in METRICS:
            raise ValueError(f"unknown metric {metric!r}")
        if not math.isfinite(value):
            raise ValueError(f"{metric} of {self.run_id} is {value}")
        self.rows.append({"benchmark": benchmark, "task": task, "language": language, "metric": metric,
                          "value": float(value), "unit": unit, "stderr": None if stderr is None else float(stderr),
                          "n": None if n is None else int(n)})  # fmt: skip

    def add_items(self, items: pandas.DataFrame) -> None:
        """Append per-item outcomes (columns of ``measure.tasks.Scores.items``)."""
        import pandas

        self.items = items if self.items is None else pandas.concat([self.items, items], ignore_index=True)

    def write(self, folder: str | Path) -> Path:
        """Write ``items.parquet``, then ``record.json``, under ``folder``: the record vouches for the rest."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if self.items is not None:
            items = self.items.assign(run_id=self.run_id)
            write_atomic(folder / "items.parquet", lambda path: items.to_parquet(path, index=False))
        body = {
            "run_id": self.run_id, "tier": self.tier, "family": self.family, "model": self.model,
            "variant": self.variant, "method": self.method, "params": self.params, "rows": self.rows,
            "provenance": {**provenance(), "seconds": round(time.perf_counter() - self.started, 2), **self.provenance},
        }  # fmt: skip
        text = json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n"
        write_atomic(folder / "record.json", lambda path: path.write_text(text, encoding="utf8"))
        return folder / "record.json"


def write_atomic(path: Path, write: Any) -> None:
    """Call ``write(temporary)`` and rename the result to ``path``: readers see the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def provenance() -> dict[str, Any]:
    """Git state, package versions, device and thread count of this process."""
    import platform
    from importlib.metadata import version

    import torch

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(root()), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    cuda = torch.cuda.is_available()
    return {
        "git_sha": git("rev-parse", "HEAD"),
        "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name() if cuda else f"CPU ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def read_record(path: Path) -> dict[str, Any]:
    """One record.json. Raises UserError when it is missing, is not valid JSON or lacks its rows."""
    try:
        body = json.loads(path.read_text(encoding="utf8"))
        body["rows"], body["run_id"]
    except FileNotFoundError as fault:
        raise UserError(f"{path} is missing: run `make study` to measure it") from fault
    except (ValueError, KeyError) as fault:
        raise UserError(f"{path} is not a record ({fault}): delete its folder and run again") from fault
    return body


def read_all(folders: Iterable[str | Path]) -> tuple[pandas.DataFrame, pandas.DataFrame, pandas.DataFrame]:
    """The records of ``folders`` as (metrics in :data:`COLUMNS`, items, runs with provenance), sorted by run id.

    Raises UserError when a folder holds no record, or two records bear the same run id.
    """
    import pandas

    records: dict[str, tuple[dict, Path]] = {}
    for folder in map(Path, folders):
        body = read_record(folder / "record.json")
        if body["run_id"] in records:
            raise UserError(f"two records bear the id {body['run_id']}: delete {folder} or its twin")
        records[body["run_id"]] = (body, folder / "items.parquet")
    metrics, items, runs = [], [], []
    for run_id, (body, item_file) in sorted(records.items()):
        head = {key: body[key] for key in ("tier", "family", "model", "variant", "method", "run_id")}
        head["params"] = json.dumps(body["params"], sort_keys=True, ensure_ascii=False)
        metrics += [{**head, **row} for row in body["rows"]]
        past = {k: json.dumps(v, sort_keys=True) if isinstance(v, dict) else v for k, v in body["provenance"].items()}
        runs.append({"run_id": run_id, **past})
        if item_file.exists():
            items.append(pandas.read_parquet(item_file))
    table = pandas.DataFrame(metrics, columns=COLUMNS)
    table["n"] = table["n"].astype("Int64")
    return table, pandas.concat(items, ignore_index=True) if items else pandas.DataFrame(), pandas.DataFrame(runs)


def collect(tier: str, folders: Iterable[str | Path], out: str | Path) -> pandas.DataFrame:
    """Gather the records of ``folders`` into ``out``: ``{tier}.csv``, ``{tier}_items.parquet``, ``{tier}_runs.csv``.

    Raises UserError when a record is missing or belongs to another tier: a rehearsal never passes as a measurement.
    """
    table, items, runs = read_all(folders)
    strangers = sorted(table.loc[table["tier"] != check_tier(tier), "run_id"].unique())
    if strangers:
        raise UserError(f"{strangers[0]} is not of the {tier} tier: move it elsewhere")
    out = Path(out)
    write_atomic(out / f"{tier}.csv", lambda path: table.to_csv(path, index=False, float_format="%.6g"))
    small = compact(items)
    write_atomic(out / f"{tier}_items.parquet", lambda path: small.to_parquet(path, compression="zstd"))
    write_atomic(out / f"{tier}_runs.csv", lambda path: runs.to_csv(path, index=False))
    return table


def compact(items: pandas.DataFrame) -> pandas.DataFrame:
    """The same items with dictionary-coded text and 32-bit numbers: a fifth of the bytes in git."""
    words = [name for name in ("run_id", "benchmark", "task", "language", "item_id", "cluster") if name in items]
    numbers = items.select_dtypes("float64").columns
    return items.astype({**dict.fromkeys(words, "category"), **dict.fromkeys(numbers, "float32")})

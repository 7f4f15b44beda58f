"""One run, one record: written atomically, read back as one tidy table."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini import origin, schema
from llmini.schema import FAMILIES, METRICS
from llmini.settings import UserError, check_tier, root

if TYPE_CHECKING:
    import pandas

COLUMNS = ["tier", "family", "model", "variant", "method", "params", "benchmark", "task", "language",
           "metric", "value", "unit", "stderr", "n", "run_id"]  # fmt: skip
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
        """Write ``items.parquet``, then ``record.json``, under ``folder``: the record vouches for the rest.

        Of made-up weights (`llmini.origin.rehearsed`) it is written as of the tier ``rehearsal``, whatever ran.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tier = origin.REHEARSAL if origin.rehearsed(self.model, self.tier) else self.tier
        run_id = tier + self.run_id.removeprefix(self.tier)
        past = {**provenance(), "hashes": origin.hashes(self.model, self.tier)}
        if self.items is not None:
            items = self.items.assign(run_id=run_id)
            write_atomic(folder / "items.parquet", lambda path: items.to_parquet(path, index=False))
            past["items_sha256"] = file_hash(folder / "items.parquet")
        body = {
            "run_id": run_id, "tier": tier, "family": self.family, "model": self.model,
            "variant": self.variant, "method": self.method, "params": self.params, "rows": self.rows,
            "provenance": {**past, "seconds": round(time.perf_counter() - self.started, 2), **self.provenance},
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


def file_hash(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_record(path: Path) -> dict[str, Any]:
    """One record.json. Raises UserError that names it when it is missing, damaged or no record (`llmini.schema`)."""
    try:
        body = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError as fault:
        raise UserError(f"{path} is missing: run `make study` to measure it") from fault
    except (OSError, ValueError) as fault:
        raise UserError(f"{path} is not a record ({fault}): delete its folder and run again") from fault
    if wrong := schema.fault(body):
        raise UserError(f"{path} is not a record ({wrong}): delete its folder and run again")
    return body


def read_parquet(path: Path) -> pandas.DataFrame:
    """A Parquet file, read by this thread alone: pyarrow's pools wait for ever for a thread that cannot be started,
    as where memory has run out. Raises OSError or ValueError for what is no such file."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        return file.read(use_threads=False).to_pandas(use_threads=False)


def read_items(folder: Path, body: dict[str, Any]) -> pandas.DataFrame | None:
    """The items of a record, None where it has none. Raises UserError for a file that the record does not vouch for."""
    path, told = folder / "items.parquet", body["provenance"].get("items_sha256")
    if not path.exists():
        if told:
            raise UserError(f"{path} is missing, although its record speaks of it: delete {folder} and run again")
        return None
    try:
        if told not in (None, file_hash(path)):
            raise ValueError("its bytes are not those that its record vouches for")
        items = read_parquet(path)
        if set(items["run_id"].unique()) - {body["run_id"]}:
            raise ValueError(f"it holds items of {sorted(set(items['run_id']) - {body['run_id']})[0]}")
    except (OSError, ValueError, KeyError) as fault:
        raise UserError(f"{path} is damaged ({fault}): delete {folder} and run again") from fault
    return items


def read_all(folders: Iterable[str | Path]) -> tuple[pandas.DataFrame, pandas.DataFrame, pandas.DataFrame]:
    """The records of ``folders`` as (metrics in :data:`COLUMNS`, items, runs with provenance), sorted by run id.

    Raises UserError when a folder holds no valid record, two records bear one run id, or two were made from different
    weights or data: numbers from two states of a model or data set never stand in one table.
    """
    import pandas

    records: dict[str, tuple[dict, Path]] = {}
    for folder in map(Path, folders):
        body = read_record(folder / "record.json")
        if body["run_id"] in records:
            raise UserError(f"two records bear the id {body['run_id']}: delete {folder} or its twin")
        records[body["run_id"]] = (body, folder)
    check_same_sources([body for _, (body, _) in sorted(records.items())])
    metrics, items, runs = [], [], []
    for run_id, (body, folder) in sorted(records.items()):
        head = {key: body[key] for key in ("tier", "family", "model", "variant", "method", "run_id")}
        head["params"] = json.dumps(body["params"], sort_keys=True, ensure_ascii=False)
        metrics += [{**head, **row} for row in body["rows"]]
        past = {k: json.dumps(v, sort_keys=True) if isinstance(v, dict) else v for k, v in body["provenance"].items()}
        runs.append({"run_id": run_id, **past})
        if (found := read_items(folder, body)) is not None:
            items.append(found)
    table = pandas.DataFrame(metrics, columns=COLUMNS)
    table["n"] = table["n"].astype("Int64")
    return table, pandas.concat(items, ignore_index=True) if items else pandas.DataFrame(), pandas.DataFrame(runs)


def check_same_sources(bodies: Iterable[dict[str, Any]]) -> None:
    """Raise UserError naming two records of one tier whose model or data of one name have different hashes."""
    seen: dict[tuple[str, ...], tuple[str, str]] = {}
    for body in bodies:
        for name, value in body["provenance"].get("hashes", {}).items():
            key = (body["tier"], name, body["model"] if name == "model" else "")
            first, known = seen.setdefault(key, (body["run_id"], value))
            if known != value:
                what = f"weights of {body['model']}" if name == "model" else name if "/" in name else "data"
                raise UserError(f"{first} and {body['run_id']} were made from different {what} ({known[:12]} and "
                                f"{value[:12]}): run the study again, it measures what is out of date")  # fmt: skip


def collect(tier: str, folders: Iterable[str | Path], out: str | Path,
            fingerprints: Mapping[Path, str] | None = None) -> pandas.DataFrame:  # fmt: skip
    """Gather the records of ``folders`` into ``out``: ``{tier}.csv``, ``{tier}_items.parquet``, ``{tier}_runs.csv``.

    fingerprints: folder -> what its record has to be made from (`llmini.grid.fingerprint`); the record then also has to
    bear the folder's name. Raises UserError when a record is missing, damaged or foreign, made from other code, data or
    weights, or of another tier: a rehearsal never passes as a measurement.
    """
    folders = list(map(Path, folders))
    table, items, runs = read_all(folders)
    strangers = sorted(table.loc[table["tier"] != check_tier(tier), "run_id"].unique())
    if strangers:
        made_up = strangers[0].startswith(f"{origin.REHEARSAL}-")
        hint = ("it was measured on weights made up to rehearse with: delete it, and point HF_HOME at a real cache"
                if made_up else "move it elsewhere")  # fmt: skip
        raise UserError(f"{strangers[0]} is not of the {tier} tier: {hint}")
    for folder in folders if fingerprints else ():
        body = read_record(folder / "record.json")
        if body["run_id"].partition("-")[2] != folder.name.partition("-")[2]:
            raise UserError(f"{folder} holds the record of {body['run_id']}: delete the folder and run again")
        if body["provenance"].get("fingerprint") != fingerprints[folder]:
            raise UserError(f"{body['run_id']} was made from other code, data or weights than are here now: run the "
                            "study again")  # fmt: skip
    write_tables(tier, out, table, items, runs)
    return table


def write_tables(tier: str, out: str | Path, table: pandas.DataFrame, items: pandas.DataFrame,
                 runs: pandas.DataFrame) -> None:  # fmt: skip
    """Write the three files of a tier into ``out``; counts (bytes, say) keep every digit, other values six."""
    whole = table["value"].map(lambda value: f"{value:.0f}" if float(value).is_integer() else f"{value:.6g}")
    small, out = compact(items), Path(out)
    write_atomic(out / f"{tier}.csv",
                 lambda path: table.assign(value=whole).to_csv(path, index=False, float_format="%.6g"))  # fmt: skip
    write_atomic(out / f"{tier}_items.parquet", lambda path: small.to_parquet(path, compression="zstd"))
    write_atomic(out / f"{tier}_runs.csv", lambda path: runs.to_csv(path, index=False))


def renew(tier: str, folders: Iterable[str | Path], kept: set[str], committed: str | Path,
          out: str | Path) -> None:  # fmt: skip
    """Write into ``out`` the committed tables with the records of ``folders`` in them: ``kept`` run ids stay, the
    folders' take their place or are added, all others go."""
    import pandas

    new, committed = read_all(folders), Path(committed)
    empty = {"keep_default_na": False, "na_values": {"stderr": [""], "n": [""]}}
    old = (pandas.read_csv(committed / f"{tier}.csv", dtype={"n": "Int64"}, **empty),
           read_parquet(committed / f"{tier}_items.parquet"),
           pandas.read_csv(committed / f"{tier}_runs.csv", dtype=str, keep_default_na=False))  # fmt: skip
    made = [pandas.concat([before[before["run_id"].isin(kept)].astype({"run_id": str}), now], ignore_index=True)
            for before, now in zip(old, new, strict=True)]  # fmt: skip
    write_tables(tier, out, *(frame.sort_values("run_id", kind="stable", ignore_index=True) for frame in made))


def compact(items: pandas.DataFrame) -> pandas.DataFrame:
    """The same items with dictionary-coded text and 32-bit numbers: a fifth of the bytes in git."""
    words = [name for name in ("run_id", "benchmark", "task", "language", "item_id", "cluster") if name in items]
    numbers = items.select_dtypes("float64").columns
    return items.astype({**dict.fromkeys(words, "category"), **dict.fromkeys(numbers, "float32")})

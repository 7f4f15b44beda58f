"""Before anything is queued: what every run of a grid takes (`llmini.needs`), and which runs cannot fit."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from llmini import costs, grid, schema
from llmini.compress import plan
from llmini.compress.folder import readable
from llmini.costs import Device
from llmini.grid import Job
from llmini.needs import Need, need
from llmini.settings import UserError, root, runs


def needs(tier: str, core: bool, device: Device, family: str = "",
          unknown: dict[str, str] | None = None) -> list[tuple[Job, Need]]:  # fmt: skip
    """Every run of a tier's grid, or of one family of it, once, with the job that makes it.

    unknown: takes model -> why for those that cannot be read (gated, not fetched); their runs are left out. Raises
    UserError for the first such model where it is None.
    """
    found: dict[str, tuple[Job, Need]] = {}
    for job in grid.jobs(tier, core):
        for run in job.runs if family in ("", job.family) else ():
            if run.run_id in found or run.model in (unknown or ()):
                continue
            try:
                found[run.run_id] = (job, need(run, job, device))
            except UserError as fault:
                if unknown is None:
                    raise
                unknown[run.model] = str(fault)
    return list(found.values())


def refused(needs: Iterable[tuple[Job, Need]], device: Device) -> list[str]:
    """A line for each run that cannot fit, by name."""
    lines = [(one.run.run_id, one.refusal(device)) for _, one in needs]
    return [f"{name} {why}" for name, why in lines if why]


def check(tier: str, core: bool, profile: Path | None = None) -> list[str]:
    """The runs that cannot fit where a study would run them: on this machine, or on a SLURM profile's devices."""
    if profile is None:
        device = costs.device("here")
        return refused(needs(tier, core, device), device)
    found = []
    for family, device in devices_of(profile).items():
        found += refused(needs(tier, core, device, family), device)
    return found


def room(tier: str, core: bool) -> str:
    """In words, why what is still to be measured does not fit the disk where runs are kept; empty when it does."""
    left = {run.run_id for job in grid.jobs(tier, core) for run in job.pending()}
    wanted = sum(one.disk for _, one in needs(tier, core, costs.device("a100")) if one.run.run_id in left)
    place = next(path for path in (runs(tier), root() / "runs", root()) if path.is_dir())
    free = shutil.disk_usage(place).free
    return f"the runs left write {readable(wanted)} and {readable(free)} are free at {place}" if wanted > free else ""


def devices_of(profile: Path) -> dict[str, Device]:
    """Family -> device, as a SLURM profile asks for GPUs (``gres: gpu:a100:1``) and host memory (``mem_mb``), in
    ``set-resources`` or, for all families, in ``default-resources``. A family that asks for no GPU is left out.

    Raises UserError for a GPU of a type that devices.yaml does not know, or of none: nothing could be checked.
    """
    import yaml

    body = yaml.safe_load((profile / "config.yaml").read_text(encoding="utf8"))
    usual, own, found = resources(body, "default-resources"), resources(body, "set-resources"), {}
    for family in schema.FAMILIES:
        told = {**usual, **(own.get(family) or {})}
        asked = re.search(r"gpu(?::([A-Za-z][\w.-]*))?(?::\d+)?$", str(told.get("gres", "")))
        if asked:
            device = costs.device(gpu(asked[1] or "", family))
            found[family] = replace(device, host=1e6 * float(told["mem_mb"])) if "mem_mb" in told else device
    return found


def resources(body: dict, name: str) -> dict:
    """A profile's resources, which Snakemake takes as a mapping or as a list of ``name=value``."""
    told = body.get(name) or {}
    return told if isinstance(told, dict) else dict(str(line).split("=", 1) for line in told)


def gpu(name: str, family: str) -> str:
    """The entry of devices.yaml for a GPU as a cluster calls it: ``A100``, ``nvidia_a100_80gb_pcie``, ``tesla_t4``."""
    words = {word.removesuffix("gb") for word in re.split(r"[^a-z0-9]+", name.lower())}
    if not any(re.fullmatch(r"\d+g", word) for word in words):  # a slice of a GPU is another device
        for known in sorted(costs.table("devices"), key=len, reverse=True):
            if words.issuperset(known.split("_")):
                return known
    kind = f"type {name!r}" if name else "no named type"
    raise UserError(f"the profile gives {family} a GPU of {kind}, and the plan knows "
                    f"{', '.join(sorted(costs.table('devices')))}: add yours to lib/llmini/devices.yaml and name it in "
                    "the profile (gres: gpu:TYPE:1)")  # fmt: skip


def text(tier: str, core: bool, names: Iterable[str]) -> str:
    """The plan of a whole grid as lines: a table a device type, totals, and what is refused."""
    parts = []
    for name in names:
        device = costs.device(name)
        parts.append("\n".join(lines(tier, core, device)))
    return "\n\n".join(parts)


def lines(tier: str, core: bool, device: Device) -> list[str]:
    """The plan for one device."""
    unknown: dict[str, str] = {}
    found = needs(tier, core, device, unknown=unknown)
    width = max((len(one.run.run_id) for _, one in found), default=10)
    made = [f"{tier} tier on {device.name}: {len(found)} runs",
            f"{'':<{width}}{'weights':>12}{'device':>12}{'host':>12}{'disk':>12}{'time':>9}"]  # fmt: skip
    total, space = 0.0, 0
    for _, one in found:
        took = costs.seconds(one.work, device)
        why = one.refusal(device)
        total, space = total + (0 if why else took), space + one.disk
        sizes = "".join(f"{readable(value):>12}" for value in (one.weights, one.gpu, one.host, one.disk))
        made.append(f"{one.run.run_id:<{width}}{sizes}{plan.duration(took):>9}{'  REFUSED' if why else ''}")
    weights = {one.run.model: one.weights for _, one in found}
    made.append(f"{'in all':<{width}}{readable(sum(weights.values())):>12}{'':>24}{readable(space):>12}"
                f"{plan.duration(total):>9}")  # fmt: skip
    no = refused(found, device)
    made += [f"unknown, and not in this plan: {model}: {why}" for model, why in unknown.items()]
    made += [f"refused: {line}" for line in no] or ([] if unknown else ["every run fits"])
    return made


def summary(tier: str, core: bool, device: Device) -> list[str]:
    """A Markdown table of a grid by family: runs, the largest memory of one, disk and time of all that fit."""
    groups: dict[str, list[Need]] = {}
    for job, one in needs(tier, core, device):
        groups.setdefault(job.family, []).append(one)
    heads = ("family", "runs", "device memory, at most", "host memory, at most", "disk, together", "time, together")
    made = [f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|"]
    for family, mine in groups.items():
        fits = [one for one in mine if not one.refusal(device)]
        took = sum(costs.seconds(one.work, device) for one in fits)
        left = f" ({len(mine) - len(fits)} do not fit)" if len(fits) < len(mine) else ""
        most = (readable(max((getattr(one, name) for one in fits), default=0)) for name in ("gpu", "host"))
        cells = (family, f"{len(mine)}{left}", *most, readable(sum(one.disk for one in fits)), plan.duration(took))
        made.append(f"| {' | '.join(cells)} |")
    return made


def checked_profile(name: str) -> Path | None:
    """The folder of a profile that queues runs elsewhere; None for the local one. Raises UserError without one."""
    if name == "local":
        return None
    place = Path(name) if Path(name).is_dir() else root() / "workflow" / "profiles" / name
    if not (place / "config.yaml").is_file():
        raise UserError(f"no profile {name!r}: give local, slurm, or a folder with a config.yaml")
    return place

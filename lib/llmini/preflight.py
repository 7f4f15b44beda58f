"""Before anything is queued: what every run of a grid takes (`llmini.needs`), and which runs cannot fit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from llmini import costs, grid
from llmini.compress import plan
from llmini.compress.folder import readable
from llmini.costs import Device
from llmini.grid import Job
from llmini.needs import Need, need
from llmini.settings import UserError, root


def needs(tier: str, core: bool, device: Device, family: str = "") -> list[tuple[Job, Need]]:
    """Every run of a tier's grid, or of one family of it, once, with the job that makes it."""
    found: dict[str, tuple[Job, Need]] = {}
    for job in grid.jobs(tier, core):
        for run in job.runs if family in ("", job.family) else ():
            if run.run_id not in found:
                found[run.run_id] = (job, need(run, job, device))
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


def devices_of(profile: Path) -> dict[str, Device]:
    """Family -> device, as a profile's ``set-resources`` ask for GPUs (``gpu:a100:1``) and host memory (``mem_mb``)."""
    import yaml

    body = yaml.safe_load((profile / "config.yaml").read_text(encoding="utf8"))
    usual, found = body.get("default-resources", {}), {}
    for rule, own in body.get("set-resources", {}).items():
        told = {**usual, **own}
        asked = re.search(r"gpu:(\w+):\d+", str(told.get("gres", "")))
        if asked and asked[1] in costs.table("devices"):
            device = costs.device(asked[1])
            found[rule] = replace(device, host=1e6 * float(told["mem_mb"])) if "mem_mb" in told else device
    return found


def text(tier: str, core: bool, names: Iterable[str]) -> str:
    """The plan of a whole grid as lines: a table a device type, totals, and what is refused."""
    parts = []
    for name in names:
        device = costs.device(name)
        parts.append("\n".join(lines(tier, core, device)))
    return "\n\n".join(parts)


def lines(tier: str, core: bool, device: Device) -> list[str]:
    """The plan for one device."""
    found = needs(tier, core, device)
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
    made += [f"refused: {line}" for line in no] or ["every run fits"]
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

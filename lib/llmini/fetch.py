"""What a tier's grid reads from the hub, downloaded before anything is queued: for nodes without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from llmini import grid, models, origin, texts
from llmini.settings import UserError


def wanted_models(tier: str, core: bool = False) -> list[str]:
    """The hub ids of the models that a tier's grid reads, teachers and translators included, in order of the grid."""
    found: dict[str, None] = {}
    for job in grid.jobs(tier, core):
        for name in dict.fromkeys((job.parameters.get("teacher_model", ""), *(run.model for run in job.runs))):
            place = origin.source(name, tier) if name else None
            if place is not None and models.is_hub_id(place) and not place.startswith("data/"):
                found[place] = None
    return list(found)


def wanted_data(tier: str, core: bool = False) -> dict[str, Callable[[], Any]]:
    """Name -> what loads it, of the data sets that the families of a tier's grid read."""
    from llmini.measure import full_tasks, tasks
    from llmini.train import corpora_readers, encoders_readers

    families = {job.family for job in grid.jobs(tier, core)}
    found: dict[str, Callable[[], Any]] = {
        "wikitext2, test": lambda: texts.documents("wikitext2", "en", "test"),
        "opus-100, test": lambda: texts.hub_rows("Helsinki-NLP/opus-100", name="ar-en", split="test"),
        **{name: (lambda name=name: tasks.load(name, tier)) for name in tasks.benchmarks(tier)},
    }
    if families & {"quant", "prune", "merge"}:
        found |= {f"c4, {language}": (lambda language=language: shard(language)) for language in ("en", "ar")}
    if "encoder" in families:
        found |= {f"sst2, {split}": (lambda split=split: encoders_readers.sst2(split)) for split in ("train", "test")}
    if families & {"kd", "finetune", "merge"}:
        found |= {name: (lambda name=name: corpora_readers.hub_rows(name)) for name in ("opus-100", "alpaca")}
        found |= {name: (lambda name=name: full_tasks.load(name)) for name in full_tasks.public()}
    return found


def shard(language: str) -> None:
    """C4's shard of a language, also under the name by which `datasets` looks for it when there is no network.

    That name is a hash of the file as it was asked for; online it is a hash of the file as it was found, so that what
    was loaded once is not found again offline (seen with datasets 5.2).
    """
    import datasets

    files = {"train": texts.C4_SHARDS[language]}
    rows = texts.hub_rows("allenai/c4", data_files=files, split="train")
    prepared = Path(rows.cache_files[0]["filename"]).parents[2]
    offline = datasets.BuilderConfig("default").create_config_id(config_kwargs={"data_files": files})
    place = prepared.with_name(offline)
    if not place.exists():
        place.symlink_to(prepared.name)


def fetch(tier: str, core: bool = False, say: Callable[[str], None] = print) -> list[str]:
    """Download a tier's models and data sets into the local cache; returns one line for each that cannot be had.

    What is there already is not fetched again. A line says what to do: accept a licence, log in, mend a name.
    Raises UserError for a tier that reads nothing from the hub.
    """
    if tier == "pocket":
        raise UserError("the pocket tier reads nothing from the hub: its models and data are in the repository")
    return [line for line in steps(tier, core, say) if line]


def steps(tier: str, core: bool, say: Callable[[str], None]) -> Iterator[str]:
    """Each download in turn; gives a line for one that failed, and an empty one else."""
    for repository in wanted_models(tier, core):
        say(f"model {repository}")
        yield attempt(lambda repository=repository: models.locate(repository, tier))
    for name, load in wanted_data(tier, core).items():
        say(f"data {name}")
        yield attempt(load)


def attempt(load: Callable[[], Any]) -> str:
    """The fault of a download in one line, or nothing."""
    try:
        load()
    except UserError as fault:
        return " ".join(str(fault).split())
    return ""


def missing(tier: str, names: Iterable[str]) -> list[str]:
    """Those of the hub ids ``names`` whose weights are not in the local cache, or not whole."""
    return [name for name in names if not whole(name)]


def whole(repository: str) -> bool:
    """Whether the local cache holds a repository's weights: every file that its index names, or the single one."""
    from llmini import validate

    place = origin.snapshot(repository)
    if place is None:
        return False
    try:
        validate.read_weights(place, "model")
    except UserError:
        return False
    return True

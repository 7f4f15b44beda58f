"""Corpora of the fine-tuning curriculum as data: where each lives, how it is had, and its texts.

``data/corpora/registry.yaml`` is the list. No corpus is part of this repository: open ones come from the hub, the
others are read from the path that the user gives.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from llmini.settings import UserError, data

ACCESS = ("open", "on_request", "none_found")
LANGUAGES = ("ar", "gulf", "en")
HELD_OUT = re.compile("(?:(?<![A-Za-z])(?:dev|test|valid|validation|tune|sample)|Dev|Test|Tune|Sample|DEV|TEST)"
                      "s?(?![a-z])")  # fmt: skip
"""Parts of a folder that are never training text, by a file's path in it (QALB has Train, Dev and Test)."""
_DAMAGED = re.compile("[\ud800-\udfff\ufffd]")  # a letter was lost before the text came here


@dataclass(frozen=True)
class Text:
    """A training text. ``prompt`` None: ``text`` is a document; else it is the answer to the prompt.

    ``language``: ``ar`` (standard Arabic), ``gulf`` (Gulf and Bahraini dialects) or ``en``.
    """

    id: str
    language: str
    text: str
    prompt: str | None = None


@dataclass(frozen=True)
class Entry:
    """A corpus of the registry.

    ``where``: addresses, none invented; ``ask``: how to get a copy; ``searched``: what was looked for, where little or
    nothing was found; ``format_known``: whether the format is documented by its makers or assumed here; ``env``: the
    environment variable with the path of the user's copy; ``hub``: the data set's id, for those read from the hub.
    """

    name: str
    title: str
    stage: int
    language: str
    where: tuple[str, ...]
    licence: str
    access: str
    ask: str
    format: str
    format_known: bool
    reader: str
    env: str
    hub: str = ""
    searched: str = ""
    note: str = ""

    @property
    def instructions(self) -> bool:
        """Whether it holds requests with answers, and is not plain text alone."""
        return self.reader in ("morphology", "corrections", "questions", "hub")


def registry() -> dict[str, Entry]:
    """The corpora by name. Raises UserError for an entry that lacks a field or has an unknown value."""
    from llmini.train.corpora_readers import READERS

    found = {}
    for name, body in yaml.safe_load(data("corpora", "registry.yaml").read_text(encoding="utf8")).items():
        try:
            entry = Entry(name=name, **{**body, "where": tuple(body.get("where", ()))})
        except TypeError as error:
            known = ", ".join(field.name for field in fields(Entry))
            raise UserError(f"registry.yaml: the entry {name} does not fit ({error}): it has {known}") from error
        checks = {"access": ACCESS, "language": LANGUAGES, "reader": (*READERS, "hub"), "stage": (1, 2, 3)}
        for key, allowed in checks.items():
            if getattr(entry, key) not in allowed:
                raise UserError(f"registry.yaml: {key} of {name} is none of {', '.join(map(str, allowed))}")
        found[name] = entry
    return found


def read(name: str, path: str | Path | None = None, limit: int | None = None, seed: int = 0) -> list[Text]:
    """The texts of a corpus: its documents and its requests with answers, which :func:`documents` and
    :func:`instructions` give apart.

    ``path``: a file or folder, else the entry's environment variable, else the hub for open corpora. ``limit``: so many
    texts drawn by ``seed``, whatever the order of the files; a smaller limit takes the first of them. Texts that are
    there twice count once, and those that have lost letters (U+FFFD) are left out. In a folder, parts that
    :data:`HELD_OUT` names are not read.
    Raises UserError for an unknown corpus, one that has to be asked for (it says how), or a file that cannot be read.
    """
    return _drawn(name, path, limit, seed, (True, False))


def documents(name: str, path: str | Path | None = None, limit: int | None = None, seed: int = 0) -> list[Text]:
    """The documents alone. Arguments and errors as :func:`read`; raises UserError too for alpaca and opus-100, which
    hold requests."""
    return _drawn(name, path, limit, seed, (True,))


def instructions(name: str, path: str | Path | None = None, limit: int | None = None, seed: int = 0) -> list[Text]:
    """The requests with their answers alone: corrections, lemmas, parts of speech, questions, rows of the hub.

    Arguments and errors as :func:`read`; raises UserError too for plain text, which asks nothing.
    """
    return _drawn(name, path, limit, seed, (False,))


def fingerprint(name: str, path: str | Path | None = None) -> str:
    """SHA-256 over the files that :func:`read` reads, in sorted order, each by its name and bytes.

    It does not change when the folder moves. Of a data set on the hub, the rows are hashed. Errors as :func:`read`.
    """
    entry, place = _found(name, path)
    state = hashlib.sha256()
    if place is None:
        from llmini.train.corpora_readers import hub_rows

        rows = hub_rows(name)
        for start in range(0, len(rows), 1000):
            state.update(json.dumps(rows[start : start + 1000], sort_keys=True, ensure_ascii=False).encode())
        return state.hexdigest()
    for file in _beside(files(entry, place)):
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256")
        state.update(_relative(file, place).encode("utf8", "surrogateescape") + b"\0" + digest.digest())
    return state.hexdigest()


def files(entry: Entry, place: Path) -> list[Path]:
    """The files of a corpus under ``place``, sorted by name: the one given, or those of a folder its reader reads.

    Of corrections given twice, .sent with .cor stands before .m2. Raises UserError when there is none.
    """
    from llmini.train.corpora_readers import READERS

    endings = (".parquet",) if entry.reader == "hub" else READERS[entry.reader][1]
    if place.is_file():
        chosen = place.with_suffix(".sent") if place.suffix == ".cor" and entry.reader == "corrections" else place
        if chosen.suffix.lower() not in endings:
            raise UserError(f"{place} is no file of {entry.name}: it is read from {', '.join(endings)}")
        return [chosen]
    here = [file for file in place.rglob("*") if file.is_file() and not _hidden(file, place)]
    found = [file for file in here if file.suffix.lower() in endings]
    kept = [file for file in found if not HELD_OUT.search(_relative(file, place))]
    if entry.reader == "corrections":
        pairs = {file.with_suffix("") for file in kept if file.suffix == ".sent" and file.with_suffix(".cor") in here}
        edits = {file.with_suffix("") for file in kept if file.suffix == ".m2"}
        kept = [file for file in kept if not (file.suffix == ".m2" and file.with_suffix("") in pairs)
                and not (file.suffix == ".sent" and file.with_suffix("") in edits - pairs)]  # fmt: skip
    if not kept:
        why = "none but held-out parts" if found else f"no file ending in {', '.join(endings)}"
        raise UserError(f"{place}, given for {entry.name}, holds {why}: give the folder or file of the training text")
    return sorted(kept, key=lambda file: _relative(file, place))


def _beside(chosen: Iterable[Path]) -> Iterator[Path]:
    """Each file, and after a .sent its .cor."""
    for file in chosen:
        yield file
        if file.suffix == ".sent":
            yield file.with_suffix(".cor")


def _hidden(file: Path, place: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(place).parts)


def _relative(file: Path, place: Path) -> str:
    return file.name if place.is_file() else file.relative_to(place).as_posix()


def _found(name: str, path: str | Path | None) -> tuple[Entry, Path | None]:
    """The entry and the path of its copy, None for the hub."""
    known = registry()
    if name not in known:
        raise UserError(f"unknown corpus {name!r}: choose one of {', '.join(known)}")
    entry = known[name]
    path = path or os.environ.get(entry.env)
    if path:
        place = Path(path).expanduser()
        if not place.exists():
            raise UserError(f"{place}, given for {name}, does not exist: set {entry.env} to {entry.format}")
        return entry, place
    if entry.access == "open" and entry.hub:
        return entry, None
    state = {"on_request": "is given on request", "none_found": "was found nowhere", "open": "is not part of this"}
    raise UserError(f"{entry.title} {state[entry.access]}: {entry.ask}; then set {entry.env} to {entry.format}")


def _drawn(name: str, path: str | Path | None, limit: int | None, seed: int, forms: tuple[bool, ...]) -> list[Text]:
    """``forms``: True for documents, False for requests."""
    if limit is not None and limit < 1:
        raise UserError(f"a corpus is read by 1 text or more, not {limit}: leave limit out for all of it")
    entry, place = _found(name, path)
    if forms == (False,) and not entry.instructions:
        raise UserError(f"{name} is plain text and asks nothing: read it as documents")
    if forms == (True,) and entry.reader == "hub":
        raise UserError(f"{name} holds requests with answers: read it as instructions")
    if entry.reader == "hub":
        from llmini.train.corpora_readers import hub_rows, requests

        rows = hub_rows(name, files(entry, place) if place else None)
        return [Text(f"{name}/{number}", language, answer, prompt)
                for number, language, prompt, answer in requests(name, rows, limit, seed)]  # fmt: skip
    made = _unique(_texts(entry, place, forms))

    def order(text: Text) -> bytes:
        return hashlib.sha256(f"{seed}/{text.id}".encode("utf8", "surrogateescape")).digest()

    found = list(made) if limit is None else heapq.nsmallest(limit, made, key=order)
    if not found:
        raise UserError(f"{place}, given for {name}, holds no text that can be used: check that it is {entry.format}")
    return found


def _texts(entry: Entry, place: Path, forms: tuple[bool, ...]) -> Iterator[Text]:
    for name, row in _rows(entry, place):
        if True in forms:
            yield Text(name, entry.language, row.text)
        if False in forms:
            for number, (prompt, answer) in enumerate(row.asks):
                yield Text(f"{name}/{number}", entry.language, answer, prompt)


def _rows(entry: Entry, place: Path) -> Iterator[tuple[str, Any]]:
    """(id, row) of every file: the id is the corpus, the file and the line, and tells nothing of the machine."""
    from llmini.train.corpora_readers import READERS

    reader = READERS[entry.reader][0]
    for file in files(entry, place):
        for row in reader(file):
            yield f"{entry.name}/{_relative(file, place)}/{row.line}", row


def _unique(made: Iterable[Text]) -> Iterator[Text]:
    seen: set[bytes] = set()
    for text in made:
        both = f"{text.prompt or ''}\0{text.text}"
        if not text.text.strip() or _DAMAGED.search(both):
            continue
        key = hashlib.blake2b(both.encode(), digest_size=16).digest()
        if key not in seen:
            seen.add(key)
            yield text

"""A model hub on this machine, for as long as a block runs: the calls that the hub's clients make, over folders."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOKEN = "hf_rehearsal"
"""Whoever shows it has accepted every licence."""


@contextlib.contextmanager
def serve(folder: Path, gated: tuple[str, ...] = ()) -> Iterator[str]:
    """Serve ``folder/{models,datasets}/ORG/NAME`` and give the address (for ``HF_ENDPOINT``).

    gated: ids that are given only to who shows :data:`TOKEN`; others are told, as the hub tells them, to ask for
    access. Ids that are not there are missing.
    """
    handler = functools.partial(Handler, folder, gated)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def commit(place: Path) -> str:
    """The commit of a repository: a hash of its files' names and sizes, forty digits long."""
    listed = sorted((path.relative_to(place).as_posix(), path.stat().st_size) for path in files(place))
    return hashlib.sha1(json.dumps(listed).encode()).hexdigest()


def files(place: Path) -> list[Path]:
    """The files of a repository, without the mark that it is whole."""
    return sorted(path for path in place.rglob("*") if path.is_file() and path.name != "whole")


class Handler(http.server.BaseHTTPRequestHandler):
    """The hub's answers: repository information, trees, and files by ``resolve``."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, gated: tuple[str, ...], *arguments: Any) -> None:
        self.folder, self.gated = folder, gated
        super().__init__(*arguments)

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def tell(self, content: Any) -> None:
        self.answer(200, json.dumps(content).encode(), Content_Type="application/json")

    def do_GET(self) -> None:
        path = urllib.parse.unquote(self.path.partition("?")[0]).strip("/")
        path = path.removeprefix("api/")
        kind = "datasets" if path.startswith("datasets/") else "models"
        parts = path.removeprefix(f"{kind}/").split("/")
        repository, rest = "/".join(parts[:2]), parts[2:]
        place = self.folder / kind / repository
        if not (place / "whole").exists():
            return self.answer(404, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        if repository in self.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(403, X_Error_Code="GatedRepo", X_Error_Message=f"Access to {repository} is restricted")
        if rest[:1] == ["resolve"]:
            return self.file(place, "/".join(rest[2:]))
        listed = [{"type": "file", "path": file.relative_to(place).as_posix(), "size": file.stat().st_size,
                   "oid": hashlib.sha1(file.name.encode()).hexdigest()} for file in files(place)]  # fmt: skip
        if rest[:1] == ["tree"]:
            return self.tell(self.tree(listed, "/".join(rest[2:])))
        if rest[:1] == ["paths-info"]:
            wanted = self.paths()
            folders = [{"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in wanted
                       if any(entry["path"].startswith(f"{name}/") for entry in listed)]  # fmt: skip
            return self.tell([*folders, *(entry for entry in listed if entry["path"] in wanted)])
        siblings = [{"rfilename": entry["path"]} for entry in listed]
        return self.tell({"id": repository, "sha": commit(place), "siblings": siblings, "private": False,
                          "gated": "manual" if repository in self.gated else False, "disabled": False, "tags": [],
                          "downloads": 0, "likes": 0, "lastModified": "2025-01-01T00:00:00.000Z"})  # fmt: skip

    do_HEAD = do_POST = do_GET

    def paths(self) -> list[str]:
        """The paths that a request's body asks about."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        try:
            found = json.loads(body)["paths"]
        except (ValueError, KeyError, TypeError):
            found = urllib.parse.parse_qs(body).get("paths", [])
        return [found] if isinstance(found, str) else found

    def tree(self, listed: list[dict[str, Any]], under: str) -> list[dict[str, Any]]:
        """The entries below a folder: all with ``recursive``, else the next level alone."""
        inside = [entry for entry in listed if not under or entry["path"].startswith(f"{under}/")]
        if "recursive=true" in self.path.lower():
            return inside
        depth = under.count("/") + 1 if under else 0
        found = {}
        for entry in inside:
            parts = entry["path"].split("/")
            name = "/".join(parts[: depth + 1])
            found[name] = entry if name == entry["path"] else {"type": "directory", "path": name, "oid": "0" * 40,
                                                                "size": 0}  # fmt: skip
        return list(found.values())

    def file(self, place: Path, name: str) -> None:
        """One file, whole or in part."""
        path = place / name
        if path not in files(place):
            return self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=commit(place))
        body = path.read_bytes()
        told = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X_Repo_Commit": commit(place),
                "Accept_Ranges": "bytes"}  # fmt: skip
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and self.command == "GET":
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(body) - 1), len(body) - 1)
            return self.answer(206, body[start : end + 1], Content_Range=f"bytes {start}-{end}/{len(body)}", **told)
        return self.answer(200, body, **told)

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

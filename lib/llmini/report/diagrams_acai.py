"""ACAI drawn from its own code: the layers that import each other, and the stores of its database."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from llmini.report.diagrams import Arrow, Box, column, draw, row
from llmini.report.display import frame
from llmini.settings import UserError, root

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

# Folder -> how the diagram calls it, from what a person sees down to what is stored.
LAYERS = {"presentation": "Presentation · العرض", "router": "Router · الموجّه", "agents": "Agents · الوكلاء",
          "services": "Services · الخدمات", "models": "Models · البيانات"}  # fmt: skip
EXTERNAL = {"idb": "IndexedDB", "minisearch": "search", "marked": "Markdown", "dompurify": "sanitizing",
            "transformers": "language model", "pdf": "PDF"}  # fmt: skip
APP = "app.js"


def source(*parts: str) -> str:
    """The text of a file of ``acai/``. Raises UserError when it is not there."""
    path = root().joinpath("acai", *parts)
    if not path.exists():
        raise UserError(f"{path} is missing: restore it with `git checkout acai`")
    return path.read_text(encoding="utf8")


@cache
def modules() -> dict[str, list[str]]:
    """Layer -> its modules, without those of its subfolders' insides; a subfolder counts as one."""
    out = {}
    for layer in LAYERS:
        folder = root() / "acai" / layer
        files = [path for path in folder.glob("*") if path.suffix == ".js" or path.is_dir()]
        out[layer] = sorted({path.stem if path.suffix else path.name for path in files})
    return out


@cache
def imports() -> dict[tuple[str, str], int]:
    """(layer, layer that it imports from) -> how many imports; ``app.js`` is a layer of its own."""
    out: dict[tuple[str, str], int] = {}
    files = {path: path.relative_to(root() / "acai").parts[0] for layer in LAYERS
             for path in (root() / "acai" / layer).rglob("*.js")}  # fmt: skip
    for path, layer in {**files, root() / "acai" / APP: APP}.items():
        for target in re.findall(r"from '(\.[^']+)'", path.read_text(encoding="utf8")):
            other = Path(*(path.parent / target).resolve().relative_to((root() / "acai").resolve()).parts[:1]).name
            if other in LAYERS and other != layer:
                out[(layer, other)] = out.get((layer, other), 0) + 1
    return out


@cache
def vendored() -> dict[str, list[str]]:
    """Layer -> third-party packages that its modules import."""
    out: dict[str, list[str]] = {}
    for layer in LAYERS:
        found = {name for path in (root() / "acai" / layer).rglob("*.js")
                 for name in re.findall(r"vendor/([a-z]+)", path.read_text(encoding="utf8"))}  # fmt: skip
        out[layer] = sorted(found)
    return out


def architecture() -> Figure:
    """The layers of the application, what stands in each, and which imports which."""
    made, places = modules(), {"presentation": (0.1, 0.0), "agents": (3.4, 0.0), "router": (6.7, 0.0),
                               "services": (3.4, -2.5), "models": (0.1, -2.5)}  # fmt: skip
    boxes = {}
    for layer, title in LAYERS.items():
        lines = [", ".join(made[layer])] + ([f"with {', '.join(vendored()[layer])}"] if vendored()[layer] else [])
        boxes |= column(*places[layer], 2.8, [(layer, title, lines, "act" if layer == "agents" else "code")])
    boxes[APP] = Box(3.4, 1.0, 2.8, 0.36, f"{APP} knows them all", (), "aside")
    low = min(box.y - box.height for box in boxes.values())
    boxes |= row(0.1, low - 0.45, 9.4, [("device", "On the device: IndexedDB, the model's files, the search index", (),
                                         "data")])  # fmt: skip
    arrows = [Arrow(one, other, dashed=one == APP) for (one, other), count in sorted(imports().items())]
    arrows += [Arrow("models", "device"), Arrow("services", "device")]
    return draw(boxes, arrows, "ACAI: layers of the offline application", "أكاي: طبقات التطبيق",
                "Read from the folders of acai/ and the imports of its modules: an arrow points to what a layer "
                "imports. Everything runs in the browser; nothing leaves the device.")  # fmt: skip


@cache
def stores() -> dict[str, list[str]]:
    """Store of the database -> its indexes, from ``acai/models/database.js``."""
    body = re.search(r"export const STORES = Object\.freeze\(\{(.+?)\}\);", source("models", "database.js"), re.DOTALL)
    if not body:
        raise UserError("acai/models/database.js has no STORES: llmini.report.diagrams_acai reads its schema there")
    return {name: re.findall(r"'(\w+)'", fields) for name, fields in re.findall(r"(\w+): \[([^\]]*)\]", body[1])}


@cache
def fields() -> dict[str, list[str]]:
    """Store -> its fields besides id, user and created, from ``acai/models/check.js`` and, of users, ``users.js``."""
    body = re.search(r"const FIELDS = \{\n(.+?)\n\};", source("models", "check.js"), re.DOTALL)
    out = {"users": _keys(re.search(r"record\(\{ (.+?) \}\)", source("models", "users.js"))[1])}
    found = re.findall(r"^  (\w+): \{ (.+) \},$", body[1] if body else "", re.MULTILINE)
    return out | {name: _keys(line) for name, line in found}


def _keys(literal: str) -> list[str]:
    """The keys of a JavaScript object literal's inside: the word that begins each part outside all brackets."""
    depth, parts = 0, [""]
    for letter in literal:
        depth += (letter in "([{") - (letter in ")]}")
        parts = [*parts, ""] if letter == "," and depth == 0 else [*parts[:-1], parts[-1] + letter]
    return [re.match(r"\s*(\w+)", part)[1] for part in parts if part.strip()]


@cache
def references() -> dict[str, str]:
    """Field -> store that its id is of, from ``acai/models/check.js``."""
    body = re.search(r"const REFERENCES = \{ (.+?) \};", source("models", "check.js"))
    return dict(re.findall(r"(\w+): '(\w+)'", body[1] if body else ""))


@cache
def version() -> int:
    """The database's version."""
    return int(re.search(r"export const VERSION = (\d+);", source("models", "database.js"))[1])


def data_model() -> Figure:
    """The stores, their fields and what refers to what."""
    places = {"users": (0.1, -1.7), "chats": (2.55, -0.45), "documents": (2.55, -3.0), "queries": (5.0, 0.0),
              "responses": (5.0, -1.25), "chunks": (5.0, -3.0), "agents": (7.45, 0.0), "llms": (7.45, -1.35)}
    boxes, arrows = {}, []
    for store in stores():
        own = fields().get(store, [])
        lines = ["id, created" + ("" if store == "users" else ", user"), ", ".join(own)]
        boxes |= column(*places.get(store, (7.45, -3.0)), 2.05, [(store, store, lines, "data")])
        arrows += [Arrow(store, target, field, dashed=True) for field, target in references().items()
                   if field in own and target != store]  # fmt: skip
        arrows += [Arrow(store, "users")] if "user" in stores()[store] and places.get(store, (9,))[0] < 3 else []
    return draw(boxes, arrows, f"ACAI: the database, version {version()}", "أكاي: قاعدة البيانات",
                "Read from acai/models/database.js and check.js. Solid: a record is a user's, which holds of every "
                "store; dashed: a field with another record's id. Another user's record is refused.")


def table_5() -> pandas.DataFrame:
    """Table 5: the agents as the study lists them, and what stands for each here."""
    from llmini.report import reported

    out = []
    for line in reported.load("table_05").itertuples():
        path = root() / "acai" / "agents" / f"{line.agent}.js"
        head = re.match(r"/\*\*\s*(.+?)\s*\*/", path.read_text(encoding="utf8"), re.DOTALL) if path.exists() else None
        words = " ".join(head[1].replace("*", " ").split()) if head else ""
        out.append({"agent": f"{line.name_ar} · {line.name_latin}", ("Reported", "role"): line.role,
                     ("Reported", "task"): line.task,
                     ("Here", "module"): f"acai/agents/{line.agent}.js" if path.exists() else "not there",
                     ("Here", "what it does"): words.split("@")[0].strip() or "not there"})  # fmt: skip
    note = "Here: the first words of each module. Names as the study prints them; the last one it spells in two ways."
    return frame(out, ["agent"], "Table 5. The agents of the application", note)

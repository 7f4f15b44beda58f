"""Tables as plain HTML: readable where no style sheet reaches, as on a code host's page or in a mail."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

REPORTED, MEASURED = "Reported", "Measured"
DIGITS = 2


def frame(rows: Iterable[dict[Any, Any]], index: list[str], title: str, note: str = "",
          digits: dict[str, int] | None = None, missing: str = "not measured") -> pandas.DataFrame:  # fmt: skip
    """A DataFrame that knows its title, its note and how many decimals each column shows.

    ``rows``: one dict per line; keys named in ``index`` become the index, every other key is a column, either a name
    or a pair (group, name). ``digits``: decimals by column name. ``missing``: the word for an absent number, except in
    groups that begin with "Reported", where it is "not reported".
    """
    import pandas

    rows = list(rows)
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in index))
    body = [[row.get(key, math.nan) for key in columns] for row in rows]
    grouped = columns and all(isinstance(key, tuple) for key in columns)
    head = pandas.MultiIndex.from_tuples(columns) if grouped else columns
    names = [tuple(row[key] for key in index) for row in rows]
    keys = pandas.MultiIndex.from_tuples(names, names=index) if len(index) > 1 else [name[0] for name in names]
    out = pandas.DataFrame(body, columns=head, index=keys)
    if len(index) == 1:
        out.index.name = index[0]
    out.attrs = {"title": title, "note": note, "digits": digits or {}, "missing": missing}
    return out


def number(value: Any, digits: int = DIGITS, missing: str = "not measured") -> str:
    """A cell's text: a number with ``digits`` decimals and a true minus sign, ``missing`` for NaN or None."""
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return missing
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:,.{digits}f}" if digits else f"{round(value):,}"
    if float(text.replace(",", "")) == 0:
        if value != 0 and digits >= 4:  # p values, KL
            return f"{'−' if value < 0 else ''}{abs(value):.1e}"
        text = text.lstrip("-")
    return text.replace("-", "−")


def tiny(value: float | None, missing: str = "–") -> str:
    """A value that only its power of ten tells: ``1.3e-05``."""
    return missing if value is None or math.isnan(value) else f"{value:.1e}"


def signed(value: float, digits: int = 1, missing: str = "not measured") -> str:
    """A difference with its sign: ``+3.1``, ``−0.4``, ``0.0``."""
    text = number(value, digits, missing)
    return f"+{text}" if value > 0 and float(text.replace(",", "")) > 0 else text


def span(cell: Mapping[str, float], digits: int = 1, sign: bool = False, missing: str = "not measured") -> str:
    """``value``, ``low`` and ``high`` of a cell as ``71.2 (66.1 to 76.0)``; the value alone without an interval."""
    write = signed if sign else number
    text = write(cell["value"], digits, missing)
    if math.isnan(cell["value"]) or math.isnan(cell["low"]):
        return text
    return f"{text} ({write(cell['low'], digits)} to {write(cell['high'], digits)})"


def cells(table: pandas.DataFrame) -> list[list[str]]:
    """The formatted body of ``table``, row by row."""
    attrs = table.attrs
    out = []
    for row in table.itertuples(index=False, name=None):
        line = []
        for column, value in zip(table.columns, row, strict=True):
            group, name = column if isinstance(column, tuple) else ("", column)
            word = "not reported" if group.startswith(REPORTED) else attrs.get("missing", "not measured")
            line.append(number(value, attrs.get("digits", {}).get(name, DIGITS), word))
        out.append(line)
    return out


def to_html(table: pandas.DataFrame) -> str:
    """``table`` as a bare ``<table>`` under its title and above its note."""
    attrs, levels = table.attrs, table.index.nlevels
    lines = [f"<p><b>{html.escape(attrs['title'])}</b></p>"] if attrs.get("title") else []
    if table.empty:
        lines.append("<p>not measured</p>")
    else:
        lines += ['<table border="1">', "<thead>", *_head(table, levels), "</thead>", "<tbody>"]
        keys = [key if isinstance(key, tuple) else (key,) for key in table.index]
        for position, (key, row) in enumerate(zip(keys, cells(table), strict=True)):
            lines.append("<tr>" + _names(keys, position, key) + "".join(_cell(text) for text in row) + "</tr>")
        lines += ["</tbody>", "</table>"]
    if attrs.get("note"):
        lines.append(f"<p><small>{html.escape(attrs['note'])}</small></p>")
    return "\n".join(lines)


def _head(table: pandas.DataFrame, levels: int) -> list[str]:
    names = "".join(f'<th align="left">{html.escape(str(name or ""))}</th>' for name in table.index.names)
    if table.columns.nlevels == 1:
        return ["<tr>" + names + _heads(table.columns) + "</tr>"]
    groups = [(name, len(list(part))) for name, part in groupby(table.columns, key=lambda column: column[0])]
    top = f'<th colspan="{levels}"></th>' + "".join(
        f'<th align="center" colspan="{width}">{html.escape(str(name))}</th>' for name, width in groups
    )
    return [f"<tr>{top}</tr>", "<tr>" + names + _heads(name for _, name in table.columns) + "</tr>"]


def _heads(names: Iterable[object]) -> str:
    return "".join(f"<th>{html.escape(str(name))}</th>" for name in names)


def _names(keys: list[tuple], position: int, key: tuple) -> str:
    """Index cells of one line; a first key that repeats spans its lines."""
    out = ""
    for level, name in enumerate(key):
        text = html.escape(str(name))
        if level < len(key) - 1:
            if position and keys[position - 1][: level + 1] == key[: level + 1]:
                continue
            span = sum(1 for _ in _while_same(keys[position:], key, level))
            out += f'<th align="left" valign="top" rowspan="{span}">{text}</th>'
        else:
            out += f'<td align="left">{text}</td>'
    return out


def _while_same(keys: list[tuple], key: tuple, level: int) -> Iterable[tuple]:
    for other in keys:
        if other[: level + 1] != key[: level + 1]:
            return
        yield other


def _cell(text: str) -> str:
    numeric = text[:1].isdigit() or text[:1] in "−+±"
    if any("\u0600" <= letter <= "\u06ff" for letter in text):  # the browser finds the direction
        return f'<td dir="auto">{html.escape(text)}</td>'
    return f'<td align="{"right" if numeric else "left"}">{html.escape(text)}</td>'


@dataclass(frozen=True)
class Shown:
    """What a notebook cell ends with: HTML where it is rendered, text elsewhere."""

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def show(*tables: pandas.DataFrame) -> Shown:
    """``tables`` below each other, formatted; plain text for readers without HTML."""
    texts = []
    for table in tables:
        plain = table.astype(object).copy()
        plain.iloc[:, :] = cells(table)
        texts.append("\n".join([table.attrs.get("title", ""), plain.to_string(), table.attrs.get("note", "")]).strip())
    return Shown("\n".join(to_html(table) for table in tables), "\n\n".join(texts))

"""Files of a corpus, read strictly: lines of UTF-8, tables, JSON and cues, each fault named by file and line.

Text is normalised to NFC and nothing else: diacritics, tatweel and presentation forms stay as they are.
"""

from __future__ import annotations

import csv
import html
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from llmini.settings import UserError

ARABIC = re.compile("[\u0620-\u063f\u0641-\u064a\u066e-\u06d3\u06d5\u06ee-\u06ff\u0750-\u077f\u08a0-\u08c9"
                    "\ufb50-\ufd3d\ufd50-\ufdfb\ufe80-\ufefc]")  # fmt: skip
"""An Arabic letter, in the blocks of presentation forms too."""
CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_TIME = r"(?:(\d+):)?(\d{1,2}):(\d{2})[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?", re.ASCII)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}", re.ASCII)  # <i>, <v Name>, <00:01.000>, {\an8}
_SOUND = re.compile(r"[-–\s]*(?:\[[^\[\]]*\]|\([^()]*\)|♪.*)\s*")  # a line that says what is heard, not what is said


class Cue(NamedTuple):
    """Subtitle lines shown together: seconds from the start, and the line of the file where its times stand."""

    start: float
    end: float
    text: str
    line: int


def fault(path: Path, line: int | None, what: str) -> UserError:
    """The error of a file: one line that names the file and, where known, the line."""
    where = f"{path}" if line is None else f"{path}, line {line},"
    return UserError(f"{where} {what}")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, text in NFC without its line end) of a UTF-8 file, one after the other.

    Raises UserError for a file that cannot be read, is empty, is binary or UTF-16, or is not UTF-8.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for raw in file:
                if number == 0 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise fault(path, None, "is UTF-16 text: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8)")
                if b"\0" in raw:
                    raise fault(path, number + 1, "holds zero bytes, so it is binary or UTF-16: give it as UTF-8 text")
                try:
                    text = raw.decode("utf-8-sig" if number == 0 else "utf8")
                except UnicodeDecodeError:
                    raise fault(path, number + 1, f"is not UTF-8{_guess(raw)}") from None
                # one line end is taken off; a lone carriage return ends a line as well (old Macintosh files)
                for part in re.sub(r"\r?\n\Z|\r\Z", "", text).split("\r"):
                    number += 1
                    yield number, unicodedata.normalize("NFC", part)
    except OSError as error:
        raise fault(path, None, f"cannot be read: {error.strerror or error}") from error
    if number == 0:
        raise fault(path, None, "is empty: give the whole file")


def _guess(raw: bytes) -> str:
    """What to do about bytes that are not UTF-8: the usual other encoding of Arabic text is Windows-1256."""
    if len(ARABIC.findall(raw.decode("utf8", errors="ignore"))) >= 2:
        return " throughout: bytes of the line are damaged, get the file again"
    found = raw.decode("cp1256", errors="ignore")
    letters = [letter for letter in found if letter.isalpha()]
    if len(letters) >= 2 and 2 * sum(bool(ARABIC.match(letter)) for letter in letters) > len(letters):
        return " but looks like Windows-1256 (CP1256): convert it (iconv -f CP1256 -t UTF-8)"
    return " text: give the file as UTF-8, or leave it out"


def table(path: Path) -> Iterator[tuple[int, dict[str, str] | None]]:
    """(line number, row by column name) of a .csv or .tsv file with a header; None stands for a blank line.

    Column names are lower-cased; a .tsv file has no quoting. Raises UserError for a row whose number of fields is not
    the header's, or a broken quotation.
    """
    tabs = path.suffix.lower() == ".tsv"
    style = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if tabs else {"strict": True}
    reader = csv.reader((f"{text}\n" for _, text in lines(path)), **style)
    header: list[str] = []
    try:
        for row in reader:
            if not any(field.strip() for field in row):
                if header:
                    yield reader.line_num, None
            elif not header:
                header = [field.strip().lower() for field in row]
            elif len(row) != len(header):
                raise fault(path, reader.line_num, f"has {len(row)} fields, its header {len(header)}: mend the line")
            else:
                yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise fault(path, reader.line_num, f"is not valid CSV: {error}") from error


def objects(path: Path) -> Iterator[tuple[int, Any]]:
    """(line or item number, value) of a .jsonl file, or of a .json file: its list, its one value, or JSON lines.

    Raises UserError for what is not JSON.
    """
    read = list(lines(path))
    first: ValueError | RecursionError | None = None
    if path.suffix.lower() == ".json":
        try:
            value = json.loads("\n".join(text for _, text in read))
            yield from enumerate(value if isinstance(value, list) else [value], 1)
            return
        except (ValueError, RecursionError) as error:
            first = error
    for number, text in read:
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            cause = first if first is not None and number == read[0][0] else error
            line = getattr(cause, "lineno", number) if cause is first else number
            raise fault(path, line, f"is not JSON: {getattr(cause, 'msg', 'nested too deeply')}") from error
        yield number, value


def field(path: Path, number: int, row: Any, names: tuple[str, ...]) -> str:
    """The text of the first column of ``names`` that a row has. Raises UserError when it has none, or no text in it."""
    if not isinstance(row, dict):
        raise fault(path, number, f"holds no row with the field {' or '.join(names)}")
    name = next((name for name in names if name in row), None)
    if name is None:
        shown = f"{', '.join(names)} (it has {', '.join(map(str, list(row)[:8]))})"
        raise fault(path, number, f"has none of the columns {shown}: rename one to {names[0]}")
    if not isinstance(row[name], str):
        raise fault(path, number, f"has no text in its field {name!r}")
    return unicodedata.normalize("NFC", row[name])  # JSON escapes are decoded after the line was normalised


def cues(path: Path) -> list[Cue]:
    """The cues of a SubRip (.srt) or WebVTT (.vtt) file, without markup; cues that name a sound alone are left out.

    A blank line within a cue does not end it where no number and times follow (SubRip). Raises UserError for times that
    cannot be read, text before the first cue, a .vtt file without its header, or a file without cues.
    """
    vtt = path.suffix.lower() == ".vtt"
    read = list(lines(path))
    at = 0
    if vtt:
        if not re.match(r"WEBVTT(?:\s|$)", read[0][1]):
            raise fault(path, read[0][0], "is not the header WEBVTT of a .vtt file: check the file")
        while at < len(read) and read[at][1].strip():
            at += 1
    found: list[list[Any]] = []  # start, end, lines, line number
    blank, skip = True, False
    for place in range(at, len(read)):
        number, text = read[place]
        follows = place + 1 < len(read) and "-->" in read[place + 1][1]
        if not text.strip():
            blank, skip = True, False
            continue
        if "-->" in text:
            match = _TIMES.fullmatch(text)
            if match is None:
                raise fault(path, number, "has times that cannot be read (00:00:01,000 --> 00:00:02,500 is right)")
            parts = [int(part or 0) for part in match.groups()]
            start, end = (((h * 60 + m) * 60 + s) + _thousandths(match[group], ms)
                          for (h, m, s, ms), group in ((parts[:4], 4), (parts[4:], 8)))  # fmt: skip
            found.append([start, end, [], number])
            skip = False
        elif follows and (text.strip().isdigit() or (vtt and blank)):
            pass  # the number or name of the next cue
        elif vtt and blank and re.match(r"(?:NOTE|STYLE|REGION)(?:\s|$)", text):
            skip = True
        elif skip or (not found and text.strip().isdigit()):
            pass
        elif not found:
            raise fault(path, number, "is neither the number nor the times of a cue: is it a subtitle file?")
        else:
            found[-1][2].append(text)
        blank = False
    if not found:
        raise fault(path, None, "holds no cue: is it a subtitle file?")
    made = [Cue(start, end, spoken(kept, vtt), number) for start, end, kept, number in found]
    return [cue for cue in made if cue.text]


def _thousandths(written: str, value: int) -> float:
    return value / 10 ** len(written)


def spoken(kept: list[str], entities: bool = False) -> str:
    """The lines of a cue without markup and without lines that name a sound; ``entities``: decode &amp; too."""
    plain = [" ".join(_TAG.sub("", text).split()) for text in kept]
    if entities:
        plain = [unicodedata.normalize("NFC", html.unescape(text)) for text in plain]
    return "\n".join(text for text in plain if text and not _SOUND.fullmatch(text))

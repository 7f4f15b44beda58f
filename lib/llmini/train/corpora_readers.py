"""Readers of the corpora: one function per format, from a file to its rows. :data:`READERS` lists them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from llmini.settings import UserError
from llmini.train.corpora_annotated import Row, corrections, morphology
from llmini.train.corpora_formats import ARABIC, CJK, Cue, cues, fault, field, lines, objects, spoken, table

LEAST = 4
"""Words of the shortest sentence, as in `llmini.measure.full_tasks`; training has no longest."""
PASSAGE = 120
"""Words of a passage at most: lines of a novel and cues of an episode are joined up to it."""
GAP = 10.0
"""Seconds of silence that end a passage."""
TEXT = ("text", "sentence", "transcript", "transcription", "utterance")
PROMPT, ANSWER = ("prompt", "instruction", "question"), ("answer", "output", "response", "completion")
BAHRAINI = "البحرينية"


def novels(path: Path) -> Iterator[Row]:
    """Passages of up to :data:`PASSAGE` words from a .txt file of a document: whole lines, longer ones cut.

    Lines without an Arabic letter (rulers, page numbers) are left out.
    """
    pieces = []
    for line, text in lines(path):
        words = text.split()
        if ARABIC.search(text):
            pieces += [(f"{line}.{start}", " ".join(words[start : start + PASSAGE]))
                       for start in range(0, len(words), PASSAGE)]  # fmt: skip
    yield from _passages(pieces)


def sentences(path: Path) -> Iterator[Row]:
    """A row for each sentence of a .txt file (one a line), or of a table or JSON with a column of :data:`TEXT`.

    Rows whose ``dialect`` is not Bahraini, the contrast of `llmini.measure.full_tasks`, are left out, and so are
    sentences under :data:`LEAST` words or with Chinese, Japanese or Korean letters.
    """
    for number, text in _texts(path):
        text = " ".join(text.split())
        if len(text.split()) >= LEAST and ARABIC.search(text) and not CJK.search(text):
            yield Row(str(number), text)


def transcripts(path: Path) -> Iterator[Row]:
    """Speech: passages of cues (.srt, .vtt, or .json with ``segments``), a cue a line, else :func:`sentences`.

    A silence of more than :data:`GAP` seconds ends a passage; a line that rolls on into the next cue counts once.
    """
    suffix = path.suffix.lower()
    if suffix in (".srt", ".vtt"):
        yield from _spoken(cues(path))
        return
    values = list(objects(path)) if suffix == ".json" else []
    if len(values) == 1 and isinstance(values[0][1], dict) and "segments" in values[0][1]:
        yield from _spoken(_segments(path, values[0][1]["segments"]))
    else:
        yield from sentences(path)


def _segments(path: Path, segments: Any) -> Iterator[Cue]:
    """Segments of a speech recogniser (Whisper's JSON): start and end in seconds, and text."""
    if not isinstance(segments, list):
        raise fault(path, None, "has segments that are no list")
    for number, segment in enumerate(segments, 1):
        text = spoken([field(path, number, segment, TEXT)])
        start, end = segment.get("start"), segment.get("end")
        if not all(isinstance(time, int | float) for time in (start, end)):
            raise fault(path, number, "is a segment without start and end in seconds")
        if text:
            yield Cue(float(start), float(end), text, number)


def _spoken(found: Iterable[Cue]) -> Iterator[Row]:
    group: list[tuple[str, str]] = []
    last, end = "", None
    for cue in found:
        if end is not None and cue.start - end > GAP:
            yield from _passages(group)
            group = []
        for part, text in enumerate(cue.text.split("\n")):
            if text != last:
                group.append((f"{cue.line}.{part}", text))
            last = text
        end = cue.end
    yield from _passages(group)


def _passages(pieces: Iterable[tuple[str, str]]) -> Iterator[Row]:
    """Pieces of text joined by line breaks, at most :data:`PASSAGE` words and at least :data:`LEAST`."""
    kept: list[tuple[str, str]] = []
    count = 0
    for place, text in [*pieces, ("", "")]:
        size = len(text.split())
        if kept and (count + size > PASSAGE or not text):
            joined = "\n".join(part for _, part in kept)
            if count >= LEAST and ARABIC.search(joined):
                yield Row(kept[0][0], joined)
            kept, count = [], 0
        kept.append((place, text))
        count += size


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    suffix = path.suffix.lower()
    if suffix == ".txt":
        yield from lines(path)
        return
    for number, row in table(path) if suffix in (".csv", ".tsv") else objects(path):
        if row is None:
            continue
        row = {"text": row} if isinstance(row, str) else row
        text = field(path, number, row, TEXT)
        if row.get("dialect", BAHRAINI) == BAHRAINI:
            yield number, text


def questions(path: Path) -> Iterator[Row]:
    """Questions with answers from a table or JSON: a column of :data:`PROMPT` (and ``input``), one of :data:`ANSWER`.

    The document is the question and, on the next line, its answer.
    """
    for number, row in table(path) if path.suffix.lower() in (".csv", ".tsv") else objects(path):
        if row is None:
            continue
        prompt, answer = (field(path, number, row, names).strip() for names in (PROMPT, ANSWER))
        extra = row.get("input") or ""
        prompt = "\n".join(filter(None, (prompt, extra.strip() if isinstance(extra, str) else "")))
        if prompt and answer:
            yield Row(str(number), f"{prompt}\n{answer}", ((prompt, answer),))


def hub_rows(name: str, files: Iterable[Path] | None = None) -> Any:
    """The rows of alpaca or opus-100: from the hub, or from the user's copy of its .parquet ``files``.

    Raises UserError when it cannot be reached or read.
    """
    from llmini import texts
    from llmini.train.sources import HUB

    if files is None:
        repository, options = HUB[name]
        return texts.hub_rows(repository, **options)
    import datasets
    import pyarrow
    from pyarrow import parquet

    parts = []
    for file in files:
        try:
            parts.append(datasets.Dataset(parquet.read_table(file)))
        except (pyarrow.ArrowException, OSError) as error:
            raise fault(file, None, f"cannot be read as parquet: {str(error).splitlines()[0]}") from error
    return datasets.concatenate_datasets(parts)


def requests(name: str, rows: Any, limit: int | None, seed: int) -> list[tuple[int, str, str, str]]:
    """(row number, language, request, answer) of the first ``limit`` rows, in seeded order, that are new and pass the
    filters of `llmini.train.sources`. Raises UserError for rows of another shape, or when none passes.
    """
    from llmini.train import sources
    from llmini.train.contamination import words

    make = {"opus-100": sources.translation, "alpaca": sources.instruction}[name]
    found: list[tuple[int, str, str, str]] = []
    seen: set[tuple[str, ...]] = set()
    for number, row in sources._shuffled(rows, seed):
        try:
            language, prompt, answer, turned_away = make(row, number)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"row {number} is not of the shape of {name} ({error!r}): give its own files") from error
        key = tuple(words(prompt))
        if turned_away or key in seen:
            continue
        seen.add(key)
        found.append((number, language, prompt, answer))
        if len(found) == limit:
            break
    if not found:
        raise UserError(f"{name} has no row that passes its filters: check that the whole data set is there")
    return found


READERS: dict[str, tuple[Callable[[Path], Iterator[Row]], tuple[str, ...]]] = {
    "morphology": (morphology, (".magold", ".mada", ".csv", ".tsv", ".txt")),
    "corrections": (corrections, (".m2", ".sent", ".json", ".jsonl")),
    "novels": (novels, (".txt",)),
    "sentences": (sentences, (".txt", ".jsonl", ".json", ".tsv", ".csv")),
    "transcripts": (transcripts, (".srt", ".vtt", ".csv", ".tsv", ".json", ".jsonl", ".txt")),
    "questions": (questions, (".jsonl", ".json", ".csv", ".tsv")),
}
"""Name in the registry -> the function and the names' endings of the files it reads."""

"""Files in the formats of the corpora that are given on request, with text written for this project."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

from llmini.rehearsal import texts


def write(folder: Path, count: int = 600) -> dict[str, str]:
    """Write every corpus below ``folder``, ``count`` texts of each; returns environment variable -> path."""
    from llmini.train import corpora, encoders_readers

    made = {"bc_gold_morph": _morphology, "bc_auto_morph": _morphology, "nahwuai": _questions,
            "camel_gec": _corrections, "gumar": _novels, "bahrain_corpus": _sentences,
            "bahraini_transcripts": _subtitles}  # fmt: skip
    places = {name: make(folder / name, count, name) for name, make in made.items()}
    named = {corpora.registry()[name].env: str(place) for name, place in places.items()}
    return {**named, encoders_readers.PLACE: str(_entities(folder / "masakhaner2", count // 10))}


def _entities(folder: Path, count: int) -> Path:
    """MasakhaNER's folders and columns, with sentences of the generated world under each language's code."""
    from llmini.pocket.encoder_sentences import sentences
    from llmini.schema import AFRICAN

    for language in AFRICAN:
        for split in ("train", "dev", "test"):
            lines = []
            for one in sentences(split, "en")[:count]:
                lines += [*(f"{word} {label}" for word, label in zip(one.words, one.labels, strict=True)), ""]
            save(folder / language / f"{split}.txt", lines)
    return folder


def gulf(count: int, seed: str) -> list[str]:
    """Different lines of Gulf Arabic, two or three sentences each."""
    from llmini.pocket import world

    pool, draw, found = [text for text in world.documents("train", "gulf") if text], random.Random(seed), {}
    while len(found) < count:
        found[" ".join(draw.sample(pool, draw.choice((2, 3))))] = None
    return list(found)


def arabic(count: int, seed: str) -> list[str]:
    """Different lines of standard Arabic."""
    return [text for _, text in texts.parallel(count, seed)]


def save(path: Path, lines: Iterable[str]) -> Path:
    """Lines to a file, its folder made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf8")
    return path


def _morphology(folder: Path, count: int, name: str) -> Path:
    """A table of words with lemma and part of speech, a word a line."""
    lines = ["sentence_index,word_index,word,lex,pos"]
    for number, text in enumerate(gulf(count, name)):
        words = text.translate(str.maketrans("", "", "؟،.")).split()
        lines += [f"{number},{place},{word},{word},{'noun' if place else 'verb'}" for place, word in enumerate(words)]
    return save(folder / "words.csv", lines)


def _questions(folder: Path, count: int, name: str) -> Path:
    """Questions on grammar, as JSON lines."""
    rows = []
    for text in arabic(count, name):
        row = {"question": f"ما الكلمة الأولى في هذا النص: {text}", "answer": text.split()[0]}
        rows.append(json.dumps(row, ensure_ascii=False))
    return save(folder / "questions.jsonl", rows)


def _corrections(folder: Path, count: int, name: str) -> Path:
    """Sentences with a hamza left out, and beside them as they should be."""
    right = arabic(count, name)
    wrong = [text.replace("أ", "ا").replace("إ", "ا").replace("ة", "ه", 1) for text in right]
    stem = folder / "data" / "2014" / "train" / "QALB-2014-L1-Train"
    save(stem.with_suffix(".cor"), (f"S_{number:05d} {text}" for number, text in enumerate(right)))
    save(stem.with_suffix(".sent"), (f"S_{number:05d} {text}" for number, text in enumerate(wrong)))
    return folder


def _novels(folder: Path, count: int, name: str) -> Path:
    """Documents, one a file, of lines that make passages."""
    lines = gulf(4 * count, name)
    for number in range(0, len(lines), 400):
        chapters = [" ".join(lines[place : place + 16]) for place in range(number, min(number + 400, len(lines)), 16)]
        save(folder / f"{number // 400:03d}.txt", [part for text in chapters for part in (text, "")])
    lines = gulf(40 * count, f"{name}/long")
    save(folder / "long.txt", (" ".join(lines[place : place + 30]) for place in range(0, len(lines), 30)))
    return folder


def _sentences(folder: Path, count: int, name: str) -> Path:
    """A sentence a line."""
    return save(folder / "bahrain.txt", gulf(2 * count, name))


def _subtitles(folder: Path, count: int, name: str) -> Path:
    """Cues with silences long enough to part passages."""
    lines = []
    for number, text in enumerate(gulf(count, name)):
        times = (20 * number, 20 * number + 4)
        stamps = [f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d},000" for second in times]
        lines += [str(number + 1), f"{stamps[0]} --> {stamps[1]}", text, ""]
    return save(folder / "episode.srt", lines)

"""Readers of annotated corpora: morphological analyses and grammatical error corrections."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llmini.settings import UserError
from llmini.train.corpora_formats import ARABIC, fault, field, lines, objects, table

WORD, LEMMA = ("word", "raw", "token", "form"), ("lex", "lemma")
SENTENCE = ("sentence_index", "sentence_id", "sent_id")
CORRECT = "صحّح الأخطاء في النص التالي: {}"
LEXEME = "ما المدخل المعجمي لكلمة «{}» في الجملة التالية؟ {}"
KIND = "ما نوع كلمة «{}» في الجملة التالية؟ {}"
POS = {
    "noun": "اسم", "noun_prop": "اسم علم", "noun_num": "اسم عدد", "noun_quant": "اسم كمية", "adj": "صفة",
    "adj_comp": "اسم تفضيل", "adj_num": "عدد ترتيبي", "adv": "ظرف", "adv_interrog": "ظرف استفهام",
    "adv_rel": "ظرف موصول", "verb": "فعل", "verb_pseudo": "شبه فعل", "pron": "ضمير", "pron_dem": "اسم إشارة",
    "pron_rel": "اسم موصول", "pron_interrog": "اسم استفهام", "pron_exclam": "اسم تعجب", "prep": "حرف جر",
    "conj": "حرف عطف", "conj_sub": "حرف ربط", "part": "حرف", "part_neg": "حرف نفي", "part_interrog": "حرف استفهام",
    "part_voc": "حرف نداء", "part_fut": "حرف استقبال", "part_focus": "حرف استفتاح", "part_det": "أداة تعريف",
    "part_prog": "أداة استمرار", "interj": "أداة تعجب", "abbrev": "اختصار",
}  # fmt: skip
"""The core part-of-speech tags of MADAMIRA and CAMeL Tools that a question may ask for."""
ASPECT = {"p": "فعل ماضٍ", "i": "فعل مضارع", "c": "فعل أمر"}
GENDER, NUMBER = {"m": "مذكر", "f": "مؤنث"}, {"s": "مفرد", "d": "مثنى", "p": "جمع"}


@dataclass(frozen=True)
class Row:
    """A unit of a corpus. ``line`` tells it from the others of its file; ``asks`` are its (prompt, answer) exercises.

    ``text`` is the document form; an empty one has none.
    """

    line: str
    text: str
    asks: tuple[tuple[str, str], ...] = ()


# Morphology.


def morphology(path: Path) -> Iterator[Row]:
    """Sentences with their analyses, from MADAMIRA blocks (.mada, .magold), a table or lines of "word tag".

    A table (.csv, .tsv) has a column of :data:`WORD` and ``lex`` or ``pos``, and tells sentences by :data:`SENTENCE` or
    blank lines. The document is the sentence, then a line for each word with a lemma. Two exercises, on a word drawn by
    the sentence's place: its lemma and its part of speech. Raises UserError for a file of none of these forms.
    """
    suffix = path.suffix.lower()
    read = _tabled if suffix in (".csv", ".tsv") else _tagged if suffix == ".txt" else _blocks
    for line, sentence in _sentences(path, read(path)):
        text = " ".join(word["word"] for word in sentence)
        analysed = [word for word in sentence if ARABIC.search(word["word"]) and (word.get("lex") or word.get("kind"))]
        notes = [f"{word['word']}: {'، '.join(filter(None, (word.get('lex'), word.get('kind'))))}" for word in analysed]
        draw, asks = random.Random(f"{path.name}/{line}"), []
        for name, prompt in (("lex", LEXEME), ("kind", KIND)):
            if known := [word for word in analysed if word.get(name)]:
                word = draw.choice(known)
                asks.append((prompt.format(word["word"], text), word[name]))
        yield Row(str(line), "\n".join([text, *notes]), tuple(asks))


def _sentences(path: Path, read: Iterable[tuple[int, dict[str, str] | None]]) -> Iterator[tuple[int, list[dict]]]:
    """Words gathered to sentences; None ends one."""
    kept: list[dict[str, str]] = []
    start, seen = 0, False
    for line, word in read:
        if word is not None:
            start, seen = (start if kept else line), True
            kept.append(word)
        elif kept:
            yield start, kept
            kept = []
    if kept:
        yield start, kept
    if not seen:
        raise fault(path, None, "holds no analysed word: check that it is a morphological annotation")


def _blocks(path: Path) -> Iterator[tuple[int, dict[str, str] | None]]:
    """MADAMIRA: ";;WORD w", then analyses; the chosen one begins with *. "SENTENCE BREAK" or ";;; SENTENCE" between."""
    word: dict[str, str] | None = None
    begun, arabic, first = 0, False, 0
    for line, text in lines(path):
        parts = text.split()
        if not parts:
            continue
        if parts[0] in (";;WORD", ";;;") or parts[:2] == ["SENTENCE", "BREAK"]:
            if word is not None:
                yield begun, word
            word = None
            if parts[0] != ";;WORD":
                yield line, None
            elif len(parts) < 2:
                raise fault(path, line, "names no word after ;;WORD")
            else:
                begun, word, first = line, {"word": " ".join(parts[1:])}, first or line
                arabic = arabic or bool(ARABIC.search(word["word"]))
        elif text.startswith("*") and word is not None and "lex" not in word and "kind" not in word:
            features = dict(part.split(":", 1) for part in parts if ":" in part)
            if "lex" not in features and "pos" not in features:
                raise fault(path, line, "is an analysis with neither lex: nor pos:")
            word |= _analysis(features)
        elif not text.startswith((";;", "*", "_", "^", "--", "NO-ANALYSIS")):
            raise fault(path, line, "is no line of MADAMIRA output (;;WORD, *analysis, --------)")
    if word is not None:
        yield begun, word
    if first and not arabic:
        raise fault(path, first, "is in Buckwalter transliteration: convert the file (camel_transliterate -s bw2ar)")


def _tabled(path: Path) -> Iterator[tuple[int, dict[str, str] | None]]:
    last: str | None = None
    for line, row in table(path):
        if row is None:
            yield line, None
            continue
        if not {*LEMMA, "pos"} & set(row):
            raise fault(path, 1, f"names neither {' nor '.join((*LEMMA, 'pos'))} among its columns {', '.join(row)}")
        index = next((row[name] for name in SENTENCE if name in row), None)
        if index != last:
            yield line, None
        last = index
        lemma = next((row[name] for name in LEMMA if name in row), "")
        yield line, {"word": field(path, line, row, WORD)} | _analysis({**row, "lex": lemma})


def _tagged(path: Path) -> Iterator[tuple[int, dict[str, str] | None]]:
    """Lines of "word tag", a blank line after each sentence (data format of the CAMeLBERT morphosyntactic tagger)."""
    for line, text in lines(path):
        parts = text.split()
        if parts and (len(parts) != 2 or ARABIC.search(parts[1])):
            raise fault(path, line, "is not a word and its tag")
        yield line, {"word": parts[0]} | _analysis({"pos": parts[1]}) if parts else None


def _analysis(features: dict[str, str]) -> dict[str, str]:
    """``lex`` without its sense number, and ``kind``: the part of speech in Arabic words, where these are known."""
    lemma = re.sub(r"_\d+$", "", features.get("lex", "").strip())
    tag = features.get("pos", "").strip().lower()
    kind = POS.get(tag, "")
    if tag == "verb":
        kind = ASPECT.get(features.get("asp", ""), kind)
    elif tag == "noun":
        kind = " ".join(filter(None, (kind, GENDER.get(features.get("gen", "")), NUMBER.get(features.get("num", "")))))
    return {name: value for name, value in (("lex", lemma), ("kind", kind)) if value}


# Grammatical error correction.


def corrections(path: Path) -> Iterator[Row]:
    """Wrong and right text, from .m2, .sent (with its .cor beside it) or JSON lines with ``raw`` and ``cor``.

    The document is the right text; the exercise corrects the wrong one. Tokens stay apart as in the files. Raises
    UserError for edits that overlap or leave their sentence, and for files that are not parallel.
    """
    suffix = path.suffix.lower()
    read = {".m2": _edited, ".sent": _parallel}.get(suffix, _paired)
    for line, wrong, right in read(path):
        if wrong and right:
            yield Row(line, right, ((CORRECT.format(wrong), right),))


def _edited(path: Path) -> Iterator[tuple[str, str, str]]:
    source: tuple[int, list[str]] | None = None
    edits: list[tuple[int, str]] = []
    for line, text in [*lines(path), (0, "")]:
        if text.startswith("S ") or text.rstrip() == "S" or not text.strip():
            if source is not None:
                yield str(source[0]), " ".join(source[1]), " ".join(apply_edits(path, source[1], edits))
            source, edits = ((line, text.split()[1:]), []) if text.strip() else (None, [])
        elif text.startswith("A ") and source is not None:
            edits.append((line, text))
        else:
            raise fault(path, line, "is neither a sentence (S ...) nor a correction of one (A start end|||type|||...)")


def apply_edits(path: Path, tokens: list[str], edits: Iterable[tuple[int, str]]) -> list[str]:
    """``tokens`` after the corrections of the first annotator; ``edits``: (line number, M2 line) each.

    A correction replaces tokens start to end (exclusive) by its text, so all types of QALB (edit, merge, split, delete,
    add before, move) and of CoNLL are one; of several texts "a||b" the first counts, and "noop" changes nothing
    (Dahlmeier and Ng, 2012; QALB release 0.9.1, README, section 3). Raises UserError for a malformed correction, one
    that overlaps another or leaves the sentence.
    """
    parsed = []
    for line, text in edits:
        parts = text[2:].split("|||")
        span = parts[0].split()
        if len(parts) != 6 or len(span) != 2 or not all(re.fullmatch(r"-?\d+", place, re.ASCII) for place in span):
            raise fault(path, line, "is not a correction of the form A start end|||type|||text|||REQUIRED|||-NONE-|||0")
        parsed.append((int(span[0]), int(span[1]), line, parts[1], parts[2], parts[5].strip()))
    first = min((edit[5] for edit in parsed), default="")
    made, done = [], 0
    for start, end, line, kind, text, annotator in sorted(parsed, key=lambda edit: edit[:3]):
        if annotator != first or kind.lower() == "noop":
            continue
        if not 0 <= start <= end <= len(tokens):
            raise fault(path, line, f"corrects tokens {start} to {end} of a sentence of {len(tokens)}")
        if start < done:
            raise fault(path, line, f"corrects token {start}, which a correction before it has replaced")
        made += tokens[done:start] + [word for word in text.split("||")[0].split() if word != "-NONE-"]
        done = end
    return made + tokens[done:]


def _parallel(path: Path) -> Iterator[tuple[str, str, str]]:
    other = path.with_suffix(".cor")
    sides = [[(line, text.split()) for line, text in lines(side)] for side in (path, other)]
    if len(sides[0]) != len(sides[1]):
        raise UserError(f"{path} has {len(sides[0])} lines and {other} has {len(sides[1])}: give parallel files")
    named = [all(_named(words) for _, words in side if words) for side in sides]
    for (line, wrong), (_, right) in zip(*sides, strict=True):
        if all(named):  # a document's id stands first (QALB release 0.9.1, README, section 2)
            if wrong[:1] != right[:1]:
                raise fault(path, line, f"is document {''.join(wrong[:1])!r}, {''.join(right[:1])!r} in {other.name}")
            wrong, right = wrong[1:], right[1:]
        yield str(line), " ".join(wrong), " ".join(right)


def _named(words: list[str]) -> bool:
    return bool(re.fullmatch(r"[\w./:-]*\w[\w./:-]*", words[0], re.ASCII))


def _paired(path: Path) -> Iterator[tuple[str, str, str]]:
    for number, row in objects(path):
        wrong, right = (" ".join(field(path, number, row, (name,)).split()) for name in ("raw", "cor"))
        yield str(number), wrong, right

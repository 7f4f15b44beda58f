"""Named text sources, packed calibration windows, and Arabic normalisation."""

from __future__ import annotations

import hashlib
import json
import random
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmini.settings import UserError

if TYPE_CHECKING:
    import datasets
    import torch
    from torch.utils.data import DataLoader

LANGUAGES = ("en", "ar", "mixed")
SOURCES = {
    "world": "the pocket world, generated here (English and Arabic)",
    "c4": "allenai/c4: the first shard of its English or Arabic part",
    "wikitext2": "Salesforce/wikitext, wikitext-2-raw-v1 (English)",
}
# The original study calibrates on the first English shard of C4; the Arabic shard is the same file of the `ar` config.
C4_SHARDS = {"en": "en/c4-train.00000-of-01024.json.gz", "ar": "multilingual/c4-ar.tfrecord-00000-of-01024.json.gz"}


@dataclass(frozen=True)
class Calibration:
    """Packed token windows: ``ids`` is a LongTensor (samples, length); ``sha256`` is of its bytes."""

    ids: torch.Tensor
    source: str
    language: str
    seed: int
    sha256: str

    def dataset(self) -> datasets.Dataset:
        """As a `datasets.Dataset` of ``input_ids`` and ``attention_mask``, one row a window."""
        import datasets

        rows = self.ids.tolist()
        return datasets.Dataset.from_dict({"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]})

    def loader(self) -> DataLoader:
        """Batches of one window, in order (llmcompressor truncates larger ones, and reorders those it makes itself)."""
        import torch
        from torch.utils.data import DataLoader

        rows = [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in self.ids]
        return DataLoader(rows, batch_size=1, shuffle=False)


def documents(source: str, language: str, split: str = "train") -> list[str]:
    """The ``en`` or ``ar`` documents of ``source``: a name of :data:`SOURCES`, or a .txt or .jsonl file.

    A file is taken as it is, whatever the language asked for. Raises UserError for an unknown source, an unreadable
    file, or a source without that language.
    """
    if source == "world":
        from llmini.pocket import world

        return world.documents(split, language)
    if source == "c4":
        rows = hub_rows("allenai/c4", data_files={"train": C4_SHARDS[language]}, split="train")
        return list(rows["text"])
    if source == "wikitext2":
        if language != "en":
            raise UserError("wikitext2 is English only: name another source for Arabic")
        return list(hub_rows("Salesforce/wikitext", name="wikitext-2-raw-v1", split=split)["text"])
    return file_documents(Path(source))


def file_documents(path: Path) -> list[str]:
    """Documents of a .txt file (split at blank lines) or a .jsonl file (field ``text``)."""
    if not path.is_file():
        names = ", ".join(SOURCES)
        raise UserError(f"calibration source {str(path)!r} is neither a file nor one of: {names}")
    try:
        text = path.read_text(encoding="utf8")
    except (OSError, UnicodeDecodeError) as fault:
        raise UserError(f"cannot read {path} as UTF-8 text: {fault}") from fault
    if path.suffix != ".jsonl":
        return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    try:
        return [json.loads(line)["text"] for line in text.splitlines() if line.strip()]
    except (ValueError, KeyError, TypeError) as fault:
        raise UserError(f"{path} is not JSON lines with a field \"text\": {fault}") from fault


def hub_rows(repository: str, **options: Any) -> datasets.Dataset:
    """A data set of the hub. Raises UserError when it is neither cached nor reachable."""
    import datasets

    try:
        return datasets.load_dataset(repository, **options)
    except (OSError, ValueError, RuntimeError) as fault:
        reason = str(fault).splitlines()[0]
        raise UserError(
            f"cannot load the data set {repository}: {reason}; connect to the hub, or set HF_HOME to a cache with it"
        ) from fault


def calibration(tokenizer: Any, source: str, language: str = "en", samples: int = 128, length: int = 2048,
                seed: int = 0) -> Calibration:  # fmt: skip
    """Packed calibration windows: documents in seeded order, tokenised, joined by EOS, cut to (samples, length).

    Packing fills every window, so ``samples × length`` tokens are really seen; truncating raw documents, as the
    original study's code does, sees fewer. ``mixed`` takes half its windows from each language, interleaved.
    Raises UserError when the source holds too little text.
    """
    import torch

    if language not in LANGUAGES:
        raise UserError(f"unknown calibration language {language!r}: choose one of {', '.join(LANGUAGES)}")
    if samples < 1 or length < 8:
        raise UserError(f"calibration needs at least 1 sample of 8 tokens, not {samples} of {length}")
    if language == "mixed" and source in SOURCES:
        halves = [pack(tokenizer, source, part, count, length, seed)
                  for part, count in (("en", samples - samples // 2), ("ar", samples // 2)) if count]  # fmt: skip
        order = [half[i] for i in range(len(halves[0])) for half in halves if i < len(half)]
    else:
        order = pack(tokenizer, source, language, samples, length, seed)
    ids = torch.tensor(order, dtype=torch.long)
    return Calibration(ids, source, language, seed, hashlib.sha256(ids.numpy().tobytes()).hexdigest())


def pack(tokenizer: Any, source: str, language: str, samples: int, length: int, seed: int) -> list[list[int]]:
    """``samples`` windows of ``length`` token ids from one language of a source."""
    texts = [text for text in documents(source, language) if text.strip()]
    random.Random(seed).shuffle(texts)
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    stream: list[int] = []
    for start in range(0, len(texts), 256):
        for ids in tokenizer(texts[start : start + 256], add_special_tokens=False)["input_ids"]:
            stream += ids + end
        if len(stream) >= samples * length:
            return [stream[i * length : (i + 1) * length] for i in range(samples)]
    raise UserError(
        f"calibration text is too short: {source} ({language}) holds {len(stream)} tokens, "
        f"{samples} samples of {length} need {samples * length}; give more text or lower --samples or --length"
    )


ARABIC_MARKS = re.compile("[\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed\u0640]")
ARABIC_LETTERS = str.maketrans({"أ": "ا", "إ": "ا", "آ": "ا", "ٱ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي"})
DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "0123456789" * 2)


def normalise_arabic(text: str, letters: bool = False) -> str:
    """NFKC, no tashkeel, no tatweel, Western digits; ``letters`` also unites alef, ya, ta marbuta and hamza forms.

    Letter folding merges words that differ (كرة and كره), so it serves retrieval, never scoring.
    """
    # NFKC turns the isolated ligature ﷺ into words and presentation forms into letters.
    text = ARABIC_MARKS.sub("", unicodedata.normalize("NFKC", text)).translate(DIGITS)
    return text.translate(ARABIC_LETTERS) if letters else text

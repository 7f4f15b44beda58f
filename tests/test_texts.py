"""Calibration windows are packed, seeded and hashed; Arabic normalisation loses nothing it should not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmini import texts
from llmini.settings import UserError


class Bytes:
    """A tokenizer of bytes, so that windows can be read back; EOS is 0."""

    eos_token_id = 0

    def __call__(self, batch, add_special_tokens):
        assert add_special_tokens is False
        return {"input_ids": [list(text.encode()) for text in batch]}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(f"paragraph number {i} of the text" for i in range(60)), encoding="utf8")
    return str(path)


def test_windows_are_full_and_made_of_whole_documents(source):
    found = texts.calibration(Bytes(), source, "en", samples=8, length=64, seed=3)
    assert tuple(found.ids.shape) == (8, 64)
    stream = bytes(found.ids.flatten().tolist()).split(b"\0")
    assert all(part.decode() in texts.documents(source, "en") for part in stream[:-1])


def test_seed_and_hash(source):
    def draw(seed):
        return texts.calibration(Bytes(), source, "en", 8, 64, seed)

    assert draw(1).sha256 == draw(1).sha256 != draw(2).sha256
    assert len(draw(1).dataset()) == 8
    batches = list(draw(1).loader())
    assert [tuple(batch["input_ids"].shape) for batch in batches] == [(1, 64)] * 8
    assert (batches[3]["input_ids"][0] == draw(1).ids[3]).all()


@pytest.mark.parametrize(("content", "name", "message"), [
    ("", "a.txt", "too short"), ("tiny", "a.txt", "too short"), ("no json", "a.jsonl", "not JSON lines"),
    ('{"body": "x"}', "a.jsonl", "not JSON lines"),
])  # fmt: skip
def test_poor_sources(tmp_path, content, name, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UserError, match=message) as fault:
        texts.calibration(Bytes(), str(path), "en", 8, 64)
    assert "\n" not in str(fault.value)


def test_bad_options(source):
    with pytest.raises(UserError, match="neither a file nor one of"):
        texts.documents("wikitext3", "en")
    with pytest.raises(UserError, match="calibration language"):
        texts.calibration(Bytes(), source, "fr", 8, 64)
    with pytest.raises(UserError, match="at least 1 sample"):
        texts.calibration(Bytes(), source, "en", 0, 64)


def test_not_utf8(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("سلام".encode("cp1256"))
    with pytest.raises(UserError, match="UTF-8"):
        texts.documents(str(path), "ar")


def test_jsonl(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in ("one", "اثنان")), encoding="utf8")
    assert texts.documents(str(path), "ar") == ["one", "اثنان"]


def test_arabic_normalisation():
    assert texts.normalise_arabic("مُحَمَّــد ١٢٣ ﷺ") == "محمد 123 صلى الله عليه وسلم"
    assert texts.normalise_arabic("كرة") != texts.normalise_arabic("كره")
    assert texts.normalise_arabic("أحمد إلى مؤتمر كرة", letters=True) == "احمد الي موتمر كره"


@given(st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x6FF)))
def test_normalisation_is_idempotent(text):
    for letters in (False, True):
        once = texts.normalise_arabic(text, letters)
        assert texts.normalise_arabic(once, letters) == once

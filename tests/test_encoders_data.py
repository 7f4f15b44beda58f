"""Generated sentences and reviews: disjoint splits, right labels, agreeing Arabic; readers of the real data's
formats.
"""

import re

import pytest

from llmini.pocket import encoder_names, encoder_reviews, encoder_sentences
from llmini.settings import UserError
from llmini.train import encoders_data, encoders_readers

LANGUAGES = encoder_names.LANGUAGES


def entities(split, language):
    """(kind, text) of every entity of a split."""
    found = set()
    for one in encoder_sentences.sentences(split, language):
        words, kind = [], ""
        for word, label in (*zip(one.words, one.labels, strict=True), ("", "O")):
            if words and not label.startswith("I-"):
                found.add((kind, " ".join(words)))
                words = []
            if label != "O":
                kind = label[2:]
                words.append(word)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_labels_are_iob2_and_scenes_parallel(language):
    made = encoder_sentences.sentences("test", language)
    assert len(made) == encoder_sentences.COUNTS["test"]
    english = encoder_sentences.sentences("test", "en")
    for one, other in zip(made, english, strict=True):
        last = "O"
        for word, label in zip(one.words, one.labels, strict=True):
            assert word and label in encoder_sentences.LABELS
            assert not label.startswith("I-") or last in (f"B-{label[2:]}", label)
            last = label
        assert sorted(x for x in one.labels if x[0] == "B") == sorted(x for x in other.labels if x[0] == "B")
        assert not set("{}[]<>|") & set("".join(one.words))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_entity_of_one_split_is_in_another(language):
    found = [entities(split, language) for split in encoder_names.SPLITS]
    assert all(found)
    assert not found[0] & found[1] and not found[0] & found[2] and not found[1] & found[2]


def test_no_word_of_a_test_person_or_town_is_named_in_training():
    for kind in ("men", "women", "families", "companies", "towns", "places"):
        parts = [{pair[0] for pair in encoder_names.words(kind, split)} for split in encoder_names.SPLITS]
        assert all(parts) and len(set.union(*parts)) == sum(map(len, parts))


def test_no_template_of_one_split_is_in_another():
    for name, parts in (("sentences", ("sentences", "openings", "endings")), ("reviews", ("frames",))):
        table = encoder_names.table(name)
        splits = [split for split in encoder_names.SPLITS if split in table]
        for part in parts:
            lines = [set(table[split][part]) for split in splits]
            assert len(set.union(*lines)) == sum(map(len, lines))


def test_the_same_seed_gives_the_same_sentences_and_another_one_others():
    made = encoder_sentences.sentences.__wrapped__("dev", "ar", 0)
    assert made == encoder_sentences.sentences.__wrapped__("dev", "ar", 0)
    assert made != encoder_sentences.sentences.__wrapped__("dev", "ar", 1)


def test_arabic_verbs_agree_with_their_subjects():
    """Of "… arrived/opened" in training, the verb of a woman or a company is feminine and of a man or a bank
    masculine.
    """
    women = {pair[1] for split in encoder_names.SPLITS for pair in encoder_names.words("women", split)}
    men = {pair[1] for split in encoder_names.SPLITS for pair in encoder_names.words("men", split)}
    seen = set()
    for one in encoder_sentences.sentences("train", "ar"):
        for at, word in enumerate(one.words[:-1]):
            name, label = one.words[at + 1], one.labels[at + 1]
            if word in ("وصل", "وصلت") and label == "B-PER" and name in women | men:
                assert (word == "وصلت") == (name in women), one.words
                seen.add(word)
            if word in ("افتتح", "افتتحت") and label == "B-ORG" and name in ("شركة", "جامعة", "مصرف", "نادي"):
                assert (word == "افتتحت") == (name in ("شركة", "جامعة")), one.words
                seen.add(word)
    assert seen == {"وصل", "وصلت", "افتتح", "افتتحت"}


def test_gulf_text_is_gulf():
    text = " ".join(word for one in encoder_sentences.sentences("train", "gulf") for word in one.words)
    standard = " ".join(word for one in encoder_sentences.sentences("train", "ar") for word in one.words)
    for word in ("ويا", "يديد", "اللي", "بو"):
        assert word in text.split() and word not in standard.split()


def test_reviews_mean_what_their_label_says():
    """A review is the polarity of its last judgement, turned round by a negation."""
    polarity = {word.english: name for name in encoder_reviews.LABELS for word in encoder_reviews.judgements(name)}
    longest = sorted(polarity, key=len, reverse=True)
    for one in [*encoder_reviews.reviews("train", "en"), *encoder_reviews.reviews("test", "en")]:
        text = one.text.split(" . ")[0]
        found = re.findall(rf"\b(?:{'|'.join(longest)})\b", text)
        turned = bool(re.search(r"is not|wrong to say|nobody can say", text, re.IGNORECASE))
        assert (polarity[found[-1]] == one.label) != turned, one


def test_reviews_are_parallel_balanced_and_disjoint():
    train, test = (encoder_reviews.reviews(split, "ar") for split in ("train", "test"))
    assert [one.label for one in test] == [one.label for one in encoder_reviews.reviews("test", "en")]
    assert 0.4 < sum(one.label == "positive" for one in train) / len(train) < 0.6
    assert not {one.text for one in train} & {one.text for one in test}
    known = encoder_reviews.labelled("positive") | encoder_reviews.labelled("negative")
    english = " ".join(one.text.lower() for one in encoder_reviews.reviews("train", "en"))
    new = {word.english for name in encoder_reviews.LABELS for word in encoder_reviews.judgements(name)} - known
    assert new and not [word for word in new if re.search(rf"\bis (very )?{word}\b", english)]


def test_strangers_are_refused():
    with pytest.raises(UserError, match="no entity sentences of split 'train' in 'fr'"):
        encoder_sentences.sentences("train", "fr")
    with pytest.raises(UserError, match="no reviews of split 'held'"):
        encoder_reviews.reviews("held", "en")
    with pytest.raises(UserError, match="unknown task 'pos'"):
        encoders_data.task("pocket", "pos")
    with pytest.raises(UserError, match="pocket_reviews has no 'gulf'"):
        encoders_data.training("pocket", "sentiment", "gulf")
    with pytest.raises(UserError, match="leaves none of the 2400"):
        encoders_data.training("pocket", "ner", "ar", 1e-4)


def test_a_share_is_a_part_of_the_whole_and_differs_by_seed():
    whole = encoders_data.training("pocket", "ner", "ar+en")
    assert len(whole) == 4800
    small = [encoders_data.training("pocket", "ner", "ar", 0.01, seed) for seed in (0, 0, 1)]
    assert len(small[0]) == 24 and small[0] == small[1] != small[2]
    assert set(small[2]) <= set(whole)


def test_conll_as_masakhaner_writes_it(tmp_path, monkeypatch):
    """Words and labels in two columns, blank lines between sentences, more than one at a document's end."""
    (tmp_path / "hau").mkdir()
    text = "Shehu B-PER\nGusau I-PER\nya O\nce O\n. O\n\n\n-DOCSTART- O\n\n' O\nYola B-LOC\nranar B-DATE\n14 I-DATE\n"
    (tmp_path / "hau" / "test.txt").write_text(text, encoding="utf8")
    monkeypatch.setenv(encoders_readers.PLACE, str(tmp_path))
    found = encoders_data.examples("full", "ner", "hau", "test")
    assert [one.text for one in found] == [("Shehu", "Gusau", "ya", "ce", "."), ("'", "Yola", "ranar", "14")]
    assert found[1].label == ("O", "B-LOC", "B-DATE", "I-DATE")
    with pytest.raises(UserError, match=r"train\.txt is missing: clone"):
        encoders_data.examples("full", "ner", "hau", "train")
    with pytest.raises(UserError, match="has no 'ar'"):
        encoders_data.examples("full", "ner", "ar", "test")
    (tmp_path / "hau" / "dev.txt").write_text("Gusau\n", encoding="utf8")
    with pytest.raises(UserError, match=r"line 1 of .*dev.txt has no label: 'Gusau'"):
        encoders_data.examples("full", "ner", "hau", "dev")
    (tmp_path / "hau" / "dev.txt").write_bytes(b"\xff\xfe O\n")
    with pytest.raises(UserError, match="as UTF-8"):
        encoders_data.examples("full", "ner", "hau", "dev")


def test_sst2_as_glue_ships_it(tmp_path, monkeypatch):
    """Parquet with sentence, label and idx; the validation set serves as test set, the end of training as dev set."""
    import pandas

    from llmini import texts

    for split, count in (("train", 1200), ("validation", 6)):
        frame = pandas.DataFrame({"sentence": [f"film {at} is good " for at in range(count)],
                                  "label": [at % 2 for at in range(count)], "idx": range(count)})  # fmt: skip
        frame.to_parquet(tmp_path / f"{split}.parquet")
    real = texts.hub_rows
    files = {split: str(tmp_path / f"{split}.parquet") for split in ("train", "validation")}
    monkeypatch.setattr(texts, "hub_rows", lambda *_, **told: real("parquet", data_files=files, split=told["split"]))
    sizes = {split: len(encoders_data.examples("full", "sentiment", "en", split)) for split in ("train", "dev", "test")}
    assert sizes == {"train": 200, "dev": 1000, "test": 6}
    assert encoders_data.examples("full", "sentiment", "en", "test")[1].label == "positive"


def test_the_corpus_of_pretraining_holds_no_test_sentence():
    from itertools import islice

    from llmini.pocket.encoder_corpus import corpus

    text = " ".join(islice(corpus(1500), 1500))
    for language in LANGUAGES:
        held = {" ".join(one.words) for one in encoder_sentences.sentences("test", language)}
        assert not [line for line in held if line in text]
    for language in encoder_reviews.LANGUAGES:
        assert not [one.text for one in encoder_reviews.reviews("test", language) if one.text in text]

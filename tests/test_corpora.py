"""The registry of corpora, each reader on small files in the true format, faults, sampling and fingerprints."""

import csv
import json
import re
import shutil
import unicodedata

import datasets
import pyarrow
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trials
from hypothesis import strategies as st
from pyarrow import parquet

import corpora_files as given_files
from corpora_files import write
from llmini.settings import UserError, data
from llmini.train import corpora, corpora_annotated, corpora_formats, corpora_readers, sources

quick = trials(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def no_copies(monkeypatch):
    for entry in corpora.registry().values():
        monkeypatch.delenv(entry.env, raising=False)


# The registry.


def test_registry_covers_what_the_study_names():
    entries = corpora.registry()
    with data("reported", "curriculum.csv").open(encoding="utf8") as file:
        stages = {row["stage"]: row["data_sources"] for row in csv.DictReader(file)}
    names = {"bc_gold_morph": "BC Gold Morph", "bc_auto_morph": "BC Auto Morph", "nahwuai": "NahwuAI",
             "camel_gec": "CAMEL GEC", "gumar": "Gumar Corpus", "bahrain_corpus": "Bahrain Corpus",
             "bahraini_transcripts": "Hishambarakat"}  # fmt: skip
    for name, printed in names.items():
        assert printed in stages[str(entries[name].stage)], name
    assert set(entries) == {*names, *sources.HUB}
    for name, (repository, _) in sources.HUB.items():
        assert entries[name].hub == repository and entries[name].access == "open"
    assert len({entry.env for entry in entries.values()}) == len(entries)


def test_entries_are_honest():
    from llmini.measure.full_tasks import CORPUS

    for entry in corpora.registry().values():
        assert all(re.fullmatch(r"https://[\w./-]+", address) for address in entry.where)
        assert entry.licence and entry.ask and entry.format and entry.env.startswith("LLMINI_")
        assert entry.where or entry.access == "none_found"
        assert entry.searched or entry.format_known, f"{entry.name}: what was looked for?"
        assert "\n" not in entry.ask + entry.format
    assert corpora.registry()["nahwuai"].where == () and not corpora.registry()["nahwuai"].format_known
    assert corpora.registry()["bahrain_corpus"].env == CORPUS  # one copy serves training and evaluation


def test_a_bad_entry_is_named(monkeypatch, tmp_path):
    text = data("corpora", "registry.yaml").read_text(encoding="utf8")
    target = tmp_path / "data" / "corpora" / "registry.yaml"
    monkeypatch.setenv("LLMINI_ROOT", str(tmp_path))
    write(target, text.replace("access: none_found", "access: maybe"))
    with pytest.raises(UserError, match="access of nahwuai is none of open, on_request, none_found"):
        corpora.registry()
    write(target, text.replace("  env: LLMINI_GUMAR\n", ""))
    with pytest.raises(UserError, match="the entry gumar does not fit"):
        corpora.registry()


@pytest.mark.parametrize("name", ["bc_gold_morph", "bc_auto_morph", "nahwuai", "camel_gec", "gumar", "bahrain_corpus",
                                  "bahraini_transcripts"])  # fmt: skip
def test_what_has_to_be_asked_for_says_how(name, monkeypatch, tmp_path):
    entry = corpora.registry()[name]
    for act in (corpora.read, corpora.documents, corpora.instructions, corpora.fingerprint):
        with pytest.raises(UserError) as caught:
            act(name)
        text = str(caught.value)
        assert "\n" not in text and entry.env in text and entry.ask in text
        assert ("was found nowhere" if name == "nahwuai" else "given on request") in text
    monkeypatch.setenv(entry.env, str(tmp_path / "absent"))
    with pytest.raises(UserError, match=rf"absent, given for {name}, does not exist: set {entry.env}"):
        corpora.documents(name)


def test_unknown_names_and_limits():
    with pytest.raises(UserError, match="unknown corpus 'gumer': choose one of bc_gold_morph"):
        corpora.documents("gumer")
    with pytest.raises(UserError, match="1 text or more, not 0"):
        corpora.documents("gumar", limit=0)


# Morphology.


def test_documents_and_requests_are_one_corpus(tmp_path):
    path = write(tmp_path / "bc.magold", given_files.MAGOLD)
    both = corpora.read("bc_gold_morph", path)
    told, asked = corpora.documents("bc_gold_morph", path), corpora.instructions("bc_gold_morph", path)
    assert sorted(both, key=str) == sorted([*told, *asked], key=str) and len(both) == 6
    assert all(text.prompt is None for text in told) and all(text.prompt for text in asked)
    assert len(corpora.read("bc_gold_morph", path, limit=4)) == 4
    asking = {name for name, entry in corpora.registry().items() if entry.instructions}
    assert asking == {"bc_gold_morph", "bc_auto_morph", "nahwuai", "camel_gec", "alpaca", "opus-100"}


def test_madamira_blocks(tmp_path):
    path = write(tmp_path / "bc.magold", given_files.MAGOLD)
    first, second = corpora.documents("bc_gold_morph", path)
    assert first.text.split("\n") == ["باچر بنروح البحر .", "باچر: باچِر، ظرف", "بنروح: راح، فعل مضارع",
                                      "البحر: بَحَر، اسم مذكر مفرد"]  # fmt: skip
    assert second.text == "زين هني\nهني: هْنِي، ظرف"  # a word without analysis stays in its sentence
    assert first.prompt is None and first.language == "gulf" and first.id == "bc_gold_morph/bc.magold/2"
    asked = corpora.instructions("bc_gold_morph", path)
    assert len(asked) == 4 and len({text.id for text in asked}) == 4
    known = {"باچر": {"باچِر", "ظرف"}, "بنروح": {"راح", "فعل مضارع"}, "البحر": {"بَحَر", "اسم مذكر مفرد"},
             "هني": {"هْنِي", "ظرف"}}  # fmt: skip
    for text in asked:
        assert text.text in known[re.search("«(.+?)»", text.prompt)[1]]
    assert asked == corpora.instructions("bc_gold_morph", path)


def test_tables_and_tagged_lines(tmp_path):
    path = write(tmp_path / "a.csv", given_files.TABLE)
    texts = [text.text for text in corpora.documents("bc_auto_morph", path)]
    assert texts == ["يدتي طبخت ,\nيدتي: يَدَّة، اسم مؤنث مفرد\nطبخت: طَبَخ، فعل ماضٍ",
                     "السمچ طازج\nالسمچ: سِمَچ، اسم مذكر جمع\nطازج: طازَج، صفة"]  # fmt: skip
    rows = list(csv.reader(given_files.TABLE.splitlines()))
    tabbed = write(tmp_path / "a.tsv", ["\t".join(row) for row in rows])
    assert [text.text for text in corpora.documents("bc_auto_morph", tabbed)] == texts
    blank = [row[2:4] for row in rows]
    blank.insert(4, ["", ""])
    split = write(tmp_path / "b.tsv", ["\t".join(row) for row in blank])  # sentences told by blank lines
    found = [text.text.split("\n")[0] for text in corpora.documents("bc_auto_morph", split)]
    assert found == ["يدتي طبخت ,", "السمچ طازج"]
    tagged = write(tmp_path / "t.txt", given_files.TAGGED)
    assert [text.text for text in corpora.documents("bc_auto_morph", tagged)] == [
        "وين رايح ؟\nوين: ظرف استفهام\nرايح: صفة", "السوق\nالسوق: اسم"]  # fmt: skip
    assert {text.text for text in corpora.instructions("bc_auto_morph", tagged)} <= {"ظرف استفهام", "صفة", "اسم"}


@pytest.mark.parametrize("name, text, fault", [
    ("a.magold", ";;WORD\n", "line 1, names no word"),
    ("a.magold", ";;WORD وين\nجملة عادية\n", "line 2, is no line of MADAMIRA output"),
    ("a.magold", ";;WORD وين\n*1.0 diac:وين\n", "line 2, is an analysis with neither"),
    ("a.magold", ";;WORD fy\n*1.0 lex:fiy_1 pos:prep\n", r"line 1, is in Buckwalter .*camel_transliterate -s bw2ar"),
    ("a.csv", "word,gloss\nوين,where\n", "line 1, names neither lex nor lemma nor pos"),
    ("a.csv", "token_text,lex\nوين,وَين\n", "line 2, has none of the columns word, raw"),
    ("a.csv", "word,lex\nوين,وَين,x\n", "line 2, has 3 fields, its header 2"),
    ("a.csv", 'word,lex\n"وين,وَين\n', "is not valid CSV"),
    ("a.csv", "word,lex\n", "holds no analysed word"),
    ("a.txt", "هذا سطر من رواية\n", "line 1, is not a word and its tag"),
])  # fmt: skip
def test_faults_of_annotations(tmp_path, name, text, fault):
    with pytest.raises(UserError, match=f"{name}.*{fault}"):
        corpora.documents("bc_gold_morph", write(tmp_path / name, text))


# Corrections.


def test_m2_edits_against_a_reference_by_hand(tmp_path):
    path = write(tmp_path / "x.m2", given_files.M2)
    assert [text.text for text in corpora.documents("camel_gec", path)] == given_files.M2_CORRECT
    asked = corpora.instructions("camel_gec", path)
    assert [text.text for text in asked] == given_files.M2_CORRECT
    assert asked[0].prompt == "صحّح الأخطاء في النص التالي: ذهبت الى المدرسه و عدت الى البيت"
    assert asked[2].prompt.endswith(asked[2].text) and asked[0].language == "ar"


def test_parallel_files_and_json_lines(tmp_path):
    folder = given_files.qalb(tmp_path)
    texts = corpora.documents("camel_gec", folder)
    assert [text.text for text in texts] == given_files.COR  # .sent and .cor stand before .m2, test parts are not read
    assert [file.name for file in corpora.files(corpora.registry()["camel_gec"], folder)] == ["QALB-2014-L1-Train.sent"]
    pair = folder / "data" / "2014" / "train" / "QALB-2014-L1-Train.cor"
    assert [text.text for text in corpora.documents("camel_gec", pair)] == given_files.COR
    plain = tmp_path / "plain"  # without document ids
    write(plain / "x.sent", given_files.SENT)
    write(plain / "x.cor", given_files.COR)
    assert [text.text for text in corpora.instructions("camel_gec", plain)] == given_files.COR
    rows = [{"raw": wrong, "cor": right, "ged_tags": "UC"}
            for wrong, right in zip(given_files.SENT, given_files.COR, strict=True)]  # fmt: skip
    for name in ("train.json", "train.jsonl"):  # CAMeL Lab's .json holds JSON lines
        assert [text.text for text in corpora.documents("camel_gec", write(tmp_path / name, rows))] == given_files.COR


def test_m2_alone_serves_where_a_cor_file_is_missing(tmp_path):
    folder = given_files.qalb(tmp_path)
    (folder / "data" / "2014" / "train" / "QALB-2014-L1-Train.cor").unlink()
    assert [text.text for text in corpora.documents("camel_gec", folder)] == given_files.M2_CORRECT
    shutil.rmtree(folder / "data" / "2014" / "train")
    with pytest.raises(UserError, match="holds none but held-out parts"):
        corpora.documents("camel_gec", folder)


@pytest.mark.parametrize("lines, fault", [
    (["A 0 1|||edit|||x|||REQUIRED|||-NONE-|||0"], "line 1, is neither a sentence"),
    (["نص بلا علامة"], "line 1, is neither a sentence"),
    (["S نص قصير", "A 0 3|||edit|||x|||REQUIRED|||-NONE-|||0"], "line 2, corrects tokens 0 to 3 of a sentence of 2"),
    (["S نص قصير", "A 1 0|||edit|||x|||REQUIRED|||-NONE-|||0"], "line 2, corrects tokens 1 to 0"),
    (["S نص قصير", "A 0 2|||edit|||x|||REQUIRED|||-NONE-|||0", "A 1 2|||edit|||y|||REQUIRED|||-NONE-|||0"],
     "line 3, corrects token 1, which a correction before it has replaced"),
    (["S نص قصير", "A 0|||edit|||x|||REQUIRED|||-NONE-|||0"], "line 2, is not a correction of the form"),
    (["S نص قصير", "A 0 1|||edit|||x"], "line 2, is not a correction of the form"),
])  # fmt: skip
def test_faults_of_m2(tmp_path, lines, fault):
    with pytest.raises(UserError, match=f"x.m2, {fault}"):
        corpora.documents("camel_gec", write(tmp_path / "x.m2", lines))


def test_faults_of_pairs(tmp_path):
    path = write(tmp_path / "x.sent", ["أ ب", "ج د"])
    with pytest.raises(UserError, match=r"x\.cor cannot be read: No such file"):
        corpora.documents("camel_gec", path)
    write(tmp_path / "x.cor", ["أ ب"])
    with pytest.raises(UserError, match=r"has 2 lines and .*x\.cor has 1"):
        corpora.documents("camel_gec", path)
    write(path, ["S1 أ", "S2 ب"])
    write(tmp_path / "x.cor", ["S1 أ", "S3 ب"])
    with pytest.raises(UserError, match=r"x\.sent, line 2, is document 'S2', 'S3' in x\.cor"):
        corpora.documents("camel_gec", path)
    with pytest.raises(UserError, match=r"y\.json, line 1, is not JSON"):
        corpora.documents("camel_gec", write(tmp_path / "y.json", "نص"))
    with pytest.raises(UserError, match=r"y\.jsonl, line 2, has none of the columns cor \(it has raw\)"):
        corpora.documents("camel_gec", write(tmp_path / "y.jsonl", [{"raw": "أ", "cor": "ب"}, {"raw": "أ"}]))


words = st.lists(st.sampled_from(["في", "على", "بيت", "كتاب", "قرأ", "،", ".", "و", "ﻻ"]), max_size=3)
wrong = st.sampled_from(["ذهب", "الى", "المدرسه", "هو", "و", "هي", "كتب"])


@quick
@given(st.data())
def test_m2_round_trip(tmp_path, draws):
    """Edits drawn as disjoint spans, applied here from the right by slices, are applied alike from the file."""
    tokens = draws.draw(st.lists(wrong, min_size=1, max_size=12))
    cuts = sorted(draws.draw(st.lists(st.integers(0, len(tokens)), min_size=2, max_size=8)))
    spans = dict.fromkeys(zip(cuts[::2], cuts[1::2], strict=False))  # an empty span is an insertion
    edits = [(start, end, draws.draw(words)) for start, end in spans]
    expected = list(tokens)
    for start, end, new in reversed(edits):
        expected[start:end] = new
    body = [f"A {start} {end}|||edit|||{' '.join(new)}|||REQUIRED|||-NONE-|||0"
            for start, end, new in draws.draw(st.permutations(edits))]  # fmt: skip
    noise = "A 0 1|||edit|||غلط|||REQUIRED|||-NONE-|||1"  # another annotator
    path = write(tmp_path / "r.m2", ["S " + " ".join(tokens), *body, *([noise] if body else [])])
    found = [row.text for row in corpora_annotated.corrections(path)]
    assert found == ([unicodedata.normalize("NFC", " ".join(expected))] if expected else [])


@quick
@given(st.text(st.sampled_from("SA 01-|,:\n>ب\r\t{}[]\"*;٣"), max_size=60), st.sampled_from(
    ["x.m2", "x.srt", "x.vtt", "x.magold", "x.csv", "x.tsv", "x.json", "x.jsonl", "x.txt"]))  # fmt: skip
def test_any_text_is_read_or_refused_in_one_line(tmp_path, text, name):
    head = {"x.srt": "1\n00:00:01,000 --> 00:00:02,000\n", "x.vtt": "WEBVTT\n\n", "x.m2": "S أ ب\n",
            "x.magold": ";;WORD ب\n", "x.csv": "word,lex,text\n"}.get(name, "")  # fmt: skip
    for body in (text, head + text):
        path = write(tmp_path / name, body)
        for reader, endings in corpora_readers.READERS.values():
            if path.suffix in endings:
                try:
                    rows = list(reader(path))
                    assert all(row.line and isinstance(row.text, str) for row in rows)
                except UserError as fault:
                    assert name in str(fault) and "\n" not in str(fault)


# Speech.


def test_subrip(tmp_path):
    path = write(tmp_path / "e.srt", given_files.SRT)
    first, second = corpora.documents("bahraini_transcripts", path)
    assert first.text.split("\n") == ["- شلونك يا خوي؟", "- الحمد لله، وإنت شخبارك؟", "وين بتروح اليوم؟",
                                      "بروح السوق عقب الصلاة"]  # fmt: skip
    assert second.text == "تعالوا تغدوا، السمچ جاهز" and second.language == "gulf"  # after a minute's silence
    assert first.id == "bahraini_transcripts/e.srt/2.0"
    windows = write(tmp_path / "w.srt", "\ufeff" + given_files.SRT.replace("\n", "\r\n"))
    assert [text.text for text in corpora.documents("bahraini_transcripts", windows)] == [first.text, second.text]
    with pytest.raises(UserError, match="is plain text and asks nothing"):
        corpora.instructions("bahraini_transcripts", path)


def test_webvtt_and_segments(tmp_path):
    path = write(tmp_path / "e.vtt", given_files.VTT)
    assert [text.text for text in corpora.documents("bahraini_transcripts", path)] == [
        "شفيك زعلان & ساكت؟\nماكو شي، تعبان شوي"]  # fmt: skip
    cue = corpora_formats.cues(path)[0]
    assert (cue.start, cue.end) == (1.0, 3.0)
    whisper = write(tmp_path / "e.json", [given_files.SEGMENTS])
    assert [text.text for text in corpora.documents("bahraini_transcripts", whisper)] == ["تفضلوا اقعدوا وياي هني"]
    rows = [{"file": f"{i}.wav", "transcription": text} for i, text in enumerate(given_files.SENTENCES)]
    for name, body in (("t.jsonl", rows), ("t.csv", ["file,transcription", *(f"{r['file']},{r['transcription']}"
                                                                             for r in rows)])):  # fmt: skip
        path = write(tmp_path / name, body)
        assert [text.text for text in corpora.documents("bahraini_transcripts", path)] == given_files.SENTENCES


@pytest.mark.parametrize("name, text, fault", [
    ("e.srt", "مقال عادي عن البحر\n", "line 1, is neither the number nor the times"),
    ("e.srt", "1\n2\n", "holds no cue"),
    ("e.srt", "1\n00:00:01 --> 00:00:02\nهلا\n", "line 2, has times that cannot be read"),
    ("e.vtt", "1\n00:00:01.000 --> 00:00:02.000\nهلا\n", "line 1, is not the header WEBVTT"),
    ("e.json", '{"segments": [{"text": "هلا"}]}', "line 1, is a segment without start and end"),
    ("e.json", '{"segments": 3}', "has segments that are no list"),
])  # fmt: skip
def test_faults_of_subtitles(tmp_path, name, text, fault):
    with pytest.raises(UserError, match=f"{name}.*{fault}"):
        corpora.documents("bahraini_transcripts", write(tmp_path / name, text))


line = st.text(st.characters(codec="utf8", exclude_categories=("C", "Z")), min_size=1, max_size=12).filter(
    lambda text: not re.search(r"[<>{}\[\]()♪]", text) and not text.isdigit())  # fmt: skip


@quick
@given(st.lists(st.lists(line, min_size=1, max_size=3), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]),
       st.booleans())  # fmt: skip
def test_cues_round_trip(tmp_path, texts, end, vtt):
    texts = [[unicodedata.normalize("NFC", text) for text in cue] for cue in texts]
    if vtt:  # these begin a block, or an entity
        texts = [[f"ق {text}".replace("&", "") for text in cue] for cue in texts]
    body = ["WEBVTT", ""] if vtt else []
    for number, cue in enumerate(texts):
        times = (f"00:00:{number:02d},250", f"01:00:{number:02d},500")
        body += [str(number + 1), " --> ".join(times).replace(*((",", ".") if vtt else (",", ","))), *cue, ""]
    path = write(tmp_path / ("r.vtt" if vtt else "r.srt"), end.join(body))
    found = corpora_formats.cues(path)
    assert [cue.text.split("\n") for cue in found] == texts
    assert [(cue.start, cue.end) for cue in found] == [(n + 0.25, 3600 + n + 0.5) for n in range(len(texts))]


# Text.


def test_novels_are_cut_into_passages(tmp_path):
    write(tmp_path / "b" / "2.txt", given_files.NOVEL)
    write(tmp_path / "a" / "1.txt", [" ".join(["موية"] * 300)])
    write(tmp_path / "a" / ".DS_Store", b"\0\1")
    write(tmp_path / "a" / "info.tsv", "title\tauthor\n")
    texts = corpora.documents("gumar", tmp_path)
    sizes = [len(text.text.split()) for text in texts]
    assert max(sizes) <= corpora_readers.PASSAGE and sum(sizes[1:]) >= 2 * corpora_readers.PASSAGE
    assert texts[0].id == "gumar/a/1.txt/1.0" and "*" not in "".join(text.text for text in texts)
    lines = [line for text in texts if "/b/" in text.id for line in text.text.split("\n")]
    assert lines == [line for line in given_files.NOVEL if line.strip("* ")]
    assert len([text for text in texts if "/a/" in text.id]) == 2  # 120, 120 (the same, so once) and 60 words


def test_sentences(tmp_path):
    short = [*given_files.SENTENCES, "قصيرة جدا", "جملة فيها 中文 من خارج", "only English words here", ""]
    path = write(tmp_path / "b.txt", [*short, given_files.SENTENCES[0]])
    found = corpora.documents("bahrain_corpus", path)
    assert [text.text for text in found] == given_files.SENTENCES
    rows = [{"text": text} for text in given_files.SENTENCES]
    rows.insert(2, {"text": "إزيك يا صاحبي عامل إيه", "dialect": "المصرية"})
    assert corpora.documents("bahrain_corpus", write(tmp_path / "b.jsonl", rows))[2].text == given_files.SENTENCES[2]
    tabbed = write(tmp_path / "b.tsv", ["id\tSentence", *(f"1\t{text}" for text in given_files.SENTENCES)])
    assert [text.text for text in corpora.documents("bahrain_corpus", tabbed)] == given_files.SENTENCES
    with pytest.raises(UserError, match=r"c\.tsv, line 2, has none of the columns text, .*\(it has id, satz\)"):
        corpora.documents("bahrain_corpus", write(tmp_path / "c.tsv", ["id\tsatz", "1\tهذي جملة من البحرين"]))
    with pytest.raises(UserError, match=r"d\.jsonl, line 1, has no text in its field 'text'"):
        corpora.documents("bahrain_corpus", write(tmp_path / "d.jsonl", [{"text": 3}]))


def test_questions(tmp_path):
    path = write(tmp_path / "n.jsonl", given_files.QUESTIONS)
    assert [text.text for text in corpora.documents("nahwuai", path)] == [
        "ما جمع كتاب؟\nكُتُب", "أعرب ما تحته خط.\nجاء الطالبُ\nفاعل مرفوع"]  # fmt: skip
    asked = corpora.instructions("nahwuai", path)
    assert (asked[1].prompt, asked[1].text) == ("أعرب ما تحته خط.\nجاء الطالبُ", "فاعل مرفوع")


def test_arabic_stays_as_it_is(tmp_path):
    decomposed = unicodedata.normalize("NFD", "أإآؤئ لؤلؤة")
    path = write(tmp_path / "b.txt", [f"{given_files.MARKED} {decomposed}"])
    expected = unicodedata.normalize("NFC", f"{given_files.MARKED} {decomposed}")
    assert corpora.documents("bahrain_corpus", path)[0].text == expected
    assert "ﷺ" in expected and "ﻻ" in expected and "ـــ" in expected and "أ" in expected
    novel = write(tmp_path / "n" / "1.txt", [given_files.MARKED])
    assert corpora.documents("gumar", novel)[0].text == unicodedata.normalize("NFC", given_files.MARKED)
    escaped = json.dumps({"text": unicodedata.normalize("NFD", "أم سالم هني قاعدة")})
    assert escaped.isascii()
    escaped = write(tmp_path / "e.jsonl", [escaped])
    assert corpora.documents("bahrain_corpus", escaped)[0].text == "أم سالم هني قاعدة"


# Files that are not what they should be.


@pytest.mark.parametrize("raw, fault", [
    (b"", "is empty"),
    (b"\xff\xfe" + "جملة من البحرين".encode("utf-16-le"), "is UTF-16 text: convert it"),
    ("جملة من البحرين".encode("utf-16-be"), "line 1, holds zero bytes, so it is binary or UTF-16"),
    (b"PK\x03\x04\x14\x00\x06\x00docx", "line 1, holds zero bytes"),
    ("سطر سليم\nجملة من البحرين".encode("cp1256"), r"line 1, is not UTF-8 but looks like Windows-1256"),
    ("سطر سليم\n".encode() + "جملة من البحرين".encode("cp1256"), r"line 2, is not UTF-8 but looks like Windows-1256"),
    ("سطر سليم\nجملة من البحرين".encode()[:-1], "line 2, is not UTF-8 throughout: bytes of the line are damaged"),
    (b"caf\xe9 au lait, tr\xe8s bon\n", "line 1, is not UTF-8 text"),
])  # fmt: skip
def test_bytes_that_are_no_text(tmp_path, raw, fault):
    path = write(tmp_path / "b.txt", raw)
    with pytest.raises(UserError, match=rf"b\.txt,? {fault}"):
        corpora.documents("bahrain_corpus", path)


def test_folders_and_files_of_another_kind(tmp_path):
    with pytest.raises(UserError, match=r"x\.docx is no file of gumar: it is read from \.txt"):
        corpora.documents("gumar", write(tmp_path / "x.docx", b"PK\0"))
    with pytest.raises(UserError, match=r"given for gumar, holds no file ending in \.txt"):
        corpora.documents("gumar", tmp_path)
    with pytest.raises(UserError, match=r"holds no text that can be used: check that it is a \.txt file"):
        corpora.documents("bahrain_corpus", write(tmp_path / "b.txt", "hello\n"))
    lost = write(tmp_path / "c.txt", ["هذي جملة فيها حرف \ufffd ضايع", given_files.SENTENCES[0]])
    assert [text.text for text in corpora.documents("bahrain_corpus", lost)] == given_files.SENTENCES[:1]


# Sampling and fingerprints.


def test_sampling_is_by_seed_alone(tmp_path, monkeypatch):
    for part in range(4):
        write(tmp_path / f"{part}.txt", [f"هذي الجملة رقم {part} {i} من عندي" for i in range(50)])
    everything = corpora.documents("bahrain_corpus", tmp_path)
    assert len(everything) == 200 == len({text.id for text in everything})
    drawn = corpora.documents("bahrain_corpus", tmp_path, limit=40, seed=1)
    assert drawn == corpora.documents("bahrain_corpus", tmp_path, limit=40, seed=1)
    assert drawn[:15] == corpora.documents("bahrain_corpus", tmp_path, limit=15, seed=1)
    assert set(drawn) <= set(everything) and {text.id.split("/")[1] for text in drawn} == {f"{i}.txt" for i in range(4)}
    assert set(drawn) != set(corpora.documents("bahrain_corpus", tmp_path, limit=40, seed=2))
    assert len(corpora.documents("bahrain_corpus", tmp_path, limit=10_000)) == 200
    moved = shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-moved")
    monkeypatch.setenv("LLMINI_BAHRAIN_CORPUS", str(moved))
    assert corpora.documents("bahrain_corpus", limit=40, seed=1) == drawn  # ids and order tell nothing of the machine


def test_fingerprints(tmp_path):
    folder = given_files.qalb(tmp_path / "q")
    before = corpora.fingerprint("camel_gec", folder)
    assert re.fullmatch("[0-9a-f]{64}", before) and before == corpora.fingerprint("camel_gec", folder)
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    assert corpora.fingerprint("camel_gec", moved) == before
    write(folder / "data" / "2014" / "test" / "QALB-2014-L1-Test.m2", "S آخر\n\n")  # is not read
    assert corpora.fingerprint("camel_gec", folder) == before
    train = moved / "data" / "2014" / "train" / "QALB-2014-L1-Train.cor"
    raw = train.read_bytes()
    for place in (0, len(raw) // 2, len(raw) - 2):  # every byte of the corrected side counts
        train.write_bytes(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :])
        assert corpora.fingerprint("camel_gec", moved) != before
    train.write_bytes(raw)
    for name in (".sent", ".cor"):
        train.with_suffix(name).rename(train.with_name(f"Renamed{name}"))
    assert corpora.fingerprint("camel_gec", moved) != before
    one = write(tmp_path / "1.txt", given_files.SENTENCES)
    write(tmp_path / "g" / "1.txt", given_files.SENTENCES)
    assert corpora.fingerprint("gumar", one) == corpora.fingerprint("gumar", tmp_path / "g")


# The hub.

ALPACA = [{"instruction": f"Name {i} things that float on the sea.", "input": "", "output": f"Boats and {i} corks."}
          for i in range(8)]  # fmt: skip
PAIRS = [{"translation": {"ar": f"وصلت السفينة رقم {i} إلى الميناء في الصباح.",
                          "en": f"Ship number {i} reached the harbour in the morning."}} for i in range(8)]  # fmt: skip


@pytest.fixture
def hub(monkeypatch):
    """Rows of the true shape in the place of the hub, some of which the filters turn away."""
    rows = {"tatsu-lab/alpaca": [*ALPACA, ALPACA[0], {"instruction": "Hi", "input": "", "output": "Hello"}],
            "Helsinki-NLP/opus-100": [*PAIRS, {"translation": {"ar": "نعم", "en": "Yes"}}]}  # fmt: skip
    monkeypatch.setattr(datasets, "load_dataset", lambda path, **_: datasets.Dataset.from_list(rows[path]))
    return rows


def test_hub_rows_pass_the_filters_of_distillation(hub):
    texts = corpora.read("alpaca")
    assert sorted(text.text for text in texts) == sorted(row["output"] for row in ALPACA)
    assert {(text.language, text.prompt) for text in texts} == {("en", row["instruction"]) for row in ALPACA}
    assert texts == corpora.instructions("alpaca") and corpora.read("alpaca", limit=3, seed=4) != texts[:3]
    assert corpora.read("alpaca", limit=3) == texts[:3]
    pairs = corpora.read("opus-100", limit=5)
    for text in pairs:
        number = int(text.id.split("/")[1])
        expected = sources.translation(PAIRS[number], number)
        assert (text.language, text.prompt, text.text) == expected[:3] and text.language == "ar"
    before = corpora.fingerprint("alpaca")
    hub["tatsu-lab/alpaca"][0] = {**ALPACA[0], "output": "Boats and 1 cork."}
    assert corpora.fingerprint("alpaca") != before


def test_a_copy_of_a_hub_data_set(tmp_path, monkeypatch):
    parquet.write_table(pyarrow.Table.from_pylist(ALPACA), tmp_path / "train-0.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(PAIRS), tmp_path / "train-1.parquet")
    monkeypatch.setenv("LLMINI_ALPACA", str(tmp_path / "train-0.parquet"))
    assert len(corpora.read("alpaca")) == 8 and len(corpora.fingerprint("alpaca")) == 64
    with pytest.raises(UserError, match="alpaca holds requests with answers: read it as instructions"):
        corpora.documents("alpaca")
    with pytest.raises(UserError, match="is not of the shape of opus-100"):
        corpora.read("opus-100", tmp_path / "train-0.parquet")
    with pytest.raises(UserError, match=r"b\.parquet cannot be read as parquet"):
        corpora.read("alpaca", write(tmp_path / "b.parquet", "text"))

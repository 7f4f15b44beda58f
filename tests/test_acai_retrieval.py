"""ACAI's retrieval and documents: their own tests in node, the benchmark's numbers, and the same code in Chromium."""

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import acai

ROOT = Path(__file__).resolve().parents[1]
QUESTIONS = ROOT / "data/retrieval/questions.jsonl"
CORPUS = ROOT / "acai/corpus"


def node(*arguments):
    """Standard output of node; skips where there is none."""
    if not shutil.which("node"):
        pytest.skip("needs node 20 or later: apt install nodejs")
    done = subprocess.run(["node", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.parametrize("name", ["retrieval", "documents"])
def test_in_node(name):
    if name == "documents":
        acai.vendor()
    node("--test", f"acai/tests/{name}.test.mjs")


def test_questions_are_answered_by_one_passage_of_their_document():
    questions = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf8").splitlines()]
    assert len(questions) >= 120 and len({each["id"] for each in questions}) == len(questions)
    assert len({each["question"] for each in questions}) == len(questions)
    assert sum(each["variety"] == "bahraini" for each in questions) >= 40
    for each in questions:
        text = (CORPUS / f"{each['document']}.md").read_text(encoding="utf8")
        assert text.count(each["phrase"]) == 1, each["id"]
        assert each["phrase"] not in each["question"] and each["variety"] in ("standard", "bahraini")
    asked = {each["document"] for each in questions}
    index = json.loads((CORPUS / "corpus.json").read_text(encoding="utf8"))["documents"]
    assert asked == {entry["id"] for entry in index if entry["language"] == "ar"}


def test_benchmark_counts_add_up_and_stems_find_more_than_words():
    found = json.loads(node("benchmarks/retrieval.mjs", "--json"))
    assert found["split"] == "test" and found["passages"] >= 200
    groups = found["groups"]
    assert list(groups) == ["all", "standard", "bahraini"]
    for group in groups.values():
        hits = {share["mode"]: share["hits"] for share in group["shares"]}
        for share in group["shares"]:
            assert 0 <= share["hits"]["1"] <= share["hits"]["5"] <= share["n"]
        for pair in group["pairs"]:
            assert pair["better"] + pair["worse"] + pair["same"] == group["shares"][0]["n"]
            k = str(pair["k"])
            assert pair["better"] - pair["worse"] == hits[pair["to"]][k] - hits[pair["from"]][k]
            assert 0 < pair["p"] <= 1
    for at, share in enumerate(groups["all"]["shares"]):
        assert 80 <= share["n"] == sum(groups[name]["shares"][at]["n"] for name in ("standard", "bahraini"))
    raw, stemmed, grams = (share["hits"] for share in groups["all"]["shares"])
    assert stemmed["5"] > raw["5"] and grams["5"] > raw["5"] and grams["1"] > raw["1"]

    lines = node("benchmarks/retrieval.mjs").splitlines()
    assert lines[0].startswith("## Retrieval") and lines[2] == "`node benchmarks/retrieval.mjs`"
    assert sum(line.startswith("| all |") for line in lines) == 3 + 6
    command = ["node", "benchmarks/retrieval.mjs", "--split", "x"]
    wrong = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1


def test_world_notes_are_what_the_world_says(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "acai/scripts"))
    import world_notes

    kinds = world_notes.KINDS.items()
    facts = [fact for kind, (number, *_) in kinds for one in world_notes.chosen(kind, number) for fact in one]
    assert 140 <= len(facts) == len({fact.id for fact in facts}) <= 160
    for fact in facts:
        assert sum(fact.weights) > 0
    monkeypatch.setattr(world_notes, "CORPUS", tmp_path)
    for path in CORPUS.glob("*.md"):
        shutil.copy(path, tmp_path)
    world_notes.main()
    for path in sorted(tmp_path.iterdir()):
        assert path.read_bytes() == (CORPUS / path.name).read_bytes(), path.name
    sys.modules.pop("world_notes")


HOSTILE = """<!doctype html><html><head><meta charset="windows-1256"><title>دليل &lt;b&gt;</title>
<script>window.ran = 'script'</script><style>p{}</style><meta http-equiv="refresh" content="0;url=/gone"></head>
<body onload="window.ran='load'"><h1>العنوان</h1><p>أول <b>نص</b> بلا<br>سطر</p>
<img src="/tests/ask-image" onerror="window.ran='error'"><iframe srcdoc="<script>parent.ran='frame'</script>">x</iframe>
<svg onload="window.ran='svg'"><text>رسم</text></svg><link rel=stylesheet href="/tests/ask-style">
<div><h2>قسم</h2><ul><li>بند</li><li>ثان</li></ul><table><tr><td>أ</td><td>ب</td></tr></table></div>
<p hidden>مخفي</p><noscript>لا</noscript><template><p>قالب</p></template><p>آخر</p></body></html>"""

DO = "async ([name, given]) => (await import('/tests/retrieval.page.js'))[name](given)"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page of the application's server in Chromium, on which the application itself does not run."""
    folder = tmp_path_factory.mktemp("acai")
    root = acai.site(folder / "site")
    blank = "<!doctype html><title>-</title><link rel=icon href=data:,>"
    (root / "tests/blank.html").write_text(blank, encoding="utf8")
    with (
        acai.serving(root, root / "model", "--allow-host", "wiki.example") as server,
        acai.browser(folder / "profile") as context,
    ):
        found = context.new_page()
        found.goto(f"{server.url}/tests/blank.html")
        found.left = context.left
        yield found


def test_documents_in_chromium(page):
    files = json.loads(node("acai/tests/samples.mjs"))
    files["page.html"] = base64.b64encode(HOSTILE.encode("cp1256")).decode()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    result = page.evaluate(DO, ["readAll", files])
    found = result["found"]
    assert found["page.html"]["title"] == "دليل <b>"
    blocks = ["# العنوان", "أول نص بلا\nسطر", "## قسم", "بند", "ثان", "أ | ب", "آخر"]
    assert found["page.html"]["text"].split("\n\n") == blocks
    assert result["ran"] is None and not any("ask-" in url for url in asked)
    assert found["arabic.pdf"] == {"title": "arabic", "text": "الحوالة تصل اليوم", "pages": 1}
    assert found["lines.pdf"]["pages"] == 40 and found["lines.pdf"]["text"].startswith("Page 0\nof many.\n\nPage 1\n")
    assert found["broken.pdf"] == {"key": "doc.damaged"} and found["bomb.docx"] == {"key": "doc.zipBomb"}
    assert found["word.docx"] == {"title": "word", "text": "# عقد\n\nالأجرة BHD 300 كل شهر"}
    assert page.left == []


def test_search_in_chromium(page):
    found = page.evaluate(DO, ["searchAll", None])
    assert found["documents"] == len(list(CORPUS.glob("*.md"))) - (CORPUS / "README.md").is_file()
    assert found["bank"][0] == "bank-fraud"
    assert found["a"][0] == "mine" and "mine" not in found["b"]
    assert page.left == []


def test_web_search_is_off_until_it_is_turned_on_and_keeps_to_the_hosts_allowed(page):
    off = page.evaluate(DO, ["searchWeb", [False, "اللؤلؤ"]])
    assert off == {"found": {"key": "web.off"}, "sent": [], "ran": None}
    on = page.evaluate(DO, ["searchWeb", [True, "اللؤلؤ"]])
    assert on["found"][0]["url"] == "https://wiki.example/pearl" and "غاص أهل البحرين" in on["found"][0]["text"]
    assert all(passage["remote"] is True for passage in on["found"])
    assert len(on["sent"]) == 3 and not any("other.example" in each or "refused" in each for each in on["sent"])
    assert on["ran"] is None


def test_web_errors_of_the_real_proxy_are_its_own(page):
    found = page.evaluate(DO, ["askProxy", None])
    assert found == [["wiki.example"], "web.host", "web.address", "web.host"]
    assert page.left == []


def test_files_are_small_and_never_write_markup():
    services = ROOT / "acai/services"
    for path in [*services.glob("retrieval/*.js"), *services.glob("documents/*.js"), services / "web.js"]:
        text = path.read_text(encoding="utf8")
        assert text.count("\n") <= 250 and "innerHTML" not in text and "eval(" not in text, path.name

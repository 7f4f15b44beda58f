"""Hostile input in ACAI, in Chromium: script never runs, whatever it comes in by; what cannot be read is refused with
a clear message; and after each of them the chat and the document of before are whole."""

import json
import shutil
import subprocess

import pytest

import acai
from acai_faults import altered
from acai_hostile import (
    BLOCKED,
    RUNS,
    SCRIPT,
    drop,
    forget,
    imported,
    keep,
    lost_nothing,
    pattern,
    quiet,
    told,
    unhurt,  # fmt: skip
)
from acai_page import answer_dialog, ask, backup, bring, start, view

QUESTION = "مع سالم 12 لؤلؤة، أعطى أخته 5 منها، فكم بقي معه؟"
VIOLATION = "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective))"


@pytest.fixture(scope="module")
def samples():
    if not shutil.which("node"):
        pytest.skip("needs node 20 or later: apt install nodejs")
    made = subprocess.run(["node", acai.ACAI / "tests/samples.mjs", "hostile"], capture_output=True, check=True)
    return json.loads(made.stdout)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return acai.model(tmp_path_factory)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return acai.site(tmp_path_factory.mktemp("site") / "app", tests=False)


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    with acai.browser(tmp_path_factory.mktemp("profile"), viewport={"width": 1280, "height": 800}) as running:
        yield running
        assert running.left == []


@pytest.fixture(scope="module")
def opened(context, site, model):
    """The application with a chat and a document in it, and what its console said."""
    with acai.serving(site, model) as server:
        page = context.new_page()
        page.wrong, page.dialogs = acai.errors(page), []
        page.on("dialog", lambda box: (page.dialogs.append(box.message), box.dismiss()))
        page.add_init_script(VIOLATION)
        start(page, server.url)
        keep(page)
        view(page, "chat")
        ask(page, QUESTION, "hakeem")
        yield page


@pytest.fixture
def page(opened):
    quiet(opened)
    opened.click(".brand")
    yield opened
    lost_nothing(opened, QUESTION)
    assert opened.dialogs == []
    assert [line for line in opened.wrong if not line.startswith(BLOCKED)] == []
    del opened.wrong[:]


def test_the_trap_springs(context):
    """The same script on a page without our policy does run: what these tests look for can be seen."""
    page = context.new_page()
    page.set_content(RUNS)
    assert page.evaluate("window.hurt") == "control"
    with pytest.raises(AssertionError):
        unhurt(page)
    page.set_content(f"<div id=app>{SCRIPT}</div>")
    assert page.evaluate("window.hurt") is not None
    page.close()


def asked(agent):
    def act(page, _):
        exchange = ask(page, f"سؤال: {SCRIPT}", agent)
        assert "window.hurt" in exchange.locator(".question").inner_text()
        unhurt(page)
        forget(page)

    return act


def document(name, content=None):
    """A document is read, shown, found by a question, and removed; its name and title are hostile as well."""
    def act(page, samples):
        view(page, "documents")
        if content is None:
            drop(page, name, samples[name])
        else:
            page.set_input_files("#files", {"name": name, "mimeType": "text/plain", "buffer": content.encode()})
        told(page, "documents.added")
        page.click(".documents .item .chat-link >> nth=0")
        page.wait_for_selector("#passage blockquote")
        assert "hurt" in page.inner_text("#passage") or name.endswith(".html")
        unhurt(page)
        page.keyboard.press("Escape")
        view(page, "chat")
        exchange = ask(page, "ما الذي يقوله كلام الوثيقة window hurt؟", "bahith")
        exchange.locator("details summary").evaluate_all("all => all.forEach((one) => one.click())")
        for source in exchange.locator(".source").all()[:3]:
            source.click()
            unhurt(page)
        forget(page)
        view(page, "documents")
        page.click(".documents .item .button >> nth=1")
        answer_dialog(page)

    return act


def stored(*responses, title="محادثة"):
    def act(page, _):
        imported(page, backup(responses, title))
        for source in page.locator(".source, .cite").all()[:4]:
            source.click()
            page.wait_for_selector("#passage blockquote")
            unhurt(page)
            page.keyboard.press("Escape")
        unhurt(page)
        look = "all => all.map((one) => [one.hasAttribute('href'), one.tabIndex])"
        links = page.locator(".markdown a").evaluate_all(look)
        assert all(link == [False, 0] for link in links)  # a browser connects to an address that is only hovered over
        if links:
            page.locator(".markdown a").first.click()
            page.wait_for_selector("dialog")  # asked before anything is opened
            page.click("dialog .button >> nth=0")
            assert len(page.context.pages) == before
        forget(page)

    before = 2  # the page of the browser's start and ours
    return act


def named(page, _):
    """A user of that name, and a chat."""
    ask(page, "كلام", "lughawi")
    page.hover(".chats .current")
    page.click(".chats .current .button >> nth=0")
    answer_dialog(page, SCRIPT.replace("\n", " ")[:78])
    page.wait_for_selector(".chats .chat-link:has-text('onerror')")
    unhurt(page)
    forget(page)
    view(page, "settings")
    page.click(".group:has(.people) > .button")
    answer_dialog(page, "<img src=x onerror=window.hurt='user'>")
    page.wait_for_selector(".who:has-text('onerror')")
    unhurt(page)
    page.click(".people .current .button >> nth=1")
    answer_dialog(page)
    page.wait_for_selector(".who:has-text('ضيف')")
    view(page, "chat")


def address(page, _):
    page.goto(page.url.split("#")[0].split("?")[0] + "?q=<script>window.hurt='q'</script>#<img src=x onerror=hurt=1>")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector(".state.ready")
    unhurt(page)


SOURCE = {"n": 1, "text": SCRIPT, "passage": {"title": SCRIPT, "text": SCRIPT, "document": SCRIPT}}
WEB = {"title": "x", "text": "x", "remote": True, "url": "javascript:window.hurt=1"}
REMOTE = {"n": 1, "text": "x", "passage": WEB}
NODES = [{"id": "a", "label": SCRIPT}, {"id": "b", "label": "b"}]
GRAPH = {"nodes": NODES, "edges": [{"source": "a", "target": "b", "label": SCRIPT}]}
CLAIM = {"text": SCRIPT, "verdict": SCRIPT, "source": SOURCE}
STEP = {"text": SCRIPT, "equations": [{"left": SCRIPT, "said": SCRIPT, "expected": SCRIPT}]}
NOTES = [{"key": "constructor"}, {"key": "agents.unsupported", "params": {"count": SCRIPT}}, 5]


def answer(agent, part, **more):
    return (agent, SCRIPT, {"text": SCRIPT, "order": [agent], "parts": {agent: part}, **more})


SCRIPTS = {
    **{f"in a question to {agent}": asked(agent) for agent in ("hakeem", "bahith", "lughawi", "muraqib", "bani")},
    "in a text document": document("a.txt", f"كلام {SCRIPT} window hurt"),
    "in a markdown document": document("a.md", f"# {SCRIPT.splitlines()[0]}\n\nكلام {SCRIPT} window hurt"),
    "in a web page": document("a.html", f"<title>{SCRIPT}</title><body onload=\"window.hurt='load'\">{SCRIPT}<p>نص"),
    "in a Word document": document("script.docx"),
    "in a PDF": document("script.pdf"),
    "in a file's name": document("<img src=x onerror=window.hurt='name'>.txt", "كلام window.hurt"),
    "in the names of a chat and a user": named,
    "in the address": address,
    "in a backup's title, question and answer": stored(answer("bahith", {"text": SCRIPT}), title=SCRIPT[:380]),
    "in a backup's sources": stored(answer("bahith", {"text": f"{SCRIPT} [1]", "sources": [SOURCE], "cited": [1]})),
    "in a backup's web source": stored(answer("musheer", {"text": "x [1]", "sources": [REMOTE], "cited": [1]})),
    "in a backup's graph": stored(answer("bani", {"text": 5, "graph": GRAPH})),
    "in a backup's steps": stored(answer("hakeem", {"text": "x", "steps": [STEP, None, 7], "result": SCRIPT})),
    "in a backup's words": stored(answer("lughawi", {"words": [{"word": SCRIPT, "candidates": [{"root": SCRIPT}]}]})),
    "in a backup's claims": stored(answer("muraqib", {"claims": [CLAIM, 7, None]})),
    "in a backup's notes and confidence": stored(
        answer("bahith", {"text": "x", "notes": NOTES}, confidence={"bahith": {"value": "x", "key": SCRIPT}})),
}


@pytest.mark.parametrize("place", SCRIPTS)
def test_script_never_runs(page, samples, place):
    SCRIPTS[place](page, samples)
    unhurt(page)


MIB = 2**20
REFUSED = {
    "a document over 50 MB": (("large.txt", 50 * MIB + 1), "doc.tooLarge"),
    "a document of 50 MB of letters": (("long.txt", 50 * MIB), "doc.tooLarge"),
    "a web page of 50 MB": (("long.html", 50 * MIB), "doc.tooLarge"),
    "a zip bomb": ("bomb.docx", "doc.zipBomb"),
    "an archive of 5,000 files": ("many.docx", "doc.zipBomb"),
    "a Word document with a changed byte": ("flipped.docx", "doc.damaged"),
    "entities that multiply": ("laughs.docx", "doc.damaged"),
    "a text called Word": ("fake.docx", "doc.damaged"),
    "a broken PDF": ("broken.pdf", "doc.damaged"),
    "a PDF whose pages hold themselves": ("loop.pdf", "doc.damaged"),
    "a PDF under a password": ("locked.pdf", "doc.encrypted"),
    "a PDF of pictures": ("scan.pdf", "doc.empty"),
    "a picture called text": ("photo.txt", "doc.binary"),
    "an empty file": (("empty.txt", 0), "doc.empty"),
    "a kind that is not read": (("table.xlsx", 9), "doc.unsupported"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_documents_that_are_refused(page, samples, what):
    given, key = REFUSED[what]
    view(page, "documents")
    before = page.locator(".documents .item").count()
    if isinstance(given, str):
        drop(page, given, samples[given])
    else:
        drop(page, given[0], size=given[1])
    told(page, key)
    page.wait_for_function("document.querySelectorAll('.work li').length === 0")
    assert page.locator(".documents .item").count() == before


def changed(**fields):
    return {**backup([("hakeem", "x", {"text": "y"})]), **fields}


def inside(store, **fields):
    made = backup([("hakeem", "x", {"text": "y"})])
    made["stores"][store][0] |= fields
    return made


def polluting():
    """A backup as text: Python's own dictionaries would drop nothing of it, JavaScript's might."""
    state = '"state": "complete"'
    return json.dumps(changed()).replace(state, f'{state}, "parts": {{"__proto__": {{"polluted": 1}}}}').encode()


DEEP = json.loads("[" * 40 + "]" * 40)
BACKUPS = {
    "no JSON": (b"<script>window.hurt=1</script>", "backup.not_a_backup"),
    "half a file": (json.dumps(changed()).encode()[:-9], "backup.not_a_backup"),
    "bytes that are no text": (b"\xff\xfe{}", "backup.not_a_backup"),
    "another program's": ({"format": "other", "stores": {}}, "backup.not_a_backup"),
    "of a newer version": (changed(version=3), "backup.newer"),
    "a store that is none": (changed(stores={"secrets": []}), "backup.damaged"),
    "a key that reaches a prototype": (polluting, "backup.damaged"),
    "an id that is none": (inside("queries", id="../../x"), "backup.damaged"),
    "an answer in no known state": (inside("responses", state="x"), "backup.damaged"),
    "a question of a chat that is not in it": (inside("queries", chat="0" * 8 + "-0000" * 3 + "-" + "0" * 12),
                                               "backup.damaged"),
    "a field that is unknown": (inside("chats", onclick="window.hurt=1"), "backup.damaged"),
    "a text where a time belongs": (inside("chats", updated="now"), "backup.damaged"),
    "lists forty deep": (inside("responses", parts={"hakeem": DEEP}), "backup.damaged"),
}  # fmt: skip


@pytest.mark.parametrize("what", BACKUPS)
def test_backups_that_are_refused(page, what):
    given, key = BACKUPS[what]
    before = page.locator(".chats .chat-link").count()
    note = bring(page, given() if callable(given) else given)
    assert pattern(key).fullmatch(note), note
    assert page.locator(".chats .chat-link").count() == before


def test_a_hostile_model(context, site, model, tmp_path):
    """A model whose every letter comes out as script, with a name and facts to match: it is shown as what it is."""
    def alter(content):
        told = json.loads(content)
        steps = [{"type": "Replace", "pattern": {"String": sign}, "content": f"{sign}{SCRIPT}"} for sign in "اe1"]
        told["decoder"] = {"type": "Sequence", "decoders": [told["decoder"], *steps]}
        return json.dumps(told).encode()

    folder = altered(model, tmp_path / "m", "tokenizer.json", alter)
    manifest = {**acai.manifest(folder), "name": SCRIPT[:290], "facts": {"perplexity": SCRIPT, "metrics": [SCRIPT]}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf8")
    with acai.serving(site, folder) as server:
        page = context.new_page()
        start(page, server.url)
        for agent in ("hakeem", "bahith", "lughawi", "muraqib", "bani"):
            exchange = ask(page, QUESTION, agent)
            unhurt(page)
            if agent in ("hakeem", "bahith"):
                assert "onerror" in exchange.inner_text()
        view(page, "model")
        assert "onerror" in page.inner_text(".facts >> nth=0")
        unhurt(page)
        page.close()

"""Faults around ACAI, in Chromium: a full device, damaged models, other tabs, a reload in mid-answer. Each ends in a
clear message, and what was kept before is there after it."""

import json
import random

import pytest

import acai
from acai_faults import altered
from acai_hostile import keep, lost_nothing, pattern, quiet, told
from acai_page import ask, backup, bring, start, view

pytestmark = pytest.mark.slow

QUESTION = "مع سالم 12 لؤلؤة، أعطى أخته 5 منها، فكم بقي معه؟"
COUNTS = """() => new Promise((resolve) => {
    const asked = indexedDB.open('acai');
    asked.onsuccess = async () => {
        const db = asked.result, counts = {};
        await Promise.all([...db.objectStoreNames].map((name) => new Promise((next) => {
            const all = db.transaction(name).objectStore(name).count();
            all.onsuccess = () => { counts[name] = all.result; next(); };
        })));
        db.close();
        resolve(counts);
    };
})"""
STORED = """() => new Promise((resolve) => {
    const asked = indexedDB.open('acai');
    asked.onsuccess = () => {
        const all = asked.result.transaction('responses').objectStore('responses').getAll();
        all.onsuccess = () => { asked.result.close(); resolve(all.result.map(({ state, text }) => [state, text])); };
    };
})"""


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
def server(site, model):
    with acai.serving(site, model) as running:
        yield running


@pytest.fixture(scope="module")
def opened(context, server):
    page = context.new_page()
    start(page, server.url)
    keep(page)
    view(page, "chat")
    ask(page, QUESTION, "hakeem")
    return page


@pytest.fixture
def page(opened):
    quiet(opened)
    opened.click(".brand")
    yield opened
    lost_nothing(opened, QUESTION)


def fresh(context, url, ready=True):
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector(".state.ready" if ready else ".state.missing")
    return page


def test_a_full_device(context, site, model):
    """No document, no backup and no answer fits any more: each says so, and nothing is kept by half. The model is
    refused as well, and the rules and the search go on."""
    draw = random.Random(0)
    letters = "ابتثجحخدذرزسشصضطظعغفقكلمنهوي "

    def text(length):  # which no store can make smaller
        return "".join(draw.choices(letters, k=length))

    with acai.serving(site, model) as server:
        page = context.new_page()
        session = context.new_cdp_session(page)
        room = {"origin": server.url.rstrip("/"), "quotaSize": 300_000}  # before it is first asked: browsers remember
        session.send("Storage.overrideQuotaForOrigin", room)
        page.goto(server.url)
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector(".state.missing")
        view(page, "model")
        assert pattern("llm.quota").search(page.inner_text(".facts >> nth=0"))
        keep(page)
        view(page, "chat")
        ask(page, QUESTION, "lughawi")
        quiet(page)
        view(page, "documents")
        for size in (200_000, 20_000, 20_000, 20_000, 20_000, 20_000, 20_000, 20_000):
            before = page.evaluate(COUNTS)
            content = text(size).encode()
            page.set_input_files("#files", {"name": "كبير.txt", "mimeType": "text/plain", "buffer": content})
            page.wait_for_selector(".note")
            if page.locator(".note.wrong").count():
                told(page, "models.quota")
                assert page.evaluate(COUNTS) == before  # nothing of it, not a half
            quiet(page)
        before = page.evaluate(COUNTS)
        note = bring(page, backup([("hakeem", "x", {"text": text(200_000)}), ("hakeem", "y", {"text": "z"})]))
        assert pattern("models.quota").fullmatch(note), note
        assert page.evaluate(COUNTS) == before
        view(page, "chat")
        exchange = ask(page, text(19_000), "lughawi")
        told(page, "agents.not_stored")
        assert exchange.locator(".agent-part").inner_text()
        lost_nothing(page, QUESTION)
        page.close()


def damaged(content):
    return content[:-9] + b"?" + content[-8:]


def rewritten(**fields):
    return lambda content: json.dumps({**json.loads(content), **fields}).encode()


def traversing(content):
    told = json.loads(content)
    told["files"]["../../serve.py"] = {"bytes": 1, "sha256": "0" * 64}
    return json.dumps(told).encode()


SHARDS = {
    "a changed byte in the weights": ("onnx/model_q4dq.onnx_data", damaged, "llm.corrupt"),
    "a changed byte in the graph": ("onnx/model_q4dq.onnx", damaged, "llm.corrupt"),
    "weights cut short": ("onnx/model_q4dq.onnx_data", lambda content: content[:-1000], "llm.corrupt"),
    "another tokenizer": ("tokenizer.json", damaged, "llm.corrupt"),
    "a manifest that is no JSON": ("manifest.json", lambda content: content[:200], "llm.manifest"),
    "a manifest that reaches outside": ("manifest.json", traversing, "llm.manifest"),
    "a manifest of another version": ("manifest.json", rewritten(version=9), "llm.manifest"),
    "a manifest without files": ("manifest.json", rewritten(files={}), "llm.manifest"),
}


@pytest.mark.parametrize("what", SHARDS)
def test_models_that_are_refused(context, site, model, tmp_path, what):
    """The file is named, nothing is loaded, and the documents can still be searched."""
    file, change, key = SHARDS[what]
    with acai.serving(site, altered(model, tmp_path / "m", file, change, told=False)) as server:
        page = fresh(context, server.url, ready=False)
        view(page, "model")
        said = page.inner_text(".facts >> nth=0")
        assert pattern(key).search(said), said
        if key == "llm.corrupt":
            assert file in said
        view(page, "chat")
        exchange = ask(page, "كم خانة في الآيبان البحريني؟", "bahith")
        assert exchange.locator(".source").count() and pattern("agents.no_model").search(exchange.inner_text())
        page.close()


def test_a_weight_file_that_is_not_there(context, site, model, tmp_path):
    folder = altered(model, tmp_path / "m", "onnx/model_q4dq.onnx_data", damaged, told=False)
    (folder / "onnx/model_q4dq.onnx_data").unlink()
    with acai.serving(site, folder) as server:
        page = fresh(context, server.url, ready=False)
        view(page, "model")
        assert pattern("llm.missing").search(page.inner_text(".facts >> nth=0"))
        page.close()


@pytest.fixture(scope="module")
def endless(site, model, tmp_path_factory):
    """A server of the same model without tokens that end an answer: there is time to do something in its midst."""
    folder = altered(model, tmp_path_factory.mktemp("endless") / "m", "generation_config.json",
                     lambda content: json.dumps({**json.loads(content), "eos_token_id": []}).encode())  # fmt: skip
    folder = altered(folder, folder.with_name("n"), "config.json",
                     lambda content: json.dumps({**json.loads(content), "eos_token_id": None}).encode())  # fmt: skip
    with acai.serving(site, folder) as running:
        yield running


def begun(page, text):
    """Ask, and wait until a part of the answer is stored."""
    view(page, "chat")
    before = len(page.evaluate(STORED))
    page.check(".composer input[value=hakeem]", force=True)
    page.fill("#question", text)
    page.press("#question", "Enter")
    for _ in range(600):
        answers = page.evaluate(STORED)
        if len(answers) > before and any(state == "writing" and text for state, text in answers):
            return
        page.wait_for_timeout(10)
    raise AssertionError(f"no part of the answer was stored: {answers}")


@pytest.mark.parametrize("how", ["reload", "close"])
def test_an_answer_that_is_cut_off(context, endless, how):
    """The question and what was written so far are kept, and it is said that the answer was cut off."""
    page = fresh(context, endless.url)
    begun(page, f"اكتب قصة عن البحر {how}")
    if how == "close":
        page.close()
        page = context.new_page()
    start(page, endless.url)
    page.click(f".chat-link:has-text('{how}')")
    page.wait_for_selector(".exchange .agent-part")
    assert page.locator(".exchange .agent-part").inner_text().strip()
    assert pattern("chat.interrupted").search(page.inner_text(".exchange"))
    page.close()


def test_a_model_unloaded_in_mid_answer(context, endless):
    page = fresh(context, endless.url)
    begun(page, "اكتب قصة عن السفن")
    view(page, "model")
    page.click(".view:not([hidden]) > .row .button >> nth=2")
    page.wait_for_selector(".state.missing")
    view(page, "chat")
    page.wait_for_selector(".exchange:last-child .answer[aria-busy=false] .foot > *")
    assert page.locator(".exchange:last-child .agent-part").inner_text().strip()
    assert pattern("chat.no_model").search(page.inner_text(".notice"))
    page.close()


def test_a_second_tab(context, page, server):
    """Both answer at once, each keeps its own, and either sees what the other did."""
    other = fresh(context, server.url)
    for tab, text in ((page, "سؤال اللسان الأول"), (other, "سؤال اللسان الثاني")):
        tab.check(".composer input[value=lughawi]", force=True)
        tab.fill("#question", text)
        tab.press("#question", "Enter")
    for tab in (page, other):
        tab.wait_for_selector(".exchange:last-child .answer[aria-busy=false] .foot > *")
        for text in ("سؤال اللسان الأول", "سؤال اللسان الثاني"):
            tab.wait_for_selector(f".chat-link:has-text('{text}')")
    other.close()


def test_a_chat_deleted_in_another_tab(context, page, server):
    """Whoever goes on in it is told that it is gone, and goes on in a new one."""
    ask(page, "محادثة تُحذف في لسان آخر", "lughawi")
    other = fresh(context, server.url)
    other.click(".chat-link:has-text('محادثة تُحذف')")
    other.hover(".chats .current")
    other.click(".chats .current .button >> nth=1")
    other.click("dialog button[type=submit]")
    other.wait_for_selector(".welcome")
    other.close()
    told(page, "models.missing")
    ask(page, "سؤال بعد الحذف", "lughawi")
    page.wait_for_selector(".chat-link:has-text('سؤال بعد الحذف')")
    assert page.locator(".chat-link:has-text('محادثة تُحذف')").count() == 0


def test_a_newer_version_in_another_tab(context, site, model):
    """This tab lets go and says so; opened again, the older application says that the data is newer, and leaves it."""
    with acai.serving(site, model) as server:
        page, other = fresh(context, server.url), context.new_page()
        ask(page, QUESTION, "hakeem")
        other.goto(f"{server.url}icon.svg")
        other.evaluate("""() => new Promise((resolve, reject) => {
            const asked = indexedDB.open('acai', 99);
            asked.onsuccess = () => { asked.result.close(); resolve(); };
            asked.onerror = reject;
        })""")
        page.wait_for_selector(".note")
        assert pattern("models.closed").search(page.inner_text("#messages"))
        page.reload()
        page.wait_for_function("() => document.querySelector('#app').innerText.length > 20")
        assert pattern("models.newer").search(page.inner_text("#app"))
        counts = other.evaluate(COUNTS)
        assert counts["queries"] == counts["responses"] == 1
        page.close()
        other.close()

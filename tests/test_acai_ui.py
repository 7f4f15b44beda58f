"""The application itself in Chromium, with a real model: what people see and do.

ACAI_SHOTS names a folder for the screenshots.
"""

import contextlib
import json
import os
import re
from pathlib import Path

import pytest

import acai
from acai_page import answer_dialog, ask, backup, bring, start, view

LANGUAGES = ("ar", "en")
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
PATIENCE = 240_000  # milliseconds, on a busy machine
VIOLATION = "addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective))"
NAMELESS = """() => [...document.querySelectorAll('button, input, textarea, a[href], select, meter, progress')]
    .filter((e) => e.checkVisibility() && !(e.ariaLabel || e.textContent.trim() || e.labels?.length))
    .map((e) => e.outerHTML.slice(0, 100))"""
QUESTIONS = """() => new Promise((resolve) => {
    const asked = indexedDB.open('acai');
    asked.onsuccess = () => {
        const all = asked.result.transaction('queries').objectStore('queries').getAll();
        all.onsuccess = () => { asked.result.close(); resolve(all.result.map(({ text }) => text)); };
    };
})"""
WIDE = """() => [...document.querySelectorAll('#app *')].filter((e) => e.checkVisibility()
    && e.getBoundingClientRect().width > innerWidth + 1 && !e.closest('.scroll, .chips, pre'))
    .map((e) => e.className)"""
WATCH = """() => {
    window.seen = { sent: 0, first: null, long: [] };
    new PerformanceObserver((list) => seen.long.push(...list.getEntries().map(({ duration }) => duration)))
        .observe({ type: 'longtask' });
    addEventListener('keydown', ({ key }) => { if (key === 'Enter') seen.sent = performance.now(); }, true);
    new MutationObserver(() => {
        const shown = document.querySelector('.exchange:last-child :is(.live:not([hidden]), .markdown)');
        if (shown?.textContent) seen.first ??= performance.now() - seen.sent;
    }).observe(document.querySelector('#stream'), { childList: true, subtree: true, attributes: true });
}"""
FOCUSED = "(document.activeElement.id || document.activeElement.name || document.activeElement.className)"
LAST = "document.querySelector('#stream').scrollTop = document.querySelector('.exchange:last-child').offsetTop - 90"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return acai.model(tmp_path_factory)


@pytest.fixture(scope="module")
def server(tmp_path_factory, model):
    with acai.serving(acai.site(tmp_path_factory.mktemp("site") / "app", tests=False), model) as running:
        yield running


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    with acai.browser(tmp_path_factory.mktemp("profile"), viewport=SIZES["desktop"], accept_downloads=True) as running:
        running.set_default_timeout(PATIENCE)
        yield running
        assert running.left == []  # nothing was asked of another machine


@pytest.fixture(scope="module")
def opened(context, server):
    """The application, loaded once, and what its console said."""
    page = context.new_page()
    page.wrong = acai.errors(page)
    page.add_init_script(VIOLATION)
    start(page, server.url)
    return page


@pytest.fixture
def page(opened):
    """The application in Arabic on a new chat, as the guest; nothing may go wrong on its console."""
    if opened.get_attribute("html", "lang") != "ar":
        opened.click(".tongue")
    opened.keyboard.press("Escape")
    opened.click(".brand")
    opened.wait_for_selector(".welcome")
    del opened.wrong[:]
    yield opened
    assert opened.wrong == []


def test_every_string_is_in_both_languages():
    files = {language: acai.ACAI / f"strings/{language}.json" for language in LANGUAGES}
    tables = {language: json.loads(path.read_text("utf8")) for language, path in files.items()}
    forms = r"\.(zero|one|two|few|many)$"
    plain = {language: {re.sub(forms, "", key) for key in table} for language, table in tables.items()}
    assert plain["ar"] == plain["en"]
    places = [{re.sub(forms, "", key): set(re.findall(r"\{(\w+)\}", text)) for key, text in table.items()
               if not key.endswith((".zero", ".one", ".two"))} for table in tables.values()]  # fmt: skip
    assert places[0] == places[1]
    sources = [path for folder in (".", "presentation", "agents", "services", "models", "router")
               for path in (acai.ACAI / folder).glob("*.js" if folder == "." else "**/*.js")]  # fmt: skip
    used = set()
    for path in sources:
        text = path.read_text("utf8")
        used |= set(re.findall(r"\bt\('([a-z]+\.\w+)'", text))
        used |= set(re.findall(r"(?:Error|status|fault)\(\s*'((?:llm|doc|web|models|backup|agents)\.\w+)'", text))
        used |= set(re.findall(r"key: '(agents\.\w+)'", text))
    keys = re.search(r"KEYS = .*?\}\)", (acai.ACAI / "agents/events.js").read_text("utf8"), re.S)[0]
    used |= set(re.findall(r"'(agents\.\w+)'", keys))
    assert used - plain["ar"] == set()
    arabic = {key: text for key, text in tables["ar"].items() if text and not re.search(r"[\u0600-\u06ff]", text)}
    assert arabic == {"unit.byte": arabic.get("unit.byte")} or not arabic


def test_the_page_is_arabic_and_turns(page):
    assert (page.get_attribute("html", "lang"), page.get_attribute("html", "dir")) == ("ar", "rtl")
    assert page.locator(".card").count() == 6
    page.click(".tongue")
    page.wait_for_selector("html[lang=en][dir=ltr]")
    assert "How can I help?" in page.inner_text(".welcome")
    assert page.locator(".chip.bani").inner_text() == "Bani"
    for name in ("documents", "model", "settings", "chat"):
        view(page, name)
        assert page.evaluate(NAMELESS) == []
    page.click(".tongue")
    page.wait_for_selector("html[lang=ar][dir=rtl]")


def test_an_answer_is_written_kept_and_nothing_leaves(page, model):
    exchange = ask(page, "مع سالم 12 لؤلؤة، أعطى أخته 5 منها، فكم بقي معه؟", "hakeem")
    written = exchange.locator(".agent-part").inner_text()
    assert len(written) > 10
    assert exchange.locator(".confidence meter").count() == 1
    view(page, "model")
    assert page.inner_text("#requests") == "طلبات الشبكة: 0"
    assert re.search(r"[\d.]+ وحدة في الثانية", page.inner_text(".counts"))
    if "facts" not in json.loads((model / "manifest.json").read_text("utf8")):
        assert page.inner_text(".facts >> nth=1").count("لم يُقَس") == 4
    start(page, page.url)
    page.click(".chats .chat-link >> nth=0")
    page.wait_for_selector(".exchange .agent-part")
    assert page.locator(".exchange .agent-part").inner_text() == written


def test_the_first_word_comes_soon_and_the_page_stays_free(page):
    """Right after the model is loaded, an answer from sources, the longest prompt there is: its first word in under
    two seconds, and no task of the main thread over 100 ms while it is written; once in three, as others work here."""
    tries = []
    for _ in range(3):
        factor = acai.contention()
        start(page, page.url)
        page.evaluate(WATCH)
        ask(page, "كم خانة في الآيبان البحريني، وما الذي يدل عليه أول حرفين فيه؟", "bahith")
        seen = page.evaluate("window.seen")
        assert seen["first"] is not None
        tries.append((seen["first"] / max(factor, acai.contention()), seen["long"], factor))
        if tries[-1][0] < 2000 and max(seen["long"], default=0) <= 100 * factor:
            return
    pytest.fail(f"first word in ms, long tasks in ms, contention: {tries}")


def test_the_router_chooses_and_the_user_overrules(page):
    exchange = ask(page, "مع سالم 12 لؤلؤة أعطى أخته 5 منها فكم بقي معه؟")
    assert "حكيم" in exchange.locator(".way").inner_text()
    exchange = ask(page, "مع سالم 12 لؤلؤة أعطى أخته 5 منها فكم بقي معه؟", "lughawi")
    assert "اخترت أنت لغوي" in exchange.locator(".way").inner_text()
    assert exchange.locator("table.words, .part").count()


def test_a_dropped_document_is_found_and_its_passage_opens(page):
    view(page, "documents")
    text = "دليل المرسى. رسم رسو القارب الخشبي في مرسى الزلاق ثلاثة عشر دينارًا في الشهر، ويُدفع قبل اليوم الخامس."
    page.set_input_files("#files", {"name": "مرسى <b>x.txt", "mimeType": "text/plain", "buffer": text.encode()})
    page.wait_for_selector(".documents .item")
    assert "مرسى <b>x" in page.inner_text(".documents .chat-title")
    view(page, "chat")
    exchange = ask(page, "كم رسم رسو القارب الخشبي في مرسى الزلاق؟", "bahith")
    exchange.locator("details summary").evaluate_all("all => all.forEach((one) => one.click())")
    source = exchange.locator(".source", has_text="مرسى <b>x").first
    source.click()
    page.wait_for_selector("#passage mark")
    assert "ثلاثة عشر دينارًا" in page.inner_text("#passage mark >> nth=0")
    page.click("#passage > .button")
    page.wait_for_selector("#passage .passage-more mark")
    page.keyboard.press("Escape")
    assert page.locator("#passage").is_hidden()
    assert source.evaluate("(one) => one === document.activeElement")
    view(page, "documents")
    page.click(".documents .item .button >> nth=1")
    answer_dialog(page)
    page.wait_for_selector(".documents .item", state="detached")
    view(page, "chat")
    exchange = ask(page, "كم رسم رسو القارب الخشبي في مرسى الزلاق؟", "bahith")
    assert "مرسى <b>x" not in exchange.locator(".parts").text_content()


def test_keys_send_break_and_stop(page):
    page.fill("#question", "سطر")
    page.press("#question", "Shift+Enter")
    page.keyboard.type("ثان")
    assert page.input_value("#question") == "سطر\nثان"
    page.check(".composer input[value=hakeem]", force=True)
    page.fill("#question", "اكتب قصة طويلة عن البحر والسفن واللؤلؤ خطوة خطوة")
    page.press("#question", "Enter")
    page.wait_for_selector(".composer .stop:not([hidden])")
    page.keyboard.press("Escape")
    page.wait_for_selector(".exchange:last-child .answer[aria-busy=false] .foot > *")
    assert page.locator(".composer .send").is_visible()
    assert "أُوقف" in page.inner_text(".exchange:last-child") or page.locator(".agent-part").count()
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUSED) == "main"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(FOCUSED))
    assert {"question", "agent", "tab", "state"} <= reached


def test_two_users_and_deletion(page):
    ask(page, "سؤال الضيف", "hakeem")
    view(page, "settings")
    page.click(".group:has(.people) > .button")
    answer_dialog(page, "أمل")
    page.wait_for_selector(".who:has-text('أمل')")
    view(page, "chat")
    page.wait_for_selector(".welcome")
    assert page.locator(".chats .chat-link").count() == 0
    ask(page, "سؤال أمل", "hakeem")
    assert page.locator(".chats .chat-link").count() == 1
    view(page, "settings")
    page.click(".people .current .button >> nth=1")
    answer_dialog(page)
    page.wait_for_selector(".who:has-text('ضيف')")
    view(page, "chat")
    assert "سؤال الضيف" in page.inner_text(".chats")
    assert "سؤال أمل" not in page.inner_text(".chats")
    left = page.evaluate(QUESTIONS)
    assert "سؤال أمل" not in left and "سؤال الضيف" in left


def test_export_deletion_import(page, tmp_path):
    ask(page, "سؤال يُصدَّر", "hakeem")
    view(page, "settings")
    with page.expect_download() as download:
        page.click(".group:has(#backup) .button >> nth=0")
    kept = tmp_path / "backup.json"
    download.value.save_as(kept)
    assert json.loads(kept.read_text("utf8"))["stores"]["queries"]
    page.click(".group:last-child .button >> nth=0")
    answer_dialog(page)
    page.wait_for_selector(".note:has-text('تم الحذف')")
    view(page, "chat")
    assert page.locator(".chats .chat-link").count() == 0
    assert "تم الاستيراد" in bring(page, kept.read_bytes())
    view(page, "chat")
    assert "سؤال يُصدَّر" in page.inner_text(".chats")
    assert "تالفة" in bring(page, kept.read_bytes().replace(b'"state":"complete"', b'"state":"x"'))
    assert "ليس هذا الملف" in bring(page, kept.read_bytes()[:-9])


def test_what_every_agent_ended_with_is_shown_again(page):
    whole = "الآيبان رقم مصرفي. وطوله في البحرين 22."
    passage = {"document": "bank-iban", "title": "الآيبان", "chunk": 0, "start": 0, "end": 20, "text": whole}
    source = {"n": 1, "text": whole[19:], "quote": {"start": 19, "end": 39}, "passage": passage}
    nodes = [{"id": "n1", "label": "المنامة"}, {"id": "n2", "label": "البحرين"}]
    graph = {"nodes": nodes, "edges": [{"source": "n1", "target": "n2", "label": "عاصمة"}]}
    word = {"word": "مكتوب", "candidates": [{"root": "كتب", "pattern": "مفعول"}], "lexicon": None}
    equation = {"left": "12 - 5", "said": 8, "expected": 7, "correct": False}
    step = {"text": "بقي معه 12 - 5 = 8 لآلئ", "equations": [equation]}
    note = {"key": "agents.wrong_steps", "params": {"count": 1}}
    claim = {"text": "الآيبان 22", "verdict": "supported", "n": 1, "source": source}
    shown = {
        "bahith": {"text": "طوله 22 [1] وهذا [7]", "sources": [source], "cited": [1]},
        "muraqib": {"text": "-", "claims": [claim]}, "bani": {"text": "-", "graph": graph},
        "lughawi": {"text": "-", "words": [word]},
        "hakeem": {"text": "-", "steps": [step], "result": "8", "notes": [note]},
    }  # fmt: skip
    bring(page, backup([(agent, f"سؤال {agent}", {"text": part["text"], "order": [agent], "parts": {agent: part}})
                        for agent, part in shown.items()], "عرض"))  # fmt: skip
    view(page, "chat")
    page.click(".chat-link:has-text('عرض')")
    page.wait_for_selector(".agent-part.hakeem")
    assert page.locator(".bahith .cite").all_inner_texts() == ["[1]"]
    page.click(".bahith .cite")
    assert page.inner_text("#passage mark") == "وطوله في البحرين 22."
    page.keyboard.press("Escape")
    assert "✓ مدعوم" in page.inner_text(".claims")
    assert page.locator(".drawing .node").count() == 2
    assert "عاصمة" in page.inner_text(".graph table")
    with page.expect_download() as download:
        page.click(".graph .button >> nth=1")
    assert download.value.suggested_filename == "acai-graph.csv"
    assert "ك\u00a0ت\u00a0ب" in page.inner_text(".words tbody")
    assert "الصواب 7" in page.inner_text(".checks")
    assert "خطوة واحدة حسابها خطأ" in page.inner_text(".hakeem .notes")


SHOWN = ("bahith", "hakeem", "muraqib", "lughawi", "bani", "musheer")


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_screenshots(tmp_path, context, model, language, size):
    """Every view, light and dark; nothing is wider than the page."""
    folder = Path(os.environ.get("ACAI_SHOTS", tmp_path / "shots"))
    folder.mkdir(parents=True, exist_ok=True)
    site = acai.site(tmp_path / "app", tests=False)
    with acai.serving(site, model) as server, contextlib.closing(context.new_page()) as page:
        page.set_viewport_size(SIZES[size])
        wrong = acai.errors(page)
        start(page, server.url)
        if language == "en":
            page.click(".tongue")
            page.wait_for_selector("html[lang=en]")

        def shoot(name):
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=folder / f"{name}_{language}_{size}_{scheme}.png")
            assert page.evaluate(WIDE) == []

        shoot("agents")
        strings = json.loads((acai.ACAI / f"strings/{language}.json").read_text("utf8"))
        for agent in SHOWN:
            ask(page, strings[f"example.{agent}"], agent)
            page.evaluate(LAST)
            shoot(agent)
            if agent == "bahith" and page.locator(".cite").count():
                page.click(".cite")
                page.wait_for_selector("#passage mark")
                shoot("passage")
                page.keyboard.press("Escape")
        for name in ("documents", "model", "settings"):
            view(page, name)
            page.wait_for_timeout(300)
            shoot(name)
        assert wrong == []

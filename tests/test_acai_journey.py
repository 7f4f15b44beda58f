"""The whole of ACAI as one person uses it, in Chromium with a real model: once while the server runs, and once more
after it was killed and the page loaded again. No request may leave this machine."""

import contextlib
import json
import re
import uuid

import pytest

import acai
from acai_page import answer_dialog, ask, start, view

STRINGS = {language: json.loads((acai.ACAI / f"strings/{language}.json").read_text(encoding="utf8"))
           for language in ("ar", "en")}  # fmt: skip
AGENTS = ("bahith", "musheer", "lughawi", "hakeem", "muraqib", "bani")
ASKED = {agent: {language: words[f"example.{agent}"] for language, words in STRINGS.items()} for agent in AGENTS}
"""What the page itself proposes to ask each of them."""


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    with acai.browser(tmp_path_factory.mktemp("profile"), viewport={"width": 1280, "height": 800}) as running:
        yield running


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return acai.model(tmp_path_factory)


def test_everything_works_and_goes_on_working_without_the_server(tmp_path, context, model):
    site = acai.site(tmp_path / "app", tests=False)
    with acai.serving(site, model) as server, contextlib.closing(context.new_page()) as page:
        wrong = acai.errors(page)
        start(page, server.url)
        everything(page, tmp_path)
        page.wait_for_function("navigator.serviceWorker.controller !== null")
        server.kill()
        start(page, page.url)
        assert page.locator(".chats .chat-link").count() == 1  # what was asked before is there
        everything(page, tmp_path)
        assert page.inner_text("#requests") in ("طلبات الشبكة: 0", "Network requests: 0")
        offline = ("net::ERR_CONNECTION_REFUSED", "504")  # the server, asked whether it has something newer
        assert [told for told in wrong if not any(word in told for word in offline)] == []
    assert context.left == []


def everything(page, folder):
    """Each agent in both languages, a citation, a document dropped and found, two users, a backup there and back."""
    for language in ("ar", "en"):
        speak(page, language)
        for agent, asked in ASKED.items():
            exchange = ask(page, asked[language], agent)
            assert exchange.locator(f".agent-part.{agent}").count() == 1
            HOLDS[agent](exchange, language)
    speak(page, "ar")
    cited(page)
    dropped(page)
    two_users_and_a_backup(page, folder)


def speak(page, language):
    if page.get_attribute("html", "lang") != language:
        page.click(".tongue")
        page.wait_for_selector(f"html[lang={language}]")


def grounded(exchange, language):
    """Sources there are, and every number in brackets is one of them."""
    told = exchange.locator(".markdown").inner_text()
    assert told.strip() and exchange.locator(".sources li").count() >= 1
    named = set(re.findall(r"\[(\d+)\]", told))
    shown = exchange.locator(".source").evaluate_all("all => all.map((one) => one.textContent.match(/\\d+/)[0])")
    assert named <= set(shown) and exchange.locator(".cite").count() >= len(named)
    sure(exchange)


def advises(exchange, language):
    grounded(exchange, language)
    assert {"ar": "ليس", "en": "not"}[language] in exchange.locator(".notes").inner_text()  # no professional advice


def sure(exchange):
    value = exchange.locator(".confidence meter").evaluate("(one) => one.value")
    assert 0 < value <= 1


def analyses(exchange, language):
    assert exchange.locator("table.words tbody tr").count() == 3
    assert "ب\u00a0ي\u00a0ت" in exchange.locator("table.words").inner_text()  # the root of the house, by the rules
    assert exchange.locator(".result").inner_text().strip()  # and the sentence in Bahraini, by the model


def reasons(exchange, language):
    assert exchange.locator(".step, .markdown").count() >= 1
    sure(exchange)


def verifies(exchange, language):
    assert exchange.locator(".claims tbody tr").count() == 1
    verdict = exchange.locator(".verdict")
    assert verdict.get_attribute("class").split()[-1] in ("supported", "refuted", "unknown")
    if "unknown" not in verdict.get_attribute("class"):
        assert exchange.locator(".claims .source").count() == 1  # no verdict without its evidence


def builds(exchange, language):
    """A graph, or an honest word that the model found none."""
    drawn, told = exchange.locator(".drawing .node").count(), exchange.locator(".notes").all_inner_texts()
    assert drawn >= 2 or told


HOLDS = {"bahith": grounded, "musheer": advises, "lughawi": analyses, "hakeem": reasons, "muraqib": verifies,
         "bani": builds}  # fmt: skip


def cited(page):
    """A number that the model cited opens its passage, with the words that the answer rests on marked."""
    for question in (ASKED["bahith"]["ar"], "ما عاصمة قطر؟", ASKED["musheer"]["ar"], "What is the capital of Oman?"):
        exchange = ask(page, question, "bahith")
        if exchange.locator(".cite").count():
            break
    exchange.locator(".cite").first.click()
    page.wait_for_selector("#passage blockquote mark")
    marked = page.inner_text("#passage mark >> nth=0")
    assert len(marked) > 5 and marked in page.inner_text("#passage blockquote")
    assert marked in exchange.locator(".sources").inner_text()
    page.keyboard.press("Escape")


def dropped(page):
    """A file dropped onto the page is read, indexed and found."""
    name, place = f"دليل {uuid.uuid4().hex[:6]}", f"مرسى {uuid.uuid4().hex[:6]}"
    view(page, "documents")
    text = f"رسم رسو القارب الخشبي في {place} ثلاثة عشر دينارًا في الشهر."
    page.evaluate("""([name, text]) => {
        const carried = new DataTransfer();
        carried.items.add(new File([text], `${name}.txt`, { type: 'text/plain' }));
        const drop = (type) => new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: carried });
        for (const type of ['dragenter', 'dragover', 'drop']) document.querySelector('.drop').dispatchEvent(drop(type));
    }""", [name, text])  # fmt: skip
    page.wait_for_selector(f".documents .item:has-text('{name}')")
    view(page, "chat")
    exchange = ask(page, f"كم رسم رسو القارب الخشبي في {place}؟", "bahith")
    assert name in exchange.locator(".sources").text_content()


def two_users_and_a_backup(page, folder):
    """A second user sees nothing of the first; a backup brings it over, and all of it goes when the user does."""
    view(page, "settings")
    with page.expect_download() as download:
        page.click(".group:has(#backup) .button >> nth=0")
    kept = folder / f"{uuid.uuid4().hex}.json"
    download.value.save_as(kept)
    name = f"أمل {uuid.uuid4().hex[:4]}"
    page.click(".group:has(.people) > .button")
    answer_dialog(page, name)
    page.wait_for_selector(f".who:has-text('{name}')")
    assert page.locator(".chats .chat-link").count() == 0
    view(page, "documents")
    assert page.locator(".documents .item").count() == 0
    view(page, "settings")
    page.set_input_files("#backup", str(kept))
    page.wait_for_selector(".note:has-text('تم الاستيراد')")
    chats = len(json.loads(kept.read_text("utf8"))["stores"]["chats"])
    assert page.locator(".chats .chat-link").count() == chats > 0
    view(page, "settings")
    page.click(".people .current .button >> nth=1")
    answer_dialog(page)
    page.wait_for_selector(".who:has-text('ضيف')")
    view(page, "model")

"""ACAI without its server: the service worker keeps whole versions, and the model answers from the device."""

import json

import pytest

import acai

QUESTION = "ما عاصمة البحرين؟"


model, _, context, _ = acai.fixtures()


@pytest.fixture
def server(tmp_path, model):
    with acai.serving(acai.site(tmp_path / "site"), model) as running:
        yield running


def test_the_server_is_killed(context, server):
    page = context.new_page()
    page.goto(f"{server.url}tests/llm.html")
    online = page.evaluate("async () => (await fetch('../services/llm/llm.js')).headers.get('Content-Security-Policy')")
    state = page.evaluate("() => test.keep()")
    listed = json.loads((server.root / "precache.json").read_text(encoding="utf8"))
    assert state == {"offline": True, "version": listed["version"], "waiting": False}
    assert "info" in page.evaluate("() => test.load('model/')")
    text = page.evaluate("(q) => test.ask(q).then(({ text }) => text)", QUESTION)
    server.kill()
    for _ in range(2):
        page.reload()
        assert page.evaluate("() => crossOriginIsolated")
        told = page.evaluate("() => test.load('model/')")
        assert told["info"]["form"] == "q4dq" and told["info"]["threads"] >= 1
        assert page.evaluate("(q) => test.ask(q).then(({ text }) => text)", QUESTION) == text != ""
        assert page.evaluate("() => test.keep()")["offline"]
    headers = page.evaluate("async () => Object.fromEntries((await fetch('../services/llm/llm.js')).headers)")
    assert headers["content-security-policy"] == online
    for name, value in acai.module("serve").HEADERS.items():
        assert headers[name.lower()] == value
    assert page.evaluate("async () => (await fetch('../absent.js')).status") == 504
    page.close()


def test_a_new_version_is_taken_whole(context, server):
    """The open page keeps its version; the next one is fetched beside it and takes over when asked."""
    shown = server.root / "tests/llm.html"
    old = shown.read_text(encoding="utf8")
    page = context.new_page()
    page.goto(f"{server.url}tests/llm.html")
    first = page.evaluate("() => test.keep()")["version"]
    shown.write_text(old.replace("فحص خدمة النموذج", "الإصدار الثاني"), encoding="utf8")
    page.reload()
    assert page.title() == "فحص خدمة النموذج"  # a file that changed alone is no version
    acai.precache(server.root)
    state = page.evaluate("() => test.keep()")
    assert state["waiting"] and state["version"] != first
    caches = page.evaluate("() => caches.keys()")
    assert sorted(caches) == sorted([f"acai-app-{first}", f"acai-app-{state['version']}"])
    page.reload()
    assert page.title() == "فحص خدمة النموذج"
    with page.expect_navigation():
        page.evaluate("() => { test.upgrade(); }")
    assert page.title() == "الإصدار الثاني"
    assert page.evaluate("() => caches.keys()") == [f"acai-app-{state['version']}"]
    server.kill()
    page.reload()
    assert page.title() == "الإصدار الثاني"
    page.close()


def test_a_version_that_is_not_what_it_says_is_refused(context, server):
    """A file newer than the list, as in the midst of an update on the server: nothing changes."""
    page = context.new_page()
    page.goto(f"{server.url}tests/llm.html")
    first = page.evaluate("() => test.keep()")["version"]
    (server.root / "tests/llm.html").write_text("<title>2</title>", encoding="utf8")
    acai.precache(server.root)
    (server.root / "tests/llm.html").write_text("half", encoding="utf8")
    assert page.evaluate("() => test.keep()")["waiting"] is False
    assert page.evaluate("() => caches.keys()") == [f"acai-app-{first}"]
    page.reload()
    assert page.title() == "فحص خدمة النموذج"
    page.close()

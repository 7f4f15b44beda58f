"""What hostile input looks like, and how a page shows that none of it ran and nothing was lost."""

import json
import re

import acai
from acai_page import answer_dialog, bring, view

SCRIPT = """<img src=x onerror="window.hurt='img'"><script>window.hurt='script'</script>

[a](javascript:window.hurt='link') [e](https://evil.example/ "f") ![b](https://evil.example/pixel.png)
<svg onload="window.hurt='svg'"></svg> "><iframe srcdoc="<script>parent.hurt='frame'</script>"></iframe>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=window.hurt='math'&gt;">
<a href="https://evil.example/" onclick="window.hurt='click'">c</a> <style>*{display:none}</style>
<form action="/x"><button>d</button></form> {{constructor.constructor("window.hurt='template'")()}}"""
RUNS = "<!doctype html><body><script>window.hurt='control'</script>"
KEPT = "رسالة باقية في وثيقة باقية عن لؤلؤ المحرق."
BLOCKED = ("Executing inline event handler", "Applying inline style", "Executing inline script", "CSP")
"""What the console says where markup was parsed and refused: nothing ran."""
FOUND = """() => {
    const all = [...document.querySelectorAll('#app *, #passage *, #messages *, dialog *')];
    const bad = all.filter((one) => /^(img|script|style|iframe|object|embed|form)$/i.test(one.tagName)
        && !one.matches('.composer, .web, dialog > form') || [...one.attributes].some(({ name, value }) =>
        name.startsWith('on') || /^\\s*javascript:/i.test(value)));
    return [window.hurt ?? null, Object.prototype.polluted ?? null, bad.map((one) => one.outerHTML.slice(0, 120))];
}"""
DROP = """([name, parts, size]) => {
    const bytes = parts.map((part) => Uint8Array.from(atob(part), (sign) => sign.charCodeAt(0)));
    if (size) bytes.push(new Uint8Array(size).fill(97)); // letters
    const carried = new DataTransfer();
    carried.items.add(new File(bytes, name));
    document.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: carried }));
}"""


def pattern(key, language="ar"):
    """What a message of the interface looks like, whatever stands in its places."""
    words = json.loads((acai.ACAI / f"strings/{language}.json").read_text(encoding="utf8"))[key]
    return re.compile(re.sub(r"\\\{\w+\\\}", ".*", re.escape(words)), re.S)


def unhurt(page):
    """Nothing of it ran, and no markup of its own is on the page."""
    assert page.evaluate(FOUND) == [None, None, []]


def quiet(page):
    page.locator(".note .button.only").evaluate_all("all => all.forEach((one) => one.click())")


def told(page, key):
    """Wait for the message of that key; it is then put away."""
    page.wait_for_function("(text) => new RegExp(text, 's').test(document.querySelector('#messages').innerText)",
                           arg=pattern(key).pattern.replace("\\ ", " "))  # fmt: skip
    quiet(page)


def drop(page, name, *parts, size=0):
    """Let a file fall onto the page: its content in base64, then ``size`` letters."""
    page.evaluate(DROP, [name, list(parts), size])


def keep(page):
    """A chat and a document that every hostile thing must leave as they are."""
    view(page, "documents")
    page.set_input_files("#files", {"name": "باقية.txt", "mimeType": "text/plain", "buffer": KEPT.encode()})
    page.wait_for_selector(".documents .item:has-text('باقية')")
    quiet(page)


def lost_nothing(page, question):
    """The chat and the document of before are there, and whole."""
    page.keyboard.press("Escape")
    view(page, "documents")
    page.click(".documents .chat-link:has-text('باقية')")
    page.wait_for_selector(f"#passage blockquote:has-text('{KEPT}')")
    page.keyboard.press("Escape")
    view(page, "chat")
    page.click(f".chat-link:has-text('{question}')")
    page.wait_for_selector(f".question:has-text('{question}')")
    assert page.locator(".exchange .agent-part").count() >= 1
    unhurt(page)


def imported(page, made):
    """Import a backup and open its chat."""
    note = bring(page, made)
    assert pattern("settings.imported").fullmatch(note), note
    view(page, "chat")
    page.click(".chats .chat-link >> nth=0")
    page.wait_for_selector(".exchange")


def forget(page):
    """Delete the chat that is open."""
    page.hover(".chats .current")
    page.click(".chats .current .button >> nth=1")
    answer_dialog(page)
    page.wait_for_selector(".welcome")

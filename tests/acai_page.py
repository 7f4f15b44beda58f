"""What a user does with ACAI's page, for its tests in Chromium."""

import json
import uuid


def start(page, url):
    page.goto(url)
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector(".state.ready")


def ask(page, text, agent=None):
    """Write and send; the last exchange when its answer is whole."""
    page.check(f".composer input[value='{agent or ''}']", force=True)
    page.fill("#question", text)
    page.press("#question", "Enter")
    page.wait_for_selector(".exchange:last-child .answer[aria-busy=false] .foot > *")
    return page.locator(".exchange:last-child")


def view(page, name):
    page.click(f".tab[data-view={name}]")
    page.wait_for_selector(f"body[data-view={name}]")


def answer_dialog(page, text=None):
    if text is not None:
        page.fill("dialog input", text)
    page.click("dialog button[type=submit]")
    page.wait_for_selector("dialog", state="detached")


def backup(responses, title="محادثة", name="guest"):
    """A backup with one chat: (agent, question, fields of the response)."""
    chat, stores = str(uuid.uuid4()), {"chats": [], "queries": [], "responses": []}
    stores["chats"].append({"id": chat, "created": 1, "updated": 9e12 / 3, "title": title})
    for place, (agent, question, fields) in enumerate(responses):
        query = {"id": str(uuid.uuid4()), "created": place + 1, "chat": chat, "text": question, "agent": agent}
        stores["queries"].append(query)
        stores["responses"].append({"id": str(uuid.uuid4()), "created": place + 1, "chat": chat, "query": query["id"],
                                    "agent": agent, "state": "complete", **fields})  # fmt: skip
    return {"format": "acai-backup", "version": 2, "name": name, "stores": stores}


def bring(page, told, name="backup.json"):
    """Import a backup; what the page says of it."""
    view(page, "settings")
    page.locator(".note .button.only").evaluate_all("all => all.forEach((one) => one.click())")
    content = told if isinstance(told, bytes) else json.dumps(told).encode()
    page.set_input_files("#backup", {"name": name, "mimeType": "application/json", "buffer": content})
    page.wait_for_selector(".note")
    note = page.inner_text(".note:last-child p")
    page.click(".note:last-child .button")
    return note

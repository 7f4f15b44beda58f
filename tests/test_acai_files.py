"""Model files in Chromium: downloads that break, files that are damaged, folders, a full device, two tabs."""

import re

import pytest

import acai
from acai import ask, load, manifest
from acai_faults import altered, breaking

ARABIC, ENGLISH = "ما عاصمة البحرين؟", "What is the capital of Bahrain?"


model, site, context, visit = acai.fixtures()


def test_a_broken_download_goes_on(context, visit, site, model):
    name = "model_q4dq.onnx_data"
    with breaking(site, model, {name: [1_000_000, 300_000, 0]}) as (url, asked):
        page = visit(url=url)
        assert load(page)["info"]["form"] == "q4dq"
        ranges = [span for path, span in asked if path == name]
        assert ranges[0] is None and len(ranges) == 4
        starts = [int(re.fullmatch(r"bytes=(\d+)-", span)[1]) for span in ranges[1:]]
        assert 0 < starts[0] <= 1_000_000 <= starts[1] + 1_000_000 and starts == sorted(starts)
        load(page)  # what is on the device is not fetched again
        assert [path for path, _ in asked].count(name) == 4 and ask(page, ENGLISH)["text"]


def test_a_download_that_stays_broken_is_taken_up_later(visit, site, model):
    """The page is closed in mid-download: the part stays, and the next visit fetches the rest alone."""
    name = "model_q4dq.onnx_data"
    with breaking(site, model, {name: [800_000, 0, 0, 0, 0]}) as (url, asked):
        page = visit(url=url)
        told = load(page)
        assert (told["error"], told["params"]) == ("llm.network", {"file": f"onnx/{name}"})
        page.reload()
        before = len(asked)
        told = load(page)
        spans = [span for path, span in asked[before:] if path == name]
        assert "info" in told and len(spans) == 1
        assert 0 < int(re.fullmatch(r"bytes=(\d+)-", spans[0])[1]) <= 800_000


@pytest.mark.parametrize("file", ["onnx/model_q4dq.onnx_data", "tokenizer.json"])
def test_a_corrupt_file_is_named(visit, site, model, tmp_path, file):
    """It is fetched twice, no more, and nothing is loaded."""
    damaged = altered(model, tmp_path / "m", file, lambda content: content[:-9] + b"?" + content[-8:], told=False)
    with breaking(site, damaged, {}) as (url, asked):
        page = visit(url=url)
        told = load(page)
        assert (told["error"], told["params"]) == ("llm.corrupt", {"file": file})
        assert [path for path, _ in asked].count(file.split("/")[-1]) == 2
        assert page.evaluate("() => test.llm.info()") is None


def test_a_file_that_rots_on_the_device_is_fetched_anew(visit, site, model):
    name = "onnx/model_q4dq.onnx_data"
    entry = manifest(model)["files"][name]
    with breaking(site, model, {}) as (url, asked):
        page = visit(url=url)
        load(page)
        page.evaluate("""async (hash) => {
            await test.llm.unload();
            const home = await (await navigator.storage.getDirectory()).getDirectoryHandle('acai-models');
            const file = await (await home.getDirectoryHandle('files')).getFileHandle(hash);
            const writer = await file.createWritable({ keepExistingData: true });
            await writer.write({ type: 'write', position: 5000, data: 'rotten' });
            await writer.close();
        }""", entry["sha256"])  # fmt: skip
        assert "info" in load(page)
        assert [path for path, _ in asked].count(name.split("/")[-1]) == 2


def test_from_a_folder(visit, model, tmp_path):
    """Without a model on the server; and later from the device, by the id that the folder was kept under."""
    page = visit(tmp_path)
    told = load(page)
    assert (told["error"], told["params"]) == ("llm.missing", {"file": "manifest.json"})
    page.locator("#folder").set_input_files(str(model))
    told = page.evaluate("() => test.folder()")
    assert told["info"]["form"] == "q4dq" and told["info"]["stored"]
    text = ask(page, ARABIC)["text"]
    page.reload()
    kept = page.evaluate("async () => (await test.llm.stored())[0]")
    assert kept["source"] is None and "info" in load(page, {"stored": kept["id"]})
    assert ask(page, ARABIC)["text"] == text != ""
    page.evaluate("(id) => test.llm.forget(id)", kept["id"])
    assert page.evaluate("() => test.llm.stored()") == []
    assert load(page, {"stored": kept["id"]})["error"] == "llm.missing"


def test_folders_that_are_none(visit, model, tmp_path):
    page = visit(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/notes.txt").write_text("x")
    page.locator("#folder").set_input_files(str(tmp_path / "empty"))
    assert page.evaluate("() => test.folder()")["error"] == "llm.folder"
    damaged = altered(model, tmp_path / "m", "onnx/model_q4dq.onnx_data", lambda content: content[:-1], told=False)
    page.locator("#folder").set_input_files(str(damaged))
    told = page.evaluate("() => test.folder()")
    assert told["error"] == "llm.corrupt" and told["params"]["file"] == "onnx/model_q4dq.onnx_data"
    assert load(page, "https://example.org/model/")["error"] == "llm.address"  # and nothing is asked of it


def test_a_device_without_room(visit, model, context):
    """From the server it is refused before a byte is fetched; a folder is read where it lies."""
    page = visit()
    session = context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": page.url.split("/tests")[0], "quotaSize": 1_000_000})
    told = load(page)
    assert told["error"] == "llm.quota" and told["params"]["needed"] > told["params"]["available"]
    page.locator("#folder").set_input_files(str(model))
    told = page.evaluate("() => test.folder()")
    assert "info" in told, told
    assert told["info"]["form"] == "q4dq" and not told["info"]["stored"]
    assert ask(page, ENGLISH)["text"]


def test_two_tabs_share_one_download(visit, site, model):
    name = "model_q4dq.onnx_data"
    with breaking(site, model, {}) as (url, asked):
        first, second = visit(url=url), visit(url=url)
        first.evaluate("() => { window.done = test.load('model/'); }")
        second.evaluate("() => { window.done = test.load('model/'); }")
        for page in (first, second):
            assert "info" in page.evaluate("() => window.done")
        assert [path for path, _ in asked].count(name) == 1
        assert ask(first, ENGLISH)["text"] == ask(second, ENGLISH)["text"] != ""

"""The static site in Chromium: both languages, search, light and dark, ACAI in its page, and nothing from elsewhere."""

import functools
import http.server
import subprocess
import threading

import pytest

import acai

VENV = acai.ROOT / ".venv-site"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make site` builds it."""
    acai.vendor()
    subprocess.run(["make", "-s", ".venv-site/.ready"], cwd=acai.ROOT, check=True)
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run([VENV / "bin" / "python", "docs/site/build.py", "--out", out], cwd=acai.ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return out / "html"


@pytest.fixture(scope="module")
def url(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(url, tmp_path):
    """A page that fails the test when a script fails or a request leaves this machine."""
    with acai.browser(tmp_path / "profile") as context:
        faults, strangers = [], []
        found = context.new_page()
        found.on("pageerror", lambda fault: faults.append(str(fault)))
        found.on("request", lambda one: None if one.url.startswith((url, "data:", "blob:")) else
                 strangers.append(one.url))  # fmt: skip
        yield found
        assert faults == [] and strangers == []


def test_every_notebook_has_a_page_in_both_languages(site):
    books = {path for path in (acai.ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts}
    for folder in (site, site / "ar"):
        pages = {path.stem for path in folder.glob("*.html")}
        for book in books:
            assert any(page.endswith(book.stem) for page in pages), (folder, book)


@pytest.mark.parametrize(("path", "direction"), [("", "ltr"), ("ar/", "rtl")])
def test_pages_run_in_their_direction(page, url, path, direction):
    for name in ("index.html", "analysis.html", "quant_01_quantization.html"):
        page.goto(url + path + name)
        assert page.evaluate("getComputedStyle(document.documentElement).direction") == direction
        assert page.locator("h1").count() == 1
        broken = page.evaluate("[...document.images].filter((one) => one.complete && !one.naturalWidth).length")
        assert broken == 0, name
        silent = page.evaluate("[...document.images].filter((one) => !one.alt.trim()).map((one) => one.src)")
        assert silent == [], name
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 1, name


@pytest.mark.parametrize(("path", "words"), [
    ("", "pruning"), ("", "calibration"), ("ar/", "التقليم"), ("ar/", "العَرَبيّة"), ("ar/", "عربيه")])  # fmt: skip
def test_search_finds_words_of_both_languages(page, url, path, words):
    page.goto(f"{url}{path}search.html?q={words}")
    page.wait_for_selector("#search-results ul.search li a", timeout=30_000)
    assert page.locator("#search-results ul.search li").count() >= 1


def test_the_languages_link_to_each_other(page, url):
    page.goto(url + "analysis.html")
    page.click(".site-language a")
    page.wait_for_url("**/ar/*")
    page.click(".site-language a")
    page.wait_for_url(lambda found: "/ar/" not in found)


def test_light_and_dark(page, url):
    shades = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(url + "analysis.html")
        shades.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert shades[0] != shades[1]


def test_acai_is_a_page_of_the_site(page, url):
    page.goto(url + "acai.html")
    inside = page.frame_locator("iframe.acai-frame")
    inside.locator("body").wait_for()
    page.wait_for_function("document.querySelector('iframe.acai-frame').contentDocument.body.innerText.length > 40")

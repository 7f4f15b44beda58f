"""Helpers of ACAI's tests in a browser: the application on a free port of this machine, and a page of it in Chromium.

What is missing is told, and the test skipped: Chromium, playwright, or the third-party code that `make acai` fetches.
"""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ACAI = ROOT / "acai"
FLAGS = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
PATIENCE = float(os.environ.get("ACAI_PATIENCE", 180)) * 1000
"""Milliseconds that a page is waited for: the processor may be shared."""
MAKERS = (".googleapis.com", ".google.com", ".gvt1.com")
SOFTWARE = ("--disable-gpu",)
WEBGPU = ("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan")
"""WebGPU computed by the processor: slow, but the real interface."""


def chromium():
    """Path of Chrome or Chromium: ``CHROMIUM``, or the first of the usual names; else skips."""
    named = os.environ.get("CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"]
    mac = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
    for name in [*names, mac]:
        if found := shutil.which(name):
            return found
    pytest.skip("needs Chromium: apt install chromium (or any Chrome, named by CHROMIUM=/path/to/it)")


def vendor():
    """The third-party code, built if it is not; skips where it cannot be."""
    if not shutil.which("npm"):
        if (ACAI / "vendor/versions.json").is_file():
            return
        pytest.skip("needs node 20 or later with npm: apt install nodejs npm, then make acai")
    built = subprocess.run(["node", "scripts/vendor.mjs"], cwd=ACAI, capture_output=True, text=True)
    if built.returncode:
        pytest.skip(f"acai/vendor cannot be built (make acai): {built.stderr.strip()[-300:]}")


def site(folder, *, tests=True):
    """A copy of the application in ``folder`` (by hard links where it can be), with its list of files written.

    tests: with acai/tests as part of the offline application, so that a test page outlives the server.
    """
    vendor()
    apart = {"node_modules", "model", "precache.json", "vendor.partial", "vendor.old", ".vendor.lock"}
    apart |= set() if tests else {"tests"}

    def put(source, target):
        try:
            if Path(source).parent.name != "ort":  # what a test may edit is a file of its own
                raise OSError
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)

    def left_out(home, names):
        return apart & set(names) if Path(home) == ACAI else {"__pycache__"}

    shutil.copytree(ACAI, folder, copy_function=put, dirs_exist_ok=True, ignore=left_out)
    precache(folder, tests=tests)
    return folder


def precache(folder, *, tests=True):
    """Write the list of files again, after a change."""
    more = ["--with", "tests"] if tests else []
    subprocess.run(["node", ACAI / "scripts/precache.mjs", folder, *more], check=True, capture_output=True)


class Serving:
    """serve.py over ``root`` and ``model``, which can be killed and started again on the same port."""

    def __init__(self, root, model, *arguments, port=0):
        self.root, self.model, self.arguments, self.port = root, model, arguments, port
        self.process = None

    def start(self):
        command = [sys.executable, ACAI / "serve.py", "--port", str(self.port), "--root", self.root,
                   "--model", self.model, *self.arguments]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        assert "http://127.0.0.1:" in line, f"serve.py: {line}{self.process.stdout.read()}"
        self.url = line.split()[-1]
        self.port = int(self.url.rstrip("/").rsplit(":", 1)[1])
        return self

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def get(self, path, method="GET", **headers):
        """(status, headers, body) of a request."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, headers=named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()


@contextlib.contextmanager
def serving(root=ACAI, model=ACAI / "model", *arguments):
    """A running `Serving`, killed at the end."""
    server = Serving(root, model, *arguments)
    try:
        yield server.start()
    finally:
        server.kill()


def module(name):
    """A Python module of acai/ by its file."""
    sys.path.insert(0, str(ACAI))
    try:
        found = importlib.util.spec_from_file_location(name, ACAI / f"{name}.py")
        loaded = importlib.util.module_from_spec(found)
        found.loader.exec_module(loaded)
        return loaded
    finally:
        sys.path.remove(str(ACAI))


class Driver:
    """Playwright, one for all browsers that are open at a time: it cannot be started twice."""

    running, users = None, 0

    def __enter__(self):
        api = pytest.importorskip("playwright.sync_api", reason="needs playwright: make setup")
        if not Driver.users:
            Driver.running = api.sync_playwright().start()
        Driver.users += 1
        return Driver.running

    def __exit__(self, *_):
        Driver.users -= 1
        if not Driver.users:
            Driver.running.stop()


@contextlib.contextmanager
def trap(caught):
    """Address of a proxy that answers nothing and adds each request that reaches it to ``caught``: what a page, a
    worker or a service worker sends to another machine. What the browser asks of its maker is its own."""

    class Catch(socketserver.StreamRequestHandler):
        def handle(self):
            words = self.rfile.readline(4000).decode("latin-1").split()
            host = re.sub(r"^\w+://|[:/].*$", "", words[1]) if len(words) > 1 else ""
            if not host.endswith(MAKERS):
                caught.append(" ".join(words[:2]))

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Catch)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def browser(profile, *, flags=SOFTWARE, **options):
    """A browser context of Chromium with the empty profile folder ``profile``; further options are playwright's.

    ``context.left`` lists every request that it made to another machine than this one.
    """
    path, left = chromium(), []
    with Driver() as driver, trap(left) as proxy:
        context = driver.chromium.launch_persistent_context(
            str(profile), executable_path=path, headless=True, args=[*FLAGS, f"--proxy-server={proxy}", *flags],
            ignore_default_args=["--enable-unsafe-swiftshader"], **options)  # fmt: skip
        context.set_default_timeout(PATIENCE)
        context.left = left
        context.on("request", lambda request: None if local(request.url) else context.left.append(request.url))
        try:
            yield context
        finally:
            context.close()


@contextlib.contextmanager
def visiting(context, site, model):
    """``visit(model)``: acai/tests/llm.html from a server of its own, that is an origin with nothing stored; or from
    ``url``, where one runs."""
    with contextlib.ExitStack() as stack:

        def visit(folder=model, url=None):
            url = url or stack.enter_context(serving(site, folder)).url
            page = stack.enter_context(contextlib.closing(context.new_page()))
            page.goto(f"{url}tests/llm.html")
            return page

        yield visit


def load(page, source="model/", **how):
    """Load a model on that page: ``info`` or ``error`` with ``params``, and the ``log`` of its progress."""
    return page.evaluate("([source, how]) => test.load(source, how)", [source, how])


def ask(page, content, stop=None, **how):
    """An answer on that page, stopped after ``stop`` tokens: ``text``, ``list`` of tokens, ``reason``, …"""
    return page.evaluate("([content, how, stop]) => test.ask(content, how, stop ?? Infinity)", [content, how, stop])


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf8"))


def contention(seconds=0.2):
    """How many times longer than its own time a computation takes here now: 1 on a machine with a core to spare. Times
    that a person would wait are held to this, since a test cannot choose what else runs."""
    begun, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < seconds:
        pass
    return max(1.0, (time.perf_counter() - begun) / (time.process_time() - used))


def local(url):
    """Whether an address is of this machine, or of none."""
    return url.startswith(("http://127.0.0.1:", "http://localhost:", "blob:", "data:", "about:", "chrome"))


def errors(page):
    """A list to which the page adds what goes wrong in it: exceptions, and errors on its console."""
    found = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found


def checkpoint(tmp_path_factory):
    """Folder of the model that ships with ACAI; until one does, of a pocket model with rounded 4-bit weights."""
    shipped = ROOT / "data/pocket/models/acai"
    if shipped.is_dir():
        return shipped
    stored = tmp_path_factory.getbasetemp() / "acai-checkpoint"
    if not stored.is_dir():
        from llmini import cli

        assert cli.main(["allam_7b", "--quant", "w4a16_rtn", "--output", str(stored)]) == 0
    return stored


def model(tmp_path_factory):
    """The model that ships as an exported folder, dense, q4 and q4dq, made once a session as `make acai` makes it.

    ``ACAI_MODEL`` names another exported folder to run with.
    """
    if named := os.environ.get("ACAI_MODEL"):
        return Path(named)
    home = tmp_path_factory.getbasetemp() / "acai-model"
    if not home.is_dir():
        from llmini.browser import ship

        ship.export(checkpoint(tmp_path_factory), home)
    return home


def fixtures():
    """The fixtures ``model, site, context, visit`` of a module whose pages start with the exported model."""

    @pytest.fixture(name="model", scope="module")
    def exported(tmp_path_factory):
        return model(tmp_path_factory)

    @pytest.fixture(name="site", scope="module")
    def copied(tmp_path_factory):
        return site(tmp_path_factory.mktemp("site"))

    @pytest.fixture(name="context", scope="module")
    def running(tmp_path_factory):
        with browser(tmp_path_factory.mktemp("profile")) as opened:
            yield opened
            assert opened.left == []  # nothing was asked of another machine

    @pytest.fixture(name="visit")
    def visited(context, site, model):
        with visiting(context, site, model) as start:
            yield start

    return exported, copied, running, visited

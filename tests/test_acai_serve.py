"""ACAI's server and what it serves: headers, parts of files, what stays hidden, the web proxy, the locked code."""

import http.server
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import acai

HERE = acai.ACAI


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    place = tmp_path_factory.mktemp("served")
    app, model = place / "app", place / "exported"
    for name, text in {"app/index.html": "<!doctype html>", "app/services/a.mjs": "export {}", "app/b.wasm": "\0asm",
                       "app/sw.js": "1", "app/.npmrc": "x", "app/node_modules/c.js": "x", "app/serve.py": "x",
                       "app/اسم.json": "{}", "exported/manifest.json": "{}", "exported/onnx/m.onnx_data": "0123456789",
                       "secret.txt": "secret"}.items():  # fmt: skip
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf8")
    (app / "way_out.txt").symlink_to(place / "secret.txt")
    with acai.serving(app, model) as running:
        yield running


def test_headers(server):
    told = acai.module("serve").HEADERS
    for path in ("", "index.html", "model/manifest.json", "absent"):
        headers = server.get(path)[1]
        assert {name: headers[name] for name in told} == told
    assert "script-src 'self' 'wasm-unsafe-eval';" in told["Content-Security-Policy"]
    assert "unsafe-inline" not in told["Content-Security-Policy"] and "http" not in told["Content-Security-Policy"]


def test_types(server):
    kinds = {"": "text/html; charset=utf-8", "services/a.mjs": "text/javascript; charset=utf-8",
             "b.wasm": "application/wasm", "sw.js": "text/javascript; charset=utf-8",
             "%D8%A7%D8%B3%D9%85.json": "application/json; charset=utf-8",
             "model/onnx/m.onnx_data": "application/octet-stream"}  # fmt: skip
    assert {path: server.get(path)[1]["Content-Type"] for path in kinds} == kinds


@pytest.mark.parametrize("path", ["services/", "services", "..%2fsecret.txt", "../secret.txt", "%2e%2e/secret.txt",
                                  "model/../../secret.txt", "way_out.txt", ".npmrc", "node_modules/c.js", "serve.py",
                                  "model", "model/", "/etc/passwd", "%00", "%ff", "a%5c..%5cb", "index.html/x",
                                  "c:/x"])  # fmt: skip
def test_hidden(server, path):
    status, _, body = server.get(path)
    assert status == 404 and b"secret" not in body


def test_parts(server):
    path = "model/onnx/m.onnx_data"
    status, headers, body = server.get(path, Range="bytes=4-")
    assert (status, body, headers["Content-Range"]) == (206, b"456789", "bytes 4-9/10")
    assert server.get(path, Range="bytes=2-3")[2] == b"23" and server.get(path, Range="bytes=-3")[2] == b"789"
    assert server.get(path, Range="bytes=10-")[0] == 416
    assert server.get(path, Range="bytes=0-1,3-4")[::2] == (200, b"0123456789")
    tag = headers["ETag"]
    assert server.get(path, Range="bytes=4-", If_Range='"other"')[0] == 200
    assert server.get(path, If_None_Match=tag)[::2] == (304, b"")
    status, headers, body = server.get(path, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "10", b"")


def test_this_machine_alone(server):
    """Another host's name, which a hostile page could let resolve here, is turned away; writing is unknown."""
    assert server.get("", Host="evil.example")[0] == 421
    assert server.get("", Host=f"127.0.0.1:{server.port + 1}")[0] == 421
    assert server.get("", Host=f"localhost:{server.port}")[0] == 200
    assert server.get("", "POST")[0] == 501
    with socket.socket() as other:  # another address of this very machine
        other.settimeout(2)
        assert other.connect_ex(("127.0.0.2", server.port)) != 0


def test_words_of_the_command(tmp_path, server):
    def say(*arguments):
        done = subprocess.run([sys.executable, HERE / "serve.py", *arguments], capture_output=True, text=True)
        return done.returncode, done.stderr.strip().splitlines()[-1]

    code, line = say("--port", str(server.port))
    assert code == 2 and f"port {server.port} cannot be used: Address already in use; choose another" in line
    assert say("--root", str(tmp_path / "none"))[0] == 2
    for wrong in ("*.example.org", "https://example.org", "127.0.0.1", "example.org/x", "user@example.org", ""):
        assert say("--allow-host", wrong)[0] == 2


def test_proxy_is_off(server):
    assert json.loads(server.get("proxy")[2]) == {"hosts": []}
    status, _, body = server.get("proxy?url=https://example.org/", X_ACAI="web")
    assert (status, json.loads(body)["error"]) == (403, "web.host")


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind, content = {
            "/page": ("text/html; charset=windows-1256", "بنك البحرين".encode("cp1256")), "/image": ("image/png", b"x"),
            "/large": ("text/plain", b"x" * (2 * 2**20 + 1)),
        }.get(self.path, ("text/plain", b""))  # fmt: skip
        self.send_response(302 if self.path in ("/away", "/plain") else 200 if content else 404)
        if self.path == "/away":
            self.send_header("Location", "https://other.example/")
        if self.path == "/plain":
            self.send_header("Location", "http://localhost/")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A real https server on this machine under a certificate made for it, and ACAI's server that may ask it."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    place = tmp_path_factory.mktemp("web")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", place / "key", "-out",
                    place / "cert", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"],
                   check=True, capture_output=True)  # fmt: skip
    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place / "cert", place / "key")
    pages.socket = context.wrap_socket(pages.socket, server_side=True)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    name = f"localhost:{pages.server_port}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(place / "cert"))
        with acai.serving(HERE, place, "--allow-host", name) as running:
            yield running, name
    pages.shutdown()
    pages.server_close()


def test_proxy(web):
    server, name = web
    assert json.loads(server.get("proxy")[2]) == {"hosts": [name]}
    status, headers, body = server.get(f"proxy?url=https://{name}/page", X_ACAI="web")
    assert (status, body.decode(), headers["X-ACAI-Type"]) == (200, "بنك البحرين", "text/html")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"  # never markup of this origin


@pytest.mark.parametrize("url, error", [
    ("https://{}/image", "web.type"), ("https://{}/large", "web.size"), ("https://{}/absent", "web.status"),
    ("https://{}/away", "web.host"), ("https://{}/plain", "web.address"), ("http://{}/page", "web.address"),
    ("https://other.example/", "web.host"), ("https://user@{}/page", "web.host"), ("https://localhost/", "web.host"),
    ("file:///etc/passwd", "web.address"), ("https://{}.evil.example/", "web.host"), ("https://[/", "web.address"),
    ("https://{}/%0d%0aX:y", "web.address"),
])  # fmt: skip
def test_proxy_refuses(web, url, error):
    server, name = web
    status, _, body = server.get(f"proxy?url={url.format(name)}", X_ACAI="web")
    assert status >= 400 and json.loads(body)["error"] == error


def test_proxy_answers_the_page_alone(web):
    """Without the header that only this application's own page can send."""
    server, name = web
    status, _, body = server.get(f"proxy?url=https://{name}/page")
    assert (status, json.loads(body)["error"]) == (403, "web.header")


def test_lock():
    """Every package by version and integrity, none by address; nothing of npm's runs a script."""
    lock = json.loads((HERE / "package-lock.json").read_text(encoding="utf8"))
    stated = json.loads((HERE / "package.json").read_text(encoding="utf8"))
    for path, entry in lock["packages"].items():
        assert "://" not in entry.get("resolved", "")
        if path.startswith("node_modules/") and not entry.get("link"):
            assert entry["integrity"].startswith("sha512-"), path
    for versions in (stated["dependencies"], stated["devDependencies"]):
        assert all(version[0].isdigit() or version == "file:scripts/absent" for version in versions.values())
    assert {"omit-lockfile-registry-resolved=true", "ignore-scripts=true"} <= set(
        (HERE / ".npmrc").read_text(encoding="utf8").split())  # fmt: skip


def test_everything_vendored_is_used():
    """What is fetched is what some module of the application asks for, and what it asks for is fetched."""
    recipe = (HERE / "scripts/vendor.mjs").read_text(encoding="utf8")
    listed = dict(re.findall(r"^  '([^']+)': \['([^']+)',", recipe, re.M))
    folders = ("agents", "models", "presentation", "router", "services")
    text = "".join(path.read_text(encoding="utf8") for folder in folders for path in (HERE / folder).rglob("*.js"))
    asked = set(re.findall(r"vendor/([\w./-]+\.m?js)'", text))
    assert {name for name in listed if "/" not in name} - {"transformers.min.js"} == asked
    assert all(f"'{Path(name).name}'" in text for name in listed if name.startswith(("ort/", "transformers")))
    stated = json.loads((HERE / "package.json").read_text(encoding="utf8"))
    assert set(stated["dependencies"]) == set(listed.values())


@pytest.mark.parametrize("there, ci, said", [
    (("chromium", "node", "npm"), "", ""),
    (("node", "npm"), "", "browser: the browser's tests will be skipped. To run them: apt install chromium ("),
    (("chromium",), "", "To run them: node 20 or later with npm"),
    (("chromium", "old node", "npm"), "", "To run them: node 20 or later with npm"),
    (("node",), "true", "# WARNING: NO BROWSER TESTS IN THIS RUN. Missing: chromium npm"),
])  # fmt: skip
def test_a_missing_browser_is_told(tmp_path, there, ci, said):
    """`make browser` with an apt-get that is not there: what is missing and how it is had, loudly in CI."""
    tools = {"chromium": "true", "node": "echo 22", "old node": "echo 18", "npm": "true", "id": "echo 1000"}
    for name in (*there, "id"):
        file = tmp_path / name.split()[-1]
        file.write_text(f"#!/bin/sh\n{tools[name]}\n")
        file.chmod(0o755)
    done = subprocess.run(["/bin/sh", HERE / "scripts/browser.sh"], env={"PATH": str(tmp_path), "CI": ci},
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")
    assert said in done.stderr and bool(said) == bool(done.stderr)
    assert done.stderr.count("\n") == (4 if ci else 1 if said else 0)


def test_modules_under_node():
    """The parts of the services that need no browser."""
    if not shutil.which("node"):
        pytest.skip("needs node 20 or later: apt install nodejs")
    files = sorted((HERE / "tests").glob("llm*.test.mjs"))
    done = subprocess.run(["node", "--test", *files], capture_output=True, text=True, cwd=HERE)
    assert files and done.returncode == 0, done.stdout[-3000:]

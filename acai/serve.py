"""ACAI on this machine alone: `python acai/serve.py`, then open the address it prints. Standard library only.

Serves the application's folder, and an exported model at ``model/``, on 127.0.0.1 with the headers that isolate the
page (threads in WebAssembly need them) and a policy under which it can reach nothing but this server. With
``--allow-host`` the page may also ask this server for text pages of the hosts named: that leaves the device, so it is
off unless asked for.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import mimetypes
import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

HERE = Path(__file__).resolve().parent
POLICY = ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; style-src 'self'; "
          "img-src 'self' blob: data:; worker-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
          "form-action 'none'")  # fmt: skip
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
TYPES = {
    ".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8", ".md": "text/markdown; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm", ".webmanifest": "application/manifest+json", ".woff2": "font/woff2",
}  # fmt: skip
HIDDEN = {"node_modules", "scripts", "__pycache__"}
PIECE = 1 << 20


class Server(ThreadingHTTPServer):
    """root: the application's folder; model: the exported model's; hosts: those the web proxy may ask."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, root: Path, model: Path, hosts: list[str]) -> None:
        self.root, self.model, self.hosts = root.resolve(), model.resolve(), hosts
        super().__init__(("127.0.0.1", port), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "ACAI", ""
    timeout = 60
    server: Server

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, body: bool) -> None:
        """One request: the right host, then the proxy or a file."""
        if not self.named_rightly():
            self.refuse(HTTPStatus.MISDIRECTED_REQUEST)
        elif urlsplit(self.path).path == "/proxy":
            self.proxy(body)
        else:
            path = self.locate()
            if path is None:
                self.refuse(HTTPStatus.NOT_FOUND)
            else:
                self.file(path, body)

    def named_rightly(self) -> bool:
        """Whether the client asked for this machine by name: another's page that resolves here is turned away."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)
        return host[0] in ("127.0.0.1", "localhost") and (len(host) == 1 or host[1] == str(self.server.server_port))

    def locate(self) -> Path | None:
        """The file asked for, or None: no listing, nothing hidden, nothing outside the two folders."""
        try:
            parts = unquote(urlsplit(self.path).path, errors="strict").lstrip("/").split("/")
        except ValueError:  # bytes that are no text, or an address that is none
            return None
        if parts == [""]:
            parts = ["index.html"]
        for part in parts:
            if not part or part in HIDDEN or re.search(r"^\.|[\\\0:]|\.py$", part):
                return None
        base = self.server.root
        if parts[0] == "model":
            base, parts = self.server.model, parts[1:]
        path = base.joinpath(*parts).resolve()
        return path if parts and path.is_relative_to(base) and path.is_file() else None

    def file(self, path: Path, body: bool) -> None:
        """A file, whole or the part asked for, in pieces."""
        with path.open("rb") as file:
            stat = path.stat()
            tag = f'"{stat.st_size:x}-{stat.st_mtime_ns:x}"'
            if self.headers.get("If-None-Match") == tag:
                self.head(HTTPStatus.NOT_MODIFIED, {"ETag": tag})
                return
            asked = self.headers.get("Range")
            if self.headers.get("If-Range") not in (None, tag):
                asked = None
            span = part(asked, stat.st_size)
            if span is None:
                self.head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                          {"Content-Range": f"bytes */{stat.st_size}", "Content-Length": "0"})  # fmt: skip
                return
            start, stop = span
            kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            fields = {"Content-Type": kind, "Content-Length": str(stop - start), "ETag": tag,
                      "Accept-Ranges": "bytes", "Cache-Control": "no-cache"}  # fmt: skip
            whole = (start, stop) == (0, stat.st_size)
            if not whole:
                fields["Content-Range"] = f"bytes {start}-{stop - 1}/{stat.st_size}"
            if path.name == "sw.js":
                fields["Service-Worker-Allowed"] = "/"
            self.head(HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT, fields)
            if body:
                file.seek(start)
                self.pour(file, stop - start)

    def pour(self, file, left: int) -> None:
        """``left`` bytes of an open file to the client, who may go away."""
        try:
            while left:
                piece = file.read(min(PIECE, left))
                if not piece:  # the file shrank: the length told is wrong now
                    self.close_connection = True
                    return
                self.wfile.write(piece)
                left -= len(piece)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True

    def proxy(self, body: bool) -> None:
        """``/proxy``: the hosts allowed; ``/proxy?url=https://host/…``: the text of a page of one of them."""
        import proxy

        asked = parse_qs(urlsplit(self.path).query).get("url")
        if not asked:
            self.reply(HTTPStatus.OK, json.dumps({"hosts": self.server.hosts}), "application/json", body)
        elif self.headers.get("X-ACAI") != "web":  # a header that no other site's page can send here
            self.reply(HTTPStatus.FORBIDDEN, json.dumps({"error": "web.header"}), "application/json", body)
        else:
            try:
                text, kind = proxy.fetch(asked[0], self.server.hosts)
                self.reply(HTTPStatus.OK, text, "text/plain; charset=utf-8", body, {"X-ACAI-Type": kind})
            except proxy.ProxyError as error:
                self.reply(HTTPStatus(error.status), json.dumps({"error": error.key, "detail": str(error)}),
                           "application/json", body)  # fmt: skip

    def reply(self, status: HTTPStatus, text: str, kind: str, body: bool, more: dict[str, str] | None = None) -> None:
        """A short text."""
        content = text.encode()
        self.head(status, {"Content-Type": kind, "Content-Length": str(len(content)), "Cache-Control": "no-store",
                           **(more or {})})  # fmt: skip
        if body:
            self.wfile.write(content)

    def refuse(self, status: HTTPStatus) -> None:
        self.reply(status, f"{status.value} {status.phrase}\n", "text/plain; charset=utf-8", self.command != "HEAD")

    def head(self, status: HTTPStatus, fields: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **fields}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, form: str, *values: object) -> None:
        """Nothing of what is asked is kept."""


def part(asked: str | None, size: int) -> tuple[int, int] | None:
    """Start and stop of ``Range: bytes=…`` in a file of ``size`` bytes; the whole file for none or several ranges,
    None where it cannot be met."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", asked or "")
    if not found or found.groups() == ("", ""):
        return 0, size
    first, last = found.groups()
    start, stop = (int(first), int(last) + 1 if last else size) if first else (max(0, size - int(last)), size)
    return (start, min(stop, size)) if start < min(stop, size) else None


def host(text: str) -> str:
    """An exact host name of ``--allow-host``, lower case, with a port if it has one."""
    found = re.fullmatch(r"([a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*)(?::(\d{1,5}))?",
                         text.lower())  # fmt: skip
    try:
        numeric = bool(found and ipaddress.ip_address(found[1]))
    except ValueError:
        numeric = False
    if not found or numeric:
        raise argparse.ArgumentTypeError(f"{text!r} is no exact host name, as example.org")
    return text.lower()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=8017, help="0 takes a free one (default %(default)s)")
    parser.add_argument("--root", type=Path, default=HERE, help="the application's folder")
    parser.add_argument("--model", type=Path, help="an exported model's folder (default: model in the root)")
    parser.add_argument("--allow-host", type=host, action="append", default=[], metavar="HOST",
                        help="let the page read text of this exact host: leaves the device")  # fmt: skip
    chosen = parser.parse_args(arguments)
    if not chosen.root.is_dir():
        parser.error(f"{chosen.root} is no folder")
    try:
        server = Server(chosen.port, chosen.root, chosen.model or chosen.root / "model", chosen.allow_host)
    except OSError as error:
        parser.error(f"port {chosen.port} cannot be used: {error.strerror}; choose another with --port")
    print(f"ACAI: http://127.0.0.1:{server.server_port}/", flush=True)
    if chosen.allow_host:
        print(f"web: {', '.join(chosen.allow_host)} may be read; what is asked there leaves this device", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

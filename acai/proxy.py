"""Text of a web page for `serve.py --allow-host`: exact hosts over https, small, quick, text alone."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

SIZE = 2 * 2**20  # bytes of a page at most
SECONDS = 15  # for the whole of it
KINDS = ("application/json", "application/xhtml+xml", "application/xml")


class ProxyError(Exception):
    """A page that is not fetched. ``key`` names the reason, ``status`` is the HTTP status to answer with."""

    def __init__(self, key: str, detail: str, status: int = 403) -> None:
        super().__init__(detail)
        self.key, self.status = key, status


class Stay(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to an address that could have been asked for itself."""

    max_redirections = 3

    def __init__(self, hosts: list[str]) -> None:
        self.hosts = hosts

    def redirect_request(self, request, stream, code, message, headers, url):
        check(url, self.hosts)
        return super().redirect_request(request, stream, code, message, headers, url)


def check(url: str, hosts: list[str]) -> None:
    """Raise ProxyError unless ``url`` is https, of a host allowed, with neither name nor password."""
    try:
        parts = urlsplit(url)
        named = parts.netloc.lower().removesuffix(":443")
    except ValueError:
        raise ProxyError("web.address", "no address", 400) from None
    if parts.scheme != "https" or not named or any(ord(sign) < 33 for sign in url):
        raise ProxyError("web.address", "only https addresses are read", 400)
    if named not in hosts:  # a name or password before the host makes it another string: refused as well
        raise ProxyError("web.host", f"{parts.hostname} is not among the hosts allowed")


def fetch(url: str, hosts: list[str], *, context=None) -> tuple[str, str]:
    """(text, content type) of a page. Raises ProxyError."""
    check(url, hosts)
    opener = urllib.request.build_opener(Stay(hosts), urllib.request.HTTPSHandler(context=context))
    request = urllib.request.Request(url, headers={"User-Agent": "ACAI", "Accept": "text/html, text/plain"})
    end = time.monotonic() + SECONDS
    try:
        with opener.open(request, timeout=SECONDS) as response:
            kind = response.headers.get_content_type()
            if not kind.startswith("text/") and kind not in KINDS:
                raise ProxyError("web.type", f"{kind} is no text", 415)
            content = whole(response, end)
            charset = response.headers.get_content_charset() or "utf-8"
    except urllib.error.HTTPError as error:
        raise ProxyError("web.status", f"the host answered {error.code}", 502) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ProxyError("web.unreachable", f"the host cannot be reached: {type(error).__name__}", 502) from None
    try:
        return content.decode(charset, errors="replace"), kind
    except LookupError:
        return content.decode("utf-8", errors="replace"), kind


def whole(response, end: float) -> bytes:
    """All bytes, unless they are too many or too slow."""
    pieces, size = [], 0
    while piece := response.read1(65536):
        size += len(piece)
        if size > SIZE:
            raise ProxyError("web.size", f"the page is larger than {SIZE} bytes", 413)
        if time.monotonic() > end:
            raise ProxyError("web.time", f"the page took longer than {SECONDS} s", 504)
        pieces.append(piece)
    return b"".join(pieces)

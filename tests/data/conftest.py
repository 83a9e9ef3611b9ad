"""A web server on this machine that misbehaves as asked, one way a request."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Web(ThreadingHTTPServer):
    """Serves ``files``; the next request behaves as ``behaves`` says, those after it honestly."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.behaves: list[Callable[[_Handler, bytes], None]] = []
        self.seen: list[tuple[str, dict[str, str]]] = []
        self.tag: str | None = '"first"'

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"

    def ranges(self) -> list[str | None]:
        """The Range header of each request."""
        return [headers.get("Range") for _path, headers in self.seen]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        body = self.server.files.get(self.path.lstrip("/"), b"")
        behave = self.server.behaves.pop(0) if self.server.behaves else honest
        behave(self, body)

    def log_message(self, *words: object) -> None:
        pass

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        if self.server.tag:
            self.send_header("ETag", self.server.tag)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def start(self) -> int:
        """The first byte that is asked for; the whole file where it has changed since."""
        wanted = self.headers.get("If-Range", self.server.tag)
        found = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found and wanted == self.server.tag else 0


def honest(handler: _Handler, body: bytes, extra: int = 0, only: int | None = None) -> None:
    """Answer with what is asked for; announce ``extra`` bytes more, send ``only`` so many."""
    start = handler.start()
    if start and start >= len(body):
        return handler.head(416, Content_Range=f"bytes */{len(body)}", Content_Length=0)
    length = len(body) - start + extra
    if start:
        place = f"bytes {start}-{len(body) - 1 + extra}/{len(body) + extra}"
        handler.head(206, Content_Length=length, Content_Range=place)
    else:
        handler.head(200, Content_Length=length)
    end = len(body) if only is None else start + only
    handler.wfile.write(body[start:end])
    return None


def breaks_off(after: int) -> Callable[..., None]:
    return lambda handler, body: honest(handler, body, only=after)


def announces_more(extra: int) -> Callable[..., None]:
    return lambda handler, body: honest(handler, body, extra=extra)


def announces_less(handler: _Handler, body: bytes) -> None:
    start = handler.start()
    half = (len(body) - start) // 2
    if start:
        place = f"bytes {start}-{start + half - 1}/{start + half}"
        handler.head(206, Content_Length=half, Content_Range=place)
    else:
        handler.head(200, Content_Length=half)
    handler.wfile.write(body[start : start + half])


def without_ranges(handler: _Handler, body: bytes) -> None:
    handler.head(200, Content_Length=len(body))
    handler.wfile.write(body)


def without_length(handler: _Handler, body: bytes) -> None:
    handler.head(200)
    handler.wfile.write(body)


def another_range(handler: _Handler, body: bytes) -> None:
    handler.head(206, Content_Length=3, Content_Range=f"bytes 1-3/{len(body)}")
    handler.wfile.write(body[1:4])


def broken_chunks(handler: _Handler, body: bytes) -> None:
    handler.protocol_version = "HTTP/1.1"
    handler.head(200, Transfer_Encoding="chunked")
    handler.wfile.write(b"5\r\n" + body[:5] + b"\r\nffff\r\nabc")
    handler.close_connection = True


def no_http(handler: _Handler, body: bytes) -> None:
    handler.wfile.write(b"\x00\x01 what?\r\n\r\n")


def hangs_up(handler: _Handler, body: bytes) -> None:
    handler.close_connection = True


def stalls(handler: _Handler, body: bytes) -> None:
    handler.head(200, Content_Length=len(body))
    handler.wfile.write(body[:2])
    handler.wfile.flush()
    time.sleep(0.6)


def answers(status: int) -> Callable[..., None]:
    return lambda handler, body: handler.head(status, Content_Length=0)


def redirects(to: str, status: int = 302) -> Callable[..., None]:
    return lambda handler, body: handler.head(status, Location=to, Content_Length=0)


def web_page(kind: str, page: bytes = b"<html>Please sign in</html>") -> Callable[..., None]:
    def answer(handler: _Handler, body: bytes) -> None:
        handler.head(200, Content_Type=kind, Content_Length=len(page))
        handler.wfile.write(page)

    return answer


BEHAVIOUR = {
    function.__name__: function
    for function in (
        breaks_off,
        announces_more,
        announces_less,
        without_ranges,
        without_length,
        another_range,
        broken_chunks,
        no_http,
        hangs_up,
        stalls,
        answers,
        redirects,
        web_page,
    )
}


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A server of one's own; ``web.behaves`` takes what :func:`behaviour` names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Web()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def behaviour() -> dict[str, Callable[..., object]]:
    """The ways to misbehave, by name."""
    return dict(BEHAVIOUR)

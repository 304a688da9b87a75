"""A webhook receiver on loopback that records what it gets and answers what the test says."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to answer."""

    status: int = 200
    headers: Mapping[str, str] | None = None
    body: bytes = b"ok"


class Receiver:
    """Answers `answers` in turn, then 200. `hold()` keeps requests waiting until `release()`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: deque[Answer] = deque()
        self._requests: list[Received] = []
        self._arrived = threading.Condition()
        self._open = threading.Event()
        self._open.set()

    @property
    def requests(self) -> list[Received]:
        with self._arrived:
            return list(self._requests)

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def wait_for(self, count: int, *, timeout: float = 30) -> list[Received]:
        """Block until `count` requests have arrived (in async tests: `await asyncio.to_thread(…)`)."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._requests) >= count, timeout):
                raise AssertionError(f"{len(self._requests)} of {count} requests arrived within {timeout} s")
            return list(self._requests)

    def take(self, request: Received) -> Answer:
        with self._arrived:
            self._requests.append(request)
            answer = self.answers.popleft() if self.answers else Answer()
            self._arrived.notify_all()
        self._open.wait()
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _handle(self) -> None:
        length = int(self.headers.get("content-length", 0))
        request = Received(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length),
        )
        answer = self.server.receiver.take(request)
        self.send_response(answer.status)
        for name, value in (answer.headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _handle  # noqa: N815 - http.server's names

    def log_message(self, *arguments: object) -> None:
        """Keep the test output quiet."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A running receiver."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        receiver = server.receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.release()
            server.shutdown()
            thread.join()

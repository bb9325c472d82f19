"""Raw sockets: bytes as they are, and what comes back until the connection ends or nothing more does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.client import HTTPMessage, HTTPResponse
from io import BytesIO
from typing import Any, Self
from urllib.parse import urlsplit

ROW = b'{"x":1}'
JSON = b"Content-Type: application/json\r\n"


@dataclass
class Heard:
    """What came back."""

    raw: bytes = b""
    closed: bool = False
    """Whether the service closed the connection."""
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    heads: list[HTTPMessage] = field(default_factory=list)

    @property
    def problem(self) -> Any:
        """The last answer, which is a problem."""
        assert self.heads[-1]["content-type"] == "application/problem+json", self.raw
        found = json.loads(self.bodies[-1])
        assert found["status"] == self.statuses[-1]
        assert found["request_id"] == self.heads[-1]["x-request-id"]
        assert len(self.bodies[-1]) <= 8 << 10
        return found

    @property
    def refusal(self) -> tuple[list[int], str, bool]:
        """The statuses, the code of the last problem, and whether the connection was closed."""
        return self.statuses, self.problem["code"], self.closed


class Caller:
    """A connection to a service."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 80))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> Caller:
        """Send, as far as it is taken."""
        try:
            for part in parts:
                self.socket.sendall(part)
        except OSError:
            pass  # the service has had enough of it, and said why
        return self

    def hear(self, *, within_s: float = 20.0, answers: int | None = None) -> Heard:
        """What comes until the connection is closed, or until there are so many answers."""
        heard = Heard()
        self.socket.settimeout(within_s)
        while answers is None or len(heard.statuses) < answers:
            try:
                some = self.socket.recv(1 << 16)
            except TimeoutError:
                break
            except OSError:
                heard.closed = True
                break
            if not some:
                heard.closed = True
                break
            heard.raw += some
            if answers is not None:
                _read(heard)
        _read(heard)
        return heard


def said(url: str, *parts: bytes, answers: int | None = None, within_s: float = 20.0) -> Heard:
    """Send bytes on a connection of their own, and return what comes back."""
    with Caller(url) as caller:
        return caller.send(*parts).hear(answers=answers, within_s=within_s)


def request(method: str = "POST", path: str = "/predict", *headers: str, body: bytes | None = ROW) -> bytes:
    """A request of JSON, with its length; without a body none is told."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body or b"")


def chunked(chunks: Iterable[bytes], *, head: bytes = b"") -> bytes:
    """A request of JSON in chunks as they are given, sizes and all."""
    return (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\n" + JSON + b"Transfer-Encoding: chunked\r\n" + head + b"\r\n"
    ) + b"".join(chunks)


def _read(heard: Heard) -> None:
    """Take the answers apart, those that are whole."""
    file = _File(heard.raw)
    heard.statuses, heard.bodies, heard.heads = [], [], []
    while file.tell() < len(heard.raw):
        response = HTTPResponse(file)  # type: ignore[arg-type]  # all that it asks of a socket is its file
        try:
            response.begin()
            body = response.read()
        except Exception:  # noqa: BLE001  # the rest has not come
            return
        heard.statuses.append(response.status)
        heard.bodies.append(body)
        heard.heads.append(response.headers)


class _File(BytesIO):
    """What stands for the socket of an answer; whoever reads one leaves the next ones."""

    def makefile(self, *_: object) -> _File:
        """The socket's file."""
        return self

    def close(self) -> None:
        """Stay open for the next answer."""

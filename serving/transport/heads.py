"""Heads: what is wrong with a request as far as its head tells, and with which words it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from re import compile as pattern
from typing import Any

import httptools

from serving.problems import Problem

Headers = Sequence[tuple[bytes, bytes]]

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
"""What is looked for a route of; `PUT`, `PATCH` and `OPTIONS` find none of ours, but may find one of a caller's."""
VERSIONS = frozenset({"1.1", "1.0"})
_ALLOW = {"allow": "GET, HEAD, POST, DELETE"}
_METHOD = pattern(rb"[A-Z][A-Z-]{0,31}(?: |\Z)")


class Refused(Exception):  # an answer, not a fault
    """A request is not taken; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def unreadable(data: bytes, error: Exception) -> Problem:
    """The problem of bytes at which the parser gave up."""
    if isinstance(error, httptools.HttpParserInvalidMethodError) and _METHOD.match(data):
        return unknown_method()
    return malformed("What came is no request of HTTP/1.1.")


def malformed(detail: str) -> Problem:
    """The problem of a request that means nothing, or two things."""
    return Problem(400, "bad_request", detail)


def unknown_method() -> Problem:
    """The problem of a method that no path takes."""
    return Problem(405, "method_not_allowed", "No path takes this method.", headers=_ALLOW)


def head_too_large(url: bytes, most_url: int) -> Problem:
    """The problem of a head that is too large, which may be due to its address."""
    if len(url) > most_url:
        return Problem(414, "url_too_long", f"The address has more than {most_url:,} bytes; send rows as the body.")
    return Problem(431, "head_too_large", "The headers are too many or too long; a prediction needs only a few.")


def body_of(headers: Headers) -> int:
    """Bytes that a head announces; of a body in chunks nothing is known, and it counts as none."""
    return sum(int(value) for name, value in headers if name == b"content-length" and value.isdigit())


def check_target(url: bytes, host: bytes) -> None:
    """Hold a target that is no path to the host.

    Raises:
        Refused: it is of another host, or no target at all.
    """
    try:
        found: Any = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise Refused(malformed("The target of the request is no path.")) from None
    if found.host is None or found.schema not in (b"http", b"https"):
        raise Refused(malformed("The target of the request is no path."))
    named = found.host if found.port is None else b"%b:%d" % (found.host, found.port)
    if host.lower() not in (named.lower(), found.host.lower()):
        raise Refused(Problem(421, "host_unknown", "The target of the request is of another host than `Host` names."))

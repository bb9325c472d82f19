"""Responses: a whole answer, or the problem that stands for an error, on its way to the caller."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
from contextvars import ContextVar
from functools import cache

from starlette.types import Send

from serving.problems import MEDIA_TYPE, UNFORESEEN, Problem

log = logging.getLogger("lectern.prediction")

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The request that is being answered, where the framework answers it."""
_COUNTER = itertools.count(1)


def new_id() -> str:
    """A name for a request that no other request of any process has."""
    return f"{_name_of(os.getpid())}{next(_COUNTER):08x}"


@cache
def _name_of(_: int) -> str:
    """A name for a process: workers begin as copies of one."""
    return secrets.token_hex(6)


async def send_problem(error: Exception, request_id: str, send: Send) -> int:
    """Answer with the problem that stands for an error, and return its status; one that nobody foresaw is logged."""
    problem = Problem.of(error)
    if problem.code == UNFORESEEN:
        text = "Request %s failed in an unforeseen way."
        log.error(text, request_id, exc_info=error, extra={"request_id": request_id})
    headers = [(b"x-request-id", request_id.encode())]
    headers += [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    await send_body(problem.status, MEDIA_TYPE.encode(), problem.body(request_id), headers, send)
    return int(problem.status)


async def send_body(status: int, kind: bytes, body: bytes, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    """Answer with a whole body."""
    size = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), size, *headers]})
    await send({"type": "http.response.body", "body": body})

"""A prediction request, from its first byte to its last, on one screen.

body → rows that fit the signature → answers → JSON. Nothing on the way logs, writes or blocks the loop.
"""

from __future__ import annotations

import itertools
import logging
import secrets
from urllib.parse import parse_qs

from pydantic_core import to_json
from starlette.types import Message, Receive, Scope, Send

from serving.loading import Served
from serving.problems import MEDIA_TYPE, UNFORESEEN, Problem

log = logging.getLogger("lectern.prediction")

_JSON = b"application/json"
_PROCESS = secrets.token_hex(6)
_COUNTER = itertools.count(1)


class Hangup(Exception):
    """The caller closed the connection before the request was complete."""


async def predict(served: Served, scope: Scope, receive: Receive, send: Send, max_body_bytes: int) -> None:
    """Answer one request with one version."""
    request_id = new_id()
    try:
        echo = _wants_echo(scope["query_string"])
        with served.predictor.in_use():
            body = await read_body(scope, receive, max_body_bytes)
            rows, many = served.schema.read(body)
            answers = await served.predictor.answer(served.schema.columns(rows))
        found = served.replies.documents(answers)
        for index, (row, document) in enumerate(zip(rows, found, strict=True)):
            document["id"] = f"{request_id}-{index}" if many else request_id
            document["warnings"] = served.schema.warnings(row)
            if echo:
                document["input"] = row
        origin = {"model": served.model, "version": served.version}
        answer = to_json({"predictions": found, **origin} if many else {**found[0], **origin})
    except Hangup:
        return
    except Exception as error:  # noqa: BLE001  # whatever it is, who asked is told
        await send_problem(error, request_id, send)
        return

    headers = [
        (b"lectern-model", served.model.encode()),
        (b"lectern-version", b"%d" % served.version),
        (b"x-request-id", request_id.encode()),
    ]
    await send_body(200, _JSON, answer, headers, send)


def new_id() -> str:
    """A name for a request that no other request of any process has."""
    return f"{_PROCESS}{next(_COUNTER):08x}"


def _wants_echo(query: bytes) -> bool:
    if b"echo" not in query:
        return False
    match parse_qs(query.decode("latin-1"), keep_blank_values=True).get("echo"):
        case None | ["false"]:
            return False
        case ["true"]:
            return True
    raise Problem(422, "invalid_request", "The parameter 'echo' is true or false.")


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole JSON body.

    Raises:
        Problem: it is of another type, or larger than `limit` bytes.
        Hangup: the caller is gone.
    """
    headers = dict(scope["headers"])
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != _JSON:
        raise Problem(415, "unsupported_media_type", "Send JSON, with the header `Content-Type: application/json`.")
    if b"content-encoding" in headers:
        raise Problem(415, "unsupported_encoding", "Send the body as it is, without Content-Encoding.")
    too_large = Problem(
        413,
        "body_too_large",
        f"The body has more than {limit:,} bytes; send fewer rows.",
        headers={"connection": "close"},
    )
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit:
        raise too_large
    body = bytearray()
    more = True
    while more:
        message: Message = await receive()
        if message["type"] == "http.disconnect":
            raise Hangup
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large
        more = message.get("more_body", False)
    return bytes(body)


async def send_problem(error: Exception, request_id: str, send: Send) -> None:
    """Answer with the problem that stands for an error; one that nobody foresaw is logged."""
    problem = Problem.of(error)
    if problem.code == UNFORESEEN:
        log.error("Request %s failed in an unforeseen way.", request_id, exc_info=error)
    headers = [(b"x-request-id", request_id.encode())]
    headers += [(name.encode(), value.encode()) for name, value in problem.headers.items()]
    await send_body(problem.status, MEDIA_TYPE.encode(), problem.body(request_id), headers, send)


async def send_body(status: int, kind: bytes, body: bytes, headers: list[tuple[bytes, bytes]], send: Send) -> None:
    """Answer with a whole body."""
    size = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind), size, *headers]})
    await send({"type": "http.response.body", "body": body})

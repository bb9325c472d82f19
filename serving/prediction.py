"""A prediction request, from its first byte to its last, on one screen.

body → rows that fit the signature → answers → JSON. Nothing on the way logs, writes or blocks the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import to_json
from starlette.types import Message, Receive, Scope, Send

from contract.answers import Answers, Columns
from serving.columns_form import is_columns_form, read_columns_form
from serving.loading import Served
from serving.negotiation import is_plain, too_large, wants_echo
from serving.observed import GONE, STREAMING
from serving.replies import Reply, ReplySchema
from serving.requests import RequestSchema, Row, Unlike
from serving.responses import new_id, send_problem
from serving.streams import answer_stream
from serving.writing import interleaved, spelled

if TYPE_CHECKING:
    from serving.registry import Registry

T = TypeVar("T")

ON_LOOP_BYTES = 8 << 10
"""Longest body that is read, and answered, on the event loop: what takes longer would keep others waiting."""
_JSON = b"application/json"
_JSON_TYPE = (b"content-type", _JSON)


class Hangup(Exception):
    """The caller closed the connection before the request was complete."""


async def predict(
    served: Served, scope: Scope, receive: Receive, send: Send, registry: Registry, request_id: str = ""
) -> None:
    """Answer one request with one version; it is given a name unless it has one."""
    began, request_id = perf_counter(), request_id or new_id()
    offer = registry.observation.offer
    try:
        limit = registry.settings.max_body_bytes
        if not is_plain(scope["headers"], limit):
            observe = partial(offer, served, scope, request_id, STREAMING, began)
            status, rows = await answer_stream(served, scope, receive, send, request_id, registry.settings, observe)
            offer(served, scope, request_id, status, began, streamed=rows)
            return
        with served.predictor.in_use():
            message = await receive()
            if message.get("more_body", False) or message["type"] == "http.disconnect":
                message = await _all_of(message, receive, limit)
            body, query = message["body"], scope["query_string"]
            if len(body) > limit:
                raise too_large(limit)
            reply = None
            if served.quick and not query and len(body) <= ON_LOOP_BYTES:
                reply = served.quick(body, request_id)
            if reply is None:
                reply = await _at_length(served, body, request_id, query)
        size = (b"content-length", b"%d" % len(reply.body))
        headers = [_JSON_TYPE, size, *served.headers, (b"x-request-id", request_id.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
    except Hangup:
        offer(served, scope, request_id, GONE, began)
    except Exception as error:  # noqa: BLE001  # whatever it is, who asked is told
        status = await send_problem(error, request_id, send)
        offer(served, scope, request_id, status, began)
    else:
        offer(served, scope, request_id, 200, began, reply)


async def _at_length(served: Served, body: bytes, request_id: str, query: bytes) -> Reply:
    """Answer any rows. What is large is read, and its answer written, beside the event loop."""
    work = _here if len(body) <= ON_LOOP_BYTES else asyncio.to_thread
    echo = wants_echo(query)
    rows, columns, many = await work(_read, served.schema, body)
    answers = await served.predictor.answer(columns)
    unlike = await work(served.schema.unlike, columns)
    answer = await work(_written, served, answers, unlike, request_id, rows if echo else None, many)
    return Reply(answer, rows, answers, unlike, request_id, many)


async def _here(work: Callable[..., T], *given: Any) -> T:
    return work(*given)


def _read(schema: RequestSchema, body: bytes) -> tuple[list[Row], Columns, bool]:
    rows, many = (read_columns_form(body, schema), True) if is_columns_form(body, schema) else schema.read(body)
    return rows, schema.columns(rows), many


def _written(
    served: Served, answers: Answers, unlike: Unlike, request_id: str, echoed: list[Row] | None, many: bool
) -> bytes:
    origin = {"model": served.model, "version": served.version}
    if many:
        return _written_by_column(served.replies, answers, unlike, request_id, echoed, to_json(origin))
    [document] = served.replies.documents(answers)
    document |= {"id": request_id, "warnings": unlike.get(0, ())}
    if echoed is not None:
        document["input"] = echoed[0]
    return to_json(document | origin)


def _written_by_column(
    replies: ReplySchema, answers: Answers, unlike: Unlike, request_id: str, echoed: list[Row] | None, origin: bytes
) -> bytes:
    rows = len(answers.values)
    parts = [*replies.parts(answers), b',"id":"%b-' % request_id.encode(), spelled([*range(rows)]), b'","warnings":']
    parts.append([to_json(unlike.get(row, ())) for row in range(rows)] if unlike else b"[]")
    if echoed is not None:
        parts += [b',"input":', spelled(echoed)]
    documents = interleaved([*parts, b"},"], rows)
    return b'{"predictions":[%b],%b' % (documents[:-1], origin[1:])


async def _all_of(message: Message, receive: Receive, limit: int) -> Message:
    """The whole body of at most `limit` bytes, whose first part has come.

    Raises:
        Problem: it is larger.
        Hangup: the caller is gone.
    """
    body = bytearray()
    while message["type"] != "http.disconnect":
        body += message.get("body", b"")
        if len(body) > limit:  # no more of it is read
            raise too_large(limit)
        if not message.get("more_body", False):
            return {"type": "http.request", "body": bytes(body)}
        message = await receive()
    raise Hangup

"""A prediction request, from its first byte to its last, on one screen.

body → rows that fit the signature → answers → JSON. Nothing on the way logs, writes or blocks the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from starlette.types import Message, Receive, Scope, Send

from contract.errors import DeadlineExceeded
from serving.admission import OVERLOADED, Place, announced, turned_away
from serving.draining import ending
from serving.limiting.charging import charge
from serving.loading import Served
from serving.negotiation import asks_for, is_plain, too_large
from serving.observed import GONE, STREAMING
from serving.patience import patience
from serving.predictor import Predictor
from serving.problems import Problem
from serving.replies import Reply
from serving.replying import replied
from serving.requests import RequestSchema
from serving.responses import new_id, send_problem
from serving.sifting import Read, read
from serving.streams import answer_stream

if TYPE_CHECKING:
    from serving.registry import Registry

T = TypeVar("T")

ON_LOOP_BYTES = 8 << 10
"""Longest body that is read, and answered, on the event loop: what takes longer would keep others waiting."""
PLACE = "lectern.place"
"""Where a scope has the place that is kept for its request."""
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
            if registry.streams.full:
                raise turned_away(registry.streams.refusal, scope["headers"])
            with registry.streams:
                status, rows = await answer_stream(served, scope, receive, send, request_id, registry.settings, observe)
            offer(served, scope, request_id, status, began, streamed=rows)
            return
        predictor = served.predictor
        with predictor.in_use(), scope.pop(PLACE, None) or Place(predictor.places) as place:
            if not place.held and needs_place(predictor, announced(scope["headers"])):
                if predictor.places.full:
                    raise turned_away(predictor.places.refusal, scope["headers"])
                place.keep()
            message = await receive()
            reply: Reply | None = None
            if message.get("more_body", False) or message["type"] == "http.disconnect":
                reply = await _in_parts(served, message, scope, receive, request_id, registry, began, place)
            else:
                body = message["body"]
                if len(body) > limit:
                    raise too_large(limit)
                if served.quick and not scope["query_string"] and len(body) <= ON_LOOP_BYTES:
                    reply = served.quick(body, request_id)
                if reply is None:
                    reply = await _at_length(served, body, scope, request_id, began, place)
        size = (b"content-length", b"%d" % len(reply.body))
        headers = [_JSON_TYPE, size, *served.headers, (b"x-request-id", request_id.encode())]
        status = 200 if reply.numbers is None else 207
        await send({"type": "http.response.start", "status": status, "headers": headers})
        status = GONE if has_left(receive) else status
        await send({"type": "http.response.body", "body": reply.body})
    except Hangup:
        offer(served, scope, request_id, GONE, began)
    except asyncio.CancelledError:  # the service ends, and has waited for this as long as it does
        status = await send_problem(ending(), request_id, send)
        offer(served, scope, request_id, status, began)
    except Exception as error:  # noqa: BLE001  # whatever it is, who asked is told
        if isinstance(error, Problem) and error.code == OVERLOADED:
            registry.observation.sheet.refused[OVERLOADED] += 1
        status = await send_problem(error, request_id, send)
        offer(served, scope, request_id, status, began)
    else:
        offer(served, scope, request_id, status, began, reply)


def has_left(receive: Receive) -> bool:
    """Whether it is known that the caller of a request, which came whole and is not answered yet, is gone."""
    coming = receive().__await__()
    try:
        next(coming)  # nothing comes from who waits for the answer, so this would wait, too
    except StopIteration as come:
        return bool(come.value["type"] == "http.disconnect")
    coming.close()
    return False


def needs_place(predictor: Predictor, body_bytes: int | None) -> bool:
    """Whether a request needs a place, for all that is known of its body."""
    return not predictor.cheap or (body_bytes or 0) > ON_LOOP_BYTES


async def _in_parts(
    served: Served,
    first: Message,
    scope: Scope,
    receive: Receive,
    request_id: str,
    registry: Registry,
    began: float,
    place: Place,
) -> Reply:
    """Answer rows whose body does not come at once."""
    headers, places = scope["headers"], served.predictor.places
    if announced(headers) is None and not place.held and places.full:
        raise turned_away(places.refusal, headers)
    with registry.room.hold() as more:
        body = await _all_of(first, receive, registry.settings.max_body_bytes, more)
        return await _at_length(served, body, scope, request_id, began, place)


async def _at_length(served: Served, body: bytes, scope: Scope, request_id: str, began: float, place: Place) -> Reply:
    """Answer any rows. What is large is read, and its answer written, beside the event loop."""
    predictor, query = served.predictor, scope["query_string"]
    echo, partial = asks_for("echo", query), asks_for("partial", query)
    within_s = patience(scope["headers"])
    if needs_place(predictor, len(body)):
        place.take()
    work = _here if len(body) <= ON_LOOP_BYTES else predictor.slots.run
    found = await work(_read, served.schema, body, began + within_s, partial)
    if len(found.rows) + len(found.misfits) > 1:
        await charge(scope, len(found.rows) + len(found.misfits) - 1)
    answers = await predictor.answer(found.columns, began + within_s - perf_counter())
    return await work(replied, served, found, answers, request_id, echo, begun=True)


class Work(Protocol):
    """Where something is done: on the event loop, or in a thread beside it."""

    async def __call__(self, work: Callable[..., T], *given: Any, begun: bool = False) -> T:
        """Do it; for a request that has been `begun` before others."""
        ...


async def _here(work: Callable[..., T], *given: Any, begun: bool = False) -> T:  # noqa: ARG001
    return work(*given)


def _read(schema: RequestSchema, body: bytes, until: float, partial: bool) -> Read:
    if perf_counter() >= until:
        raise DeadlineExceeded("The time that the caller gave was over before the rows were read.")
    return read(body, schema, partial=partial)


async def _all_of(message: Message, receive: Receive, limit: int, more: Callable[[int], None]) -> bytes:
    """The whole body of at most `limit` bytes, whose first part has come; `more` is told of what it takes.

    Raises:
        Problem: it is larger, or there is no room for it.
        Hangup: the caller is gone.
    """
    body = bytearray()
    while message["type"] != "http.disconnect":
        part = message.get("body", b"")
        more(len(part))
        body += part
        if len(body) > limit:  # no more of it is read
            raise too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)
        message = await receive()
    raise Hangup

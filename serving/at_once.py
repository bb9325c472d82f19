"""At once: the usual request is answered in the very moment in which its last byte is read, without a task.

A row of numbers for a graph in this process takes less time than to begin a task and to wake it up. Whoever comes while
all places are taken is told so as soon as the head is read. Whatever is unusual goes the long way
(`serving.prediction`), which says the same.
"""

from __future__ import annotations

from time import perf_counter

from starlette.types import Scope

from serving.admission import OVERLOADED, PASSED_OVER_BYTES, RETRY_AFTER_S, Place, announced
from serving.loading import Served
from serving.negotiation import is_plain
from serving.prediction import ON_LOOP_BYTES, PLACE, needs_place
from serving.problems import MEDIA_TYPE, Problem
from serving.registry import Registry
from serving.responses import new_id

_REFUSED = b"content-type: %b\r\ncontent-length: %%d\r\nx-request-id: %%b\r\nretry-after: %d\r\n\r\n%%b" % (
    MEDIA_TYPE.encode(),
    RETRY_AFTER_S,
)


class AtOnce:
    """Answers what can be answered at once. It is the event loop's."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, scope: Scope, body: bytes | bytearray) -> bytes | None:
        """The headers and the body of an answer with the status 200; None where the long way has to be gone.

        Who was let in then is not counted again: the scope says who it is.
        """
        registry = self._registry
        served = registry.snapshot.routes.get(scope["path"])
        if type(served) is not Served or served.quick is None or scope["query_string"] or scope["method"] != "POST":
            return None
        if len(body) > ON_LOOP_BYTES or not _is_plain(scope, ON_LOOP_BYTES):
            return None
        if registry.door is not None and not registry.door.passes(scope, served.model):
            return None
        began, request_id = perf_counter(), new_id()
        with served.predictor.in_use():
            reply = served.quick(bytes(body), request_id)
        if reply is None:
            return None
        registry.observation.offer(served, scope, request_id, 200, began, reply)
        return b"content-type: application/json\r\ncontent-length: %d\r\n%bx-request-id: %b\r\n\r\n%b" % (
            len(reply.body),
            served.head,
            request_id.encode(),
            reply.body,
        )

    def admit(self, scope: Scope) -> bytes | None:
        """Keep a place for a request that needs one, so that nobody who comes in the same moment counts on it.

        Returns:
            Where there is none, the headers and the body of the answer with the status 503; what of the request's body
            is still to come has to be passed over. None where the long way has to be gone.
        """
        registry = self._registry
        served = registry.snapshot.routes.get(scope["path"])
        if type(served) is not Served or scope["method"] != "POST":
            return None
        places, length = served.predictor.places, announced(scope["headers"])
        if length is None or not needs_place(served.predictor, length):
            return None
        full, limit = places.full, registry.settings.max_body_bytes
        if not _is_plain(scope, min(PASSED_OVER_BYTES, limit) if full else limit):
            return None
        if registry.door is not None and not registry.door.passes(scope, served.model):
            return None
        if not full:
            scope[PLACE] = place = Place(places)
            place.keep()
            return None
        began, request_id = perf_counter(), new_id()
        registry.observation.sheet.refused[OVERLOADED] += 1
        registry.observation.offer(served, scope, request_id, 503, began)
        name = request_id.encode()
        body = name.join(places.refused)
        return _REFUSED % (len(body), name, body)


def _is_plain(scope: Scope, limit: int) -> bool:
    try:
        return is_plain(scope["headers"], limit)
    except Problem:
        return False

"""The guard: around the framework. Each request gets a name and is counted; what nobody foresaw is a problem, too."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from time import perf_counter

from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access_log import is_told, tell
from serving.draining import ending
from serving.observed import GONE
from serving.responses import REQUEST_ID, new_id, send_problem

OBSERVED = "lectern.observed"
"""Where a scope says that its request is observed as a prediction, too."""
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_NAME = b"x-request-id"
_AS_IT_IS = (b"x-content-type-options", b"nosniff")
"""Keeps browsers from taking an answer for something else than it says it is."""


class Guard:
    """Looks at every request that the framework answers."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute], counts: Counter[str], share: float) -> None:
        """Surround an application.

        Args:
            app: what answers.
            routes: by which it does.
            counts: what is counted; see `serving.metrics.Sheet`.
            share: of the requests that get a line in the log.
        """
        self.app = app
        self.counts = counts
        self.share = share
        self.paths: dict[object, str] = {route.endpoint: route.path for route in routes if isinstance(route, Route)}
        """Of the routes that do not tell themselves, by what answers."""
        self.paths |= {route.app: route.path for route in routes if isinstance(route, Mount)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, request_id, status = perf_counter(), new_id(), GONE
        named = REQUEST_ID.set(request_id)

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                known = {name for name, _ in message["headers"]}
                usual = ((_NAME, request_id.encode()), _AS_IT_IS)
                message["headers"] = [*message["headers"], *(one for one in usual if one[0] not in known)]
            await send(message)

        try:
            await self.app(scope, receive, send_named)
        except asyncio.CancelledError:  # the service ends, and has waited for this as long as it does
            if status:
                raise
            status = await send_problem(ending(), request_id, send)
        except Exception as error:
            if status:
                raise
            status = await send_problem(error, request_id, send)
        finally:
            REQUEST_ID.reset(named)
            self.counts[self._name(scope, status)] += 1
            if OBSERVED not in scope and is_told(self.share, status):
                tell(scope, request_id, status, perf_counter() - began)

    def _name(self, scope: Scope, status: int) -> str:
        """What a request is counted as, of which there are few, whatever is asked."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        path = scope["route"].path if "route" in scope else self.paths.get(scope.get("endpoint"), "none")
        return f"{method} {path} {f'{status // 100}xx' if status else 'gone'}"

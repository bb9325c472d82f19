"""The porter: takes every request that the framework answers to the door, before anything of it is read."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.access.door import Door
from serving.access.rules import asked
from serving.problems import Problem


class Porter:
    """Stands between the guard, which counts whoever is turned away, and all routes."""

    def __init__(
        self,
        app: ASGIApp,
        door: Door,
        default_model: Callable[[], str | None],
        refuse: Callable[[Request, Exception], Response],
    ) -> None:
        """Stand in front of an application.

        Args:
            app: what answers.
            door: that requests go through.
            default_model: tells the model that answers where none is named.
            refuse: makes an answer of a problem.
        """
        self.app, self.door = app, door
        self.default_model, self.refuse = default_model, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "http" and not (wanted := asked(scope, self.default_model())).is_open:
            try:
                await self.door.admit(scope, wanted)
            except Problem as problem:
                scope["route"] = wanted  # as which the guard counts it
                await self.refuse(Request(scope), problem)(scope, receive, send)
                return
        await self.app(scope, receive, send)

"""The application: a dictionary look-up for predictions in front of everything else, which FastAPI owns.

start → the models → the framework: to import it takes longer than to load a model, and no prediction needs it
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from contract.promotions import CHALLENGER
from serving.access.caller import CALLER
from serving.at_once import AtOnce
from serving.canary import Split
from serving.health import health
from serving.loading import Served
from serving.observed import ALIAS
from serving.prediction import predict
from serving.problems import Problem
from serving.registry import Registry
from serving.responses import new_id, send_problem
from serving.settings import ServeSettings
from serving.snapshot import Snapshot

if TYPE_CHECKING:
    from fastapi import FastAPI

HEAD_START_S = 1.0
"""Longest time for which the framework lets the models go first; whoever asks for what it owns waits as long."""
_LOOK_EVERY_S = 0.005


class Lectern:
    """The outermost application: a path in the snapshot is answered at once, any other goes to the framework."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.at_once = AtOnce(registry)
        """What answers the usual request, for a server that asks it first."""
        self._framework: FastAPI | None = None
        self._building = threading.Lock()
        self._models_tried: asyncio.Event | None = None
        """None where no server lets the application live."""
        self.stands_by_s = 0.0
        """How long it may take its models to load before it takes connections."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, or live from the server's start to its end."""
        if scope["type"] == "lifespan":
            with suppress(asyncio.CancelledError):  # who stops it twice ends it at once, which is no failure
                await self._live(receive, send)
            return
        served = self._find(scope)
        if served is None and self._models_tried is not None:
            await self._models_tried.wait()
            served = self._find(scope)
        if served is None:
            framework = await asyncio.to_thread(self.framework) if self._framework is None else self._framework
            await framework(scope, receive, send)
        elif self.registry.door is None or CALLER in scope:
            await predict(served, scope, receive, send, self.registry)
        else:
            with served.predictor.in_use():  # also while others are asked whether its caller may
                if await self._entered(served, scope, send):
                    await predict(served, scope, receive, send, self.registry)

    async def _entered(self, served: Served, scope: Scope, send: Send) -> bool:
        """Whether a caller may ask a version; who may not is answered."""
        assert self.registry.door is not None
        began = perf_counter()
        try:
            await self.registry.door.enter(scope, "predict", served.model)
        except Problem as problem:
            request_id = new_id()
            status = await send_problem(problem, request_id, send)
            self.registry.observation.offer(served, scope, request_id, status, began)
            return False
        return True

    def framework(self) -> FastAPI:
        """What owns all other paths; built when it is first asked for."""
        with self._building:
            if self._framework is None:
                from serving.framework import create_framework

                self._framework = create_framework(self.registry)
            return self._framework

    def _find(self, scope: Scope) -> Served | None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        found = self.registry.snapshot.routes.get(scope["path"])
        if isinstance(found, Split):
            chosen = found.choose(scope["headers"])
            if chosen is found.challenger:
                scope[ALIAS] = CHALLENGER
            return chosen
        return found

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._models_tried = asyncio.Event()
        self.registry.start(asyncio.get_running_loop())
        if self.registry.door is not None:
            self.registry.door.start()
        beginning = asyncio.create_task(self._begin(self._models_tried))
        await self._stand_by()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        beginning.cancel()
        if self.registry.door is not None:
            await self.registry.door.stop()
        self.registry.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _stand_by(self) -> None:
        """Take no connection yet, where others answer meanwhile."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.stands_by_s
        while loop.time() < until and health(self.registry.snapshot).status == "loading":  # noqa: ASYNC110  # likewise
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _begin(self, models_tried: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + HEAD_START_S
        while loop.time() < until and not _all_tried(self.registry.snapshot):  # noqa: ASYNC110  # threads load them
            await asyncio.sleep(_LOOK_EVERY_S)
        models_tried.set()
        await asyncio.to_thread(self.framework)


def create_app(settings: ServeSettings) -> Lectern:
    """The service for one store, as a value: nothing starts before its lifespan does."""
    return Lectern(Registry(settings.open_store(), settings))


def _all_tried(snapshot: Snapshot) -> bool:
    models = snapshot.models.values()
    return snapshot.complete or (bool(models) and all(state.champion or state.failures for state in models))

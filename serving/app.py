"""The application: a dictionary look-up for predictions in front of everything else, which FastAPI owns.

start → the models → the framework: to import it takes longer than to load a model, and no prediction needs it
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from starlette.types import Receive, Scope, Send

from contract.promotions import CHALLENGER
from serving.canary import Split
from serving.loading import Served
from serving.observed import ALIAS
from serving.prediction import predict
from serving.registry import Registry
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
        self._framework: FastAPI | None = None
        self._building = threading.Lock()
        self._models_tried: asyncio.Event | None = None
        """None where no server lets the application live."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, or live from the server's start to its end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        served = self._find(scope)
        if served is None and self._models_tried is not None:
            await self._models_tried.wait()
            served = self._find(scope)
        if served is not None:
            await predict(served, scope, receive, send, self.registry)
        else:
            framework = await asyncio.to_thread(self.framework) if self._framework is None else self._framework
            await framework(scope, receive, send)

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
        beginning = asyncio.create_task(self._begin(self._models_tried))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        beginning.cancel()
        self.registry.stop()
        await send({"type": "lifespan.shutdown.complete"})

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

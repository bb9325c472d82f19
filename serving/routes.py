"""The routes that FastAPI owns beside those of the models: health, metrics, and predictions by versions not loaded."""

from __future__ import annotations

from collections import Counter

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from contract.errors import VersionNotFound
from contract.names import parse_version
from contract.promotions import CHAMPION
from serving import health
from serving.access.sight import visible
from serving.exposition import Exposition, Standing
from serving.guard import OBSERVED
from serving.loading import Served
from serving.metrics import Sheet
from serving.prediction import predict
from serving.problems import Problem
from serving.registry import Registry
from serving.responses import REQUEST_ID
from serving.snapshot import Snapshot

_TERSE = "Who has a key is told more at /health."
"""What anybody is told where who asks has to say who that is."""


class Predict:
    """Predictions whose path is not in the snapshot: a version to be loaded, or a name that nothing has."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the version that the path names, and answer with it."""
        served = await self._find(scope, **scope["path_params"])
        scope[OBSERVED] = True
        await predict(served, scope, receive, send, self.registry, REQUEST_ID.get())

    async def _find(self, scope: Scope, model: str | None = None, version: str | None = None) -> Served:
        if model is None:
            model = self.registry.default_model
            if model is None:
                known = ", ".join(sorted(visible(self.registry.snapshot, scope).models)) or "none yet"
                raise Problem(
                    404, "no_default_model", f"No default model is set (LECTERN_DEFAULT_MODEL); the models are {known}."
                )
        name, at, alias = model.partition("@")
        if version is None:
            return self.registry.alias(name, alias if at else CHAMPION)
        number = parse_version(version)
        if number is None:
            raise VersionNotFound(name, version[:20], self.registry.model(name).versions)
        return await self.registry.version(name, number)


def prediction_routes(registry: Registry) -> list[Route]:
    """The paths that predict, for whatever the outermost application did not find in the snapshot."""
    paths = ("/predict", "/v{version}/predict", "/models/{model}/predict", "/models/{model}/versions/{version}/predict")
    return [Route(path, Predict(registry), methods=["POST"]) for path in paths]


def create_router(registry: Registry) -> APIRouter:
    """The routes, for one registry."""
    router = APIRouter(tags=["health"])

    @router.get("/health", name="health")
    def how(request: Request) -> health.Health:
        """How the service is; 200 as long as it runs."""
        return health.health(
            visible(registry.snapshot, request.scope), registry.trouble, draining=registry.draining.draining
        )

    @router.get("/health/live")
    async def live() -> dict[str, bool]:
        """200 as long as the process answers."""
        return {"live": True}

    @router.get("/health/ready", responses={503: {"description": "Not ready", "model": health.Health}})
    def ready(response: Response) -> health.Health:
        """200 once the whole store has been read and a model answers, where that is set each of them; else 503."""
        found = health.health(registry.snapshot, registry.trouble, draining=registry.draining.draining)
        if found.status not in (("ready",) if registry.settings.strict_readiness else ("ready", "degraded")):
            response.status_code = 503
        locked = registry.door is not None and registry.door.locked
        return health.Health(status=found.status, detail=_TERSE, models={}) if locked else found

    @router.get("/metrics", response_class=Response)
    def metrics(request: Request) -> Response:
        """What all workers have counted, as Prometheus reads it."""
        accept = request.headers.get("accept", "")
        total = Sheet()
        for sheet in registry.observation.sheets():
            total.add(sheet)
        told = Exposition(total, _standing(registry.snapshot), registry.watch.drift.gauges())
        content, content_type = told.write(accept)
        return Response(content, headers={"content-type": content_type})

    return router


def _standing(snapshot: Snapshot) -> dict[str, Standing]:
    return {
        name: Standing(
            {alias: served.version for alias, served in state.answering.items()},
            Counter(failure.code for failure in state.failures.values()),
            len(state.deployment.damaged),
        )
        for name, state in snapshot.models.items()
    }

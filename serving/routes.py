"""The routes that FastAPI owns: health, what is served and what it is, and predictions by versions not yet loaded."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from contract.artifact import Artifact
from contract.compatibility import differences
from contract.errors import VersionNotFound
from contract.manifest import Manifest, Run, Runtime
from contract.names import parse_version
from contract.promotions import CHAMPION
from contract.signature import Signature
from serving.loading import Served
from serving.metrics import Standing, exposition
from serving.prediction import predict
from serving.problems import Problem
from serving.registry import Registry
from serving.snapshot import ModelState, Snapshot

NOTEBOOK, REPORT = "notebook.ipynb", "report.html"
_NOTEBOOK_TYPE = "application/x-ipynb+json"
# an executed notebook is a stranger's page: it runs no script and reaches nothing, wherever it is shown
_SANDBOX = {
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
}


State = Literal["ready", "loading", "failed", "unpromoted"]
"""Whether a model answers, and why not: no version of it was promoted, or none that was can be served."""


class Health(BaseModel):
    """How the service is."""

    status: Literal["ready", "degraded", "loading", "empty", "failed"]
    detail: str = Field(description="what that means, and what to do where something can be done")
    models: dict[str, int | None] = Field(description="the version of each model that answers")


class FailedVersion(BaseModel):
    """A version that is not served, and why."""

    version: int
    code: str
    reason: str


class ModelDocument(BaseModel):
    """One model."""

    model: str
    state: State
    champion: int | None = Field(description="the version that answers")
    versions: list[int]
    failed: list[FailedVersion]
    warnings: list[str] = Field([], description="what an operator should know of the version that answers")
    description: str = ""
    metrics: dict[str, float] = {}
    aliases: dict[str, int] = Field(description="the version that answers for each name")
    challenger: float = Field(description="percent of the requests that the challenger answers")
    predict: str = Field(description="where to send rows")


class VersionDocument(BaseModel):
    """One version."""

    model: str
    version: int
    created: datetime
    description: str
    metrics: dict[str, float]
    parameters: dict[str, Any]
    environment: dict[str, str]
    warnings: list[str] = Field(description="how this environment differs from the one it was fitted in")
    run: Run
    runtime: Runtime
    files: list[str]
    signature: Signature


class Predict:
    """Predictions whose path is not in the snapshot: a version to be loaded, or a name that nothing has."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find the version that the path names, and answer with it."""
        served = await self._find(**scope["path_params"])
        await predict(served, scope, receive, send, self.registry)

    async def _find(self, model: str | None = None, version: str | None = None) -> Served:
        if model is None:
            model = self.registry.default_model
            if model is None:
                known = ", ".join(sorted(self.registry.snapshot.models)) or "none yet"
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
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    def home() -> RedirectResponse:
        return RedirectResponse("docs")

    @router.get("/health", tags=["health"])
    def health() -> Health:
        """How the service is; 200 as long as it runs."""
        return _health(registry)

    @router.get("/health/live", tags=["health"])
    async def live() -> dict[str, bool]:
        """200 as long as the process answers."""
        return {"live": True}

    @router.get("/health/ready", tags=["health"], responses={503: {"description": "Not ready", "model": Health}})
    def ready(response: Response) -> Health:
        """200 once the whole store has been read and a model answers, else 503."""
        found = _health(registry)
        if found.status not in ("ready", "degraded"):
            response.status_code = 503
        return found

    @router.get("/metrics", tags=["health"], response_class=Response)
    def metrics(request: Request) -> Response:
        """What all workers have counted, as Prometheus reads it."""
        accept = request.headers.get("accept", "")
        content, content_type = exposition(registry.observation.sheets(), _standing(registry.snapshot), accept)
        return Response(content, headers={"content-type": content_type})

    @router.get("/models", tags=["models"])
    def models() -> list[ModelDocument]:
        """What is served."""
        return [_model(name, state) for name, state in sorted(registry.snapshot.models.items())]

    @router.get("/models/{model}", tags=["models"])
    def model(model: str) -> ModelDocument:
        """One model: the version that answers, the others, and what failed and why."""
        return _model(model, registry.model(model))

    @router.get("/models/{model}/signature", tags=["models"])
    def model_signature(model: str) -> Signature:
        """What the answering version takes and gives."""
        return registry.alias(model).manifest.signature

    @router.get("/models/{model}/versions/{version}", tags=["models"])
    def version(model: str, version: str) -> VersionDocument:
        """One version: where it came from, and what it takes and gives."""
        artifact = _artifact(registry, model, version)
        return _version(artifact.manifest, int(artifact.folder.name))

    @router.get("/models/{model}/versions/{version}/signature", tags=["models"])
    def version_signature(model: str, version: str) -> Signature:
        """What one version takes and gives."""
        return _artifact(registry, model, version).manifest.signature

    @router.get("/models/{model}/versions/{version}/notebook", tags=["models"], response_class=Response)
    def notebook(request: Request, model: str, version: str) -> Response:
        """The notebook that made a version, as executed: a page, or the file for `Accept: application/x-ipynb+json`."""
        artifact = _artifact(registry, model, version)
        if REPORT not in artifact.manifest.files:
            raise Problem(
                404, "no_notebook", f"Version {version} of '{model}' was exported by hand; no run was recorded."
            )
        if _NOTEBOOK_TYPE in request.headers.get("accept", ""):
            attachment = {"content-disposition": f'attachment; filename="{model}-{version}.ipynb"'}
            return Response(artifact.read(NOTEBOOK), media_type=_NOTEBOOK_TYPE, headers=attachment | _SANDBOX)
        return Response(artifact.read(REPORT), media_type="text/html", headers=_SANDBOX)

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


def _champions(snapshot: Snapshot) -> dict[str, int | None]:
    return {name: state.champion.version if state.champion else None for name, state in sorted(snapshot.models.items())}


def _health(registry: Registry) -> Health:
    snapshot = registry.snapshot
    models = _champions(snapshot)
    silent = [name for name, version in models.items() if version is None]
    loading = [name for name in silent if _state(snapshot.models[name]) == "loading"]
    if snapshot.trouble:
        detail = f"The store cannot be read: {snapshot.trouble}. What was loaded before goes on answering."
        return Health(status="degraded" if len(silent) < len(models) else "failed", detail=detail, models=models)
    if not snapshot.complete:
        return Health(status="loading", detail="The store is being read.", models=models)
    if not models:
        detail = "The store is empty. `make train` or `lectern train NOTEBOOK` makes a version; it is served at once."
        return Health(status="empty", detail=detail, models=models)
    if loading and len(silent) == len(models):
        return Health(status="loading", detail=f"{', '.join(loading)} is being loaded.", models=models)
    if not silent and (behind := [name for name, state in sorted(snapshot.models.items()) if state.lags]):
        detail = f"{', '.join(behind)} answers with another version than was promoted; /models says why."
        return Health(status="degraded", detail=detail, models=models)
    if not silent:
        return Health(status="ready", detail="Every model answers.", models=models)
    if len(silent) < len(models):
        detail = f"No version of {', '.join(silent)} answers; /models says why."
        return Health(status="degraded", detail=detail, models=models)
    return Health(status="failed", detail="No version of any model can be served; /models says why.", models=models)


def _state(state: ModelState) -> State:
    if state.champion:
        return "ready"
    deployment = state.deployment
    if deployment.number and CHAMPION not in deployment.aliases:
        return "unpromoted"
    wanted = deployment.champions if deployment.number else state.versions
    return "failed" if set(wanted) & set(state.versions) <= set(state.failures) else "loading"


def _model(name: str, state: ModelState) -> ModelDocument:
    champion = state.champion
    return ModelDocument(
        model=name,
        state=_state(state),
        champion=champion.version if champion else None,
        versions=list(state.versions),
        failed=[FailedVersion(version=n, code=f.code, reason=f.reason) for n, f in sorted(state.failures.items())],
        warnings=list(champion.warnings) if champion else [],
        description=champion.manifest.description if champion else "",
        metrics=champion.manifest.metrics if champion else {},
        aliases={alias: served.version for alias, served in sorted(state.answering.items())},
        challenger=state.deployment.share if state.split else 0.0,
        predict=f"/models/{name}/predict",
    )


def _version(manifest: Manifest, number: int) -> VersionDocument:
    return VersionDocument(
        version=number,
        files=sorted(manifest.files),
        warnings=list(differences(manifest)),
        **manifest.model_dump(exclude={"manifest_format", "files", "signature", "run", "runtime"}),
        signature=manifest.signature,
        run=manifest.run,
        runtime=manifest.runtime,
    )


def _artifact(registry: Registry, model: str, version: str) -> Artifact:
    known = registry.model(model).versions
    number = parse_version(version)
    if number is None or number not in known:
        raise VersionNotFound(model, version[:20], known)
    return registry.store.artifact(model, number)

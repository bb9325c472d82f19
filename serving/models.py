"""Models over HTTP: what is served and where it came from, as documents for programs and as pages for people."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from contract.manifest import Manifest
from contract.signature import Signature
from serving.access.sight import visible
from serving.catalogue import (
    MOST_VERSIONS,
    ModelDocument,
    VersionDocument,
    VersionSummary,
    artifact_of,
    model_document,
    summaries,
    version_document,
)
from serving.comparison import ComparisonDocument, compare
from serving.executed import REPORT, executed, is_cut
from serving.fields import described
from serving.health import health
from serving.pages import charts
from serving.pages.inputs import inputs
from serving.pages.rendering import PAGE, own_address, page, wants_page
from serving.registry import Registry
from serving.snapshot import Snapshot

MOST_FIELDS = 100
"""Of a version its page lists no more."""
MOST_METRICS = 6
"""Of each version the page of all of them shows no more."""
_Number = Annotated[str, Query(description="the number of a version")]


def create_models(registry: Registry) -> APIRouter:
    """The routes, for one registry."""
    router = APIRouter(tags=["models"], dependencies=[Depends(vary)])

    @router.get("/", include_in_schema=False)
    def home(request: Request) -> Response:
        return glance(request)

    @router.get("/models", response_model=list[ModelDocument], responses=PAGE)
    def models(request: Request) -> list[ModelDocument] | Response:
        """What is served."""
        return glance(request) if wants_page(request) else documents(visible(registry.snapshot, request.scope))

    @router.get("/models/{model}", response_model=ModelDocument, responses=PAGE)
    def model(model: str, request: Request) -> ModelDocument | Response:
        """One model: the version that answers, the others, and what failed and why."""
        state = registry.model(model)
        document = model_document(model, state)
        if not wants_page(request):
            return document
        served = state.champion
        facts = _form(registry, request, served.manifest) if served else {}
        return page(request, "model.html", model=document, served=served is not None, **facts)

    @router.get("/models/{model}/signature")
    def model_signature(model: str) -> Signature:
        """What the answering version takes and gives."""
        return registry.alias(model).manifest.signature

    @router.get("/models/{model}/versions", response_model=list[VersionSummary], responses=PAGE)
    def versions(
        model: str,
        request: Request,
        before: Annotated[int | None, Query(description="only versions before this number")] = None,
    ) -> list[VersionSummary] | Response:
        """The versions of a model with their metrics, the newest first, no more than 100 at a time."""
        found = summaries(registry, model, before)
        if not wants_page(request):
            return found
        known = registry.model(model).versions
        oldest = found[-1].version if found else 0
        return page(
            request,
            "versions.html",
            model=model,
            summaries=found,
            count=len(known),
            older=oldest if known and known[0] < oldest else None,
            names=list(dict.fromkeys(name for one in found for name in one.metrics))[:MOST_METRICS],
            charts=charts.charts(found),
            width=charts.WIDTH,
            height=charts.HEIGHT,
        )

    @router.get("/models/{model}/versions/{version}", response_model=VersionDocument, responses=PAGE)
    def version(model: str, version: str, request: Request) -> VersionDocument | Response:
        """One version: where it came from, and what it takes and gives."""
        artifact = artifact_of(registry, model, version)
        number = int(artifact.folder.name)
        document = version_document(artifact.manifest, number)
        if not wants_page(request):
            return document
        listing = model_document(model, registry.model(model))
        fields = document.signature.inputs
        return page(
            request,
            "version.html",
            version=document,
            aliases=[alias for alias, named in listing.aliases.items() if named == number],
            failed=next((failed for failed in listing.failed if failed.version == number), None),
            others=[other for other in reversed(listing.versions) if other != number][:MOST_VERSIONS],
            rows=[(f.name, f"{f.type}{' or null' if f.nullable else ''}", described(f)) for f in fields[:MOST_FIELDS]],
            more=max(0, len(fields) - MOST_FIELDS),
            notebook=artifact.manifest.files[REPORT].size if REPORT in artifact.manifest.files else None,
            cut=is_cut(artifact),
            **_form(registry, request, artifact.manifest),
        )

    @router.get("/models/{model}/versions/{version}/signature")
    def version_signature(model: str, version: str) -> Signature:
        """What one version takes and gives."""
        return artifact_of(registry, model, version).manifest.signature

    @router.get("/models/{model}/versions/{version}/notebook", response_class=Response)
    def notebook(model: str, version: str, request: Request) -> Response:
        """The notebook that made a version, as executed: a page, or the file for `Accept: application/x-ipynb+json`."""
        return executed(request, artifact_of(registry, model, version), model, version)

    @router.get("/models/{model}/versions/{version}/notebook.ipynb", response_class=Response)
    def notebook_file(model: str, version: str, request: Request) -> Response:
        """The same as a file, which JupyterLab opens."""
        return executed(request, artifact_of(registry, model, version), model, version, as_file=True)

    @router.get("/models/{model}/compare", response_model=ComparisonDocument, responses=PAGE)
    def comparison(model: str, first: _Number, second: _Number, request: Request) -> ComparisonDocument | Response:
        """Two versions side by side, as their manifests say, and the gate where it compared them."""
        one, two = artifact_of(registry, model, first), artifact_of(registry, model, second)
        history = registry.store.promotions(model).history()
        found = compare(model, one, two, [entry for _, entry in history if entry is not None])
        return page(request, "compare.html", found=found) if wants_page(request) else found

    def documents(snapshot: Snapshot) -> list[ModelDocument]:
        return [model_document(name, state) for name, state in sorted(snapshot.models.items())]

    def glance(request: Request) -> Response:
        seen = visible(registry.snapshot, request.scope)
        return page(request, "models.html", health=health(seen, registry.trouble), models=documents(seen))

    return router


async def vary(response: Response) -> None:
    """Let no cache give a browser the document in the place of the page."""
    response.headers["vary"] = "accept"


def _form(registry: Registry, request: Request, manifest: Manifest) -> dict[str, Any]:
    """What the form of a version needs; `key` changes when another form is needed."""
    signature = manifest.signature
    found = inputs(signature)
    key = hashlib.blake2b(repr((signature.names, found)).encode(), digest_size=8).hexdigest()
    locked = registry.door is not None and registry.door.locked
    return {"inputs": found, "key": key, "address": own_address(request), "fields": signature.names, "locked": locked}

"""The routes of quality: callers say what was true of predictions, and see how good each version has been."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from contract.errors import LecternError
from contract.manifest import Manifest
from contract.signature import Output
from serving.access.caller import Caller, caller_of
from serving.access.sight import may_predict
from serving.bodies import whole
from serving.models import vary
from serving.pages.rendering import PAGE, page, wants_page
from serving.problems import MEDIA_TYPE, Problem
from serving.quality import keeping
from serving.quality.access import Access
from serving.quality.drawing import facts
from serving.quality.reading import CSV, JSON, Feedback, microseconds, read
from serving.quality.report import MOST_BUCKETS, MOST_ROWS, USUAL_BUCKETS, QualityDocument, report
from serving.quality.taking import Taken, take
from serving.quality.turns import Turns, rested
from serving.registry import Registry

_EXAMPLE = {"id": "ccea8eb3ff2900000001", "truth": "virginica", "at": "2026-11-21T12:30:00Z"}
_LARGEST = 2**31 - 1
"""The largest number of a version that the log can have."""
_ONE = Feedback.model_json_schema()
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        JSON: {
            "schema": {"oneOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]},
            "examples": {"one": {"value": _EXAMPLE}, "several": {"value": [_EXAMPLE]}},
        },
        CSV: {
            "schema": {"type": "string"},
            "examples": {"a table": {"value": "id,truth,at\n" + ",".join(_EXAMPLE.values()) + "\n"}},
        },
    },
}
_REFUSED = {
    400: "The body is not of the form that its type says",
    413: "The body is too large",
    415: "The body is of another type",
    422: "An entry cannot be kept; none is",
    503: "There is no prediction log, or it cannot be used at the moment",
}


def create_quality(registry: Registry) -> APIRouter:
    """The routes, for one registry."""
    router = APIRouter(tags=["watch"])
    access = Access(registry.watch.log)
    writers, readers = Turns(2), Turns(1)
    settings = registry.settings

    @router.post("/feedback", responses=_problems(400, 413, 415, 422, 503), openapi_extra={"requestBody": _BODY})
    async def feedback(request: Request) -> Taken:
        """Say what was true of predictions: one object, a list of them, or CSV with the columns id, truth and maybe at.

        It may come late, again, in any order, and before the prediction is in the log: the newest word is believed.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (JSON, CSV):
            raise Problem(415, "unsupported_media_type", f"Send {JSON} or {CSV}, and say so in `Content-Type`.")
        body = await whole(request, settings.max_body_bytes)

        def kept() -> Taken:
            entries = read(body, kind, settings.max_rows)
            with access.writing() as connection:
                many = kind == CSV or body.lstrip()[:1] == b"["
                return take(connection, entries, partial(output_of, caller_of(request.scope)), many=many)

        return await writers.take(kept)

    @router.get(
        "/models/{model}/quality",
        response_model=QualityDocument,
        responses={**PAGE, **_problems(503)},
        dependencies=[Depends(vary)],
    )
    async def quality(
        model: str,
        request: Request,
        version: Annotated[int | None, Query(description="only this version", ge=1, le=_LARGEST)] = None,
        since: Annotated[datetime | None, Query(description="only predictions made from then on")] = None,
        buckets: Annotated[int, Query(description="parts of the time", ge=1, le=MOST_BUCKETS)] = USUAL_BUCKETS,
    ) -> QualityDocument | Response:
        """How good each version has been, over time, by what callers said was true."""
        registry.model(model)
        begin = 0 if since is None else microseconds(since.isoformat())

        def found() -> QualityDocument:
            with access.reading() as connection:
                rows = keeping.judged(connection, model, begin, version, MOST_ROWS)
                return report(model, rested(rows), lambda number: manifest_of(model, number), buckets)

        document = await readers.take(found)
        return page(request, "quality.html", **facts(document)) if wants_page(request) else document

    def output_of(caller: Caller | None, model: str, version: int) -> Output | None:
        if not may_predict(caller, model):
            raise Problem(403, "forbidden", "A prediction is of a model that you have no right to predict.")
        found = manifest_of(model, version)
        return None if found is None else found.signature.output

    def manifest_of(model: str, version: int) -> Manifest | None:
        for served in registry.snapshot.loaded:
            if (served.model, served.version) == (model, version):
                return served.manifest
        try:
            return registry.store.artifact(model, version).manifest
        except (LecternError, OSError):  # it was deleted, or is damaged
            return None

    return router


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _REFUSED[status], "content": content} for status in statuses}

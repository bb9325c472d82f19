"""The route of drift: a document for programs, a page for people."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from contract.errors import BaselineNotFound
from serving.catalogue import artifact_of
from serving.drift import page as drawing
from serving.drift.evaluating import past
from serving.drift.kept import Kept
from serving.drift.report import DriftDocument, report
from serving.drift.slices import Window
from serving.pages.rendering import PAGE, page, wants_page
from serving.quality.access import Access
from serving.registry import Registry


def create_drift(registry: Registry) -> APIRouter:
    """The route, for one registry."""
    router = APIRouter(tags=["models"])
    drifts, kept = registry.watch.drift, Kept(Access(registry.watch.log))

    @router.get("/models/{model}/drift", response_model=DriftDocument, responses=PAGE)
    def drift(
        model: str,
        request: Request,
        response: Response,
        version: Annotated[
            str | None, Query(description="the number of a version; the champion's if not given")
        ] = None,
        window: Annotated[Window, Query(description="the newest rows, or those of a time")] = "rows",
    ) -> DriftDocument | Response:
        """How far a version's rows and answers are from those of its training: by field, and which raise an alarm."""
        response.headers["vary"] = "accept"
        if version is None:
            number = registry.alias(model).version
        else:
            number = int(artifact_of(registry, model, version).folder.name)
        try:
            evaluation = drifts.evaluation(model, number, window)
        except BaselineNotFound as error:
            if not wants_page(request):
                raise
            return page(request, "drift.html", model=model, found=None, why=str(error))
        found = report(evaluation, window, registry.settings.drift_psi)
        if not wants_page(request):
            return found
        reference, slices = evaluation.reference, drifts.slices(model, number, "time")
        first = min((one.began for one in slices), default=time.time())
        slices += kept.slices(evaluation.key, reference, before=first)
        shown = drawing.facts(found, past(reference, slices), [part.name for part in reference.parts])
        return page(request, "drift.html", model=model, hours=registry.settings.drift_window_s / 3600, **shown)

    return router

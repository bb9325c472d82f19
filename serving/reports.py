"""Reports of a model over HTTP: a list, and each as the stranger's page it is, which runs no script."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from contract.reports import Reports
from serving.executed import MOST_BYTES, stranger
from serving.models import vary
from serving.pages.rendering import PAGE, page, wants_page
from serving.registry import Registry

MOST = 200
"""Of the reports of a model the newest are listed."""


class ReportDocument(BaseModel):
    """One report of a model."""

    name: str = Field(description="names it below this path")
    kind: str = Field(description="the monitoring notebook that made it")
    made: datetime


def create_reports(registry: Registry) -> APIRouter:
    """The routes, for one registry."""
    router = APIRouter(tags=["watch"], dependencies=[Depends(vary)])

    @router.get("/models/{model}/reports", response_model=list[ReportDocument], responses=PAGE)
    def reports(model: str, request: Request) -> list[ReportDocument] | Response:
        """What `lectern report` made of a model, the newest first."""
        kept = of(model).all()[:MOST]
        found = [ReportDocument(name=report.name, kind=report.kind, made=report.made) for report in kept]
        if not wants_page(request):
            return found
        newest = {report.kind: report for report in reversed(found)}
        return page(request, "reports.html", model=model, reports=found, newest=[*newest.values()][::-1])

    @router.get("/models/{model}/reports/{name}", response_class=Response)
    def report(model: str, name: str) -> Response:
        """One of them."""
        return stranger(of(model).read(name, MOST_BYTES + 1))

    def of(model: str) -> Reports:
        registry.model(model)  # else its name is a path
        return Reports(registry.store.root / model)

    return router

"""Reference: the pages that read the API's document aloud, and the files that all pages load."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles

from serving.pages.rendering import STATIC, page

_VENDORED = Path(str(files("fastapi_offline") / "static"))
"""Swagger UI and Redoc, which nothing has to be fetched for."""
_LOGO = b"https://cdn.redoc.ly/redoc/logo-mini.svg"
_NOTHING = b"data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
"""An empty picture, in the place of the one thing that Redoc would fetch from elsewhere."""


def add_reference(framework: FastAPI) -> None:
    """Add these pages to the application."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    def docs(request: Request) -> Response:
        return page(request, "docs.html")

    @router.get("/redoc")
    def redoc(request: Request) -> Response:
        return page(request, "redoc.html")

    @router.get("/favicon.ico")
    def icon() -> Response:
        return RedirectResponse("static/pages/icon.svg")

    @router.get("/static/docs/redoc.standalone.js")
    def redoc_script() -> Response:
        script = (_VENDORED / "redoc.standalone.js").read_bytes().replace(_LOGO, _NOTHING)
        return Response(script, media_type="text/javascript", headers={"cache-control": "max-age=3600"})

    framework.include_router(router)
    framework.mount("/static/docs", StaticFiles(directory=_VENDORED))
    framework.mount("/static/pages", StaticFiles(directory=STATIC))

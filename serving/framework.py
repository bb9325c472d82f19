"""The framework: all paths but those that a snapshot answers, as FastAPI serves them; every error as a problem."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from serving.access.porter import Porter
from serving.access.sight import visible, without_others
from serving.admin import create_admin
from serving.documents import openapi
from serving.drift.routes import create_drift
from serving.guard import Guard
from serving.methods import Methods
from serving.models import create_models
from serving.pages.reference import add_reference
from serving.pages.rendering import page, wants_page
from serving.problems import MEDIA_TYPE, STATUS, Problem
from serving.quality.routes import create_quality
from serving.registry import Registry
from serving.reports import create_reports
from serving.responses import REQUEST_ID
from serving.routes import create_router, prediction_routes


def create_framework(registry: Registry) -> FastAPI:
    """The documents, the pages and all routes, for one registry."""
    framework = FastAPI(
        title="Lectern",
        version=version("lectern"),
        description="Models from notebooks, each with its own types. Every error is `application/problem+json`.",
        root_path_in_servers=False,
        openapi_url=None,  # it is another one for each caller
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # to an absolute address, which a proxy's prefix would be missing from
    )
    add_reference(framework)
    framework.include_router(create_models(registry))
    framework.include_router(create_drift(registry))
    framework.include_router(create_router(registry))
    framework.include_router(create_admin(registry))
    framework.include_router(create_reports(registry))
    framework.include_router(create_quality(registry))
    framework.router.routes.extend(prediction_routes(registry))
    framework.openapi = lambda: openapi(framework, registry, registry.snapshot)  # type: ignore[method-assign]  # FastAPI's documented way

    def document(request: Request) -> Response:
        return JSONResponse(openapi(framework, registry, visible(registry.snapshot, request.scope)))

    framework.router.routes.insert(0, Route("/openapi.json", document))
    for kind in (*STATUS, Problem, HTTPException, RequestValidationError, OSError):
        framework.add_exception_handler(kind, _refuse)
    counts, share = registry.observation.sheet.routes, registry.settings.access_log_share
    if registry.door is not None:
        framework.add_middleware(Porter, registry.door, lambda: registry.default_model, _refuse)
    framework.add_middleware(Methods)
    framework.add_middleware(Guard, framework.router.routes, counts, share)
    return framework


def _refuse(request: Request, error: Exception) -> Response:
    """Every error of the framework's routes as a problem, which a browser gets as a page."""
    problem = _problem(without_others(error, request.scope))
    request_id = REQUEST_ID.get()
    headers = problem.headers | {"x-request-id": request_id, "vary": "accept"}
    if request.method == "GET" and wants_page(request):
        shown = page(request, "problem.html", problem.status, problem=problem, request_id=request_id)
        shown.headers.update(headers)
        return shown
    return Response(problem.body(request_id), problem.status, headers, MEDIA_TYPE)


def _problem(error: Exception) -> Problem:
    match error:
        case HTTPException(status_code=404):
            return Problem(404, "not_found", "There is nothing at this path; / has the models, /docs all there is.")
        case HTTPException(status_code=405):
            return Problem(405, "method_not_allowed", "This path does not take this method.", headers=error.headers)
        case HTTPException():
            return Problem(error.status_code, "refused", str(error.detail), headers=error.headers)
        case RequestValidationError():
            return Problem(422, "invalid_request", f"{_misfit(error)} /docs says what this path takes.")
        case OSError():
            return Problem(503, "store_unreadable", "The store cannot be read at the moment; predictions go on.")
    return Problem.of(error)


def _misfit(error: RequestValidationError) -> str:
    """What of a request does not fit; only names of ours are repeated."""
    first = error.errors()[0]
    if first["type"] == "extra_forbidden":
        return "The body has a field that is unknown."
    place = ".".join(str(part) for part in first["loc"][1:])
    return f"'{place}' does not fit: {first['msg']}." if place else f"The body does not fit: {first['msg']}."

"""The framework: all paths but those that a snapshot answers, as FastAPI serves them; every error as a problem."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi_offline import FastAPIOffline
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.admin import create_admin
from serving.documents import openapi
from serving.problems import MEDIA_TYPE, STATUS, Problem
from serving.registry import Registry
from serving.responses import new_id, send_problem
from serving.routes import create_router, prediction_routes

_OWN_HOST_ONLY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'self'"
)


def create_framework(registry: Registry) -> FastAPI:
    """The documents, the pages and all routes, for one registry."""
    framework = FastAPIOffline(
        title="Lectern",
        version=version("lectern"),
        description="Models from notebooks, each with its own types. Every error is `application/problem+json`.",
        static_url="/static/docs",
    )
    framework.include_router(create_router(registry))
    framework.include_router(create_admin(registry))
    framework.router.routes.extend(prediction_routes(registry))
    framework.openapi = lambda: openapi(framework, registry)  # type: ignore[method-assign]  # FastAPI's documented way
    for kind in (*STATUS, Problem, HTTPException, RequestValidationError, OSError):
        framework.add_exception_handler(kind, _refuse)
    framework.add_middleware(Guard)
    return framework


class Guard:
    """Around the framework: a page reaches this host and no other, and what nobody foresaw is a problem, too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            started = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.setdefault("content-security-policy", _OWN_HOST_ONLY)
            await send(message)

        try:
            await self.app(scope, receive, send_guarded)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await send_problem(error, new_id(), send)


def _refuse(_: Request, error: Exception) -> Response:
    """Every error of the framework's routes as a problem."""
    problem = _problem(error)
    request_id = new_id()
    headers = problem.headers | {"x-request-id": request_id}
    return Response(problem.body(request_id), problem.status, headers, MEDIA_TYPE)


def _problem(error: Exception) -> Problem:
    match error:
        case HTTPException(status_code=404):
            return Problem(404, "not_found", "There is nothing at this path; /docs lists what there is.")
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
    if first["type"] == "json_invalid":
        return "The body is no JSON."
    place = ".".join(str(part) for part in first["loc"][1:])
    return f"'{place}' does not fit: {first['msg']}." if place else f"The body does not fit: {first['msg']}."

"""What stands around the whole application, where a setting asks for it; else nothing does.

proxy's headers → HTTPS only → pages of other origins → the application
"""

from __future__ import annotations

from starlette.datastructures import URL
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.problems import Problem
from serving.responses import new_id, send_body, send_problem
from serving.settings import ServeSettings
from serving.transport.settings import listed

UNIX = "unix"
"""The proxy that reaches a unix socket."""
_PROBES = ("/health", "/health/live", "/health/ready", "/metrics")
_ASKED = ("content-type", "accept", "authorization", "x-api-key", "x-request-timeout-ms", "x-no-log", "if-none-match")
_TOLD = ("x-request-id", "x-lectern-model", "x-lectern-version", "retry-after", "www-authenticate", "etag")
_CORS_MAX_AGE_S = 600


def around(app: ASGIApp, settings: ServeSettings) -> ASGIApp:
    """The application with what the settings ask for."""
    if settings.cors_origins:
        from starlette.middleware.cors import CORSMiddleware

        app = CORSMiddleware(
            app,
            allow_origins=listed(settings.cors_origins),
            allow_credentials=settings.cors_credentials,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_ASKED,
            expose_headers=_TOLD,
            max_age=_CORS_MAX_AGE_S,
        )
    if settings.https_only or settings.hsts_s:
        app = Secure(app, settings.https_only, settings.hsts_s)
    if settings.trusted_proxies:
        from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

        named = listed(settings.trusted_proxies)
        # whoever reaches a unix socket has no address that could be named
        app = ProxyHeadersMiddleware(app, "*" if UNIX in named else named)  # type: ignore[arg-type, assignment]  # ASGI
    return app


class Secure:
    """Sends callers of plain HTTP to HTTPS, and tells browsers to come that way for so many seconds."""

    def __init__(self, app: ASGIApp, only: bool, hsts_s: int) -> None:
        self.app = app
        self.only = only
        self.hsts = (b"strict-transport-security", b"max-age=%d" % hsts_s) if hsts_s else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; probes ask from inside, past the proxy that has the certificate."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["scheme"] == "https":
            await self.app(scope, receive, self._telling(send) if self.hsts else send)
        elif not self.only or scope["path"] in _PROBES:
            await self.app(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            place = URL(scope=scope).replace(scheme="https")
            await send_body(308, b"text/plain", b"", [(b"location", str(place).encode())], send)
        else:
            told = "The service takes requests over HTTPS only; this one has already been read on the way."
            await send_problem(Problem(403, "https_required", told), new_id(), send)

    def _telling(self, send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], self.hsts]
            await send(message)

        return told

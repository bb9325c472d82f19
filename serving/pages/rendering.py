"""Rendering: a document as a page, when a browser asks for it. Every link is relative, so any prefix does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import Response

from contract import showing
from serving.negotiation import prefers

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC = Path(__file__).parent / "static"
"""Scripts, styles and pictures of the pages."""
PAGE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}},
    304: {"description": "The page is still the one that `If-None-Match` names"},
}
"""How the answers of a route are documented that has a page, too."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
_LOOSER = {
    "docs.html": _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
    "redoc.html": _POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
    + "; worker-src blob:; font-src 'self' data:",
}
"""What the readers of the API's document need besides; both are vendored as they are."""


def wants_page(request: Request) -> bool:
    """Whether a page is liked better than a document."""
    return prefers(request.headers.get("accept", ""), "text/html", "application/json")


def page(request: Request, template: str, status: int = 200, **facts: Any) -> Response:
    """The page that a template makes of some facts; 304 for whoever has it already."""
    root = "../" * (_path(request).count("/") - 1) or "./"
    body = _environment().get_template(template).render(root=root, lectern=version("lectern"), **facts)
    content = body.encode()
    tag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {
        "content-security-policy": _LOOSER.get(template, _POLICY),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
        "vary": "accept",
        "etag": tag,
    }
    if status == 200 and tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, status, headers, "text/html")


def own_address(request: Request) -> str:
    """Where a notebook beside a page finds the service, if the page came through JupyterLab; else empty.

    Its proxy asks whoever comes for a token of Jupyter's, which code in a notebook does not have.
    """
    server = request.scope.get("server")
    if server is None or "x-proxycontextpath" not in request.headers:
        return ""
    host, port = server
    if port is None:
        return f"unix:{host}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _path(request: Request) -> str:
    """The path as the browser has it, in which a slash that is spelled %2F parts nothing."""
    path = request.scope.get("raw_path", b"").decode("latin-1") or str(request.scope["path"])
    return path.removeprefix(request.scope.get("root_path", ""))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"figure": _figure, "shown": _shown, "facts": _facts}
    return environment


def _facts(value: Any) -> str:
    """A dataclass for a script; Jinja's own `tojson` is for scripts within a page, of which there are none."""
    return json.dumps(asdict(value))


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else showing.figure(value)


def _shown(value: Any, most: int = 80) -> str:
    """Any value on one short line."""
    if isinstance(value, str):
        text = value
    else:
        text = f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
    return showing.cut(text, most)

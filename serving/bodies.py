"""Bodies of the framework's own routes: read whole, within a limit, and no less strictly than rows are."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from serving.negotiation import too_large
from serving.problems import Problem
from serving.wellformed import check_depth, parsed, read_closely

MOST_BYTES = 64 << 10
"""Of the body of a route that changes something."""
_JSON = "application/json"


class StrictRoute(APIRoute):
    """A route whose body, if it has one, is JSON that says everything once."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            if self.body_field is not None:
                request = await _Read.of(request)
            return await handle(request)

        return strictly


class _Read(Request):
    """A request whose body was read."""

    def __init__(self, request: Request, content: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._content = content
        self._document = _document(content) if content.strip() else None

    @classmethod
    async def of(cls, request: Request) -> _Read:
        """Read the body.

        Raises:
            Problem: it is too large, encoded, not whole, or no such JSON.
        """
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
            raise Problem(415, "unsupported_media_type", f"This path takes {_JSON}; say so in `Content-Type`.")
        return cls(request, await whole(request, MOST_BYTES))

    async def body(self) -> bytes:
        """All of it."""
        return self._content

    async def json(self) -> Any:
        """The document in it."""
        return self._document


def _document(content: bytes) -> Any:
    """The document in a body.

    Raises:
        Problem: it is no JSON, or none that rows might be.
    """
    parsed(content)
    check_depth(content)
    return read_closely(content)


async def whole(request: Request, limit: int) -> bytes:
    """The whole body, of at most `limit` bytes.

    Raises:
        Problem: it is larger, encoded, or not whole.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "unsupported_encoding", "Send the body as it is, without Content-Encoding.")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise too_large(limit)
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise too_large(limit)
    except ClientDisconnect:
        raise Problem(400, "incomplete", "The body has no end.") from None
    return bytes(body)

"""Methods: HEAD is answered as GET is, without the body, and OPTIONS with what a path takes; no route has to."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALLOW = b"allow"


class Methods:
    """Surrounds an application whose routes know nothing of either."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        match scope.get("method"):
            case "HEAD":
                inner: Scope = {**scope, "method": "GET"}
                try:
                    await self.app(inner, receive, _without_body(send))
                finally:
                    scope.update({**inner, "method": "HEAD"})  # which route it was
            case "OPTIONS":
                await self.app(scope, receive, _as_options(send))
            case _:
                await self.app(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head


def _as_options(send: Send) -> Send:
    """What makes of the refusal of this method an answer: it names those that the path takes."""
    told = False

    async def send_methods(message: Message) -> None:
        nonlocal told
        if message["type"] == "http.response.start" and message["status"] == 405:
            told = True
            named = b",".join(value for name, value in message["headers"] if name == _ALLOW).split(b",")
            found = {method.strip() for method in named if method.strip()} | {b"OPTIONS"}
            if b"GET" in found:
                found.add(b"HEAD")
            await send({**message, "status": 204, "headers": [(_ALLOW, b", ".join(sorted(found)))]})
        elif told:
            await send({**message, "body": b""})
        else:
            await send(message)

    return send_methods

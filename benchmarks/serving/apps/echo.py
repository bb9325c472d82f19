"""A bare ASGI application: reads the body and answers what ours answered to such a request, its headers too.

The ceiling of anything that speaks HTTP through uvicorn. `ANSWERS` names the file of both answers.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_ANSWERS = json.loads(Path(os.environ["ANSWERS"]).read_text())


def _messages(answer: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    headers = [(name.encode(), value.encode()) for name, value in answer["headers"]]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    return start, {"type": "http.response.body", "body": answer["body"].encode()}


_ONE, _MANY = _messages(_ANSWERS["one"]), _messages(_ANSWERS["many"])


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer one request."""
    if scope["type"] != "http":
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    start, answer = _MANY if body[:1] == b"[" else _ONE
    await send(start)
    await send(answer)

"""Schemes: what the API's document says of keys, so that its reader can send one."""

from __future__ import annotations

from typing import Any

from serving.access.rules import OPEN, RULES
from serving.problems import MEDIA_TYPE

SCHEMES = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key, as `lectern keys add` makes, or a token of the issuer that this service believes.",
    },
    "browser": {"type": "http", "scheme": "basic", "description": "The key as the password; any name will do."},
}
_PROBLEMS = {
    "401": "No key or token was sent, or none that is known and valid",
    "403": "The key or token does not give the right to do this",
}


def secure(document: dict[str, Any]) -> None:
    """Say in a document of OpenAPI what its operations take."""
    document["components"]["securitySchemes"] = SCHEMES
    document["security"] = [{name: []} for name in SCHEMES]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if RULES.get(path, {}).get(method.upper()) == OPEN:
                operation["security"] = []
                continue
            for status, text in _PROBLEMS.items():
                operation["responses"].setdefault(status, _problem(text))


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}

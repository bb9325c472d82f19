"""Refusing: a problem of the service as an error that names the caller's own rows and columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from contract.errors import RequestRefused

if TYPE_CHECKING:
    import httpx

_MOST_SHOWN = 3
_UNKNOWN = 401
_MORE = re.compile(r" There (?:is|are) (\d+) more errors?\.$")


class Labels(Protocol):
    """What the caller calls the rows that were sent."""

    def label(self, row: int) -> str:
        """The name of a row; empty where it has none but its number, from 0."""
        ...

    def without(self, names: Sequence[str]) -> str:
        """The code that leaves these columns out."""
        ...


def refused(response: httpx.Response, labels: Labels | None = None) -> RequestRefused | None:
    """The error that a response stands for; None where it is not by a service of ours."""
    if response.headers.get("content-type", "").partition(";")[0] != "application/problem+json":
        return None
    try:
        document = response.json()
        return refusal(document, labels) if isinstance(document, dict) else None
    except (ValueError, LookupError):
        return None


def refusal(document: Mapping[str, Any], labels: Labels | None = None) -> RequestRefused:
    """The error that a problem stands for."""
    errors: list[Mapping[str, Any]] = document["errors"]
    return RequestRefused(
        _message(document, errors, labels),
        status=document["status"],
        code=document["code"],
        detail=document["detail"],
        errors=errors,
        request_id=document["request_id"],
    )


def named(text: str, row: int, labels: Labels | None) -> str:
    """A message of the service about a row, with the caller's name for it."""
    label = labels.label(row) if labels else ""
    if not label:
        return text
    return re.sub(rf"(^R|(?<= in r))ow {row}\b", lambda found: f"{found[1]}ow {label} (number {row})", text, count=1)


def _message(document: Mapping[str, Any], errors: Sequence[Mapping[str, Any]], labels: Labels | None) -> str:
    detail: str = document["detail"]
    if document["status"] == _UNKNOWN:
        return f"{detail} From a notebook: `Client(key=…)`, or LECTERN_API_KEY."
    if not errors:
        return f"{detail} (request {document['request_id']})" if document["status"] >= 500 else detail
    told = [
        named(error["message"], error["row"], labels) if error.get("row") is not None else error["message"]
        for error in errors
    ]
    found = _MORE.search(detail)
    more = (int(found[1]) + 1 if found else len(told)) - _MOST_SHOWN
    if len(told) > 1:
        lines = [f"- {text}" for text in told[:_MOST_SHOWN]] + [f"- and {more:,} more"] * (more > 0)
        told = ["The service refused the rows:", *lines]
    unknown = [error["field"] for error in errors if error["code"] == "unknown_field"]
    if unknown and labels:
        told.append(f"Leave out what the model does not take: {labels.without(unknown)}")
    return "\n".join(told)

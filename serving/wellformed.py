"""Well-formed: what a parser of JSON lets pass and this service does not: a key that stands twice, a thousand brackets.

Depth is looked for where a body is refused anyway, or has more quotes than its rows account for; a key that stands
twice in the latter only, as of the former nothing is answered. Any other body is not read a second time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from serving.problems import Problem

TOO_DEEP = 100
"""Levels of lists and objects; no field of any signature needs so many."""
_BEFORE = 101
"""With so many lists around it, what is too deep is too deep for the parser."""


def quotes(names: int, values: Iterable[Any]) -> int:
    """The quotes of so many names, and of the texts among these values: JSON has as many, or more."""
    return 2 * names + 2 * sum(isinstance(value, str) for value in values)


def parsed(body: bytes, what: str = "The body") -> Any:
    """The document in a body.

    Raises:
        Problem: it is no JSON.
    """
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if str(error).startswith("recursion limit"):
            raise _too_deep(what) from None
        raise Problem(400, "invalid_json", f"{what} is not JSON: {error}.") from None


def check_depth(body: bytes, what: str = "The body") -> None:
    """Look how deep a body goes that is JSON.

    Raises:
        Problem: it is too deep.
    """
    if body.count(b"[") + body.count(b"{") >= TOO_DEEP:
        try:
            from_json(b"[" * _BEFORE + body + b"]" * _BEFORE)
        except ValueError:
            raise _too_deep(what) from None


def read_closely(body: bytes, what: str = "The body") -> Any:
    """The document in a body that is JSON but for NaN, which Python's parser takes.

    Raises:
        Problem: it has that, or an object with the same key twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Problem(400, "duplicate_key", f"{what} has an object with the same key twice; leave one of them out.")
        return found

    return json.loads(body, object_pairs_hook=once, parse_constant=lambda _: parsed(body, what))


def _too_deep(what: str) -> Problem:
    return Problem(400, "too_deep", f"{what} has lists and objects {TOO_DEEP} levels deep, or more.")

"""Callers: who asks, as far as anybody told, and what they may do."""

from __future__ import annotations

from typing import Literal, NamedTuple

from starlette.types import Scope

CALLER = "lectern.caller"
"""Where the scope of a request says who asks; it does not where everybody may do everything."""

Right = Literal["predict", "read", "admin"]


class Caller(NamedTuple):
    """Who asks."""

    name: str
    """Of the key, or the subject of the token; empty where nobody has to say."""
    address: str
    """That the request came from."""
    rights: dict[str, frozenset[Right]]
    """What they may do by model; `*` stands for all models."""

    def may(self, right: Right, model: str = "*") -> bool:
        """Whether they may do something with a model; `*`: with all of them."""
        return right in self.rights.get(model, ()) or right in self.rights.get("*", ())


def caller_of(scope: Scope) -> Caller | None:
    """Who asks; None where nobody has to say."""
    found: Caller | None = scope.get(CALLER)
    return found

"""Callers: who asks, as far as anybody told, and what they may do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from starlette.types import Scope

CALLER = "lectern.caller"
"""Where the scope of a request says who asks; it does not where everybody may do everything."""

Right = Literal["predict", "read", "admin"]
Rights = dict[str, frozenset[Right]]
ALL = "*"
"""Stands for all models."""
INCLUDES: dict[Right, frozenset[Right]] = {
    "predict": frozenset[Right](("predict",)),
    "read": frozenset[Right](("read",)),
    "admin": frozenset[Right](("admin", "predict", "read")),
}
"""What who has a right may do."""


class Caller(NamedTuple):
    """Who asks."""

    name: str
    """Of the key, or the subject of the token; empty where nobody has to say."""
    address: str
    """That the request came from."""
    rights: Rights
    """What they may do by model; `*` stands for all models."""
    personal: bool = False
    """Whether the name is the subject of a token, who may be a person."""

    def may(self, right: Right, model: str = ALL) -> bool:
        """Whether they may do something with a model; `*`: with all of them."""
        return right in self.rights.get(model, ()) or right in self.rights.get(ALL, ())

    def may_somewhere(self, right: Right) -> bool:
        """Whether there is a model that they may do it with."""
        return any(right in rights for rights in self.rights.values())


def granted(given: Mapping[str, Iterable[Right]]) -> Rights:
    """Rights by model, with all that they include."""
    return {model: frozenset[Right]().union(*(INCLUDES[right] for right in rights)) for model, rights in given.items()}


def caller_of(scope: Scope) -> Caller | None:
    """Who asks; None where nobody has to say."""
    found: Caller | None = scope.get(CALLER)
    return found

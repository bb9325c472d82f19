"""Rules: for every route, the right that it takes. A route that stands here in no line fails a test."""

from __future__ import annotations

from typing import Literal, NamedTuple

from starlette._utils import get_route_path  # what routes are found by: two readings of one path would be a way in
from starlette.routing import compile_path
from starlette.types import Scope

from serving.access.caller import ALL, Caller, Right

Reach = Literal["open", "model", "default", "some", "all"]
"""Whom a right is needed for: nothing, the model in the path, the one that answers where none is named, any one model
(whoever has it is shown that), or all of them."""


class Rule(NamedTuple):
    """What a route takes."""

    right: Right
    reach: Reach = "model"


OPEN = Rule("read", "open")
READ, READ_SOME, READ_ALL = Rule("read"), Rule("read", "some"), Rule("read", "all")
PREDICT, PREDICT_DEFAULT, PREDICT_SOME = Rule("predict"), Rule("predict", "default"), Rule("predict", "some")
ADMIN = Rule("admin")

STATIC = "/static/"
"""What lies below is for everybody: scripts, styles and pictures of the pages."""
RULES: dict[str, dict[str, Rule]] = {
    "/": {"GET": READ_SOME},
    "/docs": {"GET": READ_SOME},
    "/redoc": {"GET": READ_SOME},
    "/openapi.json": {"GET": READ_SOME},
    "/favicon.ico": {"GET": OPEN},
    "/health": {"GET": READ_SOME},
    "/health/live": {"GET": OPEN},
    "/health/ready": {"GET": OPEN},
    "/metrics": {"GET": READ_ALL},
    "/feedback": {"POST": PREDICT_SOME},
    "/predict": {"POST": PREDICT_DEFAULT},
    "/v{version}/predict": {"POST": PREDICT_DEFAULT},
    "/models": {"GET": READ_SOME},
    "/models/{model}": {"GET": READ},
    "/models/{model}/predict": {"POST": PREDICT},
    "/models/{model}/versions/{version}/predict": {"POST": PREDICT},
    "/models/{model}/signature": {"GET": READ},
    "/models/{model}/versions": {"GET": READ},
    "/models/{model}/versions/{version}": {"GET": READ},
    "/models/{model}/versions/{version}/signature": {"GET": READ},
    "/models/{model}/versions/{version}/notebook": {"GET": READ},
    "/models/{model}/versions/{version}/notebook.ipynb": {"GET": READ},
    "/models/{model}/compare": {"GET": READ},
    "/models/{model}/deployment": {"GET": READ},
    "/models/{model}/history": {"GET": READ},
    "/models/{model}/shadow": {"GET": READ},
    "/models/{model}/drift": {"GET": READ},
    "/models/{model}/quality": {"GET": READ},
    "/models/{model}/reports": {"GET": READ},
    "/models/{model}/reports/{name}": {"GET": READ},
    "/models/{model}/promote": {"POST": ADMIN},
    "/models/{model}/rollback": {"POST": ADMIN},
    "/models/{model}/aliases/{alias}": {"DELETE": ADMIN},
    "/models/{model}/traffic": {"POST": ADMIN},
}
_PATTERNS = [(compile_path(path)[0], path, by_method) for path, by_method in RULES.items()]


class Asked(NamedTuple):
    """What a request takes; nothing but to be known where there is no such route."""

    rule: Rule | None
    model: str
    """`*` where it names none."""
    path: str = "none"
    """Of the route."""

    @property
    def is_open(self) -> bool:
        """Whether nobody has to say who they are."""
        return self.rule == OPEN

    @property
    def right(self) -> Right:
        """That it takes."""
        return self.rule.right if self.rule else "read"

    @property
    def predicts(self) -> bool:
        """Whether rows are asked for."""
        return self.rule in (PREDICT, PREDICT_DEFAULT)

    def allows(self, caller: Caller) -> bool:
        """Whether they may do it."""
        if self.rule is None:
            return True
        if self.rule.reach == "some":
            return caller.may_somewhere(self.rule.right)
        return caller.may(self.rule.right, self.model)


def asked(scope: Scope, default_model: str | None) -> Asked:
    """What a request that the framework answers takes."""
    path, method = get_route_path(scope), scope["method"]
    if path.startswith(STATIC):
        return Asked(OPEN, ALL)
    for pattern, route, by_method in _PATTERNS:
        if found := pattern.match(path):
            rule = by_method.get("GET" if method == "HEAD" else method)
            default = default_model if rule and rule.reach == "default" else None
            return Asked(rule, default or found.groupdict().get("model", ALL).partition("@")[0], route)
    return Asked(None, ALL)

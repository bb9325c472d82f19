"""The access log: a line for a share of the requests, made off the event loop for those that predict."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.types import Scope

from serving.access.caller import caller_of
from serving.observed import STREAMING, Observed, Observer

_MOST_SIGNS = 300
"""Longest path that is told whole."""

log = logging.getLogger("lectern.access")


class AccessLog(Observer):
    """Tells of predictions."""

    def __init__(self, share: float) -> None:
        self.share = share

    def see(self, some: Sequence[Observed]) -> None:
        """Tell of some; of a stream at its end."""
        for one in some:
            if one.status != STREAMING and not one.withheld and is_told(self.share, one.status):
                served = one.served
                answered = {"rows": one.rows, "model": served.model, "version": served.version, "alias": one.alias}
                tell(one.scope, one.request_id, one.status, one.seconds, answered)


def is_told(share: float, status: int) -> bool:
    """Whether a request gets a line: a share of all, and any that failed; without a share, none."""
    return share > 0 and (status >= 500 or random.random() < share)


def tell(scope: Scope, request_id: str, status: int, seconds: float, answered: Mapping[str, Any] | None = None) -> None:
    """Tell of one request; its status is 0 where the caller was gone before the answer."""
    method, path, ms = scope["method"], scope["path"], round(1_000 * seconds, 3)
    path = path if len(path) <= _MOST_SIGNS else f"{path[:_MOST_SIGNS]}…"
    known, client = caller_of(scope), scope.get("client")
    caller = (known and known.name) or (client[0] if client else "")
    about = {"method": method, "path": path, "status": status, "ms": ms, "caller": caller, **(answered or {})}
    level = logging.WARNING if status >= 500 else logging.INFO
    log.log(level, "%s %s %d %g ms", method, path, status, ms, extra=about | {"request_id": request_id})

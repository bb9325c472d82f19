"""Draining: whether the service is on its way out; one object a process, that whoever answers reads.

serving → draining (not ready, connections are closed after their answer, all are still answered) → ended
"""

from __future__ import annotations

from serving.problems import Problem


class Draining:
    """Set by what ends the service, read by its health and by what writes answers."""

    def __init__(self) -> None:
        self.draining = False

    def begin(self) -> None:
        """Say that no further request should come here."""
        self.draining = True


def ending() -> Problem:
    """The problem of a request that comes, or is not finished, when the service ends."""
    told = "The service is ending and could not finish this request; ask again, another one may answer."
    return Problem(503, "draining", told, headers={"retry-after": "1", "connection": "close"})

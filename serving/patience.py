"""Patience: how long a caller waits for its answer, by the header in which it says so."""

from __future__ import annotations

from collections.abc import Iterable

from serving.problems import Problem

HEADER = b"x-request-timeout-ms"
_MOST_DIGITS = 9
"""More would be days; the setting for the model's own time is shorter."""


def patience(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """For how many seconds from the request's head; infinity where the caller says nothing.

    Raises:
        Problem: it says no whole number of milliseconds above 0.
    """
    for name, value in headers:
        if name == HEADER:
            if value.isdigit() and len(value) <= _MOST_DIGITS and int(value) > 0:
                return int(value) / 1000
            told = "The header X-Request-Timeout-Ms is a whole number of milliseconds, above 0."
            raise Problem(422, "invalid_timeout", told)
    return float("inf")

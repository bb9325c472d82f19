"""Patience: how long a caller waits for its answer, by the header in which it says so."""

from __future__ import annotations

from collections.abc import Iterable

from serving.problems import Problem

HEADER = b"x-request-timeout-ms"
_MOST_DIGITS = 9
"""More would be weeks; the setting for the model's own time is shorter."""
LONGEST_MS = 10**_MOST_DIGITS - 1


def patience(headers: Iterable[tuple[bytes, bytes]]) -> float:
    """For how many seconds from the request's head; infinity where the caller says nothing.

    Raises:
        Problem: it says no whole number of milliseconds from 1 on.
    """
    for name, value in headers:
        if name == HEADER:
            return milliseconds(value) / 1000
    return float("inf")


def milliseconds(value: bytes) -> int:
    """What the header says.

    Raises:
        Problem: it is no whole number from 1 on.
    """
    if value.isdigit() and len(value) <= _MOST_DIGITS and int(value) > 0:
        return int(value)
    told = f"The header X-Request-Timeout-Ms is a whole number of milliseconds, from 1 to {LONGEST_MS:,}."
    raise Problem(422, "invalid_timeout", told)

"""Breathing: a thread beside the event loop rests at least as long as it works, so that no request waits for long.

Both run Python, of which only one can at a time: who works in one go holds up every request that arrives meanwhile.
"""

from __future__ import annotations

_USUAL, _URGENT = (3.0, 0.005), (1.0, 0.001)
"""How many times as long as it worked a thread rests, and how long at least."""
_MOST_S = 0.02


def rest_s(worked_s: float, *, urgent: bool = False) -> float:
    """How long to rest after some work, in seconds; no longer than it took where it is `urgent`.

    Not less than a few milliseconds otherwise, in which more gathers: a few requests take nearly as long as many.

    Args:
        worked_s: processor time that it took.
        urgent: whether more comes than gets done in this way.
    """
    times_as_long, least = _URGENT if urgent else _USUAL
    return min(max(times_as_long * worked_s, least), _MOST_S)

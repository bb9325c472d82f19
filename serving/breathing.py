"""Breathing: a thread beside the event loop rests longer than it works, so that no request waits long for its turn.

Both run Python, of which only one can at a time: who works in one go holds up every request that arrives meanwhile.
"""

from __future__ import annotations

_TIMES_AS_LONG = 3.0
_LEAST_S, _MOST_S = 0.005, 0.02
_URGENT_S = 0.001


def rest_s(worked_s: float, *, urgent: bool) -> float:
    """How long to rest after some work, in seconds; no longer than others need to begin where it is `urgent`.

    Not less than a few milliseconds otherwise, in which more gathers: a few requests take nearly as long as many.

    Args:
        worked_s: processor time that it took.
        urgent: whether more comes than gets done in this way.
    """
    return _URGENT_S if urgent else min(max(_TIMES_AS_LONG * worked_s, _LEAST_S), _MOST_S)

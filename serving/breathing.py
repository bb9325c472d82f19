"""Breathing: a thread beside the event loop rests longer than it works, so that no request waits long for its turn.

Both run Python, of which only one can at a time: who works in one go holds up every request that arrives meanwhile.
"""

from __future__ import annotations

_TIMES_AS_LONG = 3.0
_LEAST_S, _MOST_S = 0.001, 0.01


def rest_s(worked_s: float, *, urgent: bool) -> float:
    """How long to rest after some work, in seconds; no longer than others need to begin where it is `urgent`.

    Args:
        worked_s: processor time that it took.
        urgent: whether more comes than gets done in this way.
    """
    return _LEAST_S if urgent else min(max(_TIMES_AS_LONG * worked_s, _LEAST_S), _MOST_S)

"""Turns: threads that work for long beside the event loop stand back for it.

Of all threads of a process one runs Python at a time, and may go on for 5 ms when another one waits; several of them
one after the other, before it is the loop's turn. Shorter turns make every change of threads dearer, so they are for
the time of such work only.
"""

from __future__ import annotations

import os
import sys
import threading

SHORT_S = 0.001
"""A turn, while somebody works for long."""
_LESS = 5
"""How much less urgent (in steps of `nice`) such threads are to the machine than the event loop."""
_HAS_PRIORITIES = sys.platform == "linux"
"""Whether a thread may have a priority of its own."""


class ShortTurns:
    """Makes turns short while anybody is in it."""

    def __init__(self) -> None:
        self._inside = 0
        self._usual_s = 0.0
        self._changing = threading.Lock()

    def __enter__(self) -> None:
        with self._changing:
            self._inside += 1
            if self._inside == 1:
                self._usual_s = sys.getswitchinterval()
                sys.setswitchinterval(SHORT_S)

    def __exit__(self, *exception: object) -> None:
        with self._changing:
            self._inside -= 1
            if not self._inside:
                sys.setswitchinterval(self._usual_s)


SHORT_TURNS = ShortTurns()
"""Those of this process."""


def be_less_urgent() -> None:
    """Have the thread that says so wait for others, where the machine has too much to do."""
    if _HAS_PRIORITIES:
        own = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, own, os.getpriority(os.PRIO_PROCESS, own) + _LESS)

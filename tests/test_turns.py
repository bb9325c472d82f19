"""serving.turns: who works for long beside the event loop lets it go first."""

from __future__ import annotations

import os
import sys
import threading

from serving.slots import Slots
from serving.turns import SHORT_S, ShortTurns
from tests.live import until


def test_turns_are_short_while_anybody_works() -> None:
    turns, usual = ShortTurns(), sys.getswitchinterval()
    with turns:
        assert sys.getswitchinterval() == SHORT_S
        with turns:
            pass
        assert sys.getswitchinterval() == SHORT_S
    assert sys.getswitchinterval() == usual > SHORT_S


def test_what_a_slot_does_is_done_in_short_turns_and_less_urgently() -> None:
    found = Slots(1).put(lambda: (sys.getswitchinterval(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    interval, own = found.future.result(60)
    assert interval == SHORT_S
    if sys.platform == "linux":
        assert own > os.getpriority(os.PRIO_PROCESS, 0)
    until(lambda: sys.getswitchinterval() > SHORT_S)

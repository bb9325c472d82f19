"""serving.usage: pinned versions that nobody asks, or that are too many or too large, are put away."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from serving.metrics import Counts
from serving.settings import ServeSettings
from serving.usage import Key, Usage


def versions(*sizes: int) -> dict[Key, Any]:
    return {("iris", number): SimpleNamespace(counts=Counts(), size_bytes=size) for number, size in enumerate(sizes, 1)}


def ask(served: Any) -> None:
    served.counts.requests(200, [0.1], 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Time that passes when it is told to."""
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: now.s)
    return now


def test_what_is_asked_for_stays_and_what_is_not_goes(clock: Any) -> None:
    usage, pinned = Usage(ServeSettings(pinned_idle_s=60)), versions(1, 1)
    assert usage.surplus(pinned) == []
    for _ in range(3):
        clock.s += 50
        ask(pinned["iris", 2])
        found = usage.surplus(pinned)
        for key in found:
            del pinned[key]
    assert list(pinned) == [("iris", 2)]
    clock.s += 61
    assert usage.surplus(pinned) == [("iris", 2)]


def test_of_too_many_the_longest_unused_go(clock: Any) -> None:
    usage, pinned = Usage(ServeSettings(pinned_versions=2)), versions(1, 1, 1, 1)
    for number in (3, 1, 4, 2):
        usage.surplus({key: served for key, served in pinned.items() if key[1] in (3, 1, 4)})
        clock.s += 1
        ask(pinned["iris", number])
    assert usage.surplus(pinned) == [("iris", 3), ("iris", 1)]


def test_of_too_large_ones_the_longest_unused_go_but_the_last(clock: Any) -> None:
    usage, pinned = Usage(ServeSettings(pinned_bytes=100)), versions(60, 30, 200)
    usage.surplus({})
    for number in (1, 2, 3):
        usage._last["iris", number] = (0, clock.s + number)
    assert usage.surplus(pinned) == [("iris", 1), ("iris", 2)]


def test_what_is_gone_is_forgotten() -> None:
    usage = Usage(ServeSettings())
    usage.surplus(versions(1, 1))
    usage.surplus({})
    assert usage._last == {}

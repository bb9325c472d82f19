"""serving.pulse: how late the event loop is, and what each version is at."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import cast

import pytest

from serving import pulse
from serving.loading import Served
from serving.pulse import EVERY_S, Pulse
from serving.vitals import Vitals
from tests.live import until

HELD_S = 2 * EVERY_S


def test_a_loop_that_is_held_up_is_late_meanwhile_and_was_afterwards() -> None:
    found = Pulse(tuple)

    def look() -> float:
        time.sleep(0.9 * HELD_S)
        return found.gauges().lag_s

    async def held() -> tuple[float, float, float]:
        loop = asyncio.get_running_loop()
        found.start(loop)
        looked = loop.run_in_executor(None, look)
        time.sleep(HELD_S)  # noqa: ASYNC251  # on purpose
        meanwhile = await looked
        await asyncio.sleep(0.01)
        then = found.gauges().largest_lag_s
        found.stop()
        return meanwhile, then, found.gauges().largest_lag_s

    meanwhile, then, after = asyncio.run(held())
    assert meanwhile >= 0.9 * HELD_S - EVERY_S - 0.05
    assert then >= HELD_S - EVERY_S
    assert after == then


def test_without_a_loop_there_is_no_lag_and_one_that_was_stopped_adds_none() -> None:
    assert Pulse(tuple).gauges().lag_s == 0.0
    found = Pulse(tuple)

    async def short() -> None:
        found.start(asyncio.get_running_loop())
        found.stop()

    asyncio.run(short())
    time.sleep(pulse.EVERY_S / 10)
    assert found.gauges().lag_s == 0.0


def test_each_version_says_what_it_is_at() -> None:
    vitals = Vitals()

    def served(model: str, number: int, users: int) -> Served:
        predictor = SimpleNamespace(users=users, waiting=1, vitals=vitals)
        return cast("Served", SimpleNamespace(model=model, version=number, predictor=predictor))

    versions = [served("iris", 1, 2), served("iris", 2, 3), served("cardio", 1, 0)]
    found = Pulse(lambda: versions).gauges()
    assert found.in_flight == {"iris": {1: 2, 2: 3}, "cardio": {1: 0}}
    assert found.waiting == {"iris": {1: 1, 2: 1}, "cardio": {1: 1}}
    assert found.unhealthy == {"iris": {1: 0, 2: 0}, "cardio": {1: 0}}


def test_a_loop_that_is_stuck_is_told_of_once_with_what_it_is_at(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "STUCK_S", 0.1)
    found, enough = Pulse(tuple), threading.Event()

    def look() -> None:
        for _ in range(3):
            until(lambda: found.gauges().lag_s >= 0.2)
            found.watch()
        enough.set()

    async def held() -> None:
        loop = asyncio.get_running_loop()
        found.start(loop)
        found.watch()
        looked = loop.run_in_executor(None, look)
        what_it_is_at(enough)
        await looked
        found.stop()

    asyncio.run(held())
    [line] = caplog.messages
    assert line.startswith("The event loop has been stuck for 0.")
    assert "in what_it_is_at" in line


def what_it_is_at(enough: threading.Event) -> None:
    enough.wait()

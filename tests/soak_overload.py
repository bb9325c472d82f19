"""Four times what a service can answer, for a minute: what is answered, and how soon it refuses (`make soak`).

The service has one core and its callers another, so that what the callers take is not missing in the service. A
machine is not as fast at one moment as at another, so the minute is one of many parts, each compared with the peak
just before and after it.
"""

import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from contract.store import Store
from tests.live import running, until
from tests.overloading import BODIES, overload, publish_both, resident_bytes

ROUNDS, SECONDS, FILLED_S, TIMES = 20, 3.0, 1.0, 4
CONNECTIONS = 600
"""More than there are places, so that somebody is free to ask while others wait."""
REFUSED_WITHIN_S = 0.05
GOODPUT = {"slow": 0.9, "wide": 0.8}
"""What is refused has to be received, too: with bodies of 15 kB three of them cost the core, its interrupts and its
caches about a tenth of what one answer does."""
GROWTH = 64 << 20


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """What this process does, and what it starts, is done by one of the cores."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(usual)[number % len(usual)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usual)


@pytest.mark.parametrize("model", BODIES)
def test_four_times_its_capacity(store: Store, model: str) -> None:
    publish_both(store)
    peaks, rounds = [], []
    with on_core(0), running(store) as service, on_core(1):
        until(lambda: service.complaints.count("answers now.") == 2)
        first = overload(service, model, 2.0, connections=16).goodput
        overload(service, model, 5.0, CONNECTIONS, TIMES * first)
        before = resident_bytes(service)
        for _ in range(ROUNDS):
            peaks.append(overload(service, model, SECONDS / 2, connections=16).goodput)
            rounds.append(overload(service, model, FILLED_S + SECONDS, CONNECTIONS, TIMES * peaks[-1], FILLED_S))
        peaks.append(overload(service, model, SECONDS / 2, connections=16).goodput)
        grown = resident_bytes(service) - before
    around = [statistics.mean(pair) for pair in pairwise(peaks)]
    share = statistics.median(found.goodput / peak for found, peak in zip(rounds, around, strict=True))
    asked = sum(found.statuses.total() for found in rounds) / (FILLED_S + SECONDS) / sum(around)
    refused = sorted(taken for found in rounds for taken in found.refused_s)
    late = refused[int(0.99 * len(refused))]
    print(
        f"{model}: {statistics.median(peaks):,.0f} requests/s at its peak; asked {asked:.1f} times as often it "
        f"answered {share:.2f} of that; refused {len(refused):,}, 99 % within {1000 * late:.1f} ms, all within "
        f"{1000 * refused[-1]:.1f} ms; {grown >> 20} MiB more"
    )
    assert {status for found in rounds for status in found.statuses} == {"200", "503 overloaded"}
    assert {status for found in rounds for status in found.health} == {200}
    assert share >= GOODPUT[model]
    assert late <= REFUSED_WITHIN_S
    assert grown <= GROWTH

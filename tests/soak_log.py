"""The log of a service under a long lock, a full disk, and a hundred deaths of its workers; `make soak` runs it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.store import Store
from tests.live import Service, publish_graph, running, until
from tests.log_faults import Asker, at_rest, hold_lock, kill_workers, no_room, settled
from tests.logged import ids_in

DEATHS, LOCKED_S, DISKS = 100, 60.0, 20


@pytest.fixture
def service(store: Store) -> Iterator[Service]:
    publish_graph(store, "times")
    with running(store, logged=True, workers=2) as found:
        found.predict({"x": 1})
        settled(found, 1)
        yield found


@pytest.fixture
def file(store: Store) -> Path:
    return store.root / ".log" / "predictions.sqlite"


def test_a_hundred_deaths(service: Service, file: Path) -> None:
    kill_workers(service, file, DEATHS)
    print(f"{len(ids_in(file)):,} rows logged beside {DEATHS} deaths")


def test_a_minute_behind_a_lock(service: Service, file: Path) -> None:
    counts = hold_lock(service, file, LOCKED_S, 0)
    assert len(ids_in(file)) == counts["stored"]
    assert counts["dropped"] > 0
    print(f"{LOCKED_S:g} s behind a lock: {counts}")


def test_a_disk_that_is_full_again_and_again(service: Service, file: Path) -> None:
    before, logged = at_rest(service), len(ids_in(file))
    with Asker(service) as asker:
        for _ in range(DISKS):
            seen = len(asker.answered)
            with no_room(service):
                until(lambda seen=seen: len(asker.answered) > seen + 100)  # type: ignore[misc]
            stored = len(ids_in(file))
            until(lambda stored=stored: len(ids_in(file)) > stored, within_s=5)  # type: ignore[misc]
    assert (asker.refused, asker.lost) == ([], 0)
    counts = settled(service, before + 10 * len(asker.answered))
    assert sum(counts.values()) == before + 10 * len(asker.answered)
    assert len(ids_in(file)) == counts["stored"] > logged
    print(f"{DISKS} full disks: {counts}")

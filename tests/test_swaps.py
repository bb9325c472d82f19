"""Versions change under load: no request fails, no answer is of two versions, and no client sees time go back."""

import shutil
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from contract.deploying import Deployer
from contract.limits import Limits
from contract.store import Store
from contract.trying import try_out
from tests.copies import NOTES
from tests.live import Times, model_processes, publish, publish_graph, running, until
from tests.swapping import MODEL, Seen, ask_until, swap_at_pace, swap_under_load

LIMITS = Limits(load_timeout_s=60, answer_timeout_s=30)
MOST_COPIES = 2
"""Of a model in memory: the one that answers, and the next one."""


def _check(seen: list[Seen], last: int) -> None:
    assert [wrong for one in seen for wrong in one.wrong] == []
    assert all(one.answered for one in seen)
    assert max(version for one in seen for _, _, version in one.answered) == last


@pytest.mark.parametrize("kind", ["graph", "python"])
def test_versions_change_under_load(store: Store, kind: str) -> None:
    for factor in range(1, 7 if kind == "graph" else 4):
        if kind == "graph":
            publish_graph(store, MODEL, float(factor))
        else:
            publish(store, MODEL, Times(float(factor)))
    deployer = Deployer(store, "somebody", partial(try_out, limits=LIMITS))
    deployer.promote(MODEL, 1)
    with running(store, poll_s=0.05) as service:
        versions = store.versions(MODEL)[1:]
        seen, _ = swap_under_load(service, deployer, versions, clients=2)
    _check(seen, versions[-1])


@pytest.mark.parametrize(("kind", "swaps"), [("graph", 60), ("python", 30)])
def test_g14_versions_that_change_faster_than_they_are_loaded(
    store: Store, tmp_path: Path, kind: str, swaps: int
) -> None:
    at_pace(store, tmp_path / "copies", kind, swaps)


def at_pace(store: Store, notes: Path, kind: str, swaps: int) -> None:
    """Promote a version every 50 ms: each request is answered, and few models are in memory at any time."""
    for factor in range(1, swaps + 1):
        if kind == "graph":
            publish_graph(store, MODEL, float(factor))
        else:
            publish(store, MODEL, Times(float(factor)))
    deployer = Deployer(store, "somebody", lambda _: None)
    deployer.promote(MODEL, 1)
    command = (sys.executable, "-m", "tests.copies")
    with running(store, poll_s=0.05, command=command, environment={NOTES: str(notes)}) as service:
        seen, processes = swap_at_pace(service, deployer, [*range(2, swaps + 1)], 0.05)
        _check(seen, swaps)
        if kind == "python":
            until(lambda: len(model_processes(service.process.pid)) == 1)
        copies = processes if kind == "python" else max(map(int, notes.read_text().split()))
        assert copies <= MOST_COPIES + 1  # one more that is just let go of
        answers = sum(len(one.answered) for one in seen)
        print(f"{kind}: {answers:,} answers during {swaps:,} promotions, {copies} copies at once")


def test_predictions_go_on_without_a_store(store: Store, tmp_path: Path) -> None:
    """Renamed away, emptied, unreadable: what is loaded answers; what comes back is followed again."""
    for factor in (1.0, 2.0, 3.0):
        publish_graph(store, MODEL, factor)
    deployer = Deployer(store, "somebody", partial(try_out, limits=LIMITS))
    deployer.promote(MODEL, 1)
    aside = tmp_path / "aside"
    with running(store, poll_s=0.05) as service:
        ended, seen = threading.Event(), Seen()
        client = threading.Thread(target=ask_until, args=[ended.is_set, service.url, seen])
        client.start()
        try:
            for way in ("away", "empty", "unreadable"):
                store.root.rename(aside)
                if way == "empty":
                    store.root.mkdir()
                if way == "unreadable":
                    store.root.symlink_to(store.root)
                before = len(seen.answered)
                time.sleep(0.2)  # a few looks at it
                until(lambda: seen.wrong or len(seen.answered) > before + 20)  # noqa: B023
                if way == "unreadable":
                    until(lambda: service.get("/health")["status"] == "degraded")
                    store.root.unlink()
                shutil.rmtree(store.root, ignore_errors=True)
                aside.rename(store.root)
            deployer.promote(MODEL, 2)
            until(lambda: seen.wrong or seen.answered[-1][2] == 2)
            until(lambda: service.get("/health")["status"] == "ready")
        finally:
            ended.set()
            client.join()
    _check([seen], 2)

"""Versions change under load: no request fails, no answer is of two versions, and no client sees time go back."""

import shutil
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from contract.deploying import Deployer
from contract.limits import Limits
from contract.store import Store
from contract.trying import try_out
from tests.live import Times, publish, publish_graph, running, until
from tests.swapping import MODEL, Seen, ask_until, swap_under_load

LIMITS = Limits(load_timeout_s=60, answer_timeout_s=30)


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

"""Rolling restarts under ten thousand requests, on connections that are kept; `make soak` runs it."""

import signal

from contract.store import Store
from tests.live import Times, processes, publish, publish_graph, running, until
from tests.test_workers import ROLLED, callers, workers

ROLLS, REQUESTS = 5, 10_000


def test_no_request_is_lost(store: Store) -> None:
    publish_graph(store, "double")
    publish(store, "triple", Times(3.0))
    with running(store, workers=2, default_model="double") as service:
        until(lambda: service.complaints.count("answers now.") == 4)
        with callers(service, 8, REQUESTS) as got:
            for roll in range(ROLLS):
                before = workers(service)
                service.process.send_signal(signal.SIGHUP)
                until(lambda roll=roll: service.complaints.count(ROLLED) == roll + 1)  # type: ignore[misc]
                until(lambda before=before: not set(before) & set(processes()))  # type: ignore[misc]
        print(f"{ROLLS} rolling restarts of two workers: {dict(got)}")
        assert set(got) == {"200"}

"""A thousand silent and a thousand slow connections beside other callers; `make soak` runs it."""

from __future__ import annotations

from contract.store import Store
from tests.crowds import beside
from tests.live import publish_graph, running

CALLERS, REQUESTS, EACH = 4, 4_000, 1_000


def test_a_thousand_silent_and_a_thousand_slow_connections(store: Store) -> None:
    publish_graph(store, "double")
    with running(store, head_timeout_s=60) as service:
        quiet = beside(service, callers=CALLERS, requests=REQUESTS)
        busy = beside(service, callers=CALLERS, requests=REQUESTS, silent=EACH, slow=EACH)
        assert service.get("/health")["status"] == "ready"
    ratio = busy[len(busy) * 99 // 100] / quiet[len(quiet) * 99 // 100]
    print(f"{len(busy):,} answers beside {2 * EACH:,} connections; the 99th percentile was {ratio:.2f} times the usual")
    assert ratio <= 2  # a ratio within one run, side by side

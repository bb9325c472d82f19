"""A hundred swaps under eight clients and ten thousand requests, and a swap every 50 ms for a minute (`make soak`)."""

from functools import partial
from pathlib import Path

import pytest

from contract.deploying import Deployer
from contract.limits import Limits
from contract.store import Store
from contract.trying import try_out
from tests.live import publish_graph, running
from tests.swapping import MODEL, swap_under_load
from tests.test_swaps import at_pace

SWAPS, CLIENTS, REQUESTS = 100, 8, 10_000
A_MINUTE = 60 * 20
"""Of swaps, one every 50 ms."""


def test_a_hundred_swaps(store: Store) -> None:
    for factor in range(1, SWAPS + 2):
        publish_graph(store, MODEL, float(factor))
    deployer = Deployer(store, "somebody", partial(try_out, limits=Limits(load_timeout_s=60, answer_timeout_s=30)))
    deployer.promote(MODEL, 1)
    with running(store) as service:
        steady, _ = swap_under_load(service, deployer, [1], clients=CLIENTS, requests=REQUESTS)
        seen, _ = swap_under_load(service, deployer, list(range(2, SWAPS + 2)), clients=CLIENTS, requests=REQUESTS)
    assert [wrong for one in (*steady, *seen) for wrong in one.wrong] == []
    assert {version for one in seen for _, _, version in one.answered} >= {SWAPS + 1}
    assert sum(len(one.answered) for one in seen) >= REQUESTS
    quiet, busy = (sorted(took for one in some for _, took, _ in one.answered) for some in (steady, seen))
    ratio = busy[len(busy) * 99 // 100] / quiet[len(quiet) * 99 // 100]
    print(f"{len(busy):,} answers during {SWAPS} swaps; the 99th percentile was {ratio:.2f} times the steady one")
    assert ratio <= 2  # a ratio within one run, side by side


@pytest.mark.parametrize("kind", ["graph", "python"])
def test_g14_a_swap_every_fifty_milliseconds_for_a_minute(store: Store, tmp_path: Path, kind: str) -> None:
    at_pace(store, tmp_path / "copies", kind, A_MINUTE)

"""Four times what a service can answer, for a minute: what is answered, and how soon it refuses (`make soak`)."""

import pytest

from contract.store import Store
from tests.live import running, until
from tests.overloading import BODIES, overload, publish_both, resident_bytes

SECONDS, TIMES = 60.0, 4
REFUSED_WITHIN_S = 0.05
GOODPUT = 0.9
GROWTH = 64 << 20


@pytest.mark.parametrize("model", BODIES)
def test_four_times_its_capacity(store: Store, model: str) -> None:
    publish_both(store)
    with running(store) as service:
        until(lambda: service.complaints.count("answers now.") == 2)
        overload(service, model, 2.0, connections=16)
        peak = overload(service, model, SECONDS / 4, connections=16)
        overload(service, model, 5.0, connections=400, rate=TIMES * peak.goodput)
        before = resident_bytes(service)
        found = overload(service, model, SECONDS, connections=400, rate=TIMES * peak.goodput)
        grown = resident_bytes(service) - before
    refused = sorted(found.refused_s)
    late = refused[int(0.99 * len(refused))]
    asked = found.statuses.total() / found.seconds
    print(
        f"{model}: {peak.goodput:,.0f} requests/s at its peak; asked {asked:,.0f} times a second it answered "
        f"{found.goodput:,.0f}; refused {len(refused):,}, 99 % within {1000 * late:.1f} ms, all within "
        f"{1000 * refused[-1]:.1f} ms; {grown >> 20} MiB more"
    )
    assert set(found.statuses) == {"200", "503 overloaded"}
    assert set(found.health) == {200}
    assert found.goodput >= GOODPUT * peak.goodput
    assert late <= REFUSED_WITHIN_S
    assert grown <= GROWTH

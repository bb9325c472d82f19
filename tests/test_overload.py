"""More requests than can be answered: some are answered, the others refused, and nothing else goes wrong."""

from collections.abc import Iterator

import pytest

from contract.store import Store
from tests.live import Service, running, until
from tests.overloading import BODIES, overload, publish_both


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Both models, with few places."""
    store = Store(tmp_path_factory.mktemp("overload"))
    publish_both(store)
    with running(store, queue_requests=8) as found:
        until(lambda: found.complaints.count("answers now.") == 2)
        yield found


@pytest.mark.parametrize("model", BODIES)
def test_each_request_is_answered_or_refused_and_health_is_always_told(service: Service, model: str) -> None:
    found = overload(service, model, 2.0, connections=40)
    assert set(found.statuses) == {"200", "503 overloaded"}
    assert set(found.health) == {200}
    assert service.predict(BODIES[model], f"/models/{model}/predict").status_code == 200
    in_flight = f'lectern_requests_in_flight{{model="{model}",version="1"}} 0.0'
    until(lambda: in_flight in service.client.get("/metrics").text)

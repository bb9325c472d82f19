"""serving.vitals: a model that dies or hangs is seen by whoever looks, tried again, and keeps no input of anybody."""

import re
from collections.abc import Iterator

import pytest

from contract.answers import Columns
from contract.errors import DeadlineExceeded, ModelCrashed
from contract.store import Store
from serving.vitals import IN_A_ROW, Vitals
from tests.live import DIES, HANGS, Service, Times, model_processes, publish, running, until

DIED = ModelCrashed("The process of the model died.")


def test_it_takes_so_many_in_a_row_and_one_answer_ends_it() -> None:
    vitals = Vitals("version 1 of 'a'")
    for _ in range(2):
        for lost in range(IN_A_ROW):
            assert vitals.healthy
            assert vitals.trouble == ""
            vitals.lost({"x": [float(lost)]}, DIED)
        assert not vitals.healthy
        assert vitals.trouble == "It is unhealthy: it died of, or hung at, the last 3 requests; it goes on being asked."
        vitals.answered()


def test_deaths_are_counted_by_why() -> None:
    vitals = Vitals()
    for error in (DIED, DIED, ModelCrashed("gone", reason="memory"), DeadlineExceeded("late")):
        vitals.died(error)
    assert vitals.counts.deaths == {"crash": 2, "memory": 1, "deadline": 1}


def test_rows_are_known_by_a_hash_without_what_is_sensitive(caplog: pytest.LogCaptureFixture) -> None:
    vitals = Vitals("version 1 of 'a'", ["name"])
    rows: list[Columns] = [{"x": [1.0], "name": ["Ada"]}, {"x": [1.0], "name": ["Eve"]}, {"x": [2.0], "name": ["Ada"]}]
    for columns in rows:
        vitals.lost(columns, DIED)
    hashes = re.findall(r"rows with the hash ([0-9a-f]{16}): The process", caplog.text)
    assert len(hashes) == 3
    assert hashes[0] == hashes[1] != hashes[2]
    assert "Ada" not in caplog.text
    assert "version 1 of 'a' is unhealthy: " in caplog.text


# --- in the service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One model, which has two seconds."""
    store = Store(tmp_path_factory.mktemp("vitals"))
    publish(store, "triple", Times(3.0))
    with running(store, predict_timeout_s=1) as found:
        until(lambda: "answers now." in found.complaints)
        yield found


@pytest.mark.parametrize(
    ("x", "status", "code", "why"),
    [(DIES, 500, "model_crashed", "crash"), (HANGS, 504, "deadline_exceeded", "deadline")],
)
def test_three_in_a_row_are_told_and_the_next_one_is_answered(
    service: Service, x: float, status: int, code: str, why: str
) -> None:
    for _ in range(IN_A_ROW):
        assert service.get("/health")["status"] == "ready"
        answer = service.predict({"x": x})
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        until(lambda: model_processes(service.process.pid))
    until(lambda: service.get("/health")["status"] == "degraded")
    assert service.get("/health")["detail"] == "triple is unhealthy, and goes on being asked; /models says more."
    assert "It is unhealthy: " in service.get("/models/triple")["warnings"][-1]
    metrics = service.client.get("/metrics").text
    assert 'lectern_version_unhealthy{model="triple",version="1"} 1.0' in metrics
    assert f'lectern_model_deaths_total{{model="triple",reason="{why}",version="1"}} 3.0' in metrics
    assert service.predict({"x": 2}).json()["prediction"] == 6.0
    assert service.get("/health")["status"] == "ready"
    assert 'lectern_version_unhealthy{model="triple",version="1"} 0.0' in service.client.get("/metrics").text
    assert "version 1 of 'triple' was lost at rows with the hash " in service.complaints
    assert str(x) not in service.complaints

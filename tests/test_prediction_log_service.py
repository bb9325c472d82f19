"""The prediction log of a service as it is installed: what is in its files, and what befalls it while it answers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from contract.deploying import Deployer
from contract.promotions import CHALLENGER
from contract.store import Store
from serving.app import create_app
from serving.settings import ServeSettings
from tests.live import Service, publish_graph, running, until
from tests.log_faults import Asker, at_rest, hold_lock, kill_workers, no_room, settled
from tests.logged import ids_in, rows_of
from tests.test_app import served

CANARY = 918273645.123456
"""The value of a field: far outside of what the model saw, and nothing of it is in what the model answers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that a service with two workers writes goes into it, also what is temporary."""
    found = tmp_path_factory.mktemp("service")
    (found / "tmp").mkdir()
    return found


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """Two workers, and a challenger that says otherwise of each copy."""
    store = Store(folder / "store")
    deployer = Deployer(store, "somebody", lambda _: None)
    publish_graph(store, "times", 0.5)
    deployer.promote("times", 1)
    deployer.promote("times", publish_graph(store, "times", 0.25), CHALLENGER)
    deployer.traffic("times", shadow=True)
    surroundings = {"TMPDIR": str(folder / "tmp")}
    with running(store, logged=True, workers=2, log_queue_rows=2_000, environment=surroundings) as found:
        until(lambda: found.complaints.count("answers now as challenger.") == 2)
        yield found


@pytest.fixture
def file(folder: Path, service: Service) -> Path:
    """The log, with a row in it."""
    found = folder / "store" / ".log" / "predictions.sqlite"
    if not found.exists():
        service.predict({"x": 1})
        settled(service, 1)
    return found


def test_by_default_no_input_is_in_any_file_that_a_service_writes(service: Service, folder: Path, file: Path) -> None:
    who, before = {"x-subject-id": "Kanarienvogel"}, len(ids_in(file))
    for _ in range(10):
        service.client.post("/predict", json={"x": CANARY}, headers=who | {"connection": "close"})
        service.client.post("/predict", json=[{"x": CANARY}], headers=who | {"x-no-log": "1", "connection": "close"})
    service.client.post("/predict", content=f"x\n{CANARY}\n", headers=who | {"content-type": "text/csv"})
    service.client.post("/predict", json={"x": str(CANARY)}, headers=who)
    counts = settled(service, before + 21)
    assert counts == {"stored": before + 11, "dropped": 0, "withheld": 10}
    until(lambda: service.get("/models/times/shadow")["rows"] >= 20)
    assert all(not row["input"] for row in service.get("/models/times/shadow")["differing"])
    pages = service.client.get("/models/times/shadow", headers={"accept": "text/html"}).text
    said = [service.printed, service.complaints, service.client.get("/metrics").text, pages]
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    content += "".join(said).encode()
    assert b"times" in content
    for canary in (b"918273645", b"Kanarienvogel", b"127.0.0.1:"):
        assert canary not in content.replace(service.url.encode(), b"")
    hashes = set(rows_of(file, folder / "store", "inputs, inputs_hash, subject"))
    assert len(hashes) == 1 + bool(before)  # whichever form the row came in


def test_the_rows_of_a_list_that_were_answered_are_kept_by_their_own_names(service: Service, file: Path) -> None:
    rest, before = at_rest(service), {*ids_in(file)}
    said = service.predict([{"x": 1}, {"x": "one"}, {}, {"x": 4}], "/predict?partial=true")
    assert said.status_code == 207
    settled(service, rest + 2)
    answered = {found["id"]: found["prediction"] for found in said.json()["predictions"] if "error" not in found}
    assert {*ids_in(file)} - before == answered.keys() == {f"{said.headers['x-request-id']}-{n}" for n in (0, 3)}


def status(service: Service) -> str:
    """How one of the workers is."""
    return str(httpx.get(f"{service.url}/health", trust_env=False).json()["status"])


def test_a_lock_costs_no_answer(service: Service, file: Path) -> None:
    counts = hold_lock(service, file, 0.5, 1_000)  # 10,000 rows, of which two workers keep 3,000 each
    assert len(ids_in(file)) == counts["stored"]
    assert counts["dropped"] > 0
    assert "The prediction log" in service.complaints
    until(lambda: status(service) == "ready")


def test_a_full_disk_costs_no_answer(service: Service, file: Path) -> None:
    before = at_rest(service)
    with Asker(service) as asker:
        with no_room(service):
            until(lambda: status(service) == "degraded")
        until(lambda: all(status(service) == "ready" for _ in range(5)))
    assert (asker.refused, asker.lost) == ([], 0)
    counts = settled(service, before + 10 * len(asker.answered))
    assert sum(counts.values()) == before + 10 * len(asker.answered)
    assert len(ids_in(file)) == counts["stored"]


def test_what_was_counted_as_stored_survives_the_death_of_workers(service: Service, file: Path) -> None:
    kill_workers(service, file, 5)


# --- in this process


@pytest.fixture
def model(store: Store) -> Store:
    publish_graph(store, "times")
    return store


def health(client: httpx.Client) -> str:
    return str(client.get("/health").json()["detail"])


def test_a_broken_log_makes_the_service_degraded_and_nothing_else(model: Store) -> None:
    file = model.root / ".log" / "predictions.sqlite"
    file.parent.mkdir()
    file.write_bytes(b"no database" * 1_000)
    with served(create_app(ServeSettings(store=model.root))) as client:
        assert client.post("/predict", json={"x": 1}).json()["prediction"] == 2
        until(
            lambda: file.with_name("key").exists() and "The prediction log was broken and begun anew." in health(client)
        )
        assert client.get("/health/ready").json()["status"] == "degraded"
        until(lambda: 'outcome="stored"} 1.0' in client.get("/metrics").text)
        assert len(ids_in(file)) == 1
        for aside in file.parent.glob("*.corrupt-*"):
            aside.unlink()
        assert health(client) == "Every model answers."


def test_a_store_that_is_away_is_not_made_anew_and_its_log_goes_on_when_it_is_back(
    model: Store, tmp_path: Path
) -> None:
    with served(create_app(ServeSettings(store=model.root, poll_s=0.05))) as client:
        client.post("/predict", json={"x": 1})
        until(lambda: 'outcome="stored"} 1.0' in client.get("/metrics").text)
        away = model.root.rename(tmp_path / "away")
        client.post("/predict", json={"x": 2})
        until(lambda: client.get("/health").json()["status"] == "degraded")
        assert not model.root.exists()
        away.rename(model.root)
        until(lambda: 'outcome="stored"} 2.0' in client.get("/metrics").text)
    assert len(ids_in(model.root / ".log" / "predictions.sqlite")) == 2


def test_the_policy_full_keeps_what_was_asked(model: Store) -> None:
    settings = ServeSettings(store=model.root, log_inputs="full")
    sink = io.BytesIO()
    table = pa.table({"x": [3.0]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with served(create_app(settings)) as client:
        client.post("/predict", json={"x": 1})
        client.post("/predict", content="x\n2\n", headers={"content-type": "text/csv"})
        arrow = {"content-type": "application/vnd.apache.arrow.stream"}
        assert client.post("/predict", content=sink.getvalue(), headers=arrow).status_code == 200
    found = rows_of(model.root / ".log" / "predictions.sqlite", model.root, "inputs, inputs_hash, caller")
    assert found == [(f'{{"x":{x}}}', None, "127.0.0.1") for x in ("1.0", "2.0", "3.0")]


def test_a_log_is_looked_after_without_a_request(
    model: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("serving.prediction_log.drain.LOOK_AFTER_S", 0.0)
    file = model.root / ".log" / "predictions.sqlite"
    with served(create_app(ServeSettings(store=model.root))):
        until(file.exists)
    assert ids_in(file) == []

"""serving.at_once, serving.transport.prompt: answered at once is what the long way answers, and no less guarded."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from contract.deploying import Deployer
from contract.store import Store
from serving.access import key_file
from serving.access.caller import CALLER, caller_of
from serving.admission import PASSED_OVER_BYTES
from serving.app import Lectern, create_app
from serving.prediction import ON_LOOP_BYTES, PLACE
from serving.settings import ServeSettings
from tests.live import Service, Times, publish, publish_graph, running, until
from tests.raw import ROW, Caller, Heard, chunked, request, said
from tests.test_app import served

KIND = (b"content-type", b"application/json")


def scope(path: str = "/models/double/predict", *headers: tuple[bytes, bytes], **changes: Any) -> dict[str, Any]:
    """A request as a server tells of it."""
    usual = {"type": "http", "method": "POST", "path": path, "query_string": b"", "client": ("10.0.0.1", 4000)}
    return usual | {"headers": [KIND, *headers]} | changes


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two versions of a graph, a canary of another, and an object that answers in a child."""
    store = Store(tmp_path_factory.mktemp("at-once") / "store")
    for model in ("double", "shared", "shared"):
        publish_graph(store, model)
    deployer = Deployer(store, "ada", lambda _: None)
    deployer.promote("shared", 1)
    deployer.promote("shared", 2, "challenger")
    deployer.traffic("shared", share=50)
    publish(store, "times", Times(2.0))
    return store


@pytest.fixture(scope="module")
def service(store: Store) -> Iterator[Service]:
    with running(store, default_model="double") as found:
        until(lambda: found.get("/health")["status"] == "ready")
        yield found


# --- the same answer


def told(heard: Heard) -> list[tuple[int, dict[str, str], Any]]:
    """What was answered, without what is another each time."""
    found = []
    for status, head, body in zip(heard.statuses, heard.heads, heard.bodies, strict=True):
        headers = {name.lower(): value for name, value in head.items() if name.lower() not in ("date", "x-request-id")}
        document = json.loads(body)
        assert document.get("id", head["x-request-id"]) == head["x-request-id"]
        found.append((status, headers, {name: value for name, value in document.items() if name != "id"}))
    return found


def test_it_is_answered_as_by_the_long_way(service: Service) -> None:
    at_once = told(said(service.url, request(), answers=1))
    long_way = told(said(service.url, chunked([b"7\r\n" + ROW + b"\r\n", b"0\r\n\r\n"]), answers=1))
    assert at_once == long_way
    assert at_once[0][2]["prediction"] == 2.0


def test_requests_that_come_together_are_answered_in_their_order(service: Service) -> None:
    live = request("GET", "/health/live", body=None)
    heard = said(service.url, request() + live + request(body=b'{"x":3}') + request(body=b'{"y":3}'), answers=4)
    assert heard.statuses == [200, 200, 200, 422]
    assert [json.loads(body).get("prediction") for body in heard.bodies] == [2.0, None, 6.0, None]


def test_what_is_no_request_after_one_that_is_answered_is_refused(service: Service) -> None:
    heard = said(service.url, request() + b"NONSENSE\r\n\r\n")
    assert heard.refusal == ([200, 400], "bad_request", True)


@pytest.mark.parametrize("cut", [1, 20, 60, -4], ids=lambda cut: f"cut at {cut}")
def test_one_that_comes_in_two_parts_is_answered_as_well(service: Service, cut: int) -> None:
    sent = request()
    with Caller(service.url) as caller:
        caller.send(sent[:cut])
        assert caller.hear(within_s=0.05, answers=1).raw == b""
        assert caller.send(sent[cut:]).hear(answers=1).statuses == [200]


def test_the_connection_ends_for_who_wants_that_and_goes_on_for_others(service: Service) -> None:
    assert said(service.url, request("POST", "/predict", "Connection: close")).closed
    with Caller(service.url) as caller:
        for _ in range(3):
            assert caller.send(request()).hear(answers=1).statuses == [200]


def test_what_is_answered_is_counted(service: Service) -> None:
    def counted() -> int:
        lines = service.client.get("/metrics").text.splitlines()
        mine = [line for line in lines if line.startswith("lectern_requests_total{") and 'alias=""' in line]
        return sum(int(float(line.split()[-1])) for line in mine)

    said(service.url, request(path="/models/double/versions/1/predict") * 3, answers=3)
    until(lambda: counted() == 3)


# --- what goes the long way


@pytest.fixture(scope="module")
def app(store: Store) -> Iterator[Lectern]:
    """The application, once its models answer."""
    made = create_app(ServeSettings(store=store.root, prediction_log="none"))
    with served(made):
        yield made


def test_the_usual_request_is_answered_at_once(app: Lectern) -> None:
    answer = app.at_once(scope(), ROW)
    assert answer is not None
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"lectern-model: double" in head.split(b"\r\n")
    assert f"content-length: {len(body)}".encode() in head.split(b"\r\n")
    assert json.loads(body)["prediction"] == 2.0


def test_it_is_looked_at_as_an_answer_with_the_status_200(app: Lectern, monkeypatch: pytest.MonkeyPatch) -> None:
    offered: list[Any] = []
    offer = app.registry.observation.offer

    def seen(*given: Any) -> None:
        offered.append(given)
        offer(*given)

    monkeypatch.setattr(app.registry.observation, "offer", seen)
    asked = scope()
    assert app.at_once(asked, ROW) is not None
    [(found, whose, request_id, status, began, reply)] = offered
    assert (found.model, whose, request_id, status) == ("double", asked, reply.request_id, 200)
    assert 0 < began < time.perf_counter()
    assert reply.answers.values == [2.0]


def test_as_long_a_body_as_may_be_is_answered_at_once(app: Lectern) -> None:
    assert app.at_once(scope(), ROW.ljust(ON_LOOP_BYTES)) is not None
    assert app.at_once(scope(), ROW.ljust(ON_LOOP_BYTES + 1)) is None


UNUSUAL: dict[str, tuple[dict[str, Any], bytes]] = {
    "a query": (scope(query_string=b"echo=true"), ROW),
    "another method": (scope(method="GET"), ROW),
    "another path": (scope("/models"), ROW),
    "no such model": (scope("/models/none/predict"), ROW),
    "a model in a child": (scope("/models/times/predict"), ROW),
    "a canary": (scope("/models/shared/predict"), ROW),
    "a row that does not fit": (scope(), b'{"y":1}'),
    "a list": (scope(), b"[" + ROW + b"]"),
    "no body": (scope(), b""),
    "a long body": (scope(), ROW + b" " * ON_LOOP_BYTES),
    "another form": (scope(headers=[(b"content-type", b"text/csv")]), b"x\n1\n"),
    "answers in another form": (scope("/models/double/predict", (b"accept", b"text/csv")), ROW),
    "an encoding": (scope("/models/double/predict", (b"content-encoding", b"gzip")), ROW),
}


@pytest.mark.parametrize(("asked", "body"), UNUSUAL.values(), ids=UNUSUAL)
def test_what_is_unusual_goes_the_long_way(app: Lectern, asked: dict[str, Any], body: bytes) -> None:
    assert app.at_once(asked, body) is None


# --- no place


LENGTH = (b"content-length", b"9000")


@pytest.fixture
def full(app: Lectern) -> Iterator[Lectern]:
    """The application while all places are taken, those of one model only by a body that does not come."""
    places = [app.registry.snapshot.routes[f"/models/{name}/predict"].predictor.places for name in ("double", "times")]  # type: ignore[union-attr]  # no canary
    for each in places:
        each.taken = each.number
    yield app
    for each in places:
        each.taken = 0


@pytest.mark.parametrize(("model", "length"), [("double", 9_000), ("times", 7), ("times", PASSED_OVER_BYTES)])
def test_whoever_comes_when_all_places_are_taken_is_told_so_by_its_head(
    full: Lectern, monkeypatch: pytest.MonkeyPatch, model: str, length: int
) -> None:
    offered: list[Any] = []
    monkeypatch.setattr(full.registry.observation, "offer", lambda *given: offered.append(given))
    refused = full.registry.observation.sheet.refused
    before = refused["overloaded"]
    asked = scope(f"/models/{model}/predict", (b"content-length", b"%d" % length))
    answer = full.at_once.admit(asked)
    assert answer is not None
    head, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert head.decode().split("\r\n") == [
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        f"x-request-id: {problem['request_id']}",
        "retry-after: 1",
    ]
    assert (problem["status"], problem["code"]) == (503, "overloaded")
    assert refused["overloaded"] == before + 1
    [(found, whose, request_id, status, began)] = offered
    assert (found.model, whose, request_id, status) == (model, asked, problem["request_id"], 503)
    assert 0 < began < time.perf_counter()


def test_of_those_who_come_at_once_for_one_place_one_gets_it(full: Lectern) -> None:
    places = full.registry.snapshot.routes["/models/times/predict"].predictor.places  # type: ignore[union-attr]  # no canary
    places.taken -= 1
    first, second, third = (scope("/models/times/predict", LENGTH) for _ in range(3))
    assert full.at_once.admit(first) is None
    assert full.at_once.admit(second) is not None
    assert [PLACE in asked for asked in (first, second)] == [True, False]
    first[PLACE].give_back()
    assert full.at_once.admit(third) is None
    third[PLACE].give_back()


TAKEN: dict[str, dict[str, Any]] = {
    "a short body for a graph": scope("/models/double/predict", (b"content-length", b"%d" % ON_LOOP_BYTES)),
    "a body of unknown length": scope("/models/times/predict"),
    "a long body": scope("/models/times/predict", (b"content-length", b"%d" % (PASSED_OVER_BYTES + 1))),
    "another method": scope("/models/times/predict", LENGTH, method="GET"),
    "another path": scope("/models", LENGTH),
    "a canary": scope("/models/shared/predict", LENGTH),
    "a model with places": scope("/models/shared/versions/1/predict", LENGTH),
    "another form": scope("/models/times/predict", headers=[(b"content-type", b"text/csv"), LENGTH]),
    "an encoding": scope("/models/times/predict", LENGTH, (b"content-encoding", b"gzip")),
}


@pytest.mark.parametrize("asked", TAKEN.values(), ids=TAKEN)
def test_of_all_others_the_long_way_tells_more(full: Lectern, asked: dict[str, Any]) -> None:
    before = dict(full.registry.observation.sheet.refused)
    assert full.at_once.admit(asked) is None
    assert full.registry.observation.sheet.refused == before


# --- the door


class Guarded(NamedTuple):
    """A service with keys and a limit, and a key for each right."""

    url: str
    keys: dict[str, str]
    file: Path

    def ask(self, who: str, body: bytes = ROW) -> int:
        """Ask in one go; return the status."""
        sent = request("POST", "/predict", f"Authorization: Bearer {self.keys.get(who, who)}", body=body)
        return said(self.url, sent, answers=1).statuses[0]


@pytest.fixture(scope="module")
def guarded(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    rights: dict[str, Any] = {"ada": ["predict"], "ben": ["predict"], "reader": ["read"], "gone": ["predict"]}
    keys = {name: key_file.add(file, name, given)[1] for name, given in rights.items()}
    keys["other"] = key_file.add(file, "other", ["predict"], ["shared"])[1]
    with running(store, default_model="double", keys=file, limit_per_caller="4/hour") as found:
        until(lambda: found.client.get("/health/ready").status_code == 200)
        yield Guarded(found.url, keys, file)


@pytest.mark.parametrize(
    ("who", "status"), [("nobody", 401), ("reader", 403), ("other", 403), ("lk_0_0", 401)], ids=str
)
def test_who_may_not_is_turned_away(guarded: Guarded, who: str, status: int) -> None:
    assert guarded.ask(who) == status


def test_a_request_counts_once_whichever_way_it_goes(guarded: Guarded) -> None:
    assert [guarded.ask("ada", body) for body in (ROW, b'{"y":1}', b"[" + ROW + b"]", ROW, ROW)] == [
        *(200, 422, 200, 200, 429)
    ]
    assert guarded.ask("ben") == 200


def test_a_key_that_is_revoked_opens_nothing_soon(guarded: Guarded) -> None:
    assert guarded.ask("gone") == 200
    key_file.revoke(guarded.file, "gone")
    until(lambda: guarded.ask("gone") == 401)


def test_it_is_known_who_asked(store: Store, tmp_path: Path) -> None:
    _, ada = key_file.add(tmp_path / "keys.json", "ada", ["predict"])
    made = create_app(ServeSettings(store=store.root, prediction_log="none", keys=tmp_path / "keys.json"))
    with served(made, read=False):
        until(lambda: made.registry.snapshot.complete)
        asked = scope("/models/double/predict", (b"authorization", f"Bearer {ada}".encode()))
        assert made.at_once(asked, ROW) is not None
        caller = caller_of(asked)
        assert caller is not None
        assert (caller.name, caller.address) == ("ada", "10.0.0.1")
        nobody = scope()
        assert made.at_once(nobody, ROW) is None
        assert CALLER not in nobody
        places = made.registry.snapshot.routes["/models/times/predict"].predictor.places  # type: ignore[union-attr]  # no canary
        places.taken = places.number
        told = scope("/models/times/predict", LENGTH, (b"authorization", f"Bearer {ada}".encode()))
        assert made.at_once.admit(told) is not None
        assert caller_of(told) == caller
        stranger = scope("/models/times/predict", LENGTH)
        assert made.at_once.admit(stranger) is None
        assert CALLER not in stranger
        places.taken = 0

"""serving.admission: what is too much is refused at once, and nothing else suffers from it."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from contract.store import Store
from serving.admission import KEPT_S, PASSED_OVER_BYTES, Headers, Place, Places, Room, overloaded, turned_away
from serving.problems import Problem
from tests.live import WAITS, Service, Times, publish, publish_graph, running, until
from tests.raw import Caller, request, said

FULL = r"^All places for requests to this version \(2\) are taken; ask again in 1 s\.$"


def test_there_are_so_many_places_and_each_is_given_back() -> None:
    places = Places(2)
    for _ in range(3):
        with places, places:
            assert places.full
            with pytest.raises(Problem, match=FULL) as refused, places:
                pass
        assert not places.full
    assert (refused.value.status, refused.value.code) == (503, "overloaded")


def test_a_place_is_kept_for_a_body_that_comes_soon_and_for_no_other() -> None:
    places = Places(2)
    with Place(places) as soon, Place(places) as late, Place(places) as other:
        soon.keep()
        late.keep()
        with pytest.raises(Problem, match=FULL):
            other.keep()
        soon.take()
        for place in (soon, late):
            place.since -= KEPT_S
        assert not places.full
        assert (soon.held, late.held, places.taken) == (True, False, 1)
        other.take()
        with pytest.raises(Problem, match=FULL):
            late.take()
        other.give_back()
        other.give_back()
        late.take()
        assert places.taken == 2
    assert (places.taken, places.kept) == (0, {})


def test_room_is_shared_and_whoever_is_alone_gets_it() -> None:
    room = Room(100)
    with room.hold() as one, room.hold() as other:
        one(90)
        with pytest.raises(Problem, match=r"^The bodies of other requests take all the memory") as refused:
            other(20)
        assert refused.value.headers["connection"] == "close"
        other(10)
    assert room.taken == 0
    with room.hold() as one:
        one(90)
        one(90)
        assert room.taken == 180
    assert room.taken == 0


# --- in the service


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A service whose model `busy` has room for two, and the folder by which it is held up."""
    notes = tmp_path_factory.mktemp("crowded")
    store = Store(notes / "store")
    publish(store, "busy", Times(3.0, notes))
    publish_graph(store, "cheap")
    with running(store, queue_requests=2, slots=1, streams=1, bodies_bytes=300_000, max_rows=100_000) as service:
        until(lambda: service.complaints.count("answers now.") == 2)
        yield service, notes


@pytest.fixture
def full(crowded: tuple[Service, Path]) -> Iterator[Service]:
    """The same while both places are taken."""
    service, notes = crowded
    (notes / "go").unlink(missing_ok=True)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask, service, {"x": WAITS}) for _ in range(2)]
        waiting = 'lectern_requests_in_flight{model="busy",version="1"} 2.0'
        until(lambda: waiting in service.client.get("/metrics").text)
        try:
            yield service
        finally:
            (notes / "go").touch()
        assert answers(asked) == [3 * WAITS] * 2


def ask(service: Service, body: object) -> httpx.Response:
    with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
        return client.post("/models/busy/predict", json=body)


def answers(asked: list[Future[httpx.Response]]) -> list[float]:
    return [request.result().json()["prediction"] for request in asked]


@pytest.mark.parametrize("rows", [1, 20_000], ids=["one row", "a body in parts"])
def test_whoever_comes_then_is_refused_on_a_connection_that_stays(full: Service, rows: int) -> None:
    before = refused(full)
    with httpx.Client(base_url=full.url, trust_env=False, timeout=60) as client:
        for _ in range(3):
            answer = client.post("/models/busy/predict", json=[{"x": 1.0}] * rows)
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert answer.headers["retry-after"] == "1"
            assert "connection" not in answer.headers
            stream = answer.extensions["network_stream"]
        assert client.get("/health/live").extensions["network_stream"] is stream
    assert refused(full) == before + 3


def refused(service: Service) -> float:
    lines = service.client.get("/metrics").text.splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith('lectern_refused_total{reason="overloaded"}')
    )


def test_a_body_that_has_not_come_yet_is_not_waited_for(full: Service) -> None:
    host, _, port = full.url.removeprefix("http://").partition(":")
    head = f"POST /models/busy/predict HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as peer:
        peer.sendall(f"{head}Content-Length: 9000000\r\n\r\n".encode())
        answer = peer.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"connection: close" in answer.lower()


def test_it_is_refused_by_its_head_and_what_comes_of_it_is_passed_over(full: Service) -> None:
    before = refused(full)
    with Caller(full.url) as caller:
        caller.send(request(path="/models/busy/predict", body=b" " * PASSED_OVER_BYTES)[:-PASSED_OVER_BYTES])
        heard = caller.hear(answers=1)
        assert (heard.statuses, heard.problem["code"], heard.heads[0]["retry-after"]) == ([503], "overloaded", "1")
        assert "connection" not in heard.heads[0]
        caller.send(*[b" " * 4_096] * (PASSED_OVER_BYTES // 4_096), request("GET", "/health/live", body=None))
        assert caller.hear(answers=1).statuses == [200]
    heard = said(full.url, request(path="/models/busy/predict", body=b" " * (PASSED_OVER_BYTES + 1)))
    assert heard.refusal == ([503], "overloaded", True)
    assert heard.heads[0]["connection"] == "close"
    assert refused(full) == before + 2


def test_who_sends_slowly_keeps_no_place_from_others_and_is_answered(crowded: tuple[Service, Path]) -> None:
    service, _ = crowded
    sent = request(path="/models/cheap/predict", body=b'{"x":1}'.ljust(9_000))
    with Caller(service.url) as one, Caller(service.url) as other:
        one.send(sent[:-1])
        other.send(sent[:-9_000])
        in_flight = 'lectern_requests_in_flight{model="cheap",version="1"} 2.0'
        until(lambda: in_flight in service.client.get("/metrics").text)
        until(lambda: said(service.url, sent, answers=1).statuses == [200])
        assert one.send(sent[-1:]).hear(answers=1).statuses == [200]
        assert other.send(sent[-9_000:]).hear(answers=1).statuses == [200]


def test_other_models_pages_and_health_answer_meanwhile(full: Service) -> None:
    assert full.predict({"x": 1}, "/models/cheap/predict").json()["prediction"] == 2.0
    many = full.predict([{"x": 1}] * 5_000, "/models/cheap/predict").json()["predictions"]
    assert len(many) == 5_000
    assert full.get("/health")["status"] == "ready"
    assert full.client.get("/", headers={"accept": "text/html"}).status_code == 200


def test_one_stream_too_many_is_refused(crowded: tuple[Service, Path]) -> None:
    service, _ = crowded
    host, _, port = service.url.removeprefix("http://").partition(":")
    head = f"POST /models/cheap/predict HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/x-ndjson\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as peer:
        peer.sendall(f"{head}Content-Length: 100\r\n\r\n{json.dumps({'x': 1})}\n".encode())
        in_flight = 'lectern_requests_in_flight{model="cheap",version="1"} 1.0'
        until(lambda: in_flight in service.client.get("/metrics").text)
        kinds = {"content-type": "application/x-ndjson"}
        answer = service.client.post("/models/cheap/predict", content=b'{"x":1}\n', headers=kinds)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert answer.json()["detail"].startswith("All places for streams (1) are taken; ")
    until(lambda: in_flight not in service.client.get("/metrics").text)
    answer = service.client.post("/models/cheap/predict", content=b'{"x":1}\n', headers=kinds)
    assert answer.status_code == 200


def test_bodies_have_so_much_room_together(crowded: tuple[Service, Path]) -> None:
    service, _ = crowded
    host, _, port = service.url.removeprefix("http://").partition(":")
    head = f"POST /models/cheap/predict HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    large = json.dumps([{"x": 1.0}] * 24_000).encode()
    assert 250_000 < len(large) < 300_000
    with socket.create_connection((host, int(port)), timeout=60) as peer:
        peer.sendall(f"{head}Content-Length: {len(large)}\r\n\r\n".encode() + large[:-10])
        in_flight = 'lectern_requests_in_flight{model="cheap",version="1"} 1.0'
        until(lambda: in_flight in service.client.get("/metrics").text)
        assert service.client.post("/models/cheap/predict", content=large, headers=JSON).status_code == 503
        assert service.predict({"x": 1}, "/models/cheap/predict").status_code == 200
        peer.sendall(large[-10:])
        assert peer.recv(65_536).startswith(b"HTTP/1.1 200 ")
    assert service.client.post("/models/cheap/predict", content=large, headers=JSON).status_code == 200


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "goes_on"),
    [
        ([(b"content-length", b"1048576")], True),
        ([(b"content-length", b"1048577")], False),
        ([(b"transfer-encoding", b"chunked")], False),
        ([(b"content-length", b"7"), (b"expect", b"100-continue")], False),
    ],
    ids=["short", "long", "of unknown length", "asked about first"],
)
def test_a_connection_goes_on_after_a_body_that_can_be_passed_over(headers: Headers, goes_on: bool) -> None:
    assert ("connection" not in turned_away(overloaded("Full"), headers).headers) == goes_on

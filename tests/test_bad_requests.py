"""Requests that no route takes as they are: methods, types, sizes and bodies; each error of each route is a problem."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contract.store import Store
from serving.bodies import MOST_BYTES
from serving.problems import MAX_BYTES
from tests.live import Service, publish_graph, running
from tests.test_prediction import exchange
from tests.test_routes import problem

SECRET = "swordfish"
INTERNAL = re.compile(r"Traceback|site-packages|\.py\b|pydantic|/tmp/|Error\b|Promote\b|Feedback\b|Move\b|object at 0x")
Operation = tuple[str, str]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Two versions of a model."""
    store = Store(tmp_path_factory.mktemp("requests") / "store")
    publish_graph(store, "double", 2.0)
    publish_graph(store, "double", 2.0)
    with running(store, logged=True) as found:
        yield found
        assert "Traceback" not in found.complaints


@pytest.fixture(scope="module")
def document(service: Service) -> Any:
    return service.get("/openapi.json")


def place(path: str) -> str:
    """A path of the document with something in its parameters."""
    return path.format(model="double", version=1, alias="stable", name="20261121T060000Z-drift.html")


def posts(document: Any) -> list[str]:
    return [place(path) for path, operations in document["paths"].items() if "post" in operations]


def held(service: Service, response: httpx.Response) -> Any:
    """The problem in a response, which tells nothing of the inside and repeats nothing."""
    found = problem(response)
    assert len(response.content) <= MAX_BYTES
    assert SECRET not in response.text
    assert not INTERNAL.search(response.text), response.text
    assert str(service.folder) not in response.text
    return found


# --- methods


def test_head_is_get_without_the_body(service: Service, document: Any) -> None:
    pages = ["/", "/docs", "/openapi.json", "/nothing", "/models/none"]
    for path in pages + [place(path) for path, operations in document["paths"].items() if "get" in operations]:
        query = {"first": 1, "second": 2}
        head, get = (service.client.request(method, path, params=query) for method in ("HEAD", "GET"))
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers["x-request-id"] != get.headers["x-request-id"]
    head = service.client.head("/models/double/predict")
    assert (head.status_code, head.headers["allow"]) == (405, "POST")


def test_options_names_the_methods_of_a_path(service: Service, document: Any) -> None:
    for path, operations in document["paths"].items():
        named = {method.upper() for method in operations} | {"OPTIONS"} | ({"HEAD"} if "get" in operations else set())
        answer = service.client.options(place(path))
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["allow"] == ", ".join(sorted(named))
        assert answer.headers["x-request-id"]
    assert held(service, service.client.options("/nothing")).status == 404


def test_methods_are_counted_by_their_names(service: Service) -> None:
    service.client.head("/models/double")
    service.client.options("/models/double")
    counted = service.client.get("/metrics").text
    for method in ("HEAD", "OPTIONS"):
        assert f'lectern_http_requests_total{{method="{method}",route="/models/{{model}}",status="2xx"}}' in counted


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "GET", "POST"])
def test_another_method_is_refused_with_those_that_there_are(service: Service, document: Any, method: str) -> None:
    for path, operations in document["paths"].items():
        if method.lower() not in operations:
            answer = service.client.request(method, place(path))
            assert held(service, answer).code == "method_not_allowed", path
            assert set(answer.headers["allow"].split(", ")) <= {name.upper() for name in operations}


# --- bodies


WRONG: list[Any] = [
    None,
    0,
    SECRET,
    [],
    [SECRET],
    [[SECRET]],
    {},
    {"other": SECRET},
    {"version": SECRET},
    {"version": 1, "other": SECRET},
    {"version": 0},
    {"version": -1},
    {"version": 2**70},
    {"version": 1.5},
    {"version": True},
    {"version": None},
    {"version": [1]},
    {"version": {"a": SECRET}},
    {"version": 1, "alias": SECRET * 10},
    {"version": 1, "alias": "7"},
    {"version": 1, "alias": "metrics"},
    {"version": 1, "alias": "../x"},
    {"version": 1, "alias": {}},
    {"version": 1, "force": SECRET},
    {"version": 1, "reason": 7},
    {"version": 1, "reason": SECRET * 1_000},
    {"version": 99, "reason": SECRET},
    {"reason": [SECRET]},
    {"expected": SECRET},
    {"expected": 2**70},
    {"challenger": SECRET},
    {"challenger": -1},
    {"challenger": 1e400},
    {"challenger": 101},
    {"shadow": SECRET},
    {"id": SECRET, "truth": 1},
    {"id": "ccea8eb3ff2900000001"},
    {"id": "ccea8eb3ff2900000001", "truth": None},
    {"id": "ccea8eb3ff2900000001", "truth": 1, "at": SECRET},
    [{"id": "ccea8eb3ff2900000001", "truth": 1}, {"id": SECRET}],
    {"x": SECRET},
    {"x": {"y": SECRET}},
]


@pytest.mark.parametrize("body", WRONG, ids=lambda body: json.dumps(body)[:40])
def test_a_body_that_does_not_fit_is_refused_by_every_route(service: Service, document: Any, body: Any) -> None:
    fits: dict[str, list[Any]] = {"rollback": [{}], "traffic": [{}]}
    for path in posts(document):
        verb = path.rpartition("/")[2]
        if body not in fits.get(verb, []):
            text = json.dumps(body).replace("Infinity", "1e400")
            answer = service.client.post(path, content=text, headers={"content-type": "application/json"})
            assert held(service, answer).status in ((404, 409, 422) if verb in ("promote", "traffic") else (422,)), path


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid_json"),
        (b"{} x", 400, "invalid_json"),
        (b'{"reason": NaN}', 400, "invalid_json"),
        (b'{"reason": "\\ud800"}', 400, "invalid_json"),
        (b"\xff", 400, "invalid_json"),
        (b"\xef\xbb\xbf{}", 400, "invalid_json"),
        (b'{"reason": "a", "reason": "b"}', 400, "duplicate_key"),
        (b'{"a": {"b": 1, "b": 1}}', 400, "duplicate_key"),
        (b"[" * 101 + b"]" * 101, 400, "too_deep"),
        (b"[" * 30_000, 400, "too_deep"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_body_that_is_no_such_json_is_refused_by_every_route(
    service: Service, document: Any, body: bytes, status: int, code: str
) -> None:
    for path in posts(document):
        answer = service.client.post(path, content=body, headers={"content-type": "application/json"})
        found = held(service, answer)
        if path.endswith("/predict") and code == "duplicate_key":
            assert found.status in (400, 422)  # what is wrong with the row goes first
        else:
            assert (found.status, found.code) == (status, code), path


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"]
)
def test_another_type_is_refused_by_every_route(service: Service, document: Any, kind: str) -> None:
    for path in posts(document):
        found = held(service, service.client.post(path, content=b"{}", headers={"content-type": kind}))
        assert (found.status, found.code) == (415, "unsupported_media_type"), path


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "identity, gzip"])
def test_an_encoded_body_is_refused_by_every_route(service: Service, document: Any, encoding: str) -> None:
    headers = {"content-type": "application/json", "content-encoding": encoding}
    for path in posts(document):
        found = held(service, service.client.post(path, content=b"{}", headers=headers))
        assert (found.status, found.code) == (415, "unsupported_encoding"), path


@pytest.mark.parametrize("how", ["announced", "chunked", "asked first"])
def test_a_large_body_is_refused_by_every_route(service: Service, document: Any, how: str) -> None:
    for path in posts(document):
        limit = 16 << 20 if path.endswith(("predict", "feedback")) else MOST_BYTES
        size = {"announced": [f"Content-Length: {limit + 1}"], "chunked": ["Transfer-Encoding: chunked"]}.get(
            how, [f"Content-Length: {limit + 1}", "Expect: 100-continue"]
        )
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *size, "", ""]
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (limit + 1, b" " * (limit + 1)) if how == "chunked" else b""
        response, content = exchange(service, "\r\n".join(lines).encode(), body)
        found = json.loads(content)
        assert (response.status, found["code"]) == (413, "body_too_large"), path
        assert response.getheader("connection") == "close"
        assert found["request_id"] == response.getheader("x-request-id")


def test_what_fits_is_still_taken(service: Service) -> None:
    for body in (b'{"version":2,"reason":"again"}', b' {"reason": "a \\"quoted\\" word", "version": 2}'):
        kind = {"content-type": "application/json; charset=utf-8"}
        answer = service.client.post("/models/double/promote", content=body, headers=kind)
        assert (answer.status_code, answer.json()["champion"]) == (200, 2)


@pytest.mark.parametrize("accept", ["image/png", "application/xml", "text/csv;q=0"])
def test_what_cannot_be_answered_is_not_acceptable(service: Service, accept: str) -> None:
    answer = service.client.post("/predict", json={"x": 1}, headers={"accept": accept})
    assert answer.status_code in (200, 406) if "csv" in accept else held(service, answer).status == 406


@pytest.mark.parametrize(
    "path", ["/nothing", "/models/none", "/models//", "/predict/x", "/%00", "/models/double/versions/7"]
)
@pytest.mark.parametrize("accept", ["*/*", "application/json", "image/png"])
def test_where_nothing_is_a_program_gets_a_problem(service: Service, path: str, accept: str) -> None:
    assert held(service, service.client.get(path, headers={"accept": accept})).status == 404


@pytest.mark.parametrize("query", ["before=x", "before=9" + "9" * 5_000, "before=1&before=x"])
def test_a_parameter_that_does_not_fit_is_not_repeated(service: Service, query: str) -> None:
    found = held(service, service.client.get(f"/models/double/versions?{query}"))
    assert (found.status, found.code) == (422, "invalid_request")

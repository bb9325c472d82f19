"""serving.prediction: what comes back for each body that can be sent, over the wire."""

import gzip
import http.client
import json
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from contract.store import Store
from serving.problems import MAX_BYTES, ProblemDocument
from tests.live import Service, Times, publish, publish_graph, running

VIRGINICA = {"sepal_length": 6.7, "sepal_width": 3.0, "petal_length": 5.2, "petal_width": 2.3}
SETOSA = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
JSON = {"content-type": "application/json"}
LIMIT = 2000


def post(service: Service, content: bytes, path: str = "/predict", **headers: str) -> httpx.Response:
    sent = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return service.client.post(path, content=content, headers=sent)


def problem(response: httpx.Response) -> ProblemDocument:
    """The problem in an answer, which has the form that every problem has."""
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.content) <= MAX_BYTES
    found = ProblemDocument.model_validate_json(response.content, strict=True)
    assert found.status == response.status_code
    assert found.title == response.reason_phrase
    assert found.request_id == response.headers["x-request-id"]
    return found


def exchange(service: Service, *parts: bytes) -> tuple[http.client.HTTPResponse, bytes]:
    """Send bytes; return the answer and its body. The service is expected to close the connection then."""
    url = httpx.URL(service.url)
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
        response = http.client.HTTPResponse(connection)
        response.begin()
        body = response.read()
        assert connection.recv(1) == b""
        return response, body


def head(*lines: str) -> bytes:
    return "\r\n".join(
        ["POST /predict HTTP/1.1", "Host: localhost", "Content-Type: application/json", *lines, "", ""]
    ).encode()


# --- answers


def test_the_two_flowers_of_the_documentation(examples: Service) -> None:
    virginica, setosa = (examples.predict(flower) for flower in (VIRGINICA, SETOSA))
    assert virginica.status_code == setosa.status_code == 200
    assert virginica.json()["prediction"] == "virginica"
    assert 0.5 < virginica.json()["confidence"] <= 1
    answer = setosa.json()
    identifier = answer.pop("id")
    assert answer == {
        "prediction": "setosa",
        "confidence": 1.0,
        "probabilities": {"setosa": 1.0, "versicolor": 0.0, "virginica": 0.0},
        "warnings": [],
        "model": "iris",
        "version": 1,
    }
    assert setosa.headers["content-type"] == "application/json"
    assert setosa.headers["lectern-model"] == "iris"
    assert setosa.headers["lectern-version"] == "1"
    assert setosa.headers["x-request-id"] == identifier
    assert "server" not in setosa.headers


def test_a_list_is_answered_by_a_list_in_its_order(examples: Service) -> None:
    response = examples.predict([SETOSA, VIRGINICA, SETOSA])
    answer = response.json()
    assert [row["prediction"] for row in answer.pop("predictions")] == ["setosa", "virginica", "setosa"]
    assert answer == {"model": "iris", "version": 1}
    one = examples.predict([SETOSA])
    [row] = one.json()["predictions"]
    assert row["id"] == f"{one.headers['x-request-id']}-0"


def test_every_prediction_has_a_name_of_its_own(examples: Service) -> None:
    names = [examples.predict(SETOSA).json()["id"] for _ in range(50)]
    for _ in range(5):
        names += [row["id"] for row in examples.predict([SETOSA] * 20).json()["predictions"]]
    assert len(set(names)) == 150


@given(order=st.permutations(list(VIRGINICA)))
@hypothesis_settings(max_examples=24)
def test_the_order_of_the_keys_does_not_matter(examples: Service, order: Sequence[str]) -> None:
    answer = examples.predict({name: VIRGINICA[name] for name in order}).json()
    assert answer["probabilities"] == examples.predict(VIRGINICA).json()["probabilities"]


@pytest.mark.parametrize(
    ("query", "echoed"),
    [("echo=true", True), ("%f1%00&=&echo=true&é", True), ("echo=false", False), ("%ff=echo", False), ("", False)],
)
def test_the_input_comes_back_where_it_is_asked_for(examples: Service, query: str, echoed: bool) -> None:
    one = examples.predict(SETOSA, f"/predict?{query}").json()
    many = examples.predict([SETOSA, VIRGINICA], f"/predict?{query}").json()["predictions"]
    assert [row.get("input") for row in (one, *many)] == ([SETOSA, SETOSA, VIRGINICA] if echoed else [None] * 3)


@pytest.mark.parametrize("query", ["echo=1", "echo", "echo=", "echo=True", "echo=true&echo=true", "%65cho=yes&echo=1"])
def test_the_wish_for_it_is_true_or_false(examples: Service, query: str) -> None:
    found = problem(examples.predict(SETOSA, f"/predict?{query}"))
    assert (found.status, found.code) == (422, "invalid_request")
    assert found.detail == "The parameter 'echo' is true or false."


def test_a_row_unlike_those_of_the_training_is_answered_with_a_warning(examples: Service) -> None:
    answer = examples.predict(SETOSA | {"petal_width": 9.5, "sepal_length": 0}).json()
    assert [(found["field"], found["kind"]) for found in answer["warnings"]] == [
        ("sepal_length", "out_of_range"),
        ("petal_width", "out_of_range"),
    ]
    assert answer["warnings"][1]["message"] == (
        "'petal_width' lies outside the range the model saw, from 0.1 to 2.5 cm."
    )
    rows = examples.predict([SETOSA, SETOSA | {"petal_width": 9.5}]).json()["predictions"]
    assert [len(row["warnings"]) for row in rows] == [0, 1]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;"])
def test_json_may_be_announced_in_several_ways(examples: Service, kind: str) -> None:
    assert post(examples, json.dumps(SETOSA).encode(), content_type=kind).status_code == 200


# --- bodies that are refused


def flower(**changes: Any) -> bytes:
    return json.dumps(SETOSA | changes).encode()


def literal(text: str) -> bytes:
    return flower(petal_width="?").replace(b'"?"', text.encode())


BAD_VALUES = {
    "a text": (flower(petal_width="0.2"), "wrong_type"),
    "null": (flower(petal_width=None), "wrong_type"),
    "true": (flower(petal_width=True), "wrong_type"),
    "a list": (flower(petal_width=[0.2]), "wrong_type"),
    "too low": (flower(petal_width=-0.001), "out_of_bounds"),
    "too high": (flower(petal_width=10.001), "out_of_bounds"),
    "2^64": (flower(petal_width=2**64), "out_of_bounds"),
    "1e400": (literal("1e400"), "not_finite"),
    "-1e400": (literal("-1e400"), "not_finite"),
    "1 MB of text": (flower(petal_width="swordfish" * 120_000), "wrong_type"),
    "missing": (
        json.dumps({name: value for name, value in SETOSA.items() if name != "petal_width"}).encode(),
        "missing",
    ),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_a_bad_value_is_named_and_not_repeated(examples: Service, name: str) -> None:
    content, code = BAD_VALUES[name]
    for body, row in ((content, None), (b"[" + flower() + b"," + content + b"]", 1)):
        response = post(examples, body)
        found = problem(response)
        assert (found.status, found.code) == (422, "invalid_rows")
        assert [(error.field, error.code, error.row) for error in found.errors] == [("petal_width", code, row)]
        assert b"swordfish" not in response.content


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "nan", "undefined", "1,", "0x1", "'1'"])
def test_a_word_that_json_does_not_have_is_no_json(examples: Service, word: str) -> None:
    found = problem(post(examples, literal(word)))
    assert (found.status, found.code, found.errors) == (400, "invalid_json", [])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "no_rows"),
        (b"[]", 422, "no_rows"),
        (b"null", 422, "wrong_type"),
        (b'"x"', 422, "wrong_type"),
        (b'""', 422, "wrong_type"),
        (b"0", 422, "wrong_type"),
        (b"{}", 422, "missing"),
        (b"[[]]", 422, "wrong_type"),
        (b"{", 400, None),
        (b'{"sepal_length":', 400, None),
        (b"\xff\xfe", 400, None),
        (flower() + b" x", 400, None),
        (flower() + flower(), 400, None),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_body_that_holds_no_rows_is_refused(examples: Service, body: bytes, status: int, code: str | None) -> None:
    found = problem(post(examples, body))
    assert (found.status, found.code) == (status, "invalid_rows" if code else "invalid_json")
    assert {error.code for error in found.errors} == ({code} if code else set())


def test_an_unknown_field_is_named(examples: Service) -> None:
    found = problem(post(examples, flower(petal_lenght=1)))
    [error] = found.errors
    assert (error.field, error.code) == ("petal_lenght", "unknown_field")
    assert "its fields are sepal_length, sepal_width, petal_length, petal_width." in error.message


def test_a_hundred_thousand_bad_rows_get_a_short_answer(examples: Service) -> None:
    for rows in (b"{}", b"5", flower(sepal_length="swordfish")):
        response = post(examples, b"[" + b",".join([rows] * 100_000) + b"]")
        found = problem(response)
        assert found.status == 422
        assert 1 <= len(found.errors) <= 20
        assert b"swordfish" not in response.content


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json"]
)
def test_another_type_than_json_is_told_which_to_send(examples: Service, kind: str) -> None:
    found = problem(post(examples, flower(), content_type=kind))
    assert (found.status, found.code) == (415, "unsupported_media_type")
    assert found.detail.startswith("Send JSON, NDJSON, CSV, Arrow stream or Parquet, with its media type in the header")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "identity, gzip"])
def test_a_compressed_body_is_not_opened(examples: Service, encoding: str) -> None:
    found = problem(post(examples, gzip.compress(flower()), content_encoding=encoding))
    assert (found.status, found.code) == (415, "unsupported_encoding")
    assert found.detail == "Send the body as it is, without Content-Encoding."


# --- bodies that are too large


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that takes little."""
    store = Store(tmp_path_factory.mktemp("limited") / "store")
    publish_graph(store, "double")
    publish(store, "times", Times(3.0))
    with running(store, default_model="double", max_body_bytes=LIMIT, max_rows=5) as service:
        yield service
        assert "Traceback" not in service.complaints


def assert_too_large(response: http.client.HTTPResponse, body: bytes) -> None:
    found = ProblemDocument.model_validate_json(body)
    assert (response.status, found.status, found.code) == (413, 413, "body_too_large")
    assert found.detail == "The body has more than 2,000 bytes; send fewer rows."
    assert response.getheader("connection") == "close"


def test_a_body_at_the_limit_is_read(limited: Service) -> None:
    body = b'{"x": 1}'.ljust(LIMIT)
    assert post(limited, body).json()["prediction"] == 2.0
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (LIMIT, body)
    response, _ = exchange(limited, head("Transfer-Encoding: chunked", "Connection: close"), chunked)
    assert response.status == 200


def test_a_body_that_says_it_is_too_large_is_not_read(limited: Service) -> None:
    for size in (LIMIT + 1, 10**12):
        assert_too_large(*exchange(limited, head(f"Content-Length: {size}")))


def test_who_asks_first_is_told_so_before_sending(limited: Service) -> None:
    assert_too_large(*exchange(limited, head(f"Content-Length: {LIMIT + 1}", "Expect: 100-continue")))


def test_chunks_that_grow_too_large_are_not_read_on(limited: Service) -> None:
    body = b" " * (LIMIT + 1)
    chunked = head("Transfer-Encoding: chunked")
    assert_too_large(*exchange(limited, chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)))
    assert_too_large(*exchange(limited, chunked, *(b"1f4\r\n%b\r\n" % body[:500] for _ in range(4)), b"1\r\n \r\n"))
    assert_too_large(*exchange(limited, chunked, b"%x\r\n%b\r\n" % (len(body), body)))


def test_more_rows_than_are_taken_are_refused(limited: Service) -> None:
    assert len(limited.predict([{"x": 1}] * 5).json()["predictions"]) == 5
    found = problem(limited.predict([{"x": 1}] * 6))
    assert (found.status, found.errors[0].code) == (422, "too_many_rows")
    assert found.detail == "The body is a list of more than 5 rows; send fewer at a time."


# --- callers who leave


@pytest.mark.parametrize("model", ["double", "times"])
def test_who_hangs_up_harms_nobody(limited: Service, model: str) -> None:
    url = httpx.URL(limited.url)
    start = f"POST /models/{model}/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for sent in ("", "Content-Length: 8\r\n\r\n", 'Content-Length: 8\r\n\r\n{"x', 'Content-Length: 8\r\n\r\n{"x": 1}'):
        with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
            connection.sendall((start + sent).encode())
    factor = {"double": 2.0, "times": 3.0}[model]
    assert limited.predict({"x": 1}, f"/models/{model}/predict").json()["prediction"] == factor

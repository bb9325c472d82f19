"""serving.streams: any number of rows in and out over real connections, and callers who do not behave."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.store import Store
from serving.tables import ARROW, CSV, JSON, NDJSON, PARQUET, Form
from tests.forms import EVERY, STREAMED, as_texts, body, said
from tests.live import RAISES, Service, Times, publish, publish_graph, running, until

GRAPH, OBJECT = "/models/graph/predict", "/models/object/predict"
ASK = "ask for lines, with the header `Accept: application/x-ndjson`."
MANY = 300_000
"""Rows whose answers are several times what a connection and the memory of a pipe hold."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a model of each kind, which both multiply x."""
    store = Store(tmp_path_factory.mktemp("streams") / "store")
    publish_graph(store, "graph", 2.0)
    publish(store, "object", Times(3.0))
    folder = tmp_path_factory.mktemp("temporary")
    with running(store, environment={"TMPDIR": str(folder)}, max_rows=100) as service:
        before = set(folder.iterdir())
        yield service
        complaints = [line for line in service.complaints.splitlines() if not line.endswith(" answers now.")]
        assert not complaints  # whatever callers did
        assert set(folder.iterdir()) <= before


def post(service: Service, content: Any, form: Form, accept: Form | None = None, path: str = GRAPH) -> httpx.Response:
    headers = {"content-type": form.media[0]} | ({"accept": accept.media[0]} if accept else {})
    return service.client.post(path, content=content, headers=headers)


def problem(response: httpx.Response) -> tuple[int, str, str]:
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert found["request_id"] == response.headers["x-request-id"]
    return response.status_code, found["code"], found["detail"]


def lines(count: int, begin: int = 0) -> bytes:
    return b"".join(b'{"x":%d}\n' % (n % 1000) for n in range(begin, begin + count))


# --- every form


@pytest.mark.parametrize("path", [GRAPH, OBJECT])
@pytest.mark.parametrize("answers", EVERY, ids=lambda form: form.name)
@pytest.mark.parametrize("form", EVERY, ids=lambda form: form.name)
def test_any_form_is_answered_in_any_other(service: Service, form: Form, answers: Form, path: str) -> None:
    rows = [{"x": float(n)} for n in range(-100, 0)]
    rows[0]["x"] = -100.5
    response = post(service, body(form, rows), form, answers, path)
    assert (response.status_code, response.headers["content-type"]) == (200, answers.media[0])
    model, factor = ("graph", 2) if path == GRAPH else ("object", 3)
    assert (response.headers["lectern-model"], response.headers["lectern-version"]) == (model, "1")
    number = response.headers["x-request-id"]
    expected = [{"prediction": row["x"] * factor, "id": f"{number}-{n}"} for n, row in enumerate(rows)]
    expected[0]["warnings"] = "x out_of_range"
    assert said(response.content, answers) == (as_texts(expected) if answers is CSV else expected)


def test_the_form_of_the_body_is_that_of_the_answers(service: Service) -> None:
    for form in STREAMED:
        assert post(service, body(form, [{"x": 1.0}]), form).headers["content-type"] == form.media[0]


def test_json_may_come_as_columns_and_be_answered_as_a_table(service: Service) -> None:
    content = json.dumps({"columns": ["x"], "data": [[1.0], [2.5]]}).encode()
    assert [row["prediction"] for row in said(post(service, content, JSON, ARROW).content, ARROW)] == [2.0, 5.0]
    one = said(post(service, b'{"x": 4}', JSON, NDJSON).content, NDJSON)
    assert [row["prediction"] for row in one] == [8.0]


def test_the_input_is_answered_where_it_is_asked_for(service: Service) -> None:
    for form in STREAMED:
        response = post(service, body(form, [{"x": 1.5}]), form, path=f"{GRAPH}?echo=true")
        [row] = said(response.content, form)
        assert (row["x"], row["prediction"]) == (("1.5", "3.0") if form is CSV else (1.5, 3.0))
    assert problem(post(service, b"", CSV, path=f"{GRAPH}?echo=yes"))[:2] == (422, "invalid_request")


# --- errors


def test_what_is_wrong_before_the_first_answer_is_a_problem(service: Service) -> None:
    for form, content, status, code in (
        (NDJSON, b"{", 400, "invalid_json"),
        (CSV, b"x\n1,2\n", 400, "invalid_csv"),
        (ARROW, b"noise", 400, "invalid_arrow"),
        (PARQUET, b"noise", 400, "invalid_parquet"),
        (JSON, b"noise", 400, "invalid_json"),
        *((form, b"", 422, "invalid_rows") for form in STREAMED),
        (NDJSON, b"x" * (17 << 20), 413, "body_too_large"),
        (JSON, b"x" * (17 << 20), 413, "body_too_large"),
    ):
        assert problem(post(service, content, form, NDJSON))[:2] == (status, code)
    assert problem(service.client.post(GRAPH, content=b"x"))[:2] == (415, "unsupported_media_type")
    headers = {"content-type": "text/csv", "accept": "text/html"}
    assert problem(service.client.post(GRAPH, content=b"x", headers=headers))[:2] == (406, "not_acceptable")


@pytest.mark.parametrize("form", STREAMED, ids=lambda form: form.name)
def test_a_bad_row_among_the_first_is_a_problem(service: Service, form: Form) -> None:
    rows: list[dict[str, Any]] = [{"x": 1.0}] * 5 + [{"x": float("inf") if form is not NDJSON else "a"}]
    status, code, detail = problem(post(service, body(form, rows), form))
    assert (status, code, detail) == (422, "invalid_rows", "'x' in row 5 must be a number.")


@pytest.mark.parametrize("answers", STREAMED, ids=lambda form: form.name)
@pytest.mark.parametrize("form", STREAMED, ids=lambda form: form.name)
def test_a_bad_row_late_in_a_stream_is_its_last_record(service: Service, form: Form, answers: Form) -> None:
    rows: list[dict[str, Any]] = [{"x": 1.0}] * 50_000 + [{"x": float("inf") if form is not NDJSON else "a"}] * 2
    response = post(service, body(form, rows), form, answers)
    assert response.status_code == 200
    *answered, last = said(response.content, answers)
    assert len(answered) == 50_000
    assert {str(row["prediction"]) for row in answered} == {"2.0"}
    assert last == {"error": "'x' in row 50000 must be a number."}
    if answers is NDJSON:
        document = json.loads(response.content.splitlines()[-1])["error"]
        assert (document["status"], document["code"], document["errors"][0]["row"]) == (422, "invalid_rows", 50_000)
        assert document["request_id"] == response.headers["x-request-id"]


def test_a_model_that_fails_is_a_problem_first_and_a_record_later(service: Service) -> None:
    content = b'{"x":%d}\n' % RAISES
    status, code, detail = problem(post(service, content, NDJSON, path=OBJECT))
    assert (status, code) == (500, "prediction_failed")
    response = post(service, b'{"x":1}\n' * 100_000 + content, NDJSON, CSV, path=OBJECT)
    *answered, last = said(response.content, CSV)
    assert response.status_code == 200
    assert 0 < len(answered) <= 100_000
    assert last == {"error": detail}


def test_one_document_has_only_so_many_answers(service: Service) -> None:
    assert len(post(service, lines(100), NDJSON, JSON).json()["predictions"]) == 100
    assert problem(post(service, lines(101), NDJSON, JSON)) == (
        422,
        "invalid_rows",
        f"The body has more than 100 rows, the most that one JSON document answers; {ASK}",
    )


# --- memory, and callers of every kind


def memory(service: Service) -> int:
    """The most that the server ever had in memory, in bytes."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10  # type: ignore[index]


def open_files(service: Service) -> list[str]:
    """The temporary files of the server."""
    found = []
    for link in Path(f"/proc/{service.process.pid}/fd").iterdir():
        try:
            found.append(os.readlink(link))  # noqa: PTH115  # an unlinked file has no path
        except OSError:  # closed since the listing
            continue
    return [name for name in found if "(deleted)" in name]


def sockets(service: Service) -> int:
    """How many sockets the server has open."""
    found = 0
    for link in Path(f"/proc/{service.process.pid}/fd").iterdir():
        try:
            found += "socket:" in os.readlink(link)  # noqa: PTH115
        except OSError:
            continue
    return found


def threads(service: Service) -> int:
    """How many threads the server has."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(re.search(r"Threads:\s+(\d+)", status)[1])  # type: ignore[index]


def generated(blocks: int) -> Iterator[bytes]:
    block = lines(10_000)
    for _ in range(blocks):
        yield block


@pytest.mark.parametrize("answers", [NDJSON, CSV, ARROW, PARQUET], ids=lambda form: form.name)
def test_memory_does_not_grow_with_the_rows(service: Service, answers: Form) -> None:
    headers = {"content-type": NDJSON.media[0], "accept": answers.media[0]}

    def answered(blocks: int) -> int:
        with service.client.stream("POST", GRAPH, content=generated(blocks), headers=headers) as response:
            return sum(map(len, response.iter_raw()))

    small = answered(10)
    before = memory(service)
    assert answered(60) > 5 * small
    assert memory(service) - before < 30 << 20


def test_parquet_of_one_large_group_is_read_in_pieces(service: Service) -> None:
    def answered(rows: int) -> None:
        sink = io.BytesIO()
        pq.write_table(pa.table({"x": [float(n % 1000) for n in range(rows)]}), sink, row_group_size=rows)
        assert pq.read_metadata(io.BytesIO(post(service, sink.getvalue(), PARQUET).content)).num_rows == rows

    answered(100_000)
    before = memory(service)
    answered(500_000)
    assert memory(service) - before < 40 << 20


def test_a_caller_may_send_everything_before_reading_anything(service: Service) -> None:
    content = lines(MANY)
    with connected(service) as connection:
        connection.sendall(head(NDJSON, len(content)) + content)
        assert answers(connection) == MANY


def test_a_caller_may_read_slowly(service: Service) -> None:
    content = lines(MANY)
    with connected(service) as connection:
        sending = threading.Thread(target=connection.sendall, args=(head(NDJSON, len(content)) + content,))
        sending.start()
        sending.join()
        until(lambda: open_files(service))  # what is not read is kept in a file
        assert answers(connection) == MANY
    until(lambda: not open_files(service))


def test_answers_come_while_the_body_still_does(service: Service) -> None:
    content = lines(100_000)
    with connected(service) as connection:
        connection.sendall(head(NDJSON, len(content)) + content[:-100])
        assert connection.recv(100, socket.MSG_PEEK).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(content[-100:])
        assert answers(connection) == 100_000


def test_a_caller_who_leaves_while_sending_leaves_nothing_behind(service: Service) -> None:
    sockets_before, threads_before = sockets(service), threads(service)
    bodies = ((NDJSON, lines(50_000)), (CSV, b"x\n"), (ARROW, b""), (PARQUET, b"x" * (4 << 20)))
    for form, content in bodies * 10:
        with connected(service) as connection:
            connection.sendall(head(form, 1 << 30) + content)
    until(lambda: sockets(service) <= sockets_before and not open_files(service))
    until(lambda: threads(service) < threads_before + 20)  # the loop keeps a few for what else may wait


def test_a_caller_who_leaves_while_being_answered_leaves_nothing_behind(service: Service) -> None:
    content = lines(MANY)
    sockets_before = sockets(service)
    with connected(service) as connection:
        connection.sendall(head(NDJSON, len(content)) + content)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK")
        until(lambda: open_files(service))
    until(lambda: sockets(service) <= sockets_before and not open_files(service))
    assert post(service, lines(1), NDJSON).status_code == 200


def head(form: Form, size: int) -> bytes:
    lines = ["POST /models/graph/predict HTTP/1.1", "Host: localhost", f"Content-Type: {form.media[0]}"]
    return "\r\n".join([*lines, f"Content-Length: {size}", "Connection: close", "", ""]).encode()


def connected(service: Service) -> socket.socket:
    url = httpx.URL(service.url)
    return socket.create_connection((url.host, url.port or 80))


def answers(connection: socket.socket) -> int:
    """Receive a whole response, and count its answers."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.read().count(b'"prediction"')


def test_pandas_is_not_imported_for_arrow(service: Service) -> None:
    for form in (ARROW, PARQUET):
        assert post(service, body(form, [{"x": 1.0}]), form).status_code == 200
    maps = Path(f"/proc/{service.process.pid}/maps").read_text()
    assert "pyarrow" in maps
    assert "/pandas/" not in maps

"""serving.access_log, serving.guard: requests get a name, and a share of them a line in the log."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contract.store import Store
from serving.access_log import is_told
from serving.app import create_app
from serving.json_lines import Json
from serving.settings import ServeSettings
from tests.live import Times, publish, publish_graph, until
from tests.test_app import served

SHARE_OF = 2_000


class Kept(logging.Handler):
    """The events of the access log, as JSON lines tell them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(Json())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.lines.append(self.format(record))

    def documents(self) -> list[dict[str, Any]]:
        assert all(line.isprintable() for line in self.lines)
        return [json.loads(line) for line in self.lines]

    def named(self, request_id: str) -> dict[str, Any]:
        """The event of a request, of which there is one."""
        [found] = until(lambda: [one for one in self.documents() if one["request_id"] == request_id])
        return found


@pytest.fixture
def kept() -> Iterator[Kept]:
    log, kept = logging.getLogger("lectern.access"), Kept()
    log.addHandler(kept)
    log.setLevel(logging.INFO)
    yield kept
    log.removeHandler(kept)
    log.setLevel(logging.NOTSET)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that tells of every request."""
    store = Store(tmp_path_factory.mktemp("told") / "store")
    publish_graph(store, "double")
    publish_graph(store, "double", 3.0)
    with served(create_app(ServeSettings(store=store.root, access_log_share=1, prediction_log="none"))) as client:
        yield client


def test_a_prediction_is_told_with_who_answered(client: httpx.Client, kept: Kept) -> None:
    answer = client.post("/models/double@champion/predict", json=[{"x": 1}] * 3)
    found = kept.named(answer.headers["x-request-id"])
    assert found.pop("ms") >= 0
    assert found.pop("time")
    assert found.pop("message").startswith("POST /models/double@champion/predict 200 ")
    assert found == {
        "level": "INFO",
        "logger": "lectern.access",
        "method": "POST",
        "path": "/models/double@champion/predict",
        "status": 200,
        "caller": "127.0.0.1",
        "rows": 3,
        "model": "double",
        "version": 2,
        "alias": "champion",
        "request_id": answer.headers["x-request-id"],
    }


def test_a_stream_is_told_once_with_all_its_rows(client: httpx.Client, kept: Kept) -> None:
    rows = "x\n" + "1\n" * 20_000
    answer = client.post("/predict", content=rows, headers={"content-type": "text/csv"})
    assert kept.named(answer.headers["x-request-id"])["rows"] == 20_000


def test_a_version_that_is_loaded_for_a_request_has_one_line_and_one_name(client: httpx.Client, kept: Kept) -> None:
    answer = client.post("/models/double/versions/1/predict", json={"x": 1})
    found = kept.named(answer.headers["x-request-id"])
    assert (found["version"], found["alias"], answer.json()["id"]) == (1, "", found["request_id"])
    paths = Counter(one["path"] for one in kept.documents())
    assert paths["/models/double/versions/1/predict"] == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/health", 200),
        ("GET", "/static/pages/icon.svg", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/health", 405),
        ("POST", "/models/none/predict", 404),
        ("POST", "/models/double/versions/99/predict", 404),
        ("GET", "/models/double/versions/1/notebook", 404),
    ],
)
def test_every_answer_of_the_framework_has_a_name_that_its_line_has(
    client: httpx.Client, kept: Kept, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert len(answer.headers.get_list("x-request-id")) == 1
    found = kept.named(answer.headers["x-request-id"])
    assert (found["method"], found["path"], found["status"]) == (method, path, status)
    assert found["caller"] == "127.0.0.1"
    if status != 200:
        assert answer.json()["request_id"] == found["request_id"]


def test_a_path_with_a_line_of_its_own_stays_in_its_line(client: httpx.Client, kept: Kept) -> None:
    answer = client.get('/x%0a{"level": "INFO"}%1b[2J%0d%00')
    assert kept.named(answer.headers["x-request-id"])["path"] == '/x\n{"level": "INFO"}\x1b[2J\r\0'
    long = client.get(f"/{'y' * 2_000}")
    assert kept.named(long.headers["x-request-id"])["path"] == f"/{'y' * 299}…"
    named = client.post("/models/x%0airis%20version%209/predict", json={})
    assert kept.named(named.headers["x-request-id"])["status"] == 404


def test_who_wants_nothing_kept_gets_no_line(client: httpx.Client, kept: Kept) -> None:
    silent = client.post("/predict", json={"x": 1}, headers={"x-no-log": "1"}).headers["x-request-id"]
    kept.named(client.post("/predict", json={"x": 1}).headers["x-request-id"])
    assert silent not in {one["request_id"] for one in kept.documents()}


def test_a_share_is_told_and_what_failed_always_is_and_without_one_nothing() -> None:
    told = sum(is_told(0.25, 200) for _ in range(SHARE_OF))
    assert 0.2 * SHARE_OF < told < 0.3 * SHARE_OF
    assert all(is_told(1, status) and is_told(0.001, 500) for status in (0, 200, 404, 503) for _ in range(100))
    assert not any(is_told(0, status) for status in (0, 200, 500))


def test_what_fails_is_told_louder(store: Store, kept: Kept) -> None:
    publish(store, "triple", Times(3.0))
    with served(create_app(ServeSettings(store=store.root, access_log_share=1e-9, prediction_log="none"))) as client:
        answer = client.post("/predict", json={"x": 13})
        found = kept.named(answer.headers["x-request-id"])
        assert (found["level"], found["status"], found["model"]) == ("WARNING", 500, "triple")
        assert client.post("/predict", json={"x": 1}).status_code == 200
    assert len(kept.lines) == 1


def test_what_nobody_foresaw_has_the_name_that_its_line_has(
    store: Store, kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(ServeSettings(store=store.root, access_log_share=1, prediction_log="none"))

    @app.framework().get("/broken")
    def broken() -> None:
        raise ZeroDivisionError

    with served(app) as client:
        answer = client.get("/broken")
    found = kept.named(answer.headers["x-request-id"])
    assert (answer.status_code, found["status"], answer.json()["request_id"]) == (500, 500, found["request_id"])
    [failed] = [record for record in caplog.records if record.exc_info]
    assert vars(failed)["request_id"] == found["request_id"]

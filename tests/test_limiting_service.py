"""serving.limiting in a service: who asks too often, for too many rows, or with keys that are none, is told so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.store import Store
from serving.access.key_file import add
from serving.app import create_app
from serving.settings import ServeSettings
from tests.live import publish_graph, until
from tests.test_app import served

OWNERS = ("often", "other", "rows", "stream", "late", "one", "columns", "owner", "operator")
LIMIT, ROWS = 12, 10_000


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each owner of a key sends."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    return {"": str(path)} | {name: add(path, name, ["admin"])[1] for name in OWNERS}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str]) -> Iterator[httpx.Client]:
    store = Store(tmp_path_factory.mktemp("limited") / "store")
    publish_graph(store, "double")
    settings = ServeSettings(
        store=store.root,
        prediction_log="none",
        keys=Path(keys[""]),
        limit_per_caller=f"{LIMIT}/day",
        quota_rows=f"{ROWS}/day",
        max_rows=20_000,
    )
    own = {"authorization": f"Bearer {keys['operator']}"}
    with served(create_app(settings), read=False) as client:
        until(lambda: client.get("/health", headers=own).json()["status"] == "ready")
        yield client


@pytest.fixture
def ask(client: httpx.Client, keys: dict[str, str]) -> Any:
    def ask(owner: str, content: Any, kind: str = "application/json") -> httpx.Response:
        headers = {"authorization": f"Bearer {keys.get(owner, owner)}", "content-type": kind}
        body = content if isinstance(content, bytes) else json.dumps(content)
        return client.post("/models/double/predict", content=body, headers=headers)

    return ask


def test_the_request_above_the_limit_is_refused_and_other_keys_are_not(ask: Any) -> None:
    assert [ask("often", {"x": 1}).status_code for _ in range(LIMIT)] == [200] * LIMIT
    answer = ask("often", {"x": 1})
    assert (answer.status_code, answer.headers["content-type"]) == (429, "application/problem+json")
    assert answer.json()["code"] == "rate_limited"
    assert 86_000 < int(answer.headers["retry-after"]) <= 88_000
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert ask("other", {"x": 1}).status_code == 200


@pytest.mark.parametrize(
    ("owner", "shape"),
    [
        ("rows", lambda number: [{"x": 1}] * number),
        ("columns", lambda number: {"columns": ["x"], "data": [[1]] * number}),
    ],
)
def test_rows_are_counted_before_they_are_answered(ask: Any, owner: str, shape: Any) -> None:
    assert ask(owner, shape(6_000)).status_code == 200
    answer = ask(owner, shape(5_000))
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert "3,999 are left, and the request has 4,999 more: send fewer rows" in answer.json()["detail"]
    assert ask(owner, shape(3_999)).status_code == 200
    assert ask(owner, shape(1)).json()["code"] == "quota_exceeded"


def test_a_stream_is_refused_as_a_whole_where_its_first_rows_are_too_many(ask: Any) -> None:
    assert ask("stream", b'{"x":1}\n' * 9_000, "application/x-ndjson").status_code == 200
    answer = ask("stream", b'{"x":1}\n' * 2_000, "application/x-ndjson")
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert int(answer.headers["retry-after"]) > 1


def test_a_stream_ends_where_the_quota_does(ask: Any) -> None:
    answer = ask("late", b"x\n" + b"1\n" * 20_000, "text/csv")
    assert answer.status_code == 200
    lines = answer.text.splitlines()
    assert len(lines) == 1 + 8_192 + 1
    assert "The limit of this caller is 10,000 rows per day; 1,808 are left" in lines[-1]


def test_wrong_keys_are_refused_more_shortly_and_the_right_one_never(ask: Any, client: httpx.Client) -> None:
    found = [ask(f"lk_{'0' * 12}_{number:043}", {"x": 1}) for number in range(31)]
    assert [answer.status_code for answer in found] == [401] * 30 + [429]
    assert "wrong keys" in found[-1].json()["detail"]
    assert client.post("/models/double/predict", json={"x": 1}).status_code == 401  # no key is no attempt
    assert ask("owner", {"x": 1}).status_code == 200


def test_what_was_refused_is_counted(ask: Any, client: httpx.Client, keys: dict[str, str]) -> None:
    for _ in range(LIMIT + 1):
        ask("one", {"x": 1})
    text = client.get("/metrics", headers={"authorization": f"Bearer {keys['operator']}"}).text
    counted = dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith("lectern_refused_total"))
    assert float(counted['lectern_refused_total{reason="caller_limit"}']) >= 1
    assert "lectern_limits_apart_total 0.0" in text

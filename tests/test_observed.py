"""serving.observed: what is known of a request once it has been dealt with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import pytest

from contract.deploying import Deployer
from contract.promotions import CHALLENGER
from contract.store import Store
from serving.app import create_app
from serving.observed import STREAMING, Observed, Observer, Part
from serving.settings import ServeSettings
from tests.live import publish_graph, until
from tests.test_app import served

MODEL = "times"


class Keeper(Observer):
    """Keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[Observed] = []

    def see(self, some: Sequence[Observed]) -> None:
        self.seen += some


class Failing(Observer):
    """Cannot look at anything."""

    def see(self, some: Sequence[Observed]) -> None:
        raise ZeroDivisionError


@contextmanager
def watched(store: Store, *observers: Observer) -> Iterator[tuple[httpx.Client, Keeper]]:
    """A service whose answers are kept."""
    app, keeper = create_app(ServeSettings(store=store.root)), Keeper()
    app.registry.observation.observers += [*observers, keeper]
    with served(app) as client:
        yield client, keeper


@pytest.fixture
def model(store: Store) -> Store:
    publish_graph(store, MODEL)
    return store


def test_a_reply_is_observed_with_its_rows_and_names(model: Store) -> None:
    with watched(model) as (client, keeper):
        one = client.post("/predict", json={"x": 1}).json()
        many = client.post("/predict", json=[{"x": 2}]).json()["predictions"]
        until(lambda: len(keeper.seen) == 2)
    first, second = keeper.seen
    assert first.reply is not None
    assert second.reply is not None
    assert (first.reply.ids, second.reply.ids) == ([one["id"]], [many[0]["id"]])
    assert (first.request_id, first.status, first.rows) == (one["id"], 200, 1)
    assert first.columns == {"x": [1]}
    assert second.reply.answers.values == [4.0]


def test_a_stream_is_observed_in_parts_and_at_its_end(model: Store) -> None:
    rows = "x\n" + "\n".join(map(str, range(10_000)))
    with watched(model) as (client, keeper):
        answer = client.post("/predict", content=rows, headers={"content-type": "text/csv"})
        until(lambda: keeper.seen and keeper.seen[-1].status == 200)
    *parts, end = keeper.seen
    assert [(part.status, part.rows) for part in parts] == [(STREAMING, 8192), (STREAMING, 10_000 - 8192)]
    assert (end.rows, end.reply) == (10_000, None)
    last = parts[-1].reply
    assert isinstance(last, Part)
    assert last.ids[-1] == f"{answer.headers['x-request-id']}-9999"
    assert last.ids[-1] in answer.text.splitlines()[-1]
    assert len(last.rows) == len(parts[-1].columns["x"]) == 10_000 - 8192
    assert last.rows[-1] == {"x": 9999.0}


def test_a_refusal_is_observed_without_rows(model: Store) -> None:
    with watched(model) as (client, keeper):
        refused = client.post("/predict", json={"y": 1})
        until(lambda: keeper.seen)
    [one] = keeper.seen
    assert (one.status, one.rows, one.reply) == (422, 0, None)
    assert one.request_id == refused.headers["x-request-id"]


@pytest.mark.parametrize(
    ("path", "alias"),
    [
        ("/predict", "champion"),
        ("/models/times/predict", "champion"),
        ("/models/times@champion/predict", "champion"),
        ("/models/times@challenger/predict", "challenger"),
        ("/models/times/versions/1/predict", ""),
        ("/v1/predict", ""),
    ],
)
def test_who_was_asked_is_known(model: Store, path: str, alias: str) -> None:
    deployer = Deployer(model, "somebody", lambda _: None)
    deployer.promote(MODEL, 1)
    deployer.promote(MODEL, publish_graph(model, MODEL, 3.0), CHALLENGER)
    with watched(model) as (client, keeper):
        assert client.post(path, json={"x": 1}, headers={"X-Thing": "a"}).is_success
        until(lambda: keeper.seen)
    [one] = keeper.seen
    assert (one.alias, one.header(b"x-thing"), one.header(b"x-other")) == (alias, "a", None)


def test_the_share_of_a_challenger_is_told_from_the_champions(model: Store) -> None:
    deployer = Deployer(model, "somebody", lambda _: None)
    deployer.promote(MODEL, 1)
    deployer.promote(MODEL, publish_graph(model, MODEL, 3.0), CHALLENGER)
    deployer.traffic(MODEL, share=50)
    with watched(model) as (client, keeper):
        for _ in range(20):
            client.post("/predict", json={"x": 1})
        until(lambda: len(keeper.seen) == 20)
    assert {(one.alias, one.served.version) for one in keeper.seen} == {("champion", 1), ("challenger", 2)}


def test_an_observer_that_fails_keeps_the_others_from_nothing(model: Store, caplog: pytest.LogCaptureFixture) -> None:
    with watched(model, Failing()) as (client, keeper):
        client.post("/predict", json={"x": 1})
        until(lambda: keeper.seen)
    assert "Failing failed in an unforeseen way." in caplog.text

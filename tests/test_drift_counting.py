"""serving.drift: rows and answers are counted while they are served, in slices that add up to windows."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from contract.baseline import BASELINE, Baseline, Counts
from contract.errors import BaselineNotFound
from contract.signature import Field, Output, Signature
from contract.store import Store
from serving.app import Lectern, create_app
from serving.drift.counting import Meter
from serving.drift.reference import MOST_VALUES, Reference
from serving.drift.slices import IN_A_TIME, IN_A_WINDOW, Slice, Slices, in_turn, newest, packed, since, unpacked
from serving.settings import ServeSettings
from tests.counted import MODEL, baseline, drawn, publish_counted
from tests.gallery import graph
from tests.live import until
from tests.samples import manifest
from tests.test_app import served

DAY_S = 86_400.0


def some(rows: int, ended: float = 0.0) -> Slice:
    return Slice(ended, ended, rows, np.array([rows, 1]))


# --- slices and windows


def test_slices_of_the_newest_rows_are_as_many_as_a_window_needs() -> None:
    slices = Slices(1_000, DAY_S)
    for number in range(10_000):
        slices.add(some(1, float(number)))
    found = slices.by["rows"]
    assert IN_A_WINDOW <= len(found) <= IN_A_WINDOW + 1
    window = newest(found, 1_000)
    assert window is not None
    assert (1_000 <= window.rows < 1_100, window.counts.tolist()) == (True, [window.rows] * 2)
    assert (window.began, window.ended) == (10_000 - window.rows, 9_999)
    assert slices.total == 10_000
    slices.add(some(50_000, 10_000.0))
    assert [one.rows for one in slices.by["rows"]][-1] >= 50_000


def test_slices_of_a_time_are_few_however_many_rows_come() -> None:
    slices = Slices(1_000, DAY_S)
    for minute in range(3 * 24 * 60):
        slices.add(some(7, 60.0 * minute))
    found = slices.by["time"]
    assert len(found) <= IN_A_TIME + 2
    last = since(found, 60.0 * 3 * 24 * 60 - DAY_S)
    assert last is not None
    assert last.rows == pytest.approx(7 * 24 * 60, rel=0.05)
    assert since(found, 1e9) is None
    assert newest([], 10) is None


def test_slices_of_several_workers_are_taken_by_time() -> None:
    found = newest([some(100, 1.0), some(100, 3.0), some(100, 2.0)], 200)
    assert found is not None
    assert (found.rows, found.began, found.ended) == (200, 2.0, 3.0)


def test_windows_of_the_past_have_enough_rows_and_are_few() -> None:
    slices = [some(10, float(number)) for number in range(1_000)]
    found = in_turn(slices, rows=200, most=40)
    assert [one.rows for one in found] == [250] * 40
    assert [one.ended for one in found] == sorted(one.ended for one in found)
    assert in_turn(slices[:19], rows=200, most=40) == []
    assert in_turn([], rows=200, most=40) == []


def test_what_is_looked_at_does_not_change() -> None:
    slices = Slices(1_000, DAY_S)
    slices.add(some(10))
    one = slices.by["rows"][-1].copy()
    slices.add(some(10))
    assert (one.rows, one.counts.tolist()) == (10, [10, 1])


def test_a_slice_travels_as_json() -> None:
    one = some(10, 5.0)
    found = unpacked(json.loads(json.dumps(packed(one))), 2)
    assert (found.began, found.ended, found.rows, found.counts.tolist()) == (5.0, 5.0, 10, [10, 1])
    for wrong in ([1, 2, 3, [1, 2, 3]], [1, 2, 3, [1, -2]], [1, 2, 0, [0, 0]], [1, 2]):
        with pytest.raises(ValueError, match=r"no slice|not enough values"):
            unpacked(wrong, 2)


# --- the reference


def reference(*names: str, outputs: dict[str, Counts] | None = None) -> Reference:
    counts = Counts(by="number", edges=(0.0,), counts=(0, 0), missing=0)
    fields = tuple(Field(name=name, type="float", dtype="float64") for name in names or ("x",))
    signature = Signature(container="frame", inputs=fields, output=Output(task="regression"))
    found = Baseline(rows=0, fields=dict.fromkeys(names, counts), outputs=outputs or {})
    return Reference(found, manifest(signature=signature))


def test_counts_are_spelled_and_read() -> None:
    found = reference("a", "b")
    numbers = found.count({"a": [1.0, None], "b": [-1.0, 2.0]}, [])
    assert numbers.tolist() == [0, 1, 1, 1, 1, 0]
    assert json.loads(found.spelled(numbers)) == {"a": [0, 1, 1], "b": [1, 1, 0]}
    read = found.read(found.spelled(numbers))
    assert read.tolist() == numbers.tolist()
    for wrong in ("", "[]", '{"a": [0, 1, 1]}', '{"a": [0, 1], "b": [1, 1, 0]}', '{"a": [-1, 1, 1], "b": [1, 1, 0]}'):
        assert found.read(wrong) is None


def test_no_output_is_called_as_an_input() -> None:
    counts = Counts(by="number", edges=(0.0,), counts=(0, 0), missing=0)
    found = reference("prediction", "output prediction", outputs={"prediction": counts})
    assert [part.name for part in found.parts] == ["prediction", "output prediction", "output output prediction"]
    assert found.count({"prediction": [1.0], "output prediction": [-1.0]}, [5.0]).sum() == 3


def test_where_nothing_can_be_counted_there_is_no_reference() -> None:
    with pytest.raises(BaselineNotFound, match="Nothing that the version takes or gives can be counted"):
        reference()


def test_of_wide_rows_one_in_several_is_counted() -> None:
    names = [f"x{number}" for number in range(3 * MOST_VALUES)]
    meter = Meter(reference(*names), ServeSettings())
    assert meter.reference.every == 3
    for rows in (1, 1, 1, 1, 5, 100, 1):
        meter.count(dict.fromkeys(names, [1.0] * rows), [0.0] * rows)
    assert meter.slices.total == math.ceil(110 / 3)


# --- what was answered


@pytest.fixture
def app(store: Store) -> Lectern:
    publish_counted(store)
    return create_app(ServeSettings(store=store.root, prediction_log="none"))


@pytest.fixture
def client(app: Lectern) -> Iterator[httpx.Client]:
    with served(app) as client:
        yield client


def counted(client: httpx.Client, rows: int) -> dict[str, list[int]]:
    """The counts of each bin, once so many rows were counted."""
    until(lambda: client.get(f"/models/{MODEL}/drift").json()["rows"] == rows)
    found = client.get(f"/models/{MODEL}/drift").json()["fields"]
    return {field["name"]: [one["count"] for one in field["bins"]] for field in found}


def test_rows_in_every_form_are_counted_with_their_answers(client: httpx.Client) -> None:
    rows = drawn(100)
    lines = b"\n".join(json.dumps(row).encode() for row in rows)
    text = "x\n" + "\n".join(str(row["x"]) for row in rows)
    for row in rows:
        assert client.post("/predict", json=row).status_code == 200
    assert client.post("/predict", json=rows).status_code == 200
    assert client.post("/predict", content=lines, headers={"content-type": "application/x-ndjson"}).status_code == 200
    assert client.post("/predict", content=text, headers={"content-type": "text/csv"}).status_code == 200
    assert client.post("/predict", json={"x": "no number"}).status_code == 422
    found = counted(client, 400)
    made = Baseline.model_validate_json(baseline())
    once = made.fields["x"].count([row["x"] for row in rows])
    assert found == {"x": (4 * once)[:-1].tolist(), "prediction": (4 * once)[:-1].tolist()}


def test_whoever_wants_no_log_is_counted(client: httpx.Client) -> None:
    assert client.post("/predict", json=drawn(250), headers={"x-no-log": "1"}).status_code == 200
    assert sum(counted(client, 250)["x"]) == 250


def test_fewer_rows_than_are_needed_say_nothing(client: httpx.Client) -> None:
    client.post("/predict", json=drawn(199))
    until(lambda: client.get(f"/models/{MODEL}/drift").json()["rows"] == 199)
    found = client.get(f"/models/{MODEL}/drift").json()
    assert (found["state"], found["needed"]) == ("waiting", 200)
    assert [(field["psi"], field["p_value"], field["alarm"]) for field in found["fields"]] == [(None, None, False)] * 2


def test_a_version_is_counted_by_itself_and_by_time(app: Lectern, store: Store) -> None:
    publish_counted(store, factor=3.0)
    with served(app) as client:
        client.post(f"/models/{MODEL}/versions/1/predict", json=drawn(300, moved=1))
        client.post(f"/models/{MODEL}/versions/2/predict", json=drawn(400))
        path = f"/models/{MODEL}/drift"
        for query, rows, state in (("version=1", 300, "drifted"), ("version=2", 400, "steady")):
            until(lambda query=query, rows=rows: client.get(f"{path}?{query}").json()["rows"] == rows)  # type: ignore[misc]
            for window in ("rows", "time"):
                found = client.get(f"{path}?{query}&window={window}").json()
                assert (found["rows"], found["state"], found["window"]) == (rows, state, window)
        assert {(*key[:3],) for key in app.registry.watch.drift.gauges()} <= {
            (MODEL, number, name) for number in (1, 2) for name in ("x", "prediction")
        }
        until(lambda: {alarm for _, number, _, _, alarm in app.registry.watch.drift.gauges() if number == 1} == {True})
        psi = {name: psi for _, number, name, psi, _ in app.registry.watch.drift.gauges() if number == 1}
        assert psi.keys() == {"x", "prediction"}
        assert min(psi.values()) > 0.5


# --- without a baseline


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "The version was made without counts of the rows it was trained on."),
        ({BASELINE: b"{}"}, "baseline.json is not a document of counts."),
    ],
)
def test_a_version_without_a_baseline_answers_and_says_why_it_has_no_drift(
    store: Store, files: dict[str, bytes], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    graph(store, MODEL, 2.0, files)
    with served(create_app(ServeSettings(store=store.root))) as client:
        assert client.post("/predict", json=drawn(300)).status_code == 200
        found = client.get(f"/models/{MODEL}/drift")
        assert (found.status_code, found.json()["code"]) == (404, "no_baseline")
        assert found.json()["detail"] == f"There is no drift of version 1 of '{MODEL}'. {told}"
        assert client.post("/predict", json=drawn(300)).status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_rows_that_cannot_be_counted_are_told_of_once(
    app: Lectern, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    moments = {"by": "moment", "edges": [0.0], "counts": [0, 0], "missing": 0}
    found = {"rows": 1, "fields": {"x": moments}, "outputs": {}}
    graph(store, "odd", 2.0, {BASELINE: json.dumps(found).encode()})
    with served(app) as client:
        for _ in range(3):
            assert client.post("/models/odd/predict", json=drawn(10)).status_code == 200
            until(lambda: client.get("/models/odd/drift").status_code == 404)
        assert "the log says why" in client.get("/models/odd/drift").json()["detail"]
        client.post(f"/models/{MODEL}/predict", json=drawn(10))
        assert sum(counted(client, 10)["x"]) == 10
    assert [record.message for record in caplog.records if record.name == "lectern.drift"] == [
        "The rows of odd version 1 cannot be counted: TypeError."
    ]

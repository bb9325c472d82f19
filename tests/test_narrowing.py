"""serving.narrowing: what rows are held to beyond the signature, by the graph's type and by the operator's wish."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contract.manifest import Onnx, Runtime
from contract.signature import Field, Output, Signature
from contract.store import Store
from serving.narrowing import Unseen, held
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.settings import ServeSettings
from tests.live import publish_graph, running
from tests.samples import manifest
from tests.test_routes import problem

FIELDS = (
    Field(name="x", type="float", dtype="float64", observed=(0, 10), example=1.0),
    Field(name="free", type="float", dtype="float64", example=1.0),
    Field(name="bound", type="float", dtype="Float64", bounds=(5, 1e300), observed=(0, 10), example=6.0),
    Field(name="rooms", type="integer", dtype="int64", observed=(1, 4), example=3),
    Field(name="half", type="float", dtype="float16", example=1.0),
    Field(name="pair", type="tensor", dtype="float64", shape=(2,), observed=(-1, 1), example=[0.0, 0.5]),
    Field(name="whole", type="tensor", dtype="int64", shape=(2,), example=[0, 1]),
    Field(name="town", type="string", dtype="str", levels=("Ulm", "Wien"), nullable=True, example="Ulm"),
    Field(name="text", type="string", dtype="str", example="a"),
    Field(name="day", type="date", dtype="datetime64[ns]", observed=("2026-01-01", "2026-12-31"), example="2026-11-21"),
)
SIGNATURE = Signature(container="frame", inputs=FIELDS, output=Output(task="regression"))
ROW = SIGNATURE.example
DOUBLE = Runtime(format="onnx", onnx=Onnx(layout="columns", dtype="float64", max_difference=0.0))
SINGLE = Runtime(format="onnx", onnx=Onnx(layout="columns", dtype="float32", max_difference=0.0))
FITTED = Runtime(format="joblib", reason="This is a test.")


def schema(runtime: Runtime, unseen: Unseen) -> RequestSchema:
    return RequestSchema(held(manifest(signature=SIGNATURE, runtime=runtime), unseen), max_rows=3)


def codes(found: RequestSchema, **changes: Any) -> list[tuple[str, str]]:
    """What is refused of the row with some values changed."""
    try:
        found.read(json.dumps(ROW | changes).encode())
    except Problem as refused:
        return [(error.field, error.code) for error in refused.errors]
    return []


@pytest.mark.parametrize("runtime", [DOUBLE, FITTED], ids=["float64", "fitted"])
def test_as_a_rule_it_is_the_signature(runtime: Runtime) -> None:
    found = schema(runtime, "warn")
    assert found.signature == SIGNATURE
    assert codes(found, free=1e300, x=1e300, pair=[1e300, 0], rooms=2**62, town="Graz", day="2030-01-01") == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("free", 1e39, "out_of_range"),
        ("x", -1e39, "out_of_range"),
        ("bound", 1e39, "out_of_bounds"),
        ("pair", [0, 1e39], "out_of_range"),
        ("half", 1e5, "out_of_range"),
    ],
)
def test_a_graph_that_computes_in_single_precision_takes_what_that_holds(name: str, value: Any, code: str) -> None:
    found = schema(SINGLE, "warn")
    assert codes(found, free=3.4e38, x=-3.4e38, pair=[3.4e38, 1], rooms=2**62, whole=[2**62, 0]) == []
    assert codes(found, **{name: value}) == [(name, code)]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("x", 10.01, "out_of_bounds"),
        ("x", -0.01, "out_of_bounds"),
        ("bound", 4, "out_of_bounds"),
        ("bound", 11, "out_of_bounds"),
        ("rooms", 5, "out_of_bounds"),
        ("pair", [0, 2], "out_of_bounds"),
        ("town", "Graz", "unknown_category"),
    ],
)
def test_what_no_model_saw_may_be_refused(name: str, value: Any, code: str) -> None:
    found = schema(DOUBLE, "refuse")
    assert codes(found, x=10, bound=10, rooms=4, pair=[-1, 1], town=None, text="z", free=1e300, day="2030-01-01") == []
    assert codes(found, **{name: value}) == [(name, code)]
    assert codes(schema(SINGLE, "refuse"), **{name: value}) == [(name, code)]


def test_the_service_refuses_in_every_form_what_it_is_told_to(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    publish_graph(store, "double")
    with running(store, unseen="refuse") as service:
        assert service.predict({"x": 1_000}).json()["warnings"] == []
        for kind, body in (
            ("application/json", b'{"x": 1001}'),
            ("application/json", b'[{"x": 1001}]'),
            ("application/json", b'{"columns": ["x"], "data": [[1001]]}'),
            ("application/x-ndjson", b'{"x": 1001}\n'),
            ("text/csv", b"x\n1001\n"),
        ):
            found = problem(service.client.post("/predict", content=body, headers={"content-type": kind}))
            assert (found.status, found.errors[0].code) == (422, "out_of_bounds")
            assert found.errors[0].message.endswith("must be a number from -100 to 1000.")
        schema = service.get("/openapi.json")["components"]["schemas"]["double-row"]["properties"]["x"]
        assert (schema["minimum"], schema["maximum"]) == (-100, 1000)


def test_a_row_is_answered_with_a_warning_unless_told_otherwise() -> None:
    assert ServeSettings().unseen == "warn"

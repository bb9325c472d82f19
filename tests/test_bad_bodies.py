"""Bodies that are wrong, over the whole service: each gets its exact status in whatever form it comes, and no more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from contract import golden
from contract.answers import Answers, Columns
from contract.formats import onnx
from contract.manifest import Onnx, Runtime
from contract.signature import Field, Output, Signature
from contract.store import Store
from serving.problems import MAX_BYTES, MAX_ERRORS
from tests.live import Says, Service, multiplication, publish, running
from tests.samples import sealed
from tests.test_routes import problem

SECRET = "swordfish"
LONGEST = 5_000
NOTES = Signature(
    container="frame",
    inputs=(
        Field(name="size", type="float", dtype="float64", example=1.5),
        Field(name="rooms", type="integer", dtype="int64", example=3),
        Field(name="small", type="integer", dtype="int8", example=3),
        Field(name="new", type="boolean", dtype="bool", example=True),
        Field(name="note", type="string", dtype="str", levels=("a",), example="a"),
        Field(name="kind", type="category", dtype="category", levels=("a", "b"), example="a"),
        Field(name="day", type="date", dtype="datetime64[ns]", example="2026-11-21"),
    ),
    output=Output(task="regression"),
)
ROW = NOTES.example
SINGLE = Signature(
    container="frame",
    inputs=(
        Field(name="x", type="float", dtype="float64", example=1.0),
        Field(name="y", type="float", dtype="float64", bounds=(-1e300, 1e300), example=1.0),
    ),
    output=Output(task="regression", width=2),
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A model of every type, and a graph that computes in float32."""
    store = Store(tmp_path_factory.mktemp("bodies") / "store")
    publish(store, "notes", Says(predict=lambda frame: frame["size"].to_numpy()), signature=NOTES)
    publish_single(store)
    with running(store, default_model="notes", max_text_chars=LONGEST, max_body_bytes=8 << 20) as found:
        yield found
        assert SECRET not in found.printed + found.complaints
        assert "\x1b" not in found.printed + found.complaints
        assert "Traceback" not in found.complaints


def publish_single(store: Store) -> None:
    """Make a model of a graph that multiplies two numbers by 2, in float32."""
    import onnx as graphs
    from onnx import TensorProto

    graph = graphs.load_from_string(multiplication(2.0))
    for node in (*graph.graph.input, *graph.graph.output):
        node.type.tensor_type.elem_type = TensorProto.FLOAT
        node.type.tensor_type.shape.dim[1].dim_value = 2
    graph.graph.initializer[0].CopyFrom(graphs.helper.make_tensor("factor", TensorProto.FLOAT, [1], [2.0]))
    answers = Answers([[2.0, 4.0], [6.0, 8.0]])
    rows: Columns = {"x": [1.0, 3.0], "y": [2.0, 4.0]}
    files = {onnx.FILE: graph.SerializeToString(), golden.GOLDEN: golden.write(rows, answers)}
    runtime = Runtime(format="onnx", onnx=Onnx(layout="matrix", dtype="float32", max_difference=0.0))
    store.publish(sealed(store, files, model="single", signature=SINGLE, runtime=runtime))


def post(service: Service, body: bytes | str, kind: str = "application/json", path: str = "/predict") -> httpx.Response:
    content = body if isinstance(body, bytes) else body.encode()
    return service.client.post(path, content=content, headers={"content-type": kind})


def forms(row: str, good: str) -> dict[str, tuple[str, str, int | None]]:
    """A row as JSON in each form that takes such rows: the body, its type, and the number that the row has there."""
    values = ",".join(spelled(row))
    first = len(row) > 100_000  # else the row before it is answered before this one has come
    return {
        "an object": (row, "application/json", None),
        "a list": (f"[{good},{row}]", "application/json", 1),
        "columns": (f'{{"columns":{json.dumps(list(json.loads(good)))},"data":[[{values}]]}}', "application/json", 0),
        "lines": (f"{row}\n{good}\n" if first else f"{good}\n{row}\n", "application/x-ndjson", 0 if first else 1),
    }


def spelled(row: str) -> list[str]:
    """The values of a row as they are spelled."""
    return [part.partition(":")[2] for part in row[1:-1].split(",")]


def changed(name: str, value: str) -> str:
    """The row as JSON with one value spelled otherwise."""
    parts = [f"{json.dumps(key)}:{value if key == name else json.dumps(old)}" for key, old in ROW.items()]
    return "{" + ",".join(parts) + "}"


# --- values


BAD_VALUES = [
    ("C1", "size", "NaN", 400, "invalid_json"),
    ("C1", "size", "-Infinity", 400, "invalid_json"),
    ("C2", "size", "1e400", 422, "not_finite"),
    ("C2", "rooms", "1e400", 422, "wrong_type"),
    ("C7", "rooms", str(2**63), 422, "out_of_range"),
    ("C7", "rooms", str(-(2**63) - 1), 422, "out_of_range"),
    ("C7", "rooms", str(2**64), 422, "out_of_range"),
    ("C7", "small", "128", 422, "out_of_range"),
    ("C8", "rooms", "1.0", 422, "wrong_type"),
    ("C8", "size", '"1"', 422, "wrong_type"),
    ("C8", "size", "true", 422, "wrong_type"),
    ("C8", "new", "1", 422, "wrong_type"),
    ("C8", "note", "1", 422, "wrong_type"),
    ("C8", "size", "null", 422, "wrong_type"),
    ("C14", "size", f'"{SECRET * 115_000}"', 422, "wrong_type"),
    ("C14", "kind", f'"{SECRET * 115_000}"', 422, "unknown_category"),
    ("C14", "day", f'"{SECRET * 115_000}"', 422, "invalid_date"),
    ("C19", "note", f'"{SECRET * 115_000}"', 422, "too_long"),
    ("C19", "note", f'"{"é" * (LONGEST + 1)}"', 422, "too_long"),
    ("C22", "day", '"2026-11-21T' + "1" * 500_000 + '"', 422, "invalid_date"),
    ("C22", "day", '"' + "٣" * 10_000 + '"', 422, "invalid_date"),
]


@pytest.mark.parametrize(("case", "name", "value", "status", "code"), BAD_VALUES, ids=lambda value: str(value)[:20])
def test_a_bad_value_is_refused_in_every_form(
    service: Service, case: str, name: str, value: str, status: int, code: str
) -> None:
    for form, (body, kind, row) in forms(changed(name, value), json.dumps(ROW)).items():
        response = post(service, body, kind)
        found = problem(response)
        assert (found.status, found.code) == (status, code if status == 400 else "invalid_rows"), (case, form)
        assert len(response.content) < 1_000
        assert SECRET.encode() not in response.content
        if status == 422:
            assert [(error.field, error.code, error.row) for error in found.errors] == [(name, code, row)], form


@pytest.mark.parametrize(
    "text", ["\0", "\u202egnp.exe", "\x1b[31m", "x" * LONGEST, "\ufeff", '"', "\\", "[[[[", "\U0001f600"]
)
def test_an_odd_text_is_answered_with_a_warning_and_stays_on_one_line(service: Service, text: str) -> None:
    response = service.predict(ROW | {"note": text}, "/predict?echo=true")
    assert (response.status_code, response.json()["input"]["note"]) == (200, text)
    assert [warning["kind"] for warning in response.json()["warnings"]] == ["unseen"]
    assert not set(response.content) & set(range(32))
    lines = post(service, json.dumps(ROW | {"note": text}) + "\n", "application/x-ndjson")
    assert (lines.status_code, lines.content.count(b"\n")) == (200, 1)


SINGLES = ["1e39", "-1e39", "3.5e38", "1.7976931348623157e308"]


@pytest.mark.parametrize("number", SINGLES)
def test_what_a_graph_cannot_hold_is_out_of_its_range(service: Service, number: str) -> None:
    good, path = '{"x": 1, "y": 2}', "/models/single/predict"
    assert post(service, good, path=path).json()["prediction"] == [2.0, 4.0]
    for name, code in (("x", "out_of_range"), ("y", "out_of_bounds")):
        row = json.dumps({"x": 1, "y": 2} | {name: "?"}).replace('"?"', number)
        all_forms = forms(row, good)
        cells = ",".join(spelled(row))
        all_forms["a table"] = (f"x,y\n1,2\n{cells}\n".replace(" ", ""), "text/csv", 1)
        for form, (body, kind, place) in all_forms.items():
            found = problem(post(service, body, kind, path))
            assert (found.status, found.code) == (422, "invalid_rows"), form
            assert [(error.field, error.code, error.row) for error in found.errors] == [(name, code, place)], form
            assert found.errors[0].message.endswith(" must be a number from -3.402823466e+38 to 3.402823466e+38.")


def test_what_a_graph_can_just_hold_is_answered(service: Service) -> None:
    answer = service.predict({"x": 1.6e38, "y": -1}, "/models/single/predict")
    assert (answer.status_code, answer.json()["prediction"][1]) == (200, -2.0)


# --- keys and depth


def test_a_key_that_stands_twice_is_refused_in_every_form(service: Service) -> None:
    for path, row in (("/predict", ROW), ("/models/single/predict", SINGLE.example)):
        name, value = next(iter(row.items()))
        good = json.dumps(row)
        twice = f'{{"{name}":{value},{good[1:]}'
        columns = f'{{"columns":{json.dumps(list(row))},"data":[{json.dumps(list(row.values()))}]'
        for body, kind in (
            (twice, "application/json"),
            (f"[{twice}]", "application/json"),
            (f"[{good},{twice},{good}]", "application/json"),
            (f'{columns},"columns":{json.dumps(list(row))}}}', "application/json"),
            (f"{good}\n{twice}\n", "application/x-ndjson"),
        ):
            found = problem(post(service, body, kind, path))
            assert (found.status, found.code, found.errors) == (400, "duplicate_key", []), body[:60]


@pytest.mark.parametrize("depth", [101, 1_000, 10**5, 10**6])
def test_a_deep_body_is_refused_in_every_form(service: Service, depth: int) -> None:
    for opening, closing in (("[", "]"), ('{"x":', "}")):
        deep = opening * depth + "1" + closing * depth
        for body, kind in (
            (deep, "application/json"),
            (changed("size", deep), "application/json"),
            (f'{{"columns":["size"],"data":{deep}}}', "application/json"),
            (deep + "\n", "application/x-ndjson"),
        ):
            found = problem(post(service, body, kind))
            assert (found.status, found.code) == (400, "too_deep"), body[:60]


# --- many


@pytest.mark.parametrize("row", ["{}", "0", "null", '""', "[]", f'{{"{SECRET}":1}}'])
def test_of_many_bad_rows_few_are_named(service: Service, row: str) -> None:
    for body, kind in (
        ("[" + ",".join([row] * 100_000) + "]", "application/json"),
        ("\n".join([row] * 100_000), "application/x-ndjson"),
        (f'{{"columns":["size"],"data":[{",".join([row] * 9_000)}]}}', "application/json"),
    ):
        response = post(service, body, kind)
        found = problem(response)
        assert (found.status, found.code) == (422, "invalid_rows")
        assert 1 <= len(found.errors) <= MAX_ERRORS
        assert len(response.content) <= MAX_BYTES


def test_of_many_unknown_fields_few_are_named(service: Service) -> None:
    response = post(service, json.dumps(ROW | {f"field {n}": n for n in range(100_000)}))
    found = problem(response)
    assert (found.status, found.code, len(found.errors)) == (422, "invalid_rows", MAX_ERRORS)
    assert found.detail.endswith(" There are 99999 more errors.")
    assert len(response.content) <= MAX_BYTES


def test_one_bad_row_among_a_thousand_is_named_and_none_is_answered(service: Service) -> None:
    rows = [ROW] * 1_000
    rows[617] = ROW | {"rooms": "three"}
    for content, kind in (
        (json.dumps(rows), "application/json"),
        ("\n".join(map(json.dumps, rows)), "application/x-ndjson"),
    ):
        found = problem(post(service, content, kind))
        assert (found.status, [(error.field, error.row) for error in found.errors]) == (422, [("rooms", 617)])


@pytest.mark.parametrize("bad", [{617}, {0, 1, 998, 999}, {*range(0, 1_000, 2)}], ids=["one", "ends", "half"])
def test_where_it_is_asked_for_the_others_are_answered_each_in_its_place(service: Service, bad: set[int]) -> None:
    rows = [ROW | {"size": float(n)} | ({"rooms": "three"} if n in bad else {}) for n in range(1_000)]
    response = post(service, json.dumps(rows), path="/predict?partial=true&echo=true")
    document = response.json()
    name = response.headers["x-request-id"]
    assert (response.status_code, document["model"], document["version"]) == (207, "notes", 1)
    assert [found["id"] for found in document["predictions"]] == [f"{name}-{n}" for n in range(1_000)]
    for number, found in enumerate(document["predictions"]):
        if number in bad:
            told = f"'rooms' in row {number} must be a whole number."
            error = {"field": "rooms", "code": "wrong_type", "message": told, "row": number}
            assert found.keys() == {"id", "error"}
            assert found["error"] == error
        else:
            assert (found["prediction"], found["input"]) == (float(number), rows[number])


def test_partial_changes_nothing_where_all_rows_fit_or_none_does(service: Service) -> None:
    for body in ([ROW, ROW], ROW):
        response = post(service, json.dumps(body), path="/predict?partial=true")
        assert response.status_code == 200
    found = problem(post(service, json.dumps([{}, {}]), path="/predict?partial=true"))
    assert (found.status, found.code) == (422, "invalid_rows")
    stream = problem(post(service, json.dumps(ROW), "application/x-ndjson", "/predict?partial=true"))
    assert (stream.status, stream.code) == (422, "invalid_request")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 422), (b" \n", 422), (b"null", 422), (b"[]", 422), (b'""', 422), (b"0", 422), (b"[[]]", 422)]
    + [(json.dumps(ROW).encode() + end, 400) for end in (b" x", b"{}", b"]", b"\0", b",")]
    + [(body, 400) for body in (b"\xef\xbb\xbf{}", b"\xff", b'{"note": "\\ud800"}', json.dumps(ROW).encode("utf-16"))],
)
def test_what_is_no_body_of_rows_is_refused(service: Service, body: bytes, status: int) -> None:
    found = problem(post(service, body))
    assert (found.status, found.code) == (status, "invalid_json" if status == 400 else "invalid_rows")


@pytest.mark.parametrize("kind", ["application/json", "application/x-ndjson", "text/csv"])
@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "GZIP"])
def test_an_encoded_body_is_not_opened(service: Service, kind: str, encoding: str) -> None:
    headers = {"content-type": kind, "content-encoding": encoding}
    found = problem(service.client.post("/predict", content=b"x" * 1_000, headers=headers))
    assert (found.status, found.code) == (415, "unsupported_encoding")


def test_every_path_of_rows_is_as_strict(service: Service) -> None:
    twice: Any = '{"x":1,"x":1,"y":1}'
    for path in ("/models/single/predict", "/models/single@champion/predict", "/models/single/versions/1/predict"):
        assert problem(post(service, twice, path=path)).code == "duplicate_key"

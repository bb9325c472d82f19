"""serving.tables: the same row is taken or refused alike, and answered alike, whatever the form."""

from __future__ import annotations

import io
import json
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.answers import Answers, from_model
from contract.signature import Field, Output, Signature
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.tables import ARROW, CSV, JSON, NDJSON, PARQUET, Form
from serving.tables.buffers import numbered
from serving.tables.chunk import CHUNK_ROWS
from tests.forms import EVERY, STREAMED, as_parquet, as_stream, as_texts, body, read, said, written
from tests.test_requests import EVERY_TYPE, MISFITS, ROW

SCHEMA = RequestSchema(EVERY_TYPE, max_rows=1_000_000)
TYPES = {"größe 1": pa.string(), "town": pa.string(), "size": pa.float64()}
"""Of columns that may hold nothing but null."""
DATED = Signature(
    container="frame",
    inputs=(
        Field(
            name="day", type="date", dtype="datetime64[ns]", observed=("2026-01-01", "2026-12-31"), example="2026-05-01"
        ),
        Field(name="at", type="datetime", dtype="datetime64[us]", nullable=True, example="2026-05-01T12:00:00"),
        Field(name="zoned", type="datetime", dtype="datetime64[ns, UTC]", example="2026-05-01T12:00:00+02:00"),
        Field(name="image", type="tensor", dtype="float64", shape=(2, 2), example=[[0.5, 1.0], [2.0, 3.0]]),
        Field(name="grade", type="category", dtype="category", levels=(1, 2.5, True, "x"), example="x"),
    ),
    output=Output(task="regression"),
)


def through_json(schema: RequestSchema, rows: Any) -> tuple[Any, Problem | None]:
    try:
        return schema.read(json.dumps(rows).encode())[0], None
    except Problem as problem:
        return None, problem


def told(problem: Problem | None) -> Any:
    return problem and (problem.status, problem.code, problem.detail, [error.model_dump() for error in problem.errors])


@pytest.mark.parametrize("form", STREAMED, ids=lambda form: form.name)
@pytest.mark.parametrize(("name", "value", "code", "message"), MISFITS, ids=str)
def test_a_misfit_is_refused_with_the_same_words(form: Form, name: str, value: Any, code: str, message: str) -> None:
    if form is CSV and (value in ("", [0.5], {}, "0.5", "true") or (name, value) == ("town", 5)):
        pytest.skip("CSV cannot say this, or means something else by it")
    rows = [ROW, ROW, ROW | {name: value}, ROW]
    if form in (ARROW, PARQUET):
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
            pytest.skip("Arrow has no such number")
        if value == {}:
            pytest.skip("Parquet has no empty object")
        # a column of Arrow has one type, so that the first row does not fit, either
        rows = [ROW | {name: value}]
    types = {column: kind for column, kind in TYPES.items() if column != name}
    if value == 2**63:
        types[name] = pa.uint64()
    found, problem = read(form, body(form, rows, **types), SCHEMA)
    _, expected = through_json(SCHEMA, rows)
    assert told(problem) == told(expected)
    assert expected is not None
    assert expected.errors[0].code == code
    assert found == rows[: expected.errors[0].row]


@pytest.mark.parametrize("form", STREAMED, ids=lambda form: form.name)
def test_a_number_that_is_not_finite_is_refused(form: Form) -> None:
    for value in (float("nan"), float("inf"), -float("inf")):
        rows, problem = read(form, body(form, [ROW, ROW | {"size": value}], **TYPES), SCHEMA)
        assert problem is not None
        assert rows == [ROW]
        if form is NDJSON:
            assert (problem.status, problem.code) == (400, "invalid_json")
            assert problem.detail.startswith("Row 1 is not JSON: ")
        else:
            assert problem.errors[0].model_dump() == {
                "field": "size",
                "code": "not_finite",
                "message": "'size' in row 1 must be a number, or null.",
                "row": 1,
            }


FLOATS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1), st.integers(-5, 5).map(float))
INTEGERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-200, 200), st.integers(0, 11))
CELLS = {
    "ratio": st.one_of(st.floats(0, 1), FLOATS),
    "size": st.one_of(st.none(), FLOATS),
    "age": INTEGERS,
    "visits": st.one_of(st.integers(1, 10), INTEGERS),
    "balance": INTEGERS,
    "member": st.booleans(),
    "town": st.one_of(st.none(), st.sampled_from(["Ulm", "Bonn", 'a "b", c\n']), st.text("aé\t ,;\"'\\", min_size=1)),
    "kind": st.sampled_from(["a", "b", "b", "c"]),
    "größe 1": st.sampled_from(["x", None, "y"]),
}
ROWS = st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=5)
ARROW_TYPES = TYPES | {"age": pa.int64(), "visits": pa.int64(), "balance": pa.int64()}


@given(rows=ROWS, steady=st.booleans())
def test_all_forms_take_the_same_rows_and_say_the_same_of_others(rows: list[dict[str, Any]], steady: bool) -> None:
    if steady:  # else hardly any row fits
        rows = [ROW | {name: row[name] for name in ("size", "town", "member")} for row in rows]
    taken, problem = through_json(SCHEMA, rows)
    for form in STREAMED:
        found, refusal = read(form, body(form, rows, **ARROW_TYPES), SCHEMA)
        assert told(refusal) == told(problem), form.name
        assert found == (taken if taken is not None else rows[: problem.errors[0].row]), form.name  # type: ignore[union-attr]


@given(rows=ROWS)
def test_warnings_are_the_same_for_all_forms(rows: list[dict[str, Any]]) -> None:
    rows = [
        ROW | {name: row[name] for name in ("town", "size")} | {"ratio": (i % 5) / 4, "age": 10 * i}
        for i, row in enumerate(rows)
    ]
    expected = SCHEMA.unlike(SCHEMA.columns(rows))
    for form in STREAMED:
        content = io.BufferedReader(io.BytesIO(body(form, rows, **ARROW_TYPES)))
        [chunk] = [chunk for chunk in form.read(content, SCHEMA, 1 << 20) if chunk.count]
        assert chunk.unlike == expected, form.name


def test_dates_and_lists_and_mixed_levels_come_in_every_form() -> None:
    schema = RequestSchema(DATED, max_rows=10)
    rows: list[dict[str, Any]] = [
        {"day": "2026-05-01", "at": None, "zoned": "2026-05-01T12:00:00+02:00", "image": [[1, 2], [3, 4]], "grade": 1},
        {
            "day": "2027-05-01",
            "at": "2026-05-01T12:00:00.25",
            "zoned": "2026-05-01T10:00:00Z",
            "image": [[1.5, 2], [3, 4]],
            "grade": 1,
        },
    ]
    expected, problem = through_json(schema, rows)
    assert problem is None
    for form in (NDJSON, CSV):
        assert read(form, body(form, rows), schema) == (expected, None)
    moments = [datetime.fromisoformat(row["zoned"]) for row in rows]
    table = {
        "day": pa.array([date.fromisoformat(row["day"]) for row in rows]),
        "at": pa.array([None, datetime.fromisoformat("2026-05-01T12:00:00.25")], pa.timestamp("us")),
        "zoned": pa.array(moments, pa.timestamp("ns", "Europe/Berlin")),
        "image": pa.array([row["image"] for row in rows], pa.list_(pa.list_(pa.float64()))),
        "grade": pa.array([1, 1], pa.int64()),
    }
    for content, form in ((as_stream(pa.table(table)), ARROW), (as_parquet(pa.table(table)), PARQUET)):
        assert read(form, content, schema) == (expected, None)


def test_a_late_row_is_counted_from_the_first_of_the_stream() -> None:
    rows = [ROW] * (2 * CHUNK_ROWS + 5)
    late = [*rows, ROW | {"age": 200}, ROW]
    for form in STREAMED:
        found, problem = read(form, body(form, late, **ARROW_TYPES), SCHEMA, 1 << 30)
        assert problem is not None
        assert problem.detail == f"'age' in row {len(rows):,} must be a whole number from -128 to 127.".replace(",", "")
        assert [error.row for error in problem.errors] == [len(rows)]
        assert len(found) == len(rows)


# --- answers

X = Field(name="x", type="float", dtype="float64", observed=(0, 10), example=1.0)


def of(output: Output) -> Signature:
    return Signature(container="frame", inputs=(X,), output=output)


THREE = Output(task="classification", labels=(0, 1, 2), classes=("a", "b", "c"), scores="probabilities")
ANSWERS = {
    "numbers": (Output(task="regression"), Answers([1.5, 0.1 + 0.2])),
    "classes": (THREE, Answers(["c", "a"], [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]])),
    "booleans": (
        Output(task="classification", labels=(0, 1), classes=(False, True), scores="probabilities"),
        Answers([True, False], [[0.25, 0.75], [1.0, 0.0]]),
    ),
    "integers": (Output(task="clustering", labels=(0, 1), classes=(0, 1)), Answers([1, 0])),
    "one score": (
        Output(task="outliers", labels=(-1, 1), classes=("odd", "usual"), scores="decisions"),
        Answers(["odd", "usual"], [[-0.5], [0.25]]),
    ),
    "scores": (
        THREE.model_copy(update={"scores": "decisions"}),
        Answers(["c", "a"], [[-1.0, 0.0, 2.0], [3.0, 0.0, -1.0]]),
    ),
    "named": (Output(task="regression", width=2, names=("lat", "lon")), Answers([[1.0, 2.0], [3.0, 4.5]])),
    "unnamed": (Output(task="transform", width=2), Answers([[1.0, 2.0], [3.0, 4.5]])),
    "labels": (
        Output(task="multilabel", labels=(0, 1), classes=("p", "q"), scores="probabilities"),
        Answers([["p", "q"], ["q"]], [[0.75, 0.5], [0.25, 0.5]]),
    ),
    "open texts": (Output(task="classification", type="string"), Answers(['é, "x"\n', "y"])),
    "open integers": (Output(task="classification", type="integer"), Answers([7, -1])),
}


@pytest.mark.parametrize("echo", [False, True])
@pytest.mark.parametrize("kind", ANSWERS)
def test_all_forms_say_the_same_of_each_row(kind: str, echo: bool) -> None:
    output, answers = ANSWERS[kind]
    columns = {"x": [1.0, 11.0]}
    expected = said(written(JSON, of(output), columns, answers, echo=echo), JSON)
    assert [row["id"][-2:] for row in expected] == ["-0", "-1"]
    assert expected[1]["warnings"] == "x out_of_range"
    assert ("x" in expected[0]) == echo
    for form in STREAMED:
        found = said(written(form, of(output), columns, answers, echo=echo), form)
        assert found == (as_texts(expected) if form is CSV else expected), form.name


@pytest.mark.parametrize("kind", ["numbers", "classes", "booleans", "one score", "scores", "named", "unnamed"])
def test_answers_kept_as_arrays_say_the_same(kind: str) -> None:
    output, few = ANSWERS[kind]
    places = [index for _ in range(50) for index in (0, 1)]
    answers = few.take(places)
    labels = dict(zip(output.classes, output.labels, strict=True))
    values = np.array([labels[value] if labels else value for value in answers.values])
    arrays = from_model(values, None if answers.scores is None else np.array(answers.scores), output, 100)
    assert type(arrays) is not Answers
    assert (arrays, repr(arrays)) == (answers, repr(answers))
    columns = {"x": [1.0] * 100}
    for form in EVERY:
        expected = said(written(form, of(output), columns, answers, echo=True), form)
        assert said(written(form, of(output), {"x": np.ones(100)}, arrays, echo=True), form) == expected


@pytest.mark.parametrize("form", STREAMED, ids=lambda form: form.name)
def test_the_last_record_says_what_went_wrong(form: Form) -> None:
    output, answers = ANSWERS["classes"]
    first, second, last = said(written(form, of(output), {"x": [1.0, 2.0]}, answers, fails="No more."), form)
    assert last == {"error": "No more."}
    assert (first["prediction"], second["prediction"]) == ("c", "a")


def test_the_columns_stand_in_one_order() -> None:
    output, answers = ANSWERS["classes"]
    content = written(CSV, of(output), {"x": [1.0, 2.0]}, answers, echo=True)
    header = "x,prediction,confidence,probabilities.a,probabilities.b,probabilities.c,id,warnings,error"
    assert content.decode().splitlines()[0] == header


def test_an_input_that_is_called_like_an_answer_gets_another_name() -> None:
    signature = Signature(
        container="frame",
        inputs=(X.model_copy(update={"name": "prediction"}), X.model_copy(update={"name": "id"})),
        output=Output(task="regression"),
    )
    content = written(CSV, signature, {"prediction": [1.0], "id": [2.0]}, Answers([3.0]), echo=True)
    assert content.decode().splitlines() == [
        "input.prediction,input.id,prediction,id,warnings,error",
        "1.0,2.0,3.0,0123456789ab00000001-0,,",
    ]


def test_the_input_is_said_back_in_every_type() -> None:
    signature = Signature(
        container="frame",
        inputs=(
            Field(name="unsigned", type="integer", dtype="uint64", example=2**64 - 1),
            Field(name="flag", type="boolean", dtype="boolean", nullable=True, example=True),
            Field(name="image", type="tensor", dtype="int64", shape=(1, 2), nullable=True, example=[[1, 2]]),
            Field(name="town", type="string", dtype="str", nullable=True, example="é"),
        ),
        output=Output(task="regression"),
    )
    columns = {
        "unsigned": [2**64 - 1, 0],
        "flag": [None, False],
        "image": [[[1, 2]], None],
        "town": [None, "é"],
    }
    for form in (ARROW, PARQUET):
        first, second = said(written(form, signature, columns, Answers([1.0, 2.0]), echo=True), form)
        assert (first["unsigned"], first["image"]) == (2**64 - 1, [[1, 2]])
        assert (second["unsigned"], second["flag"], second["town"]) == (0, False, "é")
        assert not {"flag", "town"} & first.keys()
        assert "image" not in second
    lines = written(CSV, signature, columns, Answers([1.0, 2.0]), echo=True).decode().splitlines()
    assert lines[1:] == [
        f'{2**64 - 1},,"[[1,2]]",,1.0,0123456789ab00000001-0,,',
        "0,false,,é,2.0,0123456789ab00000001-1,,",
    ]


def test_numbers_of_many_rows_are_counted_without_a_gap() -> None:
    for first, count in ((0, 1), (0, 12), (98, 5), (9_999_999_990, 20)):
        assert numbered("ab", first, count).to_pylist() == [f"ab-{n}" for n in range(first, first + count)]

"""serving.columns_form: JSON with the names once and the values row by row."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from contract.signature import Field, Output, Signature
from serving.columns_form import is_columns_form, read_columns_form
from serving.problems import Problem
from serving.requests import RequestSchema
from tests.test_requests import EVERY_TYPE, ROW

SCHEMA = RequestSchema(EVERY_TYPE, max_rows=3)
NAMES = list(ROW)
VALUES = list(ROW.values())


def test_pandas_writes_it() -> None:
    frame = pd.DataFrame([ROW, ROW]).astype({"größe 1": object})
    body = frame.to_json(orient="split").encode()
    assert is_columns_form(body, SCHEMA)
    assert read_columns_form(body, SCHEMA) == [ROW, ROW]


def test_the_columns_may_stand_in_any_order() -> None:
    body = json.dumps({"data": [VALUES[::-1]], "columns": NAMES[::-1]}, indent=1).encode()
    assert is_columns_form(body, SCHEMA)
    assert read_columns_form(body, SCHEMA) == [ROW]


@pytest.mark.parametrize("body", [ROW, [ROW], {"columns": 5}, {"data": {"a": 1}}, {"columnsx": []}])
def test_other_bodies_do_not_look_like_it(body: Any) -> None:
    assert not is_columns_form(json.dumps(body).encode(), SCHEMA)


@pytest.mark.parametrize("name", ["columns", "data", "index"])
def test_a_field_of_such_a_name_is_a_field(name: str) -> None:
    field = Field(name=name, type="tensor", dtype="float64", shape=(2,), example=[1.0, 2.0])
    schema = RequestSchema(Signature(container="frame", inputs=(field,), output=Output(task="regression")), max_rows=3)
    assert not is_columns_form(json.dumps({name: [1.0, 2.0]}).encode(), schema)


def changed(name: str, value: Any) -> list[Any]:
    return [value if key == name else old for key, old in ROW.items()]


@pytest.mark.parametrize(
    ("body", "code", "row", "message"),
    [
        (
            {"columns": NAMES, "data": []},
            "no_rows",
            None,
            "'data' is an empty list; send a list of values for each row.",
        ),
        (
            {"columns": NAMES, "data": 5},
            "wrong_type",
            None,
            "'data' must be a list that has a list of values for each row.",
        ),
        ({"columns": NAMES}, "wrong_type", None, "'data' must be a list that has a list of values for each row."),
        ({"data": [VALUES]}, "wrong_type", None, "'columns' must be a list of the columns' names."),
        ({"columns": [1], "data": [VALUES]}, "wrong_type", None, "'columns' must be a list of the columns' names."),
        (
            {"columns": [*NAMES, "age"], "data": [VALUES]},
            "duplicate_field",
            None,
            "The column 'age' stands there twice.",
        ),
        ({"columns": NAMES[1:], "data": [VALUES]}, "missing", None, "The field 'ratio' is missing."),
        (
            {"columns": [*NAMES, "x"], "data": [VALUES]},
            "unknown_field",
            None,
            "The model has no field 'x'; its fields are ",
        ),
        ({"columns": NAMES, "data": [VALUES, VALUES[1:]]}, "ragged_row", 1, "Row 1 has 8 values; there are 9 columns."),
        ({"columns": NAMES, "data": [VALUES, [1]]}, "ragged_row", 1, "Row 1 has 1 value; there are 9 columns."),
        ({"columns": NAMES, "data": [5]}, "ragged_row", 0, "Row 0 is no list of values; there are 9 columns."),
        (
            {"columns": NAMES, "data": [VALUES] * 4},
            "too_many_rows",
            None,
            "The body is a list of more than 3 rows; send",
        ),
        (
            {"columns": NAMES, "data": [VALUES], "x": 1},
            "unknown_field",
            None,
            "Beside 'columns' and 'data' the body has 'x'; ",
        ),
        (
            {"columns": NAMES, "data": [VALUES, changed("age", 1.5), []]},
            "wrong_type",
            1,
            "'age' in row 1 must be a whole number.",
        ),
    ],
)
def test_what_does_not_fit_is_named(body: Any, code: str, row: int | None, message: str) -> None:
    with pytest.raises(Problem) as caught:
        read_columns_form(json.dumps(body).encode(), SCHEMA)
    assert (caught.value.status, caught.value.code) == (422, "invalid_rows")
    assert caught.value.detail.startswith(message)
    assert (caught.value.errors[0].code, caught.value.errors[0].row) == (code, row)


@pytest.mark.parametrize("body", [b'{"columns": ["a"], "data": [', b'{"columns": ["a"], "data": [[NaN]]}'])
def test_what_is_no_json_is_called_that(body: bytes) -> None:
    with pytest.raises(Problem, match=r"^The body is not JSON: .+ at line 1 column \d+\.$") as caught:
        read_columns_form(body, SCHEMA)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")

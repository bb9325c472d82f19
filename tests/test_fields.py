"""serving.fields: what each kind of field takes, in what words another value is refused, and what callers are told."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.signature import Field, Output, Signature
from serving.problems import Problem
from serving.requests import RequestSchema

FIELDS = {
    field.name: field
    for field in (
        Field(
            name="born",
            type="date",
            dtype="datetime64[ns]",
            observed=("1950-01-01", "2008-12-31"),
            example="1980-02-29",
        ),
        Field(name="due", type="date", dtype="object", nullable=True, example=None),
        Field(
            name="at",
            type="datetime",
            dtype="datetime64[us]",
            observed=("2026-01-01T00:00:00", "2026-06-30T23:59:59.500000"),
            example="2026-02-03T04:05:06",
        ),
        Field(
            name="sent",
            type="datetime",
            dtype="datetime64[us, Europe/Berlin]",
            nullable=True,
            observed=("2026-01-01T00:00:00+01:00", "2026-06-30T23:59:59+02:00"),
            example="2026-02-03T04:05:06+00:00",
        ),
        Field(
            name="image",
            type="tensor",
            dtype="uint8",
            shape=(2, 3),
            observed=(0, 200),
            example=[[0, 1, 2], [3, 4, 200]],
        ),
        Field(
            name="wave", type="tensor", dtype="float32", shape=(4,), nullable=True, unit="V", example=[0, 0.5, -1, 2]
        ),
        Field(name="cube", type="tensor", dtype="float64", shape=(1, 2, 1), bounds=(0, 1), example=[[[0.5], [1]]]),
        Field(name="mask", type="tensor", dtype="bool", shape=(2,), example=[True, False]),
        Field(name="tokens", type="tensor", dtype="list", shape=(2,), example=[5, 1.5]),
        Field(name="weight", type="float", dtype="Float32", example=1.5),
        Field(name="size", type="category", dtype="category", levels=("S", "M", "L"), ordered=True, example="M"),
        Field(name="grade", type="category", dtype="category", levels=(1, 2, 3), ordered=True, example=1),
        Field(name="flag", type="category", dtype="category", levels=(True, False), nullable=True, example=True),
        Field(name="dose", type="category", dtype="category", levels=(0.5, 1.0), example=0.5),
        Field(name="mixed", type="category", dtype="category", levels=("1", 1, "true", "a, b", ""), example="1"),
    )
}
EVERY_KIND = Signature(container="frame", inputs=tuple(FIELDS.values()), output=Output(task="regression"))
ROW = EVERY_KIND.example
SCHEMA = RequestSchema(EVERY_KIND, max_rows=3)


def read(**changes: Any) -> dict[str, Any]:
    [row], _ = SCHEMA.read(json.dumps(ROW | changes).encode())
    return row


FITTING = [
    ("born", "2008-12-31", "2008-12-31"),
    ("due", "9999-12-31", "9999-12-31"),
    ("at", "2026-05-06", "2026-05-06T00:00:00"),
    ("at", "2026-05-06 07:08", "2026-05-06T07:08:00"),
    ("sent", "2026-05-06T07:08:09.5+02:00", "2026-05-06T05:08:09.500000+00:00"),
    ("sent", None, None),
    ("image", [[255, 0, 0], [0, 0, 0]], [[255, 0, 0], [0, 0, 0]]),
    ("wave", [1, -0.5, 3e38, 1e-50], [1, -0.5, 3e38, 1e-50]),
    ("wave", None, None),
    ("cube", [[[0], [1]]], [[[0], [1]]]),
    ("mask", [False, False], [False, False]),
    ("tokens", [2**70, 0.25], [2**70, 0.25]),
    ("size", "L", "L"),
    ("grade", 3, 3),
    ("flag", False, False),
    ("flag", None, None),
    ("dose", 1, 1.0),
    ("dose", 1.0, 1.0),
    ("mixed", 1, 1),
    ("mixed", "1", "1"),
    ("mixed", "", ""),
]


@pytest.mark.parametrize(("name", "value", "expected"), FITTING, ids=str)
def test_a_value_that_fits_becomes_what_the_model_gets(name: str, value: Any, expected: Any) -> None:
    row = read(**{name: value})
    assert row == ROW | {name: expected}
    assert type(row[name]) is type(expected)
    assert SCHEMA.columns([row]) == {name: [value] for name, value in row.items()}


def test_whole_numbers_and_others_of_a_list_stay_apart() -> None:
    assert [type(token) for token in read(tokens=[1, 1.0])["tokens"]] == [int, float]


DAY = "must be a date such as 2026-11-21"
LOCAL = "must be a date and time without an offset, such as 2026-11-21T14:30:00"
ZONED = "must be a date and time with its offset, such as 2026-11-21T14:30:00+01:00, or null"
IMAGE = "must be 2 lists of 3 whole numbers"
MIXED = 'must be one of "1", 1, "true", "a, b", ""'
MISFITS = [
    ("born", 20080101, "wrong_type", DAY),
    ("born", None, "wrong_type", DAY),
    ("born", "2007-02-29", "invalid_date", DAY),
    ("born", "1199145600", "invalid_date", DAY),
    ("born", "2008-01-01T00:00:01", "invalid_date", DAY),
    ("born", "2262-04-12", "out_of_range", "must be a date from 1677-09-22 to 2262-04-11"),
    ("born", "9999-12-31", "out_of_range", "must be a date from 1677-09-22 to 2262-04-11"),
    ("due", "0000-01-01", "invalid_date", f"{DAY}, or null"),
    ("at", "2026-05-06T07:08:09Z", "invalid_date", LOCAL),
    ("at", 1777777777, "wrong_type", LOCAL),
    ("at", 1777777777.5, "wrong_type", LOCAL),
    ("at", "1777777777", "invalid_date", LOCAL),
    ("sent", "2026-05-06T07:08:09", "invalid_date", ZONED),
    ("sent", "2026-05-06", "invalid_date", ZONED),
    ("sent", "", "invalid_date", ZONED),
    (
        "sent",
        "9999-12-31T23:59:59-01:00",
        "out_of_range",
        "must be a date and time with its offset from 0001-01-01 to 9999-12-31, or null",
    ),
    ("image", 5, "wrong_type", IMAGE),
    ("image", None, "wrong_type", IMAGE),
    ("image", {}, "wrong_type", IMAGE),
    ("image", [], "wrong_shape", IMAGE),
    ("image", [[1, 2, 3]], "wrong_shape", IMAGE),
    ("image", [[1, 2, 3]] * 3, "wrong_shape", IMAGE),
    ("image", [[1, 2, 3], [1, 2]], "wrong_shape", IMAGE),
    ("image", [[1, 2, 3], [1, 2, 3, 4]], "wrong_shape", IMAGE),
    ("image", [1, 2], "wrong_type", IMAGE),
    ("image", [[1, 2, 3], [1, 2, [3]]], "wrong_type", IMAGE),
    ("image", [[1, 2, 3], [1, 2, 3.5]], "wrong_type", IMAGE),
    ("image", [[1, 2, 3], [1, 2, True]], "wrong_type", IMAGE),
    ("image", [["a"] * 3] * 2, "wrong_type", IMAGE),
    ("image", [[1, 2, 3], [1, 2, None]], "wrong_type", IMAGE),
    ("image", [[1, 2, 3], [1, 2, 256]], "out_of_range", f"{IMAGE} from 0 to 255"),
    ("image", [[1, 2, 3], [1, 2, -1]], "out_of_range", f"{IMAGE} from 0 to 255"),
    ("wave", [1, 2, 3], "wrong_shape", "must be a list of 4 numbers, or null"),
    ("wave", [1, 2, 3, 1e39], "out_of_range", "must be a list of 4 numbers from -3.402823466e+38 to 3.402823466e+38 V"),
    ("cube", [[[0.5], [1.5]]], "out_of_bounds", "must be 1 list of 2 lists of 1 number from 0 to 1"),
    ("cube", [[0.5, 0.5]], "wrong_type", "must be 1 list of 2 lists of 1 number from 0 to 1"),
    ("mask", [1, 0], "wrong_type", "must be a list of 2 true or false values"),
    ("tokens", ["a", "b"], "wrong_type", "must be a list of 2 numbers"),
    ("tokens", [True, 1], "wrong_type", "must be a list of 2 numbers"),
    ("weight", 1e39, "out_of_range", "must be a number from -3.402823466e+38 to 3.402823466e+38"),
    ("size", "XL", "unknown_category", "must be one of S, M, L"),
    ("size", 1, "unknown_category", "must be one of S, M, L"),
    ("grade", 4, "unknown_category", "must be one of 1, 2, 3"),
    ("grade", 1.0, "unknown_category", "must be one of 1, 2, 3"),
    ("grade", True, "unknown_category", "must be one of 1, 2, 3"),
    ("grade", "1", "unknown_category", "must be one of 1, 2, 3"),
    ("grade", [1], "unknown_category", "must be one of 1, 2, 3"),
    ("grade", {"1": 1}, "unknown_category", "must be one of 1, 2, 3"),
    ("grade", None, "unknown_category", "must be one of 1, 2, 3"),
    ("flag", 1, "unknown_category", "must be one of true, false, or null"),
    ("flag", 0.0, "unknown_category", "must be one of true, false, or null"),
    ("flag", "true", "unknown_category", "must be one of true, false, or null"),
    ("dose", 2, "unknown_category", "must be one of 0.5, 1.0"),
    ("dose", True, "unknown_category", "must be one of 0.5, 1.0"),
    ("mixed", True, "unknown_category", MIXED),
    ("mixed", "a", "unknown_category", MIXED),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "code", "message"), MISFITS, ids=str)
def test_another_value_is_refused_in_plain_words(name: str, value: Any, code: str, message: str) -> None:
    for body, row in ((ROW | {name: value}, None), ([ROW, ROW | {name: value}], 1)):
        with pytest.raises(Problem) as caught:
            SCHEMA.read(json.dumps(body).encode())
        [error] = caught.value.errors
        assert (caught.value.status, error.field, error.code, error.row) == (422, name, code, row)
        assert error.message.startswith(f"'{name}' in row 1 {message}" if row else f"'{name}' {message}")
        assert error.message.endswith(".")
        assert caught.value.detail == error.message


@pytest.mark.parametrize("number", ["1e400", "-1e400"])
@pytest.mark.parametrize("name", ["wave", "cube", "tokens"])
def test_numbers_of_a_tensor_are_finite(name: str, number: str) -> None:
    tensor = json.dumps(ROW[name]).replace("0.5", number).replace("1.5", number)
    body = json.dumps(ROW | {name: "?"}).replace('"?"', tensor).encode()
    with pytest.raises(Problem) as caught:
        SCHEMA.read(body)
    assert [error.field for error in caught.value.errors] == [name]
    assert caught.value.status == 422


def test_a_tensor_full_of_mistakes_is_one_mistake() -> None:
    field = Field(name="image", type="tensor", dtype="float32", shape=(300, 300), example=None)
    schema = RequestSchema(Signature(container="array", inputs=(field,), output=Output(task="regression")), max_rows=5)
    for kind in ("float32", "list"):
        schema = RequestSchema(
            schema.signature.model_copy(update={"inputs": (field.model_copy(update={"dtype": kind}),)}), max_rows=5
        )
        with pytest.raises(Problem) as caught:
            schema.read(json.dumps({"image": [["swordfish"] * 300] * 300}).encode())
        assert [error.message for error in caught.value.errors] == ["'image' must be 300 lists of 300 numbers."]


# --- warnings


def test_dates_and_tensors_unlike_those_of_the_training_raise_one_warning_each() -> None:
    def warned(**changes: Any) -> list[str]:
        found = SCHEMA.unlike(SCHEMA.columns([read(**changes)])).get(0, [])
        assert {warning["kind"] for warning in found} <= {"out_of_range"}
        return [warning["message"] for warning in found]

    assert warned() == warned(born="1950-01-01", at="2026-01-01", sent="2026-06-30T21:59:59Z", due="0001-01-01") == []
    assert warned(sent=None, image=[[200] * 3] * 2) == []
    assert warned(born="1949-12-31") == ["'born' lies outside the range the model saw, from 1950-01-01 to 2008-12-31."]
    assert warned(at="2026-06-30T23:59:59.6") == [
        "'at' lies outside the range the model saw, from 2026-01-01T00:00:00 to 2026-06-30T23:59:59.500000."
    ]
    assert warned(sent="2025-12-31T23:59:59+01:00", image=[[0, 201, 0], [0, 0, 255]]) == [
        "'sent' lies outside the range the model saw, from 2025-12-31T23:00:00+00:00 to 2026-06-30T21:59:59+00:00.",
        "'image' holds numbers outside the range the model saw, from 0 to 200.",
    ]


# --- what callers are told


def test_callers_are_told_of_each_kind() -> None:
    told = {name: found.get("description", "") for name, found in SCHEMA.json_schema()["properties"].items()}
    assert told == {
        "born": "the model saw from 1950-01-01 to 2008-12-31",
        "due": "",
        "at": "without an offset; the model saw from 2026-01-01T00:00:00 to 2026-06-30T23:59:59.500000",
        "sent": "with an offset; the model saw from 2025-12-31T23:00:00+00:00 to 2026-06-30T21:59:59+00:00",
        "image": "2 lists of 3 whole numbers; the model saw from 0 to 200",
        "wave": "V; a list of 4 numbers",
        "cube": "1 list of 2 lists of 1 number",
        "mask": "a list of 2 true or false values",
        "tokens": "a list of 2 numbers",
        "weight": "",
        "size": "from low to high: S, M, L",
        "grade": "from low to high: 1, 2, 3",
        "flag": "",
        "dose": "",
        "mixed": "",
    }


def test_they_are_told_each_axis_of_a_tensor() -> None:
    image = SCHEMA.json_schema()["properties"]["image"]
    numbers = {"type": "integer", "minimum": 0, "maximum": 255}
    lists = {"type": "array", "minItems": 3, "maxItems": 3, "items": numbers}
    assert image | {"minItems": 2, "maxItems": 2, "items": lists} == image


NEAR = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 300),
    st.sampled_from([0.5, 1.5, 1e39, 2**70]),
    st.sampled_from(["S", "1", "true", "", "2026-11-21", "2026-11-21T14:30:00", "2026-11-21T14:30:00Z", "2300-01-01"]),
)
VALUES = st.one_of(
    NEAR,
    st.lists(NEAR, max_size=4),
    st.lists(st.lists(st.integers(-1, 256), min_size=2, max_size=4), min_size=1, max_size=3),
    st.lists(st.booleans(), min_size=2, max_size=2),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4),
    st.builds(lambda a, b: [[[a], [b]]], NEAR, NEAR),
)


@given(name=st.sampled_from(list(FIELDS)), value=VALUES)
def test_the_schema_that_callers_are_shown_takes_what_the_service_takes(name: str, value: Any) -> None:
    shown = jsonschema_rs.Draft202012Validator(SCHEMA.json_schema()).is_valid(ROW | {name: value})
    try:
        read(**{name: value})
    except Problem:
        assert not shown
    else:
        assert shown


def test_the_examples_fit() -> None:
    validator = jsonschema_rs.Draft202012Validator(SCHEMA.json_schema())
    validator.validate(ROW)
    assert read() == ROW

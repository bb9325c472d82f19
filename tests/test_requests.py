"""serving.requests: what a request may hold, what is said of one that does not fit, and what is warned of."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.signature import Field, Output, Signature
from serving.problems import MAX_BYTES, Problem
from serving.requests import RequestSchema

FIELDS = (
    Field(name="ratio", type="float", dtype="float64", unit="%", bounds=(0, 1), observed=(0.25, 0.5), example=0.5),
    Field(name="size", type="float", dtype="float64", nullable=True, example=1234567.5),
    Field(name="age", type="integer", dtype="int8", observed=(18, 65), example=44),
    Field(name="visits", type="integer", dtype="Int64", bounds=(0.5, 10.5), example=3),
    Field(name="balance", type="integer", dtype="object", example=-5),
    Field(name="member", type="boolean", dtype="bool", example=True),
    Field(name="town", type="string", dtype="str", levels=("Ulm", "Wien"), nullable=True, example="Ulm"),
    Field(name="kind", type="category", dtype="category", levels=("a", "b"), example="b"),
    Field(name="größe 1", type="category", dtype="category", levels=("x",), nullable=True, example=None),
)
EVERY_TYPE = Signature(container="frame", inputs=FIELDS, output=Output(task="regression"))
ROW = EVERY_TYPE.example
SCHEMA = RequestSchema(EVERY_TYPE, max_rows=3)


def refusal(body: bytes | Any, schema: RequestSchema = SCHEMA) -> Problem:
    with pytest.raises(Problem) as caught:
        schema.read(body if isinstance(body, bytes) else json.dumps(body).encode())
    assert len(caught.value.body("0" * 20)) <= MAX_BYTES
    return caught.value


# --- rows that fit


def test_an_object_is_one_row_and_a_list_is_many() -> None:
    assert SCHEMA.read(json.dumps(ROW).encode()) == ([ROW], False)
    assert SCHEMA.read(json.dumps([ROW]).encode()) == ([ROW], True)
    assert SCHEMA.read(f" \n\t[ {json.dumps(ROW)}, {json.dumps(ROW)} ]\r\n".encode()) == ([ROW, ROW], True)


@given(order=st.permutations(list(ROW)))
def test_the_order_of_the_keys_does_not_matter(order: list[str]) -> None:
    [row], _ = SCHEMA.read(json.dumps({name: ROW[name] for name in order}).encode())
    assert SCHEMA.columns([row, ROW]) == {name: [value, value] for name, value in ROW.items()}
    assert list(SCHEMA.columns([row])) == list(EVERY_TYPE.names)


FITTING = [
    ("ratio", 0),
    ("ratio", 1),
    ("ratio", 1e-300),
    ("size", None),
    ("size", -1e308),
    ("size", 2**70),
    ("age", -128),
    ("age", 127),
    ("visits", 1),
    ("visits", 10),
    ("balance", -(2**63)),
    ("balance", 2**63 - 1),
    ("member", False),
    ("town", ""),
    ("town", "\0\x1b[31m\u202e"),
    ("town", None),
    ("kind", "a"),
    ("größe 1", "x"),
]


@pytest.mark.parametrize(("name", "value"), FITTING, ids=str)
def test_a_value_that_fits_comes_through_as_it_is(name: str, value: Any) -> None:
    [row], _ = SCHEMA.read(json.dumps(ROW | {name: value}).encode())
    assert row == ROW | {name: value}


# --- rows that do not


MISFITS = [
    ("ratio", "0.5", "wrong_type", "'ratio' must be a number from 0 to 1 %."),
    ("ratio", True, "wrong_type", "'ratio' must be a number from 0 to 1 %."),
    ("ratio", None, "wrong_type", "'ratio' must be a number from 0 to 1 %."),
    ("ratio", [0.5], "wrong_type", "'ratio' must be a number from 0 to 1 %."),
    ("ratio", {}, "wrong_type", "'ratio' must be a number from 0 to 1 %."),
    ("ratio", 1.0000001, "out_of_bounds", "'ratio' must be a number from 0 to 1 %."),
    ("ratio", -0.1, "out_of_bounds", "'ratio' must be a number from 0 to 1 %."),
    ("size", "", "wrong_type", "'size' must be a number, or null."),
    ("age", 1.5, "wrong_type", "'age' must be a whole number."),
    ("age", 1.0, "wrong_type", "'age' must be a whole number."),
    ("age", False, "wrong_type", "'age' must be a whole number."),
    ("age", 128, "out_of_range", "'age' must be a whole number from -128 to 127."),
    ("age", 2**64, "out_of_range", "'age' must be a whole number from -128 to 127."),
    ("visits", 0, "out_of_bounds", "'visits' must be a whole number from 1 to 10."),
    ("visits", 11, "out_of_bounds", "'visits' must be a whole number from 1 to 10."),
    ("balance", 2**63, "out_of_range", "'balance' must be a whole number from -9.223372037e+18 to 9.223372037e+18."),
    ("balance", -(2**63) - 1, "out_of_range", "'balance' must be a whole number from "),
    ("member", 1, "wrong_type", "'member' must be true or false."),
    ("member", "true", "wrong_type", "'member' must be true or false."),
    ("town", 5, "wrong_type", "'town' must be a text, or null."),
    ("kind", "c", "unknown_category", "'kind' must be one of a, b."),
    ("kind", None, "unknown_category", "'kind' must be one of a, b."),
    ("größe 1", "y", "unknown_category", "'größe 1' must be one of x, or null."),
]


@pytest.mark.parametrize(("name", "value", "code", "message"), MISFITS, ids=str)
def test_a_value_that_does_not_fit_is_named(name: str, value: Any, code: str, message: str) -> None:
    for body, row in ((ROW | {name: value}, None), ([ROW, ROW | {name: value}], 1)):
        problem = refusal(body)
        assert (problem.status, problem.code) == (422, "invalid_rows")
        [error] = problem.errors
        assert (error.field, error.code, error.row) == (name, code, row)
        assert error.message.replace(" in row 1", "").startswith(message)
        assert problem.detail == error.message


def test_a_missing_field_and_an_unknown_one_are_named() -> None:
    problem = refusal({name: value for name, value in ROW.items() if name != "age"} | {"Age": 1})
    assert [(error.field, error.code, error.message) for error in problem.errors] == [
        ("age", "missing", "The field 'age' is missing."),
        ("Age", "unknown_field", f"The model has no field 'Age'; its fields are {', '.join(ROW)}."),
    ]
    assert problem.detail == "The field 'age' is missing. There is 1 more error."
    assert refusal([ROW, ROW | {"": 1}]).detail == (
        f"The model has no field '' in row 1; its fields are {', '.join(ROW)}."
    )


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"", "no_rows", "The body is empty; send an object with ratio, size, "),
        (b" \n", "no_rows", "The body is empty; "),
        (b"[]", "no_rows", "The body is an empty list; "),
        (b"null", "wrong_type", "The body is no object; "),
        (b"true", "wrong_type", "The body is no object; "),
        (b"0", "wrong_type", "The body is no object; "),
        (b'""', "wrong_type", "The body is no object; "),
        (b'"x"', "wrong_type", "The body is no object; "),
        (b"[[]]", "wrong_type", "Row 0 is no object; "),
        (b"[null]", "wrong_type", "Row 0 is no object; "),
        (json.dumps([ROW, 5]).encode(), "wrong_type", "Row 1 is no object; "),
        (
            json.dumps([ROW] * 4).encode(),
            "too_many_rows",
            "The body is a list of more than 3 rows; send fewer",
        ),
    ],
    ids=repr,
)
def test_a_body_of_another_shape_is_told_what_to_send(body: bytes, code: str, message: str) -> None:
    problem = refusal(body)
    assert (problem.status, problem.code) == (422, "invalid_rows")
    [error] = problem.errors
    assert (error.field, error.code) == ("", code)
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"ratio": ',
        b"[",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{'ratio': 1}",
        b'{"ratio": 01}',
        b'{"ratio": +1}',
        b'{"ratio": .5}',
        b'{"ratio": 0x1}',
        b'{"ratio": 1,}',
        b'{"town": "\xed\xa0\x80"}',
        b'{"town": "\\ud800"}',
        b'{"town": "\n"}',
        b"{} {}",
        b"{} x",
        b"{}//",
        json.dumps(ROW).encode("utf-16"),
        json.dumps(ROW).encode() + b" x",
        *(json.dumps(ROW | {name: float("nan")}).encode() for name in ("ratio", "age", "town", "unknown")),
        *(json.dumps(ROW | {"ratio": value}).encode() for value in (float("inf"), -float("inf"))),
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_json_is_called_that(body: bytes) -> None:
    problem = refusal(body)
    assert (problem.status, problem.code, problem.errors) == (400, "invalid_json", ())
    assert re.fullmatch(r"The body is not JSON: .+ at line \d+ column \d+\.", problem.detail)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400])
def test_a_number_too_large_for_any_float_is_not_finite(number: str) -> None:
    problem = refusal(json.dumps(ROW).replace("1234567.5", number).encode())
    assert [(error.field, error.code) for error in problem.errors] == [("size", "not_finite")]


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b",".join([b"{}"] * 100_000) + b"]",
        b"[" + b",".join([b"5"] * 100_000) + b"]",
        json.dumps({f"field {i}": i for i in range(10_000)}).encode(),
        json.dumps({"\0" * 80 + str(i): i for i in range(1_000)}).encode(),
        json.dumps({"x" * 1_000_000: 1}).encode(),
    ],
    ids=["100,000 bad rows", "100,000 numbers", "10,000 unknown fields", "unprintable names", "a name of 1 MB"],
)
def test_however_much_is_wrong_the_answer_is_short(body: bytes) -> None:
    problem = refusal(body, RequestSchema(EVERY_TYPE, max_rows=1_000_000))
    assert problem.status == 422
    assert 1 <= len(problem.errors) <= 20
    assert {error.row for error in problem.errors} <= {None, 0}  # it stops at the first bad row
    assert len(problem.detail) < 500


@pytest.mark.parametrize("name", [name for name in ROW if name != "town"])
def test_no_value_is_ever_said_back(name: str) -> None:
    for value in ("swordfish", ["swordfish"], {"swordfish": 1}, "swordfish" * 100_000):
        assert b"swordfish" not in refusal(ROW | {name: value}).body("")


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["a", "b", "x", "Ulm", "", 0, 1, 0.5, 127, 128, 10, 11]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.lists(st.integers(), max_size=1),
)


@given(
    changes=st.dictionaries(st.sampled_from([*ROW, "unknown"]), ANYTHING, max_size=3), gone=st.sampled_from([*ROW, ""])
)
def test_the_schema_that_callers_are_shown_takes_what_the_service_takes(changes: dict[str, Any], gone: str) -> None:
    row = {name: value for name, value in (ROW | changes).items() if name != gone}
    for name in ("age", "visits", "balance"):  # JSON Schema calls 1.0 an integer; the service is stricter
        if isinstance(row.get(name), float):
            row[name] = 1.5
    shown = jsonschema_rs.Draft202012Validator(SCHEMA.json_schema()).is_valid(row)
    try:
        SCHEMA.read(json.dumps(row).encode())
    except Problem:
        assert not shown
    else:
        assert shown


@pytest.mark.parametrize(
    "names",
    [
        ("self", "model_config", "__root__", "class", "def"),
        ("", " ", "a b", "a.b", "a/b", "{{x}}", "$ref", '"', "'"),
        ("größe", "٣", "数", "🌼", "\u202e"),
        tuple(f"column {i}" for i in range(500)),
    ],
    ids=["python's words", "signs", "other scripts", "500 columns"],
)
def test_a_field_may_have_any_name(names: tuple[str, ...]) -> None:
    fields = tuple(Field(name=name, type="float", dtype="float64", example=1.0) for name in names)
    signature = Signature(container="frame", inputs=fields, output=Output(task="regression"))
    schema = RequestSchema(signature, max_rows=1)
    assert schema.read(json.dumps(signature.example).encode()) == ([signature.example], False)
    jsonschema_rs.Draft202012Validator(schema.json_schema()).validate(signature.example)
    assert [error.field for error in refusal(signature.example | {names[0]: "x"}, schema).errors] == [names[0]]


def test_a_long_name_is_shortened_where_it_is_said() -> None:
    name = "x" * 200
    field = Field(name=name, type="integer", dtype="int8", example=1)
    schema = RequestSchema(Signature(container="frame", inputs=(field,), output=EVERY_TYPE.output), max_rows=1)
    for body, told in (({name: "y"}, "must be a whole number."), ({}, "is missing.")):
        [error] = refusal(body, schema).errors
        assert (error.field, error.message.endswith(told)) == ("x" * 80, True)
        assert len(error.message) < 120


# --- warnings


def warned(**changes: Any) -> list[tuple[str, str, str]]:
    found = SCHEMA.unlike(SCHEMA.columns([ROW, ROW | changes])).get(1, [])
    return [(warning["field"], warning["kind"], warning["message"]) for warning in found]


def test_a_row_like_those_of_the_training_raises_no_warning() -> None:
    assert warned() == warned(ratio=0.25, age=18) == warned(ratio=0.5, age=65, town="Wien") == []
    assert warned(town=None, size=None) == []


def test_a_row_unlike_those_of_the_training_is_answered_with_warnings() -> None:
    assert warned(ratio=0.5000001, age=17, town="Bonn") == [
        ("ratio", "out_of_range", "'ratio' lies outside the range the model saw, from 0.25 to 0.5 %."),
        ("age", "out_of_range", "'age' lies outside the range the model saw, from 18 to 65."),
        ("town", "unseen", "The model never saw this value of 'town'."),
    ]

"""serving.wellformed: a key that stands twice is found wherever it hides, and what is deep is not gone into."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.signature import Field, Output, Signature
from serving.columns_form import read_columns_form
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.wellformed import check_depth, read_closely
from tests.test_requests import ROW, SCHEMA

TWICE = "The body has an object with the same key twice; leave one of them out."
QUOTED = RequestSchema(
    Signature(
        container="frame",
        inputs=(
            Field(name='a"b', type="string", dtype="str", example="x"),
            Field(name="c:{", type="float", dtype="float64", example=1.0),
        ),
        output=Output(task="regression"),
    ),
    max_rows=3,
)


def doubled(name: str, spelled: str | None = None) -> str:
    """The row as JSON, one name of it twice."""
    return f"{json.dumps(ROW)[:-1]}, {spelled or json.dumps(name)}: {json.dumps(ROW[name])}}}"


# --- keys


@pytest.mark.parametrize("name", ROW)
def test_a_field_that_stands_twice_is_refused(name: str) -> None:
    for body in (doubled(name), f"[{doubled(name)}]", f"[{json.dumps(ROW)}, {doubled(name)}]"):
        with pytest.raises(Problem, match=f"^{TWICE}$") as refused:
            SCHEMA.read(body.encode())
        assert (refused.value.status, refused.value.code) == (400, "duplicate_key")


@pytest.mark.parametrize("spelled", ['"\\u0072atio"', '"r\\u0061tio"', '"rati\\u006F"'])
def test_however_it_is_spelled(spelled: str) -> None:
    with pytest.raises(Problem, match=f"^{TWICE}$"):
        SCHEMA.read(doubled("ratio", spelled).encode())


def test_a_line_that_has_one_twice_is_named_and_those_before_it_are_taken() -> None:
    lines = [json.dumps(ROW).encode()] * 2 + [doubled("town").encode(), b"{}"]
    rows, problem = SCHEMA.check_lines(lines, 7)
    assert rows == [ROW, ROW]
    assert problem is not None
    assert (problem.status, problem.code) == (400, "duplicate_key")
    assert problem.detail == "Row 9 has an object with the same key twice; leave one of them out."


@pytest.mark.parametrize(
    "body",
    [
        {"columns": list(ROW), "data": [list(ROW.values())]},
        {"columns": list(ROW), "index": [0], "data": [list(ROW.values())]},
        {"columns": list(ROW), "index": ["a"], "data": [list(ROW.values())]},
        {"columns": list(ROW), "index": [["a", 1]], "data": [list(ROW.values())]},
    ],
)
def test_the_columns_form_has_everything_once(body: dict[str, Any]) -> None:
    text = json.dumps(body)
    assert read_columns_form(text.encode(), SCHEMA) == [ROW]
    for more in (f', "columns": {json.dumps(list(ROW))}', ', "data": []', f', "data": {json.dumps(body["data"])}'):
        with pytest.raises(Problem) as refused:
            read_columns_form(f"{text[:-1]}{more}}}".encode(), SCHEMA)
        assert refused.value.code == ("invalid_rows" if more == ', "data": []' else "duplicate_key")


texts = st.text(max_size=5) | st.sampled_from(['"', '""', '\\"', ":", "{", "a\\", '","ratio":1,"'])
rows = st.fixed_dictionaries({"town": texts, "ratio": st.floats(0, 1)})


@given(changes=st.lists(rows, min_size=1, max_size=3), escaped=st.booleans(), name=st.sampled_from(list(ROW)))
def test_whatever_the_texts_hold_only_names_count(changes: list[dict[str, Any]], escaped: bool, name: str) -> None:
    wanted = [ROW | change for change in changes]
    body = json.dumps(wanted, ensure_ascii=escaped)
    assert SCHEMA.read(body.encode())[0] == wanted
    assert SCHEMA.check_lines([json.dumps(row, ensure_ascii=escaped).encode() for row in wanted], 0) == (wanted, None)
    twice = f"{body[:-2]}, {json.dumps(name)}: {json.dumps(wanted[-1][name])}}}]"
    with pytest.raises(Problem, match=f"^{TWICE}$"):
        SCHEMA.read(twice.encode())


def test_names_may_hold_quotes() -> None:
    row = {'a"b': 'x"', "c:{": 1.0}
    assert QUOTED.read(json.dumps(row).encode()) == ([row], False)
    with pytest.raises(Problem, match=f"^{TWICE}$"):
        QUOTED.read(b'{"c:{": 1, "c:{": 1, "a\\"b": "x"}')


@pytest.mark.parametrize("value", ["1", "NaN", '{"a": 1, "a": 2}', "[]"])
def test_what_is_unknown_is_so_beside_all_that_fits(value: str) -> None:
    body = f'{json.dumps(ROW)[:-1]}, "swordfish": {value}}}'
    with pytest.raises(Problem) as refused:
        SCHEMA.read(body.encode())
    codes = {"NaN": (400, "invalid_json"), '{"a": 1, "a": 2}': (400, "duplicate_key")}
    assert (refused.value.status, refused.value.code) == codes.get(value, (422, "invalid_rows"))
    if value not in codes:
        [error] = refused.value.errors
        assert (error.field, error.code, error.row) == ("swordfish", "unknown_field", None)
    lines = [json.dumps(ROW).encode(), body.encode()]
    _, problem = SCHEMA.check_lines(lines, 5)
    assert problem is not None
    assert problem.code == refused.value.code
    assert {error.row for error in problem.errors} <= {6}


def test_a_hundred_thousand_unknown_names_are_counted_and_few_are_said() -> None:
    body = json.dumps({f"name {n}": n for n in range(100_000)}).encode()
    with pytest.raises(Problem, match=r" There are 100008 more errors\.$") as refused:
        SCHEMA.read(body)
    assert [error.code for error in refused.value.errors] == ["missing"] * 9 + ["unknown_field"] * 11


# --- depth


def nested(depth: int, kind: str) -> bytes:
    opening, closing = {"lists": ("[", "]"), "objects": ('{"a":', "}"), "both": ('[{"a":', "}]")}[kind]
    times = depth // 2 if kind == "both" else depth
    return (opening * times + "1" + closing * times).encode()


@pytest.mark.parametrize("kind", ["lists", "objects", "both"])
def test_how_deep_a_body_may_go(kind: str) -> None:
    check_depth(nested(98, kind))
    for depth in (102, 198, 202, 1_000, 10**5, 10**6):
        with pytest.raises(Problem, match=r"^The body has lists and objects 100 levels deep, or more\.$") as refused:
            SCHEMA.read(nested(depth, kind))
        assert (refused.value.status, refused.value.code) == (400, "too_deep")


@pytest.mark.parametrize("depth", [101, 10**5])
def test_wherever_it_does(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    bodies = (
        f'{{"ratio": {deep}}}',
        f'[{json.dumps(ROW)}, {{"ratio": {deep}}}]',
        f'{json.dumps(ROW)[:-1]}, "unknown": {deep}}}',
    )
    for body in bodies:
        with pytest.raises(Problem, match=" 100 levels deep") as refused:
            SCHEMA.read(body.encode())
        assert refused.value.code == "too_deep"
    _, problem = SCHEMA.check_lines([f'{{"ratio": {deep}}}'.encode()], 3)
    assert problem is not None
    assert problem.detail == "Row 3 has lists and objects 100 levels deep, or more."
    with pytest.raises(Problem, match=" 100 levels deep"):
        read_columns_form(f'{{"columns": ["ratio"], "data": {deep}}}'.encode(), SCHEMA)


def test_brackets_beside_each_other_and_in_texts_are_not_deep() -> None:
    rows = [ROW | {"town": "[" * 500}] * 3
    assert SCHEMA.read(json.dumps(rows).encode())[0] == rows
    check_depth(b"[" + b",".join([b"[]"] * 500) + b"]")
    assert read_closely(b'["[[["]') == ["[[["]

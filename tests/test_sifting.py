"""serving.sifting: of rows that fit and others, each stays what and where it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import sifting
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.sifting import read
from tests.test_requests import EVERY_TYPE, ROW

SCHEMA = RequestSchema(EVERY_TYPE, max_rows=100)
BAD: dict[str, tuple[Any, str, str]] = {
    "a value of another type": (ROW | {"ratio": "much"}, "ratio", "wrong_type"),
    "one beyond its bounds": (ROW | {"visits": 11}, "visits", "out_of_bounds"),
    "a field too many": (ROW | {"hue": 1}, "hue", "unknown_field"),
    "nothing": ({}, EVERY_TYPE.names[0], "missing"),
    "no object": (3, "", "wrong_type"),
    "null": (None, "", "wrong_type"),
}


def body(rows: Any) -> bytes:
    return json.dumps(rows).encode()


def refusal(content: bytes, *, partial: bool = True) -> Problem:
    with pytest.raises(Problem) as caught:
        read(content, SCHEMA, partial=partial)
    return caught.value


@pytest.mark.parametrize(("row", "field", "code"), BAD.values(), ids=BAD)
def test_what_does_not_fit_is_left_out_and_named(row: Any, field: str, code: str) -> None:
    found = read(body([ROW, row, ROW]), SCHEMA, partial=True)
    assert (found.rows, found.columns, found.many) == ([ROW, ROW], SCHEMA.columns([ROW, ROW]), True)
    [(number, error)] = found.misfits.items()
    assert (number, error.row, error.field, error.code) == (1, 1, field, code)
    assert error.message == refusal(body([ROW, row, ROW]), partial=False).errors[0].message


@given(bad=st.lists(st.none() | st.sampled_from(list(BAD)), min_size=1, max_size=30))
def test_nothing_takes_the_place_of_another(bad: list[str | None]) -> None:
    rows = [ROW | {"balance": n} if kind is None else BAD[kind][0] for n, kind in enumerate(bad)]
    good = [n for n, kind in enumerate(bad) if kind is None]
    if not good:
        assert refusal(body(rows)).code == "invalid_rows"
        return
    found = read(body(rows), SCHEMA, partial=True)
    assert [row["balance"] for row in found.rows] == good
    assert {n: error.code for n, error in found.misfits.items()} == {n: BAD[k][2] for n, k in enumerate(bad) if k}


def test_the_columns_form_is_sifted_as_well() -> None:
    data = [[*(ROW | {"age": age}).values()] for age in (1, 1_000, 3)]
    found = read(body({"columns": list(ROW), "data": data}), SCHEMA, partial=True)
    assert [row["age"] for row in found.rows] == [1, 3]
    assert [(number, error.field) for number, error in found.misfits.items()] == [(1, "age")]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (body([]), 422, "no_rows"),
        (b"", 422, "no_rows"),
        (body(BAD["nothing"][0]), 422, "missing"),
        (body([{}, 3]), 422, "missing"),
        (body([ROW] * 100 + [{}]), 422, "too_many_rows"),
        (body({"columns": list(ROW)[1:], "data": [[1]]}), 422, "missing"),
        (body({"columns": list(ROW), "data": [list(ROW.values()), [1]]}), 422, "ragged_row"),
        (body([ROW, {}]) + b"x", 400, None),
        (body([ROW, {}])[:-1] + b',{"a":1,"a":2}]', 400, None),
        (body([ROW])[:-1] + b"," + b"[" * 200 + b"]" * 200 + b"]", 400, None),
    ],
)
def test_what_is_wrong_with_the_body_is_wrong_with_all_rows(content: bytes, status: int, code: str | None) -> None:
    problem = refusal(content)
    assert (problem.status, problem.errors[0].code if problem.errors else None) == (status, code)


def test_few_rows_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sifting, "MOST_MISFITS", 2)
    assert len(read(body([{}, ROW, {}]), SCHEMA, partial=True).misfits) == 2
    assert refusal(body([{}, ROW, {}, {}])).errors[0].row == 0


def test_without_being_asked_nothing_is_left_out() -> None:
    assert (
        read(body([ROW]), SCHEMA, partial=True) == read(body([ROW]), SCHEMA) == ([ROW], SCHEMA.columns([ROW]), True, {})
    )
    assert read(body(ROW), SCHEMA, partial=True).many is False
    assert refusal(body([ROW, {}]), partial=False).errors[0].row == 1

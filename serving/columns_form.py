"""The columns form of a JSON body: `{"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}`, as pandas writes `split`."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

from serving.problems import FieldError, Problem
from serving.requests import RequestSchema, Row
from serving.wellformed import check_depth, parsed, quotes, read_closely

_BEGIN = re.compile(rb'\s*\{\s*"(?:columns|index|data)"\s*:\s*\[')
_KEYS = {"columns", "index", "data"}
_MOST_SHOWN = 80


def is_columns_form(body: bytes, schema: RequestSchema) -> bool:
    """Whether a body begins like one; never where a field of the signature has one of its keys."""
    return _BEGIN.match(body) is not None and _KEYS.isdisjoint(schema.names)


def read_columns_form(body: bytes, schema: RequestSchema) -> list[Row]:
    """The rows of such a body.

    Raises:
        Problem: it is no JSON, or no such form, or a row does not fit the signature.
    """
    found: dict[str, Any] = parsed(body)
    try:
        rows = _rows(found, schema)
    except Problem:
        check_depth(body)
        raise
    index = found.get("index")
    told = chain(found["columns"], index if isinstance(index, list) else ())
    if body.count(b'"') != quotes(len(found), told) + schema.quotes_of(rows):
        read_closely(body)
    return rows


def named_rows(found: dict[str, Any], schema: RequestSchema) -> list[Row]:
    """The rows of such a document, each with the columns' names, whatever their values are.

    Raises:
        Problem: it is no such form, or has other columns than the signature has fields.
    """
    names, data = found.get("columns"), found.get("data")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _refusal("wrong_type", "'columns' must be a list of the columns' names.")
    if not isinstance(data, list):
        raise _refusal("wrong_type", "'data' must be a list that has a list of values for each row.")
    if stray := found.keys() - _KEYS:
        name = min(stray)[:_MOST_SHOWN]
        raise _refusal("unknown_field", f"Beside 'columns' and 'data' the body has '{name}'; leave that out.")
    if problem := schema.refusals.check_names(names):
        raise problem
    if not data:
        raise _refusal("no_rows", "'data' is an empty list; send a list of values for each row.")
    if len(data) > schema.max_rows:
        told = f"The body is a list of more than {schema.max_rows:,} rows; send fewer at a time."
        raise _refusal("too_many_rows", told)
    ragged = next((n for n, row in enumerate(data) if not isinstance(row, list) or len(row) != len(names)), None)
    rows = [dict(zip(names, row, strict=True)) for row in data[:ragged]]
    if ragged is not None:
        if problem := schema.check(rows, 0)[1]:  # it stands before
            raise problem
        row = data[ragged]
        has = f"has {counted(len(row), 'value')}" if isinstance(row, list) else "is no list of values"
        raise _refusal("ragged_row", f"Row {ragged} {has}; there are {counted(len(names), 'column')}.", ragged)
    return rows


def _rows(found: dict[str, Any], schema: RequestSchema) -> list[Row]:
    rows, problem = schema.check(named_rows(found, schema), 0)
    if problem:
        raise problem
    return rows


def counted(number: int, noun: str) -> str:
    """A number of things in a sentence."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _refusal(code: str, message: str, row: int | None = None) -> Problem:
    return Problem(422, "invalid_rows", message, errors=[FieldError(field="", code=code, message=message, row=row)])

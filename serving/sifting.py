"""Sifting: where a caller asks for it, the rows of a list that fit are answered, and each other one is told why not."""

from __future__ import annotations

from typing import Any, NamedTuple

from contract.answers import Columns
from serving.columns_form import is_columns_form, named_rows, read_columns_form
from serving.problems import FieldError, Problem
from serving.requests import RequestSchema, Row
from serving.wellformed import read_closely

MOST_MISFITS = 1_000
"""A body of which more rows do not fit is refused as a whole: the answer may not become much longer than the body."""


class Read(NamedTuple):
    """The rows of a body that fit, by row and by column."""

    rows: list[Row]
    columns: Columns
    many: bool
    """Whether they came in a list."""
    misfits: dict[int, FieldError]
    """By number, what is first wrong with each row that does not fit; empty where nobody asked for the others."""


def read(body: bytes, schema: RequestSchema, *, partial: bool = False) -> Read:
    """The rows of a JSON body of any form.

    Args:
        body: all of it.
        schema: what rows must fit.
        partial: whether those that do not fit are left out, where others fit.

    Raises:
        Problem: it is no JSON, or no such form, or a row does not fit the signature; where `partial`, no row fits, or
            more than `MOST_MISFITS` do not.
    """
    misfits: dict[int, FieldError] = {}
    try:
        in_columns = is_columns_form(body, schema)
        rows, many = (read_columns_form(body, schema), True) if in_columns else schema.read(body)
    except Problem as problem:
        if not partial or problem.code != "invalid_rows":
            raise
        rows, many, misfits = [], True, {}
        for number, row in enumerate(_each(body, schema, problem)):
            try:
                rows.append(schema.check_row(row, number))
            except Problem as found:
                misfits[number] = found.errors[0]
                if len(misfits) > MOST_MISFITS:
                    raise problem from None
        if not rows:
            raise
    return Read(rows, schema.columns(rows), many, misfits)


def _each(body: bytes, schema: RequestSchema, problem: Problem) -> list[Any]:
    """The rows of a body that was refused with this problem, as they came."""
    if not body.strip():
        raise problem
    document = read_closely(body)
    if is_columns_form(body, schema):
        return named_rows(document, schema)
    if not isinstance(document, list) or not 0 < len(document) <= schema.max_rows:
        raise problem
    return document

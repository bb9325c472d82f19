"""A chunk: some thousand consecutive rows of a stream that fit the signature, on their way to the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contract.answers import Columns
from serving.problems import FieldError, Problem
from serving.requests import RequestSchema, Row, Unlike

CHUNK_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that fit, by column; there may be none when the first one does not."""

    first: int
    """The number of the first row, from 0 in the whole stream."""
    count: int
    columns: Columns
    """Lists, or arrays of numpy where the whole column was checked at once."""
    unlike: Unlike
    """Warnings by place in the chunk."""
    problem: Problem | None = None
    """What is wrong with the row after these, at which the stream ends; what is wrong between chunks is raised."""

    def lists(self) -> Columns:
        """The columns as lists."""
        return {name: _listed(values) for name, values in self.columns.items()}

    def rows(self) -> list[Row]:
        """The rows one by one, as JSON has them."""
        columns = self.lists()
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def checked(rows: list[Row], problem: Problem | None, first: int, schema: RequestSchema) -> Chunk:
    """A chunk of rows that were read one by one."""
    columns = schema.columns(rows)
    return Chunk(first, len(rows), columns, schema.unlike(columns), problem)


def refusal(code: str, message: str) -> Problem:
    """The refusal of rows for what they are as a whole, say none."""
    return Problem(422, "invalid_rows", message, errors=[FieldError(field="", code=code, message=message)])


def too_large(message: str) -> Problem:
    """The refusal of a piece that would have to be in memory as a whole."""
    return Problem(413, "body_too_large", message)


def _listed(values: Any) -> list[Any]:
    return values.tolist() if hasattr(values, "tolist") else values  # type: ignore[no-any-return]

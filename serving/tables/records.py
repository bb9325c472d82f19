"""Records: JSON documents, which are read and written as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from pydantic_core import to_json

from contract.answers import Answers
from serving.columns_form import is_columns_form, read_columns_form
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.tables.chunk import Chunk, checked, refusal, too_large
from serving.tables.layout import Layout


def read(file: BinaryIO, schema: RequestSchema, limit: int) -> Iterator[Chunk]:
    """The rows of one document, which may have `limit` bytes."""
    body = file.read(limit + 1)
    if len(body) > limit:
        raise too_large(f"The body has more than {limit:,} bytes; send fewer rows.")
    rows = read_columns_form(body, schema) if is_columns_form(body, schema) else schema.read(body)[0]
    yield checked(rows, None, 0, schema)


class Writer:
    """Collects all answers, and writes them when it is closed: until then every error is the answer."""

    def __init__(self, sink: BinaryIO, layout: Layout) -> None:
        self._sink = sink
        self._layout = layout
        self._documents: list[dict[str, Any]] = []

    def write(self, chunk: Chunk, answers: Answers) -> None:
        """Keep the answers of a chunk.

        Raises:
            Problem: they are more than a document may have.
        """
        self._documents += self._layout.documents(chunk, answers)
        if len(self._documents) > self._layout.max_rows:
            told = f"The body has more than {self._layout.max_rows:,} rows, the most that one JSON document answers; "
            told += "ask for lines, with the header `Accept: application/x-ndjson`."
            raise refusal("too_many_rows", told)

    def fail(self, problem: Problem) -> None:
        """Nothing was written that an error could follow."""
        raise problem

    def close(self) -> None:
        """Write the document."""
        self._sink.write(to_json({"predictions": self._documents, **self._layout.origin}))

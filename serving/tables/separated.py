"""CSV: a header with the fields in any order, then one line a row; text in, text out, as RFC 4180 quotes it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from pydantic_core import to_json

from contract.answers import Answers
from serving.columns_form import counted
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.tables.cells import parsers
from serving.tables.chunk import CHUNK_ROWS, Chunk, checked, refusal, too_large
from serving.tables.layout import Column, Layout

_BLOCK_BYTES = 256 << 10


def read(file: BinaryIO, schema: RequestSchema, limit: int) -> Iterator[Chunk]:
    """The rows below the header, blank lines left out; no row may have more than `limit` bytes."""
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    lines = _Lines(file, limit)
    table = csv.reader(lines, strict=True)
    header = _next(table, "The header")
    if not header:
        raise refusal("no_rows", f"The body is empty; {schema.refusals.hint}, below a header with these names.")
    if problem := schema.refusals.check_names(header):
        raise problem
    columns = parsers(schema.signature, header)
    records = _records(table, len(header), lines)
    first = 0
    while True:
        cells, problem = _some(records)
        if not (first or cells or problem):
            raise refusal("no_rows", f"The body has a header and no rows; {schema.refusals.hint}.")
        values = [parse(column) for parse, column in zip(columns, zip(*cells, strict=True), strict=False)]
        rows, wrong = schema.check([dict(zip(header, row, strict=True)) for row in zip(*values, strict=True)], first)
        yield checked(rows, wrong or problem, first, schema)
        first += len(cells)
        if len(cells) < CHUNK_ROWS:
            return


def _some(records: Iterator[list[str]]) -> tuple[list[list[str]], Problem | None]:
    """A chunk of records, and what is wrong with the one after them."""
    cells: list[list[str]] = []
    try:
        for record in islice(records, CHUNK_ROWS):
            cells.append(record)  # noqa: PERF402  # those before an error are kept
    except Problem as problem:
        return cells, problem
    return cells, None


def _records(table: Iterator[list[str]], width: int, lines: _Lines) -> Iterator[list[str]]:
    """The records, all as wide as the header."""
    number = 0
    while True:
        lines.used = 0
        record = _next(table, f"Row {number}")
        if record is None:
            return
        if not record:
            continue
        if len(record) != width:
            told = f"Row {number} has {counted(len(record), 'cell')}; the header has {counted(width, 'name')}."
            raise Problem(400, "invalid_csv", told)
        yield record
        number += 1


def _next(table: Iterator[list[str]], what: str) -> list[str] | None:
    try:
        return next(table, None)
    except csv.Error as error:
        raise Problem(400, "invalid_csv", f"{what} is not CSV: {error}.") from None
    except UnicodeDecodeError:
        raise Problem(400, "invalid_csv", f"{what} is not UTF-8; send CSV in that encoding.") from None


class _Lines:
    """The lines of a file as texts with their ends, without a byte order mark; what is between quotes may have more."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit
        self._begun = False
        self.used = 0
        """Bytes read since this was last set to 0."""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(self._limit + 1)
        self.used += len(line)
        if self.used > self._limit:
            raise too_large(f"A row has more than {self._limit:,} bytes; a quote may not have been closed.")
        if not line:
            raise StopIteration
        if not self._begun:
            self._begun = True
            line = line.removeprefix(b"\xef\xbb\xbf")
        return line.decode()


class Writer:
    """Writes a header and one line a row; what is not there is an empty cell, several warnings stand in one."""

    def __init__(self, sink: BinaryIO, layout: Layout) -> None:
        self._sink = sink
        self._layout = layout
        self._begun = False

    def write(self, chunk: Chunk, answers: Answers) -> None:
        """Write the answers of a chunk."""
        values, warnings = self._layout.values(chunk, answers), self._layout.warnings(chunk)
        prefix = self._layout.request_id
        lists = [_spelled(column, found) for column, found in zip(self._layout.columns, values, strict=False)]
        lists.append([f"{prefix}-{number}" for number in range(chunk.first, chunk.first + chunk.count)])
        lists.append([warnings.get(place, "") for place in range(chunk.count)])
        lists.append([""] * chunk.count)
        self._write(zip(*lists, strict=True))

    def fail(self, problem: Problem) -> None:
        """Write a row that says why no more follow."""
        self._write([[*[""] * (len(self._layout.columns) - 1), problem.detail]])

    def close(self) -> None:
        """Nothing stands at the end."""

    def _write(self, rows: Any) -> None:
        text = io.StringIO()
        table = csv.writer(text)
        if not self._begun:
            self._begun = True
            table.writerow([column.name for column in self._layout.columns])
        table.writerows(rows)
        self._sink.write(text.getvalue().encode())


def _spelled(column: Column, values: Any) -> list[Any]:
    """The cells of a column; numbers and None are spelled by the writer."""
    listed = values if isinstance(values, list) else values.tolist()
    if column.shape:
        return [value if value is None else to_json(value).decode() for value in listed]
    if column.kind == "boolean":
        return [value if value is None else "true" if value else "false" for value in listed]
    return listed

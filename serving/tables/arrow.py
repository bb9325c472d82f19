"""Arrow: streams of record batches, and the files of batches that end in `.arrow`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from contract.answers import Answers
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.tables.batches import Batches
from serving.tables.buffers import numbered, sparse_texts, texts, to_array, type_of
from serving.tables.chunk import CHUNK_ROWS, Chunk, refusal, too_large
from serving.tables.layout import Layout

if TYPE_CHECKING:
    import pyarrow as pa

_FILE = b"ARROW1"


def read(file: BinaryIO, schema: RequestSchema, limit: int) -> Iterator[Chunk]:
    """The rows of a stream, or of a file that can be sought; no batch may have more than `limit` bytes."""
    import pyarrow as pa

    begin = file.peek(len(_FILE))[: len(_FILE)] if isinstance(file, io.BufferedReader) else b""
    if isinstance(file, io.BufferedReader) and not begin:
        raise refusal("no_rows", f"The body is empty; {schema.refusals.hint}.")
    if begin == _FILE and not file.seekable():
        told = "The body is an Arrow file, which cannot be read from its beginning; send an Arrow stream."
        raise Problem(400, "invalid_arrow", told)
    bounded = _Bounded(file, limit)
    with damaged("Arrow stream", "invalid_arrow", 0):
        reader = pa.ipc.open_file(file) if begin == _FILE else pa.ipc.open_stream(bounded)
    bounded.begun = True
    batches = Batches(schema, reader.schema.names)
    first = 0
    for batch in _batches(reader):
        with damaged("Arrow stream", "invalid_arrow", first):
            batch.validate(full=True)
        yield from chunks(batches, batch, first)
        first += batch.num_rows
    if not first:
        raise refusal("no_rows", f"The body has no rows; {schema.refusals.hint}.")


def chunks(batches: Batches, batch: pa.RecordBatch, first: int) -> Iterator[Chunk]:
    """The rows of a batch in chunks."""
    for begin in range(0, batch.num_rows, CHUNK_ROWS):
        yield batches.chunk(batch.slice(begin, CHUNK_ROWS), first + begin)


@contextmanager
def damaged(what: str, code: str, first: int) -> Iterator[None]:
    """Where pyarrow reads: what it raises is a refusal of the body."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        where = f" after row {first - 1}" if first else ""
        raise Problem(400, code, f"The body is no whole {what}{where}: {reason}.") from None


def _batches(reader: Any) -> Iterator[pa.RecordBatch]:
    first = 0
    if hasattr(reader, "num_record_batches"):
        for number in range(reader.num_record_batches):
            with damaged("Arrow file", "invalid_arrow", first):
                batch = reader.get_batch(number)
            first += batch.num_rows
            yield batch
        return
    while True:
        with damaged("Arrow stream", "invalid_arrow", first):
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
        first += batch.num_rows
        yield batch


class _Bounded:
    """A file as pyarrow reads it, which has a message in memory as a whole."""

    closed = False

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit
        self.begun = False
        """Whether the schema has been read."""

    def read(self, size: int) -> bytes:
        if size > self._limit and not self.begun:
            raise Problem(400, "invalid_arrow", "The body is no whole Arrow stream: it does not begin with a schema.")
        if size > self._limit:
            told = (
                f"A record batch has more than {self._limit:,} bytes; write smaller ones, of some thousand rows each."
            )
            raise too_large(told)
        return self._file.read(size)

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        """The file is not ours."""


class Table:
    """Makes batches of answers."""

    def __init__(self, layout: Layout) -> None:
        import pyarrow as pa

        self._layout = layout
        self.schema = pa.schema([pa.field(column.name, type_of(column)) for column in layout.columns])

    def batch(self, chunk: Chunk, answers: Answers) -> pa.RecordBatch:
        """The answers of a chunk."""
        import pyarrow as pa

        values, warnings = self._layout.values(chunk, answers), self._layout.warnings(chunk)
        arrays = [to_array(found, column) for found, column in zip(values, self._layout.columns, strict=False)]
        arrays.append(numbered(self._layout.request_id, chunk.first, chunk.count))
        arrays.append(sparse_texts(warnings, chunk.count))
        arrays.append(pa.nulls(chunk.count, pa.string()))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def last(self, problem: Problem) -> pa.RecordBatch:
        """One row that says why no more follow."""
        import pyarrow as pa

        arrays = [pa.nulls(1, field.type) for field in self.schema]
        return pa.RecordBatch.from_arrays([*arrays[:-1], texts([problem.detail])], schema=self.schema)


class Writer:
    """Writes a stream with one batch a chunk."""

    def __init__(self, sink: BinaryIO, layout: Layout) -> None:
        self._sink = sink
        self._table = Table(layout)
        self._batches: Any = None

    def write(self, chunk: Chunk, answers: Answers) -> None:
        """Write the answers of a chunk."""
        self._write(self._table.batch(chunk, answers))

    def fail(self, problem: Problem) -> None:
        """Write a row that says why no more follow."""
        self._write(self._table.last(problem))

    def close(self) -> None:
        """Write the end."""
        if self._batches is not None:
            self._batches.close()

    def _write(self, batch: pa.RecordBatch) -> None:
        if self._batches is None:
            self._batches = self._open()
        self._batches.write_batch(batch)

    def _open(self) -> Any:
        import pyarrow as pa

        return pa.ipc.new_stream(self._sink, self._table.schema)


class FileWriter(Writer):
    """Writes a file of batches, with an index at its end."""

    def _open(self) -> Any:
        import pyarrow as pa

        return pa.ipc.new_file(self._sink, self._table.schema)

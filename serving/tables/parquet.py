"""Parquet: read once it is whole, since its index stands at the end; written a group of rows at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

from contract.answers import Answers
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.tables.arrow import Table, chunks, damaged
from serving.tables.batches import Batches
from serving.tables.chunk import CHUNK_ROWS, Chunk, refusal, too_large
from serving.tables.layout import Layout

if TYPE_CHECKING:
    import pyarrow as pa

MAX_UPLOAD_BYTES = 4 << 30
_BLOCK_BYTES = 1 << 20
_GROUP_ROWS = 8 * CHUNK_ROWS


def read(file: BinaryIO, schema: RequestSchema, limit: int) -> Iterator[Chunk]:  # noqa: ARG001  # as all forms
    """The rows of a file; one that comes through a pipe goes to an unlinked temporary file first."""
    import pyarrow.parquet as pq

    with ExitStack() as opened:
        if not file.seekable():
            file = _whole(file, opened.enter_context(tempfile.TemporaryFile()))
        if not file.read(1):
            raise refusal("no_rows", f"The body is empty; {schema.refusals.hint}.")
        with damaged("Parquet file", "invalid_parquet", 0):
            table = pq.ParquetFile(file, pre_buffer=False, buffer_size=_BLOCK_BYTES)
        batches = Batches(schema, table.schema_arrow.names)
        found = table.iter_batches(batch_size=CHUNK_ROWS)
        first = 0
        while True:
            with damaged("Parquet file", "invalid_parquet", first):
                batch = next(found, None)
                if batch is None:
                    break
                batch.validate(full=True)
            yield from chunks(batches, batch, first)
            first += batch.num_rows
        if not first:
            raise refusal("no_rows", f"The body has no rows; {schema.refusals.hint}.")


def _whole(file: BinaryIO, copy: Any) -> BinaryIO:
    while block := file.read(_BLOCK_BYTES):
        if copy.tell() + len(block) > MAX_UPLOAD_BYTES:
            raise too_large(f"The body has more than {MAX_UPLOAD_BYTES:,} bytes; send an Arrow stream instead.")
        copy.write(block)
    copy.seek(0)
    return copy  # type: ignore[no-any-return]


class Writer:
    """Writes the answers in groups of rows."""

    def __init__(self, sink: BinaryIO, layout: Layout) -> None:
        self._sink = sink
        self._table = Table(layout)
        self._waiting: list[pa.RecordBatch] = []
        self._file: Any = None

    def write(self, chunk: Chunk, answers: Answers) -> None:
        """Write the answers of a chunk, or keep them until there are more."""
        self._add(self._table.batch(chunk, answers))

    def fail(self, problem: Problem) -> None:
        """Write a row that says why no more follow."""
        self._add(self._table.last(problem))

    def close(self) -> None:
        """Write the rest and the index."""
        if self._file is not None:
            self._flush()
            self._file.close()

    def _add(self, batch: pa.RecordBatch) -> None:
        import pyarrow.parquet as pq

        if self._file is None:
            self._file = pq.ParquetWriter(self._sink, self._table.schema)
        self._waiting.append(batch)
        if sum(batch.num_rows for batch in self._waiting) >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._file.write_table(pa.Table.from_batches(self._waiting))
            self._waiting = []

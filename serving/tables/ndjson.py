"""NDJSON: one JSON object a line, in and out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from pydantic_core import to_json

from contract.answers import Answers
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.tables.chunk import CHUNK_ROWS, Chunk, checked, refusal, too_large
from serving.tables.layout import Layout

_BLOCK_BYTES = 256 << 10


def read(file: BinaryIO, schema: RequestSchema, limit: int) -> Iterator[Chunk]:
    """The rows of lines, blank ones left out; no line may have more than `limit` bytes."""
    first = 0
    for lines in _batches(file, limit):
        for begin in range(0, len(lines), CHUNK_ROWS):
            some = lines[begin : begin + CHUNK_ROWS]
            yield checked(*schema.check_lines(some, first), first, schema)
            first += len(some)
    if not first:
        raise refusal("no_rows", f"The body is empty; {schema.refusals.hint}, one JSON object a line.")


def _batches(file: BinaryIO, limit: int) -> Iterator[list[bytes]]:
    """Whole lines that are not blank, some at a time."""
    rest: list[bytes] = []
    size = 0
    while block := file.read(_BLOCK_BYTES):
        head, newline, tail = block.rpartition(b"\n")
        if newline:
            yield [stripped for line in b"".join([*rest, head]).split(b"\n") if (stripped := line.strip())]
            rest, size = [], 0
        rest.append(tail)
        size += len(tail)
        if size > limit:
            raise too_large(f"A line has more than {limit:,} bytes; each line is one row.")
    if last := b"".join(rest).strip():
        yield [last]


class Writer:
    """Writes the same documents that JSON answers have, one a line."""

    def __init__(self, sink: BinaryIO, layout: Layout) -> None:
        self._sink = sink
        self._layout = layout

    def write(self, chunk: Chunk, answers: Answers) -> None:
        """Write the answers of a chunk."""
        documents = self._layout.documents(chunk, answers)
        self._sink.write(b"\n".join([*map(to_json, documents), b""]))

    def fail(self, problem: Problem) -> None:
        """Write why no more answers follow."""
        self._sink.write(b'{"error":%b}\n' % problem.body(self._layout.request_id))

    def close(self) -> None:
        """Nothing stands at the end."""

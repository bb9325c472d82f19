"""Tables: the forms in which rows come and answers go. A new form is one module here and one line in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import BinaryIO, Protocol

from contract.answers import Answers
from serving.problems import Problem
from serving.requests import RequestSchema
from serving.tables import arrow, ndjson, parquet, records, separated
from serving.tables.chunk import Chunk
from serving.tables.layout import Layout


class Writer(Protocol):
    """Writes answers; nothing before the first ones."""

    def write(self, chunk: Chunk, answers: Answers) -> None:
        """Write the answers of a chunk.

        Raises:
            PredictionFailed: they are not what the output says.
        """
        ...

    def fail(self, problem: Problem) -> None:
        """Write a last record that says why no more follow."""
        ...

    def close(self) -> None:
        """Write what stands at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """One form of rows and of their answers."""

    name: str
    media: tuple[str, ...]
    """Its media types; the first one is that of answers."""
    suffixes: tuple[str, ...]
    read: Callable[[BinaryIO, RequestSchema, int], Iterator[Chunk]]
    """The rows in a file, with what a caller may have in memory, in bytes; raises Problem."""
    write: Callable[[BinaryIO, Layout], Writer]
    needs_arrow: bool = False

    @property
    def available(self) -> bool:
        """Whether what it needs is installed."""
        return not self.needs_arrow or find_spec("pyarrow") is not None


JSON = Form("JSON", ("application/json",), (), records.read, records.Writer)
NDJSON = Form(
    "NDJSON",
    ("application/x-ndjson", "application/jsonlines", "application/x-jsonlines"),
    (".ndjson", ".jsonl"),
    ndjson.read,
    ndjson.Writer,
)
CSV = Form("CSV", ("text/csv",), (".csv",), separated.read, separated.Writer)
ARROW = Form(
    "Arrow stream", ("application/vnd.apache.arrow.stream",), (".arrows",), arrow.read, arrow.Writer, needs_arrow=True
)
ARROW_FILE = Form("Arrow file", (), (".arrow", ".feather"), arrow.read, arrow.FileWriter, needs_arrow=True)
PARQUET = Form(
    "Parquet", ("application/vnd.apache.parquet",), (".parquet",), parquet.read, parquet.Writer, needs_arrow=True
)

FORMS = (JSON, NDJSON, CSV, ARROW, ARROW_FILE, PARQUET)
BY_MEDIA = {media: form for form in FORMS for media in form.media}
BY_SUFFIX = {suffix: form for form in FORMS for suffix in form.suffixes}

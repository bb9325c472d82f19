"""Asking: rows on the way that suits their number. All of them are answered by one version, in one request.

few: a JSON document → many: an Arrow stream → what Arrow cannot say, or one side has not installed: lines of JSON
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from contract.errors import RequestRefused, RowsRefused, ServiceUnreachable
from contract.signature import Output
from serving.client.answers import from_arrow, from_documents, from_lines
from serving.client.connection import JSON, Body, Connection
from serving.client.rows import Rows

if TYPE_CHECKING:
    import httpx
    import pandas as pd
    import pyarrow as pa

# A document is read and answered on the service's shortest way, and compared with a challenger in the shadow; from some
# hundred rows on a stream takes less time, and it has no limit.
FEW_ROWS = 1_000
_FEW_BYTES = 1 << 20
_BATCH_ROWS = 8_192
_BATCH_BYTES = 1 << 20

_LINES = "application/x-ndjson"
_ARROW = "application/vnd.apache.arrow.stream"
_ANOTHER_WAY = {"body_too_large", "too_many_rows", "unsupported_media_type", "not_acceptable"}
"""What is said of the form that the rows came in, not of them."""


@dataclass(frozen=True)
class Asking:
    """One request for many rows."""

    connection: Connection
    path: str
    rows: Rows
    output: Callable[[int], Output]
    """What a version answers."""

    def answers(self) -> pd.DataFrame:
        """The answers, in the order of the rows and with their labels.

        Raises:
            RowsRefused: a text of them is none.
            RequestRefused: the service refuses them, or fails.
            ServiceUnreachable: it is not there, or was lost.
        """
        refusal: RequestRefused
        for form, made, read in (
            (JSON, self._document, self._read_document),
            (_ARROW, self._arrow, lambda response: from_arrow(response.iter_bytes(), self.rows)),
            (_LINES, lambda: self._lines, self._read_lines),
        ):
            body = made()
            if body is None:
                continue
            try:
                with self.connection.asked("POST", self.path, body, form=form, labels=self.rows) as response:
                    return self._labelled(read(response), response)
            except RequestRefused as error:
                if not _ANOTHER_WAY & {error.code, *(each["code"] for each in error.errors)}:
                    raise
                refusal = error
        raise refusal

    def _document(self) -> Body | None:
        """The rows as one document; None where they are too many."""
        if len(self.rows) > FEW_ROWS:
            return None
        body = as_json(self.rows.records(0, len(self.rows)))
        return (lambda: body) if len(body) <= _FEW_BYTES else None

    def _arrow(self) -> Body | None:
        """The rows as an Arrow stream; None where it cannot say them, or is not installed."""
        table = self.rows.table()
        return None if table is None else lambda: _batches(table)

    def _lines(self) -> Iterator[bytes]:
        for begin in range(0, len(self.rows), _BATCH_ROWS):
            yield b"".join(as_json(row) + b"\n" for row in self.rows.records(begin, begin + _BATCH_ROWS))

    def _read_document(self, response: httpx.Response) -> pd.DataFrame:
        return from_documents(from_json(response.read())["predictions"], self._output(response))

    def _read_lines(self, response: httpx.Response) -> pd.DataFrame:
        return from_lines(response.iter_bytes(), lambda: self._output(response), self.rows)

    def _output(self, response: httpx.Response) -> Output:
        return self.output(int(response.headers["lectern-version"]))

    def _labelled(self, found: pd.DataFrame, response: httpx.Response) -> pd.DataFrame:
        if len(found) != len(self.rows):
            told = f"The service at {self.connection.place} gave {len(found):,} answers for {len(self.rows):,} rows."
            raise ServiceUnreachable(str(self.connection.place), told)
        found.index = self.rows.index
        found.attrs = {"model": response.headers["lectern-model"], "version": int(response.headers["lectern-version"])}
        return found


def as_json(rows: Any) -> bytes:
    """Rows as JSON.

    Raises:
        RowsRefused: a text of them is none.
    """
    try:
        return to_json(rows, inf_nan_mode="null")
    except PydanticSerializationError:
        raise RowsRefused("A text in the rows cannot be sent: it holds one half of a surrogate pair.") from None


def _batches(table: pa.Table) -> Iterator[bytes]:
    """The table as a stream, batch by batch."""
    import pyarrow as pa

    table = table.unify_dictionaries()
    size = max(1, min(_BATCH_ROWS, _BATCH_BYTES * table.num_rows // max(1, table.nbytes)))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=size):
            writer.write_batch(batch)
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()

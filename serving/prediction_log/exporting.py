"""Exporting: rows of the log into a file, a page at a time; the file appears once it is whole.

In a table JSON stays a text, as its values are of any kind; in NDJSON it is what it says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pydantic_core import from_json, to_json

from contract.errors import LogUnavailable
from serving.prediction_log.rows import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

Record = dict[str, Any]
PREDICTIONS = (*COLUMNS, "truth", "truth_at")
FIELD_COUNTS = ("model", "version", "began", "ended", "worker", "rows", "counts")
_MOMENTS = {"at", "truth_at", "began", "ended"}
_JSON = {"prediction", "scores", "inputs", "warnings", "truth", "counts"}
_NUMBERS = {"version", "latency_us", "rows"}
_FLAGS = {"gone"}


def export(pages: Iterable[Sequence[Record]], columns: Sequence[str], path: Path) -> int:
    """Write these columns of all rows to a file, in the form that its name says; return how many rows.

    Raises:
        LogUnavailable: the form is unknown, what it needs is not installed, or the file cannot be written.
    """
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise LogUnavailable(f"'{path.name}' is of no form that the log is written in; these are: {', '.join(_FORMS)}.")
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("xb") as sink:
            rows = form(sink, pages, columns)
        unfinished.replace(path)
    except ImportError as error:
        raise LogUnavailable(f"{path.name} needs the package 'pyarrow'; 'lectern[watch]' brings it.") from error
    except OSError as error:
        raise LogUnavailable(f"Cannot write {path}: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def document(record: Record, columns: Sequence[str]) -> Record:
    """A row as JSON has it."""
    return {name: _spelled(name, record[name]) for name in columns}


def moment(microseconds: int) -> datetime:
    """What the log's numbers for moments stand for."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)


def _spelled(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _MOMENTS:
        return moment(value).isoformat()
    return from_json(value) if name in _JSON else value


def _ndjson(sink: BinaryIO, pages: Iterable[Sequence[Record]], columns: Sequence[str]) -> int:
    rows = 0
    for page in pages:
        sink.writelines(to_json(document(record, columns)) + b"\n" for record in page)
        rows += len(page)
    return rows


def _csv(sink: BinaryIO, pages: Iterable[Sequence[Record]], columns: Sequence[str]) -> int:
    from pyarrow import csv

    return _table(csv.CSVWriter(sink, _schema(columns)), pages, columns)


def _parquet(sink: BinaryIO, pages: Iterable[Sequence[Record]], columns: Sequence[str]) -> int:
    import pyarrow.parquet as pq

    return _table(pq.ParquetWriter(sink, _schema(columns)), pages, columns)


def _table(writer: Any, pages: Iterable[Sequence[Record]], columns: Sequence[str]) -> int:
    import pyarrow as pa

    rows, schema = 0, _schema(columns)
    with closing(writer):
        for page in pages:
            arrays = [pa.array([record[field.name] for record in page], field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
            rows += len(page)
    return rows


def _schema(columns: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    kinds = {
        **dict.fromkeys(_MOMENTS, pa.timestamp("us", tz="UTC")),
        **dict.fromkeys(_NUMBERS, pa.int64()),
        **dict.fromkeys(_FLAGS, pa.bool_()),
    }
    return pa.schema([(name, kinds.get(name, pa.string())) for name in columns])


_FORMS: dict[str, Callable[[BinaryIO, Iterable[Sequence[Record]], Sequence[str]], int]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".ndjson": _ndjson,
}

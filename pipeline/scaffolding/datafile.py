"""A file of rows to learn from: found to be CSV or Parquet, its first rows read, or refused in one sentence."""

from __future__ import annotations

import codecs
import csv
import re
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pandas as pd

from contract.errors import LecternError

LOOK_ROWS = 100_000
_HEAD_BYTES = 1 << 16
_SEPARATORS = ",;\t|"
_PARQUET = b"PAR1"
_FOREIGN = {
    b"PK\x03\x04": "an Excel file or another archive: save its table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel file: save its table as CSV",
    b"\x1f\x8b": "compressed: unpack it first",
    b"BZh": "compressed: unpack it first",
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b'{"': "JSON: save its rows as CSV or Parquet",
    b"{\n": "JSON: save its rows as CSV or Parquet",
    b"[{": "JSON: save its rows as CSV or Parquet",
    b"[\n": "JSON: save its rows as CSV or Parquet",
    b"<!": "HTML: save its table as CSV",
    b"<html": "HTML: save its table as CSV",
    b"<?xml": "XML: save its rows as CSV or Parquet",
}


class DataRefused(LecternError):
    """A file that no training notebook can be written for; the message says what to change."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file and its first rows, at most LOOK_ROWS of them."""

    path: Path
    parquet: bool
    rows: pd.DataFrame
    whole: bool
    """Whether `rows` are all there are."""
    separator: str = ","
    decimal: str = "."


def read(path: Path) -> DataFile:
    """Find out how the file is written, and read its first rows.

    Raises:
        DataRefused: it is missing, empty, neither CSV in UTF-8 nor Parquet, or without a line of column names.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if not head.strip():
            raise DataRefused(f"{path} is empty; give a file with a line of column names and a line for each row.")
        found = _parquet(path) if head.startswith(_PARQUET) else _csv(path, head)
    except OSError as error:
        raise DataRefused(f"Cannot read {path}: {error.strerror or error}.") from None
    twice = found.rows.columns[found.rows.columns.duplicated()]
    if len(twice):
        raise DataRefused(f"{path} has two columns called {twice[0]!r}; give each a name of its own.")
    if found.rows.empty:
        raise DataRefused(f"{path} names columns and has no rows; there is nothing to learn from.")
    return found


def _parquet(path: Path) -> DataFile:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            batches = file.iter_batches(batch_size=LOOK_ROWS)
            first = next(batches, pa.RecordBatch.from_pylist([], schema=file.schema_arrow))
            rows: pd.DataFrame = pa.Table.from_batches([first]).to_pandas()
            whole = file.metadata.num_rows <= len(rows)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise DataRefused(f"{path} begins like a Parquet file and is none: {reason:.200}.") from None
    return DataFile(path, True, rows.rename(columns=str), whole)


def _csv(path: Path, head: bytes) -> DataFile:
    separator = _separator(path, head)
    rows = _rows(path, separator, ".")
    # "3,5" in a file separated by something else is a number to whoever wrote it
    decimal = "," if separator != "," and any(_commas(rows[name]) for name in rows) else "."
    if decimal == ",":
        rows = _rows(path, separator, decimal)
    return DataFile(path, False, rows.head(LOOK_ROWS), len(rows) <= LOOK_ROWS, separator, decimal)


def _separator(path: Path, head: bytes) -> str:
    """The separator that cuts most lines into as many values as the first; checks on the way that this can be CSV."""
    for magic, what in _FOREIGN.items():
        if head.lstrip().startswith(magic):
            raise DataRefused(f"{path} is no CSV file but {what}.")
    if b"\0" in head:
        raise DataRefused(f"{path} is no text; give a CSV or a Parquet file.")
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=len(head) < _HEAD_BYTES)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, head[: error.start].count(b"\n") + 1) from None
    cut = {separator: _lines(text, separator) for separator in _SEPARATORS}
    counts = {separator: [len(line) for line in lines] for separator, lines in cut.items()}
    several = [separator for separator in _SEPARATORS if counts[separator] and counts[separator][0] > 1]
    if not several:
        raise DataRefused(
            f"{path} has one column only: its first line, {text.strip().splitlines()[0]!r:.80}, holds no comma, "
            "semicolon, tab or '|' between names. To learn, at least one column is needed beside the target."
        )
    separator = max(several, key=lambda s: (round(counts[s].count(counts[s][0]) / len(counts[s]), 1), counts[s][0]))
    _check_header(path, cut[separator][0])
    return separator


def _lines(text: str, separator: str) -> list[list[str]]:
    try:
        lines = [line for line in csv.reader(StringIO(text, newline=""), delimiter=separator) if line]
    except csv.Error:
        return []
    return lines[:-1] if len(text) > _HEAD_BYTES // 4 and len(lines) > 1 else lines  # the last may be cut off


def _check_header(path: Path, names: list[str]) -> None:
    """Refuse a first line that holds a row; names may be years, but no fractions."""
    numbers = [name for name in names if re.fullmatch(r"\s*[+-]?\d+([.]\d+)?([eE][+-]?\d+)?\s*", name)]
    if len(numbers) == len([name for name in names if name.strip()]) or any("." in name for name in numbers):
        raise DataRefused(
            f"{path} has no header: its first line holds values ({', '.join(names)[:60]}); put a line of column names "
            "above it."
        )
    twice = [name for name in names if name.strip() and names.count(name) > 1]
    if twice:
        raise DataRefused(f"{path} has two columns called {twice[0]!r}; give each a name of its own.")


def _rows(path: Path, separator: str, decimal: str) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path, sep=separator, decimal=decimal, nrows=LOOK_ROWS + 1, low_memory=False)
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except (ValueError, OverflowError) as error:  # pandas' own errors are ValueErrors
        uneven = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        if uneven:
            reason = f"line {uneven[2]} has {uneven[3]} values, but {uneven[1]} columns are named"
        raise DataRefused(f"{path} is no sound CSV file: {reason:.200}.") from None
    if not isinstance(rows.index, pd.RangeIndex):
        raise DataRefused(f"{path} is no sound CSV file: its rows have more values than its first line has names.")
    return rows


def _commas(column: pd.Series) -> bool:
    present = column.dropna()
    if present.empty or not pd.api.types.is_string_dtype(present):
        return False
    return bool(present.str.fullmatch(r"\s*[+-]?\d+(,\d+)?\s*").all())


def _not_utf8(path: Path, line: int | None = None) -> DataRefused:
    where = f" (line {line})" if line else ""
    return DataRefused(f"{path} is not UTF-8{where}; save it as UTF-8, e.g. with `iconv -f latin1 -t utf-8`.")

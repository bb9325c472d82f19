"""serving.tables: what is no body of its form, and what is said of it."""

from __future__ import annotations

import io
import struct
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.problems import Problem
from serving.requests import RequestSchema
from serving.tables import ARROW, CSV, NDJSON, PARQUET, Form
from serving.tables.chunk import CHUNK_ROWS
from tests.forms import as_parquet, as_stream, read
from tests.samples import REGRESSION

SCHEMA = RequestSchema(REGRESSION, max_rows=10)
ROW = {"x0": 1.5, "x1": 2.0}
TABLE = pa.table({"x0": [1.5] * 3, "x1": [2.0] * 3})
HINT = "send rows with x0, x1"


class Pipe(io.RawIOBase):
    """A body that cannot be sought, as those of requests."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self.content.readinto(memoryview(buffer)[:100])


def refused(form: Form, content: bytes, limit: int = 1 << 20) -> tuple[int, int, str, str]:
    """How many rows were read, and the status, code and detail of what followed."""
    rows, problem = read(form, content, SCHEMA, limit)
    assert problem is not None
    return len(rows), int(problem.status), problem.errors[0].code if problem.errors else problem.code, problem.detail


# --- CSV


@pytest.mark.parametrize(
    "content",
    [
        b"x0,x1\n1.5,2.0\n",
        b"\xef\xbb\xbfx0,x1\r\n1.5,2.0\r\n",
        b"x1,x0\n2,1.5",
        b'"x1","x0"\n"2.0","1.5"\n\n',
        b"x0,x1\n15e-1,2.0E+0\n",
    ],
)
def test_csv_is_read_as_others_write_it(content: bytes) -> None:
    assert read(CSV, content, SCHEMA) == ([ROW], None)


@pytest.mark.parametrize(
    "cell", ["+1", ".5", "1.", "01", " 1", "1 ", "1_000", "0x1", "1,5", "١", "null", "true", "1e", "--1"]
)
def test_a_number_is_spelled_as_in_json(cell: str) -> None:
    content = f'x0,x1\n1,2\n"{cell}",2\n'.encode()
    assert refused(CSV, content) == (1, 422, "wrong_type", "'x0' in row 1 must be a number.")


def test_an_empty_cell_is_no_number() -> None:
    assert refused(CSV, b"x0,x1\n1,2\n,2\n") == (1, 422, "wrong_type", "'x0' in row 1 must be a number.")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (0, 422, "no_rows", f"The body is empty; {HINT}, below a header with these names.")),
        (b"x0,x1\n", (0, 422, "no_rows", f"The body has a header and no rows; {HINT}.")),
        (b"x0,x1\n\n\n", (0, 422, "no_rows", f"The body has a header and no rows; {HINT}.")),
        (b"x0,x1\n1,2\n1,2,3\n", (1, 400, "invalid_csv", "Row 1 has 3 cells; the header has 2 names.")),
        (b"x0,x1\n1\n", (0, 400, "invalid_csv", "Row 0 has 1 cell; the header has 2 names.")),
        (b'x0,x1\n1,2\n"1,2\n', (1, 400, "invalid_csv", "Row 1 is not CSV: unexpected end of data.")),
        (b'x0,x1\n"1"2,3\n', (0, 400, "invalid_csv", "Row 0 is not CSV: ',' expected after '\"'.")),
        (b"x0,x1\n1,2\n\xff,2\n", (1, 400, "invalid_csv", "Row 1 is not UTF-8; send CSV in that encoding.")),
        (b"\xff\xfex0,x1\n", (0, 400, "invalid_csv", "The header is not UTF-8; send CSV in that encoding.")),
        (b'"x0\n', (0, 400, "invalid_csv", "The header is not CSV: unexpected end of data.")),
        (b"x0\n1\n", (0, 422, "missing", "The field 'x1' is missing.")),
        (b"x0,x1,x0\n1,2,3\n", (0, 422, "duplicate_field", "The column 'x0' stands there twice.")),
        (b"x0,x1,y\n1,2,3\n", (0, 422, "unknown_field", "The model has no field 'y'; its fields are x0, x1.")),
        (b"1,2\n1,2\n", (0, 422, "missing", "The field 'x0' is missing. There are 3 more errors.")),
    ],
)
def test_what_is_no_csv_is_called_that(content: bytes, expected: tuple[int, int, str, str]) -> None:
    assert refused(CSV, content) == expected


def test_a_row_of_csv_may_have_so_many_bytes() -> None:
    told = "A row has more than 100 bytes; a quote may not have been closed."
    for rest in (b"1" * 200, b'"' + b"1\n" * 200):
        assert refused(CSV, b"x0,x1\n1,2\n" + rest, limit=100) == (1, 413, "body_too_large", told)


def test_a_chunk_may_end_with_the_table() -> None:
    content = b"x0,x1\n" + b"1.5,2.0\n" * CHUNK_ROWS
    rows, problem = read(CSV, content, SCHEMA)
    assert (len(rows), problem) == (CHUNK_ROWS, None)
    assert refused(CSV, content + b"1\n")[:3] == (CHUNK_ROWS, 400, "invalid_csv")


# --- NDJSON

LINE = b'{"x0":1.5,"x1":2.0}'


@pytest.mark.parametrize("content", [LINE, LINE + b"\n", b"\n\r\n " + LINE + b" \r\n\n"])
def test_blank_lines_are_no_rows(content: bytes) -> None:
    assert read(NDJSON, content, SCHEMA) == ([ROW], None)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (0, 422, "no_rows", f"The body is empty; {HINT}, one JSON object a line.")),
        (b"\n\n", (0, 422, "no_rows", f"The body is empty; {HINT}, one JSON object a line.")),
        (b"{\n", (0, 400, "invalid_json", "Row 0 is not JSON: EOF while parsing an object at line 1 column 1.")),
        (LINE + b"\nx\n", (1, 400, "invalid_json", "Row 1 is not JSON: expected value at line 1 column 1.")),
        (LINE + b"," + LINE, (0, 400, "invalid_json", "Row 0 is not JSON: trailing characters at line 1 column 20.")),
        (b'{"x0":1.5,\n"x1":2}', (0, 400, "invalid_json", "Row 0 is not JSON: ")),
        (LINE + b"," + LINE + b'\n{"x0":[{}\n{}]}', (0, 400, "invalid_json", "Row 0 is not JSON: trailing")),
        (b"[" + LINE + b"]", (0, 422, "wrong_type", "Row 0 is no object; send ")),
        (LINE + b"\n5\n", (1, 422, "wrong_type", "Row 1 is no object; send ")),
        (LINE + b'\n{"x0":1}\n', (1, 422, "missing", "The field 'x1' is missing in row 1.")),
    ],
)
def test_what_is_no_line_of_json_is_called_that(content: bytes, expected: tuple[int, int, str, str]) -> None:
    *found, detail = refused(NDJSON, content)
    assert tuple(found) == expected[:3]
    assert detail.startswith(expected[3])


def test_a_line_may_have_so_many_bytes() -> None:
    told = "A line has more than 100 bytes; each line is one row."
    assert refused(NDJSON, LINE + b"\n" + b"x" * 200, limit=100) == (1, 413, "body_too_large", told)


# --- Arrow and Parquet


def test_a_body_of_arrow_may_come_in_small_pieces() -> None:
    for form, content in ((ARROW, as_stream(TABLE, 2)), (PARQUET, as_parquet(TABLE))):
        file: Any = io.BufferedReader(Pipe(content))
        rows = [row for chunk in form.read(file, SCHEMA, 1 << 20) for row in chunk.rows()]
        assert rows == [ROW] * 3


def test_a_file_of_arrow_is_read_where_it_can_be_sought() -> None:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=2)
    assert read(ARROW, sink.getvalue(), SCHEMA) == ([ROW] * 3, None)
    with pytest.raises(Problem, match=r"^The body is an Arrow file, which cannot .*; send an Arrow stream\.$"):
        list(ARROW.read(io.BufferedReader(Pipe(sink.getvalue())), SCHEMA, 1 << 20))


def test_a_body_without_rows_is_refused() -> None:
    for form, content in ((ARROW, as_stream(TABLE.slice(0, 0))), (PARQUET, as_parquet(TABLE.slice(0, 0)))):
        assert refused(form, content) == (0, 422, "no_rows", f"The body has no rows; {HINT}.")
        assert refused(form, b"") == (0, 422, "no_rows", f"The body is empty; {HINT}.")


def test_columns_are_those_of_the_signature() -> None:
    for form, write in ((ARROW, as_stream), (PARQUET, as_parquet)):
        content = write(TABLE.rename_columns(["x0", "y"]))
        assert refused(form, content) == (0, 422, "missing", "The field 'x1' is missing. There is 1 more error.")
    twice = pa.Table.from_arrays([TABLE["x0"]] * 3, names=["x0", "x1", "x0"])
    assert refused(ARROW, as_stream(twice)) == (0, 422, "duplicate_field", "The column 'x0' stands there twice.")
    assert read(ARROW, as_stream(TABLE.select(["x1", "x0"])), SCHEMA) == ([ROW] * 3, None)


@pytest.mark.parametrize("damage", ["cut", "noise", "half a batch"])
def test_what_is_no_arrow_is_called_that(damage: str) -> None:
    whole = as_stream(TABLE, 2)
    content = {"cut": whole[:100], "noise": b"x0,x1\n1,2\n" * 10, "half a batch": whole[:-100]}[damage]
    rows, status, code, detail = refused(ARROW, content)
    assert (rows, status, code) == (2 if damage == "half a batch" else 0, 400, "invalid_arrow")
    assert detail.startswith(f"The body is no whole Arrow stream{' after row 1' if rows else ''}: ")


def test_offsets_that_lead_astray_are_found_before_they_are_followed() -> None:
    whole = as_stream(pa.table({"x0": ["a", "b"], "x1": [1.0, 2.0]}))
    offsets = struct.pack("<3i", 0, 1, 2)
    assert whole.count(offsets) == 1
    rows, status, code, _ = refused(ARROW, whole.replace(offsets, struct.pack("<3i", 0, 1 << 30, 2)))
    assert (rows, status, code) == (0, 400, "invalid_arrow")


@pytest.mark.parametrize("damage", ["cut", "noise", "middle"])
def test_what_is_no_parquet_is_called_that(damage: str) -> None:
    whole = as_parquet(pa.table({"x0": [float(i) for i in range(1000)], "x1": [2.0] * 1000}))
    content = {
        "cut": whole[:100],
        "noise": b"x0,x1\n1,2\n" * 10,
        "middle": whole[:20] + b"\xff" * 2_000 + whole[2_020:],
    }[damage]
    rows, status, code, detail = refused(PARQUET, content)
    assert (rows, status, code) == (0, 400, "invalid_parquet")
    assert detail.startswith("The body is no whole Parquet file: ")


def test_a_batch_may_have_so_many_bytes() -> None:
    table = pa.table({"x0": [1.5] * 1_000, "x1": [2.0] * 1_000})
    told = "A record batch has more than 1,000 bytes; write smaller ones, of some thousand rows each."
    assert refused(ARROW, as_stream(table), limit=1_000) == (0, 413, "body_too_large", told)


def test_an_upload_of_parquet_may_have_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.tables.parquet.MAX_UPLOAD_BYTES", 100)
    with pytest.raises(Problem, match=r"^The body has more than 100 bytes; send an Arrow stream instead\.$"):
        list(PARQUET.read(io.BufferedReader(Pipe(as_parquet(TABLE))), SCHEMA, 1 << 20))


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.binary(), pa.bool_(), pa.time64("ns"), pa.duration("ns"), pa.null()], ids=str
)
def test_a_column_of_another_type_is_refused_as_its_first_value(kind: pa.DataType) -> None:
    values = {pa.string(): "a", pa.binary(): b"a", pa.bool_(): True}.get(kind)
    cast = values is None and kind != pa.null()
    first = pa.array([5], pa.int64()).cast(kind) if cast else pa.array([values], kind)
    table = pa.table({"x0": first, "x1": [2.0]})
    assert refused(ARROW, as_stream(table)) == (0, 422, "wrong_type", "'x0' in row 0 must be a number.")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1.5], pa.float32()),
        pa.array([1.5], pa.float16()),
        pa.array([1.5]).dictionary_encode(),
        pa.array(["1.5"]).cast(pa.decimal128(5, 2)),
        pa.array([0.0, 1.5]).slice(1),
    ],
    ids=lambda values: str(values.type),
)
def test_a_number_may_be_of_any_type_that_holds_it(values: pa.Array) -> None:
    table = pa.Table.from_arrays([values, pa.array([2], pa.uint8())], names=["x0", "x1"])
    assert read(ARROW, as_stream(table), SCHEMA) == ([ROW], None)


def test_a_row_group_of_any_size_is_read_in_chunks() -> None:
    table = pa.table({"x0": [1.5] * 20_000, "x1": [2.0] * 20_000})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=20_000)
    sink.seek(0)
    counts = [chunk.count for chunk in PARQUET.read(sink, SCHEMA, 1)]
    assert sum(counts) == 20_000
    assert max(counts) <= CHUNK_ROWS

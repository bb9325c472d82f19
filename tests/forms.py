"""Rows in every form that the service takes, and what answers in every form say."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contract.answers import Answers
from contract.signature import Signature
from serving.loading import Served
from serving.metrics import Counts
from serving.problems import Problem
from serving.replies import ReplySchema
from serving.requests import RequestSchema
from serving.rounding import Rounding
from serving.tables import ARROW, BY_MEDIA, CSV, FORMS, JSON, NDJSON, PARQUET, Form
from serving.tables.chunk import Chunk
from serving.tables.layout import Layout
from tests.samples import manifest

STREAMED = (NDJSON, CSV, ARROW, PARQUET)
EVERY = (JSON, *STREAMED)
ID = "0123456789ab00000001"
LIMIT = 1 << 20

assert set(EVERY) <= set(FORMS)


def body(form: Form, rows: Sequence[dict[str, Any]], **types: Any) -> bytes:
    """Rows in some form; `types` are those of Arrow's columns where they cannot be told from the values."""
    if form is JSON:
        return json.dumps(rows).encode()
    if form is NDJSON:
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if form is CSV:
        return separated(rows)
    table = pa.table({name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]})
    return as_parquet(table) if form is PARQUET else as_stream(table)


def separated(rows: Sequence[dict[str, Any]], **how: Any) -> bytes:
    """Rows as CSV, with JSON's spelling of true, false and lists."""
    text = io.StringIO()
    table = csv.writer(text, **how)
    table.writerow(rows[0])
    for row in rows:
        cells = [row[name] for name in rows[0]]  # a row may have its fields in an order of its own
        table.writerow([json.dumps(cell) if isinstance(cell, bool | list) else cell for cell in cells])
    return text.getvalue().encode()


def as_stream(table: pa.Table, rows_a_batch: int = 8_192) -> bytes:
    """A table as an Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)
    return sink.getvalue()


def as_parquet(table: pa.Table) -> bytes:
    """A table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def said(content: bytes, form: Form | str) -> list[dict[str, Any]]:
    """What answers say, a flat document for each row; what is null or empty is left out."""
    form = BY_MEDIA[form] if isinstance(form, str) else form
    if form is JSON:
        found = [flat(document) for document in json.loads(content)["predictions"]]
    elif form is NDJSON:
        found = [flat(json.loads(line)) for line in content.splitlines()]
    elif form is CSV:
        found = list(csv.DictReader(io.StringIO(content.decode(), newline="")))
    else:
        table = pq.read_table(io.BytesIO(content)) if form is PARQUET else pa.ipc.open_stream(content).read_all()
        found = table.to_pylist()
    return [{name: value for name, value in row.items() if value not in (None, "", [])} for row in found]


def flat(document: dict[str, Any]) -> dict[str, Any]:
    """A document of JSON as the row of a table that says the same."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if name == "input":
            found = value | found
        elif name == "warnings":
            found[name] = "; ".join(f"{warning['field']} {warning['kind']}" for warning in value)
        elif name == "error":
            found[name] = value["detail"]
        elif isinstance(value, dict):
            found |= {f"{name}.{key}": entry for key, entry in value.items()}
        elif isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            found[name] = "; ".join(value)
        elif isinstance(value, list):
            found |= {f"{name}.{place}": entry for place, entry in enumerate(value)}
        else:
            found[name] = value
    return found


def as_texts(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Rows as CSV has them."""

    def text(value: Any) -> str:
        return json.dumps(value) if isinstance(value, bool | list) else str(value)

    return [{name: text(value) for name, value in row.items()} for row in rows]


def read(form: Form, content: bytes, schema: RequestSchema, limit: int = LIMIT) -> tuple[list[Any], Problem | None]:
    """The rows in a body that fit, and what is wrong with the next one."""
    rows: list[Any] = []
    try:
        for chunk in form.read(io.BufferedReader(io.BytesIO(content)), schema, limit):
            assert chunk.first == len(rows)
            rows += chunk.rows()
            if chunk.problem:
                return rows, chunk.problem
    except Problem as problem:
        return rows, problem
    return rows, None


def layout_of(
    signature: Signature, answers: Answers, *, echo: bool = False, rounding: Rounding | None = None
) -> Layout:
    """How answers of a version are written that gives such."""
    replies = ReplySchema(signature.output, answers, rounding)
    served = Served(
        7,
        manifest(signature=signature),
        RequestSchema(signature, 100),
        replies,
        None,  # type: ignore[arg-type]  # nobody asks it
        replies.documents(answers)[0],
        Counts(),
    )
    return Layout(served, ID, echo=echo)


def written(
    form: Form,
    signature: Signature,
    columns: Any,
    answers: Answers,
    *,
    echo: bool = False,
    fails: str = "",
    rounding: Rounding | None = None,
) -> bytes:
    """Answers as a form has them."""
    sink = io.BytesIO()
    layout = layout_of(signature, answers, echo=echo, rounding=rounding)
    writer = form.write(sink, layout)
    unlike = RequestSchema(signature, 100).unlike(columns)
    writer.write(Chunk(0, len(answers.values), columns, unlike), answers)
    if fails:
        writer.fail(Problem(422, "invalid_rows", fails))
    writer.close()
    return sink.getvalue()

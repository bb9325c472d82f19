"""Answers: documents or batches of Arrow as one frame, with the columns that the service's own tables have."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from contract.errors import RequestRefused
from contract.signature import Output, as_key
from serving.client.refusing import Labels, named, refusal

if TYPE_CHECKING:
    import pandas as pd

_TYPES = {"float": "float64", "integer": "int64", "unsigned": "uint64", "boolean": "bool", "string": "str"}
_AT_ONCE = 8_192


def from_documents(documents: Sequence[dict[str, Any]], output: Output) -> pd.DataFrame:
    """The frame of answers as JSON has them; none at all have the same columns."""
    import pandas as pd

    from serving.tables.layout import BETWEEN, Column, predicted, spelled

    def values(name: str) -> list[Any]:
        head, dot, key = name.partition(".")
        found = [document[head] for document in documents]
        if head == "warnings":
            return [BETWEEN.join(f"{warning['field']} {warning['kind']}" for warning in each) for each in found]
        if head == "prediction" and output.task == "multilabel":
            return [BETWEEN.join(map(as_key, labels)) for labels in found]
        if dot:
            if head != "prediction":  # a service may tell the largest of them only
                return [each.get(key) for each in found]
            place = key if output.names else int(key)
            found = [each[place] for each in found]
        return spelled(found, output) if head == "prediction" else found

    columns = predicted(output, documents[0] if documents else _example(output))
    columns += [Column(name, "string") for name in ("id", "warnings")]
    return pd.DataFrame({name: pd.Series(values(name), dtype=_TYPES[kind]) for name, kind, _ in columns})


def from_lines(content: Iterator[bytes], output: Callable[[], Output], labels: Labels) -> pd.DataFrame:
    """The frame of answers that come one a line.

    Raises:
        RequestRefused: the last line says why no more follow.
    """
    import pandas as pd

    lines, frames = _lines(content), []
    while documents := [from_json(line) for line in islice(lines, _AT_ONCE)]:
        if "error" in documents[-1]:
            raise refusal(documents[-1]["error"], labels)
        frames.append(from_documents(documents, output()))
    return pd.concat(frames, ignore_index=True)


def from_arrow(content: Iterator[bytes], labels: Labels) -> pd.DataFrame:
    """The frame of answers that come as an Arrow stream.

    Raises:
        RequestRefused: the last row says why no more follow.
    """
    import pyarrow as pa

    table = pa.ipc.open_stream(io.BufferedReader(_Content(content))).read_all()
    error = table["error"][-1].as_py()
    if error is not None:
        row = table.num_rows - 1
        raise RequestRefused(named(error, row, labels), status=200, code="stopped", detail=error)
    frame: pd.DataFrame = table.drop_columns("error").to_pandas()
    return frame


class _Content(io.RawIOBase):
    """What comes piece by piece, as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(self._rest), len(buffer))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _lines(content: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in content:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole


def _example(output: Output) -> dict[str, Any]:
    """An answer with the keys that answers of such an output have."""
    several = output.task == "multilabel"
    if not output.scores or (output.width is not None and not several):
        return {}
    if output.scores == "decisions" and not several and len(output.classes) == 2:
        return {"score": 0.0}  # of two classes a model has one decision value
    keys = dict.fromkeys(map(as_key, output.classes), 0.0)
    if output.scores == "decisions":
        return {"scores": keys}
    return {"probabilities": keys} if several else {"confidence": 0.0, "probabilities": keys}

"""Rows with their truth, which two versions are asked: those kept in an artifact, or those of a file given by hand."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.artifact import Artifact
from contract.errors import ExportRefused, NotComparable
from contract.showing import listed
from contract.signature import Signature

if TYPE_CHECKING:
    import pandas as pd

_SUFFIXES = (".csv", ".parquet")
_TEXTS = ("string", "category", "date", "datetime")


@dataclass(frozen=True, slots=True)
class Held:
    """n rows by column, their n true values, and where they are from."""

    columns: dict[str, list[Any]]
    truth: list[Any]
    source: str

    def take(self, rows: Sequence[int]) -> Held:
        """Some of the rows."""
        columns = {name: [values[i] for i in rows] for name, values in self.columns.items()}
        return Held(columns, [self.truth[i] for i in rows], self.source)

    def lacking(self, signature: Signature) -> list[str]:
        """The fields of a model that are no columns here."""
        return [name for name in signature.names if name not in self.columns]


def kept(artifact: Artifact) -> Held | None:
    """The held-out rows of a version; None where it has none.

    Raises:
        ArtifactError: the file is not the one that was published.
        OSError: the file system failed.
    """
    from pyarrow import parquet

    from pipeline.exporting import evaluation

    if evaluation.FILE not in artifact.manifest.files:
        return None
    table = parquet.read_table(io.BytesIO(artifact.read(evaluation.FILE)))
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    truth = columns.pop(evaluation.TRUTH)
    return Held(columns, truth, f"version {artifact.folder.name}")


def given(data: Path | pd.DataFrame, target: str, signature: Signature) -> Held:
    """The rows of a CSV or Parquet file, or of a frame.

    Args:
        data: the file, or the frame.
        target: the column that holds the truth, as the model's answers or its callers call it.
        signature: what the candidate takes: it says which columns of a CSV file are texts.

    Raises:
        NotComparable: they cannot be read, or have no such column, or a truth that is no answer of the model.
    """
    from pipeline.exporting import evaluation

    if isinstance(data, Path):
        frame, source, called = _read(data, signature), str(data), data.name
    else:
        frame, source, called = data.copy(deep=False), "the frame", "the frame"
    if target not in frame.columns:
        raise NotComparable(f"{source} has no column '{target}'; it has {listed(frame.columns, 20)}.")
    try:
        truth = evaluation.truth(frame.pop(target).tolist(), signature.output, len(frame))
    except ExportRefused as error:
        raise NotComparable(f"The column '{target}' of {source} is not what the model answers. {error}") from None
    columns = {str(name): frame[name].tolist() for name in frame.columns}
    return Held(columns, truth, called)


def _read(path: Path, signature: Signature) -> pd.DataFrame:
    import pandas as pd

    texts = {field.name: "str" for field in signature.inputs if field.type in _TEXTS and _is_text(field.levels)}
    try:
        if path.suffix == ".csv":
            frame = pd.read_csv(path, dtype=texts)
        elif path.suffix == ".parquet":
            frame = pd.read_parquet(path)
        else:
            raise NotComparable(f"{path} is no file of rows; give one that ends with {' or '.join(_SUFFIXES)}.")
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or f"{str(error)[:200]}"
        raise NotComparable(f"Cannot read {path}: {said}.") from None
    for field in signature.inputs:
        if field.name in frame.columns and path.suffix == ".csv" and field.type in ("date", "datetime"):
            frame[field.name] = pd.to_datetime(frame[field.name], format="ISO8601")
    return frame


def _is_text(levels: Sequence[Any] | None) -> bool:
    return levels is None or all(isinstance(level, str) for level in levels)

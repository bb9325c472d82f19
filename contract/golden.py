"""Golden rows: inputs kept with the answers the fitted object gave. What cannot reproduce them never serves."""

from __future__ import annotations

import math
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_core import to_json

from contract.answers import Answers, Columns, count, difference
from contract.errors import (
    DeadlineExceeded,
    ManifestInvalid,
    PredictionError,
    SelfTestFailed,
    SelfTestMismatch,
    SelfTestTimeout,
)
from contract.signature import Record, Scalar, Signature

GOLDEN = "golden.json"
MAX_ROWS = 20
_UNREADABLE = f"{GOLDEN} is not a document of golden rows."


class _Document(Record):
    """The golden rows as they are stored."""

    rows: dict[str, list[Any]]
    values: list[Scalar | list[Scalar]]
    scores: list[list[float]] | None


class Model(Protocol):
    """A loaded model file, whatever runs it."""

    def answer(self, columns: Columns) -> Answers:
        """Answer n rows.

        Raises:
            PredictionError: the model could not.
        """
        ...


def choose(columns: Columns, answers: Answers) -> tuple[Columns, Answers]:
    """Up to `MAX_ROWS` of n answered rows, spread evenly over them: held-out rows often stand sorted by class."""
    chosen = spread(count(columns))
    return {name: [values[i] for i in chosen] for name, values in columns.items()}, answers.take(chosen)


def spread(rows: int) -> range:
    """Up to `MAX_ROWS` of n rows by number, spread evenly over them."""
    return range(0, rows, max(1, -(-rows // MAX_ROWS)))


def write(columns: Columns, answers: Answers) -> bytes:
    """The golden rows as they are stored."""
    found = {"rows": columns, "values": answers.values, "scores": answers.scores}
    return to_json(found, inf_nan_mode="constants")


def read(document: bytes) -> tuple[Columns, Answers]:
    """The rows and the answers.

    Raises:
        ManifestInvalid: the document is not what `write` makes.
    """
    try:
        found = _Document.model_validate_json(document)
    except ValidationError:
        raise ManifestInvalid(_UNREADABLE) from None
    lists = [found.values, *found.rows.values(), *([] if found.scores is None else [found.scores])]
    if not found.rows or len(set(map(len, lists))) != 1:
        raise ManifestInvalid(_UNREADABLE)
    return dict(found.rows), Answers(found.values, found.scores)


def reproduce(model: Model, document: bytes, signature: Signature, tolerance: float) -> None:
    """Have `model` answer its golden rows.

    Raises:
        SelfTestFailed: it could not.
        SelfTestTimeout: not in the time it has for an answer.
        SelfTestMismatch: a class differs, or a number by more than `tolerance`.
        ManifestInvalid: they are no golden rows for this signature.
    """
    columns, expected = read(document)
    found = _answered(model, columns, "golden rows")
    try:
        apart = difference(found, expected, relative=signature.output.numeric)
    except (TypeError, ValueError):
        raise ManifestInvalid(_UNREADABLE) from None
    if apart > tolerance:
        what = "a class differs" if math.isinf(apart) else f"a number differs by {apart:.2g}, {tolerance:g} is allowed"
        raise SelfTestMismatch(f"The model answers its golden rows otherwise than when it was fitted: {what}.")


def prove(model: Model, document: bytes, signature: Signature, tolerance: float) -> Answers:
    """Have `model` answer its golden rows and the example row; return the answers to the latter.

    Raises:
        ArtifactError: as `reproduce` does, for either.
    """
    reproduce(model, document, signature, tolerance)
    return _answered(model, {name: [value] for name, value in signature.example.items()}, "example row")


def _answered(model: Model, columns: Columns, what: str) -> Answers:
    try:
        return model.answer(columns)
    except DeadlineExceeded as error:
        raise SelfTestTimeout(f"The model could not answer its {what}: {error}") from error
    except PredictionError as error:
        raise SelfTestFailed(f"The model could not answer its {what}: {error}") from error

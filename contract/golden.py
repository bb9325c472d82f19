"""Golden rows: inputs kept with the answers the fitted object gave. What cannot reproduce them never serves."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic_core import from_json, to_json

from contract.answers import Answers, Columns, count, difference
from contract.errors import ManifestInvalid, PredictionError, SelfTestFailed, SelfTestMismatch
from contract.signature import Signature

GOLDEN = "golden.json"
MAX_ROWS = 20


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
    rows = count(columns)
    step = max(1, -(-rows // MAX_ROWS))
    chosen = range(0, rows, step)
    return {name: [values[i] for i in chosen] for name, values in columns.items()}, answers.take(chosen)


def write(columns: Columns, answers: Answers) -> bytes:
    """The golden rows as they are stored."""
    found = {"rows": columns, "values": answers.values, "probabilities": answers.probabilities}
    return to_json(found, inf_nan_mode="constants")


def read(document: bytes) -> tuple[Columns, Answers]:
    """The rows and the answers.

    Raises:
        ManifestInvalid: the document is not what `write` makes.
    """
    try:
        found: dict[str, Any] = from_json(document)
        return found["rows"], Answers(found["values"], found["probabilities"])
    except (ValueError, KeyError, TypeError):
        raise ManifestInvalid(f"{GOLDEN} is not a document of golden rows.") from None


def reproduce(model: Model, document: bytes, signature: Signature, tolerance: float) -> None:
    """Have `model` answer its golden rows.

    Raises:
        SelfTestFailed: it could not.
        SelfTestMismatch: a label differs, or a number by more than `tolerance`.
    """
    columns, expected = read(document)
    try:
        found = model.answer(columns)
    except PredictionError as error:
        raise SelfTestFailed(f"The model could not answer its golden rows: {error}") from error
    apart = difference(found, expected, relative=signature.output.task == "regression")
    if apart > tolerance:
        raise SelfTestMismatch(
            f"The model answers its golden rows otherwise than when it was fitted: they differ by {apart:.2g}, "
            f"{tolerance:g} is allowed."
        )

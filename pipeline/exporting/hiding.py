"""Hiding: what an artifact shows of rows that nobody may see, or of which some values are sensitive.

Drawn values stand for the real ones, in the example and in golden rows, and the model's answers to them go with them.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from contract import golden
from contract.answers import Answers, Columns, count
from contract.errors import ExportRefused, PredictionError
from contract.formats.joblib import FittedObject
from contract.showing import listed
from contract.signature import Field, Signature
from pipeline.exporting import asking, signatures


def check(sensitive: Sequence[str], names: Sequence[str]) -> None:
    """See to it that what is called sensitive are names of columns.

    Raises:
        ExportRefused: they are not.
    """
    if isinstance(sensitive, str) or not all(isinstance(name, str) for name in sensitive):
        raise ExportRefused(f"sensitive= is {sensitive!r:.60}; give a list of names of columns.")
    for name in sensitive:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {listed(names)}."
            raise ExportRefused(f"sensitive= names '{name}', which is no column; {hint}")


def hide(
    fitted: FittedObject, rows: Columns, sensitive: Sequence[str], *, keep_rows: bool
) -> tuple[Signature, tuple[Columns, Answers]]:
    """The signature to publish, and golden rows with the answers to them.

    Args:
        fitted: the model with its signature as the rows say it.
        rows: the n rows as they were given.
        sensitive: fields of which no value is kept, and no range or list of those that were seen. The levels of a
            category stay: they are what a request may send.
        keep_rows: whether the values of the other fields may be kept; they are drawn as well where not.

    Raises:
        ExportRefused: the model cannot answer the rows drawn.
    """
    forgetful = tuple(_without_texts(field) if field.name in sensitive else field for field in fitted.signature.inputs)
    signature = fitted.signature.model_copy(update={"inputs": forgetful})
    signature, columns = signatures.draw(signature, golden.MAX_ROWS)
    if keep_rows:
        chosen = golden.spread(count(rows))
        real = {name: [rows[name][i] for i in chosen] for name in signature.names if name not in sensitive}
        columns = {name: real.get(name) or values[: len(chosen)] for name, values in columns.items()}
    fields = []
    for field, before in zip(signature.inputs, fitted.signature.inputs, strict=True):
        if field.name in sensitive:
            fields.append(field.model_copy(update={"sensitive": True, "observed": None}))
        else:
            fields.append(before if keep_rows else field)
    return signature.model_copy(update={"inputs": tuple(fields)}), (columns, _answered(fitted, columns, sensitive))


def _without_texts(field: Field) -> Field:
    return field.model_copy(update={"levels": None}) if field.type == "string" else field


def _answered(fitted: FittedObject, columns: Columns, sensitive: Sequence[str]) -> Answers:
    try:
        return fitted.answer(columns)
    except PredictionError as error:
        texts = [field.name for field in fitted.signature.inputs if field.type == "string" and field.name in sensitive]
        hint = f" Of '{texts[0]}' no text is kept: one that comes from a list may be a category." if texts else ""
        raise ExportRefused(
            "The model cannot answer rows drawn from the observed ranges, which stand for the real ones "
            f"({f'sensitive={list(sensitive)}' if sensitive else 'keep_rows=False'}). {asking.reason(error)}{hint}"
        ) from error

"""Examining: what a chain takes and answers, found out by asking it, until nothing about its API is a guess."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from contract.answers import Answers, Columns
from contract.errors import ExportRefused, PredictionFailed
from contract.formats.chain import Chain
from contract.formats.joblib import FittedObject
from contract.signature import Output, Signature
from pipeline.exporting import alone, asking, chains, company, outputs, signatures
from pipeline.exporting.intake import Rows
from pipeline.exporting.outputs import Said

MAX_VALUES = 5_000_000
"""Numbers and texts in the rows that are asked again: more rows than these are thinned out."""
MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the author said about the API: see `export`."""

    classes: outputs.Classes | None = None
    threshold: float | None = None
    targets: Any = None
    bounds: signatures.Bounds | None = None
    units: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out."""

    chain: Chain
    signature: Signature
    direct: Answers
    """What the chain says of all rows given, in the notebook."""
    sent: Columns
    """The rows as a request brings them; of very many only some."""
    expected: Answers
    """What the chain says of these."""
    sample: list[int]
    """The rows among them that stand for all: they are asked one by one as well."""
    categories: tuple[str, ...]
    """The columns that became closed lists because the chain has to know all their levels."""


def examine(chain: Chain, rows: Rows, everything: Rows, wishes: Wishes) -> Examined:
    """Find the signature of a chain from n rows it can answer and from every row it saw.

    Raises:
        ExportRefused: there is none by which the chain answers each row as it answers all.
    """
    basis, said = _ask(chain, rows, everything)
    chain, decoded = chains.fold_decoding(chain)
    classes = wishes.classes
    if decoded is not None:
        said, classes = asking.ask(chain, basis), decoded if classes is None else classes
    try:
        output = outputs.infer_output(chain, said, classes=classes, threshold=wishes.threshold, targets=wishes.targets)
    except ValidationError as error:
        raise ExportRefused(f"The model's classes cannot be served: {error.errors()[0]['msg']}.") from None
    example = _example(rows.frame)

    def sign(categories: Collection[str] = ()) -> Signature:
        fields = signatures.infer_inputs(everything, example, wishes.bounds or {}, wishes.units or {}, categories)
        return Signature(container=rows.container, inputs=fields, output=output)

    signature = sign()
    width = sum(math.prod(field.shape) for field in signature.inputs)
    thinned = _thinned(len(basis), width)
    few, answers = basis.frame.iloc[thinned].reset_index(drop=True), _answers(said, output).take(thinned)
    sent = signatures.as_columns(few, signature)
    categories = alone.choose_categories(chain, sign, few, sent, answers)
    company.check(FittedObject(chain, sign(categories)), sent, answers)
    if categories or basis is not rows:
        rows = rows.with_levels(categories, everything)
        said = asking.ask(chain, rows)
    direct = _answers(said, output)
    thinned = _thinned(len(rows), width)
    few, expected = rows.frame.iloc[thinned].reset_index(drop=True), direct.take(thinned)
    sent = signatures.as_columns(few, signature)
    signature = _nullable(chain, sign(categories), few)
    asking.compare(FittedObject(chain, signature), sent, expected)
    return Examined(chain, signature, direct, sent, expected, alone.representative(chain, few, signature), categories)


def _ask(chain: Chain, rows: Rows, everything: Rows) -> tuple[Rows, Said]:
    """What the chain says, and of which rows: of every row where its code may have to know all levels of a column."""
    if rows.container != "frame" or all(map(alone.is_library, chain.steps)):
        return rows, asking.ask(chain, rows)
    if everything is rows:
        try:
            return rows, asking.ask(chain, rows)
        except asking.ColumnMissing as error:
            hint = "Does a step have to know all levels of a column, as get_dummies does? Give every row as all_rows=."
            raise ExportRefused(f"{error} {hint}") from error
    try:
        return everything, asking.ask(chain, everything)
    except ExportRefused:  # not all of them may be such as it answers
        return rows, asking.ask(chain, rows)


def _answers(said: Said, output: Output) -> Answers:
    try:
        return asking.as_answers(said, output)
    except PredictionFailed as error:
        raise ExportRefused(f"The model's answers cannot be served. {error}") from error


def _example(frame: pd.DataFrame) -> pd.Series[Any]:
    """The first row without a gap, else the first one."""
    whole = frame.notna().all(axis=1).to_numpy()
    return frame.astype(object).iloc[int(np.argmax(whole))]


def _thinned(rows: int, width: int) -> list[int]:
    """Which rows are asked again: all, or some spread evenly where these would be too many."""
    most = max(1, min(MAX_ROWS, MAX_VALUES // width))
    return list(range(0, rows, -(-rows // most)))


def _nullable(chain: Chain, signature: Signature, frame: pd.DataFrame) -> Signature:
    """The signature with null only where the training rows had gaps and the chain answers a row with one."""
    fitted = FittedObject(chain, signature)
    refused = {
        field.name
        for field in signature.inputs
        if field.nullable
        and not frame[field.name].isna().any()
        and not asking.takes_null(fitted, signature.example, field.name)
    }
    fields = [f.model_copy(update={"nullable": f.nullable and f.name not in refused}) for f in signature.inputs]
    return signature.model_copy(update={"inputs": tuple(fields)})

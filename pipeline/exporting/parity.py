"""Parity: ONNX is kept only if it answers as the fitted object does, on all rows given and on rows around them."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from contract.answers import FLOOR, Answers, Columns, difference
from contract.errors import ArtifactError, PredictionError
from contract.formats import FORMATS, modules, onnx
from contract.formats.chain import Chain
from contract.formats.joblib import FittedObject
from contract.manifest import Manifest, Onnx, Runtime
from contract.signature import Signature
from pipeline.exporting.signatures import as_columns

_MOST_ROWS = 10_000
_LEAST_ROWS = 1_000
_FLOOR = 1e-6
"""A graph is to be as close where an answer is small; a net, which adds in float32 itself, cannot be."""
_DTYPES: dict[str, tuple[onnx.Dtype, ...]] = {
    "classification": ("float32", "float64"),
    "regression": ("float64", "float32"),
}
"""Which number type agrees more often goes first."""


def choose_runtime(
    fitted: FittedObject, manifest: Manifest, frame: pd.DataFrame, answered: Sequence[tuple[Columns, Answers]]
) -> tuple[Runtime, bytes | None]:
    """The runtime that serves the fitted object, and the ONNX file where it is that one.

    It is compared on the rows `answered` by the fitted object, on those of `frame`, and on rows around these.
    Which number type agrees depends on the model (forests compare in float32, linear models in float64): the one that
    comes closer is kept, and the second is not tried where the first is as close as a joblib file has to be.
    """
    signature = fitted.signature  # what is published may say less of the rows
    if reason := onnx.obstacle(fitted.chain, signature):
        return Runtime(format="joblib", reason=reason), None
    frame = frame if len(frame) <= _MOST_ROWS else frame.sample(_MOST_ROWS, random_state=0)
    more = [as_columns(rows, signature) for rows in (frame, around(frame, signature))]
    expected = [*answered, *((rows, answers) for rows in more if (answers := _answers(fitted, rows)))]
    kept: tuple[Onnx, bytes] | None = None
    reasons = []
    for dtype in _DTYPES["regression" if signature.output.numeric else "classification"]:
        try:
            content, plan = onnx.convert(fitted.chain, signature, dtype)
        except Exception as error:  # noqa: BLE001  # a converter raises what it likes
            reasons.append(f"it cannot be converted: {_one_line(error)}")
            continue
        try:
            plan = _compared(content, plan, manifest, fitted.chain, expected)
        except (ArtifactError, PredictionError) as error:
            reasons.append(f"the converted graph fails: {error}")
            continue
        if plan.max_difference > FORMATS["onnx"].tolerance:
            reasons.append("the converted graph answers otherwise than the fitted object")
        elif kept is None or plan.max_difference < kept[0].max_difference:
            kept = plan, content
        if plan.max_difference <= FORMATS["joblib"].tolerance:
            break
    if kept is None:
        return Runtime(format="joblib", reason="; ".join(dict.fromkeys(reasons))), None
    return Runtime(format="onnx", onnx=kept[0]), kept[1]


def around(frame: pd.DataFrame, signature: Signature) -> pd.DataFrame:
    """Rows near and between those of `frame`: numbers moved a little or a lot, texts and missing values exchanged."""
    rng = np.random.default_rng(0)
    count = min(max(len(frame), _LEAST_ROWS), _MOST_ROWS)
    rows = frame.iloc[rng.integers(len(frame), size=count)].reset_index(drop=True)
    for field in signature.inputs:
        column = rows[field.name]
        if field.type == "tensor":
            low, high = map(float, field.observed or (0, 0))
            noise = (rng.normal(size=field.shape) * rng.choice([1e-7, 0.01, 0.3]) * (high - low) for _ in range(count))
            rows[field.name] = [np.asarray(row) + step for row, step in zip(column, noise, strict=True)]
        elif field.type in ("float", "integer"):
            low, high = (float(limit) if field.type == "float" else int(limit) for limit in field.observed or (0, 0))
            steps = (
                rng.normal(size=count) * rng.choice([1e-7, 0.01, 0.3], size=count) * max(high - low, abs(high) * 1e-3)
            )
            moved = column + (steps.round() if field.type == "integer" else steps)
            limits = (low, high) if field.type == "integer" else field.bounds  # not every integer type has room beyond
            moved = moved.clip(*limits) if limits else moved
            rows[field.name] = moved.astype(column.dtype)
        else:
            elsewhere = frame[field.name].iloc[rng.integers(len(frame), size=count)].reset_index(drop=True)
            rows[field.name] = column.where(rng.random(count) < 0.5, elsewhere)
        if field.nullable:
            rows.loc[rng.random(count) < 0.05, field.name] = None
    return rows


def _answers(fitted: FittedObject, rows: Columns) -> Answers | None:
    """What the fitted object says, or None where it refuses rows that nobody gave."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return fitted.answer(rows)
    except PredictionError:
        return None


def _compared(
    content: bytes, plan: Onnx, manifest: Manifest, chain: Chain, expected: Sequence[tuple[Columns, Answers]]
) -> Onnx:
    runtime = Runtime(format="onnx", onnx=plan)
    graph = onnx.load(content, manifest.model_copy(update={"runtime": runtime}))
    relative = manifest.signature.output.numeric
    floor = FLOOR if any(map(modules.is_module, chain.steps)) else _FLOOR
    with warnings.catch_warnings(action="ignore"):  # numbers that float32 does not hold
        worst = max(
            difference(graph.answer(rows), answers, relative=relative, floor=floor) for rows, answers in expected
        )
    return plan.model_copy(update={"max_difference": worst})


def _one_line(error: Exception) -> str:
    text = textwrap.shorten(str(error), 120, placeholder=" …")
    return f"{type(error).__name__}, {text}"

"""Parity: ONNX is kept only if it answers as the fitted object does, on all rows given and on rows around them."""

from __future__ import annotations

import textwrap
import warnings

import numpy as np
import pandas as pd

from contract.answers import Answers, difference
from contract.errors import ArtifactError, PredictionError
from contract.formats import FORMATS, onnx
from contract.formats.joblib import FittedObject
from contract.manifest import Manifest, Onnx, Runtime
from contract.signature import Signature
from pipeline.signatures import as_columns

_MOST_ROWS = 10_000
_LEAST_ROWS = 1_000


def choose_runtime(fitted: FittedObject, manifest: Manifest, frame: pd.DataFrame) -> tuple[Runtime, bytes | None]:
    """The runtime that serves the fitted object, and the ONNX file where it is that one.

    Which number type agrees depends on the model (forests compare in float32, linear models in float64): both are
    tried, and the one that comes closer is kept.
    """
    expected = [
        (rows, answers) for rows in (frame, around(frame, manifest.signature)) if (answers := _answers(fitted, rows))
    ]
    kept: tuple[Runtime, bytes] | None = None
    reason = ""
    for dtype in ("float32", "float64"):
        try:
            content, plan = onnx.convert(fitted.fitted, manifest.signature, dtype)  # type: ignore[arg-type]
            plan = _compared(content, plan, manifest, expected)
        except ArtifactError as error:
            reason = reason or str(error)
        except PredictionError as error:
            reason = reason or f"the converted graph failed: {error}"
        except Exception as error:
            reason = reason or f"skl2onnx cannot convert it: {_one_line(error)}"
        else:
            if not plan.max_difference <= FORMATS["onnx"].tolerance:
                reason = reason or "the converted graph answers otherwise than the fitted object"
            elif kept is None or plan.max_difference < kept[0].onnx.max_difference:  # type: ignore[union-attr]
                kept = Runtime(format="onnx", onnx=plan), content
    return kept or (Runtime(format="joblib", reason=reason), None)


def around(frame: pd.DataFrame, signature: Signature) -> pd.DataFrame:
    """Rows near and between those of `frame`: numbers moved a little or a lot, texts and missing values exchanged."""
    rng = np.random.default_rng(0)
    count = min(max(len(frame), _LEAST_ROWS), _MOST_ROWS)
    rows = frame.iloc[rng.integers(len(frame), size=count)].reset_index(drop=True)
    for field in signature.inputs:
        column = rows[field.name]
        if field.type in ("float", "integer"):
            low, high = field.observed or (0, 0)
            steps = (
                rng.normal(size=count) * rng.choice([1e-7, 0.01, 0.3], size=count) * max(high - low, abs(high) * 1e-3)
            )
            moved = column + (steps.round() if field.type == "integer" else steps)
            moved = moved.clip(*field.bounds) if field.bounds else moved
            rows[field.name] = moved.astype(column.dtype)
        else:
            elsewhere = frame[field.name].iloc[rng.integers(len(frame), size=count)].reset_index(drop=True)
            rows[field.name] = column.where(rng.random(count) < 0.5, elsewhere)
        if field.nullable:
            rows.loc[rng.random(count) < 0.05, field.name] = None
    return rows


def _answers(fitted: FittedObject, rows: pd.DataFrame) -> Answers | None:
    """What the fitted object says, or None where it refuses rows that nobody gave."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return fitted.answer(as_columns(rows))
    except PredictionError:
        return None


def _compared(content: bytes, plan: Onnx, manifest: Manifest, expected: list[tuple[pd.DataFrame, Answers]]) -> Onnx:
    runtime = Runtime(format="onnx", onnx=plan)
    graph = onnx.load(content, manifest.model_copy(update={"runtime": runtime}))
    relative = manifest.signature.output.task == "regression"
    found = [difference(graph.answer(as_columns(rows)), answers, relative=relative) for rows, answers in expected]
    worst = max(found)
    return plan.model_copy(update={"max_difference": worst})


def _one_line(error: Exception) -> str:
    text = textwrap.shorten(str(error), 120, placeholder=" …")
    return f"{type(error).__name__}, {text}"

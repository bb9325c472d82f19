"""The ONNX format: a graph without code. Answers in the process that loads it, in microseconds.

An array takes all rows as one matrix; mixed columns come one by one, numbers in one type and texts as they are.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from contract.answers import Answers, Columns, count, from_model
from contract.errors import FormatMismatch, PredictionFailed
from contract.manifest import Manifest, Onnx
from contract.signature import Signature

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

FILE = "model.onnx"
MATRIX = "rows"
_FLOAT32_DECIMALS = 7
Dtype = Literal["float32", "float64"]


def convert(fitted: Any, signature: Signature, dtype: Dtype) -> tuple[bytes, Onnx]:
    """Convert a fitted scikit-learn object, its numbers in `dtype`; return the file and how it takes the rows.

    Raises:
        Exception: whatever the converter raises for what it does not know.
    """
    from skl2onnx import to_onnx

    numeric = all(field.type in ("float", "integer") for field in signature.inputs)
    layouts: tuple[Literal["matrix", "columns"], ...] = ("matrix", "columns") if numeric else ("columns",)
    first: Exception | None = None
    for layout in layouts:
        plan = Onnx(layout=layout, dtype=dtype, max_difference=0.0)
        options = {"zipmap": False} if signature.output.task == "classification" else None
        try:
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
                graph = to_onnx(fitted, initial_types=_initial_types(signature, plan), options=options)
            return graph.SerializeToString(), plan
        except Exception as error:  # noqa: BLE001  # columns chosen by name need the other layout
            first = first or error
    raise first or AssertionError("there is always a layout")


def load(content: bytes, manifest: Manifest) -> Graph:
    """Load a graph from the bytes of its file.

    Raises:
        FormatMismatch: the bytes are no graph that ONNX Runtime runs, or not the one the manifest describes.
    """
    import onnxruntime

    plan = manifest.runtime.onnx
    if plan is None:
        raise FormatMismatch(f"The manifest does not say how {FILE} takes its rows.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise FormatMismatch(f"{FILE} is not a graph that ONNX Runtime can run ({type(error).__name__}).") from error
    inputs = [node.name for node in session.get_inputs()]
    if inputs != ([MATRIX] if plan.layout == "matrix" else list(manifest.signature.names)):
        raise FormatMismatch(f"{FILE} does not take the inputs of the signature.")
    return Graph(session, manifest.signature, plan)


class Graph:
    """An ONNX session that answers rows."""

    def __init__(self, session: InferenceSession, signature: Signature, plan: Onnx) -> None:
        self.session = session
        self.signature = signature
        self.dtype = np.dtype(plan.dtype)
        self.feed = self._matrix if plan.layout == "matrix" else self._columns

    def answer(self, columns: Columns) -> Answers:
        """Answer n rows.

        Raises:
            PredictionFailed: the graph could not, or a number is too large for it.
        """
        output = self.signature.output
        try:
            values, *probabilities = self.session.run(None, self.feed(columns))
            shares = _shares(probabilities[0]) if output.probabilities else None
            return from_model(values, shares, output, count(columns))
        except PredictionFailed:
            raise
        except ArithmeticError:
            raise PredictionFailed(f"A number is too large for the graph, which computes in {self.dtype}.") from None
        except Exception as error:
            raise PredictionFailed(f"The graph could not run these rows ({type(error).__name__}).") from error

    @np.errstate(over="raise")  # what float32 cannot hold must not become infinite; as a decorator it costs the least
    def _matrix(self, columns: Columns) -> dict[str, Any]:
        # None becomes NaN in a float array
        matrix = np.array([columns[name] for name in self.signature.names], dtype=self.dtype)
        return {MATRIX: np.ascontiguousarray(matrix.T)}

    @np.errstate(over="raise")
    def _columns(self, columns: Columns) -> dict[str, Any]:
        feed = {}
        for field in self.signature.inputs:
            dtype = self.dtype if field.type in ("float", "integer") else _OTHER[field.type][1]
            feed[field.name] = np.array(columns[field.name], dtype=dtype).reshape(-1, 1)
        return feed


def _shares(found: Any) -> Any:
    """Probabilities without what float32 added to them: 1.0 where a hundred trees agree, not 0.9999993."""
    if found.dtype != np.float32:
        return found
    shares = found.astype(np.float64)
    return (shares / shares.sum(axis=1, keepdims=True)).round(_FLOAT32_DECIMALS)


_OTHER: dict[str, tuple[str, Any]] = {
    "boolean": ("BooleanTensorType", np.bool_),
    "string": ("StringTensorType", np.object_),
    "category": ("StringTensorType", np.object_),
}
_NUMBERS = {"float32": "FloatTensorType", "float64": "DoubleTensorType"}


def _initial_types(signature: Signature, plan: Onnx) -> list[tuple[str, Any]]:
    from skl2onnx.common import data_types

    if plan.layout == "matrix":
        return [(MATRIX, getattr(data_types, _NUMBERS[plan.dtype])([None, len(signature.inputs)]))]
    kinds = [_OTHER[f.type][0] if f.type in _OTHER else _NUMBERS[plan.dtype] for f in signature.inputs]
    return [(name, getattr(data_types, kind)([None, 1])) for name, kind in zip(signature.names, kinds, strict=True)]

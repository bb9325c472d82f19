"""The ONNX format: a graph without code. Answers in the process that loads it, in microseconds.

An array takes all rows as one matrix; mixed columns come one by one, numbers in one type and texts as they are.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from typing import Any, Literal

from contract.errors import FormatMismatch
from contract.formats import boosters, modules
from contract.formats.chain import Chain, parts
from contract.formats.graph import LOOP, Graph
from contract.manifest import Manifest, Onnx
from contract.signature import Signature

FILE = "model.onnx"
MATRIX = "rows"
_OPSET = 22
"""The newest set of operators that skl2onnx writes."""
Dtype = Literal["float32", "float64"]


def obstacle(chain: Chain, signature: Signature) -> str:
    """Why no graph can stand for the chain, whatever the converter says; empty where one may."""
    strange = next((field for field in signature.inputs if field.type not in _TYPES), None)
    if strange is not None or signature.container not in ("frame", "polars", "array", "sparse"):
        return f"ONNX does not take {'texts' if strange is None else f'a {strange.type}'} as the model does"
    if signature.output.task == "multilabel" and signature.output.rule == "predict":
        return "a graph gives the probabilities of several labels in another form"
    *before, last = _steps(chain)
    estimators = before if modules.is_module(last) else [*before, last]
    if chain.after or not all(hasattr(step, "get_params") for step in estimators):
        return "its steps are Python code"
    if any(hasattr(part, "build_analyzer") for step in estimators for part in parts(step)):
        return "ONNX splits texts into words in another way"
    return ""


def convert(chain: Chain, signature: Signature, dtype: Dtype) -> tuple[bytes, Onnx]:
    """Convert a chain of scikit-learn objects, its numbers in `dtype`; return the file and how it takes the rows.

    The last of them may be a module of PyTorch, whose weights decide on the type.

    Raises:
        Exception: whatever the converter raises for what it does not know.
    """
    steps = _steps(chain)
    module = steps.pop() if modules.is_module(steps[-1]) else None
    steps = boosters.convertible(steps)
    if module is not None:
        dtype = modules.dtype_of(module)
    numeric = all(field.type in (*_NUMERIC, "boolean") for field in signature.inputs)  # a matrix has 1 for true
    whole = signature.inputs[0].type == "tensor"
    layouts: tuple[Literal["matrix", "columns"], ...] = ("matrix", "columns") if numeric else ("columns",)
    first: Exception | None = None
    for layout in layouts[: 1 if whole or not steps else None]:
        plan = Onnx(layout=layout, dtype=dtype, max_difference=0.0)
        try:
            graph: Any = _converted(steps, signature, plan) if steps else None
            if module is not None:
                graph = modules.to_graph(module, signature.inputs[0].shape or (len(signature.inputs),), _OPSET, graph)
            return graph.SerializeToString(), plan
        except Exception as error:  # noqa: BLE001  # columns chosen by name need the other layout
            first = first or error
    raise first or AssertionError("there is always a layout")


def _converted(steps: Sequence[Any], signature: Signature, plan: Onnx) -> Any:
    from skl2onnx import to_onnx
    from sklearn.pipeline import Pipeline

    fitted = steps[0] if len(steps) == 1 else Pipeline([(str(i), step) for i, step in enumerate(steps)])
    last = _last(steps[-1])
    classifies = signature.output.task == "classification" and hasattr(last, "predict")
    options = {"zipmap": False} if classifies else {}
    if signature.output.scores == "decisions" and options:
        options = {"raw_scores": True} if type(last).__name__ == "LinearSVC" else options | {"raw_scores": True}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
        return to_onnx(
            fitted,
            initial_types=_initial_types(signature, plan),
            options={id(last): options},
            target_opset={"": _OPSET, "ai.onnx.ml": 3},  # what all converters of trees know
        )


def get_ready() -> None:
    """Import what `load` needs."""
    import onnxruntime  # noqa: F401


def load(content: bytes, manifest: Manifest, threads: int = 1) -> Graph:
    """Load a graph from the bytes of its file; it may use so many `threads` for one set of rows.

    Raises:
        FormatMismatch: the bytes are no graph that ONNX Runtime runs, or not the one the manifest describes.
    """
    import onnxruntime

    plan = manifest.runtime.onnx
    if plan is None:
        raise FormatMismatch(f"The manifest does not say how {FILE} takes its rows.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the cores are others' as well
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise FormatMismatch(f"{FILE} is not a graph that ONNX Runtime can run ({type(error).__name__}).") from error
    if len(session.get_inputs()) != (1 if plan.layout == "matrix" else len(manifest.signature.inputs)):
        raise FormatMismatch(f"{FILE} does not take the inputs of the signature.")
    return Graph(session, manifest.signature, plan, loops=LOOP in content)


def _steps(chain: Chain) -> list[Any]:
    return [*chain.before, *([] if chain.model is None else [chain.model])]


def _last(step: Any) -> Any:
    """The estimator that answers, within pipelines."""
    return _last(step.steps[-1][1]) if isinstance(getattr(step, "steps", None), list) else step


_NUMERIC = ("float", "integer", "tensor")
_TYPES: dict[str, str] = {
    **dict.fromkeys(_NUMERIC, ""),
    "boolean": "BooleanTensorType",
    "string": "StringTensorType",
    "category": "StringTensorType",
}
_NUMBERS = {"float32": "FloatTensorType", "float64": "DoubleTensorType"}


def _initial_types(signature: Signature, plan: Onnx) -> list[tuple[str, Any]]:
    from skl2onnx.common import data_types

    if plan.layout == "matrix":
        first = signature.inputs[0]
        width = first.shape if first.type == "tensor" else (len(signature.inputs),)
        return [(MATRIX, getattr(data_types, _NUMBERS[plan.dtype])([None, *width]))]
    kinds = [_NUMBERS[plan.dtype] if f.type in _NUMERIC else _TYPES[f.type] for f in signature.inputs]
    return [(name, getattr(data_types, kind)([None, 1])) for name, kind in zip(signature.names, kinds, strict=True)]

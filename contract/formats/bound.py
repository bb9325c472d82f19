"""A graph bound to memory for one row: nothing is looked up or allocated between a row of numbers and its answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from contract.answers import Answers
from contract.manifest import Onnx
from contract.signature import Output, Signature

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

DECIMALS = 7
"""Of a probability that was computed in float32."""
_FEW = 8
"""Below so many numbers numpy adds one after the other, as Python does; from there on in another order."""
_OUTPUTS = {"tensor(int64)": np.int64, "tensor(float)": np.float32, "tensor(double)": np.float64}

OneRow = Callable[[Sequence[float | None]], Answers | None]


def bind(session: InferenceSession, signature: Signature, plan: Onnx) -> OneRow | None:
    """What answers one row of numbers, in the order of the signature, as the graph answers it among others.

    It says None, or raises, where the answer is not of the usual form, and is itself None where rows or answers are of
    another kind: then the graph has to be asked. It is for one thread at a time.
    """
    output, outputs = signature.output, session.get_outputs()
    numbers = all(field.type in ("float", "integer", "boolean") for field in signature.inputs)
    if plan.layout != "matrix" or not numbers or not _is_usual(output):
        return None
    if any(node.type not in _OUTPUTS for node in outputs):
        return None
    from onnxruntime import OrtValue

    row = np.zeros((1, len(signature.inputs)), dtype=plan.dtype)
    try:
        found = session.run(None, {session.get_inputs()[0].name: row})
    except Exception:  # noqa: BLE001  # who asks the graph is told
        return None
    binding = session.io_binding()
    binding.bind_cpu_input(session.get_inputs()[0].name, row)
    for node, value in zip(outputs, found, strict=True):
        binding.bind_ortvalue_output(node.name, OrtValue.ortvalue_from_numpy(value))
    run, label, shares = session.run_with_iobinding, found[0].reshape(-1), found[-1]
    if not output.classes:

        def number(values: Sequence[float | None]) -> Answers | None:
            row[0] = values
            run(binding)
            (value,) = label.tolist()
            return Answers([value]) if math.isfinite(value) else None

        return number if label.size == 1 and label.dtype.kind == "f" else None

    names = dict(zip(output.labels, output.classes, strict=True))
    single = shares.dtype == np.float32

    def shared(values: Sequence[float | None]) -> Answers | None:
        row[0] = values
        run(binding)
        (value,) = label.tolist()
        (found,) = shares.tolist()
        if single:
            found = normalised(found)
        return Answers([names[value]], [found]) if value in names and math.isfinite(sum(found)) else None

    return shared if shares.shape == (1, len(names)) and len(names) < _FEW else None


def normalised(shares: Sequence[float]) -> list[float]:
    """Probabilities of one row without what float32 added to them: 1.0 where a hundred trees agree, not 0.9999993."""
    whole = sum(shares)
    return [min(max(round(share / whole * 10**DECIMALS) / 10**DECIMALS, 0.0), 1.0) for share in shares]


def _is_usual(output: Output) -> bool:
    """Whether an answer is one class with a probability for each, or one number."""
    if output.rule != "predict" or output.width is not None:
        return False
    if output.task == "classification":
        return output.scores == "probabilities" and len(output.labels) == len(output.classes) > 1
    return output.task == "regression" and output.type == "float" and not output.labels

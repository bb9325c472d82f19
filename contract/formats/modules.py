"""Modules of PyTorch: nets that answer a tensor, among the steps of a chain and as a graph."""

from __future__ import annotations

import copy
import io
import logging
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, Literal

import numpy as np

_ROWS = "rows"
_LEAST = 2
"""Rows of the example that a net is followed on: of a single one, PyTorch takes the number as part of the net."""


def is_module(step: Any) -> bool:
    """Whether a step is a module of PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(step, torch.nn.Module)


def forward(module: Any, rows: Any) -> Any:
    """What a module says of n rows, without training: numbers come in the type of its weights."""
    import torch

    given = rows if isinstance(rows, torch.Tensor) else torch.as_tensor(np.asarray(rows))
    if given.is_floating_point():
        given = given.to(_weights(module))
    with torch.no_grad():
        return module.eval()(given)


def to_graph(module: Any, shape: Sequence[int], opset: int, before: Any = None) -> Any:
    """A module as an ONNX model that takes n rows in the type of its weights.

    Args:
        module: what answers.
        shape: of one row.
        opset: the version of ONNX's operators to use.
        before: an ONNX model that makes the module's rows from those of this shape, to become a part of it.

    Raises:
        ImportError: the package that PyTorch converts with is not installed.
        Exception: whatever PyTorch raises for a net that it cannot follow.
    """
    from onnx import compose

    if before is None:
        return _followed(module, shape, opset)
    made = before.graph.output[0].type.tensor_type.shape.dim[1:]
    net = _followed(module, [size.dim_value for size in made], opset)
    before.ir_version = net.ir_version
    rows, net = compose.add_prefix(before, "before/", rename_inputs=False), compose.add_prefix(net, "net/")
    return compose.merge_models(rows, net, io_map=[(rows.graph.output[0].name, net.graph.input[0].name)])


def _followed(module: Any, shape: Sequence[int], opset: int) -> Any:
    import torch

    example = torch.zeros((_LEAST, *shape), dtype=_weights(module))
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            program = torch.onnx.export(
                copy.deepcopy(module).eval(),
                (example,),
                input_names=[_ROWS],
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                opset_version=opset,
                dynamo=True,
                verbose=False,
            )
    finally:
        logging.disable(level)
    return program.model_proto


def dtype_of(module: Any) -> Literal["float32", "float64"]:
    """The type that its weights are of, as a graph takes its rows."""
    import torch

    return "float64" if _weights(module) is torch.float64 else "float32"


def _weights(module: Any) -> Any:
    import torch

    return next((weight.dtype for weight in module.parameters() if weight.is_floating_point()), torch.float32)

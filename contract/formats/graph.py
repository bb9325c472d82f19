"""A graph: an ONNX session that answers rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.answers import Answers, Columns, count, from_model
from contract.errors import PredictionFailed
from contract.formats.bound import DECIMALS, OneRow, bind
from contract.manifest import Onnx
from contract.signature import Field, Output, Signature

LOOP = b"\x22\x04Loop"
"""How a file says that a node is a loop, which may take as long as the rows have it take."""

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

DTYPES: dict[str, Any] = {"boolean": np.bool_, "string": np.object_, "category": np.object_}
"""Of a column in a graph; of any other field it is the graph's own number type."""


class Graph:
    """An ONNX session that answers rows."""

    def __init__(self, session: InferenceSession, signature: Signature, plan: Onnx, *, loops: bool = False) -> None:
        self.signature = signature
        self.loops = loops
        """Whether some rows may take much longer than others."""
        self.dtype = np.dtype(plan.dtype)
        self._run = session.run
        self._inputs = [node.name for node in session.get_inputs()]  # in order; the converter respells some names
        self._tensor = signature.names[0] if signature.inputs[0].type == "tensor" else None
        # which of the two is not held by its name here: what holds itself stays in memory until somebody looks for it
        self._is_matrix = plan.layout == "matrix"
        self._names = signature.names
        self._bind = partial(bind, session, signature, plan)

    @cached_property
    def one(self) -> OneRow | None:
        """Answers one row of numbers faster; see `bind`, which asks the graph a row of zeros."""
        return self._bind()

    def stoppable(self) -> tuple[Callable[[Columns], Answers], Callable[[], None]]:
        """What answers rows once, and what has it stop in the middle, from another thread."""
        from onnxruntime import RunOptions

        options = RunOptions()
        return partial(self.answer, options=options), partial(setattr, options, "terminate", True)

    def answer(self, columns: Columns, options: RunOptions | None = None) -> Answers:
        """Answer n rows.

        Raises:
            PredictionFailed: the graph could not, or a number is too large for it.
        """
        output = self.signature.output
        try:
            feed = self._matrix if self._is_matrix else self._columns
            found = self._run(None, feed(columns), options)  # a net has scores alone
            scores = None
            if output.scores:
                scores = _shares(found[-1]) if output.scores == "probabilities" else _decisions(found[-1], output)
            return from_model(found[0], scores, output, count(columns))
        except PredictionFailed:
            raise
        except ArithmeticError:
            raise PredictionFailed(f"A number is too large for the graph, which computes in {self.dtype}.") from None
        except Exception as error:
            raise PredictionFailed(f"The graph could not run these rows ({type(error).__name__}).") from error

    def _matrix(self, columns: Columns) -> dict[str, Any]:
        # None becomes NaN in a float array
        if self._tensor is not None:
            return {self._inputs[0]: self._numbers(columns[self._tensor])}
        return {self._inputs[0]: np.ascontiguousarray(self._numbers([columns[name] for name in self._names]).T)}

    def _columns(self, columns: Columns) -> dict[str, Any]:
        fields = zip(self._inputs, self.signature.inputs, strict=True)
        return {name: self._column(columns[field.name], field).reshape(-1, 1) for name, field in fields}

    def _column(self, values: Sequence[Any], field: Field) -> Any:
        return np.array(values, dtype=DTYPES[field.type]) if field.type in DTYPES else self._numbers(values)

    @np.errstate(over="raise")  # what float32 cannot hold must not become infinite; as a decorator it costs the least
    def _numbers(self, values: Any) -> Any:
        return np.array(values, dtype=self.dtype)


def _shares(found: Any) -> Any:
    """Probabilities without what float32 added to them: 1.0 where a hundred trees agree, not 0.9999993."""
    if found.dtype != np.float32 or found.ndim == 1 or found.shape[1] == 1:
        return found
    shares = found.astype(np.float64)
    return (shares / shares.sum(axis=1, keepdims=True)).round(DECIMALS).clip(0.0, 1.0)


def _decisions(found: Any, output: Output) -> Any:
    """Decision values as the fitted object gives them: of two classes only the second one's."""
    pairs = output.rule == "predict" and found.ndim == 2 and found.shape[1] == 2 == len(output.classes)
    return found[:, 1] if pairs else found

"""A graph that multiplies x by two after as many turns of a loop as x says, and a version of it."""

from __future__ import annotations

from functools import cache

from contract import golden
from contract.answers import Answers
from contract.formats import onnx
from contract.manifest import Onnx, Runtime
from contract.store import Store
from tests.live import X
from tests.samples import sealed

FOR_EVER = 1e15


@cache
def loop() -> bytes:
    """The file of the graph."""
    from onnx import TensorProto, helper

    turn, going = [
        helper.make_tensor_value_info(n, t, []) for n, t in (("turn", TensorProto.INT64), ("on", TensorProto.BOOL))
    ]
    on = helper.make_node("Identity", ["on"], ["goes_on"])
    one = helper.make_node("Identity", ["seen"], ["sees"])
    seen, sees = (helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, 1]) for name in ("seen", "sees"))
    body = helper.make_graph(
        [on, one], "body", [turn, going, seen], [helper.make_tensor_value_info("goes_on", 9, []), sees]
    )
    nodes = [
        helper.make_node("ReduceMax", [onnx.MATRIX], ["largest"], keepdims=0),
        helper.make_node("Cast", ["largest"], ["turns"], to=TensorProto.INT64),
        helper.make_node("Loop", ["turns", "always", onnx.MATRIX], ["same"], body=body),
        helper.make_node("Mul", ["same", "two"], ["product"]),
    ]
    graph = helper.make_graph(
        nodes,
        "endless",
        [helper.make_tensor_value_info(onnx.MATRIX, TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor_value_info("product", TensorProto.DOUBLE, [None, 1])],
        [
            helper.make_tensor("always", TensorProto.BOOL, [], [True]),
            helper.make_tensor("two", TensorProto.DOUBLE, [1], [2.0]),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    content: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return content


def publish_loop(store: Store, name: str = "endless", turns: float = 2.0) -> int:
    """Make a version of it; so many turns it takes to prove that it still answers as it did."""
    files = {onnx.FILE: loop(), golden.GOLDEN: golden.write({"x": [1.0, turns]}, Answers([2.0, 2 * turns]))}
    runtime = Runtime(format="onnx", onnx=Onnx(layout="matrix", dtype="float64", max_difference=0.0))
    return store.publish(sealed(store, files, model=name, signature=X, runtime=runtime))

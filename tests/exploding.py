"""Model files that are small and take a lot: pickles that grow as they are read, graphs that never end."""

from __future__ import annotations

from functools import cache
from typing import Any

from onnx import TensorProto, helper

from contract.formats import onnx
from tests.hostile import HEAD, STOP, called, found, thing

_MEBIBYTE = 1 << 20


def _nested(levels: int) -> bytes:
    """A tuple of a tuple twice, of a tuple twice, …, as a key: its hash takes 2 to the power of `levels` steps."""
    return HEAD + b"})" + (b"q\x2ah\x2a\x86") * levels + b"Ns" + STOP


PICKLES: dict[str, bytes] = {
    "a range as a list": HEAD
    + called(found("builtins", "list"), called(found("builtins", "range"), thing(1 << 40)))
    + STOP,
    "very many bytes": HEAD + called(found("builtins", "bytearray"), thing(1 << 50)) + STOP,
    "numpy's bytes": HEAD
    + called(found("numpy", "bytes_"), called(found("builtins", "bytearray"), thing(1 << 33)))
    + STOP,
    "a huge array": HEAD + called(found("numpy", "ndarray"), thing((1 << 40,))) + STOP,
    "a million opcodes": HEAD
    + found("builtins", "bytearray")
    + b"q\x01"
    + thing((_MEBIBYTE,))
    + b"q\x02]("
    + b"h\x01h\x02R" * 333_333
    + b"e"
    + STOP,
    "a list of itself, copied again and again": HEAD
    + found("builtins", "list")
    + b"q\x01"
    + thing([0] * 100_000)
    + b"q\x02]("
    + b"h\x01h\x02\x85R" * 200_000
    + b"e"
    + STOP,
}
ENDLESS = _nested(60)
"""A pickle that has never been read: the hash of what it makes takes years."""


def _graph(nodes: list[Any], *constants: Any) -> bytes:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(onnx.MATRIX, TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor_value_info("product", TensorProto.DOUBLE, None)],
        list(constants),
    )
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return content


@cache
def loop() -> bytes:
    """A graph that goes round 2**62 times."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["more"], ["again"]), helper.make_node("Identity", ["x"], ["same"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.DOUBLE, None),
        ],
        [
            helper.make_tensor_value_info("again", TensorProto.BOOL, []),
            helper.make_tensor_value_info("same", TensorProto.DOUBLE, None),
        ],
    )
    node = helper.make_node("Loop", ["times", "", onnx.MATRIX], ["product"], body=body)
    return _graph([node], helper.make_tensor("times", TensorProto.INT64, [], [2**62]))


@cache
def fill() -> bytes:
    """A graph that makes a tensor of 4 TiB."""
    value = helper.make_tensor("zero", TensorProto.DOUBLE, [1], [0.0])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"], value=value),
        helper.make_node("Add", [onnx.MATRIX, "zeros"], ["product"]),
    ]
    return _graph(nodes, helper.make_tensor("shape", TensorProto.INT64, [1], [2**39]))

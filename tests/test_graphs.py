"""contract.formats.onnx: a graph that lies, fails or is none harms nobody."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx as onnx_itself
import pytest
from onnx import TensorProto, helper

from contract.answers import Columns
from contract.errors import FormatMismatch, PredictionFailed
from contract.formats import onnx
from contract.formats.chain import Chain
from contract.manifest import Onnx
from contract.signature import Output, Signature
from tests.fitted import CONVERTIBLE, described
from tests.samples import REGRESSION


def graph(*nodes: Any, **outputs: Any) -> bytes:
    """An ONNX file of two numbers a row, made by hand; `outputs` are (type, shape) by name."""
    made = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info(onnx.MATRIX, TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


PLAN = Onnx(layout="matrix", dtype="float32", max_difference=0.0)
TWO: Columns = {"x0": [0.0, 3.0], "x1": [0.0, 1.0]}
SHARES = Output(task="classification", labels=(0, 1), classes=("a", "b"), scores="probabilities")


@pytest.mark.parametrize(
    ("nodes", "outputs", "output", "says"),
    [
        (
            [helper.make_node("Identity", ["rows"], ["y"])],
            {"y": (TensorProto.FLOAT, [None, 2])},
            REGRESSION.output,
            "The model answered something that is no number.",
        ),
        (
            [helper.make_node("ReduceSum", ["rows"], ["y"], keepdims=0)],
            {"y": (TensorProto.FLOAT, [])},
            REGRESSION.output,
            "The model gave 1 answers for 2 rows.",
        ),
        (
            [helper.make_node("Div", ["rows", "rows"], ["q"]), helper.make_node("ReduceMax", ["q"], ["y"], axes=[1])],
            {"y": (TensorProto.FLOAT, [None, 1])},
            REGRESSION.output,
            "The model answered a number that is not finite.",
        ),
        (
            [helper.make_node("ArgMax", ["rows"], ["y"], axis=1, keepdims=0)],
            {"y": (TensorProto.INT64, [None])},
            SHARES,
            "The model's probabilities do not have one number per row and class.",
        ),
        (
            [
                helper.make_node("ArgMax", ["rows"], ["y"], axis=1, keepdims=0),
                helper.make_node("Identity", ["rows"], ["p"]),
            ],
            {"y": (TensorProto.INT64, [None]), "p": (TensorProto.FLOAT, [None, 2])},
            SHARES,
            "The model answered a number that is not finite.",  # the shares of the first row are all zero
        ),
        (
            [helper.make_node("Reshape", ["rows", "y"], ["z"]), helper.make_node("Shape", ["rows"], ["y"])][::-1],
            {"z": (TensorProto.FLOAT, [None, 2]), "y": (TensorProto.INT64, [2])},
            Output(task="classification", labels=("a",), classes=("a",)),
            "The model answered a class that its signature does not have.",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_a_graph_that_says_nonsense_is_a_prediction_that_failed(
    nodes: list[Any], outputs: dict[str, Any], output: Output, says: str
) -> None:
    signature = Signature(container="array", inputs=REGRESSION.inputs, output=output)
    loaded = onnx.load(graph(*nodes, **outputs), described(signature, PLAN))
    with pytest.raises(PredictionFailed) as refused:
        loaded.answer(TWO)
    assert str(refused.value) == says


def test_a_graph_that_cannot_run_is_a_prediction_that_failed() -> None:
    nodes = [helper.make_node("Constant", [], ["n"], value_ints=[3]), helper.make_node("Reshape", ["rows", "n"], ["y"])]
    loaded = onnx.load(graph(*nodes, y=(TensorProto.FLOAT, [3])), described(REGRESSION, PLAN))
    with pytest.raises(PredictionFailed, match=r"^The graph could not run these rows \(\w+\)\.$"):
        loaded.answer(TWO)


# --- files that do not load


@pytest.mark.parametrize(
    "content",
    [b"", b"not a graph", pickle.dumps({"a": 1}), graph(helper.make_node("Identity", ["rows"], ["y"]))[:-20]],
    ids=["empty", "text", "pickle", "half"],
)
def test_what_is_no_graph_is_not_run(content: bytes) -> None:
    with pytest.raises(FormatMismatch, match=r"^model\.onnx is not a graph that ONNX Runtime can run \(\w+\)\.$"):
        onnx.load(content, described(REGRESSION, PLAN))


def test_a_graph_does_not_read_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(np.arange(2, dtype=np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    content = graph(helper.make_node("Add", ["rows", "w"], ["y"]), y=(TensorProto.FLOAT, [None, 2]))
    for location in ("secret", str(tmp_path / "secret"), f"../{tmp_path.name}/secret"):
        model = onnx_itself.ModelProto.FromString(content)
        weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
        for key, value in {"location": location, "offset": "0", "length": "8"}.items():
            weights.external_data.add(key=key, value=value)
        model.graph.initializer.append(weights)
        with pytest.raises(FormatMismatch, match="is not a graph that ONNX Runtime can run"):
            onnx.load(model.SerializeToString(), described(REGRESSION, PLAN))


def test_a_graph_that_the_manifest_does_not_describe_is_not_run() -> None:
    made = CONVERTIBLE["a number"]()
    content, plan = onnx.convert(Chain.around(made.fitted), made.signature, "float32")
    with pytest.raises(FormatMismatch, match=r"^The manifest does not say how model\.onnx takes its rows\.$"):
        onnx.load(content, described(made.signature, None))
    columns = plan.model_copy(update={"layout": "columns"})
    with pytest.raises(FormatMismatch, match=r"^model\.onnx does not take the inputs of the signature\.$"):
        onnx.load(content, described(made.signature, columns))

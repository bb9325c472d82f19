"""contract.formats.onnx: a graph answers as the fitted object it was made of."""

import threading
from typing import Any

import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from contract.answers import Columns, difference
from contract.errors import PredictionFailed
from contract.formats import FORMATS, onnx
from contract.formats.chain import Chain
from tests.fitted import CONVERTIBLE, OTHERS, ROWS, described
from tests.samples import REGRESSION


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_onnx_answers_as_the_fitted_object(name: str) -> None:
    made = CONVERTIBLE[name]()
    content, plan = onnx.convert(Chain.around(made.fitted), made.signature, "float32")
    loaded = onnx.load(content, described(made.signature, plan))
    relative = made.signature.output.task == "regression"
    assert difference(loaded.answer(made.columns), made.expected, relative=relative) < FORMATS["onnx"].tolerance
    assert plan.layout == ("columns" if name in ("mixed columns", "categories") else "matrix")
    for row in range(3):
        one = {column: values[row : row + 1] for column, values in made.columns.items()}
        assert difference(loaded.answer(one), made.expected.take([row]), relative=relative) < FORMATS["onnx"].tolerance
    turned = dict(reversed(made.columns.items()))
    assert loaded.answer(turned) == loaded.answer(made.columns)


@pytest.mark.parametrize("name", ["a number", "text labels"])
def test_onnx_in_double_precision_is_closer(name: str) -> None:
    made = CONVERTIBLE[name]()
    content, plan = onnx.convert(Chain.around(made.fitted), made.signature, "float64")
    found = onnx.load(content, described(made.signature, plan)).answer(made.columns)
    assert difference(found, made.expected, relative=name == "a number") < 1e-12


def test_shares_in_single_precision_are_rounded_to_what_they_hold() -> None:
    made = CONVERTIBLE["whole labels"]()  # five trees: a share is a fifth, two fifths …
    content, plan = onnx.convert(Chain.around(made.fitted), made.signature, "float32")
    found = onnx.load(content, described(made.signature, plan)).answer(made.columns).scores
    assert found is not None
    assert {share for shares in found for share in shares} == {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}


def test_onnx_answers_many_threads_at_once() -> None:
    made = CONVERTIBLE["mixed columns"]()
    content, plan = onnx.convert(Chain.around(made.fitted), made.signature, "float32")
    loaded = onnx.load(content, described(made.signature, plan))
    expected = loaded.answer(made.columns)
    wrong: list[int] = []

    def ask() -> None:
        wrong.extend(_ for _ in range(50) if loaded.answer(made.columns) != expected)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- numbers that do not fit


@pytest.mark.parametrize("number", [1e300, -1e39, 10**50, 10**400], ids=lambda number: f"{type(number).__name__}")
@pytest.mark.parametrize(("name", "field"), [("a number", "x2"), ("mixed columns", "k")])
def test_a_number_too_large_for_a_graph_gets_no_answer(name: str, field: str, number: float) -> None:
    made = CONVERTIBLE[name]()
    content, plan = onnx.convert(Chain.around(made.fitted), made.signature, "float32")
    loaded = onnx.load(content, described(made.signature, plan))
    with pytest.raises(PredictionFailed, match=r"^A number is too large for the graph, which computes in float32\.$"):
        loaded.answer(made.columns | {field: [number, *made.columns[field][1:]]})
    assert len(loaded.answer(made.columns).values) == ROWS


def test_a_large_number_is_no_burden_for_a_double() -> None:
    made = CONVERTIBLE["a number"]()
    content, plan = onnx.convert(Chain.around(made.fitted), made.signature, "float64")
    loaded = onnx.load(content, described(made.signature, plan))
    columns: Columns = {"x0": [1e300], "x1": [0.0], "x2": [0.0]}
    assert loaded.answer(columns).values == pytest.approx(made.fitted.predict([[1e300, 0.0, 0.0]]).tolist())
    with pytest.raises(PredictionFailed, match=r"^A number is too large for the graph, which computes in float64\.$"):
        loaded.answer(columns | {"x1": [10**400]})
    with pytest.raises(PredictionFailed, match=r"^The model answered a number that is not finite\.$"):
        loaded.answer({name: [1.7e308] for name in columns})


def test_what_cannot_be_converted_says_why() -> None:
    class OfMine(BaseEstimator, RegressorMixin):  # type: ignore[misc]  # it has no types
        def predict(self, rows: Any) -> Any:
            return rows[:, 0]

    with pytest.raises(Exception, match="Unable to find a shape calculator for type"):
        onnx.convert(Chain([], OfMine()), REGRESSION, "float32")


def test_converting_prints_and_warns_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    made = CONVERTIBLE["mixed columns"]()
    onnx.convert(Chain.around(made.fitted), made.signature, "float32")
    with pytest.raises(Exception, match=r"\w"):
        onnx.convert(Chain([], OTHERS["texts with gaps"]().fitted), made.signature, "float32")
    assert capfd.readouterr() == ("", "")

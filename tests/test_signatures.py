"""What a signature says of the rows a model saw, and of the model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from contract.errors import ExportRefused
from contract.signature import Field, Output, Signature
from pipeline import signatures


def infer(frame: pd.DataFrame, bounds: Any = None, units: Any = None) -> tuple[Field, ...]:
    return signatures.infer_inputs(frame, frame.astype(object).iloc[0], bounds or {}, units or {})


# --- the fields


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.Series([1.5, 0.5]), {"type": "float", "dtype": "float64", "observed": (0.5, 1.5), "example": 1.5}),
        (pd.Series([1.5, math.nan], dtype="float32"), {"type": "float", "dtype": "float32", "nullable": True}),
        (pd.Series([3, 1]), {"type": "integer", "dtype": "int64", "observed": (1, 3), "example": 3, "nullable": False}),
        (pd.Series([3, 1], dtype="uint8"), {"type": "integer", "dtype": "uint8", "observed": (1, 3)}),
        (
            pd.Series([3, None], dtype="Int64"),
            {"type": "integer", "dtype": "Int64", "nullable": True, "observed": (3, 3)},
        ),
        (pd.Series([3, 1], dtype=object), {"type": "integer", "dtype": "object", "observed": (1, 3), "example": 3}),
        (pd.Series([3, 1.5], dtype=object), {"type": "float", "dtype": "object", "observed": (1.5, 3)}),
        (pd.Series([True, False]), {"type": "boolean", "dtype": "bool", "observed": None, "example": True}),
        (pd.Series([True, None], dtype="boolean"), {"type": "boolean", "dtype": "boolean", "nullable": True}),
        (pd.Series([True, None], dtype=object), {"type": "boolean", "dtype": "object", "nullable": True}),
        (pd.Series(["b", "a", "b"]), {"type": "string", "dtype": "str", "levels": ("a", "b"), "example": "b"}),
        (pd.Series(["b", None]), {"type": "string", "dtype": "str", "levels": ("b",), "nullable": True}),
        (pd.Series(["b", "a"], dtype=object), {"type": "string", "dtype": "object", "levels": ("a", "b")}),
        (pd.Series(["b"], dtype="string"), {"type": "string", "dtype": "string", "levels": ("b",)}),
        (pd.Series([f"{n}" for n in range(50)]), {"type": "string", "levels": tuple(sorted(map(str, range(50))))}),
        (pd.Series([f"{n}" for n in range(51)]), {"type": "string", "levels": None, "observed": None}),
        (
            pd.Series(["b", None], dtype=pd.CategoricalDtype(["c", "b"])),
            {"type": "category", "dtype": "category", "levels": ("c", "b"), "nullable": True, "example": "b"},
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else f"{value.dtype}-{len(value)}",
)
def test_a_field_is_what_all_rows_hold(column: pd.Series[Any], expected: dict[str, Any]) -> None:
    [field] = infer(column.to_frame("x"))
    assert {name: getattr(field, name) for name in expected} == expected
    assert type(field.example) in (bool, int, float, str)
    assert Field.model_validate_json(field.model_dump_json()) == field


def test_fields_keep_their_order_and_take_unit_and_bounds() -> None:
    frame = pd.DataFrame({"b": [1.0, 2.0], "a": [3, 4], "é ": ["x", "y"]})
    fields = infer(frame, bounds={"a": (np.int64(0), np.float64(9.5)), "b": (1, 2)}, units={"b": "cm"})
    assert [(field.name, field.bounds, field.unit) for field in fields] == [
        ("b", (1, 2), "cm"),
        ("a", (0, 9.5), ""),
        ("é ", None, ""),
    ]


def test_the_example_is_the_row_given_and_may_have_a_gap() -> None:
    frame = pd.DataFrame({"a": [1.0, math.nan], "b": ["x", None]})
    fields = signatures.infer_inputs(frame, frame.astype(object).iloc[1], {}, {})
    assert [field.example for field in fields] == [None, None]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pd.Series([1, "a"], dtype=object),
            r"Column 'x' holds int, str; a field holds numbers, booleans or texts, one k",
        ),
        (
            pd.Series([1, True], dtype=object),
            r"Column 'x' holds bool, int; .* convert it with `\.astype\(…\)` before the",
        ),
        (pd.to_datetime(pd.Series(["2026-11-21"])), r"Column 'x' holds Timestamp; a field holds"),
        (pd.Series([[1], [2]]), r"Column 'x' holds list; a field holds"),
        (pd.Series([1.0, math.inf]), r"Column 'x' holds inf, which no request could send; replace it before the fit\."),
        (pd.Series([-math.inf, 1.0]), r"Column 'x' holds -inf, which no request could send"),
        (pd.Series([1, 2**63], dtype="uint64"), r"Column 'x' holds 9223372036854775808, which no request could send"),
        (pd.Series([1, 10**400], dtype=object), r"Column 'x' holds 10{400}, which no request could send"),
        (pd.Series([None, None], dtype=object), r"Column 'x' holds no value at all; leave it out before the fit\."),
        (pd.Series([math.nan]), r"Column 'x' holds no value at all"),
        (pd.Series([None], dtype=pd.CategoricalDtype(["a"])), r"Column 'x' holds no value at all"),
        (
            pd.Series([1, 2], dtype="category"),
            r"The categories of 'x' are no texts; use `\.astype\(str\)` or plain numbers",
        ),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value.dtype),
)
def test_a_column_that_no_field_carries_is_refused(column: pd.Series[Any], message: str) -> None:
    with pytest.raises(ExportRefused, match=message):
        infer(column.to_frame("x"))


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"y": (0, 1)}, r"bounds= names 'y', which is no column; there are x, t\."),
        ({"t": (0, 1)}, r"bounds= has limits for 't', which holds no numbers\."),
        (
            {"x": (0, 2)},
            r"The bounds of 'x' are 0 to 2, but the rows hold 1 to 3: widen the bounds, or leave those rows",
        ),
        ({"x": (2, 4)}, r"The bounds of 'x' are 2 to 4, but the rows hold 1 to 3"),
        ({"x": (4, 0)}, r"The bounds of 'x' are 4 to 0, but the rows hold 1 to 3"),
        ({"x": (0, math.inf)}, r"bounds= has \(0, inf\) for 'x'; give the lowest and the highest number it may be\."),
        ({"x": (math.nan, 4)}, r"bounds= has \(nan, 4\) for 'x'"),
        ({"x": (0, None)}, r"bounds= has \(0, None\) for 'x'"),
        ({"x": ("0", "9")}, r"bounds= has \('0', '9'\) for 'x'"),
        ({"x": (0, 1, 2)}, r"bounds= has \(0, 1, 2\) for 'x'"),
        ({"x": 9}, r"bounds= has 9 for 'x'"),
    ],
)
def test_bounds_that_do_not_fit_are_refused(bounds: Any, message: str) -> None:
    with pytest.raises(ExportRefused, match=message):
        infer(pd.DataFrame({"x": [1, 3], "t": ["a", "b"]}), bounds=bounds)


def test_a_unit_of_no_column_is_refused() -> None:
    with pytest.raises(ExportRefused, match=r"units= names 'y', which is no column; there are x\."):
        infer(pd.DataFrame({"x": [1, 3]}), units={"y": "cm"})


# --- rows


def test_the_columns_of_an_array_have_numbers() -> None:
    frame, container = signatures.as_frame(np.array([[1.5, 2.5]], dtype="float32"), "inputs")
    assert (container, list(frame.columns), str(frame["x0"].dtype)) == ("array", ["x0", "x1"], "float32")


def test_a_frame_stays_as_it_is() -> None:
    rows = pd.DataFrame({"a": [1]})
    assert signatures.as_frame(rows, "inputs") == (rows, "frame")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            np.zeros(3),
            r"^all_rows is an array of shape \(3,\) and type float64; give a DataFrame or a two-dimensional arr",
        ),
        (np.array([["a"]]), r"^all_rows is an array of shape \(1, 1\) and type <U1; give a DataFrame"),
        ([[1.0]], r"^all_rows is a list; give a DataFrame"),
        (pd.Series([1.0]), r"^all_rows is a Series; give a DataFrame"),
        (None, r"^all_rows is a NoneType; give a DataFrame"),
        (np.zeros((0, 2)), r"^all_rows has 0 rows and 2 columns; at least one of each is needed\."),
        (pd.DataFrame({"a": []}), r"^all_rows has 0 rows and 1 columns"),
        (pd.DataFrame(index=[1, 2]), r"^all_rows has 2 rows and 0 columns"),
        (
            pd.DataFrame([[1, 2]], columns=["a", "a"]),
            r"^all_rows has two columns called 'a'; each field needs a name of",
        ),
        (
            pd.DataFrame([[1, 2]], columns=["a", 7]),
            r"^Column names are texts; all_rows has 7: use `\.rename\(columns=str\)",
        ),
        (pd.DataFrame({("a", "b"): [1]}), r"^Column names are texts; all_rows has \('a', 'b'\)"),
    ],
)
def test_what_is_no_table_of_fields_is_refused(rows: Any, message: str) -> None:
    with pytest.raises(ExportRefused, match=message):
        signatures.as_frame(rows, "all_rows")


def test_rows_become_plain_values_with_none_for_what_is_missing() -> None:
    frame = pd.DataFrame(
        {
            "f": pd.Series([1.5, math.nan], dtype="float32"),
            "i": pd.Series([1, None], dtype="Int64"),
            "b": pd.Series([True, None], dtype="boolean"),
            "s": ["a", None],
            "c": pd.Series(["x", None], dtype="category"),
            "o": pd.Series([7, None], dtype=object),
        }
    )
    columns = signatures.as_columns(frame)
    assert columns == {"f": [1.5, None], "i": [1, None], "b": [True, None], "s": ["a", None], "c": ["x", None]} | {
        "o": [7, None]
    }
    assert [type(values[0]) for values in columns.values()] == [float, int, bool, str, str, int]


def test_rows_nobody_had_are_drawn_within_what_was_observed() -> None:
    frame = pd.DataFrame(
        {
            "f": [-1.5, 2.5, 0.1],
            "i": pd.Series([10, 12, None], dtype="Int64"),
            "b": [True, True, True],
            "s": ["u", "v", None],
            "c": pd.Series(["x", "x", "y"], dtype=pd.CategoricalDtype(["x", "y", "z"])),
            "t": ["only", "only", "only"],
        }
    )
    many = pd.concat([frame, pd.DataFrame({"n": [f"name {n}" for n in range(3)]})], axis=1)
    fields = tuple(field.model_copy(update={"levels": None}) if field.name == "n" else field for field in infer(many))
    signature = Signature(container="frame", inputs=fields, output=Output(task="regression"))
    shown, columns = signatures.draw(signature, 200)
    assert [len(values) for values in columns.values()] == [200] * 7
    assert all(-1.5 <= value <= 2.5 for value in columns["f"])
    assert [set(columns[name]) for name in "ibsctn"] == [
        {10, 11, 12},
        {True, False},
        {"u", "v"},
        {"x", "y", "z"},
        {"only"},
        {"text"},
    ]
    assert shown.example == {name: values[0] for name, values in columns.items()}
    assert signatures.draw(signature, 200) == (shown, columns)
    assert shown.model_copy(update={"inputs": fields}) == signature


# --- the output

ROWS = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})


def classifier(labels: list[Any]) -> Any:
    return DecisionTreeClassifier(random_state=0).fit(ROWS, labels)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1, 2, 2], (0, 1, 2)),
        ([False, True, True, True], (False, True)),
        (["b", "a", "a", "a"], ("a", "b")),
        ([1.0, 2.0, 2.0, 2.0], (1.0, 2.0)),
        (["one", "one", "one", "one"], ("one",)),
    ],
)
def test_the_classes_are_the_model_s_own_as_plain_values(labels: list[Any], expected: tuple[Any, ...]) -> None:
    output = signatures.infer_output(classifier(labels), None)
    assert output == Output(task="classification", labels=expected, classes=expected, probabilities=True)
    assert [type(label) for label in output.labels] == [type(label) for label in expected]


@pytest.mark.parametrize(
    "classes",
    [
        ["no", "yes"],
        ("no", "yes"),
        np.array(["no", "yes"]),
        pd.Index(["no", "yes"]),
        {1: "yes", 0: "no", 2: "never"},
        {np.int64(0): "no", np.int64(1): "yes"},
    ],
    ids=lambda classes: type(classes).__name__,
)
def test_classes_can_be_named(classes: Any) -> None:
    output = signatures.infer_output(classifier([0, 1, 1, 1]), classes)
    assert (output.labels, output.classes) == ((0, 1), ("no", "yes"))
    assert [type(name) for name in output.classes] == [str, str]


class Listed:
    classes_ = ("no", "yes")


def test_classes_may_stand_in_any_sequence_and_probabilities_may_be_missing() -> None:
    output = signatures.infer_output(Listed(), None)
    assert output == Output(task="classification", labels=("no", "yes"), classes=("no", "yes"), probabilities=False)


def test_without_classes_it_is_a_number() -> None:
    model = LinearRegression().fit(ROWS, [0, 1, 2, 3])
    assert signatures.infer_output(model, None) == Output(task="regression")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (
            ["no"],
            r"classes= has 1 names \('no'\); the model has 2 classes \(0, 1\), each needs one of its own, in this ord",
        ),
        (["no", "yes", "so"], r"classes= has 3 names \('no', 'yes', 'so'\); the model has 2 classes"),
        (["no", "no"], r"classes= has 2 names \('no', 'no'\); the model has 2 classes"),
        (list(range(20)), r"classes= has 20 names \(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …\)"),
        ({0: "no"}, r"classes= has no name for the class 1; the model's are 0, 1\."),
        ({0: "no", 1: "no"}, r"classes= has 2 names \('no', 'no'\)"),
        ({"no", "yes"}, r"classes= is a set; give a list in the order 0, 1, or a mapping\."),
        ("ab", r"classes= is a str; give a list in the order 0, 1, or a mapping\."),
        (["no", None], r"A class is called None; classes are texts, numbers or booleans\."),
        (["no", ["yes"]], r"A class is called \['yes'\]; classes are texts, numbers or booleans\."),
    ],
)
def test_names_that_do_not_fit_the_classes_are_refused(classes: Any, message: str) -> None:
    with pytest.raises(ExportRefused, match=message):
        signatures.infer_output(classifier([0, 1, 1, 1]), classes)


def test_names_for_the_classes_of_a_regression_are_refused() -> None:
    with pytest.raises(
        ExportRefused, match=r"classes= is for classifiers; the model, a LinearRegression, has no `classes_`"
    ):
        signatures.infer_output(LinearRegression().fit(ROWS, [0, 1, 2, 3]), ["no", "yes"])


def test_several_labels_per_row_are_refused() -> None:
    model = DecisionTreeClassifier().fit(ROWS, [[0, 1], [1, 0], [1, 1], [0, 0]])
    with pytest.raises(
        ExportRefused, match=r"The model, a DecisionTreeClassifier, answers several labels per row; one is"
    ):
        signatures.infer_output(model, None)


def test_classes_that_are_no_plain_values_are_refused() -> None:
    model = LogisticRegression().fit(ROWS, [0, 1, 1, 1])
    model.classes_ = np.array([0, pd.Timestamp("2026-11-21")], dtype=object)
    with pytest.raises(
        ExportRefused, match=r"A class is called Timestamp\('2026-11-21 00:00:00'\); classes are texts, num"
    ):
        signatures.infer_output(model, None)

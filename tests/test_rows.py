"""contract.formats.rows: rows as a request brings them become what the fitted object was fitted on."""

from __future__ import annotations

import datetime as dt
from typing import Any, get_args
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import polars.testing
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.answers import Columns
from contract.errors import PredictionFailed
from contract.formats.rows import as_inputs
from contract.signature import Container, Field, FieldType, Output, Signature

MORNING = dt.datetime.fromisoformat("2026-11-21T08:30:00.123456")
MIDNIGHT = dt.datetime.fromisoformat("2026-11-21T00:00:00")
UTC_MORNING = "2026-11-21T08:30:00.123456+00:00"
BERLIN = pd.Timestamp(MORNING, tz="UTC").tz_convert("Europe/Berlin")


def signature(container: Container, *fields: Field) -> Signature:
    return Signature(container=container, inputs=fields, output=Output(task="regression"))


def field(kind: FieldType, dtype: str, name: str = "x", **more: Any) -> Field:
    return Field(name=name, type=kind, dtype=dtype, **more)


def gaps(kind: FieldType, dtype: str, **more: Any) -> Field:
    return field(kind, dtype, nullable=True, **more)


def inputs(container: Container, values: list[Any], kind: Field) -> Any:
    return as_inputs({kind.name: values}, signature(container, kind))


# --- one column of a frame


def series(values: list[Any], dtype: str = "object") -> Any:
    return pd.Series(values, dtype=dtype)


COLUMNS: dict[str, tuple[Field, list[Any], pd.Series[Any]]] = {
    "float": (field("float", "float64"), [0.1, 2, 1e300], pd.Series([0.1, 2.0, 1e300])),
    "float32": (field("float", "float32"), [0.1], series([0.1], "float32")),
    "float, gaps": (gaps("float", "float64"), [0.1, None], pd.Series([0.1, np.nan])),
    "Float64": (gaps("float", "Float64"), [0.1, None], series([0.1, pd.NA], "Float64")),
    "float objects": (gaps("float", "object"), [0.1, None], series([0.1, np.nan])),
    "integer": (field("integer", "int64"), [2**62 + 1, -1], pd.Series([2**62 + 1, -1])),
    "uint8": (field("integer", "uint8"), [255, 0], series([255, 0], "uint8")),
    "integers that had gaps": (gaps("integer", "float64"), [1, None], pd.Series([1.0, np.nan])),
    "Int64": (gaps("integer", "Int64"), [2**62 + 1, None], series([2**62 + 1, pd.NA], "Int64")),
    "integer objects": (gaps("integer", "object"), [10**30, None], series([10**30, np.nan])),
    "arrow": (
        gaps("integer", "int64[pyarrow]"),
        [2**62 + 1, None],
        series([2**62 + 1, None], "int64[pyarrow]"),
    ),
    "boolean": (field("boolean", "bool"), [True, False], pd.Series([True, False])),
    "boolean, gaps": (gaps("boolean", "boolean"), [True, None], series([True, pd.NA], "boolean")),
    "boolean objects": (gaps("boolean", "object"), [True, None], series([True, np.nan])),
    "str": (gaps("string", "str"), ["é", "", None], series(["é", "", None], "str")),
    "string": (gaps("string", "string"), ["é", None], series(["é", pd.NA], "string")),
    "text objects": (gaps("string", "object"), ["é", None], series(["é", np.nan])),
    "category": (
        gaps("category", "category", levels=("s", "m", "l"), ordered=True),
        ["m", None],
        pd.Series(pd.Categorical(["m", None], categories=["s", "m", "l"], ordered=True)),
    ),
    "category of numbers": (
        field("category", "category", levels=(1, 2, 10)),
        [10, 1],
        pd.Series(pd.Categorical([10, 1], categories=[1, 2, 10])),
    ),
    "category of booleans": (
        field("category", "category", levels=(False, True)),
        [True],
        pd.Series(pd.Categorical([True], categories=[False, True])),
    ),
    "texts made a category": (
        field("category", "str", levels=("a", "b")),
        ["b"],
        pd.Series(pd.Categorical(["b"], categories=["a", "b"])),
    ),
    "date": (
        gaps("date", "datetime64[ns]"),
        ["2026-11-21", None],
        series(["2026-11-21", None], "datetime64[ns]"),
    ),
    "day of long ago": (
        field("date", "datetime64[s]"),
        ["0001-01-01"],
        series(["0001-01-01"], "datetime64[s]"),
    ),
    "date objects": (gaps("date", "object"), ["2026-11-21", None], series([dt.date(2026, 11, 21), None])),
    "datetime": (
        gaps("datetime", "datetime64[us]"),
        ["2026-11-21T08:30:00.123456", "2026-11-21T08:30:00", "2026-11-21", None],
        series(
            [MORNING, MORNING.replace(microsecond=0), MIDNIGHT, None],
            "datetime64[us]",
        ),
    ),
    "datetime objects": (
        gaps("datetime", "object"),
        ["2026-11-21T08:30:00.123456", None],
        series([MORNING, None]),
    ),
    "zoned datetime objects": (
        field("datetime", "object"),
        [UTC_MORNING],
        series([MORNING.replace(tzinfo=dt.UTC)]),
    ),
    "zoned datetime": (
        gaps("datetime", "datetime64[us, Europe/Berlin]"),
        [UTC_MORNING, "2026-11-21T09:30:00.123456+01:00", None],
        series([BERLIN, BERLIN, None], "datetime64[us, Europe/Berlin]"),
    ),
    "UTC": (field("datetime", "datetime64[ns, UTC]"), [UTC_MORNING], series([BERLIN], "datetime64[ns, UTC]")),
    "lists": (gaps("tensor", "list", shape=(2,)), [[1, 2.5], None], series([[1, 2.5], None])),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_a_frame_is_as_it_was(name: str) -> None:
    kind, values, expected = COLUMNS[name]
    found = inputs("frame", values, kind)
    pd.testing.assert_frame_equal(found, expected.to_frame("x"), check_freq=False)
    pd.testing.assert_series_equal(inputs("series", values, kind), expected.rename("x"), check_freq=False)
    pairs = zip(found["x"].tolist(), expected.tolist(), strict=True)
    assert all(type(one) is type(other) for one, other in pairs)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool", "float64"])
def test_arrays_in_a_column_are_arrays(dtype: str) -> None:
    rows = [[[1, 0], [0, 1], [1, 1]], [[0, 0], [0, 0], [0, 0]]]
    found = inputs("frame", [*rows, None], gaps("tensor", dtype, shape=(3, 2)))["x"]
    assert found.dtype == object
    assert found[2] is None
    for one, row in zip(found[:2], rows, strict=True):
        assert isinstance(one, np.ndarray)
        assert (one.dtype, one.shape, one.astype(int).tolist()) == (np.dtype(dtype), (3, 2), row)


def test_columns_keep_their_order_and_their_own_labels() -> None:
    fields = [
        field("integer", "int64", "10", column=10),
        field("string", "str", "t"),
        field("float", "float64", "2", column=2),
    ]
    found = as_inputs({"2": [0.5], "t": ["a"], "10": [7]}, signature("frame", *fields))
    expected = pd.DataFrame({10: [7], "t": series(["a"], "str"), 2: [0.5]})
    pd.testing.assert_frame_equal(found, expected)
    assert [type(label) for label in found.columns] == [int, str, int]


def test_a_zone_is_that_of_the_fit_on_either_side_of_a_change_of_clocks() -> None:
    kind = field("datetime", "datetime64[us, Europe/Berlin]")
    found = inputs("frame", ["2026-10-25T00:30:00+00:00", "2026-10-25T01:30:00+00:00"], kind)["x"]
    assert found.dt.hour.tolist() == [2, 2]  # the hour that comes twice
    zone = ZoneInfo("Europe/Berlin")
    assert [moment.fold for moment in found.dt.to_pydatetime()] == [0, 1]
    assert found[1].utcoffset() == dt.datetime(2026, 12, 1, tzinfo=zone).utcoffset()


# --- other containers


def test_polars_gets_a_frame_of_its_own() -> None:
    fields = [
        gaps("float", "float64", name="n"),
        gaps("string", "str", name="t"),
        gaps("boolean", "object", name="b"),
        field("integer", "int64", "i"),
        gaps("datetime", "datetime64[us]", name="d"),
        gaps("tensor", "list", name="v", shape=(2,)),
    ]
    columns: Columns = {
        "n": [0.5, None],
        "t": ["é", None],
        "b": [True, None],
        "i": [2**62 + 1, -1],
        "d": ["2026-11-21T08:30:00.123456", None],
        "v": [[1.0, 2.0], [3.0, 4.0]],
    }
    expected = pl.DataFrame(columns | {"d": [MORNING, None]})
    polars.testing.assert_frame_equal(as_inputs(columns, signature("polars", *fields)), expected)


def test_records_and_lists_hold_the_values_as_they_came() -> None:
    fields = [gaps("float", "float64", name="b"), field("string", "object", "a")]
    found = as_inputs({"a": ["x", "y"], "b": [1, None]}, signature("records", *fields))
    assert repr(found) == "[{'b': 1, 'a': 'x'}, {'b': None, 'a': 'y'}]"
    texts: Any = ("x", None)
    assert as_inputs({"x": texts}, signature("list", gaps("string", "object"))) == ["x", None]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int16", "bool"])
def test_an_array_has_the_rows_and_the_type_of_the_fit(dtype: str) -> None:
    fields = [gaps("float", dtype, name=name) for name in "abc"]
    found = as_inputs({"c": [0, 1], "a": [1, 0], "b": [1, 1]}, signature("array", *fields))
    assert (found.dtype, found.astype(int).tolist()) == (np.dtype(dtype), [[1, 1, 0], [0, 1, 1]])
    sparse = as_inputs({"c": [0, 1], "a": [1, 0], "b": [1, 1]}, signature("sparse", *fields))
    assert (sparse.format, sparse.dtype, sparse.nnz) == ("csr", np.dtype(dtype), 4)
    assert sparse.toarray().tolist() == found.tolist()


def test_gaps_in_an_array_are_not_a_number() -> None:
    fields = [gaps("float", "float32", name="a"), gaps("float", "float32", name="b")]
    found = as_inputs({"a": [None, 0.5], "b": [1.0, None]}, signature("array", *fields))
    np.testing.assert_array_equal(found, np.array([[np.nan, 1.0], [0.5, np.nan]], dtype="float32"), strict=True)
    mixed = [gaps("string", "object", name="a"), gaps("float", "object", name="b")]
    found = as_inputs({"a": [None, "x"], "b": [1, None]}, signature("array", *mixed))
    assert repr(found.tolist()) == "[[nan, 1], ['x', nan]]"
    column = inputs("column", ["x", None], gaps("string", "object"))
    assert (column.shape, column.dtype, repr(column.tolist())) == ((2,), np.dtype(object), "['x', nan]")


def test_texts_in_an_array_may_be_longer_than_those_of_the_fit() -> None:
    for dtype in ("<U2", str(np.dtypes.StringDType())):
        assert inputs("array", ["abcdef", "é"], field("string", dtype)).tolist() == [["abcdef"], ["é"]]
        assert inputs("column", ["abcdef", "é"], field("string", dtype)).tolist() == ["abcdef", "é"]


def test_one_field_may_be_a_whole_array() -> None:
    images = np.arange(24).reshape(2, 3, 4).tolist()
    found = inputs("array", images, field("tensor", "float32", shape=(3, 4)))
    assert (found.shape, found.dtype, found.tolist()) == ((2, 3, 4), np.dtype("float32"), images)
    vectors = inputs("sparse", [[0, 1], [2, 0]], field("tensor", "float64", shape=(2,)))
    assert (vectors.format, vectors.toarray().tolist()) == ("csr", [[0.0, 1.0], [2.0, 0.0]])


# --- what does not fit


@pytest.mark.parametrize(
    ("container", "kind", "values"),
    [
        ("frame", field("float", "float64"), ["a"]),
        ("frame", field("integer", "int64"), [None]),
        ("frame", field("integer", "int64"), [1.5]),
        ("frame", field("boolean", "boolean"), ["maybe"]),
        ("frame", field("boolean", "boolean"), [[]]),
        ("frame", field("category", "category", levels=("a",)), [["a"]]),
        ("frame", field("date", "object"), ["yesterday"]),
        ("frame", field("date", "object"), [20261121]),
        ("frame", field("date", "datetime64[ns]"), ["9999-01-01"]),
        ("frame", field("datetime", "object"), ["2026-02-30T00:00:00"]),
        ("frame", field("datetime", "datetime64[us]"), [UTC_MORNING]),
        ("frame", field("datetime", "datetime64[us, Europe/Berlin]"), ["tomorrow"]),
        ("frame", field("tensor", "float32", shape=(2,)), [[1, [2]]]),
        ("frame", field("tensor", "uint8", shape=(2,)), [[1, 256]]),
        ("polars", field("boolean", "bool"), [[[], [], []]]),
        ("array", field("float", "float64"), [{}]),
        ("array", field("tensor", "float32", shape=(2,)), [[1, 2], [3]]),
        ("array", field("tensor", "float32", shape=(2,)), [[1e300, 2]]),
        ("sparse", field("float", "float64"), ["a"]),
        ("column", field("float", "float64"), [[1], 2]),
    ],
)
def test_what_does_not_fit_is_refused(container: Container, kind: Field, values: list[Any]) -> None:
    with pytest.raises(PredictionFailed, match=r"^A value does not fit the type that the model was fitted on\.$"):
        inputs(container, values, kind)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
likely = st.sampled_from(["a", "2026-11-21", "2026-11-21T08:30:00", UTC_MORNING, [1, 2], [0.5, None], 0, 1.0])
json_values = st.recursive(
    scalars | likely,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=6,
)
KINDS = [kind for kind, _, _ in COLUMNS.values()] + [
    field("string", "<U3"),
    *(gaps("tensor", dtype, shape=(2,)) for dtype in ("float32", "uint8", "float64")),
]


@settings(max_examples=150)
@given(st.sampled_from(get_args(Container)), st.sampled_from(KINDS), st.lists(json_values, min_size=1, max_size=3))
@pytest.mark.filterwarnings("ignore")
def test_no_value_does_more_than_not_fit(container: Container, kind: Field, values: list[Any]) -> None:
    try:
        found = inputs(container, values, kind)
    except PredictionFailed:
        return
    if container not in ("array", "sparse", "column"):  # an array may take a list for more rows; the model may not
        assert len(found) == len(values)

"""Rows in every form that a notebook has them: one frame, the names of the fields, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from contract.errors import ExportRefused
from pipeline.exporting import intake

NUMBERS = np.array([[1.5, 2.5, 3.5], [4.5, 5.5, 6.5]])


class Tensor:
    """What PyTorch's tensors can do that matters: an array comes out only after `detach` and `cpu`."""

    def __init__(self, array: Any, state: str = "attached") -> None:
        self.array, self.state = array, state

    def detach(self) -> Tensor:
        return Tensor(self.array, "detached")

    def cpu(self) -> Tensor:
        return Tensor(self.array, f"{self.state} here")

    def numpy(self) -> Any:
        assert self.state == "detached here", "Can't call numpy() on Tensor that requires grad"
        return self.array


class Eager:
    """A tensor of TensorFlow."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def numpy(self) -> Any:
        return self.array


# --- tables


def test_a_frame_stays_as_it_is_but_for_its_index() -> None:
    given = pd.DataFrame({"b": [1, 2], "a": ["x", None]}, index=[7, 7])
    rows = intake.read(given, "inputs")
    assert rows.given is given
    assert (rows.container, rows.labels, rows.positional, len(rows)) == ("frame", {}, False, 2)
    pd.testing.assert_frame_equal(rows.frame, given.reset_index(drop=True))


def test_columns_called_by_numbers_are_named_and_keep_their_labels() -> None:
    rows = intake.read(pd.DataFrame(NUMBERS), "inputs")
    assert (list(rows.frame.columns), rows.labels) == (["0", "1", "2"], {"0": 0, "1": 1, "2": 2})
    mixed = intake.read(pd.DataFrame(NUMBERS, columns=["a", 10, "-3"]), "inputs")
    assert (list(mixed.frame.columns), mixed.labels) == (["a", "10", "-3"], {"10": 10})
    numpys = intake.read(pd.DataFrame(NUMBERS, columns=np.array([5, 6, 7], dtype="int8")), "inputs")
    assert numpys.labels == {"5": 5, "6": 6, "7": 7}
    assert {type(label) for label in numpys.labels.values()} == {int}


def test_a_polars_frame_is_a_frame() -> None:
    given = pl.DataFrame({"x": [1, None], "t": ["a", "b"]})
    rows = intake.read(given, "inputs")
    assert rows.given is given
    assert (rows.container, list(rows.frame.columns)) == ("polars", ["x", "t"])
    assert rows.frame["t"].tolist() == ["a", "b"]
    assert rows.frame["x"].isna().tolist() == [False, True]


def test_dictionaries_are_rows() -> None:
    given = [{"x": 1, "t": "a"}, {"t": "b", "x": 2}]
    rows = intake.read(given, "inputs")
    assert (rows.container, rows.given) == ("records", given)
    assert rows.frame.to_dict("records") == given


# --- arrays


@pytest.mark.parametrize(
    ("given", "container"),
    [
        (NUMBERS, "array"),
        (NUMBERS.tolist(), "array"),
        (tuple(map(tuple, NUMBERS.tolist())), "array"),
        (list(NUMBERS), "array"),
        (scipy.sparse.csr_matrix(NUMBERS), "sparse"),
        (scipy.sparse.coo_array(NUMBERS), "sparse"),
        (scipy.sparse.csc_matrix(NUMBERS), "sparse"),
        (Tensor(NUMBERS), "array"),
        (Eager(NUMBERS), "array"),
    ],
    ids=["array", "lists", "tuples", "rows", "csr", "coo", "csc", "torch", "tensorflow"],
)
def test_the_columns_of_a_matrix_are_fields_by_position(given: Any, container: str) -> None:
    rows = intake.read(given, "inputs")
    assert (rows.container, rows.positional, list(rows.frame.columns)) == (container, True, ["x0", "x1", "x2"])
    np.testing.assert_array_equal(rows.frame.to_numpy(), NUMBERS)
    assert rows.given.shape == NUMBERS.shape
    assert len(rows.take([1]).frame) == rows.take([1]).given.shape[0] == 1


def test_the_columns_of_a_matrix_can_be_named() -> None:
    for names in (["a", "b", "c"], ("a", "b", "c"), pd.Index(["a", "b", "c"]), np.array(["a", "b", "c"])):
        rows = intake.read(NUMBERS, "inputs", names)  # type: ignore[arg-type]  # any sequence
        assert (list(rows.frame.columns), rows.positional) == (["a", "b", "c"], False)
        assert {type(name) for name in rows.frame.columns} == {str}


def test_one_name_makes_each_row_a_vector() -> None:
    rows = intake.read(NUMBERS, "inputs", "spectrum")
    assert (list(rows.frame.columns), rows.positional, len(rows)) == (["spectrum"], False, 2)
    np.testing.assert_array_equal(rows.frame["spectrum"].iloc[1], NUMBERS[1])


@pytest.mark.parametrize(("width", "fields"), [(256, 256), (257, 1)])
def test_more_columns_than_anybody_names_are_one_vector(width: int, fields: int) -> None:
    rows = intake.read(np.arange(2.0 * width).reshape(2, width), "inputs")
    assert rows.frame.shape == (2, fields)
    if fields == 1:
        assert list(rows.frame.columns) == ["x"]
        assert rows.frame["x"].iloc[1].tolist() == list(range(width, 2 * width))
    named = intake.read(np.zeros((2, width)), "inputs", [f"pixel {i}" for i in range(width)])
    assert named.frame.shape == (2, width)


def test_more_axes_make_each_row_a_tensor() -> None:
    images = np.arange(24, dtype="uint8").reshape(2, 3, 4)
    for given in (images, images.tolist(), Tensor(images)):
        rows = intake.read(given, "inputs")
        assert (rows.container, list(rows.frame.columns), len(rows)) == ("array", ["x"], 2)
        np.testing.assert_array_equal(rows.frame["x"].iloc[1], images[1])
    assert list(intake.read(images, "inputs", "image").frame.columns) == ["image"]


def test_an_array_of_objects_has_the_type_of_each_column() -> None:
    rows = intake.read(np.array([[1, "a", 1.5], [2, "b", None]], dtype=object), "inputs")
    assert [rows.frame[name].dtype.kind for name in ("x0", "x2")] == ["i", "f"]
    assert rows.frame["x1"].tolist() == ["a", "b"]


def test_an_array_of_texts_has_fields_of_texts() -> None:
    rows = intake.read(np.array([["a", "b"], ["c", "d"]]), "inputs")
    assert rows.frame.to_numpy().tolist() == [["a", "b"], ["c", "d"]]


# --- one value a row


@pytest.mark.parametrize(
    ("given", "container", "name"),
    [
        (["a b", "c"], "list", "text"),
        (("a b", "c"), "list", "text"),
        ([1.5, 2.5], "list", "x"),
        ([True, False], "list", "x"),
        (np.array(["a b", "c"]), "column", "text"),
        (np.array(["a b", "c"], dtype=object), "column", "text"),
        (np.array([1.5, 2.5]), "column", "x"),
        (pd.Series(["a b", "c"], index=[3, 3]), "series", "text"),
        (pd.Series(["a b", "c"], name="body"), "series", "body"),
        (pd.Series([1.5, 2.5], name=0), "series", "x"),
    ],
)
def test_rows_of_one_value_are_one_field(given: Any, container: str, name: str) -> None:
    rows = intake.read(given, "inputs")
    assert (rows.container, list(rows.frame.columns)) == (container, [name])
    assert rows.frame[name].tolist() == list(given)
    assert rows.frame.index.tolist() == [0, 1]
    assert rows.positional == (name != "body")
    renamed = intake.read(given, "inputs", "subject")
    assert (list(renamed.frame.columns), renamed.positional) == (["subject"], False)


# --- what is done with rows


def test_some_rows_are_taken_in_the_order_asked_for() -> None:
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=[9, 8, 7])
    sparse = scipy.sparse.csr_matrix([[1], [2], [3]])
    polars = pl.DataFrame({"x": [1, 2, 3]})
    for given in (frame, frame["x"], [1, 2, 3], np.array([1, 2, 3]), np.array([[1], [2], [3]]), sparse, polars):
        rows = intake.read(given, "inputs").take([2, 0])
        assert rows.frame.iloc[:, 0].tolist() == [3, 1]
        taken = rows.given.toarray() if hasattr(rows.given, "toarray") else np.array(rows.given)
        assert taken.ravel().tolist() == [3, 1]


def test_a_copy_can_be_changed() -> None:
    for given in (pd.DataFrame({"x": [1.0]}), pd.Series([1.0]), np.array([[1.0]])):
        copied = intake.read(given, "inputs").copy()
        copied[:] = 2.0
        assert np.asarray(given).ravel().tolist() == [1.0]


# --- what is refused


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"^all_rows is a NoneType; give a DataFrame, an array or a list of texts\.$"),
        ("rows.csv", r"^all_rows is a str; give a DataFrame"),
        ({"a": [1]}, r"^all_rows is a dict; give a DataFrame"),
        ({1, 2}, r"^all_rows is a set; give"),
        (iter([1]), r"^all_rows is a list_iterator; give"),
        ([], r"^all_rows is a list; give"),
        (7, r"^all_rows is an int; give"),
        (np.array(7.0), r"^all_rows is an array of shape \(\) and type float64; give"),
        (np.array([1j]), r"^all_rows is an array of shape \(1,\) and type complex128; give"),
        (np.zeros(2, dtype=[("a", "f8")]), r"^all_rows is an array of shape \(2,\) and type \[\('a', '<f8'\)\]; give"),
        ([None, None], r"^all_rows is a list of NoneType; give"),
        ([{1}, {2}], r"^all_rows is a list of set; give"),
        ([[1, 2], [3]], r"^all_rows is a list of rows of different lengths; give"),
        ([[1, "a"]], r"^all_rows is a list of list; give"),
        ([{"a": 1}, {"b": 1}], r"^The dictionaries in all_rows differ in their keys \(a, b\); give all of them the s"),
        (np.zeros((0, 2)), r"^all_rows has 0 rows and 2 columns; at least one of each is needed\.$"),
        (pd.DataFrame({"a": []}), r"^all_rows has 0 rows and 1 columns"),
        (pd.DataFrame(index=[1, 2]), r"^all_rows has 2 rows and 0 columns"),
        (pd.Series([], dtype=float), r"^all_rows has 0 rows and 1 columns"),
        (np.array([["a"]])[:, :, None], r"^all_rows is an array of type <U1; a vector or an image holds numbers\.$"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"^all_rows has two columns called 'a'; each field needs a name"),
        (pd.DataFrame([[1, 2]], columns=["7", 7]), r"^all_rows has two columns called '7'"),
        (
            pd.DataFrame({("a", "b"): [1]}),
            r"^Column names are texts or whole numbers; all_rows has \('a', 'b'\): give ",
        ),
        (pd.DataFrame({1.5: [1]}), r"^Column names are texts or whole numbers; all_rows has 1\.5"),
        (pd.DataFrame({True: [1]}), r"^Column names are texts or whole numbers; all_rows has True"),
        (pd.DataFrame({None: [1]}), r"^Column names are texts or whole numbers; all_rows has (None|nan)"),
        (pd.DataFrame({pd.Timestamp("2026-01-01"): [1]}), r"^Column names are .* all_rows has Timestamp\('2026-01-01"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_no_rows_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ExportRefused, match=message):
        intake.read(given, "all_rows")


def test_a_frame_has_names_already() -> None:
    for given in (pd.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]})):
        with pytest.raises(
            ExportRefused, match=r"^columns= is for arrays; inputs is a DataFrame, whose columns have na"
        ):
            intake.read(given, "inputs", ["b"])


def test_a_sparse_matrix_that_would_not_fit_is_refused() -> None:
    wide = scipy.sparse.csr_matrix((1_000_000, 50_000))
    with pytest.raises(
        ExportRefused, match=r"^inputs is a sparse matrix of 1,000,000 by 50,000; give [\d,]+ of its rows at most: inp"
    ):
        intake.read(wide, "inputs")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["a", "b"], r"^columns= has 2 names; inputs has 3 columns\.$"),
        (["a", "b", "c", "d"], r"^columns= has 4 names; inputs has 3 columns\.$"),
        (["a", "b", "a"], r"^columns= has a name twice; each field needs a name of its own\.$"),
    ],
)
def test_names_that_do_not_fit_are_refused(columns: Any, message: str) -> None:
    for given in (NUMBERS, NUMBERS.tolist(), scipy.sparse.csr_matrix(NUMBERS)):
        with pytest.raises(ExportRefused, match=message):
            intake.read(given, "inputs", columns)

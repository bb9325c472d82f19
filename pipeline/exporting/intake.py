"""Rows as people have them in a notebook, brought into one form: a DataFrame, and what they were."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from contract.errors import ExportRefused
from contract.signature import Container

MOST_NAMED = 256
"""More columns of an array than this are one field, a vector, unless they are named."""
_MOST_DENSE = 50_000_000
"""Elements of a sparse matrix that are written out."""
_WANTED = "give a DataFrame, an array or a list of texts"


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows: as they were `given`, and as a `frame` with one column per field, labelled by the fields' names.

    `labels` holds the columns' own labels where these are numbers. `positional` says that the names were made up.
    """

    given: Any
    frame: pd.DataFrame
    container: Container
    labels: dict[str, int]
    positional: bool = False

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, rows: Sequence[int]) -> Rows:
        """Some of the rows, in this order."""
        given = self.given
        if isinstance(given, pd.DataFrame | pd.Series):
            given = given.iloc[list(rows)]
        elif isinstance(given, list):
            given = [given[i] for i in rows]
        else:
            given = given[list(rows)]
        frame = self.frame.iloc[list(rows)].reset_index(drop=True)
        return Rows(given, frame, self.container, self.labels, self.positional)

    def copy(self) -> Any:
        """The rows as they were given, for code that may change them."""
        return self.given.copy() if isinstance(self.given, pd.DataFrame | pd.Series | np.ndarray) else self.given

    def named(self, names: Sequence[str]) -> Rows:
        """An array with names for its columns."""
        return Rows(self.given, self.frame.set_axis(list(names), axis=1), self.container, self.labels)

    def with_levels(self, columns: Sequence[str], everything: Rows) -> Rows:
        """A DataFrame with some columns as categoricals of all levels that `everything` has."""
        levels = {name: pd.CategoricalDtype(sorted(everything.frame[name].dropna().unique())) for name in columns}
        frame = self.frame.astype(levels)
        given = frame.rename(columns=self.labels)
        return Rows(given, frame, self.container, self.labels, self.positional)

    def ordered(self, names: Sequence[str]) -> Rows:
        """A DataFrame with its columns in another order."""
        given = self.given[list(names)]
        return Rows(given, self.frame[list(names)], self.container, self.labels, self.positional)


def read(given: Any, what: str, columns: Sequence[str] | str | None = None) -> Rows:
    """Bring rows into one form.

    Args:
        given: a DataFrame (pandas or polars), a Series, an array of any number of axes, a sparse matrix, a tensor, or
            a list of texts, of numbers, of lists or of dictionaries.
        what: what messages call them.
        columns: names for the columns of an array; one text makes each row of the array one field.

    Raises:
        ExportRefused: they are none of these, empty, or their columns cannot be fields.
    """
    rows = _read(given, what, columns)
    if rows.frame.empty:
        raise ExportRefused(
            f"{what} has {len(rows)} rows and {rows.frame.shape[1]} columns; at least one of each is needed."
        )
    return rows


def _read(given: Any, what: str, columns: Sequence[str] | str | None) -> Rows:
    polars = sys.modules.get("polars")
    in_polars = polars is not None and isinstance(given, polars.DataFrame)
    if (isinstance(given, pd.DataFrame) or in_polars) and columns is not None:
        raise ExportRefused(f"columns= is for arrays; {what} is a DataFrame, whose columns have names.")
    if isinstance(given, pd.DataFrame):
        return _from_frame(given, given, "frame", what)
    if in_polars:
        return _from_frame(given, given.to_pandas(), "polars", what)
    if isinstance(given, pd.Series):
        return _single(given, given.reset_index(drop=True), "series", given.name if columns is None else columns)
    if hasattr(given, "toarray"):
        if given.shape[0] * given.shape[1] > _MOST_DENSE:
            some = max(1, _MOST_DENSE // given.shape[1])
            raise ExportRefused(
                f"{what} is a sparse matrix of {given.shape[0]:,} by {given.shape[1]:,}; give {some:,} of its rows at "
                f"most: {what}[:{some}] and the same targets."
            )
        given = given.tocsr()
        return _from_array(given, given.toarray(), "sparse", columns, what)
    if hasattr(given, "detach"):  # a tensor of PyTorch
        given = given.detach().cpu().numpy()
    elif hasattr(given, "numpy") and not isinstance(given, np.ndarray):  # one of TensorFlow
        given = given.numpy()
    if isinstance(given, list | tuple) and given:
        return _from_list(list(given), columns, what)
    if isinstance(given, np.ndarray) and given.dtype.kind in "fiubUTO":
        if given.ndim == 1:
            return _single(given, pd.Series(given.tolist()), "column", columns)
        if given.ndim > 1:
            return _from_array(given, np.asarray(given), "array", columns, what)
    found = f"an array of shape {given.shape} and type {given.dtype}" if isinstance(given, np.ndarray) else a(given)
    raise ExportRefused(f"{what} is {found}; {_WANTED}.")


def _from_frame(given: Any, frame: pd.DataFrame, container: Container, what: str) -> Rows:
    names: list[str] = []
    labels: dict[str, int] = {}
    found: list[Any] = frame.columns.tolist()
    for label in found:
        if isinstance(label, int) and not isinstance(label, bool):
            labels[str(label)] = label
        elif not isinstance(label, str):
            raise ExportRefused(
                f"Column names are texts or whole numbers; {what} has {label!r:.80}: give the columns such names, "
                "e.g. `.columns = [...]`, before the fit."
            )
        names.append(str(label))
    twice = [name for i, name in enumerate(names) if name in names[:i]] if len(set(names)) < len(names) else []
    if twice:
        raise ExportRefused(f"{what} has two columns called '{twice[0]}'; each field needs a name of its own.")
    return Rows(given, frame.set_axis(names, axis=1).reset_index(drop=True), container, labels)


def _from_array(given: Any, array: Any, container: Container, columns: Any, what: str) -> Rows:
    if array.ndim > 2 and columns is not None and not isinstance(columns, str):
        if len(columns) != 1:
            raise ExportRefused(
                f"columns= has {len(columns)} names; each row of {what} is an array of shape {array.shape[1:]}, which "
                "is one field: columns='image'."
            )
        columns = columns[0]
    whole = isinstance(columns, str) or array.ndim > 2 or (columns is None and array.shape[1] > MOST_NAMED)
    if whole:
        if array.dtype.kind not in "fiub":
            raise ExportRefused(f"{what} is an array of type {array.dtype}; a vector or an image holds numbers.")
        rows = pd.Series([None] * len(array), dtype=object)
        for i, row in enumerate(array):
            rows[i] = row
        name = columns if isinstance(columns, str) else "x"
        return Rows(given, pd.DataFrame({name: rows}), container, {}, columns is None)
    names = [f"x{i}" for i in range(array.shape[1])] if columns is None else [str(name) for name in columns]
    if len(names) != array.shape[1]:
        raise ExportRefused(f"columns= has {len(names)} names; {what} has {array.shape[1]} columns.")
    if len(set(names)) < len(names):
        raise ExportRefused("columns= has a name twice; each field needs a name of its own.")
    frame = pd.DataFrame(array, columns=names)
    if array.dtype.kind == "O":
        frame = frame.infer_objects()
    return Rows(given, frame, container, {}, columns is None)


def _from_list(given: list[Any], columns: Any, what: str) -> Rows:
    first: Any = given[0]
    if all(isinstance(row, dict) for row in given):
        other = next((row for row in given if row.keys() != first.keys()), None)
        if other is not None:
            names = ", ".join(map(str, sorted(map(str, other.keys() ^ first.keys()))))
            raise ExportRefused(
                f"The dictionaries in {what} differ in their keys ({names}); give all of them the same."
            )
        return Rows(given, _from_frame(given, pd.DataFrame(given), "records", what).frame, "records", {})
    if isinstance(first, str | bool | int | float | np.generic):
        return _single(given, pd.Series(given), "list", columns)
    try:
        array = np.asarray(given)
    except ValueError:
        raise ExportRefused(f"{what} is a list of rows of different lengths; {_WANTED}.") from None
    if array.ndim > 1 and array.dtype.kind in "fiub":
        return _from_array(array, array, "array", columns, what)
    raise ExportRefused(f"{what} is a list of {type(first).__name__}; {_WANTED}.")


def _single(given: Any, values: Any, container: Container, name: Any) -> Rows:
    """Rows of one value each."""
    if isinstance(name, list | tuple) and len(name) == 1:
        name = name[0]
    texts = values.dropna().map(type).eq(str).all()
    named = isinstance(name, str) and bool(name)
    label = name if named else "text" if texts else "x"
    return Rows(given, pd.DataFrame({label: values}), container, {}, not named)


def a(thing: Any) -> str:
    """What kind of thing it is, with its article."""
    kind = {"ndarray": "array"}.get(type(thing).__name__, type(thing).__name__)
    return f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"

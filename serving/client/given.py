"""Given: what a notebook has for rows, as the rows that are meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.errors import RowsRefused
from contract.showing import listed
from contract.signature import Signature
from serving.client.rows import Rows, record

if TYPE_CHECKING:
    import pandas as pd

Asked = Callable[[], Signature]
"""Asks what the model takes."""

_TAKEN = "a DataFrame, a dict, a list of dicts, a Series, or an array or a list with one entry for each row"


def one_row(given: Any, signature: Asked) -> dict[str, Any] | None:
    """The one row that is given, as JSON has it; None where there are many."""
    import pandas as pd

    if isinstance(given, pd.Series):
        fields = signature().inputs
        if len(fields) == 1 and list(map(str, given.index)) != [fields[0].name]:
            return None
        [row] = _of_frame(_whole_where_it_must_be(given.to_frame().T, signature())).records(0, 1)
        return row
    return record(given) if isinstance(given, Mapping) else None


def rows_of(given: Any, signature: Asked) -> Rows:
    """The rows that are given.

    Raises:
        RowsRefused: they are no rows, not as wide as the model takes them, or have two columns of one name.
    """
    import pandas as pd

    if type(given).__module__.partition(".")[0] == "polars" and hasattr(given, "to_pandas"):
        given = given.to_pandas(use_pyarrow_extension_array=True)  # whole numbers with gaps stay whole numbers
    if isinstance(given, pd.DataFrame):
        return _of_frame(given)
    if isinstance(given, pd.Series):
        return Rows(given.index, given.to_frame(signature().names[0]))
    if isinstance(given, list | tuple) and given and all(isinstance(row, Mapping) for row in given):
        return Rows(pd.RangeIndex(len(given)), None, given)
    if isinstance(given, list | tuple) or (isinstance(given, np.ndarray) and given.ndim):
        return _of_frame(_in_order(given, signature()))
    raise RowsRefused(f"Rows are {_TAKEN}; this is of the type {type(given).__name__}.")


def _of_frame(frame: pd.DataFrame) -> Rows:
    twice = [repr(name) for name, times in Counter(map(str, frame.columns)).items() if times > 1]
    if twice:
        raise RowsRefused(f"More than one column of the rows is called {listed(twice)}; rename or drop them.")
    return Rows(frame.index, frame)


def _in_order(given: Any, signature: Signature) -> pd.DataFrame:
    """Rows without names: of one field its values, of several lists of values in the order of the fields."""
    import pandas as pd

    names = list(signature.names)
    rows = list(given)
    nested = [isinstance(row, list | tuple | np.ndarray) for row in rows]
    if len(names) == 1 and (signature.inputs[0].shape or not any(nested)):
        return pd.DataFrame({names[0]: pd.Series(rows, dtype=None if rows else object)})
    widths = sorted({len(row) if is_nested else 1 for row, is_nested in zip(rows, nested, strict=True)})
    if rows and not (all(nested) and widths == [len(names)]):
        raise RowsRefused(
            f"Rows without names have the {len(names)} values {listed(names)} each, in this order; "
            f"these have {listed(widths)}. One row alone is a list of one row, too."
        )
    if isinstance(given, np.ndarray) and given.ndim == 2:
        return _whole_where_it_must_be(pd.DataFrame(given, columns=names), signature)
    return pd.DataFrame(list(map(list, rows)), columns=names)


def _whole_where_it_must_be(frame: pd.DataFrame, signature: Signature) -> pd.DataFrame:
    """The same with whole numbers in fields of such: an array has one type, and says nothing of one of its columns."""
    import pandas as pd

    whole = [field.name for field in signature.inputs if field.type == "integer" and field.name in frame]
    for name in whole:
        column = pd.to_numeric(frame[name], errors="coerce")
        if pd.api.types.is_float_dtype(column) and (column % 1 == 0).where(column.notna(), frame[name].isna()).all():
            frame[name] = column.astype("Int64")
    return frame

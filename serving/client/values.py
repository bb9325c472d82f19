"""Values: what cells of a notebook hold, as JSON has it, so that it arrives the same on every way."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_NO_VALUE: dict[str, Any] = {}
"""In place of what JSON cannot say, infinity for one: no field takes an object, and its refusal names row and field."""


def plain(value: Any) -> Any:
    """A value as JSON has it: what is missing as null, moments in ISO 8601, arrays as lists."""
    import pandas as pd

    if isinstance(value, np.ndarray):
        whole = value.dtype.kind in "biu" or (value.dtype.kind == "f" and bool(np.isfinite(value).all()))
        return value.tolist() if whole else plain(value.astype(object).tolist())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    elif isinstance(value, np.floating):
        value = float(value)  # item() of a long double is one
    elif isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float | Decimal):
        value = float(value)
        return None if value != value else value if np.isfinite(value) else _NO_VALUE
    if isinstance(value, bool | int | str):
        return value
    return value.isoformat() if isinstance(value, date) else _NO_VALUE


def values(column: pd.Series[Any]) -> list[Any]:
    """The values of a column as JSON has them."""
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind in "biu":
        return column.tolist()
    if getattr(dtype, "kind", "") == "M" and hasattr(column.array, "unit"):
        return _moments(column)
    return [plain(value) for value in column.tolist()]


def array(column: pd.Series[Any]) -> pa.Array | None:
    """The values of a column as Arrow has them: the same numbers, booleans and texts; None where there are others."""
    import pandas as pd
    import pyarrow as pa

    dtype = column.dtype
    try:
        if isinstance(dtype, np.dtype) and dtype.kind in "biuf":
            return pa.array(column.to_numpy(), from_pandas=True)
        if isinstance(dtype, pd.StringDtype):
            return pa.array(column, from_pandas=True)
        if isinstance(dtype, pd.CategoricalDtype):
            levels = array(column.cat.categories.to_series())
            codes = column.cat.codes.to_numpy()
            return levels and pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), levels)
        found = values(column)
        kinds = set(map(type, found)) - {type(None)}
        return pa.array(found) if len(kinds) < 2 and kinds <= {bool, int, float, str} else None
    except (pa.ArrowException, OverflowError, UnicodeError):
        return None


def _moments(column: pd.Series[Any]) -> list[Any]:
    zone = getattr(column.dtype, "tz", None)
    moments = column.dt.tz_convert("UTC").dt.tz_localize(None) if zone else column
    offset = "+00:00" if zone else ""
    texts = np.datetime_as_string(moments.to_numpy()).tolist()
    return [None if text == "NaT" else text + offset for text in texts]

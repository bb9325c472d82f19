"""Rows as a fitted object takes them: built from plain columns, with the container and the types of the fit."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from contract.answers import Columns
from contract.errors import PredictionFailed
from contract.signature import Field, Signature

_TEXTS = ("<U", ">U", "StringDType")
"""How the types of numpy arrays that hold texts are called."""


def as_inputs(columns: Columns, signature: Signature) -> Any:
    """The n rows in their container: a DataFrame, an array of n by fields (or by the shape of the one field), a list.

    Raises:
        PredictionFailed: a value does not fit the type of the fit.
    """
    import numpy as np

    first, values = signature.inputs[0], [columns[name] for name in signature.names]
    try:
        with np.errstate(over="raise"):
            match signature.container:
                case "frame":
                    return _frame(columns, signature)
                case "polars":
                    import polars as pl

                    return pl.from_pandas(_frame(columns, signature))
                case "records":
                    return [dict(zip(signature.names, row, strict=True)) for row in zip(*values, strict=True)]
                case "list":
                    return list(values[0])
                case "series":
                    return _series(values[0], first).rename(first.name)
                case "column":
                    return _array(values[0], first)
                case "array" | "sparse":
                    rows = _array(values[0], first) if first.type == "tensor" else _array(values, first).T
                    if signature.container == "array":
                        return rows
                    from scipy.sparse import csr_matrix

                    return csr_matrix(rows)
    except Exception as error:  # pandas, Arrow and polars raise what they like
        raise PredictionFailed("A value does not fit the type that the model was fitted on.") from error


def _frame(columns: Columns, signature: Signature) -> Any:
    import pandas as pd

    found = {f.name if f.column is None else f.column: _series(columns[f.name], f) for f in signature.inputs}
    return pd.DataFrame(found)


def _array(values: Any, field: Field) -> Any:
    import numpy as np

    if field.dtype.startswith(_TEXTS):  # as long as the longest of these, not of those that were fitted on
        return np.array(values, dtype=str)
    found = np.array(values, dtype=field.dtype)
    if field.dtype == "object":
        found[found == None] = np.nan  # noqa: E711  # element by element
    return found


def _series(values: Any, field: Field) -> Any:
    import numpy as np
    import pandas as pd

    if field.type == "category":
        return pd.Series(pd.Categorical(values, categories=list(field.levels or ()), ordered=field.ordered))
    if field.type == "tensor":
        rows = values if field.dtype == "list" else [_tensor(value, field) for value in values]
        found = pd.Series([None] * len(rows), dtype=object)
        for i, row in enumerate(rows):
            found[i] = row
        return found
    if field.type in ("date", "datetime") and field.dtype != "object":
        zone = "," in field.dtype  # datetime64[ns, Europe/Berlin]
        moments: Any = pd.Series(pd.to_datetime(list(values), format="ISO8601", utc=zone))
        return moments.astype(field.dtype)
    if field.type in ("date", "datetime"):
        read = date.fromisoformat if field.type == "date" else datetime.fromisoformat
        return pd.Series([None if value is None else read(value) for value in values], dtype=object)
    if field.nullable and (field.type in ("float", "integer") or field.dtype == "object"):
        values = [np.nan if value is None else value for value in values]
    return pd.Series(values, dtype=field.dtype)


def _tensor(value: Any, field: Field) -> Any:
    import numpy as np

    return None if value is None else np.array(value, dtype=field.dtype)

"""Rows: a frame or a list of objects that is to be sent, and what the caller calls each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from contract.showing import cut, listed
from serving.client.values import array, plain, values

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Rows:
    """Rows to be sent: those of a frame, or objects."""

    index: pd.Index[Any]
    """Labels of the rows, and of their answers."""
    frame: pd.DataFrame | None = None
    objects: Sequence[Mapping[Any, Any]] = ()

    def __len__(self) -> int:
        return len(self.index)

    def records(self, begin: int, end: int) -> list[dict[str, Any]]:
        """Some of the rows as JSON has them."""
        if self.frame is None:
            return list(map(record, self.objects[begin:end]))
        some = self.frame.iloc[begin:end]
        names = list(map(str, some.columns))
        columns = [values(some.iloc[:, place]) for place in range(len(names))]
        rows = zip(*columns, strict=True) if columns else [()] * len(some)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def table(self) -> pa.Table | None:
        """All rows as Arrow has them; None where it is not installed or cannot say the same as JSON."""
        try:
            import pyarrow as pa
        except ImportError:
            return None
        if self.frame is None:
            return None
        columns = []
        for place in range(self.frame.shape[1]):
            found = array(self.frame.iloc[:, place])
            if found is None:
                return None
            columns.append(found)
        return pa.table(columns, names=list(map(str, self.frame.columns)))

    def label(self, row: int) -> str:
        """What the caller calls a row; empty where that is its number."""
        found = self.index[row]
        if isinstance(found, tuple):
            return cut(f"({', '.join(map(_spelled, found))})")
        return "" if isinstance(found, int | np.integer) and found == row else cut(_spelled(found))

    def without(self, names: Sequence[str]) -> str:
        """The code that leaves these columns out."""
        if self.frame is None:
            return f"{listed(names)}."
        labels = {str(label): label for label in self.frame.columns}
        return f"`frame.drop(columns=[{listed([repr(labels.get(name, name)) for name in names])}])`."


def record(row: Mapping[Any, Any]) -> dict[str, Any]:
    """An object as JSON has it."""
    return {str(name): plain(value) for name, value in row.items()}


def _spelled(label: Any) -> str:
    if hasattr(label, "isoformat"):
        return str(label)
    return repr(label.item() if isinstance(label, np.generic) else label)

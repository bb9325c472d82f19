"""Slices: the rows that share a value of a column; of a column of many numbers, a quarter of the rows each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from contract.errors import PromotionRefused
from contract.showing import listed
from contract.signature import as_key
from pipeline.gating.rows import Held

MOST_VALUES = 50
_FEW_NUMBERS = 10
"""Numbers of no more different values than this are values, not quantities."""
MISSING = "missing"


def slices(held: Held, column: str) -> dict[str, list[int]]:
    """The rows of each slice, by the slice's name.

    Raises:
        PromotionRefused: there is no such column, or it has too many values.
    """
    values = values_of(held, column)
    names = _quarters(values) if _is_quantity(values) else [_named(value) for value in values]
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(name, []).append(i)
    if len(found) > MOST_VALUES:
        raise PromotionRefused(
            f"The column '{column}' has {len(found):,} different values; a slice for each is made of up to "
            f"{MOST_VALUES}: name one, as in '{column}={next(iter(found))}: …'."
        )
    return dict(sorted(found.items(), key=lambda one: _place(one[0], values[one[1][0]])))


def having(held: Held, column: str, value: str) -> list[int]:
    """The rows with one value of a column, said as a text.

    Raises:
        PromotionRefused: there is no such column, or no row has the value.
    """
    names = [_named(found) for found in values_of(held, column)]
    rows = [i for i, name in enumerate(names) if name == value]
    if not rows:
        some = listed(dict.fromkeys(names))
        raise PromotionRefused(f"No row has the value '{value}' in '{column}'; there are {some}.")
    return rows


def values_of(held: Held, column: str) -> list[Any]:
    """The values of a column.

    Raises:
        PromotionRefused: there is no such column.
    """
    if column not in held.columns:
        raise PromotionRefused(f"The rows have no column '{column}'; they have {listed(held.columns, 20)}.")
    return held.columns[column]


def _named(value: Any) -> str:
    if value is None or value != value:  # NaN
        return MISSING
    if isinstance(value, float):
        return f"{value:.6g}"
    return as_key(value) if isinstance(value, bool | int | str) else str(value)


def _place(name: str, value: Any) -> tuple[bool, bool, float, str]:
    """Where a slice with this value stands: numbers by their size, before texts by their letters; missing last."""
    is_number = isinstance(value, int | float)
    return name == MISSING, not is_number, value if is_number and name != MISSING else 0.0, name


def _is_quantity(values: Sequence[Any]) -> bool:
    present = {value for value in values if isinstance(value, int | float | str) and value == value}
    return len(present) > _FEW_NUMBERS and all(isinstance(value, int | float) for value in present)


def _quarters(values: Sequence[Any]) -> list[str]:
    numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
    cuts = np.unique(np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    names = [f"{low:.4g} to {high:.4g}" for low, high in pairwise(cuts)]
    places = np.searchsorted(cuts[1:-1], numbers, side="right")
    return [MISSING if np.isnan(number) else names[place] for number, place in zip(numbers, places, strict=True)]

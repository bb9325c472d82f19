"""What no field carries, and what does not fit the fields, is refused by one clear sentence."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contract.errors import ExportRefused
from tests.test_signatures import infer, plain


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            pd.Series([1, "a"], dtype=object),
            r"^Column 'x' holds int, str; a field holds numbers, booleans, texts, dates or lists of numbers, one k",
        ),
        (
            pd.Series([1, True], dtype=object),
            r"Column 'x' holds bool, int; .* convert it with `\.astype\(…\)` before the",
        ),
        (pd.Series([True, "a"], dtype=object), r"^Column 'x' holds bool, str; a field holds"),
        (pd.Series([date(2026, 1, 1), "2026-01-02"], dtype=object), r"^Column 'x' holds date, str; a field holds"),
        (pd.Series([date(2026, 1, 1), plain("2026-01-02")], dtype=object), r"^Column 'x' holds date, datetime; a f"),
        (
            pd.Series([datetime(2026, 1, 1, tzinfo=UTC), plain("2026-01-02")], dtype=object),
            r"^Column 'x' holds times with a zone and times without one; give all of them one",
        ),
        (pd.Series(pd.to_timedelta(["1D", "2D"])), r"^Column 'x' holds Timedelta; a field holds"),
        (pd.Series(pd.period_range("2026-01", periods=2)), r"^Column 'x' holds Period; a field holds"),
        (pd.Series([1j, 2j]), r"^Column 'x' holds complex; a field holds"),
        (pd.Series([b"a", b"b"]), r"^Column 'x' holds bytes; a field holds"),
        (pd.Series([{"a": 1}, {"a": 2}]), r"^Column 'x' holds dict; a field holds"),
        (pd.Series([[1, 2], 3], dtype=object), r"^Column 'x' holds int, list; a field holds"),
        (pd.Series([[1, 2], [3]]), r"^Column 'x' holds lists that are not all of one length, or not of numbers; make"),
        (pd.Series([[[1, 2], [3]]]), r"^Column 'x' holds lists that are not all of one length"),
        (pd.Series([["a"], ["b"]]), r"^Column 'x' holds lists that are not all of one length, or not of numbers"),
        (pd.Series([[1, 2], [3, "a"]]), r"^Column 'x' holds lists that are not all of one length, or not of numbers"),
        (pd.Series([[], []]), r"^Column 'x' holds lists that are not all of one length, or not of numbers"),
        (pd.Series([[1.0, math.nan]]), r"^Column 'x' holds nan, which no request could send; replace it before the"),
        (pd.Series([np.array([1.0, math.inf])]), r"^Column 'x' holds inf, which no request could send"),
        (pd.Series([1.0, math.inf]), r"Column 'x' holds inf, which no request could send; replace it before the fit\."),
        (pd.Series([-math.inf, 1.0]), r"Column 'x' holds -inf, which no request could send"),
        (pd.Series([1, 2**63], dtype="uint64"), r"Column 'x' holds 9223372036854775808, which no request could send"),
        (pd.Series([1, 10**400], dtype=object), r"Column 'x' holds 10{400}, which no request could send"),
        (pd.Series([None, None], dtype=object), r"Column 'x' holds no value at all; leave it out before the fit\."),
        (pd.Series([math.nan]), r"Column 'x' holds no value at all"),
        (pd.Series([None], dtype=pd.CategoricalDtype(["a"])), r"Column 'x' holds no value at all"),
        (
            pd.Series([1.5, 2], dtype="category"),
            r"^The categories of 'x' are no texts or whole numbers; use `\.astype\(str\)` or plain numbers",
        ),
        (
            pd.Series(pd.Categorical(["a", 1])),
            r"^The categories of 'x' are no texts or whole numbers",
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

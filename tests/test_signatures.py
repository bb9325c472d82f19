"""What a signature says of the rows a model saw: from the values, not from what a dtype is called."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contract.errors import ExportRefused
from contract.signature import Field
from pipeline.exporting import intake, signatures

BERLIN = "Europe/Berlin"
AHEAD = timezone(timedelta(hours=2))


def infer(given: Any, bounds: Any = None, units: Any = None, categories: Any = ()) -> tuple[Field, ...]:
    rows = intake.read(given, "inputs")
    return signatures.infer_inputs(rows, rows.frame.astype(object).iloc[0], bounds or {}, units or {}, categories)


def plain(text: str) -> datetime:
    """A moment without a zone."""
    return datetime.fromisoformat(text)


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
        (pd.Series(["b", "a", "b", "a"]), {"type": "string", "dtype": "str", "levels": ("a", "b"), "example": "b"}),
        (pd.Series(["b", None, "b"]), {"type": "string", "dtype": "str", "levels": ("b",), "nullable": True}),
        (pd.Series(["b", "a"] * 2, dtype=object), {"type": "string", "dtype": "object", "levels": ("a", "b")}),
        (pd.Series(["b"] * 2, dtype="string"), {"type": "string", "dtype": "string", "levels": ("b",)}),
        (pd.Series([f"{n}" for n in range(50)] * 2), {"type": "string", "levels": tuple(sorted(map(str, range(50))))}),
        (pd.Series([f"{n}" for n in range(51)] * 9), {"type": "string", "levels": None, "observed": None}),
        # hardly one twice: names, or texts that somebody wrote
        (pd.Series(["b", "a", "c", "c", "b"]), {"type": "string", "levels": None, "example": "b"}),
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
    fields = signatures.infer_inputs(intake.read(frame, "inputs"), frame.astype(object).iloc[1], {}, {})
    assert [field.example for field in fields] == [None, None]


@pytest.mark.parametrize(
    ("column", "expected", "sent"),
    [
        (
            pd.Series(["True", "False"] * 2),
            {"type": "string", "levels": ("False", "True"), "example": "True"},
            ["True", "False"] * 2,
        ),
        (pd.Series([True, False], dtype=object), {"type": "boolean", "dtype": "object"}, [True, False]),
        (
            pd.Series([Decimal("1.5"), Decimal("0.25"), None]),
            {"type": "float", "dtype": "object", "nullable": True, "observed": (0.25, 1.5), "example": 1.5},
            [1.5, 0.25, None],
        ),
        (pd.Series([Decimal("1.5"), 2], dtype=object), {"type": "float", "observed": (1.5, 2)}, [1.5, 2]),
        (
            pd.Series([np.int8(4), np.int64(5)], dtype=object),
            {"type": "integer", "observed": (4, 5), "example": 4},
            [4, 5],
        ),
        # days, whatever holds them
        (
            pd.Series([date(2026, 1, 2), date(2025, 12, 31), None]),
            {"type": "date", "dtype": "object", "nullable": True, "observed": ("2025-12-31", "2026-01-02")},
            ["2026-01-02", "2025-12-31", None],
        ),
        (
            pd.to_datetime(pd.Series(["2026-01-02", None, "2025-12-31"])),
            {"type": "date", "dtype": "datetime64[us]", "nullable": True, "observed": ("2025-12-31", "2026-01-02")},
            ["2026-01-02", None, "2025-12-31"],
        ),
        (
            pd.Series([plain("2026-01-02"), plain("2025-12-31")], dtype=object),
            {"type": "date", "dtype": "object", "example": "2026-01-02"},
            ["2026-01-02", "2025-12-31"],
        ),
        # moments: one of them is enough
        (
            pd.to_datetime(pd.Series(["2026-01-02T00:00", "2026-01-01T12:30"])),
            {"type": "datetime", "observed": ("2026-01-01T12:30:00", "2026-01-02T00:00:00")},
            ["2026-01-02T00:00:00", "2026-01-01T12:30:00"],
        ),
        (
            pd.to_datetime(pd.Series(["2026-07-01T12:00", "2026-01-01T00:00"])).dt.tz_localize(BERLIN),
            {
                "type": "datetime",
                "dtype": f"datetime64[us, {BERLIN}]",
                "observed": ("2025-12-31T23:00:00+00:00", "2026-07-01T10:00:00+00:00"),
                "example": "2026-07-01T10:00:00+00:00",
            },
            ["2026-07-01T10:00:00+00:00", "2025-12-31T23:00:00+00:00"],
        ),
        (
            pd.Series([datetime(2026, 1, 1, 1, tzinfo=AHEAD), datetime(2026, 1, 1, tzinfo=UTC)], dtype=object),
            {"type": "datetime", "observed": ("2025-12-31T23:00:00+00:00", "2026-01-01T00:00:00+00:00")},
            ["2025-12-31T23:00:00+00:00", "2026-01-01T00:00:00+00:00"],
        ),
        # lists
        (
            pd.Series([[1, 2], [3, -4]]),
            {"type": "tensor", "dtype": "list", "shape": (2,), "observed": (-4.0, 3.0), "example": [1, 2]},
            [[1, 2], [3, -4]],
        ),
        (
            pd.Series([np.array([[1, 2, 3]], dtype="uint8"), None]),
            {"type": "tensor", "dtype": "uint8", "shape": (1, 3), "nullable": True, "example": [[1, 2, 3]]},
            [[[1, 2, 3]], None],
        ),
        (pd.Series([(0.5, 1), (2, 3)]), {"type": "tensor", "dtype": "list", "shape": (2,)}, [[0.5, 1], [2, 3]]),
        # closed lists
        (
            pd.Series(pd.Categorical([3, 1, None], categories=[3, 5, 1], ordered=True)),
            {"type": "category", "levels": (3, 5, 1), "ordered": True, "nullable": True, "observed": None},
            [3, 1, None],
        ),
        (
            pd.Series(pd.Categorical(["low", "high"], categories=["low", "mid", "high"], ordered=True)),
            {"type": "category", "levels": ("low", "mid", "high"), "ordered": True},
            ["low", "high"],
        ),
        (pd.Series(pd.Categorical([True, False])), {"type": "category", "levels": (False, True)}, [True, False]),
    ],
)
def test_a_field_is_told_from_its_values(column: pd.Series[Any], expected: dict[str, Any], sent: list[Any]) -> None:
    [field] = infer(column.to_frame("x"))
    assert {name: getattr(field, name) for name in expected} == expected
    assert Field.model_validate_json(field.model_dump_json()) == field
    found = signatures.as_plain(column, field)
    assert found == sent
    assert [type(value) for value in found] == [type(value) for value in sent]


def test_texts_named_as_categories_become_closed_lists() -> None:
    frame = pd.DataFrame({"colour": ["red", "blue", None], "count": [3, 1, 3], "flag": [True, False, True]})
    colour, count, flag = infer(frame, categories=["colour", "count"])
    assert (colour.type, colour.levels, colour.nullable, colour.example) == ("category", ("blue", "red"), True, "red")
    assert (count.type, count.levels, count.observed) == ("category", (1, 3), None)
    assert (flag.type, flag.levels) == ("boolean", None)
    many = pd.DataFrame({"x": [f"{i:03}" for i in range(200)]})
    assert len(infer(many, categories=["x"])[0].levels or ()) == 200
    with pytest.raises(ExportRefused, match=r"^bounds= has limits for 'count', which holds no numbers\.$"):
        infer(frame, bounds={"count": (0, 9)}, categories=["count"])


def test_fields_may_have_any_name_and_be_many() -> None:
    names = ["self", "model_config", "Größe (cm)", "", " a\n", "class", "__class__", "x" * 300]
    names += [f"column {i}" for i in range(500)]
    fields = infer(pd.DataFrame(np.arange(2.0 * len(names)).reshape(2, -1), columns=names))
    assert [field.name for field in fields] == names
    assert [field.example for field in fields] == list(range(len(names)))


def test_a_column_called_by_a_number_is_remembered() -> None:
    assert [(field.name, field.column) for field in infer(pd.DataFrame({7: [1], "8": [2]}))] == [("7", 7), ("8", None)]


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.array([[1.5, 2]], dtype="float32"), "float32"),
        (np.array([[1, 2]], dtype="int8"), "int8"),
        (np.zeros((1, 2, 2), dtype="uint8"), "uint8"),
        (np.array(["some text"]), "<U9"),
        (np.array([[1, "a"]], dtype=object), "object"),
        (np.array([1.5]), "float64"),
    ],
)
def test_the_fields_of_an_array_have_the_type_of_all_of_it(given: Any, dtype: str) -> None:
    assert {field.dtype for field in infer(given)} == {dtype}

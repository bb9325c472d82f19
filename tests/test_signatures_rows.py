"""Rows as JSON has them and back again, and rows that nobody had."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from contract.formats.rows import as_inputs
from contract.signature import Output, Signature
from pipeline.exporting import intake, signatures
from tests.test_signatures import BERLIN, infer


def signed(given: Any) -> Signature:
    container = intake.read(given, "inputs").container
    return Signature(container=container, inputs=infer(given), output=Output(task="regression"))


def test_rows_become_plain_values_with_none_for_what_is_missing() -> None:
    frame = pd.DataFrame(
        {
            "f": pd.Series([1.5, math.nan], dtype="float32"),
            "i": pd.Series([1, None], dtype="Int64"),
            "b": pd.Series([True, None], dtype="boolean"),
            "s": ["a", None],
            "c": pd.Series(["x", None], dtype="category"),
            "o": pd.Series([7, None], dtype=object),
        }
    )
    columns = signatures.as_columns(frame, signed(frame))
    assert columns == {"f": [1.5, None], "i": [1, None], "b": [True, None], "s": ["a", None], "c": ["x", None]} | {
        "o": [7, None]
    }
    assert [type(values[0]) for values in columns.values()] == [float, int, bool, str, str, int]


def test_rows_nobody_had_are_drawn_within_what_was_observed() -> None:
    frame = pd.DataFrame(
        {
            "f": [-1.5, 2.5, 0.1],
            "i": pd.Series([10, 12, None], dtype="Int64"),
            "b": [True, True, True],
            "s": ["u", "v", None],
            "c": pd.Series(["x", "x", "y"], dtype=pd.CategoricalDtype(["x", "y", "z"])),
            "t": ["only", "only", "only"],
        }
    )
    many = pd.concat([frame] * 3, ignore_index=True).assign(n=[f"name {n}" for n in range(9)])
    fields = infer(many)
    signature = Signature(container="frame", inputs=fields, output=Output(task="regression"))
    shown, columns = signatures.draw(signature, 200)
    assert [len(values) for values in columns.values()] == [200] * 7
    assert all(-1.5 <= value <= 2.5 for value in columns["f"])
    assert [set(columns[name]) for name in "ibsctn"] == [
        {10, 11, 12},
        {True, False},
        {"u", "v"},
        {"x", "y", "z"},
        {"only"},
        {"text"},
    ]
    assert shown.example == {name: values[0] for name, values in columns.items()}
    assert signatures.draw(signature, 200) == (shown, columns)
    assert shown.model_copy(update={"inputs": fields}) == signature


ALL_KINDS = {
    "frame": pd.DataFrame(
        {
            "f": np.array([0.1, 2.5], dtype="float32"),
            "i": pd.array([3, 9], dtype="Int64"),
            "b": [True, False],
            "s": ["a", "b"],
            "c": pd.Categorical(["x", "y"], categories=["y", "x"], ordered=True),
            "day": [date(2026, 1, 2), date(2025, 3, 4)],
            "at": pd.to_datetime(["2026-01-02T03:04:05.678901", "2026-01-02T00:00"], format="ISO8601"),
            "zoned": pd.to_datetime(["2026-01-02T03:00", "2026-07-02T03:00"]).tz_localize(BERLIN),
            "list": [[1.5, 2], [3, 4]],
            7: [1, 2],
        }
    ),
    "array": np.array([[1, 2], [3, 4]], dtype="int16"),
    "images": np.arange(12, dtype="uint8").reshape(2, 2, 3),
    "objects": np.array([[1, "a"], [2, "b"]], dtype=object),
    "texts": np.array([["a", "bcd"], ["e", "f"]]),
    "column": np.array(["a", "bcd"]),
    "list": ["a", "bcd"],
    "numbers": [1.5, 2.0],
    "series": pd.Series(["a", "b"], name="note"),
    "records": [{"x": 1, "t": "a"}, {"x": 2, "t": "b"}],
}


@pytest.mark.parametrize("name", ALL_KINDS)
def test_rows_come_back_as_they_were(name: str) -> None:
    given = ALL_KINDS[name]
    signature = signed(given)
    read = Signature.model_validate_json(signature.model_dump_json())
    found = as_inputs(signatures.as_columns(intake.read(given, "inputs").frame, signature), read)
    if isinstance(given, pd.DataFrame):
        pd.testing.assert_frame_equal(found, given)
    elif isinstance(given, pd.Series):
        pd.testing.assert_series_equal(found, given)
    elif isinstance(given, np.ndarray):
        assert found.dtype == given.dtype
        np.testing.assert_array_equal(found, given)
    else:
        assert found == given


@pytest.mark.parametrize("name", ALL_KINDS)
def test_rows_of_every_kind_can_be_drawn(name: str) -> None:
    given = ALL_KINDS[name]
    signature = signed(given)
    shown, columns = signatures.draw(signature, 50)
    assert signatures.draw(signature, 50) == (shown, columns)
    assert len(as_inputs(columns, shown)) == 50
    for field in signature.inputs:
        values = columns[field.name]
        assert len(values) == 50
        if field.observed is not None:
            drawn = np.array(values).ravel().tolist()
            assert field.observed[0] <= min(drawn) < max(drawn) <= field.observed[1]
        if field.type == "tensor":
            assert {np.shape(value) for value in values} == {field.shape}
            assert np.array(values).dtype.kind == (
                "f" if field.dtype == "list" else np.dtype(field.dtype).kind[-1:].replace("u", "i")
            )
        elif field.type in ("string", "category"):
            assert set(values) == set(field.levels or ["text"])

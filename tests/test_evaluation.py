"""The truth about held-out rows, in whatever form a notebook has it, and the file that keeps it."""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from contract.errors import ExportRefused
from contract.signature import Output
from pipeline.exporting import evaluation

NAMED = Output(task="classification", labels=(0, 1, 2), classes=("low", "mid", "high"))
TRUTHS = Output(task="classification", labels=(False, True), classes=(False, True))
FLOATS = Output(task="classification", labels=(0.0, 1.0), classes=(0.0, 1.0))
TEXTS = Output(task="classification", type="string")
WHOLE = Output(task="classification", type="integer")
FLAGS = Output(task="classification", type="boolean")
LABELS = Output(task="multilabel", labels=(0, 1, 2), classes=("art", "law", "war"))
NUMBER = Output(task="regression")
TWO = Output(task="regression", width=2)
TWO_TEXTS = Output(task="classification", type="string", width=2)
OUTLIERS = Output(task="outliers", labels=(-1, 1), classes=("odd", "usual"))
GROUPS = Output(task="clustering", labels=(0, 1, 2), classes=(0, 1, 2))
THREE_NAMES = ["mid", "low", "high"]
APPLYING: list[Any] = [["art", "war"], [], ["law"]]
FLAG_ROWS = [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize(
    ("targets", "output", "expected"),
    [
        # as the model calls them, as callers know them, one-hot
        ([1, 0, 2], NAMED, THREE_NAMES),
        (np.array([1, 0, 2], dtype="int8"), NAMED, THREE_NAMES),
        (np.array([[1], [0], [2]]), NAMED, THREE_NAMES),
        ([1.0, 0.0, 2.0], NAMED, THREE_NAMES),
        (pd.Series([1, 0, 2], index=[7, 7, 7]), NAMED, THREE_NAMES),
        (pd.Series([1, 0, 2], dtype="category"), NAMED, THREE_NAMES),
        (pd.DataFrame({"y": [1, 0, 2]}), NAMED, THREE_NAMES),
        (pl.Series([1, 0, 2]), NAMED, THREE_NAMES),
        (pl.DataFrame({"y": [1, 0, 2]}), NAMED, THREE_NAMES),
        ((n for n in (1, 0, 2)), NAMED, THREE_NAMES),
        (THREE_NAMES, NAMED, THREE_NAMES),
        (pd.Series(THREE_NAMES, dtype="category"), NAMED, THREE_NAMES),
        (np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]), NAMED, THREE_NAMES),
        (pd.get_dummies(pd.Series([1, 0, 2])), NAMED, THREE_NAMES),
        ([True, False, True], TRUTHS, [True, False, True]),
        ([1, 0, 1], TRUTHS, [True, False, True]),
        ([1, 0, 1], FLOATS, [1.0, 0.0, 1.0]),
        ([-1, 1, 1], OUTLIERS, ["odd", "usual", "usual"]),
        (["odd", "usual", "usual"], OUTLIERS, ["odd", "usual", "usual"]),
        ([2, 1, 0], GROUPS, [2, 1, 0]),
        # open answers
        (["a", "b", "a"], TEXTS, ["a", "b", "a"]),
        (np.array(["a", "b", "a"]), TEXTS, ["a", "b", "a"]),
        ([4, 5, 6], WHOLE, [4, 5, 6]),
        ([True, False, True], FLAGS, [True, False, True]),
        # numbers
        ([1.5, 2, 3], NUMBER, [1.5, 2, 3]),
        (pd.Series([1.5, 2, 3], dtype="Float64"), NUMBER, [1.5, 2.0, 3.0]),
        (np.array([[1.5], [2], [3]], dtype="float32"), NUMBER, [1.5, 2.0, 3.0]),
        # several a row
        (np.array([[1, 2.5], [3, 4], [5, 6]]), TWO, [[1.0, 2.5], [3.0, 4.0], [5.0, 6.0]]),
        (pd.DataFrame({"a": [1, 3, 5], "b": [2, 4, 6]}), TWO, [[1, 2], [3, 4], [5, 6]]),
        ([["a", "b"], ["c", "d"], ["e", "f"]], TWO_TEXTS, [["a", "b"], ["c", "d"], ["e", "f"]]),
        # labels that apply
        (np.array(FLAG_ROWS), LABELS, APPLYING),
        (pd.DataFrame(FLAG_ROWS, columns=["x", "y", "z"]).astype(bool), LABELS, APPLYING),
        (scipy.sparse.csr_matrix(FLAG_ROWS), LABELS, APPLYING),
        ([["war", "art"], [], ["law"]], LABELS, APPLYING),
        ([("war", "art"), (), ("law",)], LABELS, APPLYING),
        ([{"war", "art"}, set(), {"law"}], LABELS, APPLYING),
        (pd.Series([["war", "art"], [], ["law"]]), LABELS, APPLYING),
    ],
)
def test_the_truth_is_told_as_callers_know_it(targets: Any, output: Output, expected: list[Any]) -> None:
    found = evaluation.truth(targets, output, 3)
    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("targets", "output", "message"),
    [
        ([1, 0], NAMED, r"^targets has 2 values; 3 rows of inputs need 3 true values\.$"),
        ([1, 0, 2, 1], NUMBER, r"^targets has 4 values; 3 rows"),
        (np.zeros((2, 2)), TWO, r"^targets has 2 values; 3 rows"),
        (np.zeros((2, 3)), LABELS, r"^targets has 2 values; 3 rows"),
        (np.zeros((3, 2)), NUMBER, r"^targets has the shape \(3, 2\); 3 rows of inputs need 3 true values\.$"),
        (np.zeros((3, 2)), NAMED, r"^targets has the shape \(3, 2\); 3 rows"),
        (np.full((3, 3), 0.5), NAMED, r"^targets has the shape \(3, 3\); 3 rows"),  # no one-hot
        (np.ones((3, 3)), NAMED, r"^targets has the shape \(3, 3\); 3 rows"),
        ([[1, 2], [3], 4], NUMBER, r"^targets has the shape \(3, 0 to 2\); 3 rows"),
        ([1, 2, 3], TWO, r"^The model answers 2 numbers a row and targets has another shape, \(3,\)\. If the numbers"),
        (np.zeros((3, 3)), TWO, r"^The model answers 2 numbers a row and targets has another shape, \(3, 3\)\."),
        (
            [[1, 2], [3], [4, 5]],
            TWO,
            r"^The model answers 2 numbers a row and targets has another shape, \(3, 1 to 2\)",
        ),
        ([1, 0, 3], NAMED, r"^targets holds 3, which is none of the model's classes \[0, 1, 2\]\.$"),
        ([1, 0, None], NAMED, r"^targets holds None, which is none of the model's classes"),
        ([1, 0, math.nan], NAMED, r"^targets holds nan, which is none"),
        (
            ["low", "mid", "so"],
            NAMED,
            r"^targets holds 'so', which is none of the model's classes \['low', 'mid', 'high'\]",
        ),
        ([1, "low", 2], NAMED, r"^targets holds 'low', which is none"),
        ([0, 1, 1], OUTLIERS, r"^targets holds 0, which is none of the model's classes \[-1, 1\]\.$"),
        ([1.5, 2, math.nan], NUMBER, r"^targets holds nan, which is no finite number as the model answers; give the t"),
        ([1.5, 2, math.inf], NUMBER, r"^targets holds inf, which is no finite number"),
        ([1.5, 2, None], NUMBER, r"^targets holds None, which is no finite number"),
        (["1", "2", "3"], NUMBER, r"^targets holds '1', which is no finite number"),
        (np.array([[1, 2], [3, math.nan], [5, 6]]), TWO, r"^targets holds nan, which is no finite number"),
        ([1, 2, 3], TEXTS, r"^targets holds 1, which is no text as the model answers"),
        ([1, 2.5, 3], WHOLE, r"^targets holds 2\.5, which is no whole number as"),
        ([1, 0, 1], FLAGS, r"^targets holds 1, which is no truth value as"),
        (
            [["art"], ["peace"], []],
            LABELS,
            r"^targets holds \['peace'\], which does not say which of \['art', 'law', 'w",
        ),
        (np.full((3, 3), 2), LABELS, r"^targets holds \[2, 2, 2\], which does not say which"),
        ([1, 0, 2], LABELS, r"^targets holds 1, which does not say which"),
        (["art", "law", "war"], LABELS, None),
    ],
)
def test_what_says_something_else_is_refused(targets: Any, output: Output, message: str | None) -> None:
    if message is None:  # a label each
        assert evaluation.truth(targets, output, 3) == [["art"], ["law"], ["war"]]
        return
    with pytest.raises(ExportRefused, match=message) as error:
        evaluation.truth(targets, output, 3)
    assert len(str(error.value)) < 300


# --- the file


def test_rows_of_every_kind_are_kept_with_their_truth(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "number": [1.5, math.nan],
            "count": pd.array([1, None], dtype="Int64"),
            "text": ["a", None],
            "category": pd.Categorical(["x", "y"]),
            "day": [date(2026, 1, 2), None],
            "at": pd.to_datetime(pd.Series(["2026-01-02T03:04", None])).dt.tz_localize("Europe/Berlin"),
            "amount": [Decimal("1.50"), None],
            "list": [[1.0, 2.0], [3.0, 4.0]],
            "array": [np.array([1.0, 2.0]), np.array([3.0, 4.0])],
            "picture": [np.zeros((2, 2)), np.ones((2, 2))],
            "self": [1, 2],
        }
    )
    for true in ([1.5, 2], ["a", "b"], [["art"], []], [[1.0, 2.0], [3.0, 4.0]], [True, False]):
        evaluation.write(frame, true, tmp_path / evaluation.FILE)
        found = pd.read_parquet(tmp_path / evaluation.FILE)
        assert list(found) == [*frame, evaluation.TRUTH]
        kept = [value.tolist() if isinstance(value, np.ndarray) else value for value in found[evaluation.TRUTH]]
        assert kept == true
        assert found["array"].iloc[1].tolist() == [3.0, 4.0]
        assert found["picture"].iloc[1].tolist()[0].tolist() == [1.0, 1.0]
        assert found["at"].iloc[0] == frame["at"].iloc[0]
        assert found["text"].isna().tolist() == [False, True]
    assert isinstance(frame["array"].iloc[0], np.ndarray)


def test_of_many_rows_ten_thousand_are_kept_each_with_its_own_truth(tmp_path: Path) -> None:
    numbers = list(range(10_001))
    evaluation.write(pd.DataFrame({"x": numbers}), numbers, tmp_path / evaluation.FILE)
    found = pd.read_parquet(tmp_path / evaluation.FILE)
    assert len(set(found["x"])) == len(found) == evaluation.MAX_ROWS
    assert found["x"].tolist() == found[evaluation.TRUTH].tolist()

"""What cannot be exported is refused with the reason, and nothing of it stays in the store."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from contract.errors import ExportRefused, NameRefused, SettingsRefused
from contract.store import Store
from pipeline import export
from tests.test_exporting import CLASSIFIER, FLOWERS, LARGE, RIDGE, ROWS, WEIGHT, entries


@pytest.fixture(autouse=True)
def settings(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LECTERN_STORE", str(store.root))


class Own:
    """The start of a model as somebody writes it in a cell."""

    __module__ = "__main__"

    def predict(self, frame: Any) -> Any:
        return np.zeros(len(frame))


class Random(Own):
    def __init__(self) -> None:
        self.asked = 0

    def predict(self, frame: Any) -> Any:
        self.asked += 1
        return np.full(len(frame), float(self.asked))


class Dated(Own):
    def predict(self, frame: Any) -> Any:
        return np.array(frame.index.day, dtype=float)


class Says(Own):
    def __init__(self, *said: Any) -> None:
        self.said = said[0]
        if len(said) > 1:
            self.classes_ = ["no", "yes"]
            self.predict_proba = lambda frame: said[1]

    def predict(self, frame: Any) -> Any:
        if isinstance(self.said, Exception):
            raise self.said
        if callable(self.said):
            return self.said(frame)
        return self.said


def refused(**given: Any) -> Callable[[], Any]:
    arguments = {"model": RIDGE, "name": "weight", "inputs": FLOWERS, "targets": None} | given
    return lambda: export(**arguments)


COLOURS = pd.DataFrame({"colour": [f"colour {number}" for number in range(ROWS)]})
STRICT = make_pipeline(OneHotEncoder(), Ridge()).fit(COLOURS, WEIGHT)
ANY = Says(WEIGHT.to_numpy())
DATES = FLOWERS.set_index(pd.date_range("2026-11-21", periods=ROWS))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        # no fitted model
        (
            refused(model=Ridge),
            r"^Ridge is the class, not a fitted object; fitted here: CLASSIFIER, RIDGE, ",
        ),
        (
            refused(model="ridge.pkl"),
            r"^This is a str \('ridge\.pkl'\), which answers no rows; fitted here: CLASSIFIER, RIDGE",
        ),
        (refused(model=Ridge()), r"^This Ridge is not fitted yet; call `fit` before export; fitted here: CL"),
        (
            refused(model=make_pipeline(StandardScaler(), LogisticRegression()), classes=["no", "yes"]),
            r"^This StandardScaler inside the Pipeline is not fitted yet",
        ),
        # not these rows
        (
            refused(inputs=FLOWERS.rename(columns={"width": "girth"})),
            r"^inputs has no column 'width', which the Ridge was fitted on; it has length, girth, leaves\. Give it the",
        ),
        (
            refused(inputs=FLOWERS[["length"]]),
            r"^inputs has no column 'width', which the Ridge was fitted on; it has length\. Give it the rows that",
        ),
        (
            refused(inputs=FLOWERS.assign(height=1, depth=2)),
            r"^inputs has the column 'height', which the Ridge .* out: inputs\.drop\(columns=\['height', 'depth'",
        ),
        (
            refused(all_rows=FLOWERS.assign(height=1)),
            r"^all_rows has the column 'height', which the Ridge was not fitted on; leave it out: all_rows\.drop",
        ),
        (
            refused(inputs=FLOWERS.to_numpy()[:, :2]),
            r"^step 1 \(a Ridge\) raised ValueError on an array of shape \(58, 2\): X has 2",
        ),
        (
            refused(model=Says(KeyError("girth"))),
            r"^step 1 \(a Says\) raised KeyError on a DataFrame of shape \(58, 3\): 'girth'\. Are these th",
        ),
        (
            refused(model=ANY, all_rows=FLOWERS[["width", "length", "leaves"]]),
            r"^inputs has the columns length, width, leaves; all_rows has width, length, leaves: give both the sa",
        ),
        (
            refused(inputs=FLOWERS.assign(width=math.nan), all_rows=FLOWERS),
            r"^inputs has gaps in 'width' and all_rows has none; give all_rows every row\.$",
        ),
        (
            refused(model=ANY, inputs=FLOWERS.rename(columns={"width": "__truth__"})),
            r"^A column is called '__truth__', the name for",
        ),
        (refused(inputs=FLOWERS[:0]), r"^inputs has 0 rows and 3 columns"),
        (refused(inputs=FLOWERS, all_rows=7), r"^all_rows is an int; give a DataFrame"),
        # no answers
        (
            refused(model=Says(np.zeros((ROWS, 2, 2)))),
            r"^The model answers 58 rows with an array of shape \(58, 2, 2\); an answer is one value or a list of them",
        ),
        (
            refused(model=Says(["a"] * ROWS)),
            r"^Row 0 cannot be answered when it comes alone: The model gave 58 answers for 1 rows\.",
        ),
        (
            refused(model=Says([math.nan] * ROWS)),
            r"^The model's answers cannot be served\. The model answered a number that is not finite\.",
        ),
        (refused(model=Says([1.0])), r"^The model gave a single answer for 58 rows; an API needs one for each\."),
        (
            refused(model=Says(lambda frame: ["a"] * 57)),
            r"^The model gave 57 answers for 58 rows; an API needs one for ea",
        ),
        (
            refused(model=Says(["so"] * ROWS, None)),
            r"^The model, a Says, answers a class that its `classes_` do not hold",
        ),
        (
            refused(model=Random()),
            r"^The chain answers the same rows otherwise each time: it draws random numbers",
        ),
        (
            refused(model=Dated(), inputs=DATES),
            r"^Row 0 cannot be answered when it comes alone: .*AttributeError: 'RangeIndex' object has no at",
        ),
        (
            refused(model=STRICT, inputs=COLOURS, keep_rows=False),
            r"^The model cannot answer rows drawn from the observed ranges, which stand for the real ones \(keep_rows=",
        ),
        # not these targets
        (refused(targets=WEIGHT[1:]), r"^targets has 57 values; 58 rows of inputs need 58 true values\.$"),
        (refused(targets=FLOWERS), r"^targets has the shape \(58, 3\); 58 rows"),
        (
            refused(targets=WEIGHT.where(WEIGHT > 13)),
            r"^targets holds nan, which is no finite number as the model answers; give the targets in the form of its",
        ),
        (refused(targets=["heavy"] * ROWS), r"^targets holds 'heavy', which is no finite number"),
        (
            refused(model=CLASSIFIER, targets=LARGE + 1),
            r"^targets holds 2, which is none of the model's classes \[0, 1\]\.$",
        ),
        (
            refused(model=CLASSIFIER, targets=["tiny"] * ROWS, classes=["small", "large"]),
            r"^targets holds 'tiny', which is none of the model's classes \[0, 1\]",
        ),
        # not these words
        (refused(description=None), r"^description= is None; give a text\.$"),
        (refused(units={"width": 1}), r"^The unit of 'width' is 1; give a text\.$"),
        (refused(units={"girth": "cm"}), r"^units= names 'girth', which is no column"),
        (refused(bounds={"width": (0, 1)}), r"^The bounds of 'width' are 0 to 1, but the rows hold"),
        (refused(threshold=0.5), r"^threshold= is for a model of two classes"),
        (refused(columns=["a"], inputs=FLOWERS.to_numpy()), r"^columns= has 1 names; inputs has 3 columns\.$"),
        (refused(classes=["small", "large"]), r"^classes= has the names 'small', 'large', and the model answers n"),
        (refused(metrics=0.9), r"^metrics= is 0\.9; give names and numbers, e\.g\. \{'cost': 1\.5\}\.$"),
        (refused(metrics={"cost": "much"}), r"^metrics= is \{'cost': 'much'\}; give names and numbers"),
        (refused(metrics={"cost": math.inf}), r"^metrics= has inf for 'cost'; a metric is a finite number\.$"),
    ],
)
def test_what_cannot_be_exported_is_refused_with_the_reason(
    call: Callable[[], Any], message: str, store: Store
) -> None:
    with pytest.raises(ExportRefused, match=message) as error:
        call()
    assert len(str(error.value)) < 800
    assert entries(store) == []


def test_a_name_that_no_model_may_have_is_refused(store: Store) -> None:
    for name in ("Iris 2", "../iris", RIDGE):
        with pytest.raises(NameRefused, match="cannot name a model"):
            refused(name=name)()
    assert entries(store) == []


def test_a_model_that_tells_two_kinds_of_gap_apart_is_refused(store: Store) -> None:
    class Gaps(Own):
        def predict(self, frame: Any) -> Any:
            return [float(value is None) for value in frame["note"]]

    frame = pd.DataFrame({"note": pd.Series(["a", None, math.nan], dtype=object)})
    with pytest.raises(ExportRefused, match=r"^Row 1 is answered otherwise when it comes alone: 0"):
        refused(model=Gaps(), inputs=frame)()
    assert entries(store) == []


def test_an_unknown_setting_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_TRAIN_STAGES", "x")
    with pytest.raises(
        SettingsRefused, match=r"LECTERN_TRAIN_STAGES is no setting; did you mean LECTERN_TRAIN_STAGE\."
    ):
        refused()()
    assert entries(store) == []

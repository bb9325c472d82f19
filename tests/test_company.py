"""Strangers beside the rows: what looks at the others is found in every row, also in a single one."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from contract.answers import Answers, Columns
from contract.errors import ExportRefused
from contract.formats.chain import Chain
from contract.formats.joblib import FittedObject
from contract.signature import Output, Signature
from pipeline.exporting import company, intake, signatures

ROWS = pd.DataFrame({"size": np.arange(40.0), "city": ["Bonn", "Kiel"] * 20, "rooms": [1, 2, 3, 4] * 10})
SMALL = ROWS.assign(size=ROWS["size"].where(ROWS["size"] != 39))


def looked_at(step: Any, rows: pd.DataFrame, model: Any = None) -> tuple[FittedObject, Columns, Answers]:
    """A chain of a step and a model fitted on what it makes, the rows as a request brings them, and its answers."""
    given = intake.read(rows, "inputs")
    fields = signatures.infer_inputs(given, rows.astype(object).iloc[0], {}, {})
    signature = Signature(container="frame", inputs=fields, output=Output(task="regression"))
    made = step(rows)
    chain = Chain([step], (model or Ridge()).fit(made, np.arange(len(rows))))
    columns = signatures.as_columns(given.frame, signature)
    fitted = FittedObject(chain, signature)
    return fitted, columns, fitted.answer(columns)


def sound(frame: pd.DataFrame) -> Any:
    return frame.assign(city=(frame["city"] == "Bonn").astype(int), size=frame["size"].fillna(7.0))


def centred(frame: pd.DataFrame) -> Any:
    return frame[["size"]] - frame[["size"]].mean()


def filled(frame: pd.DataFrame) -> Any:
    return frame[["size"]].fillna(frame["size"].mean())


def coded(frame: pd.DataFrame) -> Any:
    return frame[["rooms"]].assign(city=frame["city"].astype("category").cat.codes)


def numbered(frame: pd.DataFrame) -> Any:
    return frame[["rooms"]].assign(place=np.arange(len(frame)))


def scaled(frame: pd.DataFrame) -> Any:
    return StandardScaler().fit_transform(frame[["size"]])


def test_a_chain_that_takes_each_row_by_itself_passes() -> None:
    company.check(*looked_at(sound, ROWS))
    company.check(*looked_at(sound, SMALL))
    company.check(*looked_at(sound, ROWS.head(1)))


@pytest.mark.parametrize(
    ("step", "rows", "told"),
    [
        (centred, ROWS, "`centred` makes another 'size'"),
        (centred, ROWS.head(1), "`centred` makes another 'size'"),
        (coded, ROWS, "`coded` makes another 'city'"),
        (coded, ROWS[ROWS.city == "Kiel"].reset_index(drop=True), "`coded` makes another 'city'"),
        (numbered, ROWS, "`numbered` makes another 'place'"),
        (scaled, ROWS.head(1), "`scaled` makes another value"),
    ],
)
def test_a_step_that_looks_at_the_others_is_refused_with_the_column(step: Any, rows: pd.DataFrame, told: str) -> None:
    message = rf"^{re.escape(told)} \(\S+ instead of \S+\) of row \d+ when other rows come with it\. It looks at"
    with pytest.raises(ExportRefused, match=message):
        company.check(*looked_at(step, rows))


def test_one_gap_in_one_row_is_found_even_where_the_model_does_not_mind() -> None:
    blind = DecisionTreeRegressor(max_depth=1)
    with pytest.raises(
        ExportRefused, match=r"^`filled` makes another 'size' \(\S+ instead of 19\) of row 39 when other"
    ):
        company.check(*looked_at(filled, SMALL, blind))


def test_strangers_that_the_chain_does_not_take_are_left_out() -> None:
    def strict(frame: pd.DataFrame) -> Any:
        return frame[["size"]].assign(city=frame["city"].map({"Bonn": 0, "Kiel": 1}).astype(int))

    def strict_and_wrong(frame: pd.DataFrame) -> Any:
        return strict(frame).assign(rank=frame["size"].rank())

    company.check(*looked_at(strict, ROWS))
    with pytest.raises(ExportRefused, match=r"^`strict_and_wrong` makes another 'rank'"):
        company.check(*looked_at(strict_and_wrong, ROWS))


def test_a_model_of_one_s_own_that_looks_at_the_others_is_refused() -> None:
    class Relative:
        def predict(self, frame: Any) -> Any:
            return frame["size"] / frame["size"].max()

    fitted, columns, _ = looked_at(sound, ROWS)
    alike = FittedObject(Chain([], Relative()), fitted.signature)
    with pytest.raises(ExportRefused, match=r"^Row 1 is answered otherwise when other rows come with it"):
        company.check(alike, columns, alike.answer(columns))

"""Sensitive fields at export: nothing of their values is in the artifact, and the rest of each row is as it was."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from contract import describing, golden
from contract.errors import ExportRefused
from contract.signature import Field, Signature
from contract.store import Store
from pipeline import export
from pipeline.exporting import parity
from serving.fields import described
from tests.test_keep_rows import found_in

ROWS = 60
_rng = np.random.default_rng(0)
PEOPLE = pd.DataFrame(
    {
        "age": _rng.normal(50, 9, ROWS),
        "income": _rng.normal(3_000, 500, ROWS),
        "letter": [f"my number is {i * 7919 + 10_000}" for i in range(ROWS)],
        "born": pd.Timestamp("1960-01-01T04:05:06.789") + pd.to_timedelta(_rng.uniform(0, 9_000, ROWS).round(5), "D"),
    }
)
TARGETS = PEOPLE.age + PEOPLE.income / 100


def years(frame: Any) -> Any:
    return frame.assign(born=frame["born"].dt.year.fillna(1970))


@pytest.fixture(autouse=True)
def settings(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_STORE", str(store.root))


def chain() -> list[Any]:
    encoded = make_column_transformer((HashingVectorizer(n_features=4), "letter"), remainder="passthrough")
    return [years, make_pipeline(encoded, Ridge()).fit(years(PEOPLE), TARGETS)]


def secrets(*names: str) -> list[Any]:
    """The values as they would be written, the extremes among them."""
    values: list[Any] = []
    for name in names:
        column = PEOPLE[name]
        values += [f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in column] if name == "born" else column.tolist()
    return values


def test_no_value_of_a_sensitive_field_is_anywhere(store: Store) -> None:
    hidden = ("income", "letter", "born")
    made = export(chain(), "people", PEOPLE, TARGETS, sensitive=hidden)
    artifact = store.artifact("people")
    assert found_in(artifact, secrets(*hidden)) == set()
    signature = made.manifest.signature
    assert {field.name: field.sensitive for field in signature.inputs} == {name: name in hidden for name in PEOPLE}
    assert [field.observed for field in signature.inputs[1:]] == [None] * 3

    drawn, answers = golden.read(artifact.read(golden.GOLDEN))
    assert set(drawn["age"]) <= set(PEOPLE.age)  # the other fields are real
    assert signature.example["age"] == PEOPLE.age[0]
    asked = pd.DataFrame(drawn).assign(born=pd.to_datetime(drawn["born"], format="ISO8601"))
    assert answers.values == pytest.approx(chain()[1].predict(years(asked)))

    export(chain(), "people", PEOPLE, TARGETS)
    assert (
        len(found_in(store.artifact("people", 2), secrets(*hidden))) > ROWS
    )  # had they been kept, they would be found


def test_held_out_rows_are_not_kept_and_that_is_said_once(store: Store) -> None:
    rows = PEOPLE[["age", "income"]]
    model = LinearRegression().fit(rows, TARGETS)
    made = export(model, "people", rows, TARGETS, sensitive=["income"])
    assert "evaluation.parquet" not in made.manifest.files
    assert repr(made).count("No held-out row is kept, as income is sensitive: give the gate rows by hand.") == 1
    assert "No held-out row" not in repr(export(model, "people", rows, sensitive=["income"]))  # there are no targets


def test_without_rows_everything_is_drawn_and_the_ranges_of_the_other_fields_stay(store: Store) -> None:
    rows = PEOPLE[["age", "income"]]
    model = LinearRegression().fit(rows, TARGETS)
    made = export(model, "people", rows, TARGETS, sensitive=["income"], keep_rows=False)
    assert "No held-out row" not in repr(made)  # the author said so
    age, income = made.manifest.signature.inputs
    assert (age.observed, income.observed) == ((PEOPLE.age.min(), PEOPLE.age.max()), None)
    drawn, _ = golden.read(store.artifact("people").read(golden.GOLDEN))
    assert not set(drawn["age"]) & set(PEOPLE.age)
    assert made.manifest.signature.example == {name: values[0] for name, values in drawn.items()}


def test_a_category_keeps_its_levels_and_numbers_their_bounds(store: Store) -> None:
    rows = PEOPLE[["age"]].assign(sex=pd.Categorical(_rng.choice(["f", "m"], ROWS)), flag=PEOPLE.age > 50)
    model = HistGradientBoostingRegressor(max_iter=2).fit(rows, TARGETS)
    names = ["age", "sex", "flag"]
    age, sex, flag = export(model, "m", rows, sensitive=names, bounds={"age": (0, 120)}).manifest.signature.inputs
    assert (age.bounds, age.observed, sex.levels, flag.sensitive) == ((0, 120), None, ("f", "m"), True)
    assert 0 <= age.example <= 120  # type: ignore[operator]  # a number
    assert age.example not in PEOPLE.age.tolist()


def test_onnx_is_still_held_against_the_rows_as_they_were(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges, around = [], parity.around

    def noted(frame: pd.DataFrame, signature: Signature) -> pd.DataFrame:
        ranges.append(signature.inputs[0].observed)
        return around(frame, signature)

    monkeypatch.setattr(parity, "around", noted)
    rows = pd.DataFrame({"visits": _rng.integers(1, 99, ROWS), "age": PEOPLE.age})
    model = LinearRegression().fit(rows, TARGETS)
    made = export(model, "m", rows, TARGETS, sensitive=["visits"])
    assert made.manifest.runtime.format == "onnx"
    assert ranges == [(rows.visits.min(), rows.visits.max())]  # of which the artifact says nothing


@pytest.mark.parametrize(
    ("sensitive", "message"),
    [
        (["incom"], "sensitive= names 'incom', which is no column; did you mean 'income'?"),
        (["x"], "sensitive= names 'x', which is no column; there are age, income, letter, born."),
        ("income", "sensitive= is 'income'; give a list of names of columns."),
        ([3], "sensitive= is [3]; give a list of names of columns."),
    ],
)
def test_what_is_no_column_is_refused(sensitive: Any, message: str, store: Store) -> None:
    with pytest.raises(ExportRefused, match=f"^{re.escape(message)}$"):
        export(chain(), "people", PEOPLE, sensitive=sensitive)


def test_a_model_that_has_to_know_each_text_is_refused_with_a_way_out(store: Store) -> None:
    rows = pd.DataFrame({"city": _rng.choice(["Rome", "Bonn"], ROWS)})
    model = make_pipeline(OneHotEncoder(sparse_output=False), Ridge()).fit(rows, TARGETS)
    words = r"\(sensitive=\['city'\]\).*Of 'city' no text is kept: one that comes from a list may be a category\.$"
    with pytest.raises(ExportRefused, match=words):
        export(model, "m", rows, sensitive=["city"])
    assert export(model, "m", rows.astype("category"), sensitive=["city"]).version == 1


def test_a_sensitive_field_says_so_and_cannot_hold_what_was_seen() -> None:
    field = Field(name="income", type="float", dtype="float64", sensitive=True, unit="€", example=1.5)
    head, _, row = str(describing.fields([field])).splitlines()
    assert (head.split()[-2:], row.split()[-2:]) == (["note", "example"], ["sensitive", "1.5"])
    assert described(field) == "€; sensitive: what is sent is not kept"
    for kept in ({"observed": (1.0, 2.0)}, {"type": "string", "levels": ("Ada",)}):
        with pytest.raises(ValidationError, match="of a sensitive field nothing is kept that the rows held"):
            Field(**{"name": "x", "type": "float", "dtype": "object", "sensitive": True} | kept)  # type: ignore[arg-type]

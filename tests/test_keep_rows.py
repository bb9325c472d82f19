"""Without real rows: golden rows and the example are drawn, and nothing of a row that somebody had is anywhere."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from contract import golden
from contract.artifact import Artifact
from contract.formats import FORMATS
from contract.store import Store
from pipeline import export

ROWS = 60
_rng = np.random.default_rng(0)
NUMBERS = pd.DataFrame(_rng.normal([50, 3], [9, 0.5], size=(ROWS, 2)), columns=["age", "weight"])
TARGETS = NUMBERS.age / 10 + NUMBERS.weight
IMAGES = _rng.normal(size=(ROWS, 3, 3))


@pytest.fixture(autouse=True)
def settings(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_STORE", str(store.root))


def found_in(artifact: Artifact, values: list[Any]) -> set[Any]:
    """The values that occur in a file of the artifact, as text or, numbers, in a binary form."""
    files = [path.read_bytes() for path in artifact.folder.iterdir()]
    found = set()
    for value in values:
        forms = [str(value).encode()]
        if isinstance(value, float):
            forms += [struct.pack("<d", value), struct.pack("<f", value)]
        if any(form in content for form in forms for content in files):
            found.add(value)
    return found


def moments() -> pd.DataFrame:
    start = pd.Timestamp("2026-01-01T00:00:00.123456")
    steps = [timedelta(hours=7 * i, seconds=i * i) for i in range(ROWS)]
    at = pd.Series([start + step for step in steps])
    return pd.DataFrame(
        {"at": at, "zoned": at.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"), "day": at.dt.normalize()}
    )


def hours(frame: Any) -> Any:
    return np.c_[frame["at"].dt.hour, frame["zoned"].dt.hour, frame["day"].dt.day_of_week]


def flat(rows: Any) -> Any:
    return np.asarray(rows).reshape(len(rows), -1)


def stacked(frame: Any) -> Any:
    return np.stack(frame["picture"].tolist()).reshape(len(frame), -1)


def fitted_on_moments() -> tuple[Any, Any, list[Any]]:
    rows = moments()
    inner = [f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in rows["at"][1:-1]]
    return [hours, Ridge().fit(hours(rows), TARGETS)], rows, inner


def fitted_on_images() -> tuple[Any, Any, list[Any]]:
    model = make_pipeline(FunctionTransformer(flat), Ridge()).fit(IMAGES, TARGETS)
    return model, IMAGES, sorted(IMAGES.ravel().tolist())[1:-1]


def fitted_on_lists() -> tuple[Any, Any, list[Any]]:
    frame = pd.DataFrame({"picture": IMAGES.tolist()})
    return [stacked, Ridge().fit(stacked(frame), TARGETS)], frame, sorted(IMAGES.ravel().tolist())[1:-1]


def fitted_on_an_array() -> tuple[Any, Any, list[Any]]:
    rows = NUMBERS.to_numpy()
    inner = [value for column in rows.T for value in sorted(column.tolist())[1:-1]]
    return Ridge().fit(rows, TARGETS), rows, inner


def fitted_on_categories() -> tuple[Any, Any, list[Any]]:
    rows = NUMBERS.assign(size=pd.Categorical(_rng.choice([3, 1, 2], ROWS)), flag=_rng.random(ROWS) < 0.5)
    inner = [value for name in NUMBERS for value in sorted(rows[name].tolist())[1:-1]]
    return HistGradientBoostingRegressor(max_iter=2).fit(rows, TARGETS.round()), rows, inner


def fitted_on_many_texts() -> tuple[Any, Any, list[Any]]:
    texts = [f"letter {i * 7919} of {name}" for i, name in enumerate(_rng.choice(["Ada", "Bob"], ROWS))]
    model = make_pipeline(TfidfVectorizer(token_pattern="ada|bob"), MultinomialNB())
    return model.fit(texts, NUMBERS.age > 50), texts, texts


@pytest.mark.parametrize(
    "fit",
    [
        fitted_on_moments,
        fitted_on_images,
        fitted_on_lists,
        fitted_on_an_array,
        fitted_on_categories,
        fitted_on_many_texts,
    ],
)
def test_nothing_of_a_real_row_is_anywhere(fit: Callable[[], tuple[Any, Any, list[Any]]], store: Store) -> None:
    model, rows, real = fit()
    made = export(model, "drawn", rows, TARGETS if "texts" not in fit.__name__ else None, keep_rows=False)
    artifact = store.artifact("drawn")
    assert found_in(artifact, real) == set()
    assert "evaluation.parquet" not in made.manifest.files
    drawn, answers = golden.read(artifact.read(golden.GOLDEN))
    assert len(answers.values) == golden.MAX_ROWS
    assert made.manifest.signature.example == {name: values[0] for name, values in drawn.items()}
    kind = FORMATS[made.manifest.runtime.format]
    assert kind.load(artifact.read(kind.file), artifact.manifest).answer(drawn).values == pytest.approx(answers.values)

    export(model, "real", rows)
    assert len(found_in(store.artifact("real"), real)) > 5  # had they been kept, they would have been found


def test_nothing_of_a_few_real_texts_is_anywhere(store: Store) -> None:
    _, texts, _ = fitted_on_many_texts()
    model = make_pipeline(TfidfVectorizer(token_pattern="ada|bob"), MultinomialNB()).fit(texts, NUMBERS.age > 50)
    export(model, "drawn", texts[:40], keep_rows=False)
    assert found_in(store.artifact("drawn"), texts[:40]) == set()


# --- null


def test_null_is_allowed_only_where_the_model_takes_it(store: Store) -> None:
    gaps = NUMBERS.assign(age=NUMBERS.age.where(NUMBERS.index != 3), weight=NUMBERS.weight.where(NUMBERS.index != 5))

    def nullable(model: Any, inputs: Any, **more: Any) -> set[str]:
        return {field.name for field in export(model, "m", inputs, **more).manifest.signature.inputs if field.nullable}

    ridge = Ridge().fit(NUMBERS, TARGETS)
    assert nullable(ridge, NUMBERS, all_rows=gaps) == set()
    trees = HistGradientBoostingRegressor(max_iter=2).fit(gaps, TARGETS)
    assert nullable(trees, NUMBERS, all_rows=gaps) == {"age", "weight"}
    assert nullable(trees, NUMBERS) == set()  # it never saw one
    assert nullable(trees, gaps) == {"age", "weight"}

    class Half:
        """Takes a gap in one column."""

        __module__ = "__main__"

        def predict(self, rows: Any) -> Any:
            if rows["weight"].isna().any():
                raise ValueError("weight")
            return rows["age"].fillna(0) + rows["weight"]

    assert nullable(Half(), NUMBERS, all_rows=gaps) == {"age"}


def test_a_text_may_be_missing_only_where_the_model_takes_it(store: Store) -> None:
    frame = pd.DataFrame({"note": ["a", "b"] * 20})
    gaps = frame.assign(note=frame.note.where(frame.index != 1))

    def length(rows: Any) -> Any:
        return rows["note"].str.len()

    def strict(rows: Any) -> Any:
        return [len(text) for text in rows["note"]]

    for step, allowed in ((lambda rows: length(rows).fillna(-1), True), (strict, False)):
        [field] = export(step, "m", frame, all_rows=gaps).manifest.signature.inputs
        assert field.nullable == allowed


def test_probabilities_are_drawn_as_well(store: Store) -> None:
    model = LogisticRegression().fit(NUMBERS, NUMBERS.age > 50)
    export(model, "m", NUMBERS, keep_rows=False)
    drawn, answers = golden.read(store.artifact("m").read(golden.GOLDEN))
    np.testing.assert_allclose(np.array(answers.scores), model.predict_proba(pd.DataFrame(drawn)), atol=1e-9)

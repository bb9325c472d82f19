"""Rows of every container and fields of every kind from a notebook to the wire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from contract.store import Store
from tests.live import Service
from tests.round_trips import (
    HELD,
    LABELS,
    LEARNED,
    MIXED,
    NUMBERS,
    TARGET,
    TEXTS,
    TONE,
    Case,
    Make,
    answerer,
    classifier,
    fitted_classifier,
    predictions,
    serving,
    travel,
)

MATRIX = NUMBERS.to_numpy()


def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression())


# --- containers


def images() -> Case:
    pictures = np.random.default_rng(0).integers(0, 255, size=(90, 4, 5), dtype="uint8")
    bright = np.where(pictures.mean(axis=(1, 2)) > 127, "bright", "dark")
    flat = FunctionTransformer(lambda rows: rows.reshape(len(rows), -1) / 255)
    return classifier(make_pipeline(flat, LogisticRegression()), pictures, bright, columns="picture")


def vectors() -> Case:
    spectra = np.random.default_rng(0).normal(size=(90, 300)).astype("float32")
    return answerer(Ridge(), spectra, spectra[:, :9].sum(axis=1))


def named_vector() -> Case:
    model = Ridge().fit(MATRIX[LEARNED], TARGET[LEARNED])
    return Case(model, MATRIX[HELD], predictions(model.predict(MATRIX[HELD])), {"columns": "reading"})


def named_matrix() -> Case:
    model = Ridge().fit(MATRIX[LEARNED], TARGET[LEARNED])
    names = ["Größe (cm)", "self", "model_config", "a b"]
    return Case(model, MATRIX[HELD], predictions(model.predict(MATRIX[HELD])), {"columns": names}, runs_as="onnx")


def numbers_as_labels() -> Case:
    rows = NUMBERS.set_axis([3, 1, 2, 0], axis=1)
    return answerer(make_pipeline(StandardScaler(), Ridge()), rows, TARGET)


def odd_names() -> Case:
    names = ["self", "model_config", "Größe (cm)", "a.b [%]"]
    return answerer(Ridge(), NUMBERS.set_axis(names, axis=1), TARGET, runs_as="onnx")


def many_columns() -> Case:
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 500))).add_prefix("column ")
    return answerer(Ridge(), rows, rows.iloc[:, :7].sum(axis=1))


def of_polars() -> Case:
    rows = pl.from_pandas(NUMBERS)
    model = logistic().fit(rows[:60], LABELS[LEARNED])
    return fitted_classifier(model, rows[60:])


def of_records() -> Case:
    records = MIXED[["colour", "k"]].to_dict("records")
    return answerer(make_pipeline(DictVectorizer(), Ridge()), records, TARGET)


def texts(rows: Any) -> Case:
    return classifier(make_pipeline(TfidfVectorizer(), MultinomialNB()), rows, np.array(TONE))


def topics() -> Case:
    return answerer(make_pipeline(TfidfVectorizer(), TruncatedSVD(2)), TEXTS, method="transform")


def text_column() -> Case:
    rows = NUMBERS[["a"]].assign(note=TEXTS)
    steps = [("words", CountVectorizer(), "note"), ("numbers", StandardScaler(), ["a"])]
    return classifier(make_pipeline(ColumnTransformer(steps), LogisticRegression()), rows, np.array(TONE))


def words_as_array() -> Case:
    rows = MIXED[["colour", "size"]].astype(str).to_numpy(dtype=str)
    return answerer(make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge()), rows, TARGET)


def objects_as_array() -> Case:
    rows = MIXED[["colour", "k"]].to_numpy(dtype=object)
    steps = [("texts", OneHotEncoder(), [0]), ("numbers", StandardScaler(), [1])]
    return answerer(make_pipeline(ColumnTransformer(steps), Ridge()), rows, TARGET)


# --- fields


def of_days() -> Case:
    days = pd.to_datetime("2026-01-01") + pd.to_timedelta(np.arange(90) * 3, unit="D")
    rows = pd.DataFrame({"day": days, "a": NUMBERS.a})
    sent = [{"day": f"{day:%Y-%m-%d}", "a": a} for day, a in zip(days[HELD], NUMBERS.a[HELD], strict=True)]
    return prepared(calendar, rows, sent=sent)


def calendar(frame: Any) -> Any:
    return pd.DataFrame({"month": frame["day"].dt.month, "weekday": frame["day"].dt.day_of_week, "a": frame["a"]})


def of_moments() -> Case:
    moments = pd.to_datetime("2026-03-28T12:00") + pd.to_timedelta(np.arange(90) * 37, unit="min")
    rows = pd.DataFrame({"at": moments, "sent": moments.tz_localize("UTC").tz_convert("Europe/Berlin")})
    sent = [
        {"at": moment.isoformat(), "sent": zoned.isoformat()}
        for moment, zoned in zip(rows["at"][HELD], rows["sent"][HELD], strict=True)
    ]
    assert len({row["sent"][-6:] for row in sent} | {"+01:00"}) == 2  # summer time begins
    return prepared(clock, rows, sent=sent)


def clock(frame: Any) -> Any:
    return pd.DataFrame({"hour": frame["at"].dt.hour, "there": frame["sent"].dt.hour})


def of_date_objects() -> Case:
    days = [date(2026, 1, 1) + timedelta(days=int(i)) for i in range(90)]
    moments = [pd.Timestamp(day).to_pydatetime() + timedelta(hours=i % 24) for i, day in enumerate(days)]
    rows = pd.DataFrame({"day": days, "at": pd.Series(moments, dtype=object)})
    return prepared(weekdays, rows)


def weekdays(frame: Any) -> Any:
    return pd.DataFrame({"weekday": [day.weekday() for day in frame["day"]], "hour": [at.hour for at in frame["at"]]})


def of_lists() -> Case:
    rows = pd.DataFrame({"readings": MATRIX.tolist(), "k": NUMBERS.k})
    return prepared(stacked, rows)


def stacked(frame: Any) -> Any:
    return np.c_[np.array(frame["readings"].tolist()), frame["k"]]


def of_arrays() -> Case:
    rows = pd.DataFrame({"picture": list(MATRIX.reshape(90, 2, 2))})
    return prepared(flattened, rows)


def flattened(frame: Any) -> Any:
    return np.stack(frame["picture"].tolist()).reshape(len(frame), -1)


def of_decimals_and_truths() -> Case:
    amounts = pd.Series([Decimal(str(round(number, 2))) for number in NUMBERS.c], dtype=object)
    rows = pd.DataFrame({"amount": amounts, "flag": MIXED.flag, "count": NUMBERS.k.astype(object)})
    held = rows[HELD]
    sent = [
        {"amount": float(amount), "flag": bool(flag), "count": int(count)}
        for amount, flag, count in held.itertuples(index=False)
    ]
    return prepared(as_numbers, rows, sent=sent)


def as_numbers(frame: Any) -> Any:
    return frame.astype(float)


def with_gaps() -> Case:
    usual = float(MIXED.gaps[LEARNED].mean())

    def fill(frame: Any) -> Any:
        filled = frame["gaps"].fillna(usual), frame["count"].astype("float64").fillna(0)
        return np.c_[(*filled, frame["colour"] == "red")]

    return prepared(fill, MIXED[["gaps", "count", "colour"]])


def of_categories() -> Case:
    rows = pd.DataFrame({"size": MIXED["size"], "grade": pd.Categorical(NUMBERS.k % 3, categories=[2, 0, 1])})
    return prepared(category_codes, rows)


def category_codes(frame: Any) -> Any:
    return np.c_[frame["size"].cat.codes, frame["grade"].cat.codes]


def prepared(step: Any, rows: Any, **more: Any) -> Case:
    """A function before a linear model."""
    model = Ridge().fit(step(rows[LEARNED].copy()), TARGET[LEARNED])
    held = rows[HELD]
    return Case([step, model], held, predictions(model.predict(step(held.copy()))), {"all_rows": rows}, **more)


CASES: dict[str, Make] = {
    "matrix": lambda: classifier(logistic(), MATRIX, LABELS, runs_as="onnx"),
    "lists": lambda: answerer(Ridge(), MATRIX.tolist(), TARGET, runs_as="onnx"),
    "float32": lambda: answerer(Ridge(), MATRIX.astype("float32"), TARGET.to_numpy().astype("float32")),
    "named-matrix": named_matrix,
    "named-vector": named_vector,
    "vectors": vectors,
    "images": images,
    "sparse": lambda: classifier(LogisticRegression(), scipy.sparse.csr_matrix(MATRIX), LABELS),
    "number-labels": numbers_as_labels,
    "odd-names": odd_names,
    "many-columns": many_columns,
    "polars": of_polars,
    "records": of_records,
    "text-list": lambda: texts(TEXTS),
    "text-series": lambda: texts(pd.Series(TEXTS, name="body")),
    "text-array": lambda: texts(np.array(TEXTS)),
    "text-column": text_column,
    "topics": topics,
    "words": words_as_array,
    "objects": objects_as_array,
    # fields
    "days": of_days,
    "moments": of_moments,
    "date-objects": of_date_objects,
    "nested-lists": of_lists,
    "nested-arrays": of_arrays,
    "decimals": of_decimals_and_truths,
    "gaps": with_gaps,
    "categories": of_categories,
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Service]]:
    with serving(tmp_path_factory.mktemp("containers")) as found:
        yield found


@pytest.mark.parametrize("name", CASES)
def test_the_api_says_what_the_fitted_object_says(name: str, live: tuple[Store, Service]) -> None:
    travel(name, CASES[name], *live)

"""What a message says of the notebook: its names are looked at, and nothing of them is called."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from contract.formats.chain import Chain
from pipeline.exporting import guidance, intake

RAW = pd.DataFrame(np.random.default_rng(0).normal([50, 3], [9, 0.5], size=(60, 2)), columns=["age", "weight"])
TARGETS = RAW.age > 50
SCALER = StandardScaler().fit(RAW)
MODEL = LogisticRegression().fit(SCALER.transform(RAW), TARGETS)


# --- what is there


class Own:
    def predict(self, rows: Any) -> Any:
        return rows


class Trained(Own):
    def fit(self, rows: Any) -> Trained:
        self.mean_ = 1
        return self


def test_what_is_fitted_is_named() -> None:
    notebook = {
        "model": MODEL,
        "pipeline": make_pipeline(StandardScaler(), Ridge()).fit(RAW, TARGETS),
        "own": Own(),
        "trained": Trained().fit(RAW),
        # and what is not
        "untrained": Trained(),
        "unfitted": Ridge(),
        "half": make_pipeline(StandardScaler(), Ridge()),
        "empty": make_pipeline(),
        "scaler": SCALER,
        "Ridge": Ridge,
        "Own": Own,
        "RAW": RAW,
        "predict": Own().predict,
        "_hidden": MODEL,
        "np": np,
        "nothing": None,
    }
    assert guidance.fitted_there(notebook) == "fitted here: model, pipeline, own, trained"
    assert guidance.fitted_there({}) == ""
    assert guidance.fitted_there({f"m{i}": MODEL for i in range(9)}) == "fitted here: m0, m1, m2, m3, m4, …"


def test_what_was_given_is_called_by_its_name() -> None:
    notebook = {"_": RAW, "rows": RAW, "model": MODEL}
    assert guidance.wrong_object(RAW, notebook) == (
        "`rows` is a DataFrame, which answers no rows; fitted here: model; give one of them: export(model, …)."
    )
    assert guidance.wrong_object("a" * 99, {}).startswith(f"This is a str ('{'a' * 39}), which answers no rows; give")


class Watched:
    """Notes down everything that is asked of it, and refuses."""

    asked: list[str] = []  # noqa: RUF012

    def __getattribute__(self, name: str) -> Any:
        Watched.asked.append(name)
        raise RuntimeError(name)

    def fit(self) -> None: ...
    def predict(self, rows: Any) -> Any: ...
    def inverse_transform(self, rows: Any) -> Any: ...


class Posing:
    """Says that it is something else when asked for its class."""

    @property  # type: ignore[misc]  # it is read-only here
    def __class__(self) -> Any:
        raise RuntimeError("__class__")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("__eq__")

    def __bool__(self) -> bool:
        raise RuntimeError("__bool__")

    def __repr__(self) -> str:
        raise RuntimeError("__repr__")

    def __len__(self) -> int:
        raise RuntimeError("__len__")

    __hash__ = None  # type: ignore[assignment]


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


class Guarded(metaclass=Meta):
    def predict(self, rows: Any) -> Any: ...


class Properties(Own):
    @property
    def coef_(self) -> Any:
        raise RuntimeError("coef_")

    @property
    def feature_names_in_(self) -> Any:
        raise RuntimeError("feature_names_in_")


HOSTILE = {
    "watched": object.__new__(Watched),
    "posing": Posing(),
    "guarded": object.__new__(Guarded),
    "Guarded": Guarded,
    "module": ModuleType("lazy"),
}


def test_nothing_of_the_notebook_is_called() -> None:
    Watched.asked.clear()
    notebook = {**HOSTILE, "properties": Properties(), "model": MODEL, "scaler": SCALER}
    assert guidance.wrong_object(3, notebook).endswith("model; give one of them: export(model, …).")
    assert "model" in guidance.fitted_there(notebook)
    scaled = intake.read(SCALER.transform(RAW), "inputs")
    assert "`scaler`" in guidance.made_by(scaled, MODEL, notebook)
    assert Watched.asked == []


def test_what_functions_use_is_looked_at_only() -> None:
    Watched.asked.clear()
    names = {**HOSTILE, "small": RAW[:9], "big": pd.concat([RAW] * 2), "matrix": np.zeros((1234, 2))}
    exec("def function(rows):\n    return watched, posing, guarded, Guarded, module, small, big, matrix", names)
    found = guidance.data_carried(Chain([names["function"], SCALER], MODEL, [names["function"]]))
    assert found == ["`big` (120 rows)", "`matrix` (1,234 rows)"]
    assert Watched.asked == []


def test_the_names_are_those_of_who_called() -> None:
    def export_like() -> Any:
        return guidance.names_of_notebook()

    names: dict[str, Any] = {"ask": export_like, "len": None, "str": 3, "list": [], "print": "no"}
    exec("found = ask()", names)
    found = dict(names["found"])
    assert (found["len"], found["str"], found["list"], found["print"]) == (None, 3, [], "no")
    assert "test_the_names_are_those_of_who_called" not in found


# --- scaled rows


@pytest.mark.parametrize("scaler", [StandardScaler, MinMaxScaler, RobustScaler])
def test_rows_that_a_scaler_made_are_recognised(scaler: Any) -> None:
    fitted = scaler().fit(RAW)
    scaled = fitted.transform(RAW)
    model = LogisticRegression().fit(scaled, TARGETS)
    notebook = {"encoder": LabelEncoder().fit([1, 2]), "sc": fitted, "clf": model}
    for given in (scaled, pd.DataFrame(scaled, columns=RAW.columns)):
        assert guidance.made_by(intake.read(given, "inputs"), model, notebook) == (
            "The rows look as if `sc` had scaled them, so callers have to send scaled numbers. For an API that takes "
            "them as they are: export([sc, clf], …, rows before scaling, …)."
        )


def test_a_frame_with_more_than_the_scaled_columns_is_recognised() -> None:
    rows = pd.DataFrame(SCALER.transform(RAW), columns=RAW.columns).assign(city="Rome")
    assert "`scaler` had scaled them" in guidance.made_by(intake.read(rows, "inputs"), MODEL, {"scaler": SCALER})
    assert guidance.made_by(intake.read(RAW.assign(city="Rome"), "inputs"), MODEL, {"scaler": SCALER}) == ""


def test_rows_that_a_vectorizer_made_are_recognised() -> None:
    texts = ["good day", "bad day", "good night"]
    words = TfidfVectorizer().fit(texts)
    model = MultinomialNB().fit(words.transform(texts), [1, 0, 1])
    rows = intake.read(words.transform(texts), "inputs")
    assert guidance.made_by(rows, model, {"words": words, "clf": model}) == (
        "The rows look as if `words` had made them of texts. For an API that takes the texts: "
        "export([words, clf], …, the texts, …)."
    )
    other = TfidfVectorizer().fit([*texts, "more words"])
    assert guidance.made_by(rows, model, {"words": other}) == ""
    assert guidance.made_by(rows, [words, model], {"words": words}) == ""


def test_targets_among_the_rows_are_recognised() -> None:
    rows = intake.read(RAW.assign(late=TARGETS), "inputs")
    for targets in (TARGETS, TARGETS.to_numpy(), TARGETS.tolist()):
        assert guidance.targets_among(rows, targets) == "late"
    others: list[Any] = [~TARGETS, TARGETS[1:], None, TARGETS.to_frame(), [1] * len(RAW)]
    assert [guidance.targets_among(rows, targets) for targets in others] == [""] * 5
    assert guidance.targets_among(intake.read(RAW.assign(one=1), "inputs"), [1] * len(RAW)) == ""


def test_nothing_is_said_of_rows_that_no_scaler_of_the_notebook_made() -> None:
    scaled = SCALER.transform(RAW)
    other = StandardScaler().fit(np.c_[RAW, RAW])
    for rows, fitted, notebook in (
        (RAW, MODEL, {"scaler": SCALER}),  # as they are
        (scaled, [SCALER, MODEL], {"scaler": SCALER}),  # the chain has it
        (scaled, MODEL, {"_scaler": SCALER}),
        (scaled, MODEL, {"scaler": StandardScaler()}),
        (scaled, MODEL, {"scaler": other}),
        (scaled, MODEL, {"scaler": Normalizer().fit(RAW), "model": LinearRegression().fit(RAW, TARGETS)}),
        (scaled[:5], MODEL, {"scaler": SCALER}),  # too few to look like anything
        (scaled.tolist()[0], MODEL, {"scaler": SCALER}),
    ):
        assert guidance.made_by(intake.read(rows, "inputs"), fitted, notebook) == ""

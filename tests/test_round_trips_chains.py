"""Chains, functions and other libraries' models from a notebook to the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

from contract.store import Store
from tests.live import Service
from tests.round_trips import (
    HELD,
    LABELS,
    LEARNED,
    MIXED,
    NUMBERS,
    TARGET,
    YES,
    Case,
    Make,
    answerer,
    classifier,
    fitted_classifier,
    predictions,
    serving,
    travel,
    with_shares,
)


def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression())


# --- chains


def dummies() -> Case:
    rows = MIXED[["a", "colour", "k"]]

    def encode(frame: Any) -> Any:
        return pd.get_dummies(frame, columns=["colour"], drop_first=True)

    encoded = encode(rows)
    model = Ridge().fit(encoded[LEARNED], TARGET[LEARNED])
    return Case([encode, model], rows[HELD], predictions(model.predict(encoded[HELD])), {"all_rows": rows})


def scaled_both_ways() -> Case:
    scaler, targets = StandardScaler().fit(NUMBERS[LEARNED]), StandardScaler().fit(TARGET[LEARNED].to_frame())
    model = Ridge().fit(scaler.transform(NUMBERS[LEARNED]), targets.transform(TARGET[LEARNED].to_frame()).ravel())
    said = model.predict(scaler.transform(NUMBERS[HELD])) * targets.scale_[0] + targets.mean_[0]
    return Case([scaler, model, targets], NUMBERS[HELD], predictions(said))


def two_steps() -> Case:
    scaler = StandardScaler().fit(NUMBERS[LEARNED])
    model = LogisticRegression().fit(scaler.transform(NUMBERS[LEARNED]), LABELS[LEARNED])
    held = scaler.transform(NUMBERS[HELD])
    expected = with_shares(model.predict(held), model.predict_proba(held), model.classes_)
    return Case([scaler, model], NUMBERS[HELD], expected, runs_as="onnx")


def decoded(decode: Any, names: list[str]) -> Case:
    codes = LabelEncoder().fit_transform(LABELS)
    model = logistic().fit(NUMBERS[LEARNED], codes[LEARNED])
    held = NUMBERS[HELD]
    said = [names[code] for code in model.predict(held)]
    return Case([model, decode], held, with_shares(said, model.predict_proba(held), names), runs_as="onnx")


def merged() -> Case:
    """Decoding that has fewer names than labels."""
    model = logistic().fit(NUMBERS[LEARNED], LABELS[LEARNED])
    names = {"low": "not high", "mid": "not high", "high": "high"}
    return Case([model, names], NUMBERS[HELD], predictions([names[x] for x in model.predict(NUMBERS[HELD])]))


def groups_then_model() -> Case:
    groups = KMeans(3, n_init=1, random_state=0).fit(NUMBERS[LEARNED])
    model = Ridge().fit(groups.transform(NUMBERS[LEARNED]), TARGET[LEARNED])
    return Case([groups, model], NUMBERS[HELD], predictions(model.predict(groups.transform(NUMBERS[HELD]))))


def function(said: Any, **options: Any) -> Case:
    """A function that answers by itself."""
    return Case(said, NUMBERS[HELD], predictions(said(NUMBERS[HELD])), options)


def method_of_a_model() -> Case:
    model = logistic().fit(NUMBERS[LEARNED], LABELS[LEARNED])
    return Case(model.predict_proba, NUMBERS[HELD], predictions(model.predict_proba(NUMBERS[HELD])))


class Rule:
    """What somebody writes in a cell."""

    classes_ = ("low", "high")

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def predict(self, frame: Any) -> Any:
        return ["high" if value > self.limit else "low" for value in frame["a"]]

    def predict_proba(self, frame: Any) -> Any:
        share = 1 / (1 + np.exp(self.limit - frame["a"].to_numpy()))
        return np.c_[1 - share, share]


# --- boosted trees


def cut(given: Any, shares: Any, threshold: float, rows: Any) -> Case:
    names = ["no", "yes"]
    said = [names[int(share >= threshold)] for share in shares]
    expected = with_shares(said, np.c_[1 - shares, shares], names)
    return Case(given, rows, expected, {"classes": names, "threshold": threshold})


def xgboost_booster() -> Case:
    trees = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1}
    booster = xgboost.train(trees, xgboost.DMatrix(NUMBERS[LEARNED], YES[LEARNED]), 5)
    shares = booster.predict(xgboost.DMatrix(NUMBERS[HELD])).astype(float)
    return cut([xgboost.DMatrix, booster], shares, 0.4, NUMBERS[HELD])


def lightgbm_booster() -> Case:
    trees = {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    booster = lightgbm.train(trees, lightgbm.Dataset(NUMBERS[LEARNED], YES[LEARNED]), 5)
    return cut(booster, booster.predict(NUMBERS[HELD]), 0.5, NUMBERS[HELD])


def lightgbm_booster_of_three() -> Case:
    names = ["low", "mid", "high"]
    codes = LABELS.map(names.index)
    trees = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    booster = lightgbm.train(trees, lightgbm.Dataset(NUMBERS[LEARNED], codes[LEARNED]), 5)
    shares = np.asarray(booster.predict(NUMBERS[HELD]))
    said = [names[i] for i in shares.argmax(axis=1)]
    return Case(booster, NUMBERS[HELD], with_shares(said, shares, names), {"classes": names})


def xgboost_classifier() -> Case:
    encoder = LabelEncoder().fit(LABELS)
    model = xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1)
    model.fit(NUMBERS[LEARNED], encoder.transform(LABELS[LEARNED]))
    held = NUMBERS[HELD]
    said = encoder.inverse_transform(model.predict(held))
    expected = with_shares(said, model.predict_proba(held).astype(float), encoder.classes_)
    return Case(model, held, expected, {"classes": encoder})


def lightgbm_classifier() -> Case:
    rows = MIXED[["a", "gaps"]].assign(colour=MIXED.colour.astype("category"), size=MIXED["size"])
    model = lightgbm.LGBMClassifier(n_estimators=4, min_child_samples=5, n_jobs=1, verbose=-1)
    return classifier(model, rows, LABELS, all_rows=rows)


def lightgbm_regressor() -> Case:
    rows = NUMBERS.rename(columns={"a": "a b", "c": "Größe"})
    return answerer(lightgbm.LGBMRegressor(n_estimators=4, min_child_samples=5, n_jobs=1, verbose=-1), rows, TARGET)


CASES: dict[str, Make] = {
    "dummies": dummies,
    "both-ways": scaled_both_ways,
    "two-steps": two_steps,
    "decoded-by-encoder": lambda: decoded(LabelEncoder().fit(LABELS), ["high", "low", "mid"]),
    "decoded-by-mapping": lambda: decoded({0: "h", 1: "l", 2: "m"}, ["h", "l", "m"]),
    "decoded-by-function": lambda: decoded(lambda codes: np.array(["h", "l", "m"])[codes], ["h", "l", "m"]),
    "merged": merged,
    "groups-then-model": groups_then_model,
    "own-class": lambda: fitted_classifier(Rule(0.5), NUMBERS[HELD]),
    "says-numbers": lambda: function(lambda frame: frame["a"] * 2 + frame["k"]),
    "says-texts": lambda: function(lambda frame: np.where(frame["a"] > 0, "up", "down")),
    "says-truths": lambda: function(lambda frame: frame["a"] > frame["b"] - 5),
    "says-several": lambda: function(lambda frame: frame[["a", "b"]].to_numpy()),
    "says-whole-numbers": lambda: function(lambda frame: frame["k"] % 3, targets=NUMBERS.k[HELD] % 3),
    "method": method_of_a_model,
    # boosted trees
    "xgboost-booster": xgboost_booster,
    "lightgbm-booster": lightgbm_booster,
    "lightgbm-booster-3": lightgbm_booster_of_three,
    "xgboost": xgboost_classifier,
    "lightgbm": lightgbm_classifier,
    "lightgbm-number": lightgbm_regressor,
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Service]]:
    with serving(tmp_path_factory.mktemp("chains")) as found:
        yield found


@pytest.mark.parametrize("name", CASES)
def test_the_api_says_what_the_fitted_object_says(name: str, live: tuple[Store, Service]) -> None:
    travel(name, CASES[name], *live)

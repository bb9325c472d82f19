"""scikit-learn's models from a notebook to the wire: the API says what the fitted object says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch, KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier, MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, LocalOutlierFactor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier

from contract.store import Store
from tests.live import Service
from tests.round_trips import (
    HELD,
    LABELS,
    LEARNED,
    MIXED,
    NUMBERS,
    SEVERAL,
    TARGET,
    TARGETS,
    YES,
    Case,
    Make,
    answerer,
    classifier,
    decider,
    fitted_classifier,
    serving,
    travel,
    with_shares,
)


def scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


def of_columns(model: Any, *, gaps: bool = True) -> Any:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    steps = [
        ("texts", OneHotEncoder(handle_unknown="ignore"), ["colour"]),
        ("sizes", OrdinalEncoder(categories=[["s", "m", "l"]]), ["size"]),
        ("numbers", numbers, ["a", "k", "gaps"] if gaps else ["a", "k"]),
    ]
    return make_pipeline(ColumnTransformer(steps), model)


def searched() -> Case:
    search = GridSearchCV(scaled(LogisticRegression()), {"logisticregression__C": [0.1, 1.0]}, cv=2)
    return classifier(search, NUMBERS, LABELS, runs_as="onnx")


def voting(how: str) -> Any:
    members = [("line", scaled(LogisticRegression())), ("tree", DecisionTreeClassifier(max_depth=3, random_state=0))]
    return VotingClassifier(members, voting=how)


def stacking() -> Any:
    members = [("near", KNeighborsClassifier(3)), ("tree", DecisionTreeClassifier(max_depth=2, random_state=0))]
    return StackingClassifier(members, scaled(LogisticRegression()), cv=2)


def histogram_with_categories() -> Case:
    rows = MIXED[["a", "gaps", "size"]].assign(colour=MIXED.colour.astype("category"))
    return classifier(HistGradientBoostingClassifier(max_iter=9), rows, LABELS, runs_as="joblib")


def forest(**more: Any) -> Any:
    return RandomForestClassifier(9, random_state=0, **more)


def named_classes() -> Case:
    case = fitted_classifier(scaled(LogisticRegression()).fit(NUMBERS[LEARNED], YES[LEARNED]), NUMBERS[HELD])
    names = ["small", "größer"]
    for document in case.expected:
        document["prediction"] = names[document["prediction"]]
        document["probabilities"] = dict(zip(names, document["probabilities"].values(), strict=True))
    case.options["classes"] = names
    return case


def cut(model: Any, threshold: float) -> Case:
    case = fitted_classifier(model.fit(NUMBERS[LEARNED], YES[LEARNED]), NUMBERS[HELD])
    for document in case.expected:
        shares = document["probabilities"]
        document["prediction"] = int(shares["1"] >= threshold)
        document["confidence"] = shares[str(document["prediction"])]
    assert any(document["confidence"] < 0.5 for document in case.expected)
    case.options["threshold"] = threshold
    return case


def mixture() -> Case:
    model = GaussianMixture(3, random_state=0).fit(NUMBERS[LEARNED])
    held = NUMBERS[HELD]
    return Case(model, held, with_shares(model.predict(held), model.predict_proba(held), range(3)))


def outlying(model: Any) -> Case:
    return decider(model, NUMBERS, None)


def multilabel(model: Any, shares_of: Any, **options: Any) -> Case:
    model.fit(NUMBERS[LEARNED], SEVERAL[LEARNED].to_numpy())
    held, names = NUMBERS[HELD], options.get("classes", [0, 1, 2])
    expected = [
        {
            "prediction": [name for name, flag in zip(names, row, strict=True) if flag],
            "probabilities": dict(zip(map(str, names), shares, strict=True)),
        }
        for row, shares in zip(model.predict(held).tolist(), shares_of(model, held), strict=True)
    ]
    assert len({len(document["prediction"]) for document in expected}) > 2
    return Case(model, held, expected, options)


def second_shares(model: Any, held: Any) -> Any:
    return np.transpose([found[:, 1] for found in model.predict_proba(held)]).tolist()


def several_classes() -> Case:
    both = np.c_[LABELS, np.where(YES, "yes", "no")]
    return answerer(MultiOutputClassifier(forest()), NUMBERS, both)


def named_numbers() -> Case:
    model = MultiOutputRegressor(Ridge()).fit(NUMBERS[LEARNED], TARGETS[LEARNED])
    expected = [{"prediction": dict(zip(TARGETS, row, strict=True))} for row in model.predict(NUMBERS[HELD]).tolist()]
    return Case(model, NUMBERS[HELD], expected, {"targets": TARGETS[HELD]})


def column_of_targets() -> Case:
    """Fitted on a column of targets, it answers n by 1."""
    case = answerer(Ridge(), NUMBERS, TARGET.to_frame())
    model = case.given
    case.expected = [{"prediction": value} for value in np.ravel(model.predict(NUMBERS[HELD])).tolist()]
    return case


CASES: dict[str, Make] = {
    # classifiers
    "logistic": lambda: classifier(scaled(LogisticRegression()), NUMBERS, LABELS, runs_as="onnx"),
    "truths": lambda: classifier(DecisionTreeClassifier(max_depth=3, random_state=0), NUMBERS, YES == 1),
    "float-labels": lambda: classifier(GaussianNB(), NUMBERS, YES * 2.0),
    "forest": lambda: classifier(forest(), NUMBERS, LABELS, runs_as="onnx"),
    "bagging": lambda: classifier(BaggingClassifier(n_estimators=3, random_state=0), NUMBERS, LABELS),
    "histogram": histogram_with_categories,
    "neighbours": lambda: classifier(KNeighborsClassifier(3), NUMBERS, LABELS),
    "discriminant": lambda: classifier(LinearDiscriminantAnalysis(), NUMBERS, LABELS),
    "network": lambda: classifier(scaled(MLPClassifier((4,), max_iter=60, random_state=0)), NUMBERS, LABELS),
    "calibrated": lambda: classifier(CalibratedClassifierCV(LinearSVC(), cv=2), NUMBERS, LABELS),
    "stacked": lambda: classifier(stacking(), NUMBERS, LABELS),
    "voting-soft": lambda: classifier(voting("soft"), NUMBERS, LABELS),
    "voting-hard": lambda: answerer(voting("hard"), NUMBERS, LABELS),
    "searched": searched,
    "one-against-rest": lambda: classifier(OneVsRestClassifier(scaled(LogisticRegression())), NUMBERS, LABELS),
    "columns": lambda: classifier(of_columns(LogisticRegression()), MIXED, LABELS),
    "named": named_classes,
    "threshold": lambda: cut(scaled(LogisticRegression()), 0.2),
    # decision values
    "svc-3": lambda: decider(scaled(SVC()), NUMBERS, LABELS),
    "svc-2": lambda: decider(scaled(SVC()), NUMBERS, YES),
    "linear-svc-3": lambda: decider(scaled(LinearSVC()), NUMBERS, LABELS),
    "linear-svc-2": lambda: decider(scaled(LinearSVC()), NUMBERS, YES),
    "ridge-classifier": lambda: decider(RidgeClassifier(), NUMBERS, YES),
    "svc-ovo": lambda: answerer(SVC(decision_function_shape="ovo"), NUMBERS, NUMBERS.k),
    # regressors
    "linear": lambda: answerer(LinearRegression(), NUMBERS, TARGET, runs_as="onnx"),
    "extra-trees": lambda: answerer(ExtraTreesRegressor(5, random_state=0), NUMBERS, TARGET),
    "boosted": lambda: answerer(GradientBoostingRegressor(n_estimators=9, random_state=0), NUMBERS, TARGET),
    "near": lambda: answerer(KNeighborsRegressor(3), NUMBERS, TARGET),
    "svr": lambda: answerer(scaled(SVR()), NUMBERS, TARGET),
    "network-number": lambda: answerer(
        scaled(MLPRegressor(hidden_layer_sizes=(4,), max_iter=60, random_state=0)), NUMBERS, TARGET
    ),
    "gaussian-process": lambda: answerer(GaussianProcessRegressor(alpha=0.1), NUMBERS, TARGET),
    "logarithm": lambda: answerer(
        TransformedTargetRegressor(Ridge(), func=np.log1p, inverse_func=np.expm1), NUMBERS, TARGET.abs()
    ),
    "voting-number": lambda: answerer(VotingRegressor([("a", Ridge()), ("b", LinearRegression())]), NUMBERS, TARGET),
    "columns-number": lambda: answerer(of_columns(Ridge(), gaps=False), MIXED.drop(columns=["count"]), TARGET),
    "column-of-targets": column_of_targets,
    # several answers a row
    "multilabel": lambda: multilabel(
        OneVsRestClassifier(scaled(LogisticRegression())), lambda m, x: m.predict_proba(x)
    ),
    "multilabel-forest": lambda: multilabel(forest(), second_shares, classes=list(SEVERAL)),
    "several-numbers": lambda: answerer(LinearRegression(), NUMBERS, TARGETS.to_numpy(), runs_as="onnx"),
    "named-numbers": named_numbers,
    "several-classes": several_classes,
    "several-whole-numbers": lambda: answerer(forest(), NUMBERS, np.c_[NUMBERS.k, YES]),
    # groups, outliers, transformations
    "groups": lambda: answerer(KMeans(3, n_init=1, random_state=0), NUMBERS),
    "open-groups": lambda: answerer(Birch(n_clusters=3), NUMBERS),
    "mixture": mixture,
    "isolation": lambda: outlying(IsolationForest(n_estimators=9, random_state=0)),
    "one-class": lambda: outlying(scaled(OneClassSVM())),
    "local-outliers": lambda: outlying(LocalOutlierFactor(novelty=True)),
    "components": lambda: answerer(PCA(2), NUMBERS, method="transform"),
    "scaler": lambda: answerer(StandardScaler(), NUMBERS, method="transform"),
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Service]]:
    with serving(tmp_path_factory.mktemp("estimators")) as found:
        yield found


@pytest.mark.parametrize("name", CASES)
def test_the_api_says_what_the_fitted_object_says(name: str, live: tuple[Store, Service]) -> None:
    travel(name, CASES[name], *live)

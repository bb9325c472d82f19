"""What is exported: found among what a notebook gives, and refused by one sentence where it is no such thing."""

from __future__ import annotations

from functools import partial
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import DBSCAN, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import TSNE
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, LabelEncoder, MinMaxScaler, StandardScaler

from contract.errors import ExportRefused
from contract.formats.chain import Chain
from pipeline.exporting.chains import assemble, labels_of

ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=["a", "b", "c"])
YES = (ROWS.a > 0).astype(int)
MODEL = LogisticRegression().fit(ROWS, YES)
SCALER = StandardScaler().fit(ROWS)
NOTEBOOK = {"ROWS": ROWS, "model": MODEL, "scaler": SCALER, "LogisticRegression": LogisticRegression}


class Own:
    """What somebody writes in a cell."""

    def predict(self, rows: Any) -> Any:
        return rows["a"]


def search(estimator: Any, grid: dict[str, Any], **more: Any) -> Any:
    return GridSearchCV(estimator, grid, cv=2, **more)


# --- what is taken


def test_a_model_is_a_chain_of_itself() -> None:
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, YES)
    own = Own()
    for model in (MODEL, pipeline, own):
        assert assemble(model, NOTEBOOK).parts == ((), model, ())


def test_of_a_search_the_best_estimator_is_taken() -> None:
    found = search(Ridge(), {"alpha": [0.1, 9.0]}).fit(ROWS, YES)
    assert assemble(found, {}).parts == ((), found.best_estimator_, ())
    nested = search(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1]}).fit(ROWS, YES)
    chain = assemble([SCALER, nested], {})
    assert chain.model is nested.best_estimator_


@pytest.mark.parametrize(
    "step",
    [
        lambda rows: rows["a"],
        np.log1p,
        MODEL.predict,
        MODEL.predict_proba,
        SCALER,
        ColumnTransformer([("one", StandardScaler(), ["a"])]).fit(ROWS),
        FunctionTransformer(np.log1p),
        partial(np.add, 1),
    ],
    ids=lambda step: getattr(step, "__name__", type(step).__name__),
)
def test_what_has_no_predict_answers_by_itself(step: Any) -> None:
    chain = assemble(step, NOTEBOOK)
    assert isinstance(chain, Chain)
    assert (chain.before, chain.model, chain.after) == ((step,), None, ())


def function(rows: Any) -> Any:
    return rows


NAMES = {0: "no", 1: "yes"}
ENCODER = LabelEncoder().fit(["no", "yes"])


@pytest.mark.parametrize(
    ("steps", "before", "model", "after"),
    [
        ([MODEL], (), MODEL, ()),
        ((SCALER, MODEL), (SCALER,), MODEL, ()),
        ([function, SCALER, MODEL, NAMES], (function, SCALER), MODEL, (NAMES,)),
        ([MODEL, ENCODER, function], (), MODEL, (ENCODER, function)),
        ([function, function], (function, function), None, ()),
        ([SCALER], (SCALER,), None, ()),
        ([str.strip, MODEL], (str.strip,), MODEL, ()),
    ],
)
def test_the_model_of_a_chain_parts_the_steps(steps: Any, before: Any, model: Any, after: Any) -> None:
    chain = assemble(steps, NOTEBOOK)
    assert (chain.before, chain.model, chain.after) == (before, model, after)


def test_the_last_of_several_models_answers() -> None:
    groups = KMeans(2, n_init=1).fit(ROWS)  # has `transform` as well
    last = LogisticRegression().fit(groups.transform(ROWS), YES)
    chain = assemble([groups, last], {})
    assert (chain.before, chain.model) == ((groups,), last)
    by_hand = assemble([groups.predict, last], {})
    assert (by_hand.before, by_hand.model) == ((groups.predict,), last)


def test_the_labels_of_a_chain_are_one_list_or_none() -> None:
    class Raises(Own):
        @property
        def classes_(self) -> Any:
            raise RuntimeError

    class Several(Own):
        classes_ = (np.array([0, 1]), np.array([0, 1]))

    assert labels_of(Chain([], MODEL)) == [0, 1]
    assert labels_of(Chain([SCALER])) is None
    assert labels_of(Chain([], Raises())) is None
    assert labels_of(Chain([], Several())) is None


# --- what is refused

UNFITTED = r"is not fitted yet; call `fit` before export; fitted here: model\.$"
NOTHING = r", which answers no rows; fitted here: model; give one of them: export\(model, …\)\.$"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        # the class
        (LogisticRegression, r"^LogisticRegression is the class, not a fitted object; fitted here: model\.$"),
        (Own, r"^Own is the class, not a fitted object; fitted here: model\.$"),
        ([StandardScaler, MODEL], r"^StandardScaler is the class, not a fitted object"),
        (lightgbm.LGBMClassifier, r"^LGBMClassifier is the class, not a fitted object"),
        # not fitted
        (LogisticRegression(), rf"^This LogisticRegression {UNFITTED}"),
        (make_pipeline(StandardScaler(), Ridge()), rf"^This StandardScaler inside the Pipeline {UNFITTED}"),
        (Pipeline([("s", SCALER), ("m", Ridge())]), rf"^This Ridge inside the Pipeline {UNFITTED}"),
        (Pipeline([("s", MinMaxScaler()), ("m", MODEL)]), rf"^This MinMaxScaler inside the Pipeline {UNFITTED}"),
        (
            make_pipeline("passthrough", make_pipeline(StandardScaler(), Ridge())),
            rf"^This StandardScaler inside the Pipeline {UNFITTED}",
        ),
        (FeatureUnion([("s", StandardScaler())]), rf"^This FeatureUnion {UNFITTED}"),
        ([StandardScaler(), MODEL], rf"^This StandardScaler {UNFITTED}"),
        ([MODEL, LabelEncoder()], rf"^This LabelEncoder {UNFITTED}"),
        (search(Ridge(), {"alpha": [1.0]}), rf"^This GridSearchCV {UNFITTED}"),
        (
            search(Ridge(), {"alpha": [1.0]}, refit=False).fit(ROWS, YES),
            r"^This GridSearchCV was made with refit=False, so it has no best estimator to serve; use refit=True, or f",
        ),
        # no model at all
        ("model", rf"^This is a str \('model'\){NOTHING}"),
        (None, rf"^This is a NoneType \(None\){NOTHING}"),
        (3, rf"^This is an int \(3\){NOTHING}"),
        (ROWS, rf"^`ROWS` is a DataFrame{NOTHING}"),
        (YES, rf"^This is a Series{NOTHING}"),
        (MODEL.predict(ROWS), rf"^This is an array{NOTHING}"),
        (ROWS.columns, rf"^This is an Index{NOTHING}"),
        ((row for row in [1]), rf"^This is a generator{NOTHING}"),
        ({"model": MODEL}, rf"^This is a dict{NOTHING}"),
        (np, rf"^This is a module{NOTHING}"),
        ([[SCALER, MODEL]], rf"This is a list{NOTHING}"),
        ([ROWS, MODEL], rf"`ROWS` is a DataFrame{NOTHING}"),
        (["scaler", MODEL], rf"This is a str \('scaler'\){NOTHING}"),
        ([None, MODEL], rf"This is a NoneType \(None\){NOTHING}"),
        ([NAMES, MODEL], r"^Step 1 of the chain: This is a dict, which answers no rows"),
        ([MODEL, ["no", "yes"]], rf"This is a list{NOTHING}"),
        # no answer for a new row
        (DBSCAN().fit(ROWS), r"^DBSCAN has no `predict`: it describes the rows it was fitted on and cannot say anyth"),
        (LocalOutlierFactor().fit(ROWS), r"^LocalOutlierFactor has no `predict`"),
        ([SCALER, TSNE(perplexity=5)], r"^(TSNE has no `predict`|This TSNE is not fitted)"),
        # no chain
        ([], r"^The chain is empty; give its steps in order: export\(\[prepare, scaler, model\], …\)\.$"),
        (
            [MODEL, Own()],
            r"^The chain has two models, step 1 \(a LogisticRegression\) and step 2 \(an Own\); give one, or `model\.p",
        ),
        ([MODEL, SCALER, MODEL], r"^The chain has two models, step 1 .* and step 3"),
    ],
    ids=lambda given: type(given).__name__ if not isinstance(given, str) else "",
)
def test_what_cannot_answer_rows_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ExportRefused, match=message) as error:
        assemble(given, NOTEBOOK)
    assert len(str(error.value)) < 300


def test_where_nothing_is_fitted_it_says_so() -> None:
    with pytest.raises(ExportRefused, match=r"^Ridge is the class, not a fitted object; fit one and give that\.$"):
        assemble(Ridge, {})
    with pytest.raises(ExportRefused, match=r"^This Ridge is not fitted yet; call `fit` before export\.$"):
        assemble(Ridge(), {})
    with pytest.raises(ExportRefused, match=r"answers no rows; give the fitted model, a function or a chain of them"):
        assemble(3, {})

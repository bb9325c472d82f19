"""The one line at the end of a notebook: what a version keeps of the model, of its rows, and of what was said."""

from __future__ import annotations

import os
import struct
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from contract import golden
from contract.artifact import Artifact
from contract.baseline import Baseline
from contract.errors import ExportRefused
from contract.store import Store
from pipeline import Exported, export

ROWS = 58
_rng = np.random.default_rng(0)
FLOWERS = pd.DataFrame(
    {"length": _rng.normal(5, 1, ROWS), "width": _rng.normal(3, 0.5, ROWS), "leaves": _rng.integers(2, 9, ROWS)}
)
LARGE = (FLOWERS.length > 5).astype(int)
WEIGHT = 2 * FLOWERS.length + FLOWERS.width
CLASSIFIER = LogisticRegression().fit(FLOWERS, LARGE)
RIDGE = Ridge().fit(FLOWERS, WEIGHT)


@pytest.fixture(autouse=True)
def settings(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LECTERN_STORE", str(store.root))


def entries(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.iterdir()) if store.root.exists() else []


BINARY = {"accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc", "average_precision", "brier"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Exported, Artifact]:
    """A version made with everything that can be said."""
    with pytest.MonkeyPatch.context() as patch:
        store = Store(tmp_path_factory.mktemp("published") / "store")
        patch.setenv("LECTERN_STORE", str(store.root))
        made = export(
            CLASSIFIER,
            "flower-2",
            FLOWERS[30:],
            LARGE[30:],
            all_rows=FLOWERS,
            classes={0: "small", 1: "large"},
            bounds={"length": (0, 10)},
            units={"width": "cm"},
            description="Whether a flower is large.",
            metrics={"cost": np.float64(1.5)},
        )
    return made, store.artifact("flower-2")


def test_the_version_is_whole_and_no_more(published: tuple[Exported, Artifact]) -> None:
    made, artifact = published
    artifact.verify()
    names = {"manifest.json", "model.joblib", "model.onnx", "golden.json", "baseline.json", "evaluation.parquet"}
    assert {path.name for path in artifact.folder.iterdir()} == names == {"manifest.json", *artifact.manifest.files}
    assert (made.version, made.manifest, made.store, made.before) == (
        1,
        artifact.manifest,
        artifact.folder.parents[1],
        None,
    )
    assert entries(Store(made.store)) == ["flower-2"]


def test_the_manifest_says_what_was_said(published: tuple[Exported, Artifact]) -> None:
    manifest = published[1].manifest
    length, width, leaves = manifest.signature.inputs
    assert (length.bounds, width.bounds, width.unit, leaves.type) == ((0, 10), None, "cm", "integer")
    assert length.observed == (FLOWERS.length.min(), FLOWERS.length.max())
    assert (manifest.signature.output.labels, manifest.signature.output.classes) == ((0, 1), ("small", "large"))
    assert manifest.signature.example == FLOWERS.iloc[30].to_dict()
    assert (manifest.model, manifest.description) == ("flower-2", "Whether a flower is large.")
    assert (manifest.run.kind, manifest.run.notebook, manifest.parameters) == ("interactive", "", {})
    assert timedelta() < datetime.now(UTC) - manifest.created < timedelta(hours=1)
    assert {"python", "scikit-learn", "numpy"} <= manifest.environment.keys()


def test_the_metrics_are_those_of_the_held_out_rows_and_those_given(published: tuple[Exported, Artifact]) -> None:
    found = published[0].metrics
    assert found.pop("cost") == 1.5
    assert found.keys() == BINARY
    assert found["accuracy"] == pytest.approx(CLASSIFIER.score(FLOWERS[30:], LARGE[30:]))


def test_golden_rows_are_held_out_rows_with_the_fitted_object_s_answers(published: tuple[Exported, Artifact]) -> None:
    rows, answers = golden.read(published[1].read(golden.GOLDEN))
    assert 10 <= len(answers.values) <= golden.MAX_ROWS
    frame = pd.DataFrame(rows)
    assert set(frame.itertuples(index=False, name=None)) <= set(FLOWERS[30:].itertuples(index=False, name=None))
    assert answers.values == [["small", "large"][label] for label in CLASSIFIER.predict(frame)]
    np.testing.assert_allclose(np.array(answers.scores), CLASSIFIER.predict_proba(frame), rtol=0, atol=1e-12)


def test_the_baseline_counts_every_row_the_model_saw(published: tuple[Exported, Artifact]) -> None:
    baseline = Baseline.model_validate_json(published[1].read("baseline.json"))
    assert baseline.rows == ROWS
    assert {name: sum(counts.counts) for name, counts in baseline.fields.items()} == dict.fromkeys(FLOWERS, ROWS)


def test_the_held_out_rows_are_kept_with_the_truth(published: tuple[Exported, Artifact]) -> None:
    rows = pd.read_parquet(published[1].folder / "evaluation.parquet")
    pd.testing.assert_frame_equal(rows[list(FLOWERS)], FLOWERS[30:].reset_index(drop=True))
    assert rows["__truth__"].tolist() == [["small", "large"][label] for label in LARGE[30:]]


def test_the_next_one_is_compared_with_the_one_before(store: Store) -> None:
    first = export(RIDGE, "weight", FLOWERS)
    second = export(RIDGE, "weight", FLOWERS, WEIGHT)
    assert (first.version, first.metrics, second.version) == (1, {}, 2)
    assert second.before == (1, first.manifest)
    assert "evaluation.parquet" not in first.manifest.files
    assert second.metrics.keys() == {"r2", "mae", "rmse", "mape"}
    assert store.versions("weight") == [1, 2]


def test_the_gate_decides_at_once_and_shows_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = export(CLASSIFIER, "flower", FLOWERS[30:], LARGE[30:])
    assert "\n  champion now: no version was champion before\n" in repr(first)
    worse = DecisionTreeClassifier(max_depth=1, max_features=1, random_state=3).fit(FLOWERS, LARGE[::-1])
    with pytest.warns(UserWarning, match="worse than always answering"):
        second = export(worse, "flower", FLOWERS[20:], LARGE[20:])
    decision = second.decision
    assert decision is not None
    assert decision.comparison is not None
    assert (decision.verdict, decision.champion) == ("kept", 1)
    measured = {line.metric: line.champion for line in decision.comparison.table}
    assert measured["accuracy"] == pytest.approx(CLASSIFIER.score(FLOWERS[20:], LARGE[20:]))
    assert f"(version 1: {measured['accuracy']:.4f}, worse)" in repr(second)  # on its rows, not on its own
    assert "promotes it</p>" in second._repr_html_()
    assert escape(str(decision)) in second._repr_html_()
    monkeypatch.setenv("LECTERN_TRAIN_PROMOTE", "always")
    third = export(worse, "flower", FLOWERS, promote="never")
    assert (third.before, third.decision and third.decision.verdict) == ((1, first.manifest), "kept")
    assert (third.manifest.run.promote, first.manifest.run.promote) == ("never", None)
    fourth = export(worse, "flower", FLOWERS)
    assert fourth.decision is not None
    assert (fourth.decision.promoted, store.promotions("flower").read().aliases) == (True, {"champion": 4})


def test_where_no_targets_are_ever_given_the_newest_goes_on_answering(store: Store) -> None:
    for _ in range(2):
        made = export(RIDGE, "weight", FLOWERS)
    assert str(made.decision) == (
        "champion now: nothing was compared with version 1: neither version 2 nor version 1 of 'weight' keeps held-out "
        "rows with their truth"
    )
    assert store.promotions("weight").read().aliases == {"champion": 2}


def test_a_policy_that_there_is_not_is_refused(store: Store) -> None:
    with pytest.raises(ExportRefused, match=r"promote= is 'often'; give one of 'if-better', 'always', 'never'\."):
        export(RIDGE, "weight", FLOWERS, promote="often")  # type: ignore[arg-type]  # as a notebook may
    assert entries(store) == []


def test_of_many_held_out_rows_ten_thousand_are_kept(store: Store) -> None:
    numbers = np.arange(10_001.0).reshape(-1, 1)
    export(Ridge().fit(numbers, numbers[:, 0]), "many", numbers, numbers)
    rows = pd.read_parquet(store.artifact("many").folder / "evaluation.parquet")
    assert len(rows) == 10_000
    assert rows["x0"].tolist() == rows["__truth__"].tolist()
    assert len(set(rows["x0"])) == 10_000


def found_in(artifact: Artifact, values: list[float]) -> set[float]:
    """The numbers that occur in a file of the artifact, as text or in a binary form."""
    files = [path.read_bytes() for path in artifact.folder.iterdir()]
    forms = {value: (repr(value).encode(), struct.pack("<d", value), struct.pack("<f", value)) for value in values}
    return {value for value, forms in forms.items() if any(form in content for form in forms for content in files)}


def test_without_rows_no_number_of_a_real_row_is_anywhere(store: Store, published: tuple[Exported, Artifact]) -> None:
    rows = FLOWERS.assign(colour=_rng.choice(["red", "blue"], ROWS))
    encoder = OneHotEncoder(sparse_output=False)
    model = make_pipeline(encoder, LogisticRegression()).fit(rows[["colour"]], LARGE)
    tree = DecisionTreeClassifier(max_depth=3, random_state=0).fit(FLOWERS, LARGE)
    made = export(tree, "flower", FLOWERS, LARGE, keep_rows=False)
    real = [value for name in ("length", "width") for value in FLOWERS[name]]
    extremes = {limit for field in made.manifest.signature.inputs for limit in field.observed or ()}
    artifact = store.artifact("flower")
    assert found_in(artifact, real) <= extremes
    assert len(found_in(published[1], real)) > ROWS / 2  # had they been kept, they would have been found

    assert "evaluation.parquet" not in made.manifest.files
    assert made.metrics["accuracy"] == tree.score(FLOWERS, LARGE)
    shown, answers = golden.read(artifact.read(golden.GOLDEN))
    assert made.manifest.signature.example == {name: values[0] for name, values in shown.items()}
    assert len(answers.values) == golden.MAX_ROWS
    assert answers.values == tree.predict(pd.DataFrame(shown)).tolist()

    export(model, "colour", rows[["colour"]], keep_rows=False)
    shown, _ = golden.read(store.artifact("colour").read(golden.GOLDEN))
    assert set(shown["colour"]) == {"red", "blue"}


def test_an_estimator_of_one_s_own_needs_no_ceremony(store: Store) -> None:
    class Mean(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
        __module__ = "__main__"

        def fit(self, frame: Any, targets: Any) -> Mean:
            self.mean = float(np.mean(targets))
            return self

        def predict(self, frame: Any) -> Any:
            return [self.mean for _ in range(len(frame))]

    made = export(Mean().fit(FLOWERS, WEIGHT), "mean", FLOWERS, WEIGHT.to_frame())
    assert made.metrics["r2"] == pytest.approx(0)
    assert made.manifest.runtime.reason.startswith("it cannot be converted: MissingShapeCalculator")

"""The one line at the end of a notebook: what it keeps, what it refuses, and that it leaves nothing half done."""

from __future__ import annotations

import math
import os
import resource
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from contract import golden
from contract.artifact import Artifact
from contract.baseline import Baseline
from contract.errors import ExportRefused, NameRefused, PublishFailed, SettingsRefused
from contract.formats import FORMATS
from contract.store import Store
from pipeline import Exported, export
from pipeline.environment import describe

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


class Own:
    """The start of a model as somebody writes it in a cell."""

    __module__ = "__main__"

    def predict(self, frame: Any) -> Any:
        return np.zeros(len(frame))


# --- what is kept


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
    assert found.keys() == {"accuracy", "balanced_accuracy", "f1_macro", "log_loss", "roc_auc"}
    assert found["accuracy"] == pytest.approx(CLASSIFIER.score(FLOWERS[30:], LARGE[30:]))


def test_golden_rows_are_held_out_rows_with_the_fitted_object_s_answers(published: tuple[Exported, Artifact]) -> None:
    rows, answers = golden.read(published[1].read(golden.GOLDEN))
    assert 10 <= len(answers.values) <= golden.MAX_ROWS
    frame = pd.DataFrame(rows)
    assert set(frame.itertuples(index=False, name=None)) <= set(FLOWERS[30:].itertuples(index=False, name=None))
    assert answers.values == [["small", "large"][label] for label in CLASSIFIER.predict(frame)]
    np.testing.assert_allclose(np.array(answers.probabilities), CLASSIFIER.predict_proba(frame), rtol=0, atol=1e-12)


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
    assert second.metrics.keys() == {"r2", "mae", "rmse"}
    assert store.versions("weight") == [1, 2]


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
    assert made.manifest.runtime.reason.startswith("skl2onnx cannot convert it: MissingShapeCalculator")


def test_the_package_a_model_comes_from_is_part_of_the_environment() -> None:
    model = type("Model", (), {"__module__": "rich.model"})()
    assert describe(model).keys() - describe(RIDGE).keys() == {"rich"}
    assert "not installed" not in describe(model).values()


# --- what is refused before anything is written


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
        return self.said


def test_a_model_fitted_on_a_column_of_targets_answers_one_number_a_row() -> None:
    model = LinearRegression().fit(FLOWERS, WEIGHT.to_frame())
    made = export(model, "weight", FLOWERS, WEIGHT)
    assert made.metrics["r2"] == pytest.approx(model.score(FLOWERS, WEIGHT.to_frame()))


def refused(**given: Any) -> Callable[[], Any]:
    arguments = {"model": RIDGE, "name": "weight", "inputs": FLOWERS, "targets": None} | given
    return lambda: export(**arguments)


COLOURS = pd.DataFrame({"colour": [f"colour {number}" for number in range(ROWS)]})
STRICT = make_pipeline(OneHotEncoder(), Ridge()).fit(COLOURS, WEIGHT)
DATES = FLOWERS.set_index(pd.date_range("2026-11-21", periods=ROWS))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        # no fitted model
        (
            refused(model=Ridge),
            r"^The first argument is <class 'sklearn.*Ridge'>, which has no `predict`; give the fitted",
        ),
        (refused(model="ridge.pkl"), r"^The first argument is 'ridge.pkl', which has no `predict`"),
        (refused(model=Ridge()), r"^This Ridge is not fitted yet; call its `fit` before export\.$"),
        (
            refused(model=make_pipeline(StandardScaler(), LogisticRegression()), classes=["no", "yes"]),
            r"^This Pipeline is not fitted yet",
        ),
        # not these rows
        (
            refused(inputs=FLOWERS.rename(columns={"width": "girth"})),
            r"(?s)^The model raised ValueError on inputs: The feature names should match.* Are they rows like th",
        ),
        (
            refused(inputs=FLOWERS[["length"]]),
            r"(?s)^The model raised ValueError on inputs: The feature names should match",
        ),
        (
            refused(inputs=FLOWERS.to_numpy()),
            r"^inputs is an array, but the model was fitted on the columns length, width, leaves; give a DataFrame\.$",
        ),
        (
            refused(model=Says(KeyError("girth"))),
            r"^The model raised KeyError on inputs: 'girth' Are they rows like those",
        ),
        (
            refused(all_rows=FLOWERS[["width", "length", "leaves"]]),
            r"^inputs has the columns length, width, leaves; all_rows has width, length, leaves: give both the sa",
        ),
        (
            refused(inputs=FLOWERS.assign(width=math.nan), all_rows=FLOWERS),
            r"^inputs has gaps in 'width' and all_rows has none; give all_rows every row\.$",
        ),
        (
            refused(inputs=FLOWERS.rename(columns={"width": "__truth__"})),
            r"^A column is called '__truth__', the name for",
        ),
        (refused(inputs=FLOWERS[:0]), r"^inputs has 0 rows and 3 columns"),
        (refused(inputs=FLOWERS, all_rows=[1]), r"^all_rows is a list"),
        # no answers
        (
            refused(model=LinearRegression().fit(FLOWERS, FLOWERS)),
            r"^The model answers 58 rows with an array of shape \(58, 3\); one value per row is supported: fit it on",
        ),
        (
            refused(model=Says(["a"] * ROWS)),
            r"^The model cannot answer inputs as a request brings them\. The model answered",
        ),
        (refused(model=Says([math.nan] * ROWS)), r"The model answered a number that is not finite\."),
        (refused(model=Says([1.0])), r"The model gave 1 answers for 58 rows\."),
        (refused(model=Says(["no"] * ROWS, [[1.0]] * ROWS)), r"probabilities do not have one number per row and class"),
        (refused(model=Says(["so"] * ROWS, None)), r"The model answered a class that its signature does not have\."),
        (
            refused(model=Random()),
            r"^The model answers the same rows otherwise when they come as a request: .* are random\.",
        ),
        (
            refused(model=Dated(), inputs=DATES),
            r"^The model cannot answer inputs as a request brings them\. The model raised AttributeError on these row",
        ),
        (
            refused(model=STRICT, inputs=COLOURS, keep_rows=False),
            r"^The model cannot answer rows drawn from the observed ranges \(keep_rows=False\)\. The model raised Va",
        ),
        # not these targets
        (refused(targets=WEIGHT[1:]), r"^targets has the shape \(57,\); 58 rows of inputs need 58 true values\.$"),
        (refused(targets=FLOWERS), r"^targets has the shape \(58, 3\); 58 rows"),
        (
            refused(targets=WEIGHT.where(WEIGHT > 13)),
            r"^targets holds nan, which is no finite number; leave those rows out",
        ),
        (refused(targets=["heavy"] * ROWS), r"^targets holds 'heavy', which is no finite number"),
        (
            refused(model=CLASSIFIER, targets=LARGE + 1),
            r"^targets holds 2, which is none of the model's classes \[0, 1\]\.$",
        ),
        (
            refused(model=CLASSIFIER, targets=["small"] * ROWS, classes=["small", "large"]),
            r"^targets holds 'small', which",
        ),
        # not these words
        (refused(description=None), r"^description= is None; give a text\.$"),
        (refused(units={"width": 1}), r"^The unit of 'width' is 1; give a text\.$"),
        (refused(units={"girth": "cm"}), r"^units= names 'girth', which is no column"),
        (refused(bounds={"width": (0, 1)}), r"^The bounds of 'width' are 0 to 1, but the rows hold"),
        (refused(classes=["small", "large"]), r"^classes= is for classifiers"),
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
    with pytest.raises(ExportRefused, match="a column holds values that JSON cannot carry exactly"):
        refused(model=Gaps(), inputs=frame)()
    assert entries(store) == []


def test_an_unknown_setting_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_TRAIN_STAGES", "x")
    with pytest.raises(
        SettingsRefused, match=r"LECTERN_TRAIN_STAGES is no setting; did you mean LECTERN_TRAIN_STAGE\."
    ):
        refused()()
    assert entries(store) == []


# --- what is refused once it was written


class Holds(Own):
    def __init__(self, thing: Any) -> None:
        self.thing = thing


@pytest.mark.parametrize("kind", ["lock", "generator", "file"])
def test_a_model_that_holds_on_to_this_process_is_refused(kind: str, store: Store, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        held = {"lock": threading.Lock(), "generator": (number for number in range(3)), "file": file}[kind]
        with pytest.raises(
            ExportRefused, match=r"^The model cannot be saved \(\w+: [cC]annot pickle .* Something in it bel"
        ):
            refused(model=Holds(held))()
    assert entries(store) == []


class Here(Own):
    def __init__(self) -> None:
        self.process = os.getpid()

    def predict(self, frame: Any) -> Any:
        if os.getpid() != self.process:
            raise RuntimeError("elsewhere")
        return np.zeros(len(frame))


class Centred(Own):
    def predict(self, frame: Any) -> Any:
        return (frame["length"] - frame["length"].mean()).to_numpy()


def test_a_model_that_works_only_here_is_refused(store: Store) -> None:
    with pytest.raises(
        ExportRefused, match=r"does not work outside this notebook: The model could not answer its golden"
    ):
        refused(model=Here())()
    assert entries(store) == []


def test_a_model_whose_answer_depends_on_the_other_rows_is_refused(store: Store) -> None:
    with pytest.raises(
        ExportRefused, match=r"outside this notebook: .* otherwise .* Does a step look at the other rows"
    ):
        refused(model=Centred())()
    assert entries(store) == []


def test_a_model_from_a_file_beside_the_notebook_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside.py").write_text(
        "class Zero:\n    def predict(self, frame):\n        return [0.0] * len(frame)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import beside  # type: ignore[import-not-found]

    with pytest.raises(
        ExportRefused, match=r"outside this notebook: The model needs the package 'beside', which is not in"
    ):
        refused(model=beside.Zero())()
    assert entries(store) == []


def test_a_model_that_takes_too_long_to_load_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_TRAIN_LOAD_TIMEOUT_S", "0.01")
    with pytest.raises(ExportRefused, match=r"outside this notebook: The model was not loaded within 0\.01 s\."):
        refused()()
    assert entries(store) == []


def test_an_export_that_is_interrupted_leaves_nothing(store: Store) -> None:
    class Interrupts(Own):
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refused(model=Interrupts())()
    assert entries(store) == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """A disk on which no file gets larger than 8 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8 << 10, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_store_is_a_clear_failure(store: Store, small_files: None) -> None:
    with pytest.raises(
        PublishFailed, match=rf"^Could not write to the store {store.root}: File too large\. No version"
    ):
        refused(model=Holds(os.urandom(1 << 20)))()
    assert entries(store) == []


def test_a_store_that_cannot_be_written_to_is_a_clear_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LECTERN_STORE", str(tmp_path / "file" / "store"))
    with pytest.raises(PublishFailed, match=r"^Cannot write to the store /.*/file/store: Not a directory\.$"):
        refused()()


# --- under the runner


def test_under_the_runner_it_stages_once_and_does_not_publish(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = store.stage()
    monkeypatch.setenv("LECTERN_TRAIN_STAGE", str(stage.folder))
    with pytest.raises(ExportRefused, match="cannot be saved"):
        refused(model=Holds(threading.Lock()))()
    made = export(RIDGE, "weight", FLOWERS, WEIGHT)  # a later cell may try again
    assert (made.version, made.manifest.run.kind, store.models()) == (None, "papermill", [])
    assert "staged, a version as soon as the run ends" in repr(made)
    assert entries(store) == [stage.folder.name]
    Artifact(stage.folder).verify()
    assert {kind.file for kind in FORMATS.values()} < Artifact(stage.folder).manifest.files.keys()

    before = {path.name: path.read_bytes() for path in stage.folder.iterdir()}
    with pytest.raises(
        ExportRefused, match=r"^This run has exported a model already; one training notebook makes one v"
    ):
        export(RIDGE, "weight", FLOWERS, WEIGHT)
    assert {path.name: path.read_bytes() for path in stage.folder.iterdir()} == before


def test_a_stage_that_is_gone_is_a_clear_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_TRAIN_STAGE", str(tmp_path / "gone" / "stage"))
    with pytest.raises(PublishFailed, match=r"^Cannot write to the stage /.*/gone/stage: No such file or directory\.$"):
        refused()()

"""Export: the one line at the end of a notebook.

look at the rows → write the files → seal → load each file again with the code that will serve it, and have it
reproduce its golden rows → publish; under the runner the last step is the runner's.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contract import baseline, golden
from contract.answers import Answers, Columns, difference, from_model
from contract.artifact import Artifact
from contract.child import Child
from contract.errors import ArtifactError, ExportRefused, LecternError, PredictionError
from contract.formats import FORMATS, joblib
from contract.formats.joblib import FittedObject
from contract.manifest import Manifest, Run, Runtime
from contract.names import check_model_name
from contract.signature import Output, Scalar, Signature
from contract.staging import Stage
from contract.store import Store
from pipeline import environment, metrics, signatures
from pipeline.display import Exported
from pipeline.parity import choose_runtime
from pipeline.settings import TrainSettings

EVALUATION = "evaluation.parquet"
MAX_EVALUATION_ROWS = 10_000
TRUTH = "__truth__"


def export(
    model: Any,
    name: str,
    inputs: Any,
    targets: Any = None,
    *,
    all_rows: Any = None,
    classes: Sequence[Scalar] | Mapping[Any, Scalar] | None = None,
    bounds: signatures.Bounds | None = None,
    units: Mapping[str, str] | None = None,
    description: str = "",
    metrics: Mapping[str, float] | None = None,
    keep_rows: bool = True,
) -> Exported:
    """Make the fitted `model` the next version of the model `name`.

    Args:
        model: a fitted estimator with `predict`, or a Pipeline that ends in one.
        name: what callers will call it: lower-case letters, digits, '-' and '_'.
        inputs: n rows it can answer, as it takes them: a DataFrame, or an n by fields array. Best the held-out ones.
        targets: the n true values of these rows; with them the usual metrics are computed.
        all_rows: every row the model saw; types, nullability, observed ranges and the baseline for drift are taken
            from them. `inputs` where not given.
        classes: names for the classes: a list in the order of `model.classes_`, or a mapping from each of them.
        bounds: per field the lowest and highest value that a request may send.
        units: per field the unit, shown to callers.
        description: what the model is for, shown to callers.
        metrics: more figures by name, kept beside the computed ones.
        keep_rows: whether real rows may be kept (golden rows, the example, held-out rows for the gate). Without them
            golden rows and the example are drawn from the observed ranges.

    Returns:
        What was made. It shows itself.

    Raises:
        ExportRefused: the model cannot be exported like this; the message says what to change.
        NameRefused: no model may be called `name`.
        PublishFailed: the store could not take it; nothing became visible.
    """
    settings = TrainSettings.read(os.environ)
    check_model_name(name)
    store = settings.open_store()
    frame, container = signatures.as_frame(inputs, "inputs")
    everything = frame if all_rows is None else signatures.as_frame(all_rows, "all_rows")[0]
    if list(everything.columns) != list(frame.columns):
        raise ExportRefused("inputs and all_rows must have the same columns in the same order.")
    _check_fitted(model)
    signature = Signature(
        container=container,
        inputs=signatures.infer_inputs(everything, _example(frame), bounds or {}, units or {}),
        output=signatures.infer_output(model, classes),
    )
    columns = signatures.as_columns(frame)
    fitted = FittedObject(model, signature)
    answers = _answers(fitted, columns, inputs)
    if not keep_rows:
        columns, signature, fitted = _drawn(everything, signature, model)
        golden_answers = _answers(fitted, columns, None)
    else:
        golden_answers = answers
    truth = None if targets is None else _truth(targets, signature.output, len(frame))
    manifest = Manifest(
        model=name,
        created=datetime.now(UTC),
        description=description,
        signature=signature,
        runtime=Runtime(format="joblib"),
        metrics=_metrics(answers, truth, signature.output, metrics or {}),
        environment=environment.describe(model),
        run=Run(kind="papermill" if settings.stage else "interactive"),
    )
    runtime, graph = choose_runtime(fitted, manifest, everything)
    manifest = manifest.model_copy(update={"runtime": runtime})

    stage = _open_stage(store, settings)
    try:
        _save(model, stage.path(joblib.FILE))
        if graph is not None:
            stage.path(FORMATS["onnx"].file).write_bytes(graph)
        stage.path(golden.GOLDEN).write_bytes(golden.write(*golden.choose(columns, golden_answers)))
        counted = baseline.measure(signatures.as_columns(everything), signature)
        stage.path(baseline.BASELINE).write_text(counted.model_dump_json())
        if keep_rows and truth is not None:
            _write_evaluation(frame, truth, stage.path(EVALUATION))
        manifest = stage.seal(manifest)
        _prove(stage, settings.load_timeout_s)
    except OSError as error:
        stage.discard()
        raise ExportRefused(
            f"Could not write to the store {store.root}: {error.strerror}. Nothing became visible."
        ) from error
    except BaseException:
        stage.discard()
        raise
    before = _newest(store, name)
    version = None if settings.stage else store.publish(stage)
    return Exported(manifest, version, store.root, before)


def _check_fitted(model: Any) -> None:
    if isinstance(model, type) or not callable(getattr(model, "predict", None)):
        raise ExportRefused(
            f"The first argument is {model!r:.80}, which has no `predict`; give the fitted model, e.g. export(model, …)."
        )
    from sklearn.base import BaseEstimator
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if isinstance(model, BaseEstimator):
        try:
            check_is_fitted(model)
        except NotFittedError:
            raise ExportRefused(
                f"This {type(model).__name__} is not fitted yet; call its `fit` before export."
            ) from None


def _answers(fitted: FittedObject, columns: Columns, inputs: Any) -> Answers:
    """What the fitted object says of the rows as the service will hand them over; must be what it says of `inputs`."""
    try:
        answers = fitted.answer(columns)
        if inputs is not None:
            output = fitted.signature.output
            shares = fitted.fitted.predict_proba(inputs) if output.probabilities else None
            direct = from_model(fitted.fitted.predict(inputs), shares, output, len(inputs))
            apart = difference(answers, direct, relative=output.task == "regression")
            if apart > FORMATS["joblib"].tolerance:
                raise ExportRefused(
                    "The model answers the same rows otherwise when they come as a request: a column holds values that "
                    "JSON cannot carry exactly, or a step looks at the other rows."
                )
    except PredictionError as error:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise ExportRefused(
            f"{error}{cause} Are `inputs` the rows the model was fitted on, with the same columns in the same order?"
        ) from error
    return answers


def _example(frame: pd.DataFrame) -> pd.Series[Any]:
    """The first row without a gap, else the first one."""
    whole = frame.dropna()
    return (frame if whole.empty else whole).astype(object).iloc[0]


def _drawn(frame: pd.DataFrame, signature: Signature, model: Any) -> tuple[Columns, Signature, FittedObject]:
    """Rows that nobody had, drawn column by column from the observed ranges and levels, and a signature that shows one."""
    rng = np.random.default_rng(0)
    columns: dict[str, Sequence[Any]] = {}
    for field in signature.inputs:
        if field.observed is not None:
            low, high = field.observed
            drawn = rng.uniform(low, high, size=golden.MAX_ROWS)
            columns[field.name] = drawn.round().astype(int).tolist() if field.type == "integer" else drawn.tolist()
        else:
            choices = [False, True] if field.type == "boolean" else list(field.levels or ("text",))
            columns[field.name] = [choices[i] for i in rng.integers(len(choices), size=golden.MAX_ROWS)]
    fields = tuple(f.model_copy(update={"example": columns[f.name][0]}) for f in signature.inputs)
    drawn_signature = signature.model_copy(update={"inputs": fields})
    return columns, drawn_signature, FittedObject(model, drawn_signature)


def _truth(targets: Any, output: Output, rows: int) -> list[Any]:
    found = np.asarray(targets)
    if found.shape not in ((rows,), (rows, 1)):
        raise ExportRefused(f"targets has the shape {found.shape}; {rows} rows of inputs need {rows} true values.")
    values = found.reshape(-1).tolist()
    if output.task == "regression":
        return values
    names = dict(zip(output.labels, output.classes, strict=True))
    unknown = [value for value in values if value not in names]
    if unknown:
        raise ExportRefused(
            f"targets holds {unknown[0]!r}, which is none of the model's classes {list(output.labels)}."
        )
    return [names[value] for value in values]


def _metrics(answers: Answers, truth: list[Any] | None, output: Output, given: Mapping[str, float]) -> dict[str, float]:
    found = {} if truth is None else metrics.measure(answers, truth, output)
    for name, value in given.items():
        try:
            found[str(name)] = float(value)
        except (TypeError, ValueError):
            raise ExportRefused(f"metrics= has {value!r:.60} for '{name}'; a metric is one number.") from None
    return found


def _save(model: Any, path: Path) -> None:
    try:
        with warnings.catch_warnings(action="ignore"):
            joblib.save(model, path)
    except OSError:
        raise
    except Exception as error:
        raise ExportRefused(
            f"The model cannot be saved ({type(error).__name__}: {str(error)[:160]}). "
            "Something in it belongs to this process: an open file, a generator, a lock or a connection."
        ) from error


def _prove(stage: Stage, timeout_s: float) -> None:
    """Load what was written with the code that will serve it, outside this process where it may run code."""
    artifact = Artifact(stage.folder)
    manifest, rows = artifact.manifest, artifact.read(golden.GOLDEN)
    try:
        for name, kind in FORMATS.items():
            if kind.file not in manifest.files:
                continue
            if kind.runs_code:
                loaded = Child(artifact, name, load_timeout_s=timeout_s, answer_timeout_s=timeout_s)
                try:
                    golden.reproduce(loaded, rows, manifest.signature, kind.tolerance)
                finally:
                    loaded.close()
            else:
                golden.reproduce(
                    kind.load(artifact.read(kind.file), manifest), rows, manifest.signature, kind.tolerance
                )
    except ArtifactError as error:
        raise ExportRefused(f"The saved model does not work outside this notebook: {error}") from error


def _write_evaluation(frame: pd.DataFrame, truth: list[Any], path: Path) -> None:
    rows = frame.assign(**{TRUTH: truth})
    if len(rows) > MAX_EVALUATION_ROWS:
        rows = rows.sample(MAX_EVALUATION_ROWS, random_state=0)
    rows.to_parquet(path, index=False)


def _open_stage(store: Store, settings: TrainSettings) -> Stage:
    if settings.stage is None:
        return store.stage()
    stage = Stage(settings.stage)
    if stage.sealed:
        raise ExportRefused(
            "This run has exported a model already; one training notebook makes one version of one model."
        )
    stage.folder.mkdir(exist_ok=True)
    return stage


def _newest(store: Store, name: str) -> tuple[int, Manifest] | None:
    try:
        version = store.versions(name)[-1]
        return version, store.artifact(name, version).manifest
    except (IndexError, LecternError):
        return None

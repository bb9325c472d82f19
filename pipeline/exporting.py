"""Export: the one line at the end of a notebook.

look at the rows → write the files → seal → load each file again with the code that will serve it, and have it
reproduce its golden rows → publish; under the runner the last step is the runner's.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from contract import baseline, golden
from contract.answers import Answers
from contract.artifact import Artifact
from contract.child import Child
from contract.errors import (
    ArtifactError,
    ExportRefused,
    LecternError,
    PublishFailed,
    SelfTestMismatch,
)
from contract.formats import FORMATS, joblib
from contract.formats.joblib import FittedObject
from contract.manifest import Manifest, Run, Runtime
from contract.names import check_model_name
from contract.signature import Output, Signature
from contract.staging import Stage
from contract.store import Store
from pipeline import asking, environment, metrics, signatures
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
    classes: signatures.Classes | None = None,
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
            golden rows and the example are drawn from the observed ranges. What the model itself remembers, as nearest
            neighbours do, stays in its file.

    Returns:
        What was made. It shows itself.

    Raises:
        ExportRefused: the model cannot be exported like this; the message says what to change.
        NameRefused: no model may be called `name`.
        SettingsRefused: a variable LECTERN_TRAIN_… of the environment is unknown or has an unusable value.
        PublishFailed: the store could not take it; no version was made.
    """
    settings = TrainSettings.read(os.environ)
    check_model_name(name)
    store = settings.open_store()
    frame, container = signatures.as_frame(inputs, "inputs")
    everything = frame if all_rows is None else signatures.as_frame(all_rows, "all_rows")[0]
    _check_columns(frame, everything)
    _check_texts(description, units or {})
    said = asking.ask(model, inputs)
    signature = Signature(
        container=container,
        inputs=signatures.infer_inputs(everything, _example(frame), bounds or {}, units or {}),
        output=signatures.infer_output(model, classes),
    )
    columns = signatures.as_columns(frame)
    fitted = FittedObject(model, signature)
    answers = asking.answers(fitted, columns, said)
    answered = [(columns, answers)]
    if not keep_rows:
        signature, drawn = signatures.draw(signature, golden.MAX_ROWS)
        answered.append((drawn, asking.answers(fitted, drawn)))
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
    runtime, graph = choose_runtime(fitted, manifest, everything, answered)
    manifest = manifest.model_copy(update={"runtime": runtime})

    stage = _open_stage(store, settings)
    try:
        _save(model, stage.path(joblib.FILE))
        if graph is not None:
            stage.path(FORMATS["onnx"].file).write_bytes(graph)
        stage.path(golden.GOLDEN).write_bytes(golden.write(*golden.choose(*answered[-1])))
        counted = baseline.measure(signatures.as_columns(everything), signature)
        stage.path(baseline.BASELINE).write_text(counted.model_dump_json())
        if keep_rows and truth is not None:
            _write_evaluation(frame, truth, stage.path(EVALUATION))
        manifest = stage.seal(manifest)
        _prove(stage, settings.load_timeout_s)
    except OSError as error:
        stage.discard()
        raise PublishFailed(
            f"Could not write to the store {store.root}: {error.strerror}. No version was made."
        ) from error
    except BaseException:
        stage.discard()
        raise
    before = _newest(store, name)
    version = None if settings.stage else store.publish(stage)
    return Exported(manifest, version, store.root, before)


def _check_columns(frame: pd.DataFrame, everything: pd.DataFrame) -> None:
    names, others = list(frame.columns), list(everything.columns)
    if names != others:
        raise ExportRefused(
            f"inputs has the columns {', '.join(names)}; all_rows has {', '.join(others)}: "
            "give both the same, in the same order."
        )
    for name in names:
        if frame[name].isna().any() and not everything[name].isna().any():
            raise ExportRefused(f"inputs has gaps in '{name}' and all_rows has none; give all_rows every row.")
    if TRUTH in names:
        raise ExportRefused(f"A column is called '{TRUTH}', the name for the truth among held-out rows; rename it.")


def _check_texts(description: Any, units: Mapping[str, Any]) -> None:
    named = {"description=": description} | {f"The unit of '{name}'": unit for name, unit in units.items()}
    for what, text in named.items():
        if not isinstance(text, str):
            raise ExportRefused(f"{what} is {text!r:.60}; give a text.")


def _example(frame: pd.DataFrame) -> pd.Series[Any]:
    """The first row without a gap, else the first one."""
    whole = frame.dropna()
    return (frame if whole.empty else whole).astype(object).iloc[0]


def _truth(targets: Any, output: Output, rows: int) -> list[Any]:
    found = np.asarray(targets)
    if found.shape not in ((rows,), (rows, 1)):
        raise ExportRefused(f"targets has the shape {found.shape}; {rows} rows of inputs need {rows} true values.")
    values = found.reshape(-1).tolist()
    if output.task == "regression":
        strange = [value for value in values if not (isinstance(value, int | float) and math.isfinite(value))]
        if strange:
            raise ExportRefused(f"targets holds {strange[0]!r:.60}, which is no finite number; leave those rows out.")
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
    try:
        found |= {str(name): float(value) for name, value in dict(given).items()}
    except (TypeError, ValueError):
        raise ExportRefused(f"metrics= is {given!r:.80}; give names and numbers, e.g. {{'cost': 1.5}}.") from None
    for name, value in found.items():
        if not math.isfinite(value):
            raise ExportRefused(f"metrics= has {value} for '{name}'; a metric is a finite number.")
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
        hint = " Does a step look at the other rows, or at something in this notebook?"
        raise ExportRefused(
            f"The saved model does not work outside this notebook: {error}"
            f"{hint if isinstance(error, SelfTestMismatch) else ''}"
        ) from error


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
    try:
        stage.folder.mkdir(exist_ok=True)
    except OSError as error:
        raise PublishFailed(f"Cannot write to the stage {stage.folder}: {error.strerror}.") from error
    return stage


def _newest(store: Store, name: str) -> tuple[int, Manifest] | None:
    try:
        version = store.versions(name)[-1]
        return version, store.artifact(name, version).manifest
    except (IndexError, LecternError):
        return None

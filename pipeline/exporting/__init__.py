"""Export: the one line at the end of a notebook.

find the chain and look at the rows → ask it → write the files → seal → load each file again with the code that will
serve it, and have it answer all rows → publish, and promote if the gate lets it pass; under the runner that is its.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np
import pandas as pd

from contract import baseline, golden
from contract.artifact import Artifact
from contract.errors import ExportRefused, PublishFailed
from contract.formats import FORMATS, joblib
from contract.formats.chain import Chain
from contract.formats.joblib import FittedObject
from contract.manifest import Manifest, Policy, Run, Runtime
from contract.names import check_model_name
from contract.nursery import nursery_of
from contract.showing import listed
from contract.signature import Output
from contract.staging import Stage
from contract.store import Store
from pipeline.exporting import (
    asking,
    chains,
    display,
    environment,
    evaluation,
    examining,
    forgotten,
    guidance,
    hiding,
    intake,
    outputs,
    signatures,
)
from pipeline.exporting.display import Exported, search_results
from pipeline.exporting.parity import choose_runtime
from pipeline.exporting.proving import prove
from pipeline.gating.releasing import Release, champion
from pipeline.measuring import importances, plots
from pipeline.measuring import metrics as measuring
from pipeline.settings import TrainSettings


def export(
    model: Any,
    name: str,
    inputs: Any,
    targets: Any = None,
    *,
    all_rows: Any = None,
    columns: Sequence[str] | str | None = None,
    classes: outputs.Classes | None = None,
    threshold: float | None = None,
    bounds: signatures.Bounds | None = None,
    units: Mapping[str, str] | None = None,
    description: str = "",
    metrics: Mapping[str, float] | None = None,
    keep_rows: bool = True,
    sensitive: Sequence[str] = (),
    promote: Policy | None = None,
) -> Exported:
    """Make the fitted `model` the next version of the model `name`.

    Args:
        model: a fitted estimator, Pipeline or search, anything with `predict`, a function of the rows; or a chain of
            them, `[prepare, scaler, model, decode]`: functions and fitted transformers before the model, and after it
            functions, mappings and transformers whose `inverse_transform` makes the answer what callers know.
        name: what callers will call it: lower-case letters, digits, '-' and '_'.
        inputs: n rows as the model, or the first step of the chain, takes them: a DataFrame (pandas or polars), an
            array of n by fields or n by any shape, a list or Series of texts, a sparse matrix. Best the held-out ones:
            what is answered to them is what later answers are compared with for drift.
        targets: the n true values of these rows; with them the usual metrics are computed.
        all_rows: every row the model saw; types, nullability, observed ranges, levels and the baseline for drift are
            taken from them. `inputs` where not given.
        columns: names for the columns of an array (x0, x1, … where not given); one text makes each row of the array
            a single field, a vector.
        classes: names for the classes: a list in the order of `model.classes_` (or of the numbers the model answers),
            a mapping from each, or a fitted LabelEncoder.
        threshold: of two classes the second one is answered from this probability on.
        bounds: per field the lowest and highest value that a request may send.
        units: per field the unit, shown to callers.
        description: what the model is for, shown to callers.
        metrics: more figures by name, kept beside the computed ones.
        keep_rows: whether real rows may be kept (golden rows, the example, held-out rows for the gate). Without them
            golden rows and the example are drawn from the observed ranges. What the model itself remembers, as nearest
            neighbours do, stays in its file.
        sensitive: fields whose values are nobody's to see: nothing of them is kept in the artifact but the levels of a
            category and `bounds`, and a service neither logs nor counts nor shows what requests send. Golden rows and
            the example have drawn values in their place; held-out rows are not kept at all.
        promote: `if-better` makes the version the champion if it is not worse than the one that is, on the same rows;
            `always` and `never` compare nothing. As LECTERN_TRAIN_PROMOTE says when not given.

    Returns:
        What was made. It shows itself.

    Raises:
        ExportRefused: the model cannot be exported like this; the message says what to change.
        NameRefused: no model may be called `name`.
        SettingsRefused: a variable LECTERN_TRAIN_… of the environment is unknown or has an unusable value.
        KeyRefused: the key that is set to sign what is published cannot.
        PublishFailed: the store could not take it; no version was made.
    """
    settings = TrainSettings.read(os.environ)
    signer = settings.signer()
    check_model_name(name)
    store = settings.open_store()
    notebook = guidance.names_of_notebook()
    _check_texts(description, units or {}, promote)
    chain = chains.assemble(model, notebook)
    rows = asking.ordered(chain, intake.read(inputs, "inputs", columns), "inputs")
    everything = rows
    if all_rows is not None:
        everything = asking.ordered(chain, intake.read(all_rows, "all_rows", columns), "all_rows")
    _check_columns(rows.frame, everything.frame)
    hiding.check(sensitive, list(rows.frame.columns))
    nursery_of(os.getpid()).warm_up()  # the proof will need it
    wishes = examining.Wishes(classes, threshold, targets, bounds or {}, units or {})
    with contextlib.redirect_stdout(io.StringIO()):  # what the steps print, they would print for every row
        found = examining.examine(chain, rows, everything, wishes)
        if all_rows is None and (missing := guidance.levels_elsewhere(rows, found, notebook)):
            raise ExportRefused(missing)
        fitted, signature = FittedObject(found.chain, found.signature), found.signature
        answered = [(found.sent, found.expected)]
        if sensitive or not keep_rows:
            signature, drawn = hiding.hide(fitted, found.sent, sensitive, keep_rows=keep_rows)
            answered.append(drawn)

    output = signature.output
    truth = None if targets is None else evaluation.truth(targets, output, len(rows))
    measured = measuring.measure(found.direct, truth, output, _taken(found.chain, rows, output))
    if output.task == "transform" and (share := importances.explained_variance(found.chain)) is not None:
        measured["explained_variance"] = share
    remarks = guidance.remarks(rows, model, notebook, found.categories, targets)
    if sensitive and keep_rows and truth is not None:
        remarks.append(f"No held-out row is kept, as {listed(sensitive)} is sensitive: give the gate rows by hand.")
    if truth is not None:
        lacking = forgotten.scaler(found.chain, rows, truth, output, measured, notebook)
        if doubt := lacking or measuring.worse_than_constant(measured, truth, output):
            remarks.insert(0, display.WARNING + doubt)
            warnings.warn(doubt, stacklevel=2)
    manifest = Manifest(
        model=name,
        created=datetime.now(UTC),
        description=description,
        signature=signature,
        runtime=Runtime(format="joblib"),
        metrics=_metrics(measured, metrics or {}),
        environment=environment.describe(found.chain),
        run=Run(kind="interactive" if settings.stage is None else "papermill", promote=promote),
    )

    stage = _open_stage(store, settings)
    try:
        remarks += _save(found.chain, stage)
        stage.path(golden.GOLDEN).write_bytes(golden.write(*golden.choose(*answered[-1])))
        plain = ((f.name, signatures.as_plain(everything.frame[f.name], f)) for f in signature.inputs)
        counted = baseline.measure(plain, found.direct.values, signature)
        stage.path(baseline.BASELINE).write_text(counted.model_dump_json())
        if keep_rows and not sensitive and truth is not None:
            evaluation.write(rows.frame, truth, stage.path(evaluation.FILE))
        stage.seal(manifest)
        with ThreadPoolExecutor(1) as beside:  # a process starts while the graph is converted
            proof = beside.submit(prove, Artifact(stage.folder), "joblib", found, settings.load_timeout_s)
            weights = importances.importances(found.chain, signature.names)
            drawings = plots.draw(found.direct, truth, output, importances=weights)
            runtime, graph = choose_runtime(fitted, manifest, everything.frame, answered)
            proof.result()
        if graph is not None:
            stage.path(FORMATS["onnx"].file).write_bytes(graph)
        manifest = stage.seal(manifest.model_copy(update={"runtime": runtime}))
        if graph is not None:
            prove(Artifact(stage.folder), "onnx", found, settings.load_timeout_s)
    except OSError as error:
        stage.discard()
        raise PublishFailed(
            f"Could not write to the store {store.root}: {error.strerror}. No version was made."
        ) from error
    except BaseException:
        stage.discard()
        raise
    before, search = champion(store, name), search_results(model)
    release = Release(store, settings, signer, promote, proved=True)
    version, decision = (None, None) if settings.stage else release.publish(stage)
    return Exported(manifest, version, store.root, before, decision, tuple(remarks), drawings, search)


def _check_columns(frame: pd.DataFrame, everything: pd.DataFrame) -> None:
    names, others = list(frame.columns), list(everything.columns)
    if names != others:
        raise ExportRefused(
            f"inputs has the columns {listed(names)}; all_rows has {listed(others)}: "
            "give both the same, in the same order."
        )
    for name in names:
        if frame[name].isna().any() and not everything[name].isna().any():
            raise ExportRefused(f"inputs has gaps in '{name}' and all_rows has none; give all_rows every row.")
    if evaluation.TRUTH in names:
        raise ExportRefused(
            f"A column is called '{evaluation.TRUTH}', the name for the truth among held-out rows; rename it."
        )


def _check_texts(description: Any, units: Mapping[str, Any], promote: Any) -> None:
    named = {"description=": description} | {f"The unit of '{name}'": unit for name, unit in units.items()}
    for what, text in named.items():
        if not isinstance(text, str):
            raise ExportRefused(f"{what} is {text!r:.60}; give a text.")
    if promote not in (None, *get_args(Policy)):
        raise ExportRefused(f"promote= is {promote!r:.60}; give one of {', '.join(map(repr, get_args(Policy)))}.")


def _metrics(measured: Mapping[str, float], given: Mapping[str, float]) -> dict[str, float]:
    try:
        found = dict(measured) | {str(name): float(value) for name, value in dict(given).items()}
    except (TypeError, ValueError):
        raise ExportRefused(f"metrics= is {given!r:.80}; give names and numbers, e.g. {{'cost': 1.5}}.") from None
    for name, value in found.items():
        if not math.isfinite(value):
            raise ExportRefused(f"metrics= has {value} for '{name}'; a metric is a finite number.")
    return found


def _taken(chain: Chain, rows: intake.Rows, output: Output) -> Any:
    """The numbers that a clustering model took, for what can be told of groups without the truth."""
    if output.task != "clustering":
        return None
    found = chain.prepare(rows.copy())
    return found.toarray() if hasattr(found, "toarray") else np.asarray(found)


def _save(chain: Chain, stage: Stage) -> list[str]:
    """Write the fitted object; return remarks on what travels with it."""
    plain = chain.model is not None and not (chain.before or chain.after or chain.settings)
    local = environment.local_modules()
    try:
        with warnings.catch_warnings(action="ignore"):
            travelled = joblib.save(chain.model if plain else chain, stage.path(joblib.FILE), local)
    except OSError:
        raise
    except Exception as error:
        raise ExportRefused(
            f"The model cannot be saved ({type(error).__name__}: {str(error)[:160]}). "
            "Something in it belongs to this process: an open file, a generator, a lock or a connection."
        ) from error
    remarks = []
    if travelled:
        remarks.append(f"Travels inside the artifact: {listed(travelled)}.")
    if data := guidance.data_carried(chain):
        remarks.append(
            f"The chain's functions use {listed(data)}, so a copy of it travels inside the artifact as well."
        )
    return remarks


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

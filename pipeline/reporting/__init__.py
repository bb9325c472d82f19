"""Reporting: papermill runs a monitoring notebook over what a model answered; its page is kept beside the model."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from contract.errors import ModelNotFound, ParametersRefused, RunFailed
from contract.reports import KIND, Report, Reports
from contract.store import Store
from pipeline.running.planning import Planner
from pipeline.settings import TrainSettings

FOLDER = Path("notebooks", "monitoring")


def report(
    notebook: Path, model: str, since: str, store: Store, settings: TrainSettings, *, progress: bool = False
) -> Report:
    """Run a monitoring notebook for one model and keep its page.

    Args:
        notebook: declares the parameters `model` and `since`. Its name is the kind of the report; its kernel works in
            its folder, finds the store and the log as this process does, and `lectern` on its PATH.
        model: the model's name.
        since: how far back it looks, as `lectern log --since` takes it.
        store: where the model is.
        settings: the limits of a run.
        progress: whether a bar shows how far it is.

    Raises:
        ModelNotFound: the store has no such model.
        ParametersRefused: it is no monitoring notebook; no kernel was started.
        RunFailed: a cell failed, took too long, printed too much or took the kernel with it.
        PublishFailed: the store could not take the page.
    """
    from pipeline.running.execution import Execution
    from pipeline.running.failures import described
    from pipeline.running.report import render

    if not store.versions(model):
        raise ModelNotFound(model, store.models())
    if not KIND.fullmatch(notebook.stem):
        raise ParametersRefused(f"{notebook.name}: a report takes its name, so it has a-z, 0-9, '-' and '_' only.")
    plan = Planner(notebook).plan({"model": model, "since": since})
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = os.environ | {TrainSettings.variable("store"): str(store.root), "PATH": beside}
    with tempfile.TemporaryDirectory(prefix="lectern-report-") as folder:
        execution = Execution(settings, environment, plan.mask)
        executed, failure = execution.run(plan.source, notebook, plan.given, Path(folder), progress=progress)
    if failure is not None:
        raise RunFailed(described(notebook, failure.error, executed))
    return Reports(store.root / model).add(notebook.stem, render(executed, f"{model}: {notebook.stem}"))


def notebooks(start: Path) -> list[Path]:
    """The monitoring notebooks of the project that `start` lies in.

    Raises:
        ParametersRefused: there are none.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if found := sorted((folder / FOLDER).glob("*.ipynb")):
            return found
    raise ParametersRefused(f"There is no {FOLDER}/*.ipynb in {start} or above; name a notebook with --notebook.")

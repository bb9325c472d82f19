"""A run: one execution of a training notebook, from its plan to a published version.

recognised? then it made its version before → execute with a stage for the notebook's `export` → keep the executed copy
and its report, secrets masked → seal them into the artifact → publish → promote if the gate lets it pass. A run that
fails leaves its executed copy and its record under `.runs/` and no version.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.artifact import Artifact
from contract.errors import ArtifactError, PublishFailed, RunFailed
from contract.manifest import Manifest, Policy
from contract.staging import Stage
from contract.store import Store
from pipeline.gating.deciding import Decision
from pipeline.gating.releasing import Release
from pipeline.running import records
from pipeline.running.failures import INJECTED, described
from pipeline.running.notebooks import write_notebook
from pipeline.running.planning import Plan, Planner
from pipeline.running.records import NOTEBOOK, REPORT, RunRecord
from pipeline.settings import TrainSettings

if TYPE_CHECKING:
    from nbformat import NotebookNode

_NO_EXPORT = 'it ran to its end, but no cell called export: end it with `export(model, "name", inputs, targets)`'


@dataclass(frozen=True, slots=True)
class Trained:
    """A run that made a version, now or before."""

    manifest: Manifest
    version: int
    folder: Path
    recognised: bool = False
    decision: Decision | None = None
    """Whether it is the champion now; None if that was decided before."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended; if it completed, its manifest is sealed into its stage."""

    record: RunRecord
    manifest: Manifest | None = None
    said: str = ""
    """Of one that failed: where and why, with the first lines of the cell."""


def train(
    notebook: Path,
    given: Mapping[str, Any],
    store: Store,
    settings: TrainSettings,
    *,
    progress: bool = False,
    force: bool = False,
    promote: Policy | None = None,
) -> Trained:
    """Run a training notebook with the parameters `given`, publish what it exports, and promote it by the policy.

    The kernel's working folder is the notebook's own. A run that made a version before is not run again unless it is
    `force`d. `promote` goes before what the notebook and the settings say.

    Raises:
        ParametersRefused: the notebook is no training notebook, or the parameters are not its; no kernel was started.
        RunFailed: a cell failed, took too long, printed too much or took the kernel with it, or none called `export`.
        ExportRefused: the parameters are more than a manifest holds.
        KeyRefused: the key that is to sign the version cannot; no kernel was started.
        PublishFailed: the store could not take the artifact.
    """
    plan = Planner(notebook).plan(given)
    return train_planned(plan, store, settings, progress=progress, force=force, promote=promote)


def train_planned(
    plan: Plan,
    store: Store,
    settings: TrainSettings,
    *,
    progress: bool = False,
    force: bool = False,
    promote: Policy | None = None,
) -> Trained:
    """Do what was planned; see `train`."""
    release = Release(store, settings, settings.signer(), promote)
    if not force and (made := plan.made_before(store)):
        return _trained(store, *made, release.catch_up(made[0].model, made[1]), recognised=True)
    with stage_of(store) as stage, tempfile.TemporaryDirectory(prefix="lectern-", ignore_cleanup_errors=True) as name:
        ended = attempt(plan, store, stage, Path(name), settings, progress=progress)
        if ended.manifest is None:
            kept = records.keep(store, ended.record, Path(name))
            marked = "" if ended.record.status in ("not_exported", "start_failed") else ", marked there"
            raise RunFailed(f"{ended.said}\n  The executed notebook{marked}: {kept / NOTEBOOK}")
        return _trained(store, ended.manifest, *release.publish(stage))


@contextmanager
def stage_of(store: Store) -> Iterator[Stage]:
    """A stage for one run, gone at the end if it was not published.

    Raises:
        PublishFailed: the file system refused.
    """
    stage = store.stage()
    try:
        yield stage
    except OSError as error:
        raise PublishFailed(
            f"Could not keep the run in {store.root}: {error.strerror}. No version was made."
        ) from error
    finally:
        stage.discard()


def attempt(
    plan: Plan,
    store: Store,
    stage: Stage,
    folder: Path,
    settings: TrainSettings,
    *,
    run: str = "",
    sweep: str = "",
    environment: Mapping[str, str] | None = None,
    progress: bool = False,
) -> Ended:
    """Run a notebook; leave it as executed and its report in `folder`, and what it exported sealed in `stage`.

    Raises:
        ExportRefused: the parameters are more than a manifest holds.
        OSError: the file system refused.
    """
    from pipeline.running import report
    from pipeline.running.execution import Execution, Failure

    began, started = time.monotonic(), datetime.now(UTC)
    told = {"store": store.root, "stage": stage.folder, "notebook": plan.notebook.absolute()}
    known = settings.model_dump(exclude_none=True, exclude={"signing_key"}) | told
    own = {TrainSettings.variable(field): str(value) for field, value in known.items()}
    theirs = {**os.environ, **(environment or {}), **own}
    theirs.pop(TrainSettings.variable("signing_key"), None)  # the runner signs, no notebook does
    execution = Execution(settings, theirs, plan.mask)
    threading.Thread(target=report.get_ready, daemon=True).start()  # while the kernel works
    executed, failure = execution.run(plan.source, plan.notebook, plan.given, folder, progress=progress)
    executed = write_notebook(_masked(executed, plan), folder / NOTEBOOK)
    (folder / REPORT).write_text(report.render(executed, plan.notebook.stem), encoding="utf-8")
    if failure is None:
        failure = _unfit(stage, Failure)
    record = RunRecord(
        id=run or records.new_id(plan.notebook.name),
        notebook=plan.notebook.name,
        status="completed" if failure is None else failure.status,
        error="" if failure is None else plan.mask.text(failure.error),
        started=started,
        duration_s=round(time.monotonic() - began, 3),
        digest=plan.digest,
        sweep=sweep,
        parameters=plan.mask.parameters(plan.values),
    )
    if failure is not None:
        return Ended(record, said=described(plan.notebook, record.error, executed))
    manifest = _seal(stage, folder, record)
    return Ended(record.model_copy(update={"model": manifest.model, "metrics": manifest.metrics}), manifest)


def _trained(
    store: Store, manifest: Manifest, version: int, decision: Decision | None, *, recognised: bool = False
) -> Trained:
    return Trained(manifest, version, store.root / manifest.model / str(version), recognised, decision)


def _masked(executed: NotebookNode, plan: Plan) -> Any:
    """The notebook as it may be kept."""
    from papermill.translators import PythonTranslator

    shown = plan.mask.parameters(plan.given)
    if shown != plan.given:
        executed.metadata.papermill["parameters"] = shown
        for cell in executed.cells:
            if INJECTED in cell.metadata.get("tags", []):
                cell.source = PythonTranslator.codify(shown, "Parameters")
    return plan.mask.inside(executed)


def _unfit(stage: Stage, failure: Any) -> Any:
    """Why what a notebook left in its stage can be no version."""
    if not stage.sealed:
        return failure("not_exported", _NO_EXPORT)
    try:
        Artifact(stage.folder).verify()
    except ArtifactError as error:
        return failure("failed", f"it changed what it had exported: {error}")
    return None


def _seal(stage: Stage, folder: Path, record: RunRecord) -> Manifest:
    for name in (NOTEBOOK, REPORT):
        shutil.copyfile(folder / name, stage.path(name))
    staged = Artifact(stage.folder).manifest
    known = record.model_dump(include={"id", "notebook", "started", "duration_s", "digest", "sweep"})
    how = staged.run.model_copy(update=known)
    return stage.seal(staged.model_copy(update={"run": how, "parameters": record.parameters}))

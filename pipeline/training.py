"""A run: one execution of a training notebook, from its parameters to a published version.

check the parameters → run the notebook with a stage for its `export` → keep the executed copy and its report →
seal them into the artifact → publish. A run that fails leaves its executed copy under `.runs/` and no version.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from contract.artifact import Artifact
from contract.errors import ParametersRefused, PublishFailed, RunFailed
from contract.manifest import Manifest
from contract.staging import Stage
from contract.store import Store
from pipeline import parameters, report
from pipeline.settings import TrainSettings

RUNS = ".runs"
NOTEBOOK = "notebook.ipynb"
REPORT = "report.html"
MAX_NOTEBOOK_BYTES = 100 << 20


@dataclass(frozen=True, slots=True)
class Trained:
    """A run that became a version."""

    manifest: Manifest
    version: int
    folder: Path


def train(
    notebook: Path, given: Mapping[str, Any], store: Store, settings: TrainSettings, *, progress: bool = False
) -> Trained:
    """Run a training notebook with the parameters `given` and publish what it exports.

    The kernel's working folder is the notebook's own.

    Raises:
        ParametersRefused: the notebook is no training notebook, or the parameters are not its; no kernel was started.
        RunFailed: a cell failed, timed out or took the kernel with it, or no cell called `export`.
        PublishFailed: the store could not take the artifact.
    """
    source = read_notebook(notebook)
    declared = parameters.declared(source)
    values = parameters.check(declared, given)
    stage = store.stage()
    run = store.root / RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{notebook.stem}-{secrets.token_hex(2)}"
    run.mkdir(parents=True)
    began = time.monotonic()
    try:
        with _environment(stage=stage.folder, store=store.root):
            failure = _execute(
                source, notebook, {name: values[name] for name in given}, run / NOTEBOOK, settings, progress
            )
        executed = _finish(run / NOTEBOOK, notebook.stem, failure)
        if failure is not None:
            raise RunFailed(failure.describe(notebook, executed, run / NOTEBOOK))
        if not stage.sealed:
            raise RunFailed(
                f"{notebook} ran to its end, but no cell called export: end it with "
                f'`export(model, "name", inputs, targets)`. The executed notebook: {run / NOTEBOOK}'
            )
        manifest = _seal(stage, run, notebook, values, time.monotonic() - began)
        version = store.publish(stage)
    except OSError as error:
        raise PublishFailed(
            f"Could not keep the run in {store.root}: {error.strerror}. No version was made."
        ) from error
    finally:
        stage.discard()
    shutil.rmtree(run, ignore_errors=True)
    return Trained(manifest, version, store.root / manifest.model / str(version))


def read_notebook(path: Path) -> NotebookNode:
    """A notebook in today's format.

    Raises:
        ParametersRefused: it is missing, too large, or no notebook.
    """
    try:
        if path.stat().st_size > MAX_NOTEBOOK_BYTES:
            raise ParametersRefused(f"{path} has more than {MAX_NOTEBOOK_BYTES >> 20} MiB; clear its outputs first.")
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise ParametersRefused(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, AttributeError, nbformat.validator.NotebookValidationError):
        raise ParametersRefused(f"{path} is no Jupyter notebook.") from None


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a notebook did not reach its end."""

    status: str
    error: str

    def describe(self, notebook: Path, executed: NotebookNode, kept: Path) -> str:
        cells = [cell for cell in executed.cells if cell.cell_type == "code"]
        at = next((i for i, c in enumerate(cells) if c.metadata.get("papermill", {}).get("status") == "failed"), None)
        place, code = "", ""
        if at is not None:
            place = f" in code cell {at + 1} of {len(cells)}"
            code = "".join(f"\n    {line}" for line in cells[at].source.splitlines()[:12])
        return f"{notebook} failed{place}: {self.error}{code}\n  The executed notebook, marked there: {kept}"


def _execute(
    source: NotebookNode, path: Path, given: dict[str, Any], target: Path, settings: TrainSettings, progress: bool
) -> _Failure | None:
    """Run the notebook with papermill, which saves it to `target` as it goes."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    # kernels of several runs race for TCP ports; a socket in a folder of its own cannot collide
    sockets = tempfile.mkdtemp(prefix="lectern-")
    try:
        papermill.execute_notebook(
            source,
            _literal(target),
            parameters=given,
            kernel_name="python3",
            progress_bar={"desc": path.stem, "unit": "cell"} if progress else False,
            execution_timeout=settings.cell_timeout_s,
            autosave_cell_every=5,
            resources={"metadata": {"path": str(path.parent.absolute())}},
            config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/s"}}),
        )
    except PapermillExecutionError as error:
        return _Failure("failed", f"{error.ename}: {error.evalue}")
    except CellTimeoutError:
        return _Failure(
            "timeout", f"the cell took longer than {settings.cell_timeout_s} s (LECTERN_TRAIN_CELL_TIMEOUT_S)"
        )
    except DeadKernelError:
        return _Failure("kernel_died", "the kernel died while it ran the cell (out of memory, or the code ended it)")
    except RuntimeError as error:
        return _Failure("start_failed", f"the kernel did not start: {error}")
    finally:
        shutil.rmtree(sockets, ignore_errors=True)
    return None


def _finish(path: Path, title: str, failure: _Failure | None) -> NotebookNode:
    """Put right what papermill says of a cell that timed out or lost its kernel, and write the report beside it."""
    executed = nbformat.read(path, as_version=4)
    if failure is not None:
        executed.metadata.setdefault("papermill", {})["exception"] = True
        if failure.status in (
            "timeout",
            "kernel_died",
        ):  # papermill calls every cell completed then, also those to come
            _mark_last_started(executed, failure)
        nbformat.write(executed, path)
    path.with_name(REPORT).write_text(report.render(executed, title), encoding="utf-8")
    return executed


def _mark_last_started(executed: NotebookNode, failure: _Failure) -> None:
    ran = [cell for cell in executed.cells if cell.cell_type == "code" and "papermill" in cell.metadata]
    started = [cell for cell in ran if cell.metadata.papermill.get("start_time")]
    for cell in ran:
        cell.metadata.papermill["status"] = "completed" if cell in started[:-1] else "pending"
    if started:
        started[-1].metadata.papermill.update(status="failed", exception=True)
        started[-1].outputs.append(
            nbformat.v4.new_output("error", ename=failure.status, evalue=failure.error, traceback=[failure.error])
        )


def _seal(stage: Stage, run: Path, notebook: Path, values: dict[str, Any], duration_s: float) -> Manifest:
    staged = Artifact(stage.folder)
    staged.verify()
    shutil.copyfile(run / NOTEBOOK, stage.path(NOTEBOOK))
    shutil.copyfile(run / REPORT, stage.path(REPORT))
    how = staged.manifest.run.model_copy(update={"notebook": notebook.name, "duration_s": round(duration_s, 3)})
    return stage.seal(staged.manifest.model_copy(update={"run": how, "parameters": values}))


@contextlib.contextmanager
def _environment(**settings: Path) -> Iterator[None]:
    """Settings for the kernel, which inherits this process's environment."""
    named = {TrainSettings.variable(field): str(value) for field, value in settings.items()}
    before = {name: os.environ.get(name) for name in named}
    os.environ.update(named)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _literal(path: Path) -> str:
    """A path that papermill, which formats paths with the parameters, leaves as it is."""
    return str(path).replace("{", "{{").replace("}", "}}")

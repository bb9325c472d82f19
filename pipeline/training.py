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
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import nbformat
import nbformat.reader
from nbformat import NotebookNode

from contract.artifact import Artifact
from contract.errors import ArtifactError, ParametersRefused, PublishFailed, RunFailed
from contract.manifest import Manifest
from contract.staging import Stage
from contract.store import Store
from pipeline import parameters, report
from pipeline.settings import TrainSettings

RUNS = ".runs"
NOTEBOOK = "notebook.ipynb"
REPORT = "report.html"
MAX_NOTEBOOK_BYTES = 100 << 20
NOTEBOOK_FORMAT = 4
_NO_EXPORT = 'it ran to its end, but no cell called export: end it with `export(model, "name", inputs, targets)`'


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
        ExportRefused: the parameters are more than a manifest holds.
        PublishFailed: the store could not take the artifact.
    """
    source = read_notebook(notebook)
    try:
        values = parameters.check(parameters.declared(source), given)
    except ParametersRefused as error:
        raise ParametersRefused(f"{notebook.name}: {error}") from None
    began = time.monotonic()
    stage = store.stage()
    try:
        with tempfile.TemporaryDirectory(prefix="lectern-", ignore_cleanup_errors=True) as temporary:
            folder = Path(temporary)
            with _environment(stage=stage.folder, store=store.root):
                failure = _execute(source, notebook, {name: values[name] for name in given}, folder, settings, progress)
            executed = _finish(folder, notebook.stem, failure)
            if failure is None and not stage.sealed:
                failure = _Failure("not_exported", _NO_EXPORT)
            if failure is not None:
                raise RunFailed(failure.describe(notebook, executed, _keep(folder, store, notebook.stem)))
            manifest = _seal(stage, folder, notebook, values, time.monotonic() - began)
        version = store.publish(stage)
    except OSError as error:
        raise PublishFailed(
            f"Could not keep the run in {store.root}: {error.strerror}. No version was made."
        ) from error
    finally:
        stage.discard()
    return Trained(manifest, version, store.root / manifest.model / str(version))


def read_notebook(path: Path) -> NotebookNode:
    """A notebook in today's format.

    Raises:
        ParametersRefused: it is missing, too large, no notebook, or one of an older format.
    """
    try:
        if path.stat().st_size > MAX_NOTEBOOK_BYTES:
            raise ParametersRefused(f"{path} has more than {MAX_NOTEBOOK_BYTES >> 20} MiB; clear its outputs first.")
        notebook: NotebookNode = nbformat.reader.reads(path.read_text("utf-8"))  # type: ignore[no-untyped-call]
        if notebook.nbformat == NOTEBOOK_FORMAT:
            with warnings.catch_warnings(action="ignore"):  # of cells without an id, which it gives them
                nbformat.validate(notebook, relax_add_props=True)
    except OSError as error:
        raise ParametersRefused(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, AttributeError, TypeError, RecursionError, nbformat.ValidationError) as error:
        reason = str(error).partition("\n")[0]
        raise ParametersRefused(f"{path} is no Jupyter notebook: {reason[:200]}.") from None
    if notebook.nbformat != NOTEBOOK_FORMAT:
        raise ParametersRefused(
            f"{path} is of notebook format {notebook.nbformat!s:.20}; open it in JupyterLab and save it as format 4."
        )
    return notebook


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a notebook did not reach its end."""

    status: Literal["failed", "exited", "timeout", "kernel_died", "start_failed", "not_exported"]
    error: str

    def describe(self, notebook: Path, executed: NotebookNode, kept: Path) -> str:
        # numbered as in the author's notebook, which lacks papermill's own cell
        code_cells = (cell for cell in executed.cells if cell.cell_type == "code")
        cells = [cell for cell in code_cells if "injected-parameters" not in cell.metadata.get("tags", [])]
        at = next((i for i, c in enumerate(cells) if c.metadata.get("papermill", {}).get("status") == "failed"), None)
        if at is None:
            return f"{notebook} failed: {self.error}\n  The executed notebook: {kept}"
        code = "".join(f"\n    {line[:160]}" for line in cells[at].source.splitlines()[:12])
        place = f"in code cell {at + 1} of {len(cells)}"
        return f"{notebook} failed {place}: {self.error}{code}\n  The executed notebook, marked there: {kept}"


def _execute(
    source: NotebookNode, path: Path, given: dict[str, Any], folder: Path, settings: TrainSettings, progress: bool
) -> _Failure | None:
    """Run the notebook with papermill, which saves it in `folder` as it goes."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    try:
        executed = papermill.execute_notebook(
            source,
            str(folder / NOTEBOOK),
            parameters=given,
            kernel_name="python3",
            language="python",
            progress_bar={"desc": path.stem, "unit": "cell"} if progress else False,
            execution_timeout=settings.cell_timeout_s,
            autosave_cell_every=5,
            resources={"metadata": {"path": str(path.parent.absolute())}},
            extra_arguments=["--IPKernelApp.log_level=50"],  # it calls being stopped after the last cell an error
            # kernels of several runs race for TCP ports; a socket in a folder of its own cannot collide
            config=Config({"KernelManager": {"transport": "ipc", "ip": str(folder / "s")}}),
        )
    except PapermillExecutionError as error:
        return _Failure("failed", f"{error.ename}: {error.evalue[:1000]}")
    except CellTimeoutError:
        limit = f"{settings.cell_timeout_s} s ({settings.variable('cell_timeout_s')})"
        return _Failure("timeout", f"the cell took longer than {limit}")
    except DeadKernelError:
        return _Failure("kernel_died", "the kernel died while it ran the cell (out of memory, or the code ended it)")
    except RuntimeError as error:
        return _Failure("start_failed", f"the kernel did not start: {error}")
    # to papermill, sys.exit() is a way to succeed
    if any(cell.metadata.get("papermill", {}).get("status") == "failed" for cell in executed.cells):
        return _Failure("exited", "the cell ended the run with SystemExit")
    return None


def _finish(folder: Path, title: str, failure: _Failure | None) -> NotebookNode:
    """Put right what papermill says of a cell that timed out or lost its kernel, and write the report beside it."""
    path = folder / NOTEBOOK
    executed: NotebookNode = nbformat.read(path, as_version=NOTEBOOK_FORMAT)  # type: ignore[no-untyped-call]
    if failure is not None:
        executed.metadata.setdefault("papermill", {})["exception"] = True
        if failure.status in ("timeout", "kernel_died"):  # papermill then calls every cell completed
            _mark_last_started(executed, failure)
        nbformat.write(executed, path)  # type: ignore[no-untyped-call]
    (folder / REPORT).write_text(report.render(executed, title), encoding="utf-8")
    return executed


def _keep(folder: Path, store: Store, stem: str) -> Path:
    """Keep the executed notebook of a failed run and its report; return where the notebook lies."""
    kept = store.root / RUNS / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{stem[:40]}-{secrets.token_hex(2)}"
    kept.mkdir(parents=True)
    for name in (NOTEBOOK, REPORT):
        shutil.copyfile(folder / name, kept / name)
    return kept / NOTEBOOK


def _mark_last_started(executed: NotebookNode, failure: _Failure) -> None:
    ran = [cell for cell in executed.cells if cell.cell_type == "code" and "papermill" in cell.metadata]
    started = [cell for cell in ran if cell.metadata.papermill.get("start_time")]
    for cell in ran:
        cell.metadata.papermill["status"] = "completed" if cell in started[:-1] else "pending"
    if started:
        started[-1].metadata.papermill.update(status="failed", exception=True)
        started[-1].outputs.append(
            nbformat.v4.new_output(  # type: ignore[no-untyped-call]
                "error", ename=failure.status, evalue=failure.error, traceback=[failure.error]
            )
        )


def _seal(stage: Stage, folder: Path, notebook: Path, values: dict[str, Any], duration_s: float) -> Manifest:
    staged = Artifact(stage.folder)
    try:
        staged.verify()
    except ArtifactError as error:
        raise RunFailed(f"{notebook} changed what it had exported: {error}") from error
    for name in (NOTEBOOK, REPORT):
        shutil.copyfile(folder / name, stage.path(name))
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

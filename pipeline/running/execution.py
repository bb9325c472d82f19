"""Executing: papermill runs a notebook in a kernel of its own, within limits of time and of output.

inject the parameters → cell by cell, output cut where it is too much → what became of it, as papermill cannot say it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import nbformat
import papermill
import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from traitlets.config import Config

from contract.manifest import Status
from pipeline.running.capture import LARGEST_MESSAGE, Capture, join, merge
from pipeline.running.masking import Mask
from pipeline.settings import TrainSettings

_ENGINE = "lectern"
_CLIENT = "pipeline.running.execution.KernelClient"
_DRAIN_S = 20
"""How long outputs may still arrive after the kernel has answered for a cell."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a notebook did not reach its end."""

    status: Status
    error: str


class Execution:
    """One execution of a notebook: what it may use, and the notebook as it is filled."""

    def __init__(self, settings: TrainSettings, environment: Mapping[str, str], mask: Mask) -> None:
        self.settings = settings
        self.environment = dict(environment)
        self.capture = Capture(settings.max_output_bytes, settings.max_printed_bytes, mask.text)
        self.deadline = time.monotonic() + settings.timeout_s
        self.notebook: NotebookNode | None = None

    def run(
        self, source: NotebookNode, path: Path, given: Mapping[str, Any], sockets: Path, *, progress: bool
    ) -> tuple[NotebookNode, Failure | None]:
        """Run `source` as if it lay at `path`; return it as executed, and why it did not reach its end."""
        papermill_engines.register(_ENGINE, _Engine)
        # what a kernel prints past its cells, as it starts, ends or crashes, is none of this process's output
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
            failure = self._execute(source, path, given, sockets, said, progress=progress)
        executed = self.notebook or source
        for cell in executed.cells:
            if cell.cell_type == "code":
                self.capture.close(cell)
                cell.outputs = join(cell.outputs)
        if self.capture.flooded:
            failure = Failure("flooded", self._flood())
        if failure is None and any(_status(cell) == "failed" for cell in executed.cells):
            # to papermill, sys.exit() is a way to succeed
            failure = Failure("exited", "the cell ended the run with SystemExit")
        if failure is not None:
            executed.metadata.setdefault("papermill", {})["exception"] = True
            if failure.status in ("timeout", "kernel_died", "flooded"):  # papermill then calls every cell completed
                _mark_last_started(executed, failure)
        return executed, failure

    def _execute(
        self,
        source: NotebookNode,
        path: Path,
        given: Mapping[str, Any],
        sockets: Path,
        said: IO[str],
        *,
        progress: bool,
    ) -> Failure | None:
        try:
            papermill.execute_notebook(
                source,
                None,
                parameters=dict(given),
                engine_name=_ENGINE,
                kernel_name="python3",
                language="python",
                progress_bar={"desc": path.stem, "unit": "cell"} if progress else False,
                resources={"metadata": {"path": str(path.parent.absolute())}},
                extra_arguments=["--IPKernelApp.log_level=50"],  # it calls being stopped after the last cell an error
                # kernels of several runs race for TCP ports; a socket in a folder of its own cannot collide
                config=Config(
                    {"KernelManager": {"transport": "ipc", "ip": str(sockets / "s"), "client_class": _CLIENT}}
                ),
                timeout_func=self._cell_timeout,
                execution=self,
                said=said,
            )
        except PapermillExecutionError as error:
            return Failure("failed", f"{error.ename}: {error.evalue[:1000]}")
        except CellTimeoutError:
            return Failure("timeout", self._limit())
        except DeadKernelError:
            return Failure("kernel_died", "the kernel died while it ran the cell (out of memory, or the code ended it)")
        except RuntimeError as error:
            return Failure("start_failed", f"the kernel did not start: {_last_line(said) or error}")
        return None

    def _cell_timeout(self, cell: NotebookNode) -> float:  # noqa: ARG002  # nbclient's signature
        return min(self.settings.cell_timeout_s, max(1.0, self.deadline - time.monotonic()))

    def _limit(self) -> str:
        field = "timeout_s" if time.monotonic() >= self.deadline else "cell_timeout_s"
        limit = f"{getattr(self.settings, field)} s ({self.settings.variable(field)})"
        return f"the run took longer than {limit}" if field == "timeout_s" else f"the cell took longer than {limit}"

    def _flood(self) -> str:
        name = self.settings.variable("max_printed_bytes")
        return f"the run printed more than {self.settings.max_printed_bytes:,} bytes ({name})"


class _Engine(Engine):  # type: ignore[misc]  # papermill has no types
    """papermill's engine for nbclient, with our client."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        execution: Execution,
        said: IO[str],
        start_timeout: int = 60,
        **options: Any,
    ) -> None:
        """Run the notebook that `nb_man` looks after."""
        execution.notebook = nb_man.nb
        passed = {name: options[name] for name in ("resources", "extra_arguments", "config", "timeout_func")}
        client = _Client(nb_man, execution, startup_timeout=start_timeout, kernel_name=kernel_name, **passed)
        client.execute(env=execution.environment, stdout=said, stderr=said)


class _Client(PapermillNotebookClient):  # type: ignore[misc]  # papermill has no types
    """papermill's client, which keeps of the outputs what may be kept."""

    def __init__(self, nb_man: Any, execution: Execution, **options: Any) -> None:
        super().__init__(nb_man, raise_on_iopub_timeout=False, iopub_timeout=_DRAIN_S, **options)
        self._capture = execution.capture

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Take what the kernel says, as far as there is room for it."""
        kept = self._capture.admit(msg, cell)
        if self._capture.flooded and self.task_poll_for_reply is not None:
            self.task_poll_for_reply.cancel()  # as nbclient does when the kernel has died
        found: NotebookNode | None = super().process_message(kept, cell, cell_index) if kept else None
        if found is not None:
            merge(cell.outputs)
        return found


class KernelClient(AsyncKernelClient):
    """Jupyter's client of a kernel, which takes no message that would fill the memory: its connection is made anew."""

    def _context_default(self) -> Any:
        context = super()._context_default()
        context.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        return context


def _status(cell: NotebookNode) -> str:
    return str(cell.metadata.get("papermill", {}).get("status", ""))


def _last_line(said: IO[str]) -> str:
    said.seek(0)
    return said.read().strip().rpartition("\n")[2][:1000]


def _mark_last_started(executed: NotebookNode, failure: Failure) -> None:
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

"""One run of a sweep, in a process of its own: what it does to its memory or its process is no other run's concern.

`run` starts the process, hands it the job on its standard input and waits; the process leaves a record under `.runs/`.
That input stays open as long as somebody waits: when it ends, so does the run. A job that is done again finds its
record, so it may be retried anywhere that reaches the store.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from contract.errors import LecternError
from contract.staging import Stage
from contract.store import Store
from pipeline.running import records
from pipeline.running.masking import Mask
from pipeline.running.planning import Plan
from pipeline.running.records import RunRecord
from pipeline.running.training import attempt, stage_of
from pipeline.settings import TrainSettings

_OVERTIME_S = 120
"""How much longer than its limit a run may take before its process is ended from outside."""
_CLEANING_S = 20
_SAID_CHARACTERS = 2_000
_INTERRUPTED = {-signal.SIGTERM, 128 + signal.SIGTERM}
_THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "NUMBA")


@dataclass(frozen=True, slots=True)
class Job:
    """All that another process needs to do a run, in words that JSON has."""

    id: str
    sweep: str
    notebook: str
    source: dict[str, Any]
    given: dict[str, Any]
    values: dict[str, Any]
    digest: str
    store: str
    settings: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)


class Processes:
    """The processes that run now and the stages they fill, to be ended together."""

    def __init__(self) -> None:
        self._running: dict[subprocess.Popen[str], Stage] = {}
        self._lock = threading.Lock()
        self._ended = False

    def start(self, process: subprocess.Popen[str], stage: Stage) -> None:
        """Look after a process."""
        with self._lock:
            self._running[process] = stage
            if self._ended:
                process.terminate()

    def done(self, process: subprocess.Popen[str]) -> None:
        """Forget a process that has ended."""
        with self._lock:
            self._running.pop(process, None)

    def end(self) -> None:
        """End them all, and those that are yet to come; wait until they have cleaned up."""
        with self._lock:
            self._ended = True
            running = dict(self._running)
        for process in running:
            process.terminate()
        for process, stage in running.items():
            try:
                process.wait(_CLEANING_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            stage.discard()


def run(job: Job, processes: Processes | None = None) -> RunRecord:
    """Do a job in a process of its own, unless it is done; return its record.

    Raises:
        PublishFailed: the store cannot be written to.
    """
    store = Store(Path(job.store))
    if (record := records.read(store, job.id)) is not None:
        return record
    processes = processes or Processes()
    with stage_of(store) as stage, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        started = datetime.now(UTC)
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.running.isolation"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            text=True,
            start_new_session=True,  # Ctrl-C is for whoever waits, and its to pass on
        )
        processes.start(process, stage)
        late = False
        try:
            _hand(process, asdict(job) | {"stage": str(stage.folder)})
            process.wait(job.settings["timeout_s"] + _OVERTIME_S)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            process.kill()
            process.wait()
            processes.done(process)
            if process.stdin:
                process.stdin.close()
        if (record := records.read(store, job.id)) is not None:
            return record
        said.seek(0)
        return _lost(job, store, started, process.returncode, said.read()[-_SAID_CHARACTERS:].strip(), late=late)


def threads(jobs: int) -> dict[str, str]:
    """Variables that give each of several runs at once its share of the cores, where the user has not set them."""
    from joblib import cpu_count

    share = str(max(1, cpu_count() // jobs))
    names = [f"{name}_NUM_THREADS" for name in _THREADS] + ["VECLIB_MAXIMUM_THREADS", "LOKY_MAX_CPU_COUNT"]
    return {name: share for name in names if name not in os.environ}


def _hand(process: subprocess.Popen[str], told: dict[str, Any]) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
    except BrokenPipeError:  # it has ended already; its code says more
        pass


def _lost(job: Job, store: Store, started: datetime, code: int, said: str, *, late: bool) -> RunRecord:
    """The record of a run whose process could not write one."""
    mask = Mask(job.values)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    limit = f"the run took longer than {job.settings['timeout_s']} s (LECTERN_TRAIN_TIMEOUT_S)"
    last = said.splitlines()[-1] if said else ""
    record = RunRecord(
        id=job.id,
        notebook=Path(job.notebook).name,
        status="timeout" if late else "runner_died",
        error=mask.text(limit if late else f"the process of the run {how}{': ' if last else ''}{last}"),
        started=started,
        duration_s=round((datetime.now(UTC) - started).total_seconds(), 3),
        digest=job.digest,
        sweep=job.sweep,
        parameters=mask.parameters(job.values),
    )
    if late or code not in _INTERRUPTED:
        records.keep(store, record)
    return record


def _do(job: Job, stage: Stage) -> None:
    import nbformat

    store, notebook = Store(Path(job.store)), Path(job.notebook)
    source = nbformat.from_dict(job.source)  # type: ignore[no-untyped-call]
    plan = Plan(notebook, source, job.given, job.values, job.digest)
    settings = TrainSettings(**job.settings)
    with tempfile.TemporaryDirectory(prefix="lectern-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        ended = attempt(plan, store, stage, folder, settings, run=job.id, sweep=job.sweep, environment=job.environment)
        records.keep(store, ended.record, folder, stage.folder if ended.manifest else None)


def _end_with_whoever_waits() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Do the job that stands on the standard input."""

    def interrupted(number: int, frame: Any) -> NoReturn:  # noqa: ARG001  # the signal module's signature
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what follows is cleaning up
        raise KeyboardInterrupt

    told = json.loads(sys.stdin.readline())
    stage = Stage(Path(told.pop("stage")))
    job = Job(**told)
    signal.signal(signal.SIGTERM, interrupted)
    threading.Thread(target=_end_with_whoever_waits, daemon=True).start()
    code = 0
    try:
        _do(job, stage)
    except KeyboardInterrupt:
        code = 128 + signal.SIGTERM
    except (LecternError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        code = 1
    os._exit(code)  # nothing is left to do, and a thread that reads cannot be joined


if __name__ == "__main__":
    main()

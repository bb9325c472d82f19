"""Forty runs stopped at moments drawn from their whole length, by a crash and by Ctrl-C; `make soak` runs it."""

import os
import random
import signal
import subprocess
import time

import pytest

from contract.store import Store
from tests.conftest import WriteNotebook
from tests.test_training import EXPORT, PARAMETERS, assert_the_next_work, started, stopped

RUNS = 20


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda how: how.name)
def test_runs_stopped_at_every_moment(
    write_notebook: WriteNotebook, store: Store, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    notebook = write_notebook(PARAMETERS, EXPORT)
    began = time.monotonic()
    assert started(notebook, store).wait() == 0
    duration = time.monotonic() - began
    moments = random.Random(int(how))
    ended = [0]
    for place in range(RUNS):
        runner = started(notebook, store)
        try:
            runner.wait((place + moments.random()) / RUNS * 1.05 * duration)
        except subprocess.TimeoutExpired:
            ended.append(stopped(runner, how, store))
        else:
            ended.append(runner.returncode)
    assert_the_next_work(notebook, store, ended)
    print(f"{how.name}: {len(ended) - ended.count(0)} of {len(ended)} runs of {duration:.1f} s were stopped in time")

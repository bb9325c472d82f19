"""A swap under load: a new version is published while requests come in; none may fail."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from benchmarks.serving import cores, load
from benchmarks.serving.asking import Wrong
from benchmarks.serving.environments import ROOT
from benchmarks.serving.shapes import Request
from benchmarks.serving.starting import Running

AROUND_S = 2
_AFTER_S = 0.6
"""When it is published: looking at the store, loading and proving fit into the rest."""
CONNECTIONS = 16
_PATIENCE_S = 30.0


def measure(running: Running, requests: Sequence[Request]) -> load.Sample:
    """Load for two seconds without a swap, then as long with one.

    Returns:
        errors, p99_ms around the swap, steady_p99_ms, and seen: whether the new version answered before the load ended.

    Raises:
        Wrong: the new version never answers.
    """
    place, folder = running.place, running.place.folder
    command = [sys.executable, "-m", "benchmarks.serving.republish", str(folder / "store"), place.model]
    publisher = subprocess.Popen(
        cores.for_load(command), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert publisher.stdout is not None
        if publisher.stdout.readline().strip() != "ready":
            raise load.LoadFailed("the next version could not be staged")
        before = answering(running, requests[0])
        given = {"connections": CONNECTIONS, "seconds": AROUND_S}
        steady = load.run(place.port, list(requests), folder, **given)
        publish = threading.Timer(_AFTER_S, lambda: publisher.communicate("now\n"))
        publish.start()
        around = load.run(place.port, list(requests), folder, **given)
        seen = answering(running, requests[0]) > before
        publish.join()
        _wait(running, requests[0], before)
    finally:
        publisher.kill()
        publisher.wait()
    return {
        "errors": steady["errors"] + around["errors"],
        "p99_ms": around["p99_ms"],
        "steady_p99_ms": steady["p99_ms"],
        "seen": float(seen),
    }


def answering(running: Running, request: Request) -> int:
    """The version that answers."""
    with running.asker as asker:
        headers, _ = asker.ask(request)
    return int(dict(headers)["lectern-version"])


def _wait(running: Running, request: Request, before: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while answering(running, request) == before:
        if time.monotonic() > deadline:
            raise Wrong(f"the version published under load does not answer within {_PATIENCE_S:g} s")
        time.sleep(0.05)

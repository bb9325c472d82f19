"""The cases: what is measured of a running server, and with which requests."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import cores, load, memory, swap, usage
from benchmarks.serving.asking import Asker, Wrong
from benchmarks.serving.environments import ROOT
from benchmarks.serving.load import Sample
from benchmarks.serving.shapes import Request
from benchmarks.serving.starting import Running

CONNECTIONS = (1, 16, 64)
THOUSAND, BODIES, SEVERAL_CONNECTIONS = 1_000, 16, 4
ARROW_ROWS = 1_000_000
_ASKED, _ASKERS = 1_000, 4
NAMES = ("one-row", "thousand-rows", "arrow", "joblib", "cold", "memory", "swap")


class Skipped(Exception):
    """A server does not do what a case asks for."""


def one_row(running: Running, connections: int, seconds: int) -> Sample:
    """One row a request."""
    return _loaded(running, singles(running), connections, seconds)


def thousand_rows(running: Running, seconds: int) -> Sample:
    """A thousand rows a request."""
    fitted = running.fitted
    requests = [running.server.shape.request(fitted, fitted.many(THOUSAND, 31 * start)) for start in range(BODIES)]
    found = _loaded(running, requests, SEVERAL_CONNECTIONS, seconds)
    return found | {"rows_per_s": found["rps"] * THOUSAND}


def held(running: Running) -> Sample:
    """Megabytes after a thousand requests."""
    requests = singles(running)

    def ask(first: int) -> None:
        with Asker(running.place.port) as asker:
            for number in range(first, _ASKED, _ASKERS):
                asker.ask(requests[number % len(requests)])

    askers = [threading.Thread(target=ask, args=(first,)) for first in range(_ASKERS)]
    for one in askers:
        one.start()
    for one in askers:
        one.join()
    return memory.held_mb(running.process)


def swapped(running: Running, _: int) -> Sample:
    """A new version while requests come in."""
    return swap.measure(running, singles(running))


def arrow(running: Running, _: int) -> Sample:
    """A large Arrow stream, beside ONNX Runtime alone on the same rows.

    Raises:
        Skipped: the server takes no Arrow, or not this much.
        Wrong: it answers something else than ONNX Runtime.
    """
    place, labels = running.place, running.place.folder / "labels.npy"
    alone = _said(cores.for_server, "alone", "arrow", str(graph_of(place.folder)), str(ARROW_ROWS), str(labels))
    found = _said(cores.for_load, "arrow", str(place.port), str(ARROW_ROWS), str(labels))
    if found["status"] != 200:
        raise Skipped(f"the server answers {found['status']:.0f} to an Arrow stream of {ARROW_ROWS:,} rows")
    if found["rows"] != ARROW_ROWS or found["wrong"]:
        raise Wrong(f"of {ARROW_ROWS:,} Arrow rows {found['rows']:,.0f} are answered, {found['wrong']:,.0f} wrongly")
    return {"rows_per_s": found["rows_per_s"], "alone_rows_per_s": alone["rows_per_s"]}


def json_alone(running: Running, seconds: int) -> Sample:
    """Parse, predict and encode a thousand rows in a process of its own, without HTTP, on the server's core."""
    place, fitted = running.place, running.fitted
    body = place.folder / "thousand.json"
    body.write_text(running.server.shape.request(fitted, fitted.many(THOUSAND, 0)).body)
    return _said(cores.for_server, "alone", "json", str(graph_of(place.folder)), str(body), str(seconds))


def _loaded(running: Running, requests: list[Request], connections: int, seconds: int) -> Sample:
    place, given = running.place, {"connections": connections, "seconds": seconds}
    return usage.during(running.process, lambda: load.run(place.port, requests, place.folder, **given))


def singles(running: Running) -> list[Request]:
    """A request for each row there is."""
    return [running.server.shape.request(running.fitted, [row]) for row in running.fitted.rows]


def graph_of(folder: Path) -> Path:
    """The graph in our store."""
    return folder / "store" / "iris" / "1" / "model.onnx"


def _said(on: Callable[[list[str]], list[str]], module: str, *arguments: str) -> Sample:
    command = on([sys.executable, "-m", f"benchmarks.serving.{module}", *arguments])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise load.LoadFailed(f"{module} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    found: Sample = json.loads(done.stdout)
    return found


@dataclass(frozen=True)
class Step:
    """One measurement of each round."""

    case: str
    key: str
    """What its samples are kept under."""
    measure: Callable[[Running, int], Sample]


STEPS = (
    *(Step("one-row", f"one-row/{n}", lambda running, seconds, n=n: one_row(running, n, seconds)) for n in CONNECTIONS),  # type: ignore[misc]
    Step("thousand-rows", "thousand-rows", thousand_rows),
    Step("joblib", "joblib", lambda running, seconds: one_row(running, 64, seconds)),
    Step("arrow", "arrow", arrow),
    Step("swap", "swap", swapped),
)

"""Starting: a server in a process group of its own, until it answers rightly; ended whatever happens."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving import cores
from benchmarks.serving.asking import Asker, Wrong, answers
from benchmarks.serving.environments import ROOT, ready
from benchmarks.serving.fitted import Fitted
from benchmarks.serving.memory import descendants
from benchmarks.serving.place import Place, Server, environment_of

PATIENCE_S = 120.0
_EVERY_S = 0.01


class StartFailed(Exception):
    """A server ended, or did not answer in time."""


@dataclass
class Running:
    """A server that answers."""

    server: Server
    place: Place
    fitted: Fitted
    process: int
    cold_s: float
    """From the command to the first right prediction."""

    @property
    def asker(self) -> Asker:
        """A new connection to it."""
        return Asker(self.place.port)


def prepare(server: Server, models: Path, folder: Path) -> Place:
    """Make its environment and its files; what it takes to be started again and again.

    Raises:
        EnvironmentFailed: its environment cannot be made.
        StartFailed: its model cannot be brought into its format.
    """
    home = ready(server.environment, server.requirements)
    folder.mkdir(parents=True)
    place = Place(home / "bin", models, folder, *_free_ports(), server.model)
    if server.prepare is not None:
        own = environment_of(place, server)
        done = subprocess.run(server.prepare(place), env=own, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StartFailed(f"its model cannot be saved: {_last(done.stdout + done.stderr)}")
    return place


@contextmanager
def running(server: Server, place: Place, fitted: Fitted) -> Iterator[Running]:
    """Start a server on free ports and wait for its first right answer.

    Raises:
        StartFailed: it ended, did not answer in time, or answers something else.
    """
    place = Place(place.bin, place.models, place.folder, *_free_ports(), place.model)
    for name, content in server.files(place).items():
        (place.folder / name).write_text(content)
    log = place.folder / "log"
    with log.open("w") as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            cores.for_server(server.command(place)),
            env=environment_of(place, server),
            cwd=place.folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        _wait(server, place, fitted, process)
        yield Running(server, place, fitted, process.pid, time.perf_counter() - began)
    finally:
        end(process)


def _wait(server: Server, place: Place, fitted: Fitted, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    found = "nothing listens"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise StartFailed(f"it ended with {process.returncode}: {_last((place.folder / 'log').read_text())}")
        try:
            with Asker(place.port) as asker:
                (label, _), *_ = answers(asker, server.shape, fitted, fitted.rows[:1])
        except (Wrong, OSError, http.client.HTTPException) as error:
            found = str(error) or type(error).__name__
        else:
            if server.name == "echo" or label == fitted.labels[0]:
                return
            found = f"it answers class {label} where the fitted model answers {fitted.labels[0]}"
        time.sleep(_EVERY_S)
    raise StartFailed(f"no right answer within {PATIENCE_S:g} s: {found}")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that came of it, also what began a group of its own."""
    below = {one: _began(one) for one in descendants(process.pid)}
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    left = {one: began for one, began in below.items() if began is not None}
    deadline = time.monotonic() + 10
    while left and time.monotonic() < deadline:
        left = {one: began for one, began in left.items() if _began(one) == began}  # not what got its number since
        for one in left:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        time.sleep(_EVERY_S)


def _began(process: int) -> str | None:
    """When a process began, in the kernel's ticks; nothing of one that has ended."""
    try:
        found = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if found[0] == "Z" else found[19]


def _free_ports() -> tuple[int, tuple[int, int]]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    first, *others = (one.getsockname()[1] for one in sockets)
    for one in sockets:
        one.close()
    return first, (others[0], others[1])


def _last(said: str) -> str:
    """What went wrong, on one line and without this machine's folders: the last errors printed, or the last lines."""
    lines = [line for line in said.replace(str(ROOT), "…").splitlines() if "Error" in line] or said.splitlines()
    return " ".join(" ".join(lines[-3:]).split())[-300:]

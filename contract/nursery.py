"""The nursery: a fresh interpreter that imports what most models need, once, and then starts processes by forking.

Each of them begins within milliseconds and shares what was imported. The nursery has the environment that its keeper
was started with, and nothing else of it; it ends with its keeper, or when it has not been needed for long.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import importlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path

IDLE_S = 600.0
START_S = 60.0
"""Longest time that its imports may take."""
_USUAL = ["joblib", "pandas", "sklearn.compose", "sklearn.ensemble", "sklearn.pipeline"]
"""What most models need; a package that is not installed is left out."""
_ANSWER = struct.Struct(">i")
_NAMED = hasattr(os, "pidfd_open")
"""Whether the system has descriptors that name a process."""


class Forked:
    """A process that a nursery started."""

    def __init__(self, pid: int, descriptor: int | None) -> None:
        self.pid = pid
        self._descriptor = descriptor
        """Names the process also when its number is another's by now; None once it has ended."""

    def kill(self) -> None:
        """End it, whatever it is doing; it may have ended."""
        with contextlib.suppress(ProcessLookupError):
            if self._descriptor is not None:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            elif not _NAMED:
                os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Wait until it has ended."""
        if self._descriptor is not None:
            ended = select.poll()
            ended.register(self._descriptor, select.POLLIN)
            ended.poll()
            os.close(self._descriptor)
            self._descriptor = None


class Nursery:
    """Keeps the interpreter; begins it when it is first needed, and again when it has ended."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        os.register_at_fork(after_in_child=self._let_go)

    def warm_up(self) -> None:
        """Begin the interpreter, which then imports in its own time."""
        with self._lock:
            self._begun()

    def fork(self) -> tuple[socket.socket, Forked]:
        """Start a process; return it, and the socket to speak with it, at whose end it has to end.

        Raises:
            OSError: it could not be started.
        """
        with self._lock:
            for _ in range(2):
                nursery = self._begun()
                ours, theirs = socket.socketpair()  # not those of the try before: somebody may hear them
                try:
                    with theirs:
                        socket.send_fds(nursery, [b"\0"], [theirs.fileno()])
                    answer, descriptors, flags, _ = socket.recv_fds(nursery, _ANSWER.size, 1)
                except ConnectionError:
                    answer = b""
                except BaseException as error:  # its answer must not become the answer to the next
                    ours.close()
                    self.close()
                    if isinstance(error, TimeoutError):
                        raise TimeoutError(errno.ETIMEDOUT, "the process that starts it says nothing") from None
                    raise
                if answer:
                    break
                ours.close()
                self.close()  # it had ended, perhaps because it was idle
            else:
                raise ChildProcessError(0, "the process that starts it ended")
        (number,) = _ANSWER.unpack(answer)
        if number < 0 or flags & socket.MSG_CTRUNC:  # without its descriptor it could not be killed
            ours.close()
            number = errno.EMFILE if number > 0 else -number
            raise OSError(number, os.strerror(number))
        return ours, Forked(number, descriptors[0] if descriptors else None)

    def _begun(self) -> socket.socket:
        if self._socket is None:
            ours, theirs = socket.socketpair()
            try:
                with theirs:
                    self._process = interpreter("contract.nursery", theirs, Path("/"), str(self._idle_s))
            except OSError:
                ours.close()
                raise
            ours.settimeout(START_S)
            self._socket = ours
            atexit.register(self.close)
        return self._socket

    def close(self) -> None:
        """End the interpreter; the processes it started live on."""
        if self._socket is not None and self._process is not None:
            atexit.unregister(self.close)
            self._socket.close()
            self._process.kill()
            self._process.wait()
            self._socket = None

    def _let_go(self) -> None:
        """In a copy of its keeper: it ends with its keeper, also where the copy goes on."""
        if self._socket is not None:
            atexit.unregister(self.close)
            self._socket.close()
            self._socket = None


@cache
def nursery_of(process: int) -> Nursery:  # noqa: ARG001  # a copy of a process must not share the nursery of the first
    """The nursery of this process, by its number."""
    return Nursery()


def interpreter(module: str, theirs: socket.socket, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A new interpreter, away from this process's folder and from what it did to its environment since it began."""
    command = [sys.executable, "-P", "-m", module, str(theirs.fileno()), *arguments]
    return subprocess.Popen(
        command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd=folder, env=_environment_at_start()
    )


def _environment_at_start() -> dict[bytes, bytes] | None:
    """The environment that this process was given; None, which stands for today's, where the system does not tell."""
    try:
        content = Path("/proc/self/environ").read_bytes()
    except OSError:
        return None
    pairs = (entry.partition(b"=") for entry in content.split(b"\0"))
    return {name: value for name, _, value in pairs if name}


def keep(keeper: socket.socket, idle_s: float, live: Callable[[socket.socket], None]) -> None:
    """The life of the interpreter: for each socket that comes, a process that does `live` with it."""
    for number in (signal.SIGINT, signal.SIGTERM):  # for who keeps it, also where a whole group is told to end
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how its processes ended
    for name in _USUAL:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # what is here stays, in memory that all share
    keeper.settimeout(idle_s)
    with contextlib.suppress(TimeoutError, ConnectionError):
        while True:
            asked, descriptors, _, _ = socket.recv_fds(keeper, 1, 1)
            if not asked:
                return
            with socket.socket(fileno=descriptors[0]) as theirs:
                answer, told = _fork(keeper, theirs, live)
            socket.send_fds(keeper, [_ANSWER.pack(answer)], told)
            for descriptor in told:
                os.close(descriptor)


def _fork(keeper: socket.socket, theirs: socket.socket, live: Callable[[socket.socket], None]) -> tuple[int, list[int]]:
    try:
        number = os.fork()
    except OSError as error:
        return -(error.errno or 1), []
    if number == 0:
        try:
            keeper.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            live(theirs)
        except BaseException:  # noqa: BLE001  # as an interpreter says it
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    with contextlib.suppress(OSError):  # it may have ended already
        return number, [os.pidfd_open(number)] if _NAMED else []
    return number, []


if __name__ == "__main__":
    from contract.child import live

    keep(socket.socket(fileno=int(sys.argv[1])), float(sys.argv[2]), live)

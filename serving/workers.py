"""Workers: processes that answer on one address, and the supervisor that holds it and looks after them.

begun → ready → SIGTERM: drained with all others, or SIGUSR1: taken off its post by another one → ended
A worker that ends otherwise, or is stuck, is replaced. None outlives the supervisor.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from contract.errors import StartFailed
from contract.memory import kills
from serving.health import health
from serving.lifecycle import Server
from serving.settings import ServeSettings

if TYPE_CHECKING:
    from serving.registry import Registry
    from serving.transport.config import Transport

FORKS = sys.platform == "linux"
"""Whether workers may begin as copies of the process that starts them, which is sure to have no other thread."""
GC_THRESHOLDS = (50_000, 20, 100)
"""When it is looked for what refers to itself: seldom, as the rows of some large requests make young objects enough."""
RETIRE, AT_ONCE = signal.SIGUSR1, signal.SIGQUIT
"""What a worker is told beside SIGTERM: that others have taken its place, or that nobody is to be waited for."""
_FROM_TERMINAL = (signal.SIGINT, signal.SIGHUP)
"""What a terminal tells all its processes; of these the supervisor alone obeys."""
_LOOK_EVERY_S, _BEAT_EVERY_S = 0.1, 0.5
_START_S, _STAND_BY_S = 60.0, 45.0
_AGAIN_S = 1.0
"""Shortest time between two beginnings on one post, and after which an order is repeated."""

log = logging.getLogger("lectern.workers")


class WorkerServer(Server):
    """The server of a worker: tells the supervisor that it lives, and ends with it."""

    def __init__(self, config: Transport, registry: Registry, beats: Connection) -> None:
        super().__init__(config)
        self._registry = registry
        self._beats = beats
        self._parent = os.getppid()
        self._ready = False
        self._due = 0.0

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Obey the supervisor; it may repeat itself."""
        for number in _FROM_TERMINAL:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: self.drain())
        signal.signal(RETIRE, lambda *_: self._leave_post())
        signal.signal(AT_ONCE, lambda *_: setattr(self, "should_exit", True))
        yield

    async def on_tick(self, counter: int) -> bool:
        """Give a sign of life, from the event loop, so that one that is stuck gives none."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _BEAT_EVERY_S
            self._ready = self._ready or health(self._registry.snapshot).status != "loading"
            with suppress(OSError):  # nobody reads them now
                self._beats.send_bytes(b"+" if self._ready else b"-")
        return await super().on_tick(counter) or os.getppid() != self._parent

    def _leave_post(self) -> None:
        for server in self.servers:
            server.close()  # whoever comes now is answered by others
        self.drain()


def live(settings: ServeSettings, listener: socket.socket, beats: Connection, stands_by_s: float) -> None:
    """What a worker does; for so long it takes no connection before its models are loaded."""
    from serving.app import create_app
    from serving.logs import show
    from serving.transport.config import Transport

    os.set_blocking(beats.fileno(), False)
    show(settings.log_format)
    gc.freeze()  # without looking through it, which would make pages of it this worker's own
    gc.set_threshold(*GC_THRESHOLDS)
    app = create_app(settings)
    app.stands_by_s = stands_by_s
    config = Transport(app, settings, lifespan="on")
    WorkerServer(config, app.registry, beats).run([listener])


class Worker:
    """One process, as the supervisor sees it."""

    def __init__(self, settings: ServeSettings, listener: socket.socket, *, stands_by: bool) -> None:
        context: Any = multiprocessing.get_context("fork" if FORKS else "spawn")
        self._beats, theirs = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(
            target=live, args=(settings, listener, theirs, _STAND_BY_S * stands_by)
        )
        self.process.start()
        theirs.close()
        self.began = time.monotonic()
        self.heard = self.began + _START_S
        """When it gave a sign of life; first, until when it need not."""
        self.lives = self.ready = False

    @property
    def signs(self) -> list[Connection | int]:
        """What becomes readable when it says something, or ends."""
        return [self._beats, self.process.sentinel]

    def hear(self) -> None:
        """Take up what it said."""
        with suppress(EOFError, OSError):
            while self._beats.poll():
                self.ready = self._beats.recv_bytes() == b"+"
                self.heard, self.lives = time.monotonic(), True

    def tell(self, number: int) -> None:
        """Send it a signal; it may have ended."""
        with suppress(ProcessLookupError):
            if self.process.is_alive() and self.process.pid is not None:
                os.kill(self.process.pid, number)

    def bury(self) -> str:
        """Let go of one that has ended, and say how it did."""
        self.process.join()
        self._beats.close()
        code = self.process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


class Supervisor:
    """Keeps as many workers as are wanted."""

    def __init__(self, settings: ServeSettings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._workers: list[Worker] = []
        """Those on a post."""
        self._leaving: list[Worker] = []
        """Those that finish what they are at."""
        self._to_replace: list[Worker] = []
        self._coming: Worker | None = None
        """The one that is about to take the post of the first of them."""
        self._signals: deque[int] = deque()
        self._order = 0
        """What all were told, in the end."""
        self._told = 0.0
        self._kills = kills()

    def run(self) -> None:
        """Serve until a signal ends it.

        Raises:
            StartFailed: no worker could begin.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: self._signals.append(number))
        try:
            self._workers = [self._begun(stands_by=False) for _ in range(self._settings.workers)]
            while self._all:
                wait([sign for worker in self._all for sign in worker.signs], _LOOK_EVERY_S)
                for worker in self._all:
                    worker.hear()
                while self._signals:
                    self._obey(self._signals.popleft())
                self._end_leaving()
                if self._order:
                    self._repeat()
                else:
                    self._replace_lost()
                    self._roll()
        finally:
            for worker in self._all:
                worker.process.kill()

    @property
    def _all(self) -> list[Worker]:
        return [*self._workers, *self._leaving, *([self._coming] if self._coming else [])]

    def _begun(self, *, stands_by: bool) -> Worker:
        return Worker(self._settings, self._listener, stands_by=stands_by)

    def _obey(self, number: int) -> None:
        if number == signal.SIGHUP:
            if not self._order and not self._to_replace:
                self._to_replace = [*self._workers]
            return
        self._order = signal.SIGKILL if self._order else signal.SIGTERM if number == signal.SIGTERM else AT_ONCE
        self._told = 0.0
        self._leaving, self._workers, self._coming = self._all, [], None

    def _repeat(self) -> None:
        """Say it again: one that had only just begun has not heard it."""
        if time.monotonic() >= self._told + _AGAIN_S:
            self._told = time.monotonic()
            for worker in self._leaving:
                worker.tell(self._order)

    def _end_leaving(self) -> None:
        longest_s = self._settings.drain_s + self._settings.finish_s + self._settings.silent_worker_s
        for worker in [*self._leaving]:
            if not worker.process.is_alive():
                worker.bury()
                self._leaving.remove(worker)
            elif time.monotonic() > worker.heard + longest_s:
                worker.process.kill()

    def _replace_lost(self) -> None:
        now = time.monotonic()
        for post, worker in enumerate(self._workers):
            if worker.process.is_alive():
                if now > worker.heard + self._settings.silent_worker_s:
                    log.error("Worker %d is stuck and is ended.", worker.process.pid)
                    worker.process.kill()
            elif now > worker.began + _AGAIN_S:
                how = worker.bury()
                if not any(other.lives for other in self._workers):
                    raise StartFailed(f"No worker could begin ({how}); what is written above says why.")
                reason = ", as the system had no memory left" if kills() > self._kills else ""
                self._kills = kills()
                log.error("Worker %d ended (%s%s); another one takes its place.", worker.process.pid, how, reason)
                others = any(other.ready for other in self._workers if other is not worker)
                self._workers[post] = self._begun(stands_by=others)

    def _roll(self) -> None:
        """Replace one after the other: the next one begins when the one before it has taken its post."""
        if not self._to_replace or self._leaving:
            return
        old = self._to_replace[0]
        if old not in self._workers:  # it was lost meanwhile, and is replaced already
            self._to_replace.pop(0)
        elif self._coming is None:
            self._coming = self._begun(stands_by=True)
        elif self._coming.ready:
            self._workers[self._workers.index(old)] = self._coming
            self._leaving.append(old)
            old.tell(RETIRE)
            self._to_replace.pop(0)
            self._coming = None
            if not self._to_replace:
                log.info("All workers are new ones.")
        elif not self._coming.process.is_alive() or time.monotonic() > self._coming.began + _START_S:
            log.error("A new worker was not ready in time; the others stay.")
            self._coming.process.kill()
            self._coming.bury()
            self._coming, self._to_replace = None, []

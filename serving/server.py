"""The server: holds the address, runs the application on it, and says so once it answers."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

from contract import trust
from serving.access.door import Door
from serving.address import address_of
from serving.announcement import announce
from serving.lifecycle import Server
from serving.limiting import rates
from serving.lines import say
from serving.listening import listening
from serving.logs import show
from serving.prediction_log import place as prediction_log
from serving.running import keep
from serving.settings import ServeSettings
from serving.tracing import needed
from serving.transport import tls
from serving.workers import FORKS, GC_THRESHOLDS, Supervisor


def run(settings: ServeSettings) -> None:
    """Serve until a signal ends it.

    Raises:
        StartFailed: no worker could begin, where there are several.
        AccessRefused: the keys or tokens of callers cannot be used.
        SettingsRefused: others could ask who need no key, the address cannot be listened on, or what a setting needs
            is not installed.
        KeyRefused: there is no key to check signatures with where one should be.
    """
    show(settings.log_format, apart=settings.workers == 1)
    needed(settings)
    prediction_log.check(settings)
    Door.of(settings)
    trust.trusted_keys(settings)  # told of now, not when a version is loaded
    rates.check(settings)
    tls.check(settings)
    gc.set_threshold(*GC_THRESHOLDS)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nobody here needs more; models' processes are not given it
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both signals end it in the same way
    with suppress(KeyboardInterrupt), listening(settings) as listener:  # uvicorn raises it again once it has shut down
        if settings.socket is None:
            settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        with keep(address_of(listener, tls=settings.tls_certificate is not None), settings):
            _answer(listener, settings)
    say("Stopped.")


def _answer(listener: socket.socket, settings: ServeSettings) -> None:
    from serving.app import create_app
    from serving.transport.config import Transport

    stopping = threading.Event()
    announcing = partial(announce, address_of(listener, tls=settings.tls_certificate is not None), settings)
    if settings.workers == 1 or not FORKS:
        threading.Thread(target=_announce_here, args=[announcing, stopping.wait], daemon=True).start()
    try:
        if settings.workers > 1:
            with _shared(settings) as shared, _copied(announcing, settings) if FORKS else nullcontext():
                Supervisor(shared, listener).run()
        else:
            config = Transport(create_app(settings), settings, lifespan="on")
            Server(config).run(sockets=[listener])
    finally:
        stopping.set()


@contextmanager
def _shared(settings: ServeSettings) -> Iterator[ServeSettings]:
    """Give the workers a folder to share."""
    with tempfile.TemporaryDirectory(prefix="lectern-", ignore_cleanup_errors=True) as folder:
        yield settings.model_copy(update={"shared_folder": Path(folder)})


@contextmanager
def _copied(announcing: Callable[[Callable[[float], bool]], None], settings: ServeSettings) -> Iterator[None]:
    """Have workers begin as copies of this process: what all of them have imported is in memory once.

    It must not have a second thread then, so the announcement is made by a copy, too.
    """
    import serving.framework  # noqa: F401
    from contract.formats import onnx

    onnx.get_ready()
    prediction_log.get_ready(settings)
    gc.collect()
    gc.freeze()
    context = multiprocessing.get_context("fork")
    announcer = context.Process(target=_announce_apart, args=[announcing], daemon=True)
    announcer.start()
    try:
        yield
    finally:
        announcer.kill()


def _announce_here(announcing: Callable[[Callable[[float], bool]], None], stopped: Callable[[float], bool]) -> None:
    announcing(stopped)
    gc.freeze()  # what stays: looking through all modules holds up every request


def _announce_apart(announcing: Callable[[Callable[[float], bool]], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # they are for the process that will end this one
        signal.signal(number, signal.SIG_IGN)
    parent = os.getppid()

    def orphaned(after_s: float) -> bool:
        time.sleep(after_s)
        return os.getppid() != parent

    announcing(orphaned)

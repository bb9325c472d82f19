"""The server: holds the address, runs the application on it, and says so once it answers."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING

import uvicorn
import uvicorn._subprocess
from uvicorn.supervisors import Multiprocess

from contract import trust
from serving.address import address_of
from serving.announcement import announce
from serving.lines import say
from serving.listening import listening
from serving.logs import show
from serving.prediction_log import place as prediction_log
from serving.running import keep
from serving.settings import ServeSettings
from serving.tracing import needed

if TYPE_CHECKING:
    from serving.app import Lectern

KEEP_ALIVE_S = 75
"""Longer than proxies keep theirs, so that they never send on a connection that is being closed."""
SHUTDOWN_S = 30
_GC_THRESHOLDS = (10_000, 20, 100)
_FORKS = sys.platform == "linux"
"""Whether workers may begin as copies of the process that starts them, which is sure to have no other thread."""


def run(settings: ServeSettings) -> None:
    """Serve until a signal ends it.

    Raises:
        SettingsRefused: the address cannot be listened on, or what a setting needs is not installed.
        KeyRefused: there is no key to check signatures with where one should be.
    """
    show(settings.log_format, apart=settings.workers == 1)
    needed(settings)
    prediction_log.check(settings)
    trust.trusted_keys(settings)  # told of now, not when a version is loaded
    gc.set_threshold(*_GC_THRESHOLDS)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # nobody here needs more; models' processes are not given it
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both signals end it in the same way
    with suppress(KeyboardInterrupt), listening(settings) as listener:  # uvicorn raises it again once it has shut down
        if settings.socket is None:
            settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        with keep(address_of(listener), settings):
            _answer(listener, settings)
    say("Stopped.")


def _answer(listener: socket.socket, settings: ServeSettings) -> None:
    from serving.app import create_app

    config = uvicorn.Config(
        "serving.server:worker" if settings.workers > 1 else create_app(settings),
        factory=settings.workers > 1,
        workers=settings.workers,
        lifespan="on",
        log_config=None,  # its events go where ours go
        access_log=False,
        server_header=False,
        proxy_headers=False,  # what a header says of who asks is not believed
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    stopping = threading.Event()
    announcing = partial(announce, address_of(listener), settings)
    if settings.workers == 1 or not _FORKS:
        threading.Thread(target=_announce_here, args=[announcing, stopping.wait], daemon=True).start()
    try:
        if settings.workers > 1:
            with _shared(settings), _copied(announcing, settings) if _FORKS else nullcontext():
                Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        stopping.set()


@contextmanager
def _shared(settings: ServeSettings) -> Iterator[None]:
    """Tell the workers the settings, by the environment, and give them a folder to share."""
    with tempfile.TemporaryDirectory(prefix="lectern-", ignore_cleanup_errors=True) as folder:
        os.environ.update(settings.model_copy(update={"shared_folder": folder}).variables())
        yield


@contextmanager
def _copied(announcing: Callable[[Callable[[float], bool]], None], settings: ServeSettings) -> Iterator[None]:
    """Have workers begin as copies of this process: what all of them have imported is in memory once.

    It must not have a second thread then, so the announcement is made by a copy, too.
    """
    import uvicorn.loops.uvloop
    import uvicorn.protocols.http.httptools_impl

    import serving.framework  # noqa: F401
    from contract.formats import onnx

    onnx.get_ready()
    prediction_log.get_ready(settings)
    gc.collect()
    gc.freeze()
    context = multiprocessing.get_context("fork")
    uvicorn._subprocess.spawn = context  # type: ignore[assignment]  # it has no setting for it
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


def worker() -> Lectern:
    """The service as the environment sets it: what each of several processes builds for itself."""
    from serving.app import create_app

    settings = ServeSettings.read(os.environ)
    show(settings.log_format)
    gc.freeze()  # without looking through it, which would make pages of it this worker's own
    gc.set_threshold(*_GC_THRESHOLDS)
    return create_app(settings)

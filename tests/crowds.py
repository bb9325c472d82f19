"""Crowds: connections that are opened and not used, or hardly, while other callers go on."""

from __future__ import annotations

import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from tests.live import Service
from tests.raw import Caller, request

_OTHER_FILES = 500
_EVERY_S = 0.2
"""How long a slow caller waits between two of its bytes."""


def beside(service: Service, *, callers: int, requests: int, silent: int = 0, slow: int = 0) -> list[float]:
    """How long each of so many requests took while so many connections were open, in order of length.

    Raises:
        AssertionError: one was not answered.
    """
    _make_room(silent + slow + _OTHER_FILES)
    enough = threading.Event()
    with ExitStack() as opened, ThreadPoolExecutor(callers) as pool:
        crowd = [opened.enter_context(Caller(service.url)) for _ in range(silent + slow)]
        dripping = threading.Thread(target=_drip, args=[crowd[silent:], enough])
        dripping.start()
        try:
            took = [
                one for some in pool.map(_ask, [service.url] * callers, [requests // callers] * callers) for one in some
            ]
        finally:
            enough.set()
            dripping.join()
    return sorted(took)


def _drip(callers: list[Caller], enough: threading.Event) -> None:
    """Send a request byte by byte on each connection, none of them to its end."""
    data = request("GET", "/health", *(["X-Slow: yes"] * 50), body=None)
    for byte in data[:-2]:
        for caller in callers:
            caller.send(bytes([byte]))
        if enough.wait(_EVERY_S):
            return


def _ask(url: str, times: int) -> list[float]:
    took = []
    with Caller(url) as caller:
        for _ in range(times):
            began = time.perf_counter()
            heard = caller.send(request()).hear(answers=1)
            took.append(time.perf_counter() - began)
            assert heard.statuses == [200], heard
    return took


def _make_room(files: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, hard), hard))

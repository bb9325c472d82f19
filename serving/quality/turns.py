"""Turns: a few threads for what waits for the database, so that nothing else waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from serving.problems import Problem

T = TypeVar("T")
MOST_WAITING = 32
_AT_ONCE, _PAUSE_S = 100, 0.0005


def rested(rows: Iterable[T]) -> Iterator[T]:
    """The same rows; after some of them the event loop gets its turn."""
    for number, row in enumerate(rows, 1):
        yield row
        if number % _AT_ONCE == 0:
            time.sleep(_PAUSE_S)


class Turns:
    """Does work beside the event loop, some at a time; whoever comes when many wait is asked to come again."""

    def __init__(self, at_once: int) -> None:
        self._threads = ThreadPoolExecutor(at_once, "lectern-quality")
        self._most = at_once + MOST_WAITING
        self._taken = 0

    async def take(self, work: Callable[[], T]) -> T:
        """Do something when it is its turn.

        Raises:
            Problem: too many wait.
        """
        if self._taken >= self._most:
            raise Problem(503, "busy", "Too many wait for the prediction log.", headers={"retry-after": "1"})
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._taken -= 1

"""Lines: what a process prints, written by a thread of its own; who reads them slowly, or not at all, holds up nothing.

an event → its line, where it happens → a short queue → the thread → the stream; what finds no room is counted
"""

from __future__ import annotations

import logging
import os
import select
import threading
from collections import deque

MOST_WAITING = 1_000
"""Lines that wait to be written; what comes beyond them is dropped."""
STDOUT, STDERR = 1, 2
_TOGETHER_BYTES = select.PIPE_BUF
"""What a pipe takes in one piece, whoever else writes to it."""
_LAST_WAIT_S = 1.0
"""Longest wait, at the end, for somebody to read."""


class Lines(logging.Handler):
    """Writes each event as a line. It knows the stream by number: Python's own is locked for as long as it waits."""

    def __init__(self, *, apart: bool = True, stream: int = STDERR) -> None:
        """Prepare to write, `apart` (in a thread), or at once, in a process that must not have another thread."""
        super().__init__()
        self.dropped = 0
        self._apart = apart
        self._stream = stream
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        if apart:
            threading.Thread(target=self._work, name="lectern-lines", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Have a line written, if there is room."""
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001  # a mistake in what is told must not harm who tells it
            line = f"lectern: {record.msg!a} cannot be told: {error!a}"
        content = line.encode("utf-8", "backslashreplace") + b"\n"
        if not self._apart:
            self.dropped += self._write([content])
            return
        with self._changed:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(content)
                self._changed.notify_all()
            else:
                self.dropped += 1

    def flush(self) -> None:
        """Wait until all is written, but not for long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, _LAST_WAIT_S)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                some = self._some()
            dropped = self._write(some)
            with self._changed:
                self.dropped += dropped
                for _ in some:
                    self._waiting.popleft()
                self._changed.notify_all()

    def _some(self) -> list[bytes]:
        some: list[bytes] = []
        size = 0
        for line in self._waiting:
            size += len(line)
            if some and size > _TOGETHER_BYTES:
                break
            some.append(line)
        return some

    def _write(self, some: list[bytes]) -> int:
        """Write lines; return how many were dropped, as nobody will ever read them."""
        try:
            _write(self._stream, b"".join(some))
        except OSError:
            return len(some)
        return 0


def dropped() -> int:
    """Lines of this process that nobody read in time."""
    return sum(handler.dropped for handler in logging.getLogger().handlers if isinstance(handler, Lines))


def say(text: str) -> None:
    """Print a text, but do not wait long for somebody to read it."""
    content = f"{text}\n".encode("utf-8", "backslashreplace")
    saying = threading.Thread(target=_say, args=[content], daemon=True)
    saying.start()
    saying.join(_LAST_WAIT_S)


def _say(content: bytes) -> None:
    try:
        _write(STDOUT, content)
    except OSError:  # nobody listens any more
        return


def _write(stream: int, content: bytes) -> None:
    """Write all of it, however long that takes.

    Raises:
        OSError: the stream is closed, or its other end is.
    """
    rest = memoryview(content)
    while rest:
        try:
            rest = rest[os.write(stream, rest) :]
        except BlockingIOError:  # somebody who has the same stream made it so
            select.select([], [stream], [])

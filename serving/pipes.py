"""Pipes: between an event loop that must not wait and a thread that may, one for each direction."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import tempfile
import threading
from collections import deque
from typing import Any

from starlette.types import Receive

MEMORY_BYTES = 1 << 20
"""How much either pipe keeps in memory."""
MAX_SPOOL_BYTES = 4 << 30
"""How much a pipe keeps in a temporary file for a caller who does not read yet."""
_BLOCK_BYTES = 256 << 10


class Abandoned(Exception):
    """The other end is gone: nobody needs this work any more."""


class Upload(io.RawIOBase):
    """A request's body as a file: filled on the event loop, read in a thread; while it is full, none is received."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._changed = threading.Condition()
        self._parts: deque[memoryview] = deque()
        self._size = 0
        self._ended = self._abandoned = False
        self._room = asyncio.Event()

    async def fill(self, receive: Receive) -> None:
        """Take all that comes, and return when the caller is gone."""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            with self._changed:
                if body := message.get("body", b""):
                    self._parts.append(memoryview(body))
                    self._size += len(body)
                self._ended = self._ended or not message.get("more_body", False)
                self._changed.notify()
                self._room.clear()
                full = self._size >= MEMORY_BYTES
            if full:
                await self._room.wait()

    def abandon(self) -> None:
        """Have whoever reads stop."""
        with self._changed:
            self._abandoned = True
            self._changed.notify()

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for something to read.

        Raises:
            Abandoned: there will be nothing.
        """
        with self._changed:
            while not (self._parts or self._ended or self._abandoned):
                self._changed.wait()
            if self._abandoned:
                raise Abandoned
            if not self._parts:
                return 0
            part = self._parts[0]
            size = min(len(part), len(buffer))
            if size < len(part):
                self._parts[0] = part[size:]
            else:
                self._parts.popleft()
            was_full, self._size = self._size >= MEMORY_BYTES, self._size - size
            has_room = was_full and self._size < MEMORY_BYTES
        buffer[:size] = part[:size]
        if has_room:
            _tell(self._loop, self._room.set)
        return size


class Spool:
    """Answers on their way out: written in a thread, read on the event loop.

    What the caller does not take yet is kept in memory, then in an unlinked temporary file; when that is as large as it
    may be, or the disk is full, writing waits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.written = 0
        """Bytes in all."""
        self._loop = loop
        self._changed = threading.Condition()
        self._memory: deque[bytes] = deque()
        self._in_memory = 0
        self._file: Any = None
        self._begin = self._end = 0
        """What of the file has not been read."""
        self._most = MAX_SPOOL_BYTES
        self._ended = self._abandoned = False
        self._news = asyncio.Event()

    closed = False

    def write(self, content: bytes) -> int:
        """Add something, waiting for room.

        Raises:
            Abandoned: nobody will read it.
        """
        content = bytes(content)
        self.written += len(content)
        while not self._keep(content):
            pass
        _tell(self._loop, self._news.set)
        return len(content)

    def _keep(self, content: bytes) -> bool:
        with self._changed:
            while True:
                if self._abandoned:
                    raise Abandoned
                waiting = self._end - self._begin
                if not waiting and (not self._memory or self._in_memory + len(content) <= MEMORY_BYTES):
                    self._memory.append(content)
                    self._in_memory += len(content)
                    return True
                if waiting + len(content) <= self._most:
                    break
                self._changed.wait()
            if not waiting:
                self._begin = self._end = 0
            place = self._end
        try:
            self._write_at(place, content)
        except OSError:
            self._most = min(self._most, waiting)
            return False
        with self._changed:
            self._end = place + len(content)
        return True

    def _write_at(self, place: int, content: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # closed when both ends are done
        rest = memoryview(content)
        while rest:
            size = os.pwrite(self._file.fileno(), rest, place)
            place, rest = place + size, rest[size:]

    def tell(self) -> int:
        """Bytes written so far."""
        return self.written

    def flush(self) -> None:
        """Nothing is held back."""

    def writable(self) -> bool:
        """Yes."""
        return True

    def end(self) -> None:
        """Nothing more will be written."""
        self._ended = True
        _tell(self._loop, self._news.set)

    def abandon(self) -> None:
        """Have whoever writes stop."""
        with self._changed:
            self._abandoned = True
            self._changed.notify()

    def close(self) -> None:
        """Free everything, once neither end does anything any more."""
        if self._file is not None:
            self._file.close()

    async def read(self) -> bytes:
        """The next piece; empty at the end."""
        while True:
            self._news.clear()
            ended = self._ended
            with self._changed:
                if self._memory:
                    found = b"".join(self._memory)
                    self._memory.clear()
                    self._in_memory = 0
                    self._changed.notify()
                    return found
                place, size = self._begin, min(self._end - self._begin, _BLOCK_BYTES)
            if size:
                found = await asyncio.to_thread(os.pread, self._file.fileno(), size, place)
                with self._changed:
                    self._begin += len(found)
                    self._changed.notify()
                return found
            if ended:
                return b""
            await self._news.wait()


def _tell(loop: asyncio.AbstractEventLoop, news: Any) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waits
        loop.call_soon_threadsafe(news)

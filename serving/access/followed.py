"""Followed files: what is read from a file, and read again when the file is another one.

A file that cannot be read any more is not believed for ever: what it held last counts for a while, in which somebody
can mend it, and then nothing does.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from contract.errors import AccessRefused

GRACE_S = 300.0
"""For so long what a file held last counts when it is gone or damaged."""
_MOST_BYTES = 16 << 20

T = TypeVar("T")
log = logging.getLogger("lectern.keys")


class Followed(Generic[T]):
    """What a file holds, as of the last look at it."""

    def __init__(self, path: Path, read: Callable[[bytes, Path], T], nothing: T, grace_s: float = GRACE_S) -> None:
        """Read it for the first time.

        Args:
            path: of the file.
            read: makes something of its content.
            nothing: stands for what it held once that counts no more.
            grace_s: how long that counts when it cannot be read.

        Raises:
            AccessRefused: it cannot be read, or does not hold what it should.
        """
        self.path = path
        self.value = nothing
        self.trouble = ""
        """Why it cannot be read any more."""
        self._read, self._nothing, self._grace_s = read, nothing, grace_s
        self._seen: tuple[int, ...] | None = None
        self._until = float("inf")
        self._take()

    def look(self) -> None:
        """Look whether it is another one; at what cannot be read, anew each time."""
        if self.trouble or self._stamp() != self._seen:
            try:
                self._take()
            except AccessRefused as error:
                self._miss(str(error))
            except Exception as error:  # noqa: BLE001  # whatever it is, who follows the file has to go on
                self._miss(f"{self.path} cannot be read: {type(error).__name__}.")

    def _take(self) -> None:
        seen = self._stamp()  # before it is read, so that what is written meanwhile is read the next time
        self.value = self._read(content_of(self.path), self.path)
        if self.trouble:
            log.warning("%s can be read again.", self.path)
        self._seen, self.trouble = seen, ""

    def _miss(self, why: str) -> None:
        now = time.monotonic()
        if not self.trouble:
            self._until = now + self._grace_s
            self.trouble = f"{why} What it held before counts for {self._grace_s:g} s, then nothing of it does."
            log.error(self.trouble)
        elif now >= self._until and self.value is not self._nothing:
            self.value = self._nothing
            self.trouble = f"{why} Nothing of it counts until that is mended."
            log.error(self.trouble)

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def content_of(path: Path) -> bytes:
    """What a file holds that says who may do what.

    Raises:
        AccessRefused: it cannot be read, is too large, or could be changed by others than its owner.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o022:
                raise AccessRefused(f"{path} can be written to by others, who could let anybody in: chmod 600.")
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise AccessRefused(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > _MOST_BYTES:
        raise AccessRefused(f"{path} has more than {_MOST_BYTES:,} bytes, and is not read.")
    return content

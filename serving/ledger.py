"""The ledger: a folder in which the workers of one service leave their counts, so that any of them can tell all.

Each writes a file of its own. Those of workers that have ended are added up in one, exactly once, by whoever reads
them: under a lock, and with the names of the files that are in it until these are gone.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from contract.memory import kills
from serving.metrics import CRASH, MEMORY, SHEET, Gauges, Sheet
from serving.running import began

_PREFIX = "counts-"
_ENDED = "ended.json"
_LOCK = "ended.lock"
_UNFINISHED, _DAMAGED = ".part", ".damaged"

T = TypeVar("T")

log = logging.getLogger("lectern.observation")


@dataclass(slots=True)
class _Ended:
    """What all workers that have ended have counted."""

    sheet: Sheet = field(default_factory=Sheet)
    names: set[str] = field(default_factory=set)
    """Of the files that are in it."""


_ENDED_SHEET = TypeAdapter(_Ended)


class Ledger:
    """The folder, for one of its workers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told = ""
        """Why nothing could be written last time."""

    def write(self, content: bytes) -> None:
        """Leave the sheet of this process, in place of the one it left before."""
        try:
            _replace(self._own, content)
            self._told = ""
        except OSError as error:
            if str(error.strerror) != self._told:
                self._told = str(error.strerror)
                log.warning("The counts of this worker cannot be written: %s.", self._told)

    def others(self) -> Sheet:
        """What all other workers have counted together; of those that have ended all but their gauges."""
        with ExitStack() as stack:
            alone = self._lock(stack)
            ended = self._ended()
            total, gone = Sheet(damaged=len([*self._folder.glob(f"*{_DAMAGED}")])), dict[str, Sheet]()
            for path in sorted(self._folder.glob(f"{_PREFIX}*.json")):
                if path == self._own or path.name in ended.names:
                    continue
                lives, sheet = _lives(path), self._read(path, SHEET)
                if sheet is None:
                    total.damaged += 1
                    if not lives:
                        _put_aside(path)
                elif lives:
                    total.add(sheet)
                else:
                    gone[path.name] = sheet
            died = {name: MEMORY if kills() > sheet.kills else CRASH for name, sheet in gone.items() if not sheet.ended}
            ended.sheet.deaths.update(died.values())
            for sheet in gone.values():
                sheet.gauges = Gauges()
                ended.sheet.add(sheet)
            if alone and self._keep(ended, set(gone)):
                for name, reason in died.items():
                    why = " as memory ran out" if reason == MEMORY else ""
                    log.warning("Worker %s died%s; another one takes its place.", name.split("-")[1], why)
            total.add(ended.sheet)
            return total

    def _keep(self, ended: _Ended, gone: set[str]) -> bool:
        """Keep what was added up, and say whether it could be; the files that are in it go only once it is there."""
        left = {name for name in ended.names if (self._folder / name).exists()}
        if not gone and not left:
            return True
        ended.names = left | gone
        try:
            if gone:
                _replace(self._folder / _ENDED, _ENDED_SHEET.dump_json(ended))
            for path in (self._folder / name for name in ended.names):
                path.with_suffix(_UNFINISHED).unlink(missing_ok=True)
                path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("The counts of workers that have ended stay where they are: %s.", error.strerror)
            return False
        return True

    def _ended(self) -> _Ended:
        path = self._folder / _ENDED
        found = self._read(path, _ENDED_SHEET) if path.exists() else _Ended()
        if found is None:
            _put_aside(path)
        return found or _Ended()

    def _read(self, path: Path, kind: TypeAdapter[T]) -> T | None:
        try:
            return kind.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            log.warning("The counts of another worker cannot be read: %s", path.name)
            return None

    def _lock(self, stack: ExitStack) -> bool:
        """Wait until nobody else adds up, and keep others from it; return whether that could be had."""
        try:
            lock = stack.enter_context((self._folder / _LOCK).open("ab"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:
            return False
        return True

    @property
    def _own(self) -> Path:
        return self._folder / _name_of(os.getpid())


@cache
def _name_of(process: int) -> str:
    """The file of a process; another one may get its number later."""
    return f"{_PREFIX}{process}-{began(process)}.json"


def _lives(path: Path) -> bool:
    process, _, since = path.stem.removeprefix(_PREFIX).partition("-")
    return process.isdecimal() and bool(since) and began(int(process)) == since


def _replace(path: Path, content: bytes) -> None:
    unfinished = path.with_suffix(_UNFINISHED)
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _put_aside(path: Path) -> None:
    try:
        path.replace(path.with_suffix(f".{time.monotonic_ns()}{_DAMAGED}"))
    except OSError as error:
        log.warning("%s stays where it is: %s.", path.name, error.strerror)

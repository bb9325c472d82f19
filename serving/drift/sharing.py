"""Sharing: the workers of one service leave their slices in a folder, so that each of them can tell of all rows.

A worker that died leaves its file, which counts as the others do.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving.drift.counting import Key
from serving.drift.slices import Slice, Window, packed, unpacked
from serving.running import began

_PREFIX = "drift-"
_BY: tuple[Window, ...] = ("rows", "time")

log = logging.getLogger("lectern.drift")


@dataclass(frozen=True, slots=True)
class Counted:
    """What one worker has of one version."""

    total: int = 0
    by: Mapping[Window, list[Slice]] = field(default_factory=lambda: {"rows": [], "time": []})


class Shared:
    """The folder, for one worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, tuple[tuple[int, int], dict[Key, Counted]]] = {}
        """What stood in each file, and when it was written."""
        self._told = ""

    def leave(self, counted: Mapping[Key, Counted]) -> None:
        """Leave what this worker has, in place of what it left before."""
        document = [
            {"model": key.model, "version": key.version, "total": one.total}
            | {name: [packed(part) for part in one.by[name]] for name in _BY}
            for key, one in counted.items()
        ]
        unfinished = self._own.with_suffix(".part")
        try:
            unfinished.write_text(json.dumps(document))
            unfinished.replace(self._own)
            self._told = ""
        except OSError as error:
            if str(error.strerror) != self._told:
                self._told = str(error.strerror)
                log.warning("What this worker counted for drift cannot be written: %s.", self._told)

    def others(self, size: Callable[[Key], int | None]) -> Iterable[Mapping[Key, Counted]]:
        """What each of the others left; `size` says how many numbers a version's counts have, None if it has none."""
        for path in sorted(self._folder.glob(f"{_PREFIX}*.json")):
            if path != self._own:
                yield self._of(path, size)

    def _of(self, path: Path, size: Callable[[Key], int | None]) -> dict[Key, Counted]:
        try:
            found = path.stat()
            written = (found.st_mtime_ns, found.st_size)
            if path not in self._read or self._read[path][0] != written:
                self._read[path] = written, dict(_unpacked(json.loads(path.read_bytes()), size))
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            if path not in self._read or self._read[path][1]:
                log.warning("What another worker counted for drift cannot be read: %s", path.name)
            self._read[path] = (0, 0), {}
        return self._read[path][1]

    @property
    def _own(self) -> Path:
        pid = os.getpid()
        return self._folder / f"{_PREFIX}{pid}-{began(pid)}.json"


def _unpacked(document: Any, size: Callable[[Key], int | None]) -> Iterable[tuple[Key, Counted]]:
    for one in document:
        key = Key(str(one["model"]), int(one["version"]))
        if (numbers := size(key)) is not None:
            by: dict[Window, list[Slice]] = {name: [unpacked(part, numbers) for part in one[name]] for name in _BY}
            yield key, Counted(int(one["total"]), by)

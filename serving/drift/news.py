"""News: which alarms somebody should be told of, and which were told before.

A part that was told of is news again only after as many rows as make a window went by without an alarm: windows
overlap, and one that lies at the limit would be told of again and again.
"""

from __future__ import annotations

import fcntl
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import IO

from serving.drift.evaluating import Evaluation

log = logging.getLogger("lectern.drift")


class News:
    """What has been told, by one process."""

    def __init__(self, window_rows: int) -> None:
        self._window_rows = window_rows
        self.told: dict[str, dict[str, int]] = {}
        """By version and part: how many rows there had been when it raised its last alarm."""

    def of(self, found: Evaluation, total: int) -> bool:
        """Whether a part raises an alarm that was not told, `total` being the rows that the version ever answered."""
        name = f"{found.key.model} {found.key.version}"
        told = self.told.get(name, {})
        now = {reading.part.name for reading in found.alarms}
        lasting = {part: rows for part, rows in told.items() if total - rows < self._window_rows}
        self.told[name] = lasting | dict.fromkeys(now, total)
        return bool(now - lasting.keys())


class Office:
    """Of the workers that share a folder one tells the news; when it is gone another one goes on where it was."""

    def __init__(self, folder: Path | None, news: News) -> None:
        self._path = folder / "drift-told.json" if folder else None
        self._news = news
        self._file: IO[str] | None = None
        self._kept = ""

    def mine(self) -> bool:
        """Whether this process is the one."""
        if self._path is None or self._file is not None:
            return True
        try:
            file = self._path.open("a+", encoding="utf-8")
        except OSError as error:
            log.warning("The workers cannot settle who tells of drift: %s.", error.strerror)
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # until this process ends, however it does
        except OSError:
            file.close()
            return False
        self._file = file
        file.seek(0)
        with suppress(ValueError):
            found = json.loads(file.read() or "{}")
            self._news.told = {str(name): dict(parts) for name, parts in dict(found).items()}
        return True

    def keep(self) -> None:
        """Keep what was told for whoever goes on."""
        text = json.dumps(self._news.told)
        if self._file is not None and text != self._kept:
            self._kept = text
            with suppress(OSError):
                self._file.truncate(0)  # it is open to append: what is written begins there
                self._file.write(text)
                self._file.flush()

    def close(self) -> None:
        """Let another one tell the news."""
        if self._file is not None:
            self._file.close()
            self._file = None

"""Reports: pages about a model that were made of what it answered, kept beside its versions.

Each is a file of its own, `reports/20261121T220000Z-drift.html`: when it was made, and of which kind it is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from contract.errors import PublishFailed, ReportNotFound

FOLDER = "reports"
KIND = re.compile("[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_NAME = re.compile(f"([0-9]{{8}}T[0-9]{{6}}Z)-({KIND.pattern})[.]html")
_NO_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO}
"""What the system says of nothing, of a link, and of a socket."""
_TIME = "%Y%m%dT%H%M%SZ"


class Report(NamedTuple):
    """One report."""

    name: str
    """Of its file."""
    kind: str
    made: datetime
    size: int
    """In bytes."""


class Reports:
    """The reports of one model, in the folder of the model."""

    def __init__(self, folder: Path) -> None:
        self.model = folder.name
        self.folder = folder / FOLDER

    def add(self, kind: str, page: str) -> Report:
        """Keep a page as the newest report of its kind; it appears whole or not at all.

        Raises:
            PublishFailed: the store could not take it.
        """
        made = datetime.now(UTC).replace(microsecond=0)
        name, content = f"{made:{_TIME}}-{kind}.html", page.encode()
        assert _NAME.fullmatch(name), kind
        beside = self.folder / f".writing-{secrets.token_hex(6)}"
        try:
            self.folder.mkdir(exist_ok=True)
            try:
                beside.write_bytes(content)
                beside.replace(self.folder / name)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise PublishFailed(f"Could not write to {self.folder}: {error.strerror}. No report was kept.") from error
        return Report(name, kind, made, len(content))

    def all(self) -> list[Report]:
        """What there is, the newest first.

        Raises:
            OSError: the file system failed.
        """
        found = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for path in self.folder.iterdir():
                with contextlib.suppress(FileNotFoundError, ValueError):  # removed meanwhile; no time
                    if parts := _NAME.fullmatch(path.name):
                        facts = path.lstat()
                        made = datetime.strptime(parts[1], _TIME).replace(tzinfo=UTC)
                        if stat.S_ISREG(facts.st_mode):
                            found.append(Report(path.name, parts[2], made, facts.st_size))
        return sorted(found, reverse=True)

    def read(self, name: str, most_bytes: int) -> bytes:
        """The page, or its first bytes where it has more than `most_bytes`.

        Raises:
            ReportNotFound: there is none of this name.
            OSError: the file system failed.
        """
        if not _NAME.fullmatch(name):
            raise ReportNotFound(self.model, name)
        try:
            descriptor = os.open(self.folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in _NO_FILE:
                raise ReportNotFound(self.model, name) from None
            raise
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ReportNotFound(self.model, name)
            return file.read(most_bytes)

    def keep(self, newest: int) -> int:
        """Remove all but the `newest` of each kind; return how many are gone.

        Raises:
            OSError: the file system failed.
        """
        kept: dict[str, int] = {}
        gone = 0
        for report in self.all():
            kept[report.kind] = kept.get(report.kind, 0) + 1
            if kept[report.kind] > newest:
                (self.folder / report.name).unlink(missing_ok=True)
                gone += 1
        return gone

"""The promotion log of a model: a folder that is only ever added to.

Each promotion is a file of its own, `promotions/00000042.json`. It appears whole, and only if no other has its number:
of two who write at once one is told.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from contract.errors import PromotionConflict, PromotionFailed, PromotionRefused
from contract.promotions import Deployment, Promotion, told
from contract.staging import sync_folder

FOLDER = "promotions"
MAX_BYTES = 1 << 20
LAST = 99_999_999
_NAME = re.compile(r"(?!0{8})[0-9]{8}\.json")
_BEING_WRITTEN = ".writing-"
_NO_FILE = {errno.ELOOP, errno.ENXIO, errno.EOPNOTSUPP}
"""What the system says of a link, and of a socket."""
_ABANDONED_AFTER_S = 3600


class PromotionLog:
    """The promotions of one model, in the folder of the model."""

    def __init__(self, folder: Path) -> None:
        self.model = folder.name
        self.folder = folder / FOLDER

    def read(self, known: Deployment | None = None) -> Deployment:
        """What is live, from what was `known` to be live and the promotions since.

        A log that is gone tells nothing new; one that has become shorter is another one, and read from its beginning,
        as is one of which an entry was damaged and is no more.

        Raises:
            OSError: the file system failed; another time it may not.
        """
        found, numbers = known or Deployment(), self._numbers()
        if numbers and (numbers[-1] < found.number or any(map(self.entry, found.damaged))):
            found = Deployment()
        for number, promotion in self._since(found.number, numbers):
            if promotion is None:
                found = replace(found, number=number, damaged=(*found.damaged, number))
            else:
                found = found.after(promotion)
        return found

    def history(self) -> list[tuple[int, Promotion | None]]:
        """Every promotion by its number, the first one first; None for one that cannot be read, or is gone.

        Raises:
            OSError: the file system failed.
        """
        return list(self._since(0, self._numbers()))

    def entry(self, number: int) -> Promotion | None:
        """One promotion; None if it cannot be read or is gone.

        Raises:
            OSError: the file system failed.
        """
        try:
            descriptor = os.open(self._path(number), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno in _NO_FILE:
                return None
            raise
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(MAX_BYTES + 1)
        finally:
            os.close(descriptor)
        try:
            return Promotion.model_validate_json(content) if len(content) <= MAX_BYTES else None
        except ValidationError:  # also what is no JSON
            return None

    def append(self, promotion: Promotion, after: Deployment) -> Deployment:
        """Add a promotion that was decided on when `after` was live; return what is live then.

        Raises:
            PromotionConflict: somebody else was first.
            PromotionRefused: it is larger than any reader accepts, or the log is full.
            PromotionFailed: the file system refused; the message says what readers see.
        """
        number, outcome = after.number + 1, "Nothing was changed"
        document = promotion.model_dump_json(indent=1).encode() + b"\n"
        if len(document) > MAX_BYTES:
            raise PromotionRefused(f"The promotion has {len(document):,} bytes; {MAX_BYTES:,} are allowed.")
        if number > LAST:
            raise PromotionRefused(f"The log of '{self.model}' ends with promotion {LAST}, and none can follow.")
        try:
            self.folder.mkdir(exist_ok=True)
            sync_folder(self.folder.parent)
            self._sweep()
            if max(self._numbers(), default=0) >= number or not self._link(number, document):
                raise PromotionConflict(self.model, self._winner(number))
            outcome = f"Promotion {number} can be seen, but may not survive a power failure"
            sync_folder(self.folder)
        except OSError as error:
            raise PromotionFailed(f"Could not write to {self.folder}: {error.strerror}. {outcome}.") from error
        return after.after(promotion)

    def _link(self, number: int, document: bytes) -> bool:
        """Write a promotion aside, then give it its number; return whether that was free."""
        beside = self.folder / f"{_BEING_WRITTEN}{number}-{os.getpid()}-{secrets.token_hex(6)}"
        try:
            with beside.open("xb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            os.link(beside, self._path(number))  # fails where the number is taken, and shows the whole or nothing
        except FileExistsError:
            return False
        finally:
            with contextlib.suppress(OSError):  # else it is swept away later
                beside.unlink(missing_ok=True)
        return True

    def _winner(self, number: int) -> str:
        with contextlib.suppress(OSError):
            if won := self.entry(number):
                return told(won)
        return "a promotion that cannot be read"

    def _since(self, number: int, numbers: list[int]) -> Iterator[tuple[int, Promotion | None]]:
        """The promotions after `number`, of the `numbers` that there are."""
        for found in numbers[bisect_right(numbers, number) :]:
            if found > number + 1:
                yield found - 1, None  # one for all that are gone before this one
            yield found, self.entry(found)
            number = found

    def _numbers(self) -> list[int]:
        try:
            names = [path.name for path in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(name[:8]) for name in names if _NAME.fullmatch(name))

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.json"

    def _sweep(self) -> None:
        """Remove what was being written when its writer died."""
        for path in self.folder.glob(f"{_BEING_WRITTEN}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _ABANDONED_AFTER_S:
                    path.unlink()

"""The place of a prediction log: an SQLite file, in the store unless it is said, or a database of PostgreSQL."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from contract.errors import SettingsRefused
from contract.store import Store
from serving.settings import ServeSettings

NONE = "none"
NOTHING = "the setting says that there shall be none"
FOLDER, FILE, KEY = ".log", "predictions.sqlite", "key"
"""In the store, where no reader of artifacts looks."""
CORRUPT = ".corrupt-"
"""In the name of a file that was found broken and put aside."""
_SQLITE = "sqlite:///"
_PASSWORD = re.compile("(://[^/@:]*):[^/]*@")
_EXTRAS = {"sqlalchemy": "watch", "psycopg": "postgres"}


@dataclass(frozen=True)
class Place:
    """Where the log is."""

    file: Path | None
    """None where it is in PostgreSQL."""
    url: str
    """What SQLAlchemy calls it."""
    key: Path
    makes_key: bool
    """Whether the key is made where it is missing."""
    asked: bool
    """Whether a setting says so."""

    def __str__(self) -> str:
        return str(self.file or _PASSWORD.sub(r"\1:***@", self.url.replace("+psycopg", "")))

    @property
    def missing(self) -> str:
        """What has to be installed for it, in a sentence; empty where nothing has to."""
        for package in ("sqlalchemy",) if self.file else ("sqlalchemy", "psycopg"):
            if find_spec(package) is None:
                brings = f"'lectern[{_EXTRAS[package]}]' brings it"
                return f"it needs the package '{package}', which is not installed here; {brings}"
        return ""

    def make(self, folder: Path) -> None:
        """Make the folder of the log or of its key; never the store, which may be about to come back.

        Raises:
            OSError: it cannot be made.
        """
        folder.mkdir(mode=0o700, parents=self.asked and self.file is not None, exist_ok=True)

    @property
    def read_only(self) -> bool:
        """Whether nothing can be written where it would be."""
        there = self.key.parent if self.file is None else self.file.parent
        while not there.exists() and there != there.parent:
            there = there.parent
        return not os.access(there, os.W_OK | os.X_OK)

    @property
    def set_aside(self) -> list[Path]:
        """The files that were found broken and still lie there, without those that belong to one of them."""
        if self.file is None:
            return []
        found = self.file.parent.glob(f"{self.file.name}{CORRUPT}*")
        return sorted(path for path in found if not path.name.endswith(("-wal", "-shm")))


def check(settings: ServeSettings) -> None:
    """Hold a setting to what it needs.

    Raises:
        SettingsRefused: it names a log for which something is not installed.
    """
    place = place_of(settings, settings.open_store())
    if place is not None and place.asked and place.missing:
        raise SettingsRefused(f"{settings.variable('prediction_log')}={place} does not do: {place.missing}.")


def get_ready(settings: ServeSettings) -> None:
    """Import, before workers begin as copies of this process, what each of them would import for itself."""
    place = place_of(settings, settings.open_store())
    if place is not None and not place.missing:
        import serving.prediction_log.database.opening
        import serving.prediction_log.database.writing  # noqa: F401


def place_of(settings: ServeSettings, store: Store) -> Place | None:
    """Where the settings have the log; None where they want none."""
    given, folder = settings.prediction_log, store.root / FOLDER
    if given == NONE:
        return None
    if given and "://" in given and not given.startswith(_SQLITE):
        url = "postgresql+psycopg" + given[given.index("://") :]
        return Place(None, url, settings.log_key or folder / KEY, settings.log_key is None, asked=True)
    file = Path(given.removeprefix(_SQLITE)).expanduser().absolute() if given else folder / FILE
    key = settings.log_key or file.parent / KEY
    return Place(file, f"{_SQLITE}{file}", key, settings.log_key is None, asked=given is not None)

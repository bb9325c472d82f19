"""The store: the folder of all artifacts, `<root>/<model>/<version>/`. A version appears whole or not at all.

The folder's name is both the lock and the commit: a sealed stage is renamed to the next free number, which fails
where the number is taken, and only then is anything visible.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from contract.artifact import Artifact
from contract.errors import ModelNotFound, NameRefused, PublishFailed, VersionNotFound
from contract.names import check_model_name, parse_version
from contract.staging import Stage, sync_folder

DEFAULT_FOLDER = "artifacts"
_WITHDRAWN = ".withdrawn-"
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}


class Store:
    """All models under one root. Reading never writes; a missing root is an empty store."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @classmethod
    def nearest(cls, start: Path) -> Store:
        """The store of the project `start` lies in: the nearest folder `artifacts` there or above, else a new one."""
        start = start.absolute()
        found = (folder / DEFAULT_FOLDER for folder in (start, *start.parents))
        return cls(next((path for path in found if path.is_dir()), start / DEFAULT_FOLDER))

    def models(self) -> list[str]:
        """The names of all models that have a version, sorted."""
        return sorted(name for name in _entries(self.root) if self.versions(name))

    def versions(self, model: str) -> list[int]:
        """The versions of a model, ascending; what is no version's name is passed over."""
        numbers = map(parse_version, _entries(self.root / model) if _is_name(model) else ())
        return sorted(number for number in numbers if number is not None)

    def artifact(self, model: str, version: int | None = None) -> Artifact:
        """The artifact of a version, or of the newest one.

        Raises:
            ModelNotFound, VersionNotFound: the store does not hold it.
        """
        versions = self.versions(model)
        if not versions:
            raise ModelNotFound(model, self.models())
        version = versions[-1] if version is None else version
        if version not in versions:
            raise VersionNotFound(model, version, versions)
        return Artifact(self.root / model / str(version))

    def stage(self) -> Stage:
        """A new hidden folder to write an artifact into.

        Raises:
            PublishFailed: the store cannot be written to.
        """
        try:
            return Stage.create(self.root)
        except OSError as error:
            raise PublishFailed(f"Cannot write to the store {self.root}: {error.strerror}.") from error

    def publish(self, stage: Stage) -> int:
        """Make a sealed stage the next version of the model its manifest names; return the number.

        Raises:
            ManifestInvalid: the stage is not sealed.
            NameRefused: no model may be called that.
            PublishFailed: the file system refused; the stage is gone, and the message says what readers see.
        """
        folder, outcome = self.root, "Nothing became visible"
        try:
            folder /= check_model_name(Artifact(stage.folder).manifest.model)
            folder.mkdir(exist_ok=True)
            sync_folder(self.root)
            version = self._claim(stage, folder)
            try:
                sync_folder(folder)
            except OSError:
                outcome = _withdraw(folder, version)
                raise
        except OSError as error:
            stage.discard()
            raise PublishFailed(
                f"Could not publish to {folder}: {error.strerror}. "
                f"{outcome}; make room or mend the disk and export again."
            ) from error
        return version

    def _claim(self, stage: Stage, folder: Path) -> int:
        version = _next_number(folder)
        while True:
            try:
                # rename(2) replaces an empty folder, which is nobody's version, and nothing else
                stage.folder.rename(folder / str(version))
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                version = max(version + 1, _next_number(folder))
            else:
                return version


def _next_number(folder: Path) -> int:
    """One more than the highest number that is in use or was: a number never names two artifacts."""
    names = (name.removeprefix(_WITHDRAWN) for name in _entries(folder))
    return max((number for number in map(parse_version, names) if number is not None), default=0) + 1


def _withdraw(folder: Path, version: int) -> str:
    """Take back a version whose name may not survive a power failure; its empty shell keeps the number taken.

    Return what became of it.
    """
    shell = folder / f"{_WITHDRAWN}{version}"
    try:
        (folder / str(version)).rename(shell)
    except OSError:
        return f"Version {version} is whole and can be seen, but may not survive a power failure"
    with contextlib.suppress(OSError):
        for path in shell.iterdir():
            path.unlink()
    return f"Version {version} was taken back"


def _entries(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_name(name: str) -> bool:
    try:
        check_model_name(name)
    except NameRefused:
        return False
    return True

"""The store: the folder of all artifacts, `<root>/<model>/<version>/`. A version appears whole or not at all.

The folder's name is both the lock and the commit: a sealed stage is renamed to the next free number, which fails
where the number is taken, and only then is anything visible.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from contract.artifact import Artifact
from contract.errors import ModelNotFound, NameRefused, PublishFailed, VersionNotFound
from contract.names import check_model_name, parse_version
from contract.promotion_log import PromotionLog
from contract.signing import SIGNATURE, Signer, Statement
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

    def promotions(self, model: str) -> PromotionLog:
        """The log of what was made live of a model.

        Raises:
            NameRefused: no model may be called that.
        """
        return PromotionLog(self.root / check_model_name(model))

    def stage(self) -> Stage:
        """A new hidden folder to write an artifact into.

        Raises:
            PublishFailed: the store cannot be written to.
        """
        try:
            return Stage.create(self.root)
        except OSError as error:
            raise PublishFailed(f"Cannot write to the store {self.root}: {error.strerror}.") from error

    def publish(self, stage: Stage, signer: Signer | None = None) -> int:
        """Make a sealed stage the next version of the model its manifest names, signed where there is a `signer`.

        Return its number.

        Raises:
            ManifestInvalid: the stage is not sealed.
            NameRefused: no model may be called that.
            PublishFailed: the file system refused; the stage is gone, and the message says what readers see.
        """
        folder, outcome, artifact = self.root, "Nothing became visible", Artifact(stage.folder)
        try:
            folder /= check_model_name(artifact.manifest.model)
            folder.mkdir(exist_ok=True)
            sync_folder(self.root)
            version = _claim(artifact, folder, signer)
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

    def withdraw(self, model: str, versions: Iterable[int]) -> None:
        """Have versions vanish, each at once, and remove their files, and what a crash left of others before.

        Their numbers stay taken, by the empty shell of the highest one.

        Raises:
            NameRefused: no model may be called that.
            OSError: the file system failed; doing it again goes on.
        """
        folder = self.root / check_model_name(model)
        _empty_shells(folder)
        for version in versions:
            with contextlib.suppress(FileNotFoundError):  # somebody else was first
                (folder / str(version)).rename(folder / f"{_WITHDRAWN}{version}")
        sync_folder(folder)  # else a version might come back without its files
        _empty_shells(folder)


def _claim(artifact: Artifact, folder: Path, signer: Signer | None) -> int:
    """Give an artifact the next free number, which its signature names."""
    version = _next_number(folder)
    while True:
        if signer is not None:
            _sign(artifact, version, signer)
        try:
            # rename(2) replaces an empty folder, which is nobody's version, and nothing else
            artifact.folder.rename(folder / str(version))
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
            version = max(version + 1, _next_number(folder))
        else:
            return version


def _sign(artifact: Artifact, version: int, signer: Signer) -> None:
    model, digest = artifact.manifest.model, artifact.manifest_sha256
    with (artifact.folder / SIGNATURE).open("wb") as file:
        file.write(signer.sign(Statement(model=model, version=version, manifest_sha256=digest)))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(artifact.folder)


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


def _empty_shells(folder: Path) -> None:
    """Remove the files of all versions that were taken back, and their shells but the highest."""
    numbers = {parse_version(name.removeprefix(_WITHDRAWN)) for name in _entries(folder) if _WITHDRAWN in name}
    shells = [folder / f"{_WITHDRAWN}{number}" for number in sorted(number for number in numbers if number)]
    for shell in shells:
        for path in [] if shell.is_symlink() else [shell / name for name in _entries(shell)]:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    for shell in shells[:-1]:
        with contextlib.suppress(OSError):  # it is no folder, or gone
            shell.rmdir()


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

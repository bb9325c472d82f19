"""Staging: an artifact while it is written, in a hidden folder of the store that no reader looks at.

write files → seal (each file made durable, the manifest last) → the store renames the folder to a version.
A folder whose owner died is swept away an hour later.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from pathlib import Path

from contract.errors import ExportRefused
from contract.manifest import MANIFEST, MAX_BYTES, File, Manifest, sealed

PREFIX = ".staging-"
ABANDONED_AFTER_S = 3600
_OWNER = re.compile(re.escape(PREFIX) + r"(?P<host>.*)-(?P<process>\d+)-[0-9a-f]+")


class Stage:
    """A folder being filled by one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, root: Path) -> Stage:
        """Make an empty stage in `root`, and sweep away what dead owners left there."""
        root.mkdir(parents=True, exist_ok=True)
        sweep(root)
        folder = root / f"{PREFIX}{_host()}-{os.getpid()}-{secrets.token_hex(6)}"
        folder.mkdir()
        return cls(folder)

    @property
    def sealed(self) -> bool:
        """Whether the manifest has been written: everything is there and durable."""
        return (self.folder / MANIFEST).exists()

    def path(self, name: str) -> Path:
        """Where to write the file `name`."""
        return self.folder / name

    def seal(self, manifest: Manifest) -> Manifest:
        """Make every file durable, then write the manifest that names them; return it as written.

        Raises:
            ExportRefused: the manifest would be larger than any reader accepts.
            OSError: the file system refused; nothing is visible.
        """
        (self.folder / MANIFEST).unlink(missing_ok=True)
        files = {path.name: _make_durable(path) for path in sorted(self.folder.iterdir())}
        manifest = manifest.model_copy(update={"files": files})
        document = sealed(manifest.to_bytes())
        if len(document) > MAX_BYTES:
            raise ExportRefused(
                f"The manifest of '{manifest.model}' would have {len(document):,} bytes and {MAX_BYTES:,} are allowed: "
                "give fewer columns, or fewer and shorter categories and parameters."
            )
        with (self.folder / MANIFEST).open("xb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.folder)
        return manifest

    def discard(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def sweep(root: Path) -> None:
    """Remove the stages in `root` that are an hour old and whose owner is gone."""
    for folder in root.glob(f"{PREFIX}*"):
        owner = _OWNER.fullmatch(folder.name)
        try:
            old = time.time() - folder.stat().st_mtime > ABANDONED_AFTER_S
        except OSError:  # published or swept by somebody else since the listing
            continue
        if old and owner and owner["host"] == _host() and not _alive(int(owner["process"])):
            shutil.rmtree(folder, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Make the entries of `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_durable(path: Path) -> File:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
        return File(size=file.tell(), sha256=digest)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", platform.node())[:40]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

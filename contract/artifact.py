"""An artifact: the folder that is a version. Nothing is parsed before its bytes are known to be the published ones."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from contract import manifest
from contract.errors import ChecksumMismatch, ManifestInvalid, NotRegularFile
from contract.manifest import MANIFEST, Manifest

# what the system says of a link (Linux of one to a folder, macOS and the others), and of a socket
_NO_FOLDER = {errno.ENOTDIR, errno.ELOOP}
_NO_FILE = {errno.ELOOP, errno.ENXIO, errno.EOPNOTSUPP}


class Artifact:
    """The files in one folder, read by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest.

        Raises:
            ManifestInvalid: it is missing or is no manifest.
            ChecksumMismatch: it is not the one that was published.
            NotRegularFile: it, or the folder itself, is a link or something else than a file.
            OSError: the file system failed; another time it may not.
        """
        return manifest.parse(manifest.opened(self._document))

    @property
    def manifest_sha256(self) -> str:
        """The SHA-256 of the manifest, and so of the whole artifact, whose files it names with theirs."""
        return hashlib.sha256(self._document).hexdigest()

    @cached_property
    def _document(self) -> bytes:
        try:
            with self._opened(MANIFEST) as (descriptor, size):
                if size > manifest.MAX_BYTES:
                    raise ManifestInvalid(f"The manifest has {size:,} bytes; {manifest.MAX_BYTES:,} are allowed.")
                return _read(descriptor, size)
        except FileNotFoundError:
            raise ManifestInvalid("The artifact has no manifest.") from None

    def read(self, name: str) -> bytes:
        """The bytes of one file of the manifest, checked against it.

        Raises:
            ChecksumMismatch: size or digest differ from the manifest's, or the manifest does not name the file.
            NotRegularFile: it is missing, a link of either kind, or no file.
            OSError: the file system failed; another time it may not.
        """
        return b"".join(self.pieces(name, sys.maxsize))

    def pieces(self, name: str, most_bytes: int = 1 << 20) -> Iterator[bytes]:
        """The same piece by piece, for what may be larger than memory; that it is sound is known after the last one.

        Raises:
            ChecksumMismatch, NotRegularFile, OSError: as `read` does, a digest that differs at the end.
        """
        listed = self.manifest.files.get(name)
        if listed is None:
            raise ChecksumMismatch(f"The manifest names no file {name}.")
        digest = hashlib.sha256()
        try:
            with self._opened(name) as (descriptor, size):
                if size != listed.size:
                    raise ChecksumMismatch(f"{name} has {size:,} bytes; the manifest says {listed.size:,}.")
                for piece in _pieces(descriptor, size, most_bytes):
                    digest.update(piece)
                    yield piece
        except FileNotFoundError:
            raise NotRegularFile(f"{name} is missing.") from None
        if digest.hexdigest() != listed.sha256:
            raise ChecksumMismatch(
                f"{name} is not the file that was published: its SHA-256 differs from the manifest's."
            )

    def beginning(self, name: str, most_bytes: int) -> bytes:
        """The first bytes of one file of the manifest, for what is too large to be read. They are not checked.

        Raises:
            ChecksumMismatch, NotRegularFile, OSError: as `read` does, but for the digest.
        """
        return next(self.pieces(name, most_bytes), b"")

    def verify(self) -> None:
        """Read every file that the manifest names.

        Raises:
            ArtifactError, OSError: as `manifest` and `read` do.
        """
        for name in self.manifest.files:
            for _ in self.pieces(name):
                pass

    def beside(self, name: str, most_bytes: int) -> bytes | None:
        """The bytes of a file that no manifest names, because it speaks of one; None where there is none.

        At most one byte more than `most_bytes` are read.

        Raises:
            NotRegularFile: it is a link of either kind, or no file.
            OSError: the file system failed; another time it may not.
        """
        try:
            with self._opened(name) as (descriptor, size):
                return _read(descriptor, min(size, most_bytes))
        except FileNotFoundError:
            return None

    def unlisted(self, beside: Collection[str] = ()) -> list[str]:
        """The names in the folder that are not the manifest's, nor of what may lie `beside` it."""
        return sorted({path.name for path in self.folder.iterdir()} - {MANIFEST, *self.manifest.files, *beside})

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[int, int]]:
        """A descriptor and the size of a regular file that has no other name; a fifo in its place does not block."""
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno not in _NO_FOLDER:
                raise
            raise NotRegularFile(f"{self.folder.name} is not a folder of its own.") from None
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            if error.errno not in _NO_FILE:
                raise
            raise NotRegularFile(f"{name} is not a file of its own.") from None
        finally:
            os.close(folder)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise NotRegularFile(f"{name} is not a file of its own.")
            yield descriptor, found.st_size
        finally:
            os.close(descriptor)


def _read(descriptor: int, size: int) -> bytes:
    return b"".join(_pieces(descriptor, size, sys.maxsize))


def _pieces(descriptor: int, size: int, most_bytes: int) -> Iterator[bytes]:
    """What is in a file of `size` bytes, and one byte more where it has grown."""
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        left = size + 1
        while left and (piece := file.read(min(left, most_bytes))):
            left -= len(piece)
            yield piece

"""Recognition: two runs are the same if all that they depend on is, and then the second need not be run.

They depend on the notebook's code, the parameters, the data these name, the modules beside the notebook, and the
packages installed.
"""

from __future__ import annotations

import hashlib
import json
import platform
import secrets
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.artifact import Artifact
from contract.errors import LecternError
from contract.store import Store
from pipeline.running.masking import Mask
from pipeline.running.parameters import Parameter

if TYPE_CHECKING:
    from nbformat import NotebookNode

MAX_FOLDER_BYTES = 1 << 30
"""A folder of data with more bytes is recognised by the names, sizes and times of its files."""
MAX_FOLDER_FILES = 100_000
"""A folder with more files is never recognised."""


class Surroundings:
    """What every run of one notebook depends on; looked at once, and each file of data once."""

    def __init__(self, notebook: Path, source: NotebookNode) -> None:
        self._folder = notebook.parent.absolute()
        self._known: dict[Path, str] = {}
        self._same = {
            "cells": [cell.source for cell in source.cells if cell.cell_type == "code"],
            "modules": {str(path.relative_to(self._folder)): self._content(path) for path in _modules(self._folder)},
            "python": platform.python_version(),
            "packages": _packages(),
        }

    def digest(self, declared: Mapping[str, Parameter], values: Mapping[str, Any]) -> str:
        """The digest of a run with these values; those that are secret have no part in it."""
        shown = Mask(values).parameters(values)
        data = {
            text: self._content(path)
            for name, value in shown.items()
            for text in _texts(value)
            if (path := self._data(text, folders="Path" in declared[name].annotation)) is not None
        }
        return _digest({**self._same, "parameters": shown, "data": data})

    def _data(self, text: str, *, folders: bool) -> Path | None:
        try:
            path = self._folder / text
            return path if text and (path.is_file() or (folders and path.is_dir())) else None
        except (OSError, ValueError):  # too long for a path, or a null byte
            return None

    def _content(self, path: Path) -> str:
        if path not in self._known:
            try:
                self._known[path] = _folder_digest(path) if path.is_dir() else _file_digest(path)
            except OSError as error:  # the notebook will meet it too, or not mind
                self._known[path] = f"unreadable: {error.strerror}"
        return self._known[path]


def find(store: Store, digest: str) -> Artifact | None:
    """The newest sound version that a run of this digest made; deleted and damaged ones are passed over."""
    found = []
    for model in store.models():
        for version in store.versions(model):
            try:
                artifact = store.artifact(model, version)
                if artifact.manifest.run.digest == digest:
                    artifact.verify()
                    found.append(artifact)
            except (LecternError, OSError):
                continue
    return max(found, key=lambda artifact: artifact.manifest.created, default=None)


def _modules(folder: Path) -> list[Path]:
    packages = [path.parent for path in folder.glob("*/__init__.py")]
    return sorted({*folder.glob("*.py"), *(path for package in packages for path in package.rglob("*.py"))})


def _packages() -> str:
    """A digest of the names and versions of all installed packages, as their folders say."""
    names = {path.name for entry in sys.path for path in Path(entry or ".").glob("*.dist-info")}
    return _digest(sorted(names))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for item in value.values():
                yield from _texts(item)


def _folder_digest(folder: Path) -> str:
    found = list(islice((path for path in folder.rglob("*") if path.is_file()), MAX_FOLDER_FILES + 1))
    if len(found) > MAX_FOLDER_FILES:
        return secrets.token_hex(32)
    stats = {path: path.stat() for path in sorted(found)}
    small = sum(stat.st_size for stat in stats.values()) <= MAX_FOLDER_BYTES
    return _digest(
        {
            str(path.relative_to(folder)): _file_digest(path) if small else [stat.st_size, stat.st_mtime_ns]
            for path, stat in stats.items()
        }
    )


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

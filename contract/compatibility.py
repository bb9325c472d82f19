"""Compatibility: whether what fitted a model is what will answer with it, as far as its file depends on that."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache
from importlib import metadata

from contract.formats import FORMATS
from contract.manifest import Manifest


@cache
def _scikit_learn() -> str:
    try:
        return metadata.version("scikit-learn")
    except metadata.PackageNotFoundError:
        return ""


_CRUCIAL: dict[str, tuple[str, Callable[[], str]]] = {
    "python": ("Python", platform.python_version),
    "scikit-learn": ("scikit-learn", _scikit_learn),
}
"""What the manifest calls it, what people call it, and which version is here."""


def differences(manifest: Manifest) -> tuple[str, ...]:
    """What differs by more than a bug fix, one sentence each; nothing does where no code of the file is run."""
    if not FORMATS[manifest.runtime.format].runs_code:
        return ()
    found = []
    for key, (name, version) in _CRUCIAL.items():
        then, now = manifest.environment.get(key, ""), version()
        if _minor(then) and _minor(now) and _minor(then) != _minor(now):
            found.append(f"It was fitted with {name} {then[:20]}, and {now} is installed here: answers may differ.")
    return tuple(found)


def _minor(version: str) -> tuple[int, ...]:
    """The first two numbers of a version; empty for what is none."""
    parts = version.split(".")[:2]
    return tuple(map(int, parts)) if len(parts) == 2 and all(part.isdecimal() for part in parts) else ()

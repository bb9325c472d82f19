"""Model names and version numbers: the one check, for exporting and for serving."""

from __future__ import annotations

import re

from contract.errors import NameRefused

_MODEL = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def check_model_name(name: object) -> str:
    """Return `name` if a model may be called that.

    Raises:
        NameRefused: otherwise.
    """
    if isinstance(name, str) and _MODEL.fullmatch(name):
        return name
    raise NameRefused(
        f"{_shown(name)} cannot name a model: a name is 1 to 64 lower-case letters, digits, '-' or '_', "
        "and begins and ends with a letter or a digit."
    )


def parse_version(text: str) -> int | None:
    """The number that a folder or a path segment stands for, or None: '7' is a version, '007' and '٣' are not."""
    return int(text) if _VERSION.fullmatch(text) else None


def _shown(name: object) -> str:
    shown = repr(name)
    return shown if len(shown) <= 80 else f"{shown[:76]}…{shown[0]}"

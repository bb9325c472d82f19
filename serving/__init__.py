"""Answers: serves the versions of a store as a typed API."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serving.starting import Service, start

_ROOMS = {"Service": "serving.starting", "start": "serving.starting"}
__all__ = ["Service", "start"]


def __getattr__(name: str) -> Any:
    """Load what a notebook starts a service with only when it is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'serving' has no attribute '{name}'")
    return getattr(importlib.import_module(_ROOMS[name]), name)

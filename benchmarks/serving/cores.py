"""Cores: the load runs on one, the server on another, so that neither takes the other's time."""

from __future__ import annotations

import os
import shutil

_ALLOWED = sorted(os.sched_getaffinity(0))
PINNED = len(_ALLOWED) > 1 and shutil.which("taskset") is not None
NOTE = (
    "The load on one core, the server on another (taskset)."
    if PINNED
    else "Load and server share their core: there is only one, or no taskset. Expect every figure to be lower."
)


def for_load(command: list[str]) -> list[str]:
    """The command on the first core."""
    return _on(_ALLOWED[0], command)


def for_server(command: list[str]) -> list[str]:
    """The command on the last core."""
    return _on(_ALLOWED[-1], command)


def _on(core: int, command: list[str]) -> list[str]:
    return ["taskset", "--cpu-list", str(core), *command] if PINNED else command

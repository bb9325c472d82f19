"""Usage: whose time the cores spent during a load; what tells a slow server from a busy machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.serving.memory import descendants

_TICKS = os.sysconf("SC_CLK_TCK")
BUSY = 0.1
"""Cores that other programs may take before a figure is called disturbed."""


def during(process: int, load: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Run a load on a server; add to its figures the cores that were busy meanwhile.

    Returns:
        What the load returns, with server_cores, load_cores and other_cores: seconds of processor per second.
    """
    began, server, own, all_cores = time.perf_counter(), _spent(process), _children(), _busy()
    found = load()
    took = time.perf_counter() - began
    server, own, all_cores = (_spent(process) - server) / took, (_children() - own) / took, (_busy() - all_cores) / took
    other = max(0.0, all_cores - server - own)
    return found | {"server_cores": server, "load_cores": own, "other_cores": other}


def _spent(process: int) -> float:
    """Seconds of a process and its descendants."""
    return sum(map(_of_one, [process, *descendants(process)]))


def _of_one(process: int) -> float:
    try:
        found = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended since the listing
        return 0.0
    return (int(found[11]) + int(found[12])) / _TICKS


def _children() -> float:
    """Seconds of what this process started and waited for: the load."""
    found = os.times()
    return found.children_user + found.children_system


def _busy() -> float:
    """Seconds that the cores of this machine were not idle."""
    user, nice, system, _, _, *interrupts = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(interrupts)) / _TICKS

"""Cores: how many of them this process may use, where a container has fewer than its machine."""

from __future__ import annotations

import os
from pathlib import Path

QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where the system says how much time a container has in how much (cgroup v2): microseconds, or `max`."""


def usable_cores() -> int:
    """Those that it may run on, or fewer where its time does not fill them; at least one."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time, period = QUOTA.read_text(encoding="ascii").split()
        return max(1, min(allowed, -(-int(time) // int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # there is no such file, or it says `max`
        return allowed

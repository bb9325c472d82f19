"""The machine: what it takes to judge a figure, and nothing that names it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from benchmarks.serving import cores, load


def described() -> dict[str, str]:
    """Processor, cores, memory, system, and the tools of the measurement."""
    processor = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    total = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return {
        "processor": processor[1] if processor else platform.machine(),
        "cores": f"{len(os.sched_getaffinity(0))}",
        "memory": f"{int(total[1]) / 1024**2:.0f} GiB" if total else "unknown",
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
        "load generator": load.version(),
        "cores used": cores.NOTE,
    }

"""Limits: what a version may cost, and which pickles are loaded. The server sets them, never the artifact.

Memory is limited by RLIMIT_DATA, which counts what a process can write to for itself: heap, anonymous and private
mappings. RLIMIT_AS would also count what is only reserved, or mapped from the libraries' files, which is gigabytes in a
process that has done nothing yet. Only Linux holds a process to it.
"""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contract.errors import PickleRefused, ResourceLimit
from contract.manifest import Manifest

PicklePolicy = Literal["never", "known", "any"]
_GROUP = Path("/sys/fs/cgroup/memory.max")
LEAST_MEMORY = 1 << 28
"""Bytes that a process needs to load any model: it imports the usual packages."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a version may cost, and which pickles are loaded."""

    load_timeout_s: float
    """Longest time that loading may take, and again that the golden rows may take."""
    answer_timeout_s: float
    memory_bytes: int | None = None
    """Most memory that its process may take, and the size of a file that is not read any more; None is no limit."""
    pickle: PicklePolicy = "any"

    def admit(self, manifest: Manifest) -> None:
        """Refuse what the manifest alone shows not to do, before any other file is opened.

        Raises:
            PickleRefused: it is a pickle, and none is loaded.
            ResourceLimit: a file is larger than the memory for it.
        """
        from contract.formats import FORMATS  # brings numpy, and settings have limits, too

        if FORMATS[manifest.runtime.format].runs_code and self.pickle == "never":
            raise PickleRefused(
                f"The version is stored as {manifest.runtime.format}, which may run code as it is loaded; "
                "this server takes ONNX only (LECTERN_PICKLE=never)."
            )
        for name, file in manifest.files.items():
            if self.memory_bytes is not None and file.size > self.memory_bytes:
                raise ResourceLimit(
                    f"{name} has {file.size:,} bytes; a version may take {self.memory_bytes:,} bytes of memory here "
                    "(LECTERN_MODEL_MEMORY_BYTES)."
                )


def impose(memory_bytes: int | None) -> None:
    """Hold this process to so much memory, for good, and have it leave no image of its memory when it crashes."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        allowed = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
        resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


def usual_memory() -> int:
    """Half the memory of this machine, or of the container that this process lives in."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # there is no such file, or it says "max"
        found = min(found, int(_GROUP.read_text()))
    return max(found // 2, LEAST_MEMORY)

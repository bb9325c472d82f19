"""Two repairs of nbval 0.11: a kernel that dies fails its cell at once, and kernels do not race for TCP ports."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
import uuid
from queue import Empty
from typing import Any

from jupyter_client.manager import KernelManager
from nbval import kernel

_WAIT_S = 2.0
_sockets = tempfile.mkdtemp(prefix="lectern-")
atexit.register(shutil.rmtree, _sockets, ignore_errors=True)


class _SocketKernelManager(KernelManager):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.transport, self.ip = "ipc", f"{_sockets}/{uuid.uuid4().hex[:8]}"


_await_reply = kernel.RunningKernel.await_reply


def _await_living(self: Any, msg_id: str, timeout: float | None = None) -> Any:
    """Wait for a reply as nbval does, which would wait out the whole cell timeout for a kernel that is gone."""
    deadline = time.monotonic() + (timeout or 2000)
    while True:
        try:
            return _await_reply(self, msg_id, timeout=min(_WAIT_S, max(0.01, deadline - time.monotonic())))
        except Empty:
            if not self.km.is_alive():
                raise RuntimeError("the kernel died while it ran the cell") from None
            if time.monotonic() >= deadline:
                raise


kernel.KernelManager = _SocketKernelManager
kernel.RunningKernel.await_reply = _await_living

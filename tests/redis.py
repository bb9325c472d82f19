"""A Redis for the tests that ask for one, in a folder of its own; and the tests, run with it.

python -m tests.redis    runs the tests of what several workers count together
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live import PATIENCE_S, until

FILES = ["tests/test_redis.py"]


@dataclass
class Server:
    """A server that only this machine reaches, by a socket in its folder; it keeps nothing."""

    program: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"unix://{self.folder}/socket"

    def start(self) -> None:
        """Let it answer."""
        path = self.folder / "socket"
        command = [self.program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(lambda: _answers(path))

    def stop(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it be there, and say nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@contextmanager
def server(program: str) -> Iterator[Server]:
    """A server of its own, which is gone afterwards with all that was in it."""
    folder = Path(tempfile.mkdtemp(prefix="lectern-redis-"))
    found = Server(program, folder)
    try:
        found.start()
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(path))
            asking.sendall(b"PING\r\n")
            return asking.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


def main() -> int:
    """Run the tests; return pytest's exit code."""
    program = shutil.which("redis-server")
    assert program, "Redis is not installed here; on Debian, as root: apt-get install redis-server"
    command = [sys.executable, "-m", "pytest", "--quiet", *sys.argv[1:], *FILES]
    return subprocess.run(command, env=os.environ | {"TEST_REDIS_SERVER": program}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

"""A database of PostgreSQL for the tests that ask for one, in a folder of its own; and the tests, run with it.

python -m tests.postgres    runs the tests of the prediction log, on SQLite and on PostgreSQL
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FILES = ["tests/test_prediction_log*.py", "tests/test_log_*.py"]
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/bin")


@dataclass
class Cluster:
    """A server that only this machine reaches, by sockets in its folder."""

    programs: Path
    folder: Path
    user: str

    @property
    def url(self) -> str:
        """Where its first database is, for the user who may do anything."""
        return f"postgresql://{self.user}@/postgres?host={self.folder}"

    def run(self, program: str, *arguments: str, check: bool = True) -> None:
        """Run one of the programs of PostgreSQL, which do not run as root."""
        command = [str(self.programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", self.user, "--", *command]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Let it answer."""
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        self.run(
            "pg_ctl", "-D", str(self.folder / "data"), "-w", "-o", options, "-l", str(self.folder / "out"), "start"
        )

    def stop(self) -> None:
        """End it, and whatever it is at."""
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-m", "immediate", "stop", check=False)

    @property
    def process(self) -> int:
        """The number of its first process."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])


@contextmanager
def cluster(programs: Path | None = None) -> Iterator[Cluster]:
    """A server of its own, which is gone afterwards with all that was in it."""
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="lectern-pg-"))
    found = Cluster(programs or installed(), folder, user)
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, user)
        found.run("initdb", "-D", str(folder / "data"), "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        found.start()
        try:
            yield found
        finally:
            found.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def installed() -> Path:
    """The folder of PostgreSQL's programs, the newest there are."""
    found = [path for place in _PLACES for path in Path("/").glob(f"{place[1:]}/initdb")]
    assert found, "PostgreSQL is not installed here; on Debian, as root: apt-get install postgresql"
    return max(found, key=lambda path: [int(part) for part in path.parts if part.isdecimal()]).parent


def main() -> int:
    """Run the tests; return pytest's exit code."""
    names = sorted(str(path) for pattern in FILES for path in Path().glob(pattern))
    with cluster() as found:
        own = os.environ | {"TEST_POSTGRES_URL": found.url}
        command = [sys.executable, "-m", "pytest", "--quiet", *sys.argv[1:], *names]
        return subprocess.run(command, env=own, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())

"""Running services: each keeps a record of itself in a private folder of its user, by which others of the user find it.

bound → written → removed at its end; the record of one that was killed is deleted by whoever finds it
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from serving.address import UNIX, ask
from serving.settings import ServeSettings

_NOT_TOLD = "?"


@dataclass(frozen=True)
class Running:
    """A service on this machine, as its record says."""

    pid: int
    url: str
    """Empty where it listens on a unix socket."""
    socket: str
    """The path of that socket, else empty."""
    store: Path
    log: str = ""
    """The file that it prints to where `serving.start()` began it, else empty."""
    began: str = ""
    """When its process did, in the system's own count: another process of the same number began at another time."""
    machine: str = ""
    """Where it runs: machines and containers may share a folder, but not their processes' numbers."""
    settings: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def address(self) -> str:
        """Where it is asked."""
        return self.url or f"{UNIX}{self.socket}"

    @property
    def lives(self) -> bool:
        """Whether its process has not ended."""
        return bool(self.began) and began(self.pid) == self.began

    @property
    def answers(self) -> bool:
        """Whether it answers requests now."""
        return ask(self.address, "/health/live", 1.0) is not None


@contextmanager
def keep(address: str, settings: ServeSettings) -> Iterator[None]:
    """Keep the record of this process's service; where it cannot be written there is none."""
    folder, pid = private_folder(), os.getpid()
    if folder is None:
        yield
        return
    url, path = ("", address.removeprefix(UNIX)) if address.startswith(UNIX) else (address, "")
    store, log = _resolved(settings.open_store().root), str(settings.log or "")
    record = folder / f"{platform.node()}-{pid}.json"
    with contextlib.suppress(OSError, ValueError):
        running = Running(pid, url, path, store, log, began(pid), platform.node(), settings.model_dump(mode="json"))
        unfinished = record.with_suffix(".part")
        unfinished.write_text(json.dumps(asdict(running), default=str), encoding="utf-8")
        unfinished.replace(record)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            record.unlink()


def find(store: Path | None = None) -> list[Running]:
    """The services of this user that run on this machine, of one store or of any, the newest first."""
    paths = [path for folder in filter(_is_private, _folders()) for path in folder.glob("*.json")]
    found = [(changed, running) for path in paths for changed, running in _read(path)]
    wanted = store and _resolved(store)
    ordered = sorted(found, key=lambda pair: pair[0], reverse=True)
    return [running for _, running in ordered if wanted in (None, running.store)]


def private_folder() -> Path | None:
    """The folder of the records, which nobody else can write to or read; None where there can be none."""
    for folder in _folders():
        with contextlib.suppress(OSError):
            folder.mkdir(mode=0o700)
        if _is_private(folder):
            return folder
    return None


def _resolved(path: Path) -> Path:
    """The one name of a store; as it is where links lead in a circle."""
    return Path(os.path.realpath(path))


def _folders() -> list[Path]:
    """Where the folder may be: one shell has the variable and the next one lacks it, so both are looked into."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return [
        *([Path(runtime, "lectern")] if runtime else []),
        Path(tempfile.gettempdir(), f"lectern-{os.getuid()}"),
    ]


def _is_private(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _read(path: Path) -> Iterator[tuple[int, Running]]:
    """A record with the time of its writing; nothing where it is none, or its process has ended."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        document = json.loads(path.read_text(encoding="utf-8"))
        running = Running(**document | {"store": Path(document["store"])})
        if running.machine != platform.node():
            return
        if running.lives:
            yield path.stat().st_mtime_ns, running
        else:
            path.unlink()


def began(pid: int) -> str:
    """When a process began; empty where it has ended."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        state, *others = told.rpartition(")")[2].split()
        return "" if state in ("Z", "X") else others[18]
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return _NOT_TOLD

"""Publishes that meet a fault at one system call, each in a process that forks from this warm one.

Run by test_publish_faults.py as `python -m tests.publishing WAY FOLDER`; prints what came of each as JSON.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from contract.errors import ArtifactError, ExportRefused, PublishFailed
from contract.store import Store
from tests.samples import FILES, manifest

MODEL = "iris"


def publish(store: Store) -> str:
    """Stage, seal and publish as `export` does; return what is said of it."""
    try:
        stage = store.stage()
        try:
            for name, content in FILES.items():
                stage.path(name).write_bytes(content)
            stage.seal(manifest(model=MODEL))
        except BaseException:
            stage.discard()
            raise
        return f"published {store.publish(stage)}"
    except (PublishFailed, ExportRefused, OSError) as error:
        return f"{type(error).__name__}: {error}"


# --- what is found after a fault


@dataclass(frozen=True)
class Outcome:
    """One publish that met a fault, and what a reader and the next exporter then find."""

    fault: str
    said: str
    """What `publish` said; empty if it was killed."""
    before: list[int]
    versions: list[int]
    damage: list[str]
    left: list[str]
    """Hidden entries, and what is in those that are no stages."""
    following: str
    """What the next `publish` said."""


def examine(fault: str, said: str, before: list[int], store: Store) -> Outcome:
    """Look at a store after a fault, then publish to it once more."""
    versions, broken = store.versions(MODEL), damage(store)
    hidden = [path for path in store.root.glob("**/.*") if ".staging-" not in path.parent.name]
    inside = [path for folder in hidden if ".staging-" not in folder.name for path in folder.iterdir()]
    left = sorted(str(path.relative_to(store.root)) for path in (*hidden, *inside))
    following = publish(store)
    return Outcome(fault, said, before, versions, broken + damage(store), left, following)


def damage(store: Store) -> list[str]:
    """What is wrong with the versions that a reader sees."""
    found = []
    for version in store.versions(MODEL):
        artifact = store.artifact(MODEL, version)
        try:
            if {name: artifact.read(name) for name in artifact.manifest.files} != FILES:
                found.append(f"{version}: other files than were published")
        except (ArtifactError, OSError) as error:
            found.append(f"{version}: {error!r}")
    return found


def stores(folder: Path) -> list[tuple[list[int], Callable[[], Store]]]:
    """Makers of stores to publish to, and which versions they have: one that holds a version, one that is not there."""
    full = Store(folder / "full")
    publish(full)

    def missing() -> Store:
        return Store(Path(tempfile.mkdtemp(dir=folder)) / "store")

    def copied() -> Store:
        return Store(Path(shutil.copytree(full.root, missing().root)))

    return [([1], copied), ([], missing)]


def forked(work: Callable[[], str]) -> tuple[int, Callable[[], str]]:
    """Do something in a child process; return its number, and what waits for its outcome (empty if it was killed)."""
    reader, writer = os.pipe()
    write, end = os.write, os._exit
    child = os.fork()
    if child == 0:
        said = "nothing"
        try:
            said = work()
        except BaseException as error:  # noqa: BLE001  # the parent is told
            said = f"unforeseen {error!r}"
        finally:
            write(writer, said.encode())
            end(0)
    os.close(writer)

    def outcome() -> str:
        with os.fdopen(reader, "rb") as pipe:
            said = pipe.read().decode()
        os.waitpid(child, 0)
        return said

    return child, outcome


# --- faults by standing between Python and the system

WRAPPED = {"open", "close", "read", "write", "fstat", "stat", "lstat", "access", "listdir", "scandir", "mkdir", "rmdir"}
WRAPPED |= {"rename", "replace", "link", "symlink", "unlink", "remove", "truncate", "ftruncate", "chmod", "utime"}
WRAPPED |= {"fsync", "fdatasync"}
GROWING = {"create", "write", "mkdir"}
CHANGING = GROWING | {"rename", "unlink", "rmdir", "fsync"}
WAYS = {
    "killed before": None,
    "killed within": {"write"},
    "killed after": None,
    "disk full at": GROWING,
    "disk full from": GROWING,
    "disk broken at": None,
    "disk broken from": CHANGING,
}
"""What can go wrong, at a call or from it on, and which calls it concerns (None for all)."""


@dataclass
class Faults:
    """Keeps account of the system calls of this process, and has one of them go wrong in some way."""

    way: str = ""
    at: int = -1
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Name and path of each."""
    paths: dict[int, str] = field(default_factory=dict)
    """Of each open descriptor."""

    def install(self) -> None:
        """Stand between the system and all that contract, pathlib, shutil and tempfile call."""
        for name in WRAPPED:
            setattr(os, name, partial(self.wrapped, name, getattr(os, name)))
        _File.faults, io.open = self, self.open  # type: ignore[assignment]

    def wrapped(self, name: str, function: Callable[..., Any], path: Any, *more: Any, **named: Any) -> Any:
        """Make a call of module `os`."""
        place = self.paths[path] if isinstance(path, int) else os.fspath(path)
        if "dir_fd" in named and named["dir_fd"] is not None:
            place = f"{self.paths[named['dir_fd']]}/{place}"
        if name == "rename":
            place = f"{place} {more[0]}"
        found = self.call(name, place, partial(function, path, *more, **named))
        if name == "open":
            self.paths[found] = place
        return found

    def open(self, path: Any, mode: str, *_: Any, closefd: bool = True, **__: Any) -> Any:
        """Open a file as `io.open` does, each system call of which is under account."""
        writing = bool(set(mode) & set("wxa"))
        place = self.paths[path] if isinstance(path, int) else os.fspath(path)
        make = partial(_File, path, mode.replace("b", ""), closefd=closefd)
        raw = make() if isinstance(path, int) else self.call("create" if writing else "open", place, make)
        self.paths[raw.fileno()] = place
        return io.BufferedWriter(raw) if writing else io.BufferedReader(raw)

    def call(self, name: str, path: str, function: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Make a call, or what it comes to."""
        number = len(self.calls)
        self.calls.append((name, path))
        names = WAYS.get(self.way)
        exactly = number == self.at
        if not (exactly or (self.way.endswith("from") and number > self.at and names and name in names)):
            return function()
        if "disk" in self.way:
            if half is not None:
                half()
            if name == "close":
                function()
            number = errno.ENOSPC if "full" in self.way else errno.EIO
            raise OSError(number, os.strerror(number), path)
        if self.way == "killed within" and half is not None:
            half()
        if self.way == "killed after":
            function()
        signal.raise_signal(signal.SIGKILL)
        return None


class _File(io.FileIO):
    faults: Faults

    def write(self, data: Any) -> int:
        found = memoryview(data)
        write = super().write
        return self.call("write", partial(write, found), partial(write, found[: len(found) // 2]))  # type: ignore[no-any-return]

    def readinto(self, buffer: Any) -> int | None:
        return self.call("read", partial(super().readinto, buffer))  # type: ignore[no-any-return]

    def readall(self) -> bytes:
        return self.call("read", super().readall)  # type: ignore[no-any-return]

    def close(self) -> None:
        if not self.closed and self.closefd:
            self.call("close", super().close)

    def call(self, name: str, *how: Any) -> Any:
        return self.faults.call(name, self.faults.paths[self.fileno()], *how)


def attempt(store: Store, faults: Faults) -> tuple[str, list[tuple[str, str]]]:
    """Publish in a process of its own; return what is said of it (empty if it was killed) and the calls made."""

    def work() -> str:
        faults.install()
        said = publish(store)
        return json.dumps([said, faults.calls])

    said, calls = json.loads(forked(work)[1]() or '["", []]')
    return said, calls


def _no_fsync(_: Any) -> None:
    """Nobody pulls the plug, so it only costs time; what it is good for shows in the order of the calls."""


def accounts(folder: Path) -> list[Any]:
    """The calls of a publish to each store where nothing goes wrong."""
    return [attempt(make(), Faults())[1] for _, make in stores(folder)]


def patched(folder: Path) -> list[Any]:
    """What comes of a fault of each kind at each call."""
    os.fsync = _no_fsync  # type: ignore[assignment]
    found = []
    for before, make in stores(folder):
        calls = attempt(make(), Faults())[1]
        for way, names in WAYS.items():
            for number, (name, path) in enumerate(calls):
                if names is None or name in names:
                    store = make()
                    said, _ = attempt(store, Faults(way, number))
                    found.append(examine(f"{way} {number}, {name} {path}", said, before, store))
                    shutil.rmtree(store.root.parent)
    return [asdict(outcome) for outcome in found]


# --- faults by the kernel

TRACED = "%file,%desc"
FAULTS = {"signal=SIGKILL": None, "error=EIO": None, "error=ENOSPC": {"write", "mkdir", "openat"}}
"""What strace can inject, and into which calls (None for all)."""


def traced(folder: Path) -> list[Any]:
    """What comes of faults that strace has the kernel make: nothing of ours is between Python and the system."""
    found, fsync = [], os.fsync
    os.fsync = _no_fsync  # type: ignore[assignment]
    for before, make in stores(folder):
        attempt_traced(make(), fsync, folder / "trace", f"--trace={TRACED}")
        calls = re.findall(r"^\d+ +(\w+)\(", (folder / "trace").read_text(), re.MULTILINE)
        calls.reverse()
        calls.remove("write")  # the last one tells the parent how it went
        for name, count in Counter(calls).items():
            for fault, names in FAULTS.items():
                for number in range(1, count + 1) if names is None or name in names else ():
                    store = make()
                    inject = f"{name}:{fault}:when={number}"
                    said = attempt_traced(store, fsync, Path(os.devnull), f"--trace={name}", f"--inject={inject}")
                    found.append(examine(inject, said, before, store))
                    shutil.rmtree(store.root.parent)
    return [asdict(outcome) for outcome in found]


def attempt_traced(store: Store, fsync: Callable[[Any], None], log: Path, *options: str) -> str:
    """Publish in a process of its own under strace; return what is said of it, empty if it was killed."""

    def work() -> str:
        os.fsync = fsync  # type: ignore[assignment]
        signal.raise_signal(signal.SIGSTOP)
        return publish(store)

    child, outcome = forked(work)
    os.waitpid(child, os.WUNTRACED)
    command = ["strace", "-f", "-qq", "-p", str(child), "-o", str(log), *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        status = Path(f"/proc/{child}/status")
        while strace.poll() is None and "TracerPid:\t0\n" in status.read_text():
            time.sleep(0.001)
        os.kill(child, signal.SIGCONT)
        said = outcome()
        complaint = strace.communicate()[1].decode()
    if complaint:
        raise SystemExit(complaint)
    return said


if __name__ == "__main__":
    ways = {"accounts": accounts, "patched": patched, "traced": traced}
    print(json.dumps(ways[sys.argv[1]](Path(sys.argv[2]))))

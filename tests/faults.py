"""Faults: one system call of some work on a store goes wrong, in a process that forks from this warm one."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from contract.store import Store

ROOT = Path(__file__).parents[1]
Work = Callable[[Store], str]
"""What is done to a store; returns what was said of it."""


@dataclass(frozen=True)
class Scenario:
    """Some work, the stores it is tried on, and what is looked at after a fault."""

    work: Work
    stores: Callable[[Path], list[tuple[Any, Callable[[], Store]]]]
    """Makers of stores in a folder, each with what is known of it."""
    examine: Callable[[str, str, Any, Store], Any]
    """From the fault, what was said (empty if the work was killed), what is known and the store: a dataclass."""


def run(module: str, *arguments: str) -> list[Any]:
    """What a module that ends in `tell` has to say of its scenarios."""
    command = [sys.executable, "-W", "error", "-m", f"tests.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def tell(scenario: Scenario, way: str, folder: Path) -> None:
    """Print what came of a scenario as JSON."""
    ways: dict[str, Callable[[Scenario, Path], list[Any]]] = {"accounts": accounts, "patched": patched}
    ways |= {"traced": traced, "sampled": partial(traced, share=SHARE)}
    print(json.dumps(ways[way](scenario, folder)))


# --- faults by standing between Python and the system

WRAPPED = {"open", "close", "read", "write", "fstat", "stat", "lstat", "access", "listdir", "scandir", "mkdir", "rmdir"}
WRAPPED |= {"rename", "replace", "link", "symlink", "unlink", "remove", "truncate", "ftruncate", "chmod", "utime"}
WRAPPED |= {"fsync", "fdatasync"}
GROWING = {"create", "write", "mkdir", "link"}
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


class Dead(BaseException):
    """What a process that lives on in the same interpreter dies of."""


@dataclass
class Faults:
    """Keeps account of the system calls of this thread, and has one of them go wrong in some way."""

    way: str = ""
    at: int = -1
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Name and path of each."""
    paths: dict[int, str] = field(default_factory=dict)
    """Of each open descriptor."""
    thread: int = field(default_factory=threading.get_ident)

    @property
    def dead(self) -> bool:
        """Whether nothing may reach the system any more."""
        return self.way == "dead from" and len(self.calls) > self.at

    def install(self) -> None:
        """Stand between the system and all that contract, pathlib, shutil and tempfile call."""
        for name in WRAPPED:
            setattr(os, name, partial(self.wrapped, name, getattr(os, name)))
        _File.faults, io.open = self, self.open  # type: ignore[assignment]

    def wrapped(self, name: str, function: Callable[..., Any], path: Any, *more: Any, **named: Any) -> Any:
        """Make a call of module `os`."""
        if threading.get_ident() != self.thread:
            return function(path, *more, **named)
        place = self.paths[path] if isinstance(path, int) else os.fspath(path)
        if "dir_fd" in named and named["dir_fd"] is not None:
            place = f"{self.paths[named['dir_fd']]}/{place}"
        if name in ("rename", "link"):
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
        was_dead, number = self.dead, len(self.calls)
        self.calls.append((name, path))
        if self.dead:
            if half is not None and not was_dead:
                half()
            if name == "close":
                return function()
            raise Dead
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
        if self.faults.dead:  # what a buffer still holds is lost
            return len(found)
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


@contextmanager
def dying(at: int | None) -> Iterator[None]:
    """From system call `at` on (None for never) what is done in this thread is as if its process had been killed."""
    functions, opened = {name: getattr(os, name) for name in WRAPPED}, io.open
    Faults("dead from", sys.maxsize if at is None else at).install()
    try:
        yield
    except Dead:
        pass
    finally:
        for name, function in functions.items():
            setattr(os, name, function)
        io.open = opened


def attempt(work: Work, store: Store, faults: Faults) -> tuple[str, list[tuple[str, str]]]:
    """Work in a process of its own; return what is said of it (empty if it was killed) and the calls made."""

    def faulty() -> str:
        faults.install()
        said = work(store)
        return json.dumps([said, faults.calls])

    said, calls = json.loads(forked(faulty)[1]() or '["", []]')
    return said, calls


def no_fsync(_: Any) -> None:
    """Nobody pulls the plug, so it only costs time; what it is good for shows in the order of the calls."""


def accounts(scenario: Scenario, folder: Path) -> list[Any]:
    """The calls made on each store where nothing goes wrong."""
    return [attempt(scenario.work, make(), Faults())[1] for _, make in scenario.stores(folder)]


def patched(scenario: Scenario, folder: Path) -> list[Any]:
    """What comes of a fault of each kind at each call."""
    os.fsync = no_fsync  # type: ignore[assignment]
    found = []
    for before, make in scenario.stores(folder):
        calls = attempt(scenario.work, make(), Faults())[1]
        for way, names in WAYS.items():
            for number, (name, path) in enumerate(calls):
                if names is None or name in names:
                    store = make()
                    said, _ = attempt(scenario.work, store, Faults(way, number))
                    found.append(scenario.examine(f"{way} {number}, {name} {path}", said, before, store))
                    shutil.rmtree(store.root.parent)
    return [asdict(outcome) for outcome in found]


# --- faults by the kernel

TRACED = "%file,%desc"
FAULTS = {"signal=SIGKILL": None, "error=EIO": None, "error=ENOSPC": {"write", "mkdir", "openat"}}
"""What strace can inject, and into which calls (None for all)."""
SHARE = 0.3
"""Of these faults, how many are made where not all are."""


def traced(scenario: Scenario, folder: Path, share: float = 1.0) -> list[Any]:
    """What comes of faults that strace has the kernel make: nothing of ours is between Python and the system."""
    found, fsync, draw = [], os.fsync, random.Random(0)
    os.fsync = no_fsync  # type: ignore[assignment]
    for before, make in scenario.stores(folder):
        attempt_traced(scenario.work, make(), fsync, folder / "trace", f"--trace={TRACED}")
        calls = re.findall(r"^\d+ +(\w+)\(", (folder / "trace").read_text(), re.MULTILINE)
        calls.reverse()
        calls.remove("write")  # the last one tells the parent how it went
        for name, count in Counter(calls).items():
            for fault, names in FAULTS.items():
                for number in range(1, count + 1) if names is None or name in names else ():
                    if draw.random() >= share:
                        continue
                    store = make()
                    inject = f"{name}:{fault}:when={number}"
                    said = attempt_traced(
                        scenario.work, store, fsync, Path(os.devnull), f"--trace={name}", f"--inject={inject}"
                    )
                    found.append(scenario.examine(inject, said, before, store))
                    shutil.rmtree(store.root.parent)
    return [asdict(outcome) for outcome in found]


def attempt_traced(work: Work, store: Store, fsync: Callable[[Any], None], log: Path, *options: str) -> str:
    """Work in a process of its own under strace; return what is said of it, empty if it was killed."""

    def held() -> str:
        os.fsync = fsync  # type: ignore[assignment]
        signal.raise_signal(signal.SIGSTOP)
        return work(store)

    child, outcome = forked(held)
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

"""contract.nursery: processes begin by forking, end with who asked for them, and share nothing else with it."""

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.nursery import Forked, Nursery, nursery_of
from tests.children import living, obedient, stored, until


@pytest.fixture(scope="module")
def kept() -> Iterator[Nursery]:
    """A nursery for all tests that do not harm it."""
    found = Nursery()
    yield found
    found.close()


def interpreter(found: Nursery) -> int:
    """The number of the process that forks."""
    assert found._process is not None
    return found._process.pid


def parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def descriptors(process: int) -> int:
    return len([*Path(f"/proc/{process}/fd").iterdir()])


def ended(ours: socket.socket, forked: Forked) -> None:
    """End a process as its socket does it, and see that it has."""
    ours.close()
    forked.wait()
    assert forked.pid not in living()


# --- one nursery


def test_a_process_is_forked_and_ends_with_its_socket(kept: Nursery) -> None:
    ours, forked = kept.fork()
    assert parent(forked.pid) == interpreter(kept)
    ended(ours, forked)
    forked.kill()  # which it does not mind


def test_no_descriptor_stays_and_no_process_that_has_ended(kept: Nursery) -> None:
    ended(*kept.fork())
    before = descriptors(os.getpid()), descriptors(interpreter(kept))
    for _ in range(5):
        for ours, forked in [kept.fork() for _ in range(40)]:
            ended(ours, forked)
    assert (descriptors(os.getpid()), descriptors(interpreter(kept))) == before
    children = Path(f"/proc/{interpreter(kept)}/task/{interpreter(kept)}/children").read_text().split()
    assert children == []  # also none that is dead


def test_those_who_ask_at_once_get_a_process_each(kept: Nursery) -> None:
    found: list[tuple[socket.socket, Forked]] = []
    threads = [threading.Thread(target=lambda: found.append(kept.fork())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({forked.pid for _, forked in found} & set(living())) == 16
    for ours, forked in found:
        ended(ours, forked)


def test_a_process_that_could_not_be_killed_is_not_wanted(kept: Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    ended(*kept.fork())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    receive, taken = socket.recv_fds, list[int]()

    def crowded(*arguments: Any) -> Any:
        """What comes while other threads have taken all descriptors."""
        highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 5, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        return receive(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(socket, "recv_fds", crowded)
        try:
            with pytest.raises(OSError, match="Too many open files"):
                kept.fork()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in taken:
                os.close(descriptor)
    children = Path(f"/proc/{interpreter(kept)}/task/{interpreter(kept)}/children")
    until(lambda: not children.read_text())
    ended(*kept.fork())


# --- a nursery that ends


def test_one_that_was_killed_begins_again_and_its_processes_live_on(kept: Nursery) -> None:
    ours, forked = kept.fork()
    before = interpreter(kept)
    os.kill(before, signal.SIGKILL)
    others = kept.fork()
    assert interpreter(kept) != before
    assert parent(others[1].pid) == interpreter(kept)
    ended(*others)
    assert forked.pid in living()
    assert not select.select([ours], [], [], 0)[0]  # it waits to be asked
    ended(ours, forked)


def test_one_that_says_nothing_is_given_up_and_what_it_says_later_is_not_heard(kept: Nursery) -> None:
    ended(*kept.fork())
    before = interpreter(kept)
    os.kill(before, signal.SIGSTOP)
    assert kept._socket is not None
    kept._socket.settimeout(0.05)
    with pytest.raises(TimeoutError, match="the process that starts it says nothing"):
        kept.fork()
    assert before not in living()
    ours, forked = kept.fork()
    assert parent(forked.pid) == interpreter(kept)
    ended(ours, forked)


def test_one_that_nobody_needs_ends(tmp_path: Path) -> None:
    found = Nursery(idle_s=0.05)
    ours, forked = found.fork()
    before = interpreter(found)
    until(lambda: before not in living())
    assert forked.pid in living()
    ended(ours, forked)
    found.close()


def test_where_none_can_begin_nothing_stays_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = descriptors(os.getpid())
    monkeypatch.setattr(sys, "executable", "/no/python")
    with pytest.raises(FileNotFoundError):
        Nursery().fork()
    assert descriptors(os.getpid()) == before
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    with pytest.raises(ChildProcessError, match="the process that starts it ended"):
        Nursery().fork()
    assert descriptors(os.getpid()) == before


# --- its keeper

KEEPER = """
import os, sys, time
from pathlib import Path
from contract.artifact import Artifact
from contract.child import Child
from contract.limits import Limits
from contract.nursery import nursery_of
os.environ["ADDED"] = "later"
sys.path.append("/nowhere")
sys.modules["forged"] = sys
folder = Path(sys.argv[1])
first = Child(Artifact(folder), "joblib", Limits(60, 60), warm=True)
print(*first.answer({"x0": [1.0], "x1": [0.0]}).values, flush=True)
parted = os.fork()
own = nursery_of(os.getpid())
if parted == 0:
    Child(Artifact(folder), "joblib", Limits(60, 60), warm=True).close()
print(os.getpid(), own._process.pid, flush=True)
time.sleep(3600)
"""


def test_a_keeper_gives_nothing_but_its_first_environment_and_a_copy_of_it_has_a_nursery_of_its_own(
    tmp_path: Path,
) -> None:
    told = tmp_path / "told"

    def tells() -> None:
        import json
        import os
        import sys

        told.write_text(json.dumps([os.environ.get("GIVEN"), "ADDED" in os.environ, sys.path, "forged" in sys.modules]))

    version = stored(tmp_path / "model", obedient({1.0: tells}))
    command = [sys.executable, "-c", KEEPER, str(version.folder)]
    given = os.environ | {"GIVEN": "at the start"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=given) as keeper:
        copy = 0
        try:
            assert keeper.stdout is not None
            assert keeper.stdout.readline() == "2.0\n"
            environment, added, path, forged = json.loads(told.read_text())
            assert (environment, added, "/nowhere" in path, forged) == ("at the start", False, False, False)
            lines = [keeper.stdout.readline().split() for _ in range(2)]
            nurseries = {int(process): int(nursery) for process, nursery in lines}
            (copy,) = set(nurseries) - {keeper.pid}
            assert nurseries[copy] != nurseries[keeper.pid]
            assert {parent(process): process for process in nurseries.values()} == nurseries
            keeper.kill()
            keeper.wait()
            until(lambda: nurseries[keeper.pid] not in living())  # the copy does not keep it
            assert nurseries[copy] in living()
        finally:
            keeper.kill()
            if copy:
                os.kill(copy, signal.SIGKILL)
        until(lambda: nurseries[copy] not in living())


def test_each_process_has_one_nursery() -> None:
    assert nursery_of(os.getpid()) is nursery_of(os.getpid())
    assert nursery_of(os.getpid()) is not nursery_of(0)

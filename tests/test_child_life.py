"""contract.child: a process that loads a file or says why not, and ends with its parent."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contract.artifact import Artifact
from contract.child import Child
from contract.errors import (
    ChecksumMismatch,
    EnvironmentMismatch,
    FormatMismatch,
    LecternError,
    LoadFailed,
    NotRegularFile,
    ResourceLimit,
)
from contract.formats import joblib
from contract.limits import Limits
from tests.children import PATIENCE_S, child_of, living, obedient, stored, until
from tests.samples import artifact


@pytest.fixture(params=[False, True], ids=["cold", "warm"])
def warm(request: pytest.FixtureRequest) -> bool:
    """Whether the child is forked from a warm process or is a new interpreter."""
    return bool(request.param)


# --- loading


class Unpickled:
    """Something that runs code when it is loaded."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> Any:
        return exec, (self.code,)


def pickled(folder: Path, content: bytes) -> Artifact:
    return artifact(folder, {joblib.FILE: content})


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (b"not a pickle", FormatMismatch, r"^model\.joblib is not in joblib's format\.$"),
        (
            b"\x80\x04cno_such_package\nThing\n.",
            EnvironmentMismatch,
            "^The model needs the package 'no_such_package', wh",
        ),
        (b"\x80\x04cos\nno_such_function\n.", LoadFailed, r"^model\.joblib could not be loaded \(AttributeError\)\.$"),
        (pickle.dumps(Unpickled("1 / 0")), LoadFailed, r"^model\.joblib could not be loaded \(ZeroDivisionError\)\.$"),
        (
            pickle.dumps(Unpickled("import os; os._exit(3)")),
            LoadFailed,
            r"^The process of the model died while it loaded",
        ),
        (
            pickle.dumps(Unpickled("import sys; sys.exit()")),
            LoadFailed,
            r"^The process of the model died while it loaded",
        ),
    ],
)
def test_a_file_that_does_not_load_says_why(
    tmp_path: Path, warm: bool, content: bytes, error: type[LecternError], says: str
) -> None:
    with pytest.raises(error, match=says):
        Child(pickled(tmp_path, content), "joblib", Limits(PATIENCE_S, 1), warm=warm)


def test_a_file_that_never_loads_is_given_up(tmp_path: Path, warm: bool) -> None:
    note = tmp_path / "note"
    code = f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(3600)"
    version = pickled(tmp_path, pickle.dumps(Unpickled(code)))
    if warm:
        with child_of(stored(tmp_path / "other", obedient({}))):  # its process is there from then on
            pass
    with pytest.raises(ResourceLimit, match=r"^The model was not loaded within 1 s\.$"):
        Child(version, "joblib", Limits(1, 1), warm=warm)
    assert not note.exists() or int(note.read_text()) not in living()


def test_a_damaged_file_is_not_unpickled(tmp_path: Path, warm: bool) -> None:
    marker = tmp_path / "unpickled"
    version = pickled(tmp_path, pickle.dumps(Unpickled(f"open({str(marker)!r}, 'w').close()")))
    path = version.folder / joblib.FILE
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(ChecksumMismatch, match=r"^model\.joblib is not the file that was published"):
        Child(version, "joblib", Limits(PATIENCE_S, 1), warm=warm)
    path.unlink()
    with pytest.raises(NotRegularFile, match=r"^model\.joblib is missing\.$"):
        Child(version, "joblib", Limits(PATIENCE_S, 1), warm=warm)
    assert not marker.exists()


def test_without_a_process_there_is_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = stored(tmp_path, obedient({}))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(LoadFailed, match=r"^No process for the model could be started: No such file or directory\.$"):
        Child(version, "joblib", Limits(1, 1))


# --- parent and child

PARENT = """
import os, signal, sys, threading
from pathlib import Path
from contract.artifact import Artifact
from contract.child import Child
from contract.limits import Limits
signal.signal(signal.SIGINT, lambda *_: None)
child = Child(Artifact(Path(sys.argv[1])), "joblib", Limits(60, 60), warm=sys.argv[2] == "True")
print(child.process_id, flush=True)
for line in sys.stdin:
    print(child.answer({"x0": [float(line)], "x1": [0.0]}).values, flush=True)
print({name.partition(".")[0] for name in sys.modules} & {"joblib", "cloudpickle", "sklearn", "pandas", "scipy"})
child.close()
"""


@contextmanager
def parent_of(version: Artifact, warm: bool) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A process with a child, in a process group of their own."""
    command = [sys.executable, "-c", PARENT, str(version.folder), str(warm)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        try:
            assert parent.stdout is not None
            yield parent, int(parent.stdout.readline())
        finally:
            parent.kill()


def asked(parent: "subprocess.Popen[str]", x0: float) -> str:
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(f"{x0}\n")
    parent.stdin.flush()
    return parent.stdout.readline()


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_a_child_ends_with_its_parent(tmp_path: Path, warm: bool, busy: bool) -> None:
    marker = str(tmp_path / "asked")

    def sleeps() -> None:
        Path(marker).touch()
        time.sleep(3600)

    with parent_of(stored(tmp_path, obedient({9: sleeps})), warm) as (parent, child):
        assert asked(parent, 1) == "[2.0]\n"
        if busy:
            assert parent.stdin is not None
            parent.stdin.write("9\n")
            parent.stdin.flush()
            until(Path(marker).exists)
        assert child in living()
        parent.kill()
        parent.wait()
        until(lambda: child not in living())
        until(lambda: parent.pid not in living().values())  # nor is there any other process that it began


def test_ctrl_c_is_for_the_parent(tmp_path: Path, warm: bool) -> None:
    with parent_of(stored(tmp_path, obedient({})), warm) as (parent, child):
        for _ in range(3):
            os.killpg(parent.pid, signal.SIGINT)
            assert asked(parent, 1) == "[2.0]\n"
        assert child in living()


def test_the_parent_loads_nothing_that_unpickles(tmp_path: Path, warm: bool) -> None:
    with parent_of(stored(tmp_path, obedient({})), warm) as (parent, child):
        assert asked(parent, 1) == "[2.0]\n"
        assert parent.communicate()[0] == "set()\n"
        assert parent.returncode == 0
        assert child not in living()
        until(lambda: parent.pid not in living().values())

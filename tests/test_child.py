"""contract.child: a model in a process of its own, which may do whatever it likes without harm to anybody else."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.answers import Answers, Columns
from contract.artifact import Artifact
from contract.child import Child
from contract.errors import (
    ChecksumMismatch,
    DeadlineExceeded,
    EnvironmentMismatch,
    FormatMismatch,
    LecternError,
    LoadFailed,
    ModelCrashed,
    NotRegularFile,
    PredictionFailed,
)
from contract.formats import joblib
from contract.signature import Field, Output, Signature
from tests.samples import artifact

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for something to be true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def living() -> dict[int, int]:
    """The process group of each process, without those that have ended and wait to be noticed."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended since the listing
            continue
        if state not in "ZX":
            found[int(path.parent.name)] = int(group)
    return found


# --- a model that does as it is told


def obedient(deeds: dict[float, Callable[[], Any]]) -> Any:
    """A model that doubles x0, but does something where the first x0 is a key of `deeds`. Travels by value."""

    class Model:
        def predict(self, rows: Any) -> Any:
            if rows[0, 0] in deeds:
                deeds[rows[0, 0]]()
            return rows[:, 0] * 2

    return Model()


def row(x0: float) -> Columns:
    return {"x0": [x0], "x1": [0.0]}


def stored(folder: Path, model: Any, **changes: Any) -> Artifact:
    """A version of a model."""
    folder.mkdir(exist_ok=True)
    joblib.save(model, folder / joblib.FILE)
    return artifact(folder, {joblib.FILE: (folder / joblib.FILE).read_bytes()}, **changes)


@contextmanager
def child_of(version: Artifact, *, warm: bool = True) -> Iterator[Child]:
    child = Child(version, "joblib", load_timeout_s=PATIENCE_S, answer_timeout_s=PATIENCE_S, warm=warm)
    with closing(child):
        yield child
    assert child.process_id not in living()


def peer() -> Any:
    """In the child: the socket to its parent."""
    import gc
    import socket

    return next(thing for thing in gc.get_objects() if isinstance(thing, socket.socket) and thing.fileno() >= 0)


@pytest.fixture(params=[False, True], ids=["cold", "warm"])
def warm(request: pytest.FixtureRequest) -> bool:
    """Whether the child is forked from a warm process or is a new interpreter."""
    return bool(request.param)


# --- answers


def test_a_child_answers_and_goes_on_after_a_model_that_raised(tmp_path: Path, warm: bool) -> None:
    def raises() -> None:
        raise ValueError("thirteen")

    with child_of(stored(tmp_path, obedient({13: raises})), warm=warm) as child:
        assert child.answer({"x0": [0.1, 2.0], "x1": [0.0, 0.0]}) == Answers([0.2, 4.0])
        for _ in range(2):
            with pytest.raises(PredictionFailed, match=r"^The model raised ValueError on these rows\.$"):
                child.answer(row(13))
            assert child.answer(row(3)) == Answers([6.0])
        with pytest.raises(PredictionFailed, match=r"^The model raised KeyError on these rows\.$"):
            child.answer({"x0": [1.0]})
        assert child.answer(row(4)) == Answers([8.0])


def test_what_a_model_prints_or_reads_is_nobodys(tmp_path: Path, warm: bool, capfd: pytest.CaptureFixture[str]) -> None:
    def prints() -> None:
        print("x" * 1_000_000, flush=True)
        os.write(1, b"y" * 1_000_000)
        subprocess.run(["echo", "z"], check=True)

    def reads() -> None:
        input()

    with child_of(stored(tmp_path, obedient({7: prints, 8: reads})), warm=warm) as child:
        assert child.answer(row(7)) == Answers([14.0])
        with pytest.raises(PredictionFailed, match="The model raised EOFError"):
            child.answer(row(8))
        assert child.answer(row(1)) == Answers([2.0])
    assert capfd.readouterr().out == ""


def test_values_arrive_as_they_were_sent(tmp_path: Path) -> None:
    class Describes:
        def predict(self, rows: Any) -> Any:
            return [repr([rows["t"].isna().tolist()[0], rows["n"].tolist()[0], rows["k"].tolist()[0]])]

        def predict_proba(self, rows: Any) -> Any:
            return [[len(str(rows["t"].tolist()[0])), 0.1]]

    fields = (
        Field(name="t", type="string", dtype="str", nullable=True),
        Field(name="n", type="float", dtype="float64", nullable=True),
        Field(name="k", type="integer", dtype="int64"),
    )
    labels = ("[False, 0.1, 4611686018427387905]", "[True, nan, -1]")
    output = Output(task="classification", labels=labels, classes=("é", True), probabilities=True)
    signature = Signature(container="frame", inputs=fields, output=output)
    with child_of(stored(tmp_path, Describes(), signature=signature)) as child:
        assert child.answer({"t": ["é\n\0\u2028"], "n": [0.1], "k": [2**62 + 1]}) == Answers(["é"], [[4.0, 0.1]])
        found = child.answer({"t": [None], "n": [None], "k": [-1]})
        assert (found.values[0] is True, found.probabilities) == (True, [[3.0, 0.1]])


def test_many_rows_are_answered(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=50_000)
    with child_of(stored(tmp_path, obedient({}))) as child:
        found = child.answer({"x0": numbers.tolist(), "x1": [None] * 50_000})
        assert found == Answers((numbers * 2).tolist())
        assert child.answer(row(1)) == Answers([2.0])


def test_children_do_not_mix(tmp_path: Path) -> None:
    first, second = stored(tmp_path / "a", obedient({})), stored(tmp_path / "b", obedient({}))
    with child_of(first) as one, child_of(second, warm=False) as two, child_of(first) as three:
        assert len({one.process_id, two.process_id, three.process_id, os.getpid()}) == 4
        assert [child.answer(row(n)).values for n, child in enumerate([one, two, three])] == [[0.0], [2.0], [4.0]]
        one.close()
        assert three.answer(row(5)) == Answers([10.0])


# --- a child that dies, hangs or lies


DEATHS: dict[str, Callable[[], Any]] = {
    "os._exit": lambda: os._exit(1),
    "sys.exit": lambda: sys.exit(0),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crashed": lambda: os.kill(os.getpid(), signal.SIGSEGV),
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_model_that_ends_its_process_has_crashed(tmp_path: Path, warm: bool, death: str) -> None:
    with child_of(stored(tmp_path, obedient({666: DEATHS[death]})), warm=warm) as child:
        assert child.answer(row(1)) == Answers([2.0])
        for _ in range(2):
            with pytest.raises(ModelCrashed, match=r"^The process of the model died while it worked on these rows\.$"):
                child.answer(row(666))
            assert child.process_id not in living()


def test_a_child_that_was_killed_has_crashed(tmp_path: Path, warm: bool) -> None:
    with child_of(stored(tmp_path, obedient({})), warm=warm) as child:
        os.kill(child.process_id, signal.SIGKILL)
        with pytest.raises(ModelCrashed, match="The process of the model died"):
            child.answer(row(1))


def test_a_model_that_takes_too_long_is_ended(tmp_path: Path, warm: bool) -> None:
    version = stored(tmp_path, obedient({999: lambda: time.sleep(3600)}))
    with child_of(version, warm=warm) as child:
        assert child.answer(row(1)) == Answers([2.0])
        child.answer_timeout_s = 0.5
        with pytest.raises(DeadlineExceeded, match=r"^The model did not answer within 0\.5 s\.$"):
            child.answer(row(999))
        assert child.process_id not in living()
        with pytest.raises(ModelCrashed, match="The process of the model died"):
            child.answer(row(1))


def test_a_child_that_never_stops_talking_is_ended(tmp_path: Path) -> None:
    def babble() -> None:
        parent = peer()
        parent.sendall(b"\x7f\xff\xff\xff")
        while True:
            parent.sendall(b" ")

    with child_of(stored(tmp_path, obedient({9: babble}))) as child:
        child.answer_timeout_s = 0.5
        with pytest.raises(DeadlineExceeded, match=r"^The model did not answer within 0\.5 s\.$"):
            child.answer(row(9))


NO_ANSWERS = [
    b"{}",
    b'{"error": "SystemExit", "message": "1"}',
    b'{"error": ["PredictionFailed"]}',
    b'{"values": [], "probabilities": null}',
    b'{"values": [1, 2], "probabilities": null}',
    b'{"values": 1, "probabilities": null}',
    b'{"values": {"0": 1}, "probabilities": null}',
    b'{"values": [1], "probabilities": []}',
    b'{"values": [1], "probabilities": 1}',
]
NO_FRAMES = [b"", b"[]", b"1", b"not JSON", b"\x80\x04N.", b"\xff"]


@pytest.mark.parametrize("content", [*NO_ANSWERS, *NO_FRAMES], ids=repr)
def test_a_child_that_says_nonsense_is_ended(tmp_path: Path, content: bytes) -> None:
    def lies() -> None:
        peer().sendall(len(content).to_bytes(4, "big") + content)

    with child_of(stored(tmp_path, obedient({8: lies}))) as child:
        says = "said something that is no answer, and was ended" if content in NO_ANSWERS else "died while it worked on"
        with pytest.raises(ModelCrashed, match=f"^The process of the model {says}"):
            child.answer(row(8))
        assert child.process_id not in living()


def test_a_question_that_was_given_up_is_not_answered_later(tmp_path: Path) -> None:
    marker = str(tmp_path / "asked")

    def sleeps() -> None:
        Path(marker).touch()
        time.sleep(1)

    script = """
import os, signal, sys, threading, time
from pathlib import Path
from contract.artifact import Artifact
from contract.child import Child
child = Child(Artifact(Path(sys.argv[1])), "joblib", load_timeout_s=60, answer_timeout_s=60)
def interrupt():
    while not os.path.exists(sys.argv[2]):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    child.answer({"x0": [9.0], "x1": [0.0]})
except KeyboardInterrupt:
    print("given up")
try:
    print(child.answer({"x0": [1.0], "x1": [0.0]}))
except Exception as error:
    print(repr(error))
"""
    version = stored(tmp_path, obedient({9: sleeps}))
    command = [sys.executable, "-c", script, str(version.folder), marker]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "given up\nModelCrashed('The process of the model died while it worked on these rows.')\n"


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
        Child(pickled(tmp_path, content), "joblib", load_timeout_s=PATIENCE_S, answer_timeout_s=1, warm=warm)


def test_a_file_that_never_loads_is_given_up(tmp_path: Path, warm: bool) -> None:
    note = tmp_path / "note"
    code = f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(3600)"
    version = pickled(tmp_path, pickle.dumps(Unpickled(code)))
    if warm:
        with child_of(stored(tmp_path / "other", obedient({}))):  # its process is there from then on
            pass
    with pytest.raises(LoadFailed, match=r"^The model was not loaded within 1 s\.$"):
        Child(version, "joblib", load_timeout_s=1, answer_timeout_s=1, warm=warm)
    assert not note.exists() or int(note.read_text()) not in living()


def test_a_damaged_file_is_not_unpickled(tmp_path: Path, warm: bool) -> None:
    marker = tmp_path / "unpickled"
    version = pickled(tmp_path, pickle.dumps(Unpickled(f"open({str(marker)!r}, 'w').close()")))
    path = version.folder / joblib.FILE
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(ChecksumMismatch, match=r"^model\.joblib is not the file that was published"):
        Child(version, "joblib", load_timeout_s=PATIENCE_S, answer_timeout_s=1, warm=warm)
    path.unlink()
    with pytest.raises(NotRegularFile, match=r"^model\.joblib is missing\.$"):
        Child(version, "joblib", load_timeout_s=PATIENCE_S, answer_timeout_s=1, warm=warm)
    assert not marker.exists()


def test_without_a_process_there_is_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = stored(tmp_path, obedient({}))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(LoadFailed, match=r"^No process for the model could be started: No such file or directory\.$"):
        Child(version, "joblib", load_timeout_s=1, answer_timeout_s=1)


# --- parent and child

PARENT = """
import os, signal, sys, threading
from pathlib import Path
from contract.artifact import Artifact
from contract.child import Child
signal.signal(signal.SIGINT, lambda *_: None)
child = Child(Artifact(Path(sys.argv[1])), "joblib", load_timeout_s=60, answer_timeout_s=60, warm=sys.argv[2] == "True")
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

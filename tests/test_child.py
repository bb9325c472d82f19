"""contract.child: a model in a process of its own, which may do whatever it likes without harm to anybody else."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.answers import Answers
from contract.errors import (
    DeadlineExceeded,
    ModelCrashed,
    PredictionFailed,
)
from contract.signature import Field, Output, Signature
from tests.children import child_of, living, obedient, peer, row, stored


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
    output = Output(task="classification", labels=labels, classes=("é", True), scores="probabilities")
    signature = Signature(container="frame", inputs=fields, output=output)
    with child_of(stored(tmp_path, Describes(), signature=signature)) as child:
        assert child.answer({"t": ["é\n\0\u2028"], "n": [0.1], "k": [2**62 + 1]}) == Answers(["é"], [[4.0, 0.1]])
        found = child.answer({"t": [None], "n": [None], "k": [-1]})
        assert (found.values[0] is True, found.scores) == (True, [[3.0, 0.1]])


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
    b'{"values": [], "scores": null}',
    b'{"values": [1, 2], "scores": null}',
    b'{"values": 1, "scores": null}',
    b'{"values": {"0": 1}, "scores": null}',
    b'{"values": [1], "scores": []}',
    b'{"values": [1], "scores": 1}',
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
from contract.limits import Limits
child = Child(Artifact(Path(sys.argv[1])), "joblib", Limits(60, 60))
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

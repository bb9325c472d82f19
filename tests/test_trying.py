"""contract.trying: what must hold of a version before anything relies on it, found out where it harms nobody."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from contract import golden
from contract.answers import Answers
from contract.artifact import Artifact
from contract.errors import (
    ArtifactError,
    ChecksumMismatch,
    FormatMismatch,
    PickleRefused,
    SelfTestFailed,
    SelfTestMismatch,
    SelfTestTimeout,
)
from contract.formats import joblib, onnx
from contract.limits import Limits
from contract.store import Store
from contract.trying import start, try_out
from serving.loading import load
from serving.settings import ServeSettings
from tests.exploding import fill, loop
from tests.live import (
    HANGS,
    RAISES,
    Times,
    X,
    damage,
    model_processes,
    multiplication,
    publish,
    publish_graph,
    republish,
    until,
)

LIMITS = Limits(30, 30, 1 << 30)
ROOT = Path(__file__).parents[1]


def graph_of(store: Store, **files: bytes) -> Artifact:
    """A version of the graph that doubles, with other files."""
    made = store.artifact("double", publish_graph(store, "double"))
    renamed = {name.replace("_", "."): content for name, content in files.items()}
    return store.artifact("double", republish(store, made, files=renamed))


def stands_back(process: int) -> bool:
    """Whether a process leaves the processor to this one."""
    try:
        return os.getpriority(os.PRIO_PROCESS, process) > os.getpriority(os.PRIO_PROCESS, 0)
    except ProcessLookupError:
        return False


def object_of(store: Store, value: float) -> Artifact:
    """A version of the object that doubles, with one golden row."""
    return store.artifact("double", publish(store, "double", Times(2.0), rows={"x": [value]}, answers=Answers([2.0])))


@pytest.mark.parametrize("make", [publish_graph, lambda store, name: publish(store, name, Times(2.0))])
def test_a_sound_version_leaves_nothing_behind(make: Callable[[Store, str], int], store: Store) -> None:
    before = set(model_processes(os.getpid()))
    try_out(store.artifact("double", make(store, "double")), LIMITS)
    assert set(model_processes(os.getpid())) <= before


FAULTY: dict[str, tuple[Callable[[Store], Artifact], Limits, type[ArtifactError], str]] = {
    "a graph that makes a tensor of 4 TiB": (
        lambda store: graph_of(store, model_onnx=fill()),
        LIMITS,
        SelfTestFailed,
        r"^The model could not answer its golden rows: The graph could not run these rows \(Fail\)\.$",
    ),
    "a graph that says something else": (
        lambda store: graph_of(store, model_onnx=multiplication(3.0)),
        LIMITS,
        SelfTestMismatch,
        r"^The model answers its golden rows otherwise than when it was fitted: a number differs by ",
    ),
    "a pickle by the name of a graph": (
        lambda store: graph_of(store, model_onnx=b"\x80\x04N."),
        LIMITS,
        FormatMismatch,
        r"^model\.onnx is not a graph that ONNX Runtime can run ",
    ),
    "an object that raises": (
        lambda store: object_of(store, RAISES),
        LIMITS,
        SelfTestFailed,
        r"^The model could not answer its golden rows: The model raised ValueError on these rows\.$",
    ),
    "an object where none is wanted": (
        lambda store: object_of(store, 1.0),
        Limits(30, 30, pickle="never"),
        PickleRefused,
        r"^The version is stored as joblib, which may run code as it is loaded; ",
    ),
}


@pytest.mark.parametrize("what", FAULTY)
def test_a_faulty_version_is_refused_and_leaves_nothing_behind(what: str, store: Store) -> None:
    make, limits, error, says = FAULTY[what]
    version, before = make(store), set(model_processes(os.getpid()))
    with pytest.raises(error, match=says):
        try_out(version, limits)
    assert set(model_processes(os.getpid())) <= before


def enough(version: Artifact) -> Limits:
    """Limits that a version which ends keeps on a busy machine, too: its process leaves the processor to others."""
    began = time.monotonic()
    try_out(version, LIMITS)
    return Limits(2 + 5 * (time.monotonic() - began), 30)


def test_a_graph_that_never_ends_is_given_up_and_leaves_nothing_behind(store: Store) -> None:
    before = set(model_processes(os.getpid()))
    limits = enough(graph_of(store))
    says = rf"^The model could not answer its golden rows: The model did not answer within {limits.load_timeout_s:g} s"
    with ThreadPoolExecutor(1) as pool:
        tried = pool.submit(try_out, graph_of(store, model_onnx=loop()), limits)
        until(lambda: any(map(stands_back, set(model_processes(os.getpid())) - before)))  # for what answers meanwhile
        with pytest.raises(SelfTestTimeout, match=rf"{says}\.$"):
            tried.result()
    assert set(model_processes(os.getpid())) <= before


def test_a_child_that_will_answer_stands_back_for_nobody(store: Store) -> None:
    child, example = start(graph_of(store), "onnx", LIMITS)
    with closing(child):
        assert len(example.values) == 1
        assert not stands_back(child.process_id)


def test_an_example_row_that_is_never_answered_is_given_up(store: Store) -> None:
    limits = enough(object_of(store, 1.0))
    example = X.model_copy(update={"inputs": (X.inputs[0].model_copy(update={"example": HANGS}),)})
    hangs = publish(store, "double", Times(2.0), signature=example, rows={"x": [1.0]}, answers=Answers([2.0]))
    says = rf"^The model could not answer its example row: The model did not answer within {limits.load_timeout_s:g} s"
    with pytest.raises(SelfTestTimeout, match=rf"{says}\.$"):
        try_out(store.artifact("double", hangs), limits)


@pytest.mark.parametrize("name", [onnx.FILE, golden.GOLDEN, "notes.txt"])
def test_a_damaged_file_is_not_tried(name: str, store: Store) -> None:
    version = graph_of(store, notes_txt=b"nobody reads them")
    damage(version, name)
    with pytest.raises(ChecksumMismatch, match=f"^{name} is not the file that was published"):
        try_out(version, LIMITS)


def test_a_pickle_under_another_name_is_never_unpickled(store: Store, tmp_path: Path) -> None:
    from tests.hostile import ALIVE

    marker = tmp_path / "marker"
    version = graph_of(store, model_onnx=ALIVE["os.mkdir"](marker), model_joblib=ALIVE["os.mkdir"](marker))
    with pytest.raises(FormatMismatch, match=r"^model\.onnx is not a graph"):
        try_out(version, LIMITS)
    assert not marker.exists()


# --- before the server's own process loads it


def test_what_was_tried_is_not_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_graph(store, "double")
    monkeypatch.setattr(sys, "executable", "/no/such/python")  # with which a child would be started
    assert load("double", 1, store.artifact("double", 1), ServeSettings(), tried=True).example == {"prediction": 2.0}
    with pytest.raises(ArtifactError, match=r"^No process for the model could be started"):
        load("double", 1, store.artifact("double", 1), ServeSettings())


def test_trying_a_graph_needs_nothing_that_takes_long_to_import(store: Store) -> None:
    version = graph_of(store)
    script = f"""
import sys
import time
from pathlib import Path
from contract import child
child._load({{"folder": {str(version.folder)!r}, "manifest": {version.manifest_sha256!r}, "format": "onnx"}})
heavy = {{"onnxruntime", "joblib", "pandas", "sklearn", "scipy", "skl2onnx", "onnx", "cloudpickle", "pyarrow", "torch"}}
print(sorted({{name.partition(".")[0] for name in sys.modules}} & heavy))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "['onnxruntime']\n"
    assert joblib.FILE not in version.manifest.files

"""The service as a user starts it: a process of its own on a free port; and small models to put into its store."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx

from contract import golden
from contract.answers import Answers, Columns
from contract.artifact import Artifact
from contract.formats import joblib, onnx
from contract.formats.joblib import FittedObject
from contract.manifest import Onnx, Runtime
from contract.signature import Field, Output, Signature
from contract.signing import Signer
from contract.store import Store
from tests.samples import sealed

ROOT = Path(__file__).parents[1]
PATIENCE_S = 120.0
T = TypeVar("T")


def until(condition: Callable[[], T], *, within_s: float = PATIENCE_S) -> T:
    """Wait for something to be true, and return it."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not happen within {within_s:g} s"
        time.sleep(0.02)
    return found


# --- the service


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen[str]
    folder: Path
    client: httpx.Client
    url: str = ""

    @property
    def printed(self) -> str:
        """What stands on its standard output so far."""
        return (self.folder / "out").read_text()

    @property
    def complaints(self) -> str:
        """What stands on its standard error so far."""
        return (self.folder / "err").read_text()

    def wait(self) -> None:
        """Wait until it says where it answers."""
        self.url = until(self._address)
        self.client.base_url = httpx.URL("http://localhost" if self.url.startswith("unix:") else self.url)

    def _address(self) -> str:
        assert self.process.poll() is None, f"the service ended:\n{self.printed}{self.complaints}"
        found = re.search(r"^Lectern answers at (\S+)", self.printed, re.MULTILINE)
        return found[1] if found and "Ctrl-C stops it." in self.printed else ""

    def get(self, path: str) -> Any:
        """The document at a path."""
        return self.client.get(path).json()

    def predict(self, body: Any, path: str = "/predict") -> httpx.Response:
        """Send rows."""
        return self.client.post(path, json=body)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """End it as a terminal does (Ctrl-C is sent to all its processes) or an operator; return its exit code."""
        if how == signal.SIGINT:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)


@contextmanager
def running(
    store: Path | Store,
    *,
    command: Sequence[str] = (sys.executable, "-m", "serving"),
    environment: Mapping[str, str] | None = None,
    announced: bool = True,
    logged: bool = False,
    **settings: Any,
) -> Iterator[Service]:
    """Serve a store on a free port, with settings by field name; wait until it says where it answers.

    Unless its predictions are to be `logged`, it keeps no log of them: to import what that takes costs half a second.
    """
    root = store.root if isinstance(store, Store) else store
    own = {name: value for name, value in os.environ.items() if not name.startswith("LECTERN_")}
    transport = httpx.HTTPTransport(uds=str(settings["socket"])) if "socket" in settings else None
    usual: dict[str, Any] = {"store": root, "port": 0} | ({} if logged else {"prediction_log": "none"})
    given = {f"LECTERN_{name.upper()}": str(value) for name, value in (usual | settings).items()}
    with tempfile.TemporaryDirectory(prefix="lectern-live-") as name:
        folder = Path(name)
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            process = subprocess.Popen(
                command,
                env=own | dict(environment or {}) | given,
                cwd=ROOT,
                stdout=out,
                stderr=err,
                text=True,
                start_new_session=True,
            )
        before = set[int]()
        try:
            with httpx.Client(timeout=PATIENCE_S, trust_env=False, transport=transport) as client:
                service = Service(process, folder, client)
                if announced:
                    service.wait()
                yield service
                before = set(descendants(process.pid))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(PATIENCE_S)
            for orphan in before & set(processes()):
                until(lambda process_id=orphan: process_id not in processes())  # type: ignore[misc]


def processes() -> dict[int, int]:
    """The parent of each process that lives, zombies left out."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it ended since the listing
            continue
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def descendants(process: int) -> list[int]:
    """The children of a process, theirs, and so on."""
    parents = processes()
    children = [child for child, parent in parents.items() if parent == process]
    return children + [found for child in children for found in descendants(child)]


def model_processes(process: int) -> list[int]:
    """The processes below another one in which models run."""
    parents = processes()

    def runs_models(found: int) -> bool:
        forked = "contract.nursery" in _command(found) and "contract.nursery" in _command(parents.get(found, 0))
        return forked or "\0contract.child\0" in _command(found)

    return [found for found in descendants(process) if runs_models(found)]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:  # it has ended
        return ""


# --- models

X = Signature(
    container="frame",
    inputs=(Field(name="x", type="float", dtype="float64", observed=(-100, 1000), example=1.0),),
    output=Output(task="regression"),
)
RAISES, DIES, HANGS, WAITS = 13.0, 666.0, 999.0, 5.0


class Times:
    """Multiplies x by `factor`; four values of x make it misbehave. What it is asked is written down in `folder`."""

    def __init__(self, factor: float, folder: Path | None = None) -> None:
        self.factor = factor
        self.folder = folder

    def predict(self, frame: Any) -> Any:
        """One product a row."""
        import os
        import time

        asked = frame["x"].tolist()
        if self.folder is not None:
            with (self.folder / "asked").open("a") as file:
                file.write(f"{asked}\n")
        if 13.0 in asked:
            raise ValueError("thirteen")
        if 666.0 in asked:
            os._exit(1)
        while 999.0 in asked or (self.folder is not None and 5.0 in asked and not (self.folder / "go").exists()):
            time.sleep(0.01)
        return frame["x"] * self.factor


class Says:
    """Answers with functions of the rows, by the names of the methods they stand for."""

    def __init__(self, **methods: Callable[[Any], Any]) -> None:
        vars(self).update(methods)


def once_there(path: Path, fitted: Any) -> Any:
    """The fitted object, but not before there is a file."""
    while not path.exists():
        time.sleep(0.01)
    return fitted


class Unpickled:
    """Something that calls `function` when it is loaded."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        """What pickle writes."""
        return self.call


def publish(
    store: Store,
    name: str,
    fitted: Any,
    *,
    signature: Signature = X,
    rows: Columns | None = None,
    answers: Answers | None = None,
    **changes: Any,
) -> int:
    """Make a version of any object with `predict`, which runs in a child process.

    Its golden rows are `rows`, or twice the example, and their answers its own if none are given.
    """
    import cloudpickle

    rows = rows or {field.name: [field.example] * 2 for field in signature.inputs}
    answers = answers or FittedObject(fitted, signature).answer(rows)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        content = cloudpickle.dumps(fitted)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    files = {joblib.FILE: content, golden.GOLDEN: golden.write(rows, answers)}
    return store.publish(sealed(store, files, model=name, signature=signature, **changes))


def publish_graph(store: Store, name: str, factor: float = 2.0, *, signer: Signer | None = None, **changes: Any) -> int:
    """Make a version that multiplies x by `factor`, as ONNX."""
    rows: Columns = {"x": [1.0, 2.0]}
    answers = Answers([factor, 2 * factor])
    files = {onnx.FILE: multiplication(factor), golden.GOLDEN: golden.write(rows, answers)}
    runtime = Runtime(format="onnx", onnx=Onnx(layout="matrix", dtype="float64", max_difference=0.0))
    stage = sealed(store, files, **{"model": name, "signature": X, "runtime": runtime} | changes)
    return store.publish(stage, signer)


def republish(
    store: Store,
    artifact: Artifact,
    *,
    without: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
    **changes: Any,
) -> int:
    """Make one more version out of an artifact, with other files or another manifest."""
    stage = store.stage()
    kept = {name: artifact.read(name) for name in artifact.manifest.files if name not in without}
    for name, content in (kept | dict(files or {})).items():
        stage.path(name).write_bytes(content)
    stage.seal(artifact.manifest.model_copy(update=changes))
    return store.publish(stage)


def damage(artifact: Artifact, name: str) -> None:
    """Flip one bit in the middle of a file."""
    path = artifact.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@cache
def multiplication(factor: float) -> bytes:
    """An ONNX graph that multiplies x by `factor`."""
    from onnx import TensorProto, helper

    product = helper.make_node("Mul", [onnx.MATRIX, "factor"], ["product"])
    graph = helper.make_graph(
        [product],
        "multiplication",
        [helper.make_tensor_value_info(onnx.MATRIX, TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor_value_info("product", TensorProto.DOUBLE, [None, 1])],
        [helper.make_tensor("factor", TensorProto.DOUBLE, [1], [factor])],
    )
    opset = [helper.make_opsetid("", 17)]
    content: bytes = helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    return content

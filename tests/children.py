"""Models in processes of their own: versions to load there, and which processes live."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from contract.answers import Columns
from contract.artifact import Artifact
from contract.child import Child
from contract.formats import joblib
from contract.limits import Limits
from tests.samples import artifact

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
    """One row."""
    return {"x0": [x0], "x1": [0.0]}


def stored(folder: Path, model: Any, **changes: Any) -> Artifact:
    """A version of a model."""
    folder.mkdir(exist_ok=True)
    joblib.save(model, folder / joblib.FILE)
    return artifact(folder, {joblib.FILE: (folder / joblib.FILE).read_bytes()}, **changes)


@contextmanager
def child_of(version: Artifact, *, warm: bool = True) -> Iterator[Child]:
    child = Child(version, "joblib", Limits(PATIENCE_S, PATIENCE_S), warm=warm)
    with closing(child):
        yield child
    assert child.process_id not in living()


def peer() -> Any:
    """In the child: the socket to its parent."""
    import gc
    import socket

    return next(thing for thing in gc.get_objects() if isinstance(thing, socket.socket) and thing.fileno() >= 0)

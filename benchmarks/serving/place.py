"""A server: what it needs, how it is started, how it takes rows; and the place in which it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving.shapes import Shape

APPS = Path(__file__).parent / "apps"
USUAL = frozenset({"one-row", "thousand-rows", "cold", "memory"})


@dataclass(frozen=True)
class Place:
    """Where a server runs."""

    bin: Path
    """The commands of its environment."""
    models: Path
    folder: Path
    """Its own, empty but for `files`."""
    port: int
    spare_ports: tuple[int, int]
    model: str

    @property
    def file(self) -> Path:
        """The fitted model."""
        return self.models / f"{self.model}.joblib"


Command = Callable[[Place], list[str]]


@dataclass(frozen=True)
class Server:
    """One line of the table."""

    name: str
    title: str
    shape: Shape
    command: Command
    environment: str = ""
    requirements: tuple[str, ...] = ()
    """Exact; none means our own .venv."""
    prepare: Command | None = None
    """Run once before it is started."""
    files: Callable[[Place], dict[str, str]] = lambda _: {}
    variables: dict[str, str] = field(default_factory=dict)
    model: str = "iris"
    cases: frozenset[str] = USUAL
    family: str = ""
    """Measured together with whatever else has the same; `--only` takes it as a name."""


def environment_of(place: Place, server: Server) -> dict[str, str]:
    """The variables of a server's process: nothing of the shell that runs the benchmark, and no report home."""
    return {
        "PATH": f"{place.bin}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(place.folder),
        "BENTOML_HOME": str(place.folder / "bentoml"),
        "MODEL": str(place.file),
        "ANSWERS": str(place.models / "answers.json"),
        "LECTERN_STORE": str(place.folder / "store"),
        "DO_NOT_TRACK": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "LC_ALL": "C.UTF-8",
        **({"PYTHONPATH": str(APPS)} if server.requirements else {}),
        **server.variables,
    }

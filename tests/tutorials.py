"""The tutorials against a live service on a store of its own, with two example models in it.

python -m tests.tutorials           runs them in place, and keeps their new outputs
python -m tests.tutorials --check   compares every cell with its committed output, strictly (nbval)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from notebooks import tidy
from tests.live import running

HOME = Path(__file__).parents[1] / "notebooks"
TUTORIALS = sorted(HOME.glob("tutorials/*.ipynb"))
EXAMPLES = [HOME / "training" / f"{name}.ipynb" for name in ("cardio", "iris")]  # those of the first `make serve`
CELL_TIMEOUT_S = 120


@contextmanager
def live() -> Iterator[dict[str, str]]:
    """A service with two example models; gives the environment by which a notebook finds it and its store."""
    with tempfile.TemporaryDirectory(prefix="lectern-tutorials-") as folder:
        store = Path(folder) / "artifacts"
        train = [sys.executable, "-m", "pipeline", "train", "--store", str(store), *map(str, EXAMPLES)]
        subprocess.run(train, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with served(store) as environment:
            yield environment


@contextmanager
def served(store: Path) -> Iterator[dict[str, str]]:
    """The same for a store that holds the two."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with running(store, logged=True) as service:
        yield own | {"LECTERN_URL": service.url, "LECTERN_STORE": str(store)}


def check(environment: dict[str, str]) -> int:
    """Run the tutorials under nbval, side by side; return pytest's exit code.

    The first one shows every model that there is, so it goes before those that make some.
    """
    first, *others = TUTORIALS
    return _check(environment, [first]) or _check(environment, others, "--numprocesses", "2", "--dist", "loadfile")


def _check(environment: dict[str, str], tutorials: list[Path], *how: str) -> int:
    plugins = ["-p", "nbval.plugin", "-p", "tests.nbval_repairs"]
    flags = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout", str(CELL_TIMEOUT_S)]
    command = [sys.executable, "-m", "pytest", "--quiet", *plugins, *flags, *how, *map(str, tutorials)]
    return subprocess.run(command, env=environment, check=False).returncode


def renew(environment: dict[str, str]) -> int:
    """Run the tutorials in place."""
    for path in TUTORIALS:
        print(path.name, flush=True)
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        with tempfile.TemporaryDirectory(prefix="lectern-") as sockets:
            client = NotebookClient(
                notebook,
                kernel_name="python3",
                timeout=CELL_TIMEOUT_S,
                record_timing=False,
                resources={"metadata": {"path": str(path.parent)}},
                config=Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/s"}}),
            )
            client.execute(env=environment)
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    return tidy.main([str(path) for path in TUTORIALS])


if __name__ == "__main__":
    with live() as found:
        sys.exit(check(found) if "--check" in sys.argv else renew(found))

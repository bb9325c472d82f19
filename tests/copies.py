"""A service that notes, whenever it loads a graph, how many it has in memory then; `python -m tests.copies`."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any
from weakref import WeakSet

from contract.formats.graph import Graph

NOTES = "TEST_COPIES"
"""The variable that names the file with these numbers."""


def main() -> None:
    """Serve, and note."""
    gc.disable()  # what stays until somebody looks for it stays for long
    alive: WeakSet[Graph] = WeakSet()
    begin, lock, notes = Graph.__init__, threading.Lock(), Path(os.environ[NOTES])

    def begun(self: Graph, *given: Any, **named: Any) -> None:
        begin(self, *given, **named)
        with lock, notes.open("a") as file:
            alive.add(self)
            file.write(f"{len(alive)}\n")

    Graph.__init__ = begun  # type: ignore[method-assign]  # it is only counted
    from serving.verbs import app

    app(prog_name="python -m tests.copies")


if __name__ == "__main__":
    main()

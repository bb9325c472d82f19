"""Publishes a model's newest version once more: `python -m benchmarks.serving.republish STORE MODEL`.

It says `ready` once everything is imported and staged, waits for a line, and prints the number of the new version.
"""

from __future__ import annotations

import sys
from pathlib import Path

from contract.store import Store

if __name__ == "__main__":
    store = Store(Path(sys.argv[1]))
    newest = store.artifact(sys.argv[2])
    stage = store.stage()
    for name in newest.manifest.files:
        stage.path(name).write_bytes(newest.read(name))
    stage.seal(newest.manifest)
    print("ready", flush=True)
    sys.stdin.readline()
    print(store.publish(stage), flush=True)

"""Publishes and promotes a model's newest version once more: `python -m benchmarks.serving.republish STORE MODEL`.

It says `ready` once everything is imported and staged, waits for a line, and prints the number of the new version.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from contract.deploying import Deployer, who
from contract.limits import Limits
from contract.store import Store
from contract.trying import try_out

_LIMITS = Limits(load_timeout_s=60, answer_timeout_s=60)

if __name__ == "__main__":
    store = Store(Path(sys.argv[1]))
    newest = store.artifact(sys.argv[2])
    stage = store.stage()
    for name in newest.manifest.files:
        stage.path(name).write_bytes(newest.read(name))
    stage.seal(newest.manifest)
    print("ready", flush=True)
    sys.stdin.readline()
    version = store.publish(stage)
    Deployer(store, who(), partial(try_out, limits=_LIMITS)).promote(sys.argv[2], version)
    print(version, flush=True)

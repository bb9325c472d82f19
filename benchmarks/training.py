"""What a run costs beside its own code, and what a sweep gains from the cores; `make bench-training`.

Goals: a run takes at most 2 s more than the same code as a script and the start of a kernel; 16 runs of a notebook that
computes for one second take at most 0.6 of the time side by side on two cores that they take one after the other.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

PARAMETERS = "number: int = 0  # tells the runs apart"
WORK = """
import time
end = time.process_time() + 1
while time.process_time() < end:
    sum(range(10_000))
"""
EXPORT = """
import numpy as np
from sklearn.linear_model import LinearRegression
from pipeline import export

rows = np.arange(60.0).reshape(-1, 2)
export(LinearRegression().fit(rows, rows[:, 0]), "bench", rows, rows[:, 0])
"""
RUNS = 16
REPEATS = 3

PHASES = """
import json, sys, tempfile, threading, time
marks = [("began", time.perf_counter())]
def mark(name): marks.append((name, time.perf_counter()))
from pathlib import Path
from contract.store import Store
from pipeline.settings import TrainSettings
from pipeline.verbs import training as verb
mark("import the command")
from pipeline.running.planning import Planner
import pipeline.running.training as training
mark("import nbformat")
store, settings = Store(Path(sys.argv[2])), TrainSettings()
plan = Planner(Path(sys.argv[1])).plan({})
plan.made_before(store)
mark("plan and recognise")
from pipeline.running import records, report
from pipeline.running.execution import Execution
mark("import papermill")
with training.stage_of(store) as stage, tempfile.TemporaryDirectory() as name:
    own = {"LECTERN_STORE": str(store.root), "LECTERN_TRAIN_STAGE": str(stage.folder)}
    import os
    threading.Thread(target=report.get_ready, daemon=True).start()
    executed, failure = Execution(settings, {**os.environ, **own}, plan.mask).run(
        plan.source, plan.notebook, plan.given, Path(name), progress=False)
    assert failure is None, failure
    mark("start the kernel, run the cells, stop the kernel")
    report.render(executed, "bench")
    mark("render the report")
cells = sum(cell.metadata.papermill.duration or 0 for cell in executed.cells)
found = {name: end - start for (_, start), (name, end) in zip(marks, marks[1:])}
found["  of which the cells"] = cells
print(json.dumps(found))
"""
KERNEL = """
import time
from jupyter_client.manager import start_new_kernel
began = time.perf_counter()
manager, client = start_new_kernel()
print(time.perf_counter() - began)
client.stop_channels()
manager.shutdown_kernel(now=True)
"""


def notebook(path: Path, *cells: str) -> Path:
    """A training notebook of these cells."""
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])  # type: ignore[no-untyped-call]
    document.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(document, path)  # type: ignore[no-untyped-call]
    return path


def took(command: Sequence[str], **options: Any) -> tuple[float, float]:
    """Seconds on the clock, and of all cores together."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    wall, after = time.perf_counter() - began, os.times()
    cores = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cores


def said(code: str, *arguments: str) -> Any:
    """What a process prints, read as JSON."""
    command = [sys.executable, "-c", code, *arguments]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def overhead(folder: Path) -> None:
    """A run against the same code as a script."""
    path = notebook(folder / "bench.ipynb", PARAMETERS, WORK, EXPORT)
    script = folder / "bench.py"
    script.write_text(f"{PARAMETERS}\n{WORK}\n{EXPORT}")
    lectern = [sys.executable, "-m", "pipeline", "train", str(path), "--force", "--store", str(folder / "store")]
    own = os.environ | {"LECTERN_STORE": str(folder / "store")}
    runs, scripts, kernels = [], [], []
    for _ in range(REPEATS):
        runs.append(took(lectern))
        scripts.append(took([sys.executable, str(script)], env=own))
        kernels.append(float(said(KERNEL)))
    run, plain = (statistics.median(wall for wall, _ in times) for times in (runs, scripts))
    kernel = statistics.median(kernels)
    busy, plainly = (statistics.median(cores for _, cores in times) for times in (runs, scripts))
    print(f"of all cores together a run takes {busy:.2f} s and the script {plainly:.2f} s")
    print(f"a run {run:.2f} s, the same code as a script {plain:.2f} s, a kernel's start {kernel:.2f} s")
    print(f"overhead beside the kernel's start: {run - plain - kernel:.2f} s (goal: at most 2)")
    for name, seconds in said(PHASES, str(path), str(folder / "store")).items():
        print(f"  {seconds:6.2f} s  {name}")


def gain(folder: Path) -> None:
    """The runs of a sweep side by side against one after the other."""
    path = notebook(folder / "second.ipynb", PARAMETERS, WORK, EXPORT)
    numbers = ",".join(map(str, range(RUNS)))
    walls = {}
    for jobs in (1, 2):
        command = [sys.executable, "-m", "pipeline", "sweep", str(path), "-p", f"number={numbers}", "--jobs", str(jobs)]
        wall, cores = took([*command, "--force", "--store", str(folder / f"store-{jobs}")])
        walls[jobs] = wall
        print(f"{RUNS} runs, {jobs} at once: {wall:.1f} s, {cores / wall:.2f} cores busy with them")
    print(f"ratio: {walls[2] / walls[1]:.2f} (goal: at most 0.6)")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        overhead(Path(name))
        gain(Path(name))

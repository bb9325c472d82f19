"""Runs of training notebooks: real kernels on small notebooks, and every way in which one can end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import pytest

from contract.artifact import Artifact
from contract.errors import ParametersRefused, PublishFailed, RunFailed
from contract.store import Store
from pipeline.running.notebooks import MAX_NOTEBOOK_BYTES
from pipeline.running.training import train
from pipeline.settings import TrainSettings
from tests import test_sweeping
from tests.conftest import WriteNotebook
from tests.live import until

PARAMETERS = "factor: float = 2.0  # slope\nnote: str = 'none'"
EXPORT = """
import numpy as np
from pipeline import export

class Line:
    def __init__(self, factor):
        self.factor = factor

    def predict(self, rows):
        return rows[:, 0] * self.factor

rows = np.arange(30.0).reshape(-1, 1)
export(Line(factor), "line", rows, rows * 2)
""".strip()
STAGED = "import os\nfrom pathlib import Path\nos.environ['OMP_NUM_THREADS'] = '1'" + test_sweeping.EXPORT
"""What `export` leaves, for runs that are to fail after it: it loads no library."""
WHOLE = {"manifest.json", "model.joblib", "golden.json", "baseline.json", "evaluation.parquet", "notebook.ipynb"} | {
    "report.html"
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)


def entries(store: Store) -> list[str]:
    return sorted(path.name for path in store.root.iterdir()) if store.root.exists() else []


def statuses(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell["metadata"]["papermill"]["status"] for cell in cells if cell["cell_type"] == "code"]


def assert_whole(artifact: Artifact, files: AbstractSet[str] = WHOLE) -> None:
    artifact.verify()
    assert {path.name for path in artifact.folder.iterdir()} == files == {"manifest.json", *artifact.manifest.files}
    assert artifact.manifest.run.notebook
    assert set(statuses(artifact.folder / "notebook.ipynb")) == {"completed"}


# --- a run that succeeds


def test_a_run_becomes_a_whole_version(
    write_notebook: WriteNotebook, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LECTERN_STORE", "/elsewhere")
    elsewhere = {"kernelspec": {"name": "conda-env-r", "display_name": "R", "language": "R"}}
    probe = "import json, os\nopen('seen', 'w').write(json.dumps([os.getcwd(), os.environ['LECTERN_STORE']]))"
    notebook = write_notebook(PARAMETERS, probe, EXPORT, name="a {factor} ü/note {} book", **elsewhere)
    source, before, folder = notebook.read_bytes(), dict(os.environ), Path.cwd()

    trained = train(notebook, {"factor": "2.5"}, store, TrainSettings())

    assert (trained.manifest.model, trained.version, trained.folder) == ("line", 1, store.root / "line" / "1")
    assert entries(store) == ["line"]
    artifact = store.artifact("line", 1)
    assert_whole(artifact)
    manifest = artifact.manifest
    assert manifest == trained.manifest
    assert repr(manifest.parameters) == "{'factor': 2.5, 'note': 'none'}"
    assert (manifest.run.kind, manifest.run.notebook) == ("papermill", "note {} book.ipynb")
    assert (manifest.run.duration_s or 0) > 0
    assert re.fullmatch(r"\d{8}-\d{6}-note-book-[0-9a-f]{8}", manifest.run.id)
    assert re.fullmatch(r"[0-9a-f]{64}", manifest.run.digest)
    assert manifest.run.started is not None
    assert manifest.metrics["mae"] == pytest.approx(0.5 * 14.5)
    executed = (artifact.folder / "notebook.ipynb").read_text(encoding="utf-8")
    assert "factor = 2.5" in executed
    assert "line staged, a version as soon as the run ends" in executed
    assert "<title>note {} book</title>" in (artifact.folder / "report.html").read_text(encoding="utf-8")

    assert json.loads((notebook.parent / "seen").read_text()) == [str(notebook.parent), str(store.root)]
    assert (notebook.read_bytes(), dict(os.environ), Path.cwd()) == (source, before, folder)


def test_the_example_notebooks_become_versions(example_store: Store) -> None:
    assert {model: example_store.versions(model) for model in example_store.models()} == {"cardio": [1], "iris": [1]}
    for model, format_name in (("iris", "onnx"), ("cardio", "onnx")):
        artifact = example_store.artifact(model)
        artifact.verify()
        assert artifact.manifest.runtime.format == format_name
        assert artifact.manifest.metrics["accuracy"] > 0.7
    assert [name for name in entries(example_store) if name != ".log"] == ["cardio", "iris"]


# --- runs that fail


@pytest.mark.parametrize(
    ("cells", "message", "marks", "shown"),
    [
        (
            ["x = 1\nx / 0", EXPORT],
            "failed in code cell 2 of 3: ZeroDivisionError: division by zero\n    x = 1\n    x / 0\n",
            ["completed", "completed", "failed", "pending"],
            "ZeroDivisionError",
        ),
        (
            [STAGED, "raise KeyError('after the export')"],
            "failed in code cell 3 of 3: KeyError: 'after the export'\n    raise KeyError",
            ["completed", "completed", "completed", "failed"],
            "KeyError",
        ),
        (
            [EXPORT, EXPORT],
            "failed in code cell 3 of 3: ExportRefused: This run has exported a model already; one training notebook",
            ["completed", "completed", "completed", "failed"],
            "ExportRefused",
        ),
        (
            [STAGED, "import sys\nsys.exit(0)", "1"],
            "failed in code cell 3 of 4: the cell ended the run with SystemExit\n    import sys\n    sys.exit(0)\n",
            ["completed", "completed", "completed", "failed", "pending"],
            "SystemExit",
        ),
        (
            ["import sys\nsys.exit('enough')", EXPORT],
            "failed in code cell 2 of 3: SystemExit: enough\n",
            ["completed", "completed", "failed", "pending"],
            "SystemExit",
        ),
        (
            [STAGED, "import os\nos._exit(0)", "1"],
            "failed in code cell 3 of 4: the kernel died while it ran the cell (out of memory, or the code ended it)\n",
            ["completed", "completed", "completed", "failed", "pending"],
            "the kernel died while it ran the cell",
        ),
        (
            ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"],
            "failed in code cell 2 of 2: the kernel died while it ran the cell",
            ["completed", "completed", "failed"],
            "the kernel died while it ran the cell",
        ),
        (
            ["import time\ntime.sleep(600)", EXPORT],
            "failed in code cell 2 of 3: the cell took longer than 2 s (LECTERN_TRAIN_CELL_TIMEOUT_S)\n    import",
            ["completed", "completed", "failed", "pending"],
            "the cell took longer than 2 s",
        ),
        (
            ["print(factor)"],
            'failed: it ran to its end, but no cell called export: end it with `export(model, "name"',
            ["completed", "completed", "completed"],
            "3.0",
        ),
    ],
    ids=["raises", "after-export", "two-exports", "exit-0", "exit-text", "os-exit", "killed", "timeout", "no-export"],
)
def test_a_run_that_fails_makes_no_version_and_keeps_its_notebook(
    write_notebook: WriteNotebook, store: Store, cells: list[str], message: str, marks: list[str], shown: str
) -> None:
    notebook = write_notebook(PARAMETERS, *cells)
    with pytest.raises(RunFailed) as failed:
        train(notebook, {"factor": 3}, store, TrainSettings(cell_timeout_s=2 if "sleep" in cells[0] else 60))
    said = str(failed.value)
    assert said.startswith(f"{notebook} {message}")

    marked = ", marked there" if "failed" in marks else ""
    [kept] = re.findall(rf"\n  The executed notebook{marked}: (\S+/\.runs/\S+/notebook\.ipynb)$", said)
    assert statuses(Path(kept)) == marks
    report = Path(kept).with_name("report.html").read_text(encoding="utf-8")
    assert shown in report
    assert (entries(store), store.models()) == ([".runs"], [])


def test_a_run_that_changes_what_it_exported_fails(write_notebook: WriteNotebook, store: Store) -> None:
    change = "Path(os.environ['LECTERN_TRAIN_STAGE'], 'model.joblib').write_text('{}')"
    notebook = write_notebook(PARAMETERS, STAGED, change)
    with pytest.raises(
        RunFailed, match=r"notebook\.ipynb failed: it changed what it had exported: model\.joblib has 2 bytes; the ma"
    ):
        train(notebook, {}, store, TrainSettings())
    assert entries(store) == [".runs"]


def test_a_kernel_that_does_not_start_fails_the_run(
    write_notebook: WriteNotebook, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit('no kernel today')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RunFailed, match=r"failed: the kernel did not start: no kernel today\n  The exec"):
        train(write_notebook(PARAMETERS, EXPORT), {}, store, TrainSettings())
    assert entries(store) == [".runs"]


def test_what_a_kernel_prints_past_its_cells_is_not_printed_by_the_run(
    write_notebook: WriteNotebook, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    past = "import sys\nfor stream in sys.__stdout__, sys.__stderr__:\n    print('noise', file=stream, flush=True)"
    train(write_notebook(PARAMETERS, past, STAGED), {}, store, TrainSettings())
    assert capfd.readouterr() == ("", "")


def test_a_run_that_cannot_be_kept_is_a_clear_failure(write_notebook: WriteNotebook, store: Store) -> None:
    store.root.mkdir()
    (store.root / ".runs").touch()
    with pytest.raises(PublishFailed, match=rf"^Could not keep the run in {store.root}: .*\. No version was made\.$"):
        train(write_notebook(PARAMETERS, "1 / 0"), {}, store, TrainSettings())
    assert entries(store) == [".runs"]


def test_parameters_that_do_not_fit_are_refused_before_a_kernel_starts(
    write_notebook: WriteNotebook, store: Store
) -> None:
    notebook = write_notebook(PARAMETERS, "open('ran', 'w')")
    for given, message in (
        ({"factor": "much"}, "Parameter 'factor' is float; 'much' is not."),
        ({"x=1\nimport os": 1}, "The notebook has no parameter 'x=1\\nimport os'; it declares factor, note."),
    ):
        with pytest.raises(ParametersRefused, match=re.escape(f"{notebook.name}: {message}")):
            train(notebook, given, store, TrainSettings())
    assert not (notebook.parent / "ran").exists()
    assert entries(store) == []


CELL: dict[str, Any] = {
    "cell_type": "code",
    "metadata": {"tags": ["parameters"]},
    "source": "",
    "outputs": [],
    "execution_count": None,
}
SOUND = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [CELL]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"^Cannot read .*x\.ipynb: No such file or directory\.$"),
        ("x = 1", r"x\.ipynb is no Jupyter notebook: Notebook does not appear to be JSON: 'x = 1'"),
        ("", r"x\.ipynb is no Jupyter notebook: "),
        (b"\xff\xfe\x00", r"x\.ipynb is no Jupyter notebook: 'utf-8' codec can't decode"),
        ("[" * 100_000, r"x\.ipynb is no Jupyter notebook: maximum recursion depth exceeded"),
        ([], r"x\.ipynb is no Jupyter notebook: "),
        ({}, r"x\.ipynb is no Jupyter notebook: "),
        (SOUND | {"cells": None}, r"x\.ipynb is no Jupyter notebook: "),
        (SOUND | {"cells": "text"}, r"x\.ipynb is no Jupyter notebook: "),
        (
            SOUND | {"cells": [{**CELL, "source": 7}]},
            r"x\.ipynb is no Jupyter notebook: 7 is not valid under any of the",
        ),
        (
            SOUND | {"cells": [{**CELL, "metadata": {"tags": None}}]},
            r"x\.ipynb is no Jupyter notebook: None is not of type",
        ),
        (SOUND | {"nbformat": 5}, r"x\.ipynb is no Jupyter notebook: Unsupported nbformat version 5"),
        (
            {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": []},
            r"x\.ipynb is of notebook format 3; open it in JupyterLab and save it as format 4\.$",
        ),
    ],
)
def test_what_is_no_notebook_is_refused(content: Any, message: str, tmp_path: Path, store: Store) -> None:
    path = tmp_path / "x.ipynb"
    if content is not None:
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ParametersRefused, match=message):
        train(path, {}, store, TrainSettings())
    assert entries(store) == []


def test_a_folder_and_a_huge_file_are_no_notebooks(tmp_path: Path, store: Store) -> None:
    with pytest.raises(ParametersRefused, match=r"^Cannot read .*: Is a directory\.$"):
        train(tmp_path, {}, store, TrainSettings())
    huge = tmp_path / "huge.ipynb"
    with huge.open("wb") as file:
        file.truncate(MAX_NOTEBOOK_BYTES + 1)
    with pytest.raises(ParametersRefused, match=r"huge\.ipynb has more than 100 MiB; clear its outputs first\.$"):
        train(huge, {}, store, TrainSettings())


# --- runs in processes of their own


def started(notebook: Path, store: Store, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipeline", "train", str(notebook), "--force", "--store", str(store.root)]
    command += arguments
    with (notebook.parent / "said").open("a") as said:
        return subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL, text=True)


def processes_of(store: Store) -> list[int]:
    """The kernels, and the processes of theirs, that were started for this store and live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"LECTERN_STORE={store.root}".encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except OSError:  # it ended since the listing, or is somebody else's
            continue
    return found


def parameters_of(store: Store, files: AbstractSet[str]) -> list[Mapping[str, Any]]:
    for version in store.versions("line"):
        assert_whole(store.artifact("line", version), files)
    return [store.artifact("line", version).manifest.parameters for version in store.versions("line")]


def a_kernel_runs(store: Store) -> bool:
    return bool(processes_of(store))


def staged(name: str) -> Callable[[Store], bool]:
    return lambda store: any(store.root.glob(f".staging-*/{name}")) or bool(store.versions("line"))


def test_a_runner_that_is_stopped_leaves_no_half_version(write_notebook: WriteNotebook, store: Store) -> None:
    """At four moments, from the first to the last; `make soak` stops runs at any, and such as load libraries."""
    notebook = write_notebook(PARAMETERS, STAGED)
    ended = []
    for reached, how in (
        (a_kernel_runs, signal.SIGINT),
        (staged("manifest.json"), signal.SIGINT),
        (staged("model.joblib"), signal.SIGKILL),
        (staged("report.html"), signal.SIGKILL),
    ):
        runner = started(notebook, store)
        until(lambda reached=reached, runner=runner: reached(store) or runner.poll() is not None)  # type: ignore[misc]
        ended.append(stopped(runner, how, store))
    assert_the_next_work(notebook, store, ended, {"manifest.json", "model.joblib", "notebook.ipynb", "report.html"})


def stopped(runner: subprocess.Popen[str], how: signal.Signals, store: Store) -> int:
    """Stop it, unless it has ended by now; return how it ended."""
    runner.send_signal(how)
    code = runner.wait()
    until(lambda: not processes_of(store), within_s=30)
    if how is signal.SIGINT:
        assert not list(store.root.glob(".staging-*"))
    assert code in (0, -how, 130)
    return code


def assert_the_next_work(notebook: Path, store: Store, ended: list[int], files: AbstractSet[str] = WHOLE) -> None:
    """What was stopped left whole versions only, and those that follow work, also two at once."""
    assert set(ended) != {0}, "no run was stopped"
    made = parameters_of(store, files)
    assert ended.count(0) <= len(made) <= len(ended)
    both = [started(notebook, store, "-p", f"factor={factor}", "--json") for factor in (3, 4)]
    assert [runner.wait() for runner in both] == [0, 0]
    said = [json.loads(line) for line in (notebook.parent / "said").read_text().splitlines() if line.startswith("{")]
    assert {found["version"] for found in said} == {len(made) + 1, len(made) + 2}
    assert {found["factor"] for found in parameters_of(store, files)[-2:]} == {3.0, 4.0}

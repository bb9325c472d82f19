"""Runs with limits and with secrets: real kernels that print without end, take too long, or show what they must not."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from contract.errors import ParametersRefused, RunFailed
from contract.store import Store
from pipeline.running import records
from pipeline.running.planning import Planner
from pipeline.running.training import train
from pipeline.settings import TrainSettings
from tests.conftest import WriteNotebook
from tests.test_training import EXPORT, PARAMETERS, STAGED

SECRET = "hunter2-'x\"<é>\\"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def leaks(folder: Path, *texts: str) -> list[Path]:
    return [path for path in files(folder) if any(text.encode() in path.read_bytes() for text in texts)]


# --- limits


def test_output_without_measure_is_cut_and_the_run_goes_on(write_notebook: WriteNotebook, store: Store) -> None:
    flood = "for number in range(30_000):\n    print('line', number)"
    shown = f"{STAGED}\nfrom IPython.display import HTML\nHTML('<b>line</b> staged')"
    trained = train(write_notebook(PARAMETERS, flood, shown), {}, store, TrainSettings(max_output_bytes=100_000))
    executed = json.loads((trained.folder / "notebook.ipynb").read_text(encoding="utf-8"))
    [stream] = executed["cells"][1]["outputs"]
    text = "".join(stream["text"])
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("… output was cut here: a run keeps 100,000 bytes (LECTERN_TRAIN_MAX_OUTPUT_BYTES)\n")
    assert len(text) < 100_200
    assert "<b>line</b> staged" in str(executed["cells"][2]["outputs"]), "what is displayed has a share of its own"


def test_output_without_end_ends_the_run(write_notebook: WriteNotebook, store: Store) -> None:
    notebook = write_notebook(PARAMETERS, "while True:\n    print('again ' * 100)", EXPORT)
    settings = TrainSettings(max_output_bytes=10_000, max_printed_bytes=1_000_000)
    with pytest.raises(RunFailed) as failed:
        train(notebook, {}, store, settings)
    said = "the run printed more than 1,000,000 bytes (LECTERN_TRAIN_MAX_PRINTED_BYTES)\n    while True:"
    assert str(failed.value).startswith(f"{notebook} failed in code cell 2 of 3: {said}")
    [record] = records.recorded(store)
    assert (record.status, store.models()) == ("flooded", [])
    assert (records.folder_of(store, record.id) / "notebook.ipynb").stat().st_size < 50_000


def test_a_run_has_a_time_limit_over_all_its_cells(write_notebook: WriteNotebook, store: Store) -> None:
    nap = "import time\ntime.sleep(600)"
    notebook = write_notebook(PARAMETERS, nap, EXPORT)
    with pytest.raises(RunFailed, match=r"the run took longer than 4 s \(LECTERN_TRAIN_TIMEOUT_S\)\n    import time"):
        train(notebook, {}, store, TrainSettings(timeout_s=4))
    [record] = records.recorded(store)
    assert (record.status, record.notebook, record.parameters) == (
        "timeout",
        notebook.name,
        {"factor": 2.0, "note": "none"},
    )


# --- secrets


def test_a_secret_reaches_the_kernel_and_nothing_that_is_kept(write_notebook: WriteNotebook, store: Store) -> None:
    show = (
        "import sys, html\nprint(password); print([password]); print(password[:9], end=''); print(password[9:])\n"
        "sys.stderr.write(password)\nopen('seen', 'w').write(password)"
    )
    shown = "from IPython.display import HTML\nimport html\nHTML('<b>' + html.escape(password) + '</b>')"
    notebook = write_notebook(f"{PARAMETERS}\npassword: str = ''", show, shown, EXPORT)
    trained = train(notebook, {"password": SECRET}, store, TrainSettings())
    assert (notebook.parent / "seen").read_text() == SECRET
    assert trained.manifest.parameters == {"factor": 2.0, "note": "none", "password": "***"}
    assert leaks(store.root, SECRET, "hunter2") == []
    executed = json.loads((trained.folder / "notebook.ipynb").read_text(encoding="utf-8"))
    injected = next(cell for cell in executed["cells"] if "injected-parameters" in cell["metadata"].get("tags", []))
    assert 'password = "***"' in "".join(injected["source"])
    assert executed["metadata"]["papermill"]["parameters"] == {"password": "***"}
    assert train(notebook, {"password": "another"}, store, TrainSettings()).recognised


def test_a_secret_is_in_no_message_and_no_record_of_a_failure(write_notebook: WriteNotebook, store: Store) -> None:
    notebook = write_notebook(f"{PARAMETERS}\ntoken: str = ''", "raise ValueError(f'refused: {token!r}')")
    with pytest.raises(RunFailed) as failed:
        train(notebook, {"token": SECRET}, store, TrainSettings())
    assert "ValueError: refused: '***'" in str(failed.value) or "ValueError: refused: ***" in str(failed.value)
    assert "hunter2" not in str(failed.value)
    [record] = records.recorded(store)
    assert record.parameters["token"] == "***"
    assert "hunter2" not in record.error
    assert leaks(store.root, "hunter2") == []


def test_a_secret_of_a_wrong_type_is_not_shown(write_notebook: WriteNotebook, store: Store) -> None:
    message = re.escape("Parameter 'token' is list[str]; *** is not.")
    with pytest.raises(ParametersRefused, match=message):
        train(write_notebook("token: list[str] = []"), {"token": SECRET}, store, TrainSettings())


# --- recognition


def test_a_run_is_made_again_where_its_version_is_gone_or_damaged_or_where_it_is_forced(
    write_notebook: WriteNotebook, store: Store
) -> None:
    """And its notebook can ask not to be promoted, where the command line has the last word."""
    notebook = write_notebook(PARAMETERS, EXPORT.replace("rows * 2)", 'rows * 2, promote="never")'))
    first = train(notebook, {}, store, TrainSettings(promote="always"))
    assert first.decision is not None
    assert (first.decision.verdict, store.promotions("line").read().aliases) == ("kept", {})
    again = train(notebook, {"factor": 2}, store, TrainSettings())
    assert (again.version, again.recognised, again.manifest) == (1, True, first.manifest)
    forced = train(notebook, {}, store, TrainSettings(), force=True, promote="if-better")
    assert (forced.version, forced.recognised) == (2, False)
    assert forced.decision is not None
    assert (forced.decision.verdict, store.promotions("line").read().aliases) == ("promoted", {"champion": 2})
    (forced.folder / "golden.json").write_text("{}")
    assert train(notebook, {}, store, TrainSettings()).version == 1
    (first.folder / "manifest.json").write_text("{}")
    assert Planner(notebook).plan({}).made_before(store) is None

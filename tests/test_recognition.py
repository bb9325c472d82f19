"""pipeline.running.recognition: what makes two runs the same, and the look-up of the version that one made."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contract.manifest import Run
from contract.store import Store
from pipeline.running import recognition
from pipeline.running.planning import Planner
from tests.conftest import WriteNotebook
from tests.live import damage
from tests.samples import manifest, sealed

PARAMETERS = "trees: int = 1\ndata: Path = 'rows.csv'\nnote: str = ''\nmore: list[Path] = []\ntoken: str = ''"


def digest(notebook: Path, **given: Any) -> str:
    return Planner(notebook).plan(given).digest


def edited(notebook: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    document = json.loads(notebook.read_text(encoding="utf-8"))
    edit(document)
    notebook.write_text(json.dumps(document), encoding="utf-8")


def test_outputs_counts_ids_metadata_and_prose_do_not_matter(write_notebook: WriteNotebook) -> None:
    notebook = write_notebook(PARAMETERS, "print(trees)")
    before = digest(notebook)

    def edit(document: dict[str, Any]) -> None:
        document["metadata"]["kernelspec"] = {"name": "other", "display_name": "Other"}
        document["cells"][1] |= {"id": "another", "execution_count": 7, "metadata": {"collapsed": True}}
        document["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1\n"}]
        document["cells"].append({"cell_type": "markdown", "id": "prose", "metadata": {}, "source": "# Prose"})

    edited(notebook, edit)
    assert digest(notebook) == before
    assert digest(notebook, trees=1) == before, "a default that is given is no other run"
    edited(notebook, lambda document: document["cells"][1].update(source="print(trees + 1)"))
    assert digest(notebook) != before


def test_parameters_matter_and_secrets_do_not(write_notebook: WriteNotebook) -> None:
    notebook = write_notebook(PARAMETERS)
    assert digest(notebook, trees=2) != digest(notebook)
    assert digest(notebook, token="one") == digest(notebook, token="two")


def test_data_matters(write_notebook: WriteNotebook, tmp_path: Path) -> None:
    notebook = write_notebook(PARAMETERS)
    folder = tmp_path / "parts"
    folder.mkdir()
    rows, named, part = tmp_path / "rows.csv", tmp_path / "named.txt", folder / "part.csv"
    given: dict[str, Any] = {"note": "named.txt", "more": [folder]}
    found = [digest(notebook, **given)]
    for path in (rows, named, part):
        for content in ("1\n", "2\n"):
            path.write_text(content)
            found.append(digest(notebook, **given))
    assert len(set(found)) == len(found)
    os.utime(part, (0, 0))
    assert digest(notebook, **given) == found[-1], "of a small folder the content counts, not its times"
    part.rename(folder / "moved.csv")
    assert digest(notebook, **given) not in found


@pytest.mark.parametrize("note", ["\0", "x" * 5000, "no file", ".", ""])
def test_a_text_that_names_no_file_is_just_a_text(write_notebook: WriteNotebook, note: str) -> None:
    assert digest(write_notebook(PARAMETERS), note=note)


def test_a_large_folder_counts_by_sizes_and_times(
    write_notebook: WriteNotebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook, folder = write_notebook(PARAMETERS), tmp_path / "parts"
    folder.mkdir()
    (folder / "a").write_text("1")
    monkeypatch.setattr(recognition, "MAX_FOLDER_BYTES", 0)
    os.utime(folder / "a", (1, 1))
    before = digest(notebook, data=folder)
    assert digest(notebook, data=folder) == before
    os.utime(folder / "a", (2, 2))
    assert digest(notebook, data=folder) != before
    monkeypatch.setattr(recognition, "MAX_FOLDER_FILES", 0)
    assert digest(notebook, data=folder) != digest(notebook, data=folder), "too many files to be recognised"


def test_modules_beside_the_notebook_matter(write_notebook: WriteNotebook, tmp_path: Path) -> None:
    notebook = write_notebook(PARAMETERS)
    found = [digest(notebook)]
    (tmp_path / "notes.txt").write_text("no module")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "script.py").write_text("of no package")
    assert digest(notebook) == found[0]
    for name in ("steps.py", "package/__init__.py", "package/deep/inner.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1")
        found.append(digest(notebook))
    (tmp_path / "steps.py").write_text("x = 2")
    assert digest(notebook) not in found
    assert len(set(found)) == 4


def test_installed_packages_matter(
    write_notebook: WriteNotebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = write_notebook(PARAMETERS)
    before = digest(notebook)
    (tmp_path / "site" / "wheel-1.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    after = digest(notebook)
    (tmp_path / "site" / "wheel-1.0.dist-info").rename(tmp_path / "site" / "wheel-1.1.dist-info")
    assert len({before, after, digest(notebook)}) == 3


# --- the version that a run made


def made(store: Store, model: str, found: str, **changes: Any) -> int:
    run = Run(kind="papermill", digest=found)
    return store.publish(sealed(store, model=model, run=run, **changes))


def test_the_newest_sound_version_is_found(store: Store) -> None:
    assert recognition.find(store, "a" * 64) is None
    later = manifest().created + timedelta(days=1)
    made(store, "iris", "a" * 64)
    made(store, "cardio", "a" * 64, created=later)
    made(store, "iris", "b" * 64)
    newest = recognition.find(store, "a" * 64)
    assert newest is not None
    assert newest.folder == store.root / "cardio" / "1"

    damage(newest, next(iter(newest.manifest.files)))
    older = recognition.find(store, "a" * 64)
    assert older is not None
    assert older.folder == store.root / "iris" / "1"
    (older.folder / "manifest.json").write_text("{")
    assert recognition.find(store, "a" * 64) is None
    assert recognition.find(store, "") is None

"""The first draft of a training notebook, written for a file of rows: `lectern new`.

survey the file → one cell after the other → the notebook, without outputs. Names from the file are data: they reach
the notebook as literals only, and not at all as prose.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import nbformat

from contract.names import check_model_name
from pipeline.scaffolding import drafting
from pipeline.scaffolding.datafile import DataRefused, read
from pipeline.scaffolding.surveying import Survey, Task, survey

_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def scaffold(
    name: str, data: Path, target: str, notebook: Path, task: Task | None = None, *, force: bool = False
) -> Survey:
    """Write a training notebook for a file of rows, or none at all.

    Args:
        name: what the model will be called.
        data: a CSV or a Parquet file.
        target: the column to predict.
        notebook: the file to write.
        task: what to learn, where that should not be seen from the target.
        force: whether a file that is there may be replaced.

    Returns:
        What was found in the file.

    Raises:
        NameRefused: no model may be called `name`.
        DataRefused: no notebook can be written for the file, or not there.
    """
    check_model_name(name)
    if notebook.suffix != ".ipynb":
        raise DataRefused(f"{notebook} is no name for a notebook; it ends in .ipynb.")
    if not force and os.path.lexists(notebook):
        raise DataRefused(f"{notebook} is there already; give another --to, or --force to replace it.")
    found = survey(read(data), target, task)
    text = write(name, found, path_from(notebook.parent, data))
    try:
        notebook.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".lectern-", dir=notebook.parent) as folder:
            draft = Path(folder, notebook.name)
            draft.write_text(text, encoding="utf-8", newline="\n")
            draft.replace(notebook)
    except OSError as error:
        raise DataRefused(f"Cannot write {notebook}: {error.strerror or error}.") from None
    return found


def write(name: str, found: Survey, data: str) -> str:
    """The notebook as text, the same for the same survey; `data` is the file's path as the notebook sees it."""
    cells = drafting.cells(name, found, data)
    document = {
        "cells": [
            {"cell_type": "markdown", "id": f"cell-{i:03d}", "metadata": {}, "source": cell.source}
            if cell.prose
            else {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{i:03d}",
                "metadata": {"tags": list(cell.tags)} if cell.tags else {},
                "outputs": [],
                "source": cell.source,
            }
            for i, cell in enumerate(cells)
        ],
        "metadata": _METADATA,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    nbformat.validate(document)
    return str(nbformat.writes(nbformat.from_dict(document))).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def path_from(folder: Path, data: Path) -> str:
    """The path of the data as a notebook in `folder` sees it: relative below it or below this folder, else absolute."""
    near = _below(data, folder) or (_below(data, Path.cwd()) and _below(folder, Path.cwd()))
    return Path(os.path.relpath(data, folder) if near else data.absolute()).as_posix()


def _below(path: Path, folder: Path) -> bool:
    return Path(os.path.relpath(path, folder)).parts[:1] != ("..",)

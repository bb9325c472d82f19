"""Cells as a function: preprocessing that stands in a notebook, as a step of a chain, without being written twice."""

from __future__ import annotations

import ast
import json
import keyword
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from contract.errors import ExportRefused
from pipeline.exporting import guidance
from pipeline.settings import TrainSettings


def cells(tag: str, takes: str, gives: str, *, notebook: str | Path | None = None) -> Callable[[Any], Any]:
    """The notebook's own cells with a tag, as a function that takes the rows as one variable and gives another.

    `export([cells("prepare", "df", "X"), model], "name", raw_rows, y)` answers with what the cells tagged `prepare`
    make of `df`. What they use of the notebook otherwise (functions, fitted scalers, constants) is used as it is now;
    what they assign stays inside.

    Args:
        tag: the tag of the cells; several are joined in their order.
        takes: the variable that holds the rows before the first of them.
        gives: the variable that holds what the next step takes after the last.
        notebook: the notebook's file, where neither the runner nor JupyterLab nor VS Code tells it.

    Raises:
        ExportRefused: there are no such cells, they are not Python, or they are not the ones that were run.
    """
    names = guidance.names_of_notebook()
    for name in (takes, gives):
        if not str(name).isidentifier() or keyword.iskeyword(name):
            raise ExportRefused(
                f"{name!r:.40} is no variable's name; say what the cells take and give: cells('prepare', 'df', 'X')."
            )
    path = _path(notebook, names)
    sources = _tagged(path, tag)
    _check_run(sources, names, path)
    try:
        module = ast.parse("\n".join(sources))
    except SyntaxError as error:
        raise ExportRefused(
            f"The cells tagged '{tag}' are not plain Python (line {error.lineno}: {error.text!r:.60}); keep magics "
            "such as %time or !ls out of them."
        ) from None
    arguments = ast.arguments(posonlyargs=[], args=[ast.arg(takes)], kwonlyargs=[], kw_defaults=[], defaults=[])
    body = [*module.body, ast.Return(ast.Name(gives, ast.Load()))]
    function = ast.FunctionDef(
        name="prepare", args=arguments, body=body, decorator_list=[], returns=None, type_comment=None
    )
    made = ast.fix_missing_locations(ast.Module([function], type_ignores=[]))
    code = compile(made, f"<cells tagged {tag}>", "exec").co_consts[0]
    return _named(FunctionType(code, {**names, "__name__": "__main__"}), tag)


def _named(function: FunctionType, tag: str) -> FunctionType:
    function.__name__ = function.__qualname__ = tag
    function.__module__ = "__main__"  # where what a notebook defines belongs, and from where it travels
    return function


def _path(given: str | Path | None, names: Mapping[str, Any]) -> Path:
    """The file of the notebook that runs."""
    told = TrainSettings.read(os.environ).notebook
    known = given or told or os.environ.get("JPY_SESSION_NAME") or names.get("__vsc_ipynb_file__")
    if not known:
        raise ExportRefused(
            "Nothing tells which notebook this is; name its file: cells('prepare', 'df', 'X', notebook='mine.ipynb')."
        )
    path = Path(known)
    return path if path.exists() or path.is_absolute() else Path(path.name)  # JupyterLab counts from its own root


def _tagged(path: Path, tag: str) -> list[str]:
    try:
        document = json.loads(path.read_text("utf-8"))
        found = [
            "".join(cell["source"])
            for cell in document["cells"]
            if cell["cell_type"] == "code" and tag in cell["metadata"].get("tags", [])
        ]
    except OSError as error:
        raise ExportRefused(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise ExportRefused(f"{path} is no Jupyter notebook.") from None
    if not found:
        raise ExportRefused(
            f"No cell of {path.name} has the tag '{tag}'. In JupyterLab: select the cell, open the property inspector "
            "(the gear), add the tag, save the notebook."
        )
    return found


def _check_run(sources: list[str], names: Mapping[str, Any], path: Path) -> None:
    """See to it that the file holds the cells as they were run."""
    history = names.get("In")
    if not isinstance(history, list):
        return
    for source in sources:
        if source.strip() not in {entry.strip() for entry in history if isinstance(entry, str)}:
            first = source.strip().partition("\n")[0]
            raise ExportRefused(
                f"The cell of {path.name} that begins `{first:.60}` was not run as it stands in the file: save the "
                "notebook and run the cell again."
            )

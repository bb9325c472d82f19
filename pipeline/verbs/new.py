"""The verb that begins: new."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from contract.telling import told
from pipeline.verbs.base import app, short_path

if TYPE_CHECKING:
    from pipeline.scaffolding.surveying import Survey

_HOME = Path("notebooks", "training")
_MOST_CLASSES_SHOWN = 5
_KINDS = {
    "number": ("number", "numbers"),
    "flag": ("flag", "flags"),
    "category": ("category", "categories"),
    "levels": ("category of many levels", "categories of many levels"),
    "text": ("free text", "free texts"),
    "date": ("date", "dates"),
}


@app.command(epilog="Example: lectern new rents --data flats.csv --target rent")
def new(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    data: Annotated[Path, typer.Option("--data", help="File of rows to learn from: CSV or Parquet.")],
    target: Annotated[str, typer.Option("--target", help="Column to predict.")],
    task: Annotated[
        Literal["classification", "regression"] | None,
        typer.Option("--task", help="What to learn; seen from the target when not given.", show_default=False),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Notebook to write; notebooks/training/NAME.ipynb if not given.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a notebook that is there.")] = False,
) -> None:
    """Write a training notebook for a file of rows: a first draft that runs."""
    with told():
        from pipeline.scaffolding import scaffold

        notebook = to or _HOME / f"{name}.ipynb"
        found = scaffold(name, data, target, notebook, task, force=force)
        _tell(found)
        path = short_path(notebook)
        print(f"Written: {_seen(path)}")
        print(f"Next: lectern train {shlex.quote(path)}")
        if re.fullmatch(r"[\w./-]+", path):
            print(f"  or: make train NOTEBOOK={path}")


def _tell(found: Survey) -> None:
    """What was found in the file, and what is left out."""
    target, rows = found.target, len(found.file.rows)
    partly = "" if found.file.whole else " (the first ones; the others were not looked at)"
    print(f"Read: {rows:,} rows{partly}, {len(found.columns) + 1:,} columns")
    classes = ", ".join(f"{_seen(name)} ({count:,})" for name, count in target.classes[:_MOST_CLASSES_SHOWN])
    more = ", …" if len(target.classes) > _MOST_CLASSES_SHOWN else ""
    print(f"Task: {target.task} of {_seen(target.name)}{f': {classes}{more}' if classes else ''}")
    if target.unknown:
        print(f"Without a target, left out: {target.unknown:,} rows")
    if target.rare:
        print(
            f"Too rare to be learned, left out: {len(target.rare):,} {'classes' if len(target.rare) > 1 else 'class'}"
        )
    counts = {kind: sum(column.kind == kind for column in found.columns) for kind in _KINDS}
    print("Columns:", ", ".join(f"{count:,} {_KINDS[kind][count > 1]}" for kind, count in counts.items() if count))
    for column in found.columns:
        if column.kind is None:
            print(f"Left out: {_seen(column.name)}, {column.reason}")


def _seen(text: str) -> str:
    """A text that came from a file, without what would steer a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)

"""What all verbs share: the app, the options that recur, and how tables are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.manifest import Manifest

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make artifacts, and look at what the store holds.",
)

StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder of all artifacts.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def summary(manifest: Manifest, version: int) -> dict[str, Any]:
    """A version in one row."""
    return {
        "model": manifest.model,
        "version": version,
        "created": manifest.created.isoformat(timespec="seconds"),
        "runtime": manifest.runtime.format,
        "metrics": manifest.metrics,
    }


def figures(manifest: Manifest) -> str:
    """The metrics of a version in one line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in manifest.metrics.items()) or "no metrics"


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for name in columns:
        table.add_column(name, overflow="fold")  # a narrow terminal loses no letter
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name, ""))) for name in columns))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(number)}" for name, number in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows as a table, their keys as its head."""
    from rich.console import Console

    Console().print(_table(rows))


def short_path(path: Path) -> str:
    """A path as seen from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)

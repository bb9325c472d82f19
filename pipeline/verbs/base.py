"""What all verbs share: the app, the options that recur, and a version in one row or line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from contract.manifest import Manifest

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


def short_path(path: Path) -> str:
    """A path as seen from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)

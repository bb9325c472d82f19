"""The verb of this side: serve."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from contract.errors import LecternError
from serving.settings import ServeSettings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Serve the versions of a store as an API.")


@app.command(epilog="Example: lectern serve --port 5000 --model iris")
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default=False)] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="Model behind /predict.", show_default=False)] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of all artifacts.", show_default=False)] = None,
    settings: Annotated[bool, typer.Option("--settings", help="Print every setting and where it comes from.")] = False,
) -> None:
    """Serve the newest good version of every model; a new one is served within a second of its publication."""
    try:
        found = ServeSettings.read(os.environ, host=host, port=port, workers=workers, default_model=model, store=store)
        if settings:
            for name, value, source, description in found.table(os.environ):
                print(f"{name:<28} {value:<16} {source:<13} {description}")
            return
        from serving.server import run

        run(found)
    except LecternError as error:
        print(f"lectern: {error}", file=sys.stderr)
        raise typer.Exit(1) from None

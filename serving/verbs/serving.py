"""The verb that answers requests: serve."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from contract.telling import told
from serving.settings import ServeSettings
from serving.verbs.base import StoreOption, app


@app.command(epilog="Example: lectern serve --port 5000 --model iris")
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", show_default=False)] = None,
    socket: Annotated[Path | None, typer.Option(help="Unix socket to listen on instead.", show_default=False)] = None,
    workers: Annotated[int | None, typer.Option(help="Server processes.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="Model behind /predict.", show_default=False)] = None,
    store: StoreOption = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let anybody ask where others reach it.")] = False,
    settings: Annotated[bool, typer.Option("--settings", help="Print every setting and where it comes from.")] = False,
) -> None:
    """Serve the champion of every model; what is promoted answers within a second."""
    with told():
        address = {"host": host, "port": port, "socket": socket}
        others = {"workers": workers, "default_model": model, "store": store, "insecure": insecure or None}
        found = ServeSettings.read(os.environ, **address, **others)
        if settings:
            for name, value, source, description in found.table(os.environ):
                print(f"{name:<28} {value:<16} {source:<13} {description}")
            return
        from serving.server import run

        run(found)

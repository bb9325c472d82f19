"""The verbs of this side: serve and score."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from contract.errors import LecternError
from serving.settings import ServeSettings


class _ServeUnlessSaid(TyperGroup):
    """`python -m serving` serves; another verb is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with the verb before them."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ServeUnlessSaid,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Serve the versions of a store as an API, or answer the rows of a file with them.",
)


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


@app.command(epilog="Example: lectern score iris flowers.csv -o answers.parquet --echo")
def score(
    model: Annotated[str, typer.Argument(help="Name of the model.", show_default=False)],
    file: Annotated[
        str, typer.Argument(help="Rows: .csv, .ndjson, .parquet, .arrow or .arrows; - reads standard input.")
    ],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Where answers go: FILE.scored.… when not set, - for standard output."),
    ] = None,
    version: Annotated[int | None, typer.Option(help="The newest that answers when not set.")] = None,
    echo: Annotated[bool, typer.Option("--echo", help="Put the rows beside their answers.")] = False,
    read_as: Annotated[str | None, typer.Option("--from", help="Form of the rows, e.g. csv.")] = None,
    write_as: Annotated[str | None, typer.Option("--to", help="Form of the answers, e.g. ndjson.")] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of all artifacts.", show_default=False)] = None,
) -> None:
    """Answer all rows of a file, however many, without a server; the file with the answers appears once it is whole."""
    try:
        from serving import scoring

        found = ServeSettings.read(os.environ, store=store)
        reads = scoring.form_of(file, read_as)
        goes_to = scoring.output_of(file, output)
        writes = scoring.form_of(goes_to, write_as or (read_as if goes_to == scoring.STANDARD else None))
        served = scoring.served_of(found.open_store(), model, version, found)
        try:
            done = scoring.score(served, file, (reads, writes), goes_to, limit=found.max_body_bytes, echo=echo)
        finally:
            served.predictor.retire()
        where = "" if done.output == scoring.STANDARD else f", in {done.output}"
        pace = f"{done.rows / max(done.seconds, 1e-9):,.0f} rows/s"
        told = (
            f"{done.rows:,} row{'s' * (done.rows != 1)} answered by {model} version {served.version} at {pace}{where}"
        )
        print(told, file=sys.stderr if done.output == scoring.STANDARD else sys.stdout)
    except LecternError as error:
        print(f"lectern: {error}", file=sys.stderr)
        raise typer.Exit(1) from None

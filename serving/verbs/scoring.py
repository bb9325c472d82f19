"""The verb that answers a file of rows: score."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from contract.telling import told
from serving.settings import ServeSettings
from serving.verbs.base import StoreOption, app


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
    version: Annotated[int | None, typer.Option(help="The champion when not set.")] = None,
    echo: Annotated[bool, typer.Option("--echo", help="Put the rows beside their answers.")] = False,
    read_as: Annotated[str | None, typer.Option("--from", help="Form of the rows, e.g. csv.")] = None,
    write_as: Annotated[str | None, typer.Option("--to", help="Form of the answers, e.g. ndjson.")] = None,
    store: StoreOption = None,
) -> None:
    """Answer all rows of a file, however many, without a server; the file with the answers appears once it is whole."""
    with told():
        from serving import scoring

        found = ServeSettings.read(os.environ, store=store)
        reads = scoring.form_of(file, read_as)
        goes_to = scoring.output_of(file, output)
        writes = scoring.form_of(goes_to, write_as or (read_as if goes_to == scoring.STANDARD else None))
        served = scoring.served_of(found.open_store(), model, version, found)
        try:
            done = scoring.score(served, file, (reads, writes), goes_to, limit=found.max_body_bytes, echo=echo)
        finally:
            served.retire()
        where = "" if done.output == scoring.STANDARD else f", in {done.output}"
        pace = f"{done.rows / max(done.seconds, 1e-9):,.0f} rows/s"
        told_rows = f"{done.rows:,} row{'s' * (done.rows != 1)}"
        print(
            f"{told_rows} answered by {model} version {served.version} at {pace}{where}",
            file=sys.stderr if done.output == scoring.STANDARD else sys.stdout,
        )

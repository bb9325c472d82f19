"""The verb that looks back: report."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contract.durations import seconds
from contract.errors import LecternError
from contract.reports import Report, Reports
from contract.store import Store
from contract.telling import told
from pipeline.settings import TrainSettings
from pipeline.verbs.base import AsJson, StoreOption, app, short_path


@app.command(epilog="Example: lectern report iris --since 7d")
def report(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    notebooks: Annotated[
        list[Path] | None,
        typer.Option("--notebook", help="Monitoring notebook; all of notebooks/monitoring/ when not given."),
    ] = None,
    since: Annotated[str, typer.Option("--since", help="How far back to look, as 12h or 7d.")] = "7d",
    every: Annotated[
        str | None, typer.Option("--every", help="Do it again and again, as 1d; Ctrl-C ends it.", show_default=False)
    ] = None,
    keep: Annotated[int, typer.Option("--keep", min=1, help="How many reports of each kind stay.")] = 50,
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Run the monitoring notebooks over what a model answered; their pages are kept beside the model.

    The service shows them at /models/MODEL/reports.
    """
    with told():
        settings = TrainSettings.read(os.environ, store=store)
        found = settings.open_store()
        seconds(since)
        pause = None if every is None else seconds(every)
        from pipeline.reporting import notebooks as usual

        chosen = notebooks or usual(Path.cwd())
        while True:
            began = time.monotonic()
            refused = [not _make(path, model, since, found, settings, as_json=as_json) for path in chosen]
            Reports(found.root / model).keep(keep)
            if pause is None:
                raise SystemExit(1 if any(refused) else 0)
            time.sleep(max(0.0, began + pause - time.monotonic()))


def _make(path: Path, model: str, since: str, store: Store, settings: TrainSettings, *, as_json: bool) -> bool:
    """Make one report and say so; return whether it was made. One that fails does not keep the others from being."""
    from pipeline.reporting import report as make

    try:
        made = make(path, model, since, store, settings, progress=not as_json and sys.stderr.isatty())
    except LecternError as error:
        print(f"lectern: {error}", file=sys.stderr)
        return False
    where = Reports(store.root / model).folder / made.name
    print(json.dumps(_facts(made, where)) if as_json else f"{made.kind} of {model}: {short_path(where)}", flush=True)
    return True


def _facts(made: Report, where: Path) -> dict[str, str]:
    at = datetime.isoformat(made.made.astimezone(UTC))
    return {"kind": made.kind, "made": at, "file": str(where)}

"""The verb that reads the prediction log, and has old rows and subjects go from it: log."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.durations import seconds
from contract.errors import LogUnavailable, SettingsRefused
from contract.showing import print_table, shown
from contract.telling import told
from serving.prediction_log import exporting
from serving.prediction_log.place import NOTHING, Place, place_of
from serving.prediction_log.privacy import Privacy, read_key
from serving.settings import ServeSettings
from serving.verbs.base import StoreOption, app

if TYPE_CHECKING:
    from serving.prediction_log.database.engine import Database

_PATIENCE_S = 30.0
"""How long services may keep the log locked."""


@app.command("log", epilog="Example: lectern log iris --since 1d --to predictions.parquet")
def read_log(
    model: Annotated[str | None, typer.Argument(help="Name of the model; all when not given.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="1d, 12h, or a date or time: 2026-11-21T14:30.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="The same; what is later is out.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write all rows to a .parquet, .csv or .ndjson.")
    ] = None,
    last: Annotated[int, typer.Option("--last", metavar="N", min=1, help="How many rows are shown without --to.")] = 20,
    counts: Annotated[bool, typer.Option("--counts", help="What drift counted instead of predictions.")] = False,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="NAME", help="Only rows about who X-Subject-Id named so.")
    ] = None,
    erase_subject: Annotated[
        str | None, typer.Option("--erase-subject", metavar="NAME", help="Erase these rows for good; print a receipt.")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Delete what is older than LECTERN_LOG_DAYS, now.")] = False,
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show what was answered, with what was true where that is known; or write it to a file, or have it go."""
    if sum((counts, subject is not None, erase_subject is not None, prune)) > 1:
        raise typer.BadParameter("give one of --counts, --subject, --erase-subject and --prune.")
    if (erase_subject is not None or prune) and (model or since or until or to):
        raise typer.BadParameter("--erase-subject and --prune are about all models, at all times.")
    with told():
        settings = ServeSettings.read(os.environ, store=store)
        place = place_of(settings, settings.open_store())
        if place is None or place.missing:
            raise LogUnavailable(f"There is no prediction log: {place.missing if place else NOTHING}.")
        from serving.prediction_log.database import erasing, keeping, opening

        database = opening.opened(place, patience_s=_PATIENCE_S, make=False)
        try:
            if prune:
                if not settings.log_days:
                    raise SettingsRefused("LECTERN_LOG_DAYS is 0: the log keeps all; set how many days it shall.")
                print(keeping.prune(database, settings.log_days))
            elif erase_subject is not None:
                receipt = erasing.erase(database, _hashed(place, erase_subject))
                print(json.dumps(receipt.document() | {"not_in_reach": [str(path) for path in place.set_aside]}))
            else:
                between = {"since": _moment(since), "until": _moment(until)}
                hashed = None if subject is None else _hashed(place, subject)
                _show(database, {"model": model, "subject": hashed} | between, to, last, counts, as_json)
        finally:
            database.close()


def _show(database: Database, asked: dict[str, Any], to: Path | None, last: int, counts: bool, as_json: bool) -> None:
    from serving.prediction_log.database import keeping, reading

    wanted = reading.Wanted(**asked)
    columns = exporting.FIELD_COUNTS if counts else exporting.PREDICTIONS
    pages = reading.field_counts(database, wanted) if counts else reading.predictions(database, wanted)
    if to is not None:
        rows = exporting.export(pages, columns, to)
        print(f"{rows:,} row{'s' * (rows != 1)} in {to}")
        return
    newest = deque(chain.from_iterable(pages), last) if counts else reading.last_predictions(database, wanted, last)
    documents = [exporting.document(row, columns) for row in newest]
    if as_json:
        print(json.dumps(documents))
    elif documents:
        print_table([(_counted if counts else _row)(one) for one in documents])
    else:
        known = ", ".join(keeping.models(database)) or "nobody yet"
        print(f"The prediction log has no such rows; it has some of {known}.")


def _row(one: dict[str, Any]) -> dict[str, str]:
    when = datetime.fromisoformat(one["at"])
    facts = {"when": f"{when:%Y-%m-%d %H:%M:%S}", "id": one["id"], "model": f"{one['model']} {one['version']}"}
    facts |= {"alias": one["alias"], "ms": f"{one['latency_us'] / 1e3:.1f}", "prediction": shown(one["prediction"])}
    facts["truth"] = "" if one["truth_at"] is None else shown(one["truth"])
    return facts | {"unlike": ", ".join(one["warnings"] or ()), "": "caller gone" if one["gone"] else ""}


def _counted(one: dict[str, Any]) -> dict[str, str]:
    began, ended = (datetime.fromisoformat(one[name]) for name in ("began", "ended"))
    facts = {"began": f"{began:%Y-%m-%d %H:%M:%S}", "ended": f"{ended:%Y-%m-%d %H:%M:%S}"}
    facts |= {"model": f"{one['model']} {one['version']}", "rows": f"{one['rows']:,}", "worker": one["worker"]}
    return facts | {"fields": str(len(one["counts"]))}


def _hashed(place: Place, subject: str) -> str:
    return Privacy("none", read_key(place, make=False)).subject(subject.encode(errors="surrogateescape"))


def _moment(given: str | None) -> int | None:
    """A moment in microseconds since 1970: so long ago, or a date or time, in UTC unless it says otherwise."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        return int((time.time() - seconds(given)) * 1e6)
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1e6)

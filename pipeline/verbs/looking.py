"""The verbs that look at the store: list and show."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from contract import describing
from contract.errors import LecternError
from contract.promotions import CHAMPION
from contract.showing import figure, print_table
from contract.store import Store
from contract.telling import told
from pipeline.looking import aliases
from pipeline.settings import TrainSettings
from pipeline.verbs.base import AsJson, StoreOption, app, short_path, summary


@app.command("list", epilog="Example: lectern list --json")
def list_models(store: StoreOption = None, as_json: AsJson = False) -> None:
    """List the models of the store with their newest version, and what is live of each."""
    with told():
        found = _open(store)
        rows = [_newest(found, model) for model in found.models()]
        if as_json:
            print(json.dumps(rows))
        elif not rows:
            print(f"The store {short_path(found.root)} is empty; `lectern train NOTEBOOK` makes the first version.")
        else:
            print_table([_live(_short_row(row)) for row in rows])


@app.command(epilog="Example: lectern show iris 3")
def show(
    model: Annotated[str, typer.Argument(help="The model's name.")],
    version: Annotated[
        int | None, typer.Argument(help="A version; the newest when not given.", show_default=False)
    ] = None,
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Show what a version is: its fields, metrics, parameters and files."""
    with told():
        found = _open(store)
        artifact = found.artifact(model, version)
        manifest, number = artifact.manifest, int(artifact.folder.name)
        names = [alias for alias, named in aliases(found, model).items() if named == number]
        if as_json:
            print(json.dumps({"version": number, "aliases": names, **manifest.model_dump(mode="json")}))
            return
        live = f" ({', '.join(names)})" if names else ""
        title = f"{manifest.model} version {number}{live}"
        print(f"{title}, {manifest.created:%Y-%m-%d %H:%M} UTC  ({short_path(artifact.folder)})")
        if manifest.description:
            print(manifest.description)
        runtime = manifest.runtime
        print(f"Runs as {runtime.format}{f': {runtime.reason}' if runtime.reason else ''}")
        describing.fields(manifest.signature.inputs).print()
        print(describing.answer(manifest.signature.output), end="\n\n")
        measured = {name: figure(value) for name, value in manifest.metrics.items()}
        for title, values in (("Metrics", measured), ("Parameters", manifest.parameters)):
            if values:
                print_table([{title: name, "": value} for name, value in values.items()])


def _open(store: Path | None) -> Store:
    return TrainSettings.read(os.environ, store=store).open_store()


def _newest(store: Store, model: str) -> dict[str, Any]:
    versions = store.versions(model)
    live = {"versions": len(versions), "aliases": aliases(store, model)}
    try:
        return summary(store.artifact(model).manifest, versions[-1]) | live
    except LecternError as error:
        return {"model": model, "version": versions[-1], **live, "error": str(error)}


def _short_row(row: dict[str, Any]) -> dict[str, Any]:
    """A model in one line: of its metrics the first, which its task puts there."""
    if "error" in row:
        return row
    metric = dict(list(row["metrics"].items())[:1])
    return row | {"created": row["created"][:16].replace("T", " "), "metrics": metric}


def _live(row: dict[str, Any]) -> dict[str, Any]:
    """The champion beside the newest version, and the other aliases where there are any."""
    others = {alias: version for alias, version in row["aliases"].items() if alias != CHAMPION}
    shown = {"model": row["model"], "version": row["version"], CHAMPION: row["aliases"].get(CHAMPION, "")}
    rest = {name: value for name, value in row.items() if name not in (*shown, "aliases")}
    return shown | rest | ({"aliases": others} if others else {})

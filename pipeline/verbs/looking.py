"""The verbs that look at the store: list and show."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.errors import LecternError
from contract.store import Store
from pipeline.settings import TrainSettings
from pipeline.verbs.base import AsJson, StoreOption, app, print_table, short_path, summary, told


@app.command("list", epilog="Example: lectern list --json")
def list_models(store: StoreOption = None, as_json: AsJson = False) -> None:
    """List the models of the store with their newest version."""
    with told():
        found = _open(store)
        rows = [_newest(found, model) for model in found.models()]
        if as_json:
            print(json.dumps(rows))
        elif not rows:
            print(f"The store {short_path(found.root)} is empty; `lectern train NOTEBOOK` makes the first version.")
        else:
            print_table([_short_row(row) for row in rows])


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
        artifact = _open(store).artifact(model, version)
        manifest = artifact.manifest
        if as_json:
            print(json.dumps({"version": int(artifact.folder.name), **manifest.model_dump(mode="json")}))
            return
        title = f"{manifest.model} version {artifact.folder.name}"
        print(f"{title}, {manifest.created:%Y-%m-%d %H:%M} UTC  ({short_path(artifact.folder)})")
        if manifest.description:
            print(manifest.description)
        runtime = manifest.runtime
        print(f"Runs as {runtime.format}{f': {runtime.reason}' if runtime.reason else ''}")
        print_table([_field(field) for field in manifest.signature.model_dump()["inputs"]])
        for title, values in (("Metrics", manifest.metrics), ("Parameters", manifest.parameters)):
            if values:
                print_table([{title: name, "": value} for name, value in values.items()])


def _open(store: Path | None) -> Store:
    return TrainSettings.read(os.environ, store=store).open_store()


def _newest(store: Store, model: str) -> dict[str, Any]:
    versions = store.versions(model)
    try:
        return summary(store.artifact(model).manifest, versions[-1]) | {"versions": len(versions)}
    except LecternError as error:
        return {"model": model, "version": versions[-1], "versions": len(versions), "error": str(error)}


def _short_row(row: dict[str, Any]) -> dict[str, Any]:
    """A model in one line: of its metrics the first, which its task puts there."""
    if "error" in row:
        return row
    metric = dict(list(row["metrics"].items())[:1])
    return row | {"created": row["created"][:16].replace("T", " "), "metrics": metric}


def _field(field: dict[str, Any]) -> dict[str, Any]:
    def limits(pair: tuple[float | str, float | str] | None) -> str:
        return " to ".join(limit if isinstance(limit, str) else f"{limit:g}" for limit in pair or ())

    return {
        "field": field["name"],
        "type": field["type"] + "".join(f"[{n}]" for n in field["shape"]) + (" or null" if field["nullable"] else ""),
        "unit": field["unit"],
        "observed": limits(field["observed"]) or ", ".join(map(str, field["levels"] or ())),
        "allowed": limits(field["bounds"]),
        "example": textwrap.shorten(str(field["example"]), 60, placeholder=" …"),
    }

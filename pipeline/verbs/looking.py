"""The verbs that look at the store: list and show."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from contract.errors import LecternError
from contract.promotions import CHAMPION
from contract.store import Store
from contract.telling import told
from pipeline.settings import TrainSettings
from pipeline.verbs.base import AsJson, StoreOption, app, print_table, short_path, summary


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
        aliases = [alias for alias, named in _aliases(found, model).items() if named == number]
        if as_json:
            print(json.dumps({"version": number, "aliases": aliases, **manifest.model_dump(mode="json")}))
            return
        live = f" ({', '.join(aliases)})" if aliases else ""
        title = f"{manifest.model} version {number}{live}"
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
    live = {"versions": len(versions), "aliases": _aliases(store, model)}
    try:
        return summary(store.artifact(model).manifest, versions[-1]) | live
    except LecternError as error:
        return {"model": model, "version": versions[-1], **live, "error": str(error)}


def _aliases(store: Store, model: str) -> dict[str, int]:
    """What is live of a model: the version that each alias points at, the champion first."""
    deployment = store.promotions(model).read()
    champion = deployment.champion(store.versions(model))
    return ({} if champion is None else {CHAMPION: champion}) | dict(sorted(deployment.aliases.items()))


def _short_row(row: dict[str, Any]) -> dict[str, Any]:
    """A model in one line: of its metrics the first, which its task puts there."""
    if "error" in row:
        return row
    metric = dict(list(row["metrics"].items())[:1])
    return row | {"created": row["created"][:16].replace("T", " "), "metrics": metric}


def _live(row: dict[str, Any]) -> dict[str, Any]:
    """The champion beside the newest version, and the other aliases where there are any."""
    aliases = {alias: version for alias, version in row["aliases"].items() if alias != CHAMPION}
    shown = {"model": row["model"], "version": row["version"], CHAMPION: row["aliases"].get(CHAMPION, "")}
    rest = {name: value for name, value in row.items() if name not in (*shown, "aliases")}
    return shown | rest | ({"aliases": aliases} if aliases else {})


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

"""The verbs of this side: train, list, show."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.errors import LecternError
from contract.manifest import Manifest
from contract.store import Store
from pipeline.settings import TrainSettings

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make artifacts, and look at what the store holds.",
)

StoreOption = Annotated[Path | None, typer.Option("--store", help="Folder of all artifacts.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command(epilog="Example: lectern train notebooks/training/iris.ipynb -p n_estimators=200")
def train(
    notebooks: Annotated[list[Path], typer.Argument(metavar="NOTEBOOK...", help="Training notebooks, run one by one.")],
    parameters: Annotated[
        list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="A parameter; may be repeated.")
    ] = None,
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Run training notebooks; each becomes the next version of the model it exports."""
    with _told():
        settings = TrainSettings.read(os.environ, store=store)
        from pipeline.training import train as run

        for notebook in notebooks:
            trained = run(notebook, _pairs(parameters or []), settings.open_store(), settings, progress=not as_json)
            if as_json:
                print(json.dumps(_summary(trained.manifest, trained.version)))
            else:
                title = f"{trained.manifest.model} version {trained.version}"
                print(f"{title}: {_figures(trained.manifest)}  ({_short(trained.folder)})")


@app.command("list", epilog="Example: lectern list --json")
def list_models(store: StoreOption = None, as_json: AsJson = False) -> None:
    """List the models of the store with their newest version."""
    with _told():
        found = _open(store)
        rows = [_newest(found, model) for model in found.models()]
        if as_json:
            print(json.dumps(rows))
        elif not rows:
            print(f"The store {_short(found.root)} is empty; `lectern train NOTEBOOK` makes the first version.")
        else:
            _print(_table([_short_row(row) for row in rows]))


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
    with _told():
        artifact = _open(store).artifact(model, version)
        manifest = artifact.manifest
        if as_json:
            print(json.dumps({"version": int(artifact.folder.name), **manifest.model_dump(mode="json")}))
            return
        title = f"{manifest.model} version {artifact.folder.name}"
        print(f"{title}, {manifest.created:%Y-%m-%d %H:%M} UTC  ({_short(artifact.folder)})")
        if manifest.description:
            print(manifest.description)
        runtime = manifest.runtime
        print(f"Runs as {runtime.format}{f': {runtime.reason}' if runtime.reason else ''}")
        _print(_table([_field(field) for field in manifest.signature.model_dump()["inputs"]]))
        for title, values in (("Metrics", manifest.metrics), ("Parameters", manifest.parameters)):
            if values:
                _print(_table([{title: name, "": value} for name, value in values.items()]))


def _open(store: Path | None) -> Store:
    return TrainSettings.read(os.environ, store=store).open_store()


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    for name, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"'{name}' is not of the form NAME=VALUE.", param_hint="-p")
    return {name: value for name, _, value in pairs}


def _newest(store: Store, model: str) -> dict[str, Any]:
    versions = store.versions(model)
    try:
        return _summary(store.artifact(model).manifest, versions[-1]) | {"versions": len(versions)}
    except LecternError as error:
        return {"model": model, "version": versions[-1], "versions": len(versions), "error": str(error)}


def _summary(manifest: Manifest, version: int) -> dict[str, Any]:
    return {
        "model": manifest.model,
        "version": version,
        "created": manifest.created.isoformat(timespec="seconds"),
        "runtime": manifest.runtime.format,
        "metrics": manifest.metrics,
    }


def _short_row(row: dict[str, Any]) -> dict[str, Any]:
    """A model in one line: of its metrics the first, which its task puts there."""
    if "error" in row:
        return row
    metric = dict(list(row["metrics"].items())[:1])
    return row | {"created": row["created"][:16].replace("T", " "), "metrics": metric}


def _field(field: dict[str, Any]) -> dict[str, Any]:
    def limits(pair: tuple[float, float] | None) -> str:
        return "" if pair is None else f"{pair[0]:g} to {pair[1]:g}"

    return {
        "field": field["name"],
        "type": field["type"] + (" or null" if field["nullable"] else ""),
        "unit": field["unit"],
        "observed": limits(field["observed"]) or ", ".join(map(str, field["levels"] or ())),
        "allowed": limits(field["bounds"]),
        "example": field["example"],
    }


def _figures(manifest: Manifest) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in manifest.metrics.items()) or "no metrics"


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(Text(_cell(row.get(name, ""))) for name in columns))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(number)}" for name, number in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _print(table: Table) -> None:
    from rich.console import Console

    Console().print(table)


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def _told() -> Iterator[None]:
    """One clear message and exit code 1 for what Lectern refuses; Ctrl-C is no failure to explain."""
    try:
        yield
    except LecternError as error:
        print(f"lectern: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        print("lectern: interrupted.", file=sys.stderr)
        raise typer.Exit(130) from None

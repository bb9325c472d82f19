"""The verb that makes versions: train."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from pipeline.settings import TrainSettings
from pipeline.verbs.base import AsJson, StoreOption, app, figures, short_path, summary, told


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
    with told():
        settings = TrainSettings.read(os.environ, store=store)
        from pipeline.training import train as run

        for notebook in notebooks:
            trained = run(notebook, _pairs(parameters or []), settings.open_store(), settings, progress=not as_json)
            if as_json:
                print(json.dumps(summary(trained.manifest, trained.version)))
            else:
                title = f"{trained.manifest.model} version {trained.version}"
                print(f"{title}: {figures(trained.manifest)}  ({short_path(trained.folder)})")


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    for name, equals, _ in pairs:
        if not equals:
            raise typer.BadParameter(f"'{name}' is not of the form NAME=VALUE.", param_hint="-p")
    return {name: value for name, _, value in pairs}

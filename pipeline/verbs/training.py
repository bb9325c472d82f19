"""The verb that makes versions: train."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.manifest import Policy
from contract.showing import print_table
from contract.store import Store
from contract.telling import told
from pipeline.settings import TrainSettings
from pipeline.verbs.base import AsJson, StoreOption, app, figures, short_path, summary
from pipeline.verbs.giving import FileOption, GivenCommand, PairsOption, pairs

if TYPE_CHECKING:
    from pipeline.gating.deciding import Decision
    from pipeline.running.planning import Plan

ForceOption = Annotated[bool, typer.Option("--force", help="Run again what was run before.")]
PromoteOption = Annotated[
    Policy | None,
    typer.Option(
        "--promote", help="When the version becomes the champion; as the notebook or LECTERN_TRAIN_PROMOTE says if not."
    ),
]


@app.command(cls=GivenCommand, epilog="Example: lectern train notebooks/training/iris.ipynb -p n_estimators=200")
def train(
    notebooks: Annotated[list[Path], typer.Argument(metavar="NOTEBOOK...", help="Training notebooks, run one by one.")],
    parameters: PairsOption = None,
    file: FileOption = None,
    force: ForceOption = False,
    promote: PromoteOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run, and run nothing.")] = False,
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Run training notebooks; each becomes the next version of the model it exports.

    A run with the same code, parameters, data and packages as an earlier one is recognised and not run again.
    """
    with told():
        settings = TrainSettings.read(os.environ, store=store)
        from pipeline.running.parameter_files import read_mapping
        from pipeline.running.planning import Planner
        from pipeline.running.training import train_planned

        on_line = pairs(parameters)
        in_file = {} if file is None else read_mapping(file)
        plans = [Planner(notebook).plan(in_file | on_line) for notebook in notebooks]
        found = settings.open_store()
        if dry_run:
            sources = dict.fromkeys(in_file, str(file)) | dict.fromkeys(on_line, "-p")
            _show([_dry(plan, found, sources) for plan in plans], force=force, as_json=as_json)
            return
        for plan in plans:
            trained = train_planned(plan, found, settings, progress=not as_json, force=force, promote=promote)
            if as_json:
                facts = {"recognised": trained.recognised, "decision": decided(trained.decision)}
                print(json.dumps(summary(trained.manifest, trained.version) | facts))
                continue
            title = f"{trained.manifest.model} version {trained.version}"
            if trained.recognised:
                print(f"{title} was made by the same run; --force trains again.")
            else:
                print(f"{title}: {figures(trained.manifest)}  ({short_path(trained.folder)})")
            tell(trained.decision)


def tell(decision: Decision | None) -> None:
    """Print what was decided, and which rows were left out."""
    for text in () if decision is None else (str(decision), *decision.notes):
        print(f"  {text}")


def decided(decision: Decision | None) -> dict[str, Any] | None:
    """What was decided, as plain values."""
    return None if decision is None else decision.as_json()


def _dry(plan: Plan, store: Store, sources: dict[str, str]) -> dict[str, Any]:
    made = plan.made_before(store)
    shown = plan.mask.parameters(plan.values)
    return {
        "notebook": str(plan.notebook),
        "parameters": {name: {"value": value, "source": sources.get(name, "default")} for name, value in shown.items()},
        "made_before": None if made is None else {"model": made[0].model, "version": made[1]},
    }


def _show(runs: list[dict[str, Any]], *, force: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(runs))
        return
    for run in runs:
        made = run["made_before"]
        same = "" if made is None else f"{made['model']} version {made['version']} was made by the same run"
        would = f"would run again: {same}" if same and force else f"would not run: {same}" if same else "would run"
        print(f"{run['notebook']} {would}.")
        if run["parameters"]:
            rows = [{"parameter": name} | told for name, told in run["parameters"].items()]
            print_table([row | {"value": json.dumps(row["value"], ensure_ascii=False)} for row in rows])

"""The verb that runs a notebook with many sets of parameters: sweep."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.showing import print_table
from contract.telling import told
from pipeline.settings import TrainSettings
from pipeline.verbs.base import AsJson, StoreOption, app, short_path
from pipeline.verbs.giving import FileOption, GivenCommand, PairsOption, pairs
from pipeline.verbs.training import ForceOption, PromoteOption, decided, tell

if TYPE_CHECKING:
    from pipeline.sweeping import Swept

MOST_SHOWN = 20


@app.command(
    cls=GivenCommand,
    epilog="Example: lectern sweep notebooks/training/iris.ipynb -p n_estimators=50,100,200 -p max_depth=2,4",
)
def sweep(
    notebook: Annotated[Path, typer.Argument(metavar="NOTEBOOK", help="A training notebook.")],
    parameters: PairsOption = None,
    file: FileOption = None,
    sets: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Sets of parameters: CSV with a head, or a YAML or JSON list."),
    ] = None,
    number: Annotated[
        int | None, typer.Option("--random", metavar="N", min=1, help="Draw N sets instead of taking every one.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="What the draw depends on.")] = 0,
    metric: Annotated[
        str | None, typer.Option("--metric", help="What decides; the usual one of the task when not given.")
    ] = None,
    lowest: Annotated[bool, typer.Option("--lowest", help="The smallest value of the metric is the best.")] = False,
    jobs: Annotated[
        int | None, typer.Option("-n", "--jobs", min=1, help="Runs at once; one for each core when not given.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="Run on the workers of a Dask cluster.")
    ] = None,
    force: ForceOption = False,
    promote: PromoteOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Run more than 1,000.")] = False,
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Run a notebook with many sets of parameters; the best run becomes a version, the others are kept as runs.

    `-p a=1,2` tries two values, `-p "a=['x,y', 'z']"` two that hold commas; with --random, `-p a=1..100` draws from a
    range and `-p a=0.001..1:log` from one of magnitudes. The same sweep again runs what is missing.
    """
    with told():
        settings = TrainSettings.read(os.environ, store=store)
        from pipeline.running.parameter_files import read_mapping, read_sets
        from pipeline.running.planning import Planner
        from pipeline.sweeping import Where, choices
        from pipeline.sweeping import sweep as run
        from pipeline.sweeping.leaderboard import Leaderboard

        chosen = {name: choices.parse(name, text) for name, text in pairs(parameters).items()}
        rows = [(read_mapping(file) if file else {}) | row for row in (read_sets(sets) if sets else [{}])]
        given = choices.combine(rows, chosen, number=number, seed=seed, unbounded=yes)
        planner = Planner(notebook)
        board = Leaderboard(metric, lowest=lowest)
        try:
            swept = run(
                planner,
                given,
                settings.open_store(),
                settings,
                Where(jobs, dask),
                board,
                force=force,
                progress=not as_json,
                promote=promote,
            )
        except KeyboardInterrupt:
            print("\nThe same sweep again goes on with what is missing.", file=sys.stderr)
            raise
        _tell(swept, as_json=as_json)
    if swept.best is None:
        raise typer.Exit(1)


def _tell(swept: Swept, *, as_json: bool) -> None:
    rows = swept.board.rows()
    if as_json:
        best = None if swept.best is None else {"model": swept.best[0], "version": swept.best[1]}
        facts = {"best": best, "decision": decided(swept.decision), "runs": rows}
        print(json.dumps({"sweep": swept.id, "metric": swept.board.metric} | facts))
    else:
        ranked = [row for row in rows if row["rank"] is not None]
        if ranked:
            print_table([_short(row) for row in ranked[:MOST_SHOWN]])
        if len(ranked) > MOST_SHOWN:
            print(f"… and {len(ranked) - MOST_SHOWN} more in {short_path(swept.folder)}")
    for row in rows:
        if row["status"] != "completed":
            print(f"lectern: {row['run']} {row['status']}: {row['error'].partition(chr(10))[0]}", file=sys.stderr)
    if as_json:
        return
    again = f", {swept.recognised} of them recognised" if swept.recognised else ""
    print(f"{len(rows)} runs{again}; leaderboard and plot: {short_path(swept.folder)}")
    if swept.best is not None:
        print(f"The best run is {swept.best[0]} version {swept.best[1]}.")
        tell(swept.decision)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in row.items() if name not in ("status", "error")}
    return shown | {"version": "" if row["version"] is None else row["version"]}

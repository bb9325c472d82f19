"""The verbs that ask the gate: promote and compare."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from contract.deploying import Deployer, who
from contract.errors import PromotionRefused
from contract.promotions import CHAMPION
from contract.showing import print_table
from contract.telling import told
from contract.trust import prover
from pipeline.settings import TrainSettings
from pipeline.verbs.base import AsJson, StoreOption, app

if TYPE_CHECKING:
    from pipeline.gating.comparing import Comparison
    from pipeline.gating.deciding import Decision
    from pipeline.gating.limits import Limit

ModelArgument = Annotated[str, typer.Argument(help="The model's name.")]
MetricOption = Annotated[
    str | None, typer.Option("--metric", help="What decides; the usual one of the task when not given.")
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="Rows to compare on, CSV or Parquet; held-out ones when not given."),
]
TargetOption = Annotated[
    str | None, typer.Option("--target", metavar="COLUMN", help="The column of --data that holds the truth.")
]


@app.command(epilog="Example: lectern promote iris 4 --limit 'accuracy>=0.9' --limit 'sex: accuracy>=0.8'")
def promote(
    model: ModelArgument,
    version: Annotated[int, typer.Argument(help="The version.")],
    alias: Annotated[str, typer.Option("--alias", help="What shall point at it.")] = CHAMPION,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stays in the log.", show_default=False)] = "",
    expect: Annotated[
        int | None, typer.Option("--expect", metavar="N", help="Only if the alias points at this version now.")
    ] = None,
    metric: MetricOption = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit", help="What it has to reach, as 'accuracy>=0.9', 'sex=F: accuracy>=0.8' or 'sex: accuracy>=0.8'."
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option("--tolerance", min=0, help="How much worse it may be; LECTERN_TRAIN_TOLERANCE when not given."),
    ] = None,
    data: DataOption = None,
    target: TargetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Compare nothing; needs --reason.")] = False,
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a version the champion if it is not worse than the one that is; other aliases point where they are told."""
    gated = alias == CHAMPION and not force
    if force and not reason.strip():
        raise typer.BadParameter("say why with --reason.", param_hint="--force")
    if not gated and (metric or limit or data or tolerance is not None):
        raise typer.BadParameter("--metric, --limit, --tolerance and --data are for a comparison, and none is made.")
    _check_rows(data, target)
    with told():
        settings = TrainSettings.read(os.environ, store=store, tolerance=tolerance)
        found, asked_for = settings.open_store(), _parsed(limit or [])
        deployer = Deployer(found, who(), prover(settings, settings.loading))
        before = deployer.deployment(model).champion(found.versions(model)) if gated else None
        decision, facts = None, {"model": model, "version": version, "alias": alias}
        if gated and before != version:
            found.artifact(model, version)
            wishes = {"metric": metric, "asked_for": asked_for, "data": data, "target": target}
            decision = _decided(settings, model, version, before, wishes)
            if not as_json and decision.comparison is not None:
                _show(decision.comparison)
            if not decision.promoted:
                if as_json:
                    print(json.dumps({**facts, "decision": decision.as_json()}))
                raise PromotionRefused(f"{model} version {version} was {decision}.")
        deployer.promote(
            model,
            version,
            alias,
            reason=reason or ("" if decision is None else decision.reason),
            expected=expect if expect is not None or not gated else before or 0,
            gate=None if decision is None else decision.as_json(),
        )
        if as_json:
            print(json.dumps({**facts, "decision": None if decision is None else decision.as_json()}))
            return
        print(f"{model} version {version} is {alias} now{'' if decision is None else f': {decision.reason}'}.")


@app.command(epilog="Example: lectern compare iris 3 4 --slice petal_width")
def compare(
    model: ModelArgument,
    first: Annotated[int, typer.Argument(metavar="A", help="A version.")],
    second: Annotated[int, typer.Argument(metavar="B", help="Another one, whose held-out rows both are asked.")],
    metric: MetricOption = None,
    column: Annotated[
        str | None, typer.Option("--slice", metavar="COLUMN", help="Show that metric for each value of a column, too.")
    ] = None,
    data: DataOption = None,
    target: TargetOption = None,
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Ask two versions the same rows, and show what each reaches. Nothing is promoted."""
    _check_rows(data, target)
    with told():
        from pipeline.gating import versus

        comparison = versus.compare(
            model, first, second, metric=metric, slice=column, data=data, target=target, store=store
        )
        if as_json:
            from pipeline.gating.deciding import as_json as plain

            print(json.dumps({"model": model, "versions": [first, second]} | plain(comparison)))
            return
        _show(comparison)


def _decided(
    settings: TrainSettings, model: str, candidate: int, champion: int | None, wishes: dict[str, Any]
) -> Decision:
    """Ask the gate; limits hold also for a first champion, which is compared with itself."""
    from pipeline.gating.deciding import decide

    limits, metric = wishes["asked_for"], wishes["metric"]
    against = candidate if champion is None and limits else champion

    def compare() -> Comparison:
        from pipeline.gating.versus import versus

        return versus(settings, model, candidate, against or candidate, **wishes)

    decision = decide(model, candidate, against, "if-better", compare, tolerance=settings.tolerance)
    if decision.promoted and decision.comparison is None and (limits or metric):
        raise PromotionRefused(
            f"{model} version {candidate} was not promoted, as nothing was compared: {decision.reason}. Give rows "
            "with --data FILE --target COLUMN, or leave --metric and --limit out."
        )
    return decision


def _parsed(texts: list[str]) -> list[Limit]:
    from pipeline.gating.limits import Limit

    try:
        return [Limit.parse(text) for text in texts]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--limit") from None


def _check_rows(data: Path | None, target: str | None) -> None:
    if (data is None) != (target is None):
        raise typer.BadParameter("--data and --target go together: a file, and its column that holds the truth.")


def _show(comparison: Comparison) -> None:
    """Print a comparison as a table, and what is to be said of it."""
    from pipeline.gating import tabling

    print_table(tabling.rows(comparison))
    print("\n".join(tabling.below(comparison)))

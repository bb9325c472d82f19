"""The verb that deletes what nothing needs any more: prune."""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from typing import Annotated, Any

import typer

from contract import pruning
from contract.errors import LecternError
from contract.pruning import Plan
from contract.showing import print_table
from serving.verbs.base import StoreOption, app
from serving.verbs.deploying import AsJson, ReasonOption, deployer_of

_AGE = re.compile(r"([0-9]{1,5})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def _age(text: str) -> timedelta:
    """A time as `90d`, `12h` or `8w`."""
    if found := _AGE.fullmatch(text):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise typer.BadParameter("give hours, days or weeks: 12h, 90d, 8w.")


@app.command(epilog="Example: lectern prune iris --keep 5 --older-than 90d --yes")
def prune(
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL", help="All models when none is named.")] = None,
    keep: Annotated[int | None, typer.Option("--keep", metavar="N", min=1, help="The newest N versions stay.")] = None,
    older_than: Annotated[
        timedelta | None, typer.Option("--older-than", metavar="AGE", parser=_age, help="What is younger stays: 90d.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without, it is only said what would go.")] = False,
    reason: ReasonOption = "",
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Delete versions for good that nothing needs: no alias names them, and rolling back does not lead to them."""
    if keep is None and older_than is None:
        raise typer.BadParameter("say what stays with --keep, --older-than or both.", param_hint="--keep")
    with deployer_of(store) as deployer:
        plans, refused = [], False
        for model in models or deployer.store.models():
            rule: dict[str, Any] = {"keep": keep or 1, "older_than": older_than}
            try:
                if yes:
                    plans.append(pruning.prune(deployer, model, **rule, reason=reason))
                else:
                    plans.append(pruning.plan(deployer.store, model, **rule))
            except LecternError as error:  # the others are pruned all the same
                print(f"lectern: {error}", file=sys.stderr)
                refused = True
        if as_json:
            print(json.dumps([_document(plan) | {"deleted": yes} for plan in plans]))
        else:
            _show(plans, yes)
    if refused:
        raise typer.Exit(1)


def _document(plan: Plan) -> dict[str, Any]:
    return {"model": plan.model, "going": plan.going, "staying": dict(plan.staying)}


def _show(plans: list[Plan], done: bool) -> None:
    goes = "was deleted" if done else "would go"
    rows = [
        {"model": plan.model, "version": str(version), "": "stays" if why else goes, "why": why}
        for plan in plans
        for version, why in sorted([*plan.staying.items(), *((version, "") for version in plan.going)])
    ]
    if rows:
        print_table(rows)
    count = sum(len(plan.going) for plan in plans)
    versions = f"{count} version{'s' * (count != 1)}"
    if done:
        print(f"{versions} deleted.")
    else:
        print(f"Nothing was deleted{f'; --yes deletes {versions}' if count else ', and nothing would be'}.")

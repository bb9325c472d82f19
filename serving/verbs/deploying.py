"""The verbs that change what is live, and the one that tells how it came to be: rollback, alias, traffic, history."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from contract import trust
from contract.artifact import Artifact
from contract.deploying import Deployer, who
from contract.errors import PromotionFailed
from contract.promotions import CHALLENGER, CHAMPION, Promotion, changed
from contract.showing import one_line, print_table
from contract.telling import told
from contract.trying import try_out
from serving.settings import ServeSettings
from serving.verbs.base import StoreOption, app

ModelArgument = Annotated[str, typer.Argument(help="The model's name.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it stays in the log.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command(epilog="Example: lectern rollback iris --reason 'it refuses every fifth row'")
def rollback(
    model: ModelArgument,
    reason: ReasonOption = "",
    expect: Annotated[
        int | None, typer.Option("--expect", metavar="N", help="Only if this version is the champion now.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Make the version champion again that it was before; done twice, it leads to the one before that."""
    with deployer_of(store) as deployer:
        found = deployer.roll_back(model, reason=reason, expected=expect)
        print(f"{model} version {found.aliases[CHAMPION]} is the champion again.")


@app.command(epilog="Example: lectern history iris")
def history(model: ModelArgument, store: StoreOption = None, as_json: AsJson = False) -> None:
    """Show every promotion of a model, the newest last: what was changed, when, by whom and why."""
    with deployer_of(store) as deployer:
        deployer.deployment(model)
        entries = deployer.store.promotions(model).history()
        if as_json:
            print(json.dumps([{"number": number, **_document(entry)} for number, entry in entries]))
        elif not entries:
            print(f"{model} has no promotions: its newest version, {deployer.store.versions(model)[-1]}, answers.")
        else:
            print_table([{"number": str(number), **_row(entry)} for number, entry in entries])


@app.command(epilog="Example: lectern alias iris challenger 4")
def alias(
    model: ModelArgument,
    name: Annotated[str | None, typer.Argument(help="The alias; all are listed when not given.")] = None,
    version: Annotated[int | None, typer.Argument(help="What it shall point at.", show_default=False)] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Let it point at nothing any more.")] = False,
    reason: ReasonOption = "",
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Give a version a name of its own, under which it answers; or list the names, or take one away."""
    if (version is not None) == remove and name is not None:
        raise typer.BadParameter("give the version it shall point at, or --remove.", param_hint="NAME")
    if name is None and remove:
        raise typer.BadParameter("say which alias.", param_hint="--remove")
    if name == CHAMPION and version is not None:
        raise typer.BadParameter(f"`lectern promote {model} {version}` makes a champion.", param_hint="NAME")
    with deployer_of(store) as deployer:
        if name is not None and version is not None:
            deployer.promote(model, version, name, reason=reason)
        elif name is not None:
            deployer.remove(model, name, reason=reason)
        deployment = deployer.deployment(model)
        champion = deployment.champion(deployer.store.versions(model))
        aliases = ({} if champion is None else {CHAMPION: champion}) | dict(sorted(deployment.aliases.items()))
        if as_json:
            print(json.dumps(aliases))
        elif name is None:
            print_table([{"alias": given, "version": str(number)} for given, number in aliases.items()])
        else:
            print(f"{model} version {version} is {name} now." if version else f"{model} has no {name} any more.")


@app.command(epilog="Example: lectern traffic iris --challenger 10 --shadow")
def traffic(
    model: ModelArgument,
    challenger: Annotated[
        float | None,
        typer.Option("--challenger", metavar="PERCENT", min=0, max=100, help="Share of the requests it answers."),
    ] = None,
    shadow: Annotated[
        bool | None, typer.Option("--shadow/--no-shadow", help="Whether it answers copies, which nobody sees.")
    ] = None,
    reason: ReasonOption = "",
    store: StoreOption = None,
    as_json: AsJson = False,
) -> None:
    """Let the challenger answer a share of the requests, or copies of them; without options, say how it is now."""
    with deployer_of(store) as deployer:
        found = deployer.traffic(model, share=challenger, shadow=shadow, reason=reason)
        champion, other = found.champion(deployer.store.versions(model)), found.aliases.get(CHALLENGER)
        if as_json:
            facts = {CHAMPION: champion, CHALLENGER: other, "share": found.share, "shadow": found.shadow}
            print(json.dumps({"model": model, **facts}))
            return
        rest = "all" if not found.share else f"{100 - found.share:g} % of the"
        print(f"{model}: the champion, {_version(champion)}, answers {rest} requests.")
        if other is None:
            print("There is no challenger.")
        else:
            parts = [f"{found.share:g} % of them"] if found.share else []
            parts += [f"copies of {'the others' if parts else 'them'}, which nobody sees"] if found.shadow else []
            print(f"The challenger, {_version(other)}, answers {', and '.join(parts) or 'none'}.")


@contextmanager
def deployer_of(store: Path | None) -> Iterator[Deployer]:
    """Who makes the moves of this command; what the file system refuses is one clear message as well."""
    with told():
        settings = ServeSettings.read(os.environ, store=store)
        found = settings.open_store()

        def try_it(artifact: Artifact) -> None:
            trust.check(artifact, artifact.folder.parent.name, int(artifact.folder.name), settings)
            try_out(artifact, settings.limits)

        try:
            yield Deployer(found, who(), try_it)
        except BrokenPipeError:  # whoever read this has seen enough
            raise
        except OSError as error:
            raise PromotionFailed(f"Cannot use the store {found.root}: {error.strerror}.") from error


def _document(entry: Promotion | None) -> dict[str, Any]:
    return {"damaged": True} if entry is None else entry.model_dump(mode="json")


def _row(entry: Promotion | None) -> dict[str, str]:
    if entry is None:
        return {"when": "", "who": "", "what": "cannot be read", "why": "", "gate": ""}
    facts = {"when": f"{entry.at:%Y-%m-%d %H:%M}", "who": entry.by, "what": changed(entry), "why": entry.reason}
    return facts | {"gate": one_line(_verdict(entry))}


def _verdict(entry: Promotion) -> str:
    """What the gate said, and the figures if the reason has them not; an entry written by hand may hold anything."""
    gate: Any = entry.gate or {}
    said = str(gate.get("verdict", ""))
    if entry.reason == gate.get("reason"):
        return said
    with contextlib.suppress(AttributeError, TypeError, ValueError):
        for line in gate.get("table", ()):
            if line["metric"] == gate["metric"] and not line.get("rows"):
                return f"{said}: {line['metric']} {line['candidate']:.4g} against {line['champion']:.4g}"
    return said


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"

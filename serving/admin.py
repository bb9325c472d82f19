"""The routes that change what is live, and those that tell of it. They are for who runs the service."""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from contract.artifact import Artifact
from contract.deploying import Deployer
from contract.promotions import ALIAS, CHAMPION, Deployment, Promotion, changed, told
from contract.trying import try_out
from serving.access.caller import caller_of
from serving.bodies import StrictRoute
from serving.loading import admit
from serving.metrics import Sheet
from serving.pages.rendering import PAGE, page, wants_page
from serving.problems import Problem
from serving.registry import Registry
from serving.settings import ServeSettings
from serving.shadow_report import ShadowDocument, facts, report

Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1_000)]


LARGEST = 10**9 - 1
"""The largest number that a version can have."""
MOST_ENTRIES = 200
"""Of the history its page shows no more."""


class Move(BaseModel):
    """What every change may come with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Reason = Field("", description="why, for the history")
    expected: int | None = Field(
        None, ge=0, le=LARGEST, description="the version that answers as far as you know; 409 where it is not"
    )


class Promote(Move):
    """Point an alias at a version."""

    version: int = Field(ge=1, le=LARGEST)
    alias: str = Field(CHAMPION, pattern=f"^{ALIAS}$", description="which name for a version is to point at it")
    force: bool = Field(False, description="promote although the gate kept it back, or was never asked; needs a reason")


class Traffic(BaseModel):
    """How the challenger takes part; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    challenger: float | None = Field(None, ge=0, le=100, description="percent of the requests that it answers")
    shadow: bool | None = Field(None, description="whether it answers copies of the requests, which are compared")
    reason: Reason = ""


class DeploymentDocument(BaseModel):
    """What is live of a model, by its log."""

    model: str
    promotions: int = Field(description="how many there have been; 0: the newest version answers")
    champion: int | None
    aliases: dict[str, int]
    challenger: float = Field(description="percent of the requests that the challenger answers")
    shadow: bool


class PromotionDocument(BaseModel):
    """One entry of the history."""

    number: int
    kind: Literal["promote", "rollback", "alias", "traffic", "keep", "prune", "damaged"]
    at: datetime | None = None
    by: str = ""
    reason: str = ""
    said: str = Field(description="the entry in one line")
    what: str = Field("", description="what it changed")
    alias: str = ""
    version: int | None = None
    before: int | None = None
    gate: dict[str, Any] | None = Field(None, description="the comparison that decided")


def create_admin(registry: Registry) -> APIRouter:
    """The routes, for one registry."""
    router = APIRouter(tags=["deployment"], route_class=StrictRoute, dependencies=[Depends(partial(_admit, registry))])
    store = registry.store

    def try_it(artifact: Artifact) -> None:
        admit(artifact.folder.parent.name, int(artifact.folder.name), artifact, registry.settings)
        try_out(artifact, registry.settings.limits)

    def deployer(request: Request) -> Deployer:
        caller = caller_of(request.scope)
        name = (caller and caller.name) or (request.client.host if request.client else "somebody")
        return Deployer(store, f"the service, for {name}", try_it)

    def done(model: str, deployment: Deployment) -> DeploymentDocument:
        registry.look()
        return _deployment(model, deployment, store.versions(model))

    @router.get("/models/{model}/deployment")
    def deployment(model: str) -> DeploymentDocument:
        """What is live of a model: its aliases, and how the requests are shared."""
        registry.model(model)
        return _deployment(model, store.promotions(model).read(), store.versions(model))

    @router.post("/models/{model}/promote")
    def promote(model: str, move: Promote, request: Request) -> DeploymentDocument:
        """Point an alias at a version; for the champion, one that the gate let through or that was champion before."""
        made = deployer(request)
        if move.force and not move.reason:
            raise Problem(409, "reason_missing", "What goes round the gate needs a `reason`.")
        expected = move.expected
        if move.alias == CHAMPION and not move.force:
            compared = _gate(made, model, move.version)
            expected = compared if expected is None else expected  # no other one that was promoted meanwhile
        return done(model, made.promote(model, move.version, move.alias, reason=move.reason, expected=expected))

    @router.post("/models/{model}/rollback")
    def roll_back(model: str, move: Move, request: Request) -> DeploymentDocument:
        """Make the version champion again that it was before."""
        return done(model, deployer(request).roll_back(model, reason=move.reason, expected=move.expected))

    @router.delete("/models/{model}/aliases/{alias}")
    def remove_alias(model: str, alias: str, request: Request) -> DeploymentDocument:
        """Let an alias point at nothing any more."""
        return done(model, deployer(request).remove(model, alias))

    @router.post("/models/{model}/traffic")
    def traffic(model: str, wanted: Traffic, request: Request) -> DeploymentDocument:
        """Let the challenger answer a share of the requests, or copies of them."""
        share, shadow, reason = wanted.challenger, wanted.shadow, wanted.reason
        return done(model, deployer(request).traffic(model, share=share, shadow=shadow, reason=reason))

    @router.get("/models/{model}/history", response_model=list[PromotionDocument], responses=PAGE)
    def history(model: str, request: Request) -> list[PromotionDocument] | Response:
        """Every promotion of a model, the first one first."""
        registry.model(model)
        found = [_promotion(number, entry) for number, entry in store.promotions(model).history()]
        if not wants_page(request):
            return found
        shown = found[: -MOST_ENTRIES - 1 : -1]
        return page(request, "history.html", model=model, entries=shown, more=len(found) - len(shown))

    @router.get("/models/{model}/shadow", response_model=ShadowDocument, responses=PAGE)
    def shadow(model: str, request: Request) -> ShadowDocument | Response:
        """What was compared of the challenger's answers to copies with the champion's."""
        state = registry.model(model)
        total = Sheet()
        for sheet in registry.observation.sheets():
            total.add(sheet)
        pair = state.shadowed
        agreements = total.agreements
        agreement = agreements.of(model, pair[0].version, pair[1].version) if pair else agreements.last(model)
        if agreement is None and wants_page(request):
            return page(request, "shadow.html", model=model, found=None)
        if agreement is None:
            raise Problem(
                404, "no_shadow", f"No challenger of '{model}' has answered copies; `lectern traffic {model} --shadow`."
            )
        found = report(agreement, total, running=pair is not None)
        if not wants_page(request):
            return found
        return page(request, "shadow.html", model=model, **facts(found))

    return router


def _admit(registry: Registry, request: Request, response: Response) -> None:
    """Let only callers on this machine, or with a key, change anything; and no page of another site by their browser.

    A unix socket is reached by its owner alone, whatever name they or a proxy of theirs call it by.
    """
    if registry.door is None or not registry.door.locked:  # else it has found out who asks, and that they may
        _admit_this_machine(registry.settings, request)
    response.headers["cache-control"] = "no-store"


def _admit_this_machine(settings: ServeSettings, request: Request) -> None:
    if not settings.local:
        raise Problem(
            403,
            "admin_locked",
            "Where others than this machine reach the service, these routes need a key to `admin`.",
        )
    named = re.sub(r":[0-9]*$", "", request.headers.get("host", "")).strip("[]").lower()
    if not (_over_unix_socket(request) or named == "localhost" or _is_address(named)):
        raise Problem(421, "host_unknown", "These routes answer under this machine's own address only.")


def _over_unix_socket(request: Request) -> bool:
    server = request.scope.get("server")
    return server is not None and server[1] is None  # as ASGI says it


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _gate(made: Deployer, model: str, version: int) -> int:
    """Hold a promotion to what the log says of the gate; return the champion that it was compared with, 0 for none.

    Raises:
        VersionNotFound: there is no such version.
        Problem: it was kept back, or was never compared with the champion.
    """
    deployment = made.deployment(model)
    made.store.artifact(model, version)
    champion = deployment.champion(made.store.versions(model))
    entries = [entry for _, entry in made.store.promotions(model).history() if entry is not None]
    moved = [e for e in entries if e.version == version and e.alias == CHAMPION]
    if champion is None or champion == version or moved:  # it was good enough before
        return champion or 0
    compared = [e for e in entries if e.version == version and e.before == champion and e.gate and "table" in e.gate]
    way_out = "Promote it with `force` and a `reason`, or with `lectern promote`, which compares them."
    if not compared:
        raise Problem(
            409, "not_compared", f"Version {version} of '{model}' was not compared with version {champion}. {way_out}"
        )
    gate = compared[-1].gate or {}
    if gate.get("verdict") != "promoted":
        kept = f"The gate kept version {version} of '{model}' back: {gate.get('reason')}."
        raise Problem(409, "kept_back", f"{kept} {way_out}")
    return champion


def _promotion(number: int, entry: Promotion | None) -> PromotionDocument:
    if entry is None:
        return PromotionDocument(number=number, kind="damaged", said="This entry cannot be read.")
    facts = entry.model_dump(include={"kind", "at", "by", "reason", "alias", "version", "before", "gate"})
    return PromotionDocument(number=number, said=told(entry), what=changed(entry), **facts)


def _deployment(model: str, found: Deployment, versions: list[int]) -> DeploymentDocument:
    return DeploymentDocument(
        model=model,
        promotions=found.number,
        champion=found.champion(versions),
        aliases=dict(found.aliases),
        challenger=found.share,
        shadow=found.shadow,
    )

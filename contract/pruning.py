"""Pruning: which versions of a model are needed no more, and how they go.

plan → note in the log which versions go → have each vanish at once → remove their files. As the note is a promotion,
nothing can be made live at the same moment that is about to go; what a crash leaves undone the next prune does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from contract.deploying import Deployer
from contract.errors import ArtifactError, ModelNotFound, PromotionConflict, PromotionFailed, PromotionRefused
from contract.promotions import CHAMPION, Deployment, Promotion
from contract.store import Store


@dataclass(frozen=True, slots=True)
class Plan:
    """What a prune of one model does."""

    model: str
    going: tuple[int, ...]
    staying: Mapping[int, str]
    """Every other version, and why it stays."""
    deployment: Deployment
    """What was live when this was planned."""

    @property
    def unnoted(self) -> tuple[int, ...]:
        """Those that go and of which the log does not know it; of the others a prune before noted it and ended."""
        return tuple(version for version in self.going if version not in self.deployment.pruned)


def plan(
    store: Store, model: str, *, keep: int = 1, older_than: timedelta | None = None, now: datetime | None = None
) -> Plan:
    """Which versions would go, and why the others stay.

    What an alias names, the last two champions and the newest version always stay; without a log, the newest two.

    Args:
        store: where the versions are.
        model: the model's name.
        keep: how many of the newest versions stay.
        older_than: how old a version is before it goes, by its manifest.
        now: the time, with a zone.

    Raises:
        ModelNotFound: there is no such model.
        PromotionRefused: the log is damaged, so that it does not say what is needed.
        OSError: the file system failed.
    """
    deployment, versions = store.promotions(model).read(), store.versions(model)
    if not versions:
        raise ModelNotFound(model, store.models())
    if deployment.damaged:
        raise PromotionRefused(
            f"Promotion {deployment.damaged[-1]} of '{model}' cannot be read, and may name a version that is needed: "
            "restore it from a backup, or delete by hand what you know to be useless."
        )
    oldest = None if older_than is None else (now or datetime.now(UTC)) - older_than
    needed = _needed(deployment, versions, keep)
    staying = {}
    for version in versions:
        doomed = version in deployment.pruned and version not in deployment.aliases.values()
        if not doomed and (why := needed.get(version) or _young(store, model, version, oldest)):
            staying[version] = why
    return Plan(model, tuple(number for number in versions if number not in staying), staying, deployment)


def prune(
    deployer: Deployer, model: str, *, keep: int = 1, older_than: timedelta | None = None, reason: str = ""
) -> Plan:
    """Delete versions for good; return what was done.

    Raises:
        ModelNotFound, PromotionRefused, OSError: as `plan` does; nothing was deleted.
        ArtifactError: there is no log, and no version that it could begin with.
        PromotionFailed: the file system refused; the message says what was done.
    """
    store = deployer.store
    while True:
        found = plan(store, model, keep=keep, older_than=older_than)
        try:
            if found.unnoted and not found.deployment.number:
                deployer.begun(model)
                continue
            if found.unnoted:
                at = datetime.now(UTC).replace(microsecond=0)
                noted = Promotion(kind="prune", at=at, by=deployer.by, reason=reason, versions=found.unnoted)
                store.promotions(model).append(noted, after=found.deployment)
        except PromotionConflict:  # what is needed may be something else now
            continue
        try:
            store.withdraw(model, found.going)
        except OSError as error:
            raise PromotionFailed(
                f"The log of '{model}' notes what was deleted, but not all of it could be removed: {error.strerror}. "
                "Prune again to go on."
            ) from error
        return found


def _needed(deployment: Deployment, versions: list[int], keep: int) -> dict[int, str]:
    """Why versions stay, whatever their age; the strongest reason of each."""
    champions = deployment.champions if deployment.number else versions
    champion = deployment.champion(versions)
    reasons = [(champion, f"it is the {CHAMPION}")] if champion is not None else []
    reasons += [(number, f"the alias {alias} names it") for alias, number in sorted(deployment.aliases.items())]
    reasons += [(number, "rolling back leads to it") for number in champions[-2:]]
    reasons += [(versions[-1], "it is the newest")]
    reasons += [(number, f"it is one of the newest {keep}") for number in versions[max(len(versions) - keep, 0) :]]
    return dict(reversed(reasons))


def _young(store: Store, model: str, version: int, oldest: datetime | None) -> str:
    """Why a version stays because of its age; empty if it does not."""
    if oldest is None:
        return ""
    try:
        created = store.artifact(model, version).manifest.created
    except ArtifactError as error:
        return f"its age is not known: {str(error).removesuffix('.')}"
    return f"it is of {created:%Y-%m-%d}" if created > oldest else ""

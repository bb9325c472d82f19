"""The snapshot: what requests see of a store's models at one moment. It is never changed, only replaced."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from contract.errors import ArtifactError, StoreError
from contract.promotions import CHALLENGER, CHAMPION, Deployment
from serving.canary import Split
from serving.loading import Served

RETRY_S = 5.0
Condition = Literal["ready", "loading", "failed", "unpromoted"]
"""Whether a model answers, and why not: no version of it was promoted, or none that was can be served."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version is not served."""

    code: str
    reason: str
    retry_at: float | None = None
    """When to try again (monotonic seconds), for what may pass."""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Why a version is not served that met an error when it was loaded."""
        later = time.monotonic() + RETRY_S
        match error:
            case ArtifactError():
                passes = isinstance(error.__cause__, OSError)  # the system had no process for it, say
                return cls(error.code, str(error), retry_at=later if passes else None)
            case OSError():
                return cls("unreadable", f"{error.strerror}.", retry_at=later)
            case StoreError():
                return cls("vanished", str(error), retry_at=later)
        return cls("internal_error", "Loading it failed in an unforeseen way; the log says how.")

    @property
    def is_due(self) -> bool:
        """Whether it is time to try again."""
        return self.retry_at is not None and time.monotonic() >= self.retry_at


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is known of one model."""

    versions: tuple[int, ...] = ()
    deployment: Deployment = field(default_factory=Deployment)
    """What shall be live."""
    answering: Mapping[str, Served] = field(default_factory=dict)
    """What is live, by alias."""
    failures: Mapping[int, Failure] = field(default_factory=dict)

    @property
    def champion(self) -> Served | None:
        """The version that answers where none is named."""
        return self.answering.get(CHAMPION)

    @property
    def condition(self) -> Condition:
        """Whether it answers, and why not."""
        if self.champion:
            return "ready"
        deployment = self.deployment
        if deployment.number and CHAMPION not in deployment.aliases:
            return "unpromoted"
        wanted = deployment.champions if deployment.number else self.versions
        return "failed" if set(wanted) & set(self.versions) <= set(self.failures) else "loading"

    @property
    def challenger(self) -> Served | None:
        """The version that takes part: the challenger of the log, never one before it that answers in its place."""
        served = self.answering.get(CHALLENGER)
        return served if served and served.version == self.deployment.aliases.get(CHALLENGER) else None

    @property
    def lags(self) -> bool:
        """Whether the log cannot be followed: an alias points at what must not be served, or an entry is damaged."""
        unserved = [version for version in self.deployment.aliases.values() if version in self.failures]
        return bool(unserved or self.deployment.damaged)

    @property
    def split(self) -> Split | None:
        """What chooses between champion and challenger, where both answer."""
        champion, challenger = self.champion, self.challenger
        if champion is None or challenger is None or not self.deployment.share:
            return None
        return Split(champion, challenger, self.deployment.share)

    @property
    def shadowed(self) -> tuple[Served, Served] | None:
        """The champion, and the challenger that answers copies of its requests."""
        champion, challenger = self.champion, self.challenger
        if champion is None or challenger is None or not self.deployment.shadow:
            return None
        return champion, challenger


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What requests see; never changed, only replaced."""

    models: Mapping[str, ModelState] = field(default_factory=dict)
    pinned: Mapping[tuple[str, int], Served] = field(default_factory=dict)
    routes: Mapping[str, Served | Split] = field(default_factory=dict)
    """The version behind each path that predicts, or what chooses between two."""
    complete: bool = False
    """Whether everything that was in the store at the start has been loaded or refused."""
    trouble: str = ""
    """Why the store cannot be looked at."""

    @property
    def loaded(self) -> set[Served]:
        """Every version that a request can find."""
        return {served for state in self.models.values() for served in state.answering.values()} | {
            *self.pinned.values()
        }


def routes(snapshot: Snapshot, default: str | None) -> dict[str, Served | Split]:
    """What is behind each path that predicts; `default` is the model behind the paths that name none."""
    found: dict[str, Served | Split] = {}
    for served in snapshot.loaded:
        found[f"/models/{served.model}/versions/{served.version}/predict"] = served
        if served.model == default:
            found[f"/v{served.version}/predict"] = served
    for name, state in snapshot.models.items():
        for alias, served in state.answering.items():
            found[f"/models/{name}@{alias}/predict"] = served
        if state.champion is not None:
            found[f"/models/{name}/predict"] = state.split or state.champion
    if f"/models/{default}/predict" in found:
        found["/predict"] = found[f"/models/{default}/predict"]
    return found

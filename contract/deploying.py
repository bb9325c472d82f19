"""Deploying: the moves that change what is live, each checked against the store and kept as one promotion.

look at what is live → check the move → try the version out → append. Whoever was slower is told, and nothing is lost.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue

from contract.artifact import Artifact
from contract.callers import changes
from contract.errors import (
    AliasNotFound,
    ArtifactError,
    ModelNotFound,
    NameRefused,
    PromotionConflict,
    PromotionRefused,
    StoreError,
)
from contract.promotions import ALIAS, CHALLENGER, CHAMPION, Deployment, Promotion
from contract.store import Store

_RESERVED = {"aliases", "docs", "latest", "metrics", "models", "newest", "none", "predict", "versions"}

Gate = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Deployer:
    """Makes the moves of one caller, who is named in the log."""

    store: Store
    by: str
    try_out: Callable[[Artifact], None]
    """Raises ArtifactError for a version that does not load, or does not reproduce its golden rows."""

    def deployment(self, model: str) -> Deployment:
        """What is live of a model.

        Raises:
            ModelNotFound: there is no such model.
            OSError: the file system failed.
        """
        if not self.store.versions(model):
            raise ModelNotFound(model, self.store.models())
        return self.store.promotions(model).read()

    def promote(
        self,
        model: str,
        version: int,
        alias: str = CHAMPION,
        *,
        reason: str = "",
        expected: int | None = None,
        gate: Gate | None = None,
    ) -> Deployment:
        """Point an alias at a version. Nothing is done if it points there already.

        Args:
            model: the model's name.
            version: what the alias shall point at.
            alias: any name; `champion` answers requests that name none.
            reason: why, in the caller's words.
            expected: what the caller believes that the alias points at now; 0 for nothing.
            gate: the comparison that spoke for it.

        Raises:
            ModelNotFound, VersionNotFound: the store does not hold it.
            ArtifactError: the version does not load, or does not reproduce its golden rows.
            NameRefused: no alias may be called that.
            PromotionRefused: the version is being deleted, or would be the challenger of itself.
            PromotionConflict: the alias does not point at what was expected, or was moved meanwhile.
            PromotionFailed, OSError: the file system failed.
        """
        check_alias(alias)
        self.store.artifact(model, version)
        deployment = self.deployment(model) if alias == CHAMPION else self.begun(model)
        before = self._expected(model, deployment, alias, expected)
        if before == version and deployment.number:
            return deployment
        if version in deployment.pruned:
            raise PromotionRefused(f"Version {version} of '{model}' is being deleted; promote another one.")
        if alias == CHALLENGER and version == deployment.aliases.get(CHAMPION):
            raise PromotionRefused(f"Version {version} of '{model}' is the champion, and cannot challenge itself.")
        if not deployment.number:  # a version that is just published answers nothing yet
            before = max(set(self.store.versions(model)) - {version}, default=None)
        kind, compared = "promote" if alias == CHAMPION else "alias", None if gate is None else dict(gate)
        return self._point(model, deployment, kind, version, alias=alias, before=before, reason=reason, gate=compared)

    def remove(self, model: str, alias: str, *, reason: str = "") -> Deployment:
        """Let an alias point at nothing any more.

        Raises:
            ModelNotFound: there is no such model.
            AliasNotFound: it has no such alias.
            PromotionRefused: it is the champion.
            PromotionConflict, PromotionFailed, OSError: as `promote`.
        """
        deployment = self.deployment(model)
        if alias == CHAMPION:
            raise PromotionRefused(f"'{model}' would have no champion; promote another version instead.")
        if alias not in deployment.aliases:
            raise AliasNotFound(model, alias, deployment.aliases)
        before = deployment.aliases[alias]
        return self._append(model, deployment, kind="alias", alias=alias, before=before, reason=reason)

    def roll_back(self, model: str, *, reason: str = "", expected: int | None = None) -> Deployment:
        """Make the version champion again that was it before.

        Raises:
            ModelNotFound: there is no such model.
            PromotionRefused: there was none before, or it is gone.
            ArtifactError: it does not load, or does not reproduce its golden rows.
            PromotionConflict, PromotionFailed, OSError: as `promote`.
        """
        deployment, versions = self.deployment(model), self.store.versions(model)
        now = self._expected(model, deployment, CHAMPION, expected)
        champions = deployment.champions if deployment.number else versions
        if len(champions) < 2:
            first = f"Version {now} of '{model}' is the first champion" if now else f"'{model}' has no champion"
            raise PromotionRefused(f"{first}, so nothing can be rolled back; promote the version that shall answer.")
        version = champions[-2]
        if version not in versions:
            raise PromotionRefused(
                f"Version {version} of '{model}', the champion before, is not in the store any more; "
                f"promote one of {', '.join(map(str, versions))}."
            )
        return self._point(model, deployment, "rollback", version, alias=CHAMPION, before=now, reason=reason)

    def traffic(
        self, model: str, *, share: float | None = None, shadow: bool | None = None, reason: str = ""
    ) -> Deployment:
        """Let the challenger answer some of the champion's requests, and copies of the others, or no longer.

        Args:
            model: the model's name.
            share: percent of the requests that it answers; None leaves it as it is.
            shadow: whether it answers copies, which nobody sees; None leaves it as it is.
            reason: why, in the caller's words.

        Raises:
            ModelNotFound: there is no such model.
            PromotionRefused: it is no percentage, or there is no challenger, or one that takes other requests.
            PromotionConflict, PromotionFailed, OSError: as `promote`.
        """
        deployment = self.deployment(model)
        share = deployment.share if share is None else float(share)
        shadow = deployment.shadow if shadow is None else shadow
        if not 0 <= share <= 100:
            raise PromotionRefused(f"{share:g} is no share; give percent from 0 to 100.")
        if (share, shadow) == (deployment.share, deployment.shadow):
            return deployment
        if CHALLENGER not in deployment.aliases:
            raise PromotionRefused(
                f"Model '{model}' has no challenger; `lectern alias {model} {CHALLENGER} VERSION` names one."
            )
        if share:
            self._check_callers(model, deployment)
        return self._append(model, deployment, kind="traffic", share=share, shadow=shadow, reason=reason)

    def keep(
        self, model: str, version: int, *, reason: str, expected: int | None = None, gate: Gate | None = None
    ) -> Deployment:
        """Note that a version was not promoted, and why; what was live stays live.

        Args:
            model: the model's name.
            version: the candidate.
            reason: why.
            expected: what the caller believes to be the champion, with which it compared; 0 for none.
            gate: the comparison that spoke against it.

        Raises:
            ModelNotFound, VersionNotFound: the store does not hold it.
            PromotionConflict, PromotionFailed, OSError: as `promote`.
        """
        self.store.artifact(model, version)
        with contextlib.suppress(ArtifactError):  # then nothing is live, and the candidate is not either
            self.begun(model, before=version)
        deployment = self.deployment(model)
        before = deployment.aliases.get(CHAMPION)
        if deployment.number:
            self._expected(model, deployment, CHAMPION, expected)
        compared = None if gate is None else dict(gate)
        return self._append(
            model, deployment, kind="keep", version=version, before=before, reason=reason, gate=compared
        )

    def begun(self, model: str, before: int | None = None) -> Deployment:
        """What is live by the log, which begins with what has answered without one: the newest version that does.

        Args:
            model: the model's name.
            before: only versions before this one have answered.

        Raises:
            ModelNotFound: there is no such model.
            ArtifactError: none of its versions loads and reproduces its golden rows.
            PromotionConflict, PromotionFailed, OSError: as `promote`.
        """
        deployment, refused = self.deployment(model), None
        versions = [number for number in self.store.versions(model) if before is None or number < before]
        while versions and not deployment.number:
            version = versions.pop()
            why = {"before": versions[-1] if versions else None, "reason": "it was the newest when the log began"}
            try:
                return self._point(model, deployment, "promote", version, alias=CHAMPION, **why)
            except ArtifactError as error:
                refused = refused or error
        if refused:
            raise refused
        return deployment

    def _expected(self, model: str, deployment: Deployment, alias: str, expected: int | None) -> int | None:
        """What an alias points at, if that is what was expected."""
        versions = self.store.versions(model)
        now = deployment.champion(versions) if alias == CHAMPION else deployment.aliases.get(alias)
        if expected is not None and expected != (now or 0):
            said = "points at nothing" if now is None else f"is version {now}"
            wanted = f"not version {expected}" if expected else "which was expected to point at nothing"
            raise PromotionConflict(model, f"{alias} {said}, {wanted}")
        return now

    def _check_callers(self, model: str, deployment: Deployment) -> None:
        """Refuse a challenger that cannot answer what is sent to the champion."""
        challenger, champion = deployment.aliases[CHALLENGER], deployment.aliases.get(CHAMPION)
        if champion is None:
            return
        try:
            before, after = (self.store.artifact(model, number).manifest for number in (champion, challenger))
        except (ArtifactError, StoreError):  # one that cannot be read answers nothing
            return
        if found := changes(before.signature, after.signature):
            raise PromotionRefused(
                f"Version {challenger} of '{model}' takes other requests than version {champion}: {', '.join(found)}. "
                f"Callers can try it at /models/{model}@{CHALLENGER}/predict; promoting it moves all of them at once."
            )

    def _point(self, model: str, deployment: Deployment, kind: str, version: int, **facts: Any) -> Deployment:
        """Point an alias at a version that has proved itself."""
        artifact = self.store.artifact(model, version)
        self.try_out(artifact)
        digest = artifact.manifest_sha256
        return self._append(model, deployment, kind=kind, version=version, manifest_sha256=digest, **facts)

    def _append(self, model: str, deployment: Deployment, **facts: Any) -> Deployment:
        promotion = Promotion(at=datetime.now(UTC).replace(microsecond=0), by=self.by, **facts)
        return self.store.promotions(model).append(promotion, after=deployment)


def who() -> str:
    """Who makes a move: the user of this process and the machine, `user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container may have no name for its user
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def check_alias(alias: str) -> str:
    """Return `alias` if a version may be called that.

    Raises:
        NameRefused: otherwise.
    """
    if re.fullmatch(ALIAS, alias) and alias not in _RESERVED:
        return alias
    raise NameRefused(
        f"{alias[:40]!r} cannot be an alias: it is 1 to 32 lower-case letters, digits, '-' or '_', begins with a "
        f"letter, and is none of {', '.join(sorted(_RESERVED))}."
    )

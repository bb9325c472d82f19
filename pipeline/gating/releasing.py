"""Releasing: what is done with a version just published, as one function for a notebook, a run and a sweep.

the log begins with what answers already → publish → decide → promote, or note why not. Whatever fails, the version is
there, and the decision says how to promote it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from contract import trust
from contract.artifact import Artifact
from contract.deploying import Deployer, who
from contract.errors import LecternError, NotComparable, PromotionConflict
from contract.manifest import Manifest, Policy
from contract.promotions import CHAMPION, Deployment
from contract.signing import Signer
from contract.staging import Stage
from contract.store import Store
from pipeline.gating.deciding import FIRST, Decision, decide
from pipeline.settings import TrainSettings

if TYPE_CHECKING:
    from pipeline.gating.comparing import Comparison
    from pipeline.gating.limits import Limit

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Release:
    """Publishes the versions of one caller, and decides about them."""

    store: Store
    settings: TrainSettings
    signer: Signer | None = None
    promote: Policy | None = None
    """What the caller asked for; None for what the version's notebook did, or else the settings."""
    proved: bool = False
    """Whether this process has just had every version it publishes prove itself."""

    def __post_init__(self) -> None:
        """Read the limits now, before anything is published.

        Raises:
            SettingsRefused: they are none.
        """
        if self.settings.limits:
            self._asked_for()

    def publish(self, stage: Stage) -> tuple[int, Decision]:
        """Make a sealed stage a version, and promote it or note why not.

        Raises:
            ManifestInvalid, PublishFailed: no version was made.
        """
        model = Artifact(stage.folder).manifest.model
        self._begin(model)
        version = self.store.publish(stage, self.signer)
        return version, self.decide(model, version)

    def _begin(self, model: str) -> None:
        """Have the log say what answers today, before a newer version can be seen.

        Where nothing was ever promoted the newest version answers: without this, one would answer before it was
        compared. A version that does not load answers nothing, and the log does not begin with it.
        """
        with contextlib.suppress(LecternError, OSError):
            self._deployer().begun(model)

    def decide(self, model: str, version: int) -> Decision:
        """Promote a version that was published, or note why not; never raises for what fails, the version is there."""
        champion: int | None = None
        try:
            for _ in range(_ATTEMPTS):
                deployer = self._deployer(version)
                deployment, versions = deployer.deployment(model), self.store.versions(model)
                champion = _champion(deployment, versions, version)
                believed = deployment.champion(versions) or 0
                decision = self._decided(model, version, champion, begun=bool(deployment.number))
                try:
                    if decision.promoted:
                        deployer.promote(
                            model, version, reason=decision.reason, expected=believed, gate=decision.as_json()
                        )
                    else:
                        deployer.keep(
                            model, version, reason=decision.reason, expected=champion or 0, gate=decision.as_json()
                        )
                except PromotionConflict as conflict:  # somebody promoted another one: it is that one to be as good as
                    lost = str(conflict)
                else:
                    return decision
            return Decision(model, version, champion, "undecided", lost.removesuffix("."))
        except Exception as error:  # noqa: BLE001  # whoever published is told that the version is there
            said = str(error) if isinstance(error, LecternError | OSError) else f"{type(error).__name__}: {error}"
            return Decision(model, version, champion, "undecided", said.removesuffix("."))

    def catch_up(self, model: str, version: int) -> Decision | None:
        """Decide about a version published before by a process that ended too early; None if that is not needed.

        It is needed where the log, since it began, says nothing of the version.
        """
        with contextlib.suppress(LecternError, OSError):
            entries = [entry for _, entry in self.store.promotions(model).history() if entry is not None]
            named = {entry.version for entry in entries}
            before = max((n for n in (entries[0].version, entries[0].before) if n), default=0) if entries else version
            if version > before and version not in named:
                return self.decide(model, version)
        return None

    def _decided(self, model: str, version: int, champion: int | None, *, begun: bool) -> Decision:
        candidate = self.store.artifact(model, version)
        policy = self.promote or candidate.manifest.run.promote or self.settings.promote

        # limits hold for a first champion, too, which is then compared with itself
        against = version if champion is None and self.settings.limits else champion

        def compare() -> Comparison:
            from pipeline.gating.comparing import compare

            assert against is not None  # else there is nothing to compare with
            other = self.store.artifact(model, against)
            try:
                return compare(candidate, other, self.settings.loading, asked_for=self._asked_for())
            except LecternError as error:
                # no log has begun, as no version before this one loads: none of them answers
                never = not begun or getattr(error, "never", False)
                raise NotComparable(str(error), never=never and not self.settings.limits) from error

        decision = decide(model, version, against, policy, compare, tolerance=self.settings.tolerance)
        if champion is None and decision.promoted:
            return replace(decision, champion=None, reason=FIRST)
        return replace(decision, champion=champion)

    def _asked_for(self) -> list[Limit]:
        from pipeline.gating.limits import Limit

        return Limit.parse_all(self.settings.limits or "")

    def _deployer(self, proved: int | None = None) -> Deployer:
        prove = trust.prover(self.settings, self.settings.loading)

        def try_it(artifact: Artifact) -> None:
            if self.proved and artifact.folder.name == str(proved):
                trust.check(artifact, artifact.folder.parent.name, int(artifact.folder.name), self.settings)
            else:
                prove(artifact)

        return Deployer(self.store, who(), try_it)


def champion(store: Store, model: str) -> tuple[int, Manifest] | None:
    """The version that answers today, as far as it can be read."""
    try:
        version = store.promotions(model).read().champion(store.versions(model))
        return None if version is None else (version, store.artifact(model, version).manifest)
    except (LecternError, OSError):
        return None


def _champion(deployment: Deployment, versions: list[int], version: int) -> int | None:
    """What a candidate has to be as good as: the champion, or before the log began the newest one but itself."""
    if deployment.number:
        return deployment.aliases.get(CHAMPION)
    return max((number for number in versions if number < version), default=None)

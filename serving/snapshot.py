"""The snapshot: what requests see of a store's models at one moment. It is never changed, only replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from serving.loading import Served

CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version is not served."""

    code: str
    reason: str
    retry_at: float | None = None
    """When to try again (monotonic seconds), for what may pass."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is known of one model."""

    versions: tuple[int, ...] = ()
    champion: Served | None = None
    failures: Mapping[int, Failure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What requests see; never changed, only replaced."""

    models: Mapping[str, ModelState] = field(default_factory=dict)
    pinned: Mapping[tuple[str, int], Served] = field(default_factory=dict)
    routes: Mapping[str, Served] = field(default_factory=dict)
    """The version behind each path that predicts."""
    complete: bool = False
    """Whether everything that was in the store at the start has been loaded or refused."""
    trouble: str = ""
    """Why the store cannot be looked at."""


def routes(snapshot: Snapshot, default: str | None) -> dict[str, Served]:
    """The version behind each path that predicts; `default` is the model behind the paths that name none."""
    found: dict[str, Served] = {}
    for served in snapshot.pinned.values():
        found[f"/models/{served.model}/versions/{served.version}/predict"] = served
    for name, state in snapshot.models.items():
        if state.champion is not None:
            for path in (name, f"{name}@{CHAMPION}", f"{name}/versions/{state.champion.version}"):
                found[f"/models/{path}/predict"] = state.champion
    for served in set(found.values()):
        if served.model == default:
            found[f"/v{served.version}/predict"] = served
    if f"/models/{default}/predict" in found:
        found["/predict"] = found[f"/models/{default}/predict"]
    return found

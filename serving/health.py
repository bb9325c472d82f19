"""Health: how the service is, in one word and one sentence."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from serving.snapshot import Snapshot

Status = Literal["ready", "degraded", "loading", "empty", "failed", "draining"]


class Health(BaseModel):
    """How the service is."""

    status: Status
    detail: str = Field(description="what that means, and what to do where something can be done")
    models: dict[str, int | None] = Field(description="the version of each model that answers")


def health(snapshot: Snapshot, trouble: str = "", *, draining: bool = False) -> Health:
    """What is to be said of the models at one moment, and of what else there is `trouble` with."""
    states = sorted(snapshot.models.items())
    models = {name: state.champion.version if state.champion else None for name, state in states}
    silent = [name for name, version in models.items() if version is None]
    loading = [name for name in silent if snapshot.models[name].condition == "loading"]

    def found(status: Status, detail: str) -> Health:
        return Health(status=status, detail=detail, models=models)

    if draining:
        return found("draining", "The service is ending: it finishes what it is at, and wants no more.")
    if snapshot.trouble:
        detail = f"The store cannot be read: {snapshot.trouble}. What was loaded before goes on answering."
        return found("degraded" if len(silent) < len(models) else "failed", detail)
    if not snapshot.complete:
        return found("loading", "The store is being read.")
    if not models:
        detail = "The store is empty. `make train` or `lectern train NOTEBOOK` makes a version; it is served at once."
        return found("empty", detail)
    if loading and len(silent) == len(models):
        return found("loading", f"{', '.join(loading)} is being loaded.")
    if not silent and (behind := [name for name, state in states if state.lags]):
        return found(
            "degraded", f"{', '.join(behind)} answers with another version than was promoted; /models says why."
        )
    if not silent and (sick := [name for name, state in states if state.champion and state.champion.trouble]):
        return found("degraded", f"{', '.join(sick)} is unhealthy, and goes on being asked; /models says more.")
    if not silent and trouble:
        return found("degraded", f"Every model answers. {trouble}")
    if not silent:
        return found("ready", "Every model answers.")
    if len(silent) < len(models):
        return found("degraded", f"No version of {', '.join(silent)} answers; /models says why.")
    return found("failed", "No version of any model can be served; /models says why.")

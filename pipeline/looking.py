"""Looking: what the store holds, as frames: the versions of a model, and the leaderboard of a sweep."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import ArtifactError, ModelNotFound, StoreError
from contract.promotions import CHAMPION
from contract.showing import listed
from contract.store import Store
from pipeline.running import records
from pipeline.settings import TrainSettings

if TYPE_CHECKING:
    import pandas as pd

_VERDICTS = {"promote": "promoted", "rollback": "promoted", "keep": "kept"}
"""What became of a version, by the last promotion that names it."""


def versions(model: str, store: Store | Path | str | None = None) -> pd.DataFrame:
    """The versions of a model, the newest first, one in a row.

    Args:
        model: the model's name.
        store: a store or its folder; as the settings say when not given.

    Returns:
        A frame with the columns version, created (UTC), runtime, aliases (the names under which it answers, as
        `champion`), verdict (promoted, kept, or nothing where neither was done), error (why its manifest cannot be
        read), then `param_…` for each parameter and `metric_…` for each metric that any of the versions has.

    Raises:
        ModelNotFound: there is no such model.
        SettingsRefused: a variable LECTERN_TRAIN_… of the environment is unknown or has an unusable value.
    """
    import pandas as pd

    opened = TrainSettings.here(store).open_store()
    numbers = opened.versions(model)
    if not numbers:
        raise ModelNotFound(model, opened.models())
    named = aliases(opened, model)
    became = {
        entry.version: _VERDICTS[entry.kind]
        for _, entry in opened.promotions(model).history()
        if entry is not None and entry.kind in _VERDICTS
    }
    rows = [
        {"version": number, "aliases": ", ".join(alias for alias, at in named.items() if at == number)}
        | {"verdict": became.get(number, "")}
        | _facts(opened, model, number)
        for number in reversed(numbers)
    ]
    fixed = ["version", "created", "runtime", "aliases", "verdict", "error"]
    frame = pd.DataFrame(rows, columns=records.columns(fixed, rows))
    return frame.astype({"created": "datetime64[us, UTC]"})


def leaderboard(sweep: str | None = None, store: Store | Path | str | None = None) -> pd.DataFrame:
    """The runs of a sweep, the best first, as `lectern sweep` shows them.

    Args:
        sweep: the sweep's id, as in the column `sweep` of `runs()`; the one that ended last when not given.
        store: a store or its folder; as the settings say when not given.

    Returns:
        A frame with the columns rank (1 is the best; missing where a run has no value), run, status, version (missing
        where the run made none), the metric that decides, each parameter that was varied, duration_s and error.

    Raises:
        StoreError: no such sweep has ended here.
        SettingsRefused: a variable LECTERN_TRAIN_… of the environment is unknown or has an unusable value.
    """
    import pandas as pd

    from pipeline.sweeping import BOARD

    opened = TrainSettings.here(store).open_store()
    boards = {path.parent.name: path for path in opened.root.glob(f"{records.RUNS}/*/{BOARD}")}
    if sweep is None and boards:
        sweep = max(boards, key=lambda name: boards[name].stat().st_mtime_ns)
    if sweep not in boards:
        wanted = f" of {sweep!r}" if sweep else ""
        known = f"there is {listed(sorted(boards))}" if boards else "no sweep has ended there"
        raise StoreError(f"The store has no leaderboard{wanted}; {known}.")
    rows = json.loads(boards[sweep].read_bytes())["runs"]
    return pd.DataFrame(rows).astype({"rank": "Int64", "version": "Int64"})


def aliases(store: Store, model: str) -> dict[str, int]:
    """What is live of a model: the version that each alias points at, the champion first."""
    deployment = store.promotions(model).read()
    champion = deployment.champion(store.versions(model))
    return ({} if champion is None else {CHAMPION: champion}) | dict(sorted(deployment.aliases.items()))


def _facts(store: Store, model: str, version: int) -> dict[str, Any]:
    try:
        manifest = store.artifact(model, version).manifest
    except ArtifactError as error:
        return {"runtime": "", "error": str(error)}
    facts: dict[str, Any] = {"created": manifest.created, "runtime": manifest.runtime.format, "error": ""}
    return facts | records.named("param", manifest.parameters) | records.named("metric", manifest.metrics)

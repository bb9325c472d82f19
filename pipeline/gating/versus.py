"""Versus: one version of a model against another, each called by its number, as somebody asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.errors import NotComparable
from contract.store import Store
from pipeline.gating import comparing
from pipeline.gating.comparing import Comparison
from pipeline.gating.rows import given
from pipeline.settings import TrainSettings

if TYPE_CHECKING:
    import pandas as pd


def compare(
    model: str,
    first: int,
    second: int,
    *,
    metric: str | None = None,
    slice: str | None = None,  # noqa: A002  # as the option of the command is called
    data: pd.DataFrame | Path | str | None = None,
    target: str | None = None,
    store: Store | Path | str | None = None,
) -> Comparison:
    """Ask two versions the same rows, and show what each reaches. Nothing is promoted.

    Args:
        model: the model's name.
        first: a version.
        second: another one, whose held-out rows both are asked.
        metric: what decides; the usual one of the task when not given.
        slice: a column; the metric that decides is shown for each of its values, too.
        data: rows to compare on, a frame or a CSV or Parquet file; held-out ones when not given.
        target: the column of `data` that holds the truth.
        store: a store or its folder; as the settings say when not given.

    Returns:
        The comparison, which shows itself in a notebook. Its `table` has each line: metric, champion (the first
        version), candidate (the second one), difference, better.

    Raises:
        ModelNotFound, VersionNotFound: the store does not hold one of them.
        NotComparable: there are no such rows, one of the two does not load, or they answer different questions.
        PromotionRefused: there is no such metric or column.
        SettingsRefused: a variable LECTERN_TRAIN_… of the environment is unknown or has an unusable value.
    """
    settings = TrainSettings.here(store)
    return versus(settings, model, second, first, data=data, target=target, metric=metric, column=slice)


def versus(
    settings: TrainSettings,
    model: str,
    candidate: int,
    champion: int,
    *,
    data: pd.DataFrame | Path | str | None = None,
    target: str | None = None,
    **wishes: Any,
) -> Comparison:
    """Compare two versions of the store that the settings name, on rows given by hand or on those kept with them.

    Args:
        settings: the store, and what loading a version may cost.
        model: the model's name.
        candidate: the version that may become the champion.
        champion: the one it is held against.
        data: rows given by hand: a frame or a file.
        target: the column of `data` that holds the truth.
        wishes: as `comparing.compare` takes them.

    Raises:
        ModelNotFound, VersionNotFound, NotComparable, PromotionRefused: as for `compare`.
    """
    if (data is None) != (target is None):
        raise NotComparable("data and target go together: rows, and the name of their column that holds the truth.")
    store = settings.open_store()
    new, old = store.artifact(model, candidate), store.artifact(model, champion)
    rows = None
    if data is not None and target is not None:
        rows = given(Path(data) if isinstance(data, str) else data, target, new.manifest.signature)
    return comparing.compare(new, old, settings.loading, rows=rows, **wishes)

"""Run records: what is kept of each run that made no version, under `.runs/<id>/` of the store.

`run.json` beside the executed notebook and its report; of the best run of a sweep also the artifact, until it is
published. A run that made a version is recorded in that version's manifest.
"""

from __future__ import annotations

import errno
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AwareDatetime, Field, JsonValue, ValidationError

from contract.errors import LecternError
from contract.manifest import Manifest, Status
from contract.signature import Record
from contract.store import Store
from pipeline.settings import TrainSettings

if TYPE_CHECKING:
    import pandas as pd

RUNS = ".runs"
RECORD = "run.json"
NOTEBOOK = "notebook.ipynb"
REPORT = "report.html"
ARTIFACT = "artifact"
MAX_RECORD_BYTES = 4 << 20

Made: TypeAlias = tuple[Manifest, int]
"""What a run made: a version's manifest and its number."""


class RunRecord(Record):
    """One run: what it was given, how it ended, what came of it. Secret parameters are masked."""

    id: str
    notebook: str
    model: str = ""
    status: Status
    error: str = ""
    started: Annotated[AwareDatetime, Field(strict=False)]
    duration_s: float
    digest: str = ""
    sweep: str = ""
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    metrics: dict[str, float] = Field(default_factory=dict)


def new_id(notebook: str) -> str:
    """A name for a run of the notebook with this name: it sorts by time, and no other run has it."""
    stem = re.sub(r"[^\w.-]+", "-", Path(notebook).stem).strip("-.")[:40]
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{stem or 'run'}-{secrets.token_hex(4)}"


def folder_of(store: Store, run: str) -> Path:
    """Where a run's record lies."""
    return store.root / RUNS / run


def keep(store: Store, record: RunRecord, folder: Path | None = None, stage: Path | None = None) -> Path:
    """Record a run whose executed notebook and report lie in `folder`, and its staged artifact; return where.

    The record appears whole or not at all. A run that is there already stays as it is.

    Raises:
        OSError: the file system refused.
    """
    final = folder_of(store, record.id)
    final.parent.mkdir(parents=True, exist_ok=True)
    part = final.with_name(f".{final.name}-{secrets.token_hex(4)}")
    part.mkdir()
    try:
        if folder is not None:
            for name in (NOTEBOOK, REPORT):
                shutil.copyfile(folder / name, part / name)
        if stage is not None:
            stage.rename(part / ARTIFACT)
        (part / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
        part.rename(final)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return final


def read(store: Store, run: str) -> RunRecord | None:
    """The record of a run, if there is a sound one."""
    path = folder_of(store, run) / RECORD
    try:
        if path.stat().st_size > MAX_RECORD_BYTES:
            return None
        record = RunRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return record if record.id == run else None


def recorded(store: Store) -> Iterator[RunRecord]:
    """Every sound record under `.runs/`, in no order."""
    root = store.root / RUNS
    for path in root.iterdir() if root.is_dir() else ():
        if not path.name.startswith(".") and (record := read(store, path.name)):
            yield record


def published(store: Store) -> Iterator[tuple[RunRecord, Made]]:
    """The runs whose versions the store holds, with what they made."""
    for model in store.models():
        for version in store.versions(model):
            try:
                manifest = store.artifact(model, version).manifest
            except (LecternError, OSError):  # a damaged version is the registry's to complain of
                continue
            if manifest.run.kind == "papermill":
                yield _of_version(manifest, version), (manifest, version)


def runs(model: str | None = None, store: Store | Path | str | None = None) -> pd.DataFrame:
    """All runs, newest first, one in a row.

    Args:
        model: only the runs of this model.
        store: a store or its folder; as the settings say when not given.

    Returns:
        A frame with the columns run (its id), model, notebook, status (completed, failed, timeout, …), version (missing
        where the run made none), started (UTC), duration_s, sweep, error, then `param_…` for each parameter and
        `metric_…` for each metric that any of the runs has.

    Raises:
        SettingsRefused: a variable LECTERN_TRAIN_… of the environment is unknown or has an unusable value.
    """
    import pandas as pd

    opened = TrainSettings.here(store).open_store()
    found = {record.id: _row(record, None) for record in recorded(opened)}
    found |= {record.id: _row(record, version) for record, (_, version) in published(opened)}
    rows = sorted(found.values(), key=lambda row: row["started"], reverse=True)
    rows = [row for row in rows if model is None or row["model"] == model]
    fixed = ["run", "model", "notebook", "status", "version", "started", "duration_s", "sweep", "error"]
    frame = pd.DataFrame(rows, columns=columns(fixed, rows))
    return frame.astype({"version": "Int64", "started": "datetime64[us, UTC]", "duration_s": "float64"})


def columns(fixed: list[str], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The columns of a frame of these rows: the fixed ones, then the parameters, then the metrics."""
    others = dict.fromkeys(name for row in rows for name in row if name not in fixed)
    return fixed + sorted(others, key=lambda name: not name.startswith("param_"))


def named(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters or metrics as columns that no other column is taken for."""
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _of_version(manifest: Manifest, version: int) -> RunRecord:
    run = manifest.run
    return RunRecord(
        id=run.id or f"{manifest.model}-{version}",  # versions from before runs had names
        notebook=run.notebook,
        model=manifest.model,
        status="completed",
        started=run.started or manifest.created,
        duration_s=run.duration_s or 0.0,
        digest=run.digest,
        sweep=run.sweep,
        parameters=manifest.parameters,
        metrics=manifest.metrics,
    )


def _row(record: RunRecord, version: int | None) -> dict[str, Any]:
    row = record.model_dump(exclude={"id", "digest", "parameters", "metrics"})
    return (
        {"run": record.id, "version": version}
        | row
        | named("param", record.parameters)
        | named("metric", record.metrics)
    )

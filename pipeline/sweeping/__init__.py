"""A sweep: many runs of one notebook with different parameters, of which the best becomes a version.

plan each run → leave out those that completed before → run the others side by side, each in a process of its own → keep
the artifact of the best so far → publish it → promote it if the gate lets it pass. Stopped at any moment, the same
sweep again goes on with what is missing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract.artifact import Artifact
from contract.errors import ArtifactError, RunFailed
from contract.manifest import Policy
from contract.staging import Stage
from contract.store import Store
from pipeline.gating.deciding import Decision
from pipeline.gating.releasing import Release
from pipeline.running import isolation, records
from pipeline.running.isolation import Job, Processes
from pipeline.running.planning import Plan, Planner
from pipeline.running.records import RunRecord
from pipeline.settings import TrainSettings
from pipeline.sweeping import sweep_plot
from pipeline.sweeping.leaderboard import Leaderboard

BOARD = "leaderboard.json"
PLOT = "plot.svg"


@dataclass(frozen=True, slots=True)
class Where:
    """Where the runs of a sweep go: so many at once on this machine, or to the workers of a Dask cluster."""

    jobs: int | None = None
    dask: str | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """A sweep that has ended."""

    id: str
    board: Leaderboard
    recognised: int
    """How many of its runs had completed before."""
    best: tuple[str, int] | None
    """Model and version of the best run."""
    folder: Path
    decision: Decision | None = None
    """Whether the best run is the champion now; None if that was decided before, or there is none."""


def sweep(
    planner: Planner,
    sets: Sequence[Mapping[str, Any]],
    store: Store,
    settings: TrainSettings,
    where: Where,
    board: Leaderboard,
    *,
    force: bool = False,
    progress: bool = False,
    promote: Policy | None = None,
) -> Swept:
    """Run a notebook once with each of the `sets` of parameters, fill the `board`, publish the best run.

    Runs that fail are on the board with the others. `promote` goes before what the notebook and the settings say.

    Raises:
        ParametersRefused: a set of parameters is not the notebook's; nothing was run.
        RunFailed: there is no cluster at the address, or no run has the metric of the board.
        KeyRefused: the key that is to sign the version cannot; nothing was run.
        PublishFailed: the store could not take the best run.
    """
    release = Release(store, settings, settings.signer(), promote)
    settings = settings.model_copy(update={"signing_key": None})  # which no run needs, here or elsewhere
    plans = {plan.digest: plan for plan in map(planner.plan, sets)}
    name = "sweep-" + hashlib.sha256("".join(sorted(plans)).encode()).hexdigest()[:12]
    board.planned = {digest: place for place, digest in enumerate(plans)}
    for record, version in _before(store, plans) if not force else ():
        board.add(record, version)
    known = {record.digest for record in board.records}
    missing = [plan for digest, plan in plans.items() if digest not in known]
    _drop(store, board, board.records)
    for record in _bar(_run(missing, name, store, settings, where), len(plans), len(known), planner, show=progress):
        before = board.best
        board.add(record)
        _drop(store, board, [record, before])
    best, decision = _publish(plans, name, board, release, settings, where)
    swept = Swept(name, board, len(known), best, records.folder_of(store, name), decision)
    _write(swept, planner.notebook.name)
    return swept


def _before(store: Store, plans: Mapping[str, Plan]) -> Iterator[tuple[RunRecord, int | None]]:
    """The runs among those planned that completed before, each once, and the versions they made."""
    found: dict[str, tuple[RunRecord, int | None]] = {}
    for record in records.recorded(store):
        if record.status == "completed":
            found[record.digest] = record, None
    for record, (_, version) in records.published(store):
        found[record.digest] = record, version
    return (found[digest] for digest in plans if digest in found)


def _run(plans: Sequence[Plan], sweep: str, store: Store, settings: TrainSettings, where: Where) -> Iterator[RunRecord]:
    """Do what was planned; the records come as the runs end."""
    from joblib import Parallel, cpu_count, delayed

    if not plans:
        return
    jobs = min(where.jobs or cpu_count(), len(plans))
    environment = isolation.threads(cpu_count() if where.dask else jobs)
    todo = [_job(plan, sweep, store, settings, environment) for plan in plans]
    if where.dask:
        with _cluster(where.dask):
            yield from Parallel(n_jobs=-1, return_as="generator_unordered")(delayed(isolation.run)(job) for job in todo)
        return
    processes = Processes()
    try:
        # threads that wait for processes: one that is killed takes no other with it
        parallel = Parallel(n_jobs=jobs, backend="threading", batch_size=1, return_as="generator_unordered")
        yield from parallel(delayed(isolation.run)(job, processes) for job in todo)
    finally:
        processes.end()


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    from joblib import parallel_config

    try:
        from distributed import Client
    except ImportError:
        raise RunFailed("--dask needs the package distributed: pip install 'lectern[dask]'.") from None
    try:
        client = Client(address, timeout=10)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise RunFailed(f"There is no Dask scheduler at {address}: {str(error)[:200]}.") from None
    with client, parallel_config(backend="dask", client=client, wait_for_workers_timeout=30):
        yield


def _job(plan: Plan, sweep: str, store: Store, settings: TrainSettings, environment: dict[str, str]) -> Job:
    return Job(
        id=records.new_id(plan.notebook.name),
        sweep=sweep,
        notebook=str(plan.notebook.absolute()),
        source=plan.source,
        given=plan.given,
        values=plan.values,
        digest=plan.digest,
        store=str(store.root),
        settings=settings.model_dump(mode="json"),
        environment=environment,
    )


def _drop(store: Store, board: Leaderboard, candidates: Sequence[RunRecord | None]) -> None:
    """Drop the artifacts of all these runs but the best one."""
    best = board.best
    for record in candidates:
        if record is not None and record is not best:
            shutil.rmtree(_artifact(store, record), ignore_errors=True)


def _publish(
    plans: Mapping[str, Plan],
    sweep: str,
    board: Leaderboard,
    release: Release,
    settings: TrainSettings,
    where: Where,
) -> tuple[tuple[str, int] | None, Decision | None]:
    """Make the best run a version, if it is none yet; run it once more if its artifact was dropped meanwhile."""
    best, store = board.best, release.store
    if best is None:
        completed = [record for record in board.records if record.status == "completed"]
        if completed:
            known = ", ".join(dict.fromkeys(name for record in completed for name in record.metrics)) or "none at all"
            raise RunFailed(f"No run has the metric '{board.metric}'; there is {known}: name one with --metric.")
        return None, None
    if best.id in board.versions and _is_sound(store.artifact(best.model, board.versions[best.id])):
        version = board.versions[best.id]
        return (best.model, version), release.catch_up(best.model, version)
    if not _is_sound(Artifact(_artifact(store, best))):
        again = next(_run([plans[best.digest]], sweep, store, settings, where))
        if again.status != "completed":
            raise RunFailed(f"The best run, {best.id}, failed when it was run again for its model: {again.error}")
        board.replace(best, again)
        best = again
    version, decision = release.publish(Stage(_artifact(store, best)))
    board.versions[best.id] = version
    return (best.model, version), decision


def _artifact(store: Store, record: RunRecord) -> Path:
    return records.folder_of(store, record.id) / records.ARTIFACT


def _is_sound(artifact: Artifact) -> bool:
    try:
        artifact.verify()
    except (ArtifactError, OSError):
        return False
    return True


def _bar(found: Iterator[RunRecord], total: int, done: int, planner: Planner, *, show: bool) -> Iterator[RunRecord]:
    from tqdm import tqdm  # type: ignore[import-untyped]  # no py.typed

    with tqdm(total=total, initial=done, desc=planner.notebook.stem, unit="run", disable=not show) as bar:
        for record in found:
            bar.update()
            yield record


def _write(swept: Swept, notebook: str) -> None:
    """Keep the leaderboard and its plot."""
    swept.folder.mkdir(parents=True, exist_ok=True)
    kept = {
        "sweep": swept.id,
        "notebook": notebook,
        "metric": swept.board.metric,
        "best": swept.best and {"model": swept.best[0], "version": swept.best[1]},
        "runs": swept.board.rows(),
    }
    for name, write in (
        (BOARD, lambda path: path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")),
        (PLOT, lambda path: sweep_plot.draw(swept.board, path)),
    ):
        part = swept.folder / f".{name}"
        write(part)
        part.replace(swept.folder / name)

"""Sweeps: real runs in processes of their own, here and on a Dask cluster, stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pipeline
from contract.errors import ParametersRefused, RunFailed
from contract.store import Store
from pipeline.running import isolation, records
from pipeline.running.planning import Planner
from pipeline.running.records import RunRecord
from pipeline.settings import TrainSettings
from pipeline.sweeping import Swept, Where, sweep
from pipeline.sweeping.leaderboard import Leaderboard
from tests.conftest import WriteNotebook
from tests.live import descendants, until

PARAMETERS = "factor: float = 2.0\nnap: float = 0.0\ntoken: str = ''"
RUN = """
import os, signal, time
from pathlib import Path
with Path("ran").open("a") as file:
    file.write(f"{factor}\\n")
if factor == 1:
    raise ValueError(f"one {token}")
if factor == 3:
    os.kill(os.getppid(), signal.SIGKILL)
time.sleep(nap)
"""
EXPORT = """
from datetime import UTC, datetime
from contract.manifest import Manifest, Run, Runtime
from contract.signature import Field, Output, Signature
from contract.staging import Stage

stage = Stage(Path(os.environ["LECTERN_TRAIN_STAGE"]))
stage.path("model.joblib").write_bytes(b"a model")
x = Field(name="x", type="float", dtype="float64")
signature = Signature(container="array", inputs=(x,), output=Output(task="regression"))
metrics = {"r2": 1 - (factor - 2) ** 2, "threads": int(os.environ["OMP_NUM_THREADS"])}
stage.seal(Manifest(
    model="line", created=datetime.now(UTC), signature=signature, runtime=Runtime(format="joblib"),
    run=Run(kind="papermill"), metrics=metrics,
));
"""
"""What `export` leaves, made without the libraries that it needs: they load slowly, and here many times over."""
SECRET = "hunter2hunter2"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_") or name.endswith("_NUM_THREADS")]:
        monkeypatch.delenv(name)


@pytest.fixture
def notebook(write_notebook: WriteNotebook) -> Path:
    return write_notebook(PARAMETERS, RUN, EXPORT)


def swept(notebook: Path, store: Store, factors: list[float], metric: str | None = None, **options: Any) -> Swept:
    sets = [{"factor": factor, "token": SECRET} for factor in factors]
    return sweep(Planner(notebook), sets, store, TrainSettings(), Where(2), Leaderboard(metric), **options)


def ran(notebook: Path) -> Counter[str]:
    path = notebook.parent / "ran"
    return Counter(path.read_text().split() if path.exists() else [])


def artifacts(store: Store) -> list[str]:
    return [path.parent.name for path in (store.root / ".runs").glob("*/artifact")]


def by_factor(found: Swept) -> dict[Any, RunRecord]:
    return {record.parameters["factor"]: record for record in found.board.records}


def test_the_best_run_becomes_a_version_and_the_others_stay_as_runs(notebook: Path, store: Store) -> None:
    found = swept(notebook, store, [1, 2.5, 3, 2.25, 2.5])
    runs = by_factor(found)
    assert {factor: run.status for factor, run in runs.items()} == {
        1: "failed",
        2.25: "completed",
        2.5: "completed",
        3: "runner_died",
    }
    assert runs[1].error == "ValueError: one ***"
    assert runs[3].error == "the process of the run was killed by SIGKILL"
    assert (found.best, found.recognised, found.board.metric) == (("line", 1), 0, "r2")
    manifest = store.artifact("line", 1).manifest
    store.artifact("line", 1).verify()
    assert (manifest.parameters["factor"], manifest.run.id, manifest.run.sweep) == (2.25, runs[2.25].id, found.id)
    assert manifest.metrics["threads"] == isolation_share(2)
    assert artifacts(store) == []
    assert store.versions("line") == [1]
    assert not list(store.root.glob(".staging-*"))
    kept = {path.name for path in records.folder_of(store, runs[2.5].id).iterdir()}
    assert kept == {"run.json", "notebook.ipynb", "report.html"}

    written = json.loads((found.folder / "leaderboard.json").read_text())
    assert written["best"] == {"model": "line", "version": 1}
    assert [row["factor"] for row in written["runs"][:2]] == [2.25, 2.5]
    frame = pipeline.leaderboard(found.id, store)
    assert list(frame.columns) == ["rank", "run", "status", "version", "r2", "factor", "duration_s", "error"]
    assert (frame["rank"].tolist(), frame["version"].tolist()) == ([1, 2, pd.NA, pd.NA], [1, pd.NA, pd.NA, pd.NA])
    assert frame["factor"].tolist()[:2] == [2.25, 2.5]
    assert (found.folder / "plot.svg").stat().st_size > 1000
    assert not [path for path in store.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]

    # what completed is not run again; a better one among more makes the next version
    again = swept(notebook, store, [2.5, 2.25, 2])
    assert (again.best, again.recognised) == (("line", 2), 2)
    assert pipeline.leaderboard(store=store.root)["factor"].tolist() == [2, 2.25, 2.5], "the sweep that ended last"
    assert ran(notebook) == {"1.0": 1, "2.5": 1, "3.0": 1, "2.25": 1, "2.0": 1}

    # by another metric another run is best, whose model was dropped
    other = swept(notebook, store, [2.5, 2.25], "r2", force=False)
    assert (other.best, ran(notebook)["2.25"]) == (("line", 1), 1)
    worst = sweep(
        Planner(notebook),
        [{"factor": 2.5}, {"factor": 2.25}],
        store,
        TrainSettings(),
        Where(2),
        Leaderboard("r2", lowest=True),
    )
    assert (worst.best, ran(notebook)["2.5"]) == (("line", 3), 2)
    assert store.artifact("line", 3).manifest.parameters["factor"] == 2.5
    assert worst.decision is not None
    assert str(worst.decision).startswith("not promoted: The manifest names no file golden.json; `lectern promote line")
    assert other.decision is None

    with pytest.raises(
        RunFailed, match=r"^No run has the metric 'cost'; there is r2, .*threads: name one with --metric"
    ):
        swept(notebook, store, [2.5, 2.25], "cost")


def isolation_share(jobs: int) -> int:
    return int(isolation.threads(jobs)["OMP_NUM_THREADS"])


def test_a_sweep_is_checked_before_anything_runs(notebook: Path, store: Store) -> None:
    with pytest.raises(ParametersRefused, match=r"notebook\.ipynb: Parameter 'factor' is float; 'much' is not\."):
        sweep(Planner(notebook), [{"factor": 2}, {"factor": "much"}], store, TrainSettings(), Where(), Leaderboard())
    assert not ran(notebook)
    assert not store.root.exists()


def test_the_threads_of_a_run_are_the_users_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from joblib import cpu_count

    assert set(isolation.threads(1).values()) == {str(cpu_count())}
    assert set(isolation.threads(10 * cpu_count()).values()) == {"1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in isolation.threads(2)


def test_a_cluster_that_is_not_there_is_one_clear_line(notebook: Path, store: Store) -> None:
    with pytest.raises(RunFailed, match=r"^There is no Dask scheduler at nowhere: "):
        sweep(Planner(notebook), [{"factor": 2}], store, TrainSettings(), Where(dask="nowhere"), Leaderboard())
    assert not ran(notebook)


def command(notebook: Path, store: Store, *arguments: str) -> list[str]:
    verb = [sys.executable, "-m", "pipeline", "sweep", str(notebook), "--store", str(store.root)]
    return [*verb, "-p", "factor=2,2.5", "-p", "nap", "1.5", *arguments]


def test_a_sweep_that_is_interrupted_goes_on_where_it_was(notebook: Path, store: Store) -> None:
    with subprocess.Popen(
        command(notebook, store, "--jobs", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(lambda: ran(notebook).total() == 2)
        below = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        said, complained = process.communicate()
    assert (process.returncode, said) == (130, "")
    last = ["The same sweep again goes on with what is missing.", "lectern: interrupted."]
    assert complained.splitlines()[-2:] == last
    until(lambda: not any(Path(f"/proc/{number}").exists() for number in below), within_s=30)
    [first] = records.recorded(store)
    assert (first.status, artifacts(store)) == ("completed", [first.id])
    assert not list(store.root.glob(".staging-*"))

    done = subprocess.run(command(notebook, store, "--json"), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["best"], found["metric"], done.stderr) == ({"model": "line", "version": 1}, "r2", "")
    assert [row["factor"] for row in found["runs"]] == [2.0, 2.5]
    assert ran(notebook)["2.0"] == 1


CLUSTER = """
import sys
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        print(cluster.scheduler_address, *(worker.pid for worker in cluster.workers.values()), flush=True)
        sys.stdin.read()
"""


@pytest.mark.slow
def test_a_killed_worker_of_a_cluster_loses_no_run(notebook: Path, store: Store, tmp_path: Path) -> None:
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as cluster:
        assert cluster.stdout is not None
        address, victim, _ = cluster.stdout.readline().split()
        with subprocess.Popen(
            command(notebook, store, "--json", "--dask", address),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            until(lambda: ran(notebook).total() == 2)
            os.kill(int(victim), signal.SIGKILL)
            said, complained = process.communicate()
        assert process.returncode == 0, complained
        cluster.communicate()
    found = json.loads(said)
    assert [(row["factor"], row["status"]) for row in found["runs"]] == [(factor, "completed") for factor in (2.0, 2.5)]
    assert ran(notebook).total() == 3, "one run was begun twice"
    assert len(list(records.recorded(store))) == 2
    assert store.versions("line") == [1]


def test_a_job_that_is_done_already_is_not_done_again(notebook: Path, store: Store) -> None:
    plan = Planner(notebook).plan({"factor": 4})
    job = isolation.Job(
        id="the-run",
        sweep="",
        notebook=str(notebook),
        source=plan.source,
        given=plan.given,
        values=plan.values,
        digest=plan.digest,
        store=str(store.root),
        settings=TrainSettings().model_dump(mode="json"),
    )
    done = RunRecord(id="the-run", notebook="n", status="completed", started=datetime.now(UTC), duration_s=1.0)
    records.keep(store, done)
    assert isolation.run(job) == done
    assert not ran(notebook)


def test_a_process_that_cannot_do_its_job_says_why(notebook: Path, store: Store) -> None:
    plan = Planner(notebook).plan({"factor": 4, "token": SECRET})
    job = isolation.Job(
        id="the-run",
        sweep="",
        notebook=str(notebook),
        source=plan.source,
        given=plan.given,
        values=plan.values,
        digest=plan.digest,
        store=str(store.root),
        settings={"timeout_s": 10, "nosuch": SECRET},
    )
    record = isolation.run(job)
    assert record.status == "runner_died"
    assert record.error.startswith("the process of the run ended with exit code 1")
    assert SECRET not in record.error
    assert records.read(store, "the-run") == record
    assert not list(store.root.glob(".staging-*"))

"""benchmarks.serving: the same driver as `make bench`, with what needs no other environment, and for an instant."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from benchmarks.serving import __main__ as command
from benchmarks.serving import arrow, cases, environments, goals, guard, load, memory, plots, report, rounds, shapes
from benchmarks.serving.asking import Asker, Wrong, check
from benchmarks.serving.environments import EnvironmentFailed
from benchmarks.serving.fitted import Fitted
from benchmarks.serving.load import LoadFailed
from benchmarks.serving.place import APPS, Place
from benchmarks.serving.results import Results
from benchmarks.serving.servers import BY_NAME, SERVERS
from benchmarks.serving.shapes import Request
from benchmarks.serving.starting import StartFailed, end, prepare, running

WRK = """Running 1s test @ http://127.0.0.1:36123
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   463.33us  273.13us   6.43ms   95.23%
    Req/Sec    34.51k     2.70k   37.81k    81.82%
  37763 requests in 1.10s, 12.06MB read
Requests/sec:  34347.78
Transfer/sec:     10.97MB
measured: {"requests": 37763, "seconds": 1.099430, "p50_ms": 0.426, "p99_ms": 1.112, "refused": 3, "broken": 2}
"""
MEASURED = {"one-row": "2026-11-21, 2 × 5 s", "memory": "2026-11-21, 10 × 5 s"}
SPOKEN = {"prediction": "virginica", "probabilities": {"virginica": 0.6, "versicolor": 0.4, "setosa": 0.0}}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fitted models, and an answer for the echo."""
    folder = tmp_path_factory.getbasetemp().parent / "benchmark-models"
    with FileLock(f"{folder}.lock"):
        if not (folder / "answers.json").exists():
            subprocess.run([sys.executable, str(APPS / "fit.py"), str(folder)], check=True)
            one = {"headers": [["content-type", "application/json"], ["content-length", "2"]], "body": "{}"}
            many = {"headers": [["content-type", "application/json"], ["content-length", "4"]], "body": "[{}]"}
            (folder / "answers.json").write_text(json.dumps({"one": one, "many": many}))
    return folder


@pytest.fixture
def iris(models: Path) -> Fitted:
    return Fitted.read(models, "iris")


@pytest.fixture
def said() -> Iterator[Any]:
    """A server on a free port that answers every POST with what is put into it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(server.status)  # type: ignore[attr-defined]
            self.send_header("content-length", str(len(server.body)))  # type: ignore[attr-defined]
            self.end_headers()
            self.wfile.write(server.body)  # type: ignore[attr-defined]

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.body = 200, b""  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def recorded() -> Results:
    """Two rounds of a few servers."""

    def rps(*values: float) -> dict[str, Any]:
        return {"one-row/16": [{"rps": value, "p50_ms": 1.0, "p99_ms": 2.0, "errors": 0} for value in values]}

    def entry(title: str, found: dict[str, Any], failed: str | None = None) -> dict[str, Any]:
        return {"title": title, "failed": failed, "skipped": {}, "cases": found}

    ours = rps(20_000, 10_000) | {"memory": [{"mb": 100.0}], "thousand-rows": [{"rows_per_s": 300_000.0}]}
    return Results(
        {"processor": "a processor", "cores": "2"},
        {
            "lectern": entry("Lectern", ours) | {"versions": {"python": "3.11"}, "measured": MEASURED},
            "echo": entry("bare ASGI echo", rps(40_000, 16_000)),
            "in-process": entry("alone", {"thousand-rows": [{"rows_per_s": 400_000.0}]}),
            "lectern-2-workers": entry("Lectern, 2 workers", {"memory": [{"mb": 150.0}]}),
            "fastapi": entry("textbook FastAPI", rps(120, 80) | {"memory": [{"mb": 160.0}]}),
            "flask": entry("textbook Flask", rps(130)),
            "mlflow": entry("MLflow", {}, "it does not install: no such release"),
        },
    )


# --- the table of servers


@pytest.mark.parametrize("path", sorted(APPS.glob("*.py")), ids=lambda path: path.stem)
def test_an_app_compiles(path: Path) -> None:
    compile(path.read_text(), path.name, "exec")


def test_every_release_is_exact_and_every_name_its_own() -> None:
    assert len(BY_NAME) == len(SERVERS)
    assert all("==" in requirement for server in SERVERS for requirement in server.requirements)
    assert {case for server in SERVERS for case in server.cases} == set(cases.NAMES)


def test_a_peer_is_never_measured_without_its_own_environment_and_the_echo_never_without_ours() -> None:
    assert {server.name for server in SERVERS if not server.requirements} == {
        *("lectern", "lectern-locked", "lectern-2-workers", "lectern-joblib", "lectern-swap"),
        *("echo", "fastapi", "fastapi-joblib"),
    }
    assert [[one.name for one in group] for group in rounds.groups(command.chosen(["echo", "mlserver"]))] == [
        ["lectern", "echo", "lectern-locked"],
        *([name] for name in ("mlserver", "mlserver-batching", "mlserver-joblib")),
    ]
    with pytest.raises(argparse.ArgumentTypeError, match="'nobody' is none of a, b"):
        command._listed(["a", "b"])("a,nobody")


def test_requirements_that_do_not_install_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    with pytest.raises(EnvironmentFailed, match="does not install"):
        environments.ready("none", ("./there-is-no-such-folder",))
    assert not (tmp_path / "none.txt").exists()


# --- servers that need nothing but our own environment


@pytest.mark.parametrize(("name", "model"), [("fastapi", "iris"), ("fastapi-joblib", "nearest")])
def test_a_textbook_app_answers_as_the_fitted_model_does(name: str, model: str, models: Path, tmp_path: Path) -> None:
    fitted = Fitted.read(models, model)
    place = prepare(BY_NAME[name], models, tmp_path / "place")
    with running(BY_NAME[name], place, fitted) as one, one.asker as asker:
        assert check(asker, one.server.shape, fitted, first=0, several=model == "iris")
        held = memory.held_mb(one.process)
        assert held["mb"] >= held["own_mb"] > 10
        process = one.process
    assert not Path(f"/proc/{process}").exists()


def test_the_echo_says_what_was_recorded_and_wrk_measures_it(models: Path, iris: Fitted, tmp_path: Path) -> None:
    echo = replace(BY_NAME["echo"], shape=replace(shapes.OURS, answers=lambda *_: [(0, None)]))
    with running(echo, prepare(echo, models, tmp_path / "place"), iris) as one, one.asker as asker:
        headers, body = asker.ask(echo.shape.request(iris, iris.rows[:1]))
        assert body == b"{}"
        assert {name for name, _ in headers} == {"content-type", "content-length", "date"}
        assert asker.ask(echo.shape.request(iris, iris.many(2, 511)))[1] == b"[{}]"
        try:
            load.check()
        except LoadFailed:
            pytest.skip("wrk is not installed")
        found = cases.one_row(one, 2, 1)
    assert found["rps"] > 0
    assert found["errors"] == 0
    assert 0 < found["server_cores"] < 2
    assert found["load_cores"] > 0


def test_ours_and_what_the_echo_repeats(models: Path, iris: Fitted, tmp_path: Path) -> None:
    ours = BY_NAME["lectern"]
    with running(ours, prepare(ours, models, tmp_path / "place"), iris) as one, one.asker as asker:
        assert check(asker, ours.shape, iris, first=100, several=True)
        place = replace(one.place, models=tmp_path)
        rounds.record(replace(one, place=place))
        kept = json.loads((tmp_path / "answers.json").read_text())
        assert len(json.loads(kept["many"]["body"])["predictions"]) == cases.THOUSAND
        assert "date" not in dict(kept["one"]["headers"])
        assert cases.graph_of(one.place.folder).exists()


def test_ours_locked_answers_who_has_the_key(models: Path, iris: Fitted, tmp_path: Path) -> None:
    locked = BY_NAME["lectern-locked"]
    with running(locked, prepare(locked, models, tmp_path / "place"), iris) as one, one.asker as asker:
        assert check(asker, locked.shape, iris, first=0, several=True)
        with pytest.raises(Wrong, match="it answers 401"):
            asker.ask(shapes.OURS.request(iris, iris.rows[:1]))
        if shutil.which("wrk"):
            assert cases.one_row(one, 2, 1)["errors"] == 0


def test_a_server_that_ends_or_cannot_get_its_model_says_why(models: Path, iris: Fitted, tmp_path: Path) -> None:
    def failing(_: Place) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('no such port')"]

    ends = replace(BY_NAME["fastapi"], command=failing)
    with (
        pytest.raises(StartFailed, match="it ended with 1: no such port"),
        running(ends, prepare(ends, models, tmp_path / "ends"), iris),
    ):
        pass
    with pytest.raises(StartFailed, match="its model cannot be saved: no such port"):
        prepare(replace(ends, prepare=failing), models, tmp_path / "unsaved")


def test_ending_a_server_ends_what_left_its_group() -> None:
    leaver = (
        "import subprocess, time\n"
        "print(subprocess.Popen(['sleep', '600'], start_new_session=True).pid, flush=True)\n"
        "time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", leaver], stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.stdout.close()
    end(process)
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


# --- answers


@pytest.mark.parametrize(
    ("shape", "document"),
    [
        (shapes.OURS, {"predictions": [SPOKEN]}),
        (shapes.OURS, SPOKEN),
        (shapes.OBJECTS, [SPOKEN]),
        (shapes.FEATURES, {"prediction": 2, "probabilities": [0.0, 0.4, 0.6]}),
        (shapes.FLASK, {"predictions": [2], "probabilities": [[0.0, 0.4, 0.6]]}),
        (shapes.MLFLOW, {"predictions": [[0.0, 0.4, 0.6]]}),
        (shapes.BENTOML, [[0.0, 0.4, 0.6]]),
        (shapes.LITSERVE, {"probabilities": [[0.0, 0.4, 0.6]]}),
        (shapes.MLSERVER, {"outputs": [{"name": "predict_proba", "shape": [1, 3], "data": [0.0, 0.4, 0.6]}]}),
    ],
)
def test_an_answer_is_read_in_each_shape(shape: shapes.Shape, document: Any, iris: Fitted) -> None:
    assert shape.answers(iris, document) == [(2, [0.0, 0.4, 0.6])]
    assert shapes.VETIVER.answers(iris, {"predict": [2]}) == [(2, None)]
    assert "5.1" in shape.request(iris, [[5.1, 3.5, 1.4, 0.2]]).body


def test_a_wrong_answer_is_called_wrong(said: Any, iris: Fitted) -> None:
    asker = Asker(said.server_port)

    def ask() -> None:
        check(asker, shapes.VETIVER, iris, first=0, several=False)

    said.body = json.dumps({"predict": [7]}).encode()
    with pytest.raises(Wrong, match=r"100 of 100 answers are wrong; to .* it says 7"):
        ask()
    said.body = b'{"predict": [0, 0]}'
    with pytest.raises(Wrong, match="it gives 2 answers to 1 rows"):
        ask()
    said.body = b'{"other": 1}'
    with pytest.raises(Wrong, match=r"its answer cannot be read .*other"):
        ask()
    said.body = b"<html>"
    with pytest.raises(Wrong, match="its answer is not JSON"):
        ask()
    said.status = 503
    with pytest.raises(Wrong, match="it answers 503: <html>"):
        ask()
    asker.close()


def test_probabilities_must_be_near(said: Any, iris: Fitted) -> None:
    row = next(place for place, shares in enumerate(iris.probabilities) if 0.2 < max(shares) < 0.9)
    near, far = ([share + shift for share in iris.probabilities[row]] for shift in (5e-6, 5e-5))
    asker = Asker(said.server_port)
    alone = replace(iris, labels=[iris.labels[row]] * 100, probabilities=[iris.probabilities[row]] * 100)
    said.body = json.dumps([near]).encode()
    assert check(asker, shapes.BENTOML, alone, first=0, several=False)
    said.body = json.dumps([far]).encode()
    with pytest.raises(Wrong, match="100 of 100 answers are wrong"):
        check(asker, shapes.BENTOML, alone, first=0, several=False)
    asker.close()


def test_an_arrow_stream_is_sent_while_the_answer_is_read(said: Any) -> None:
    content = arrow.stream_of(np.ones((200_000, 4)))
    said.body = b"x" * 1_000_000
    status, found, _ = arrow.exchange(said.server_port, content)
    assert (status, found) == (200, said.body)


# --- load


def test_what_wrk_prints_is_read() -> None:
    found = load.parse(WRK)
    assert found == {"rps": 37760 / 1.09943, "p50_ms": 0.426, "p99_ms": 1.112, "errors": 5}
    with pytest.raises(LoadFailed, match="no line that begins with 'measured: '"):
        load.parse("Running 1s test")


def test_a_missing_wrk_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)  # the command's, which is this process here
    monkeypatch.setenv("PATH", "")
    assert command.main(["--short"]) == 2
    assert "wrk, which is not on the PATH: install it, e.g. `apt install wrk`" in capsys.readouterr().err


def test_a_load_that_does_not_run_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "wrk").write_text("#!/bin/sh\necho 'unable to connect' >&2\nexit 1\n")
    (tmp_path / "wrk").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(LoadFailed, match="wrk ended with 1: unable to connect"):
        load.run(9, [Request("/predict", "{}")], tmp_path, connections=1, seconds=1)


# --- results and the report


def test_a_ratio_is_taken_in_each_round() -> None:
    results = recorded()
    assert results.ratio("lectern", "echo", "one-row/16", "rps") == pytest.approx((0.5 + 0.625) / 2)
    assert results.ratio("lectern", "flask", "one-row/16", "rps") == pytest.approx(15_000 / 130)
    assert results.ratio("lectern", "mlflow", "one-row/16", "rps") is None


def test_goals_are_computed_from_the_figures() -> None:
    found: dict[str, Any] = {goal.text: goal.value(recorded()) for goal in goals.GOALS}
    assert found["one row, 16 connections: requests/s against the best peer at its best settings"] == (
        pytest.approx(15_000 / 130),
        "textbook Flask",
    )
    assert found["memory against the leanest peer's"] == (pytest.approx(100 / 160), "textbook FastAPI")
    assert found["memory that a second worker adds"] == (50.0, "")
    assert found["1,000,000 rows of Arrow: rows/s against ONNX Runtime alone"] is None


def test_the_report_has_every_goal_every_failure_and_no_folder_of_this_machine() -> None:
    results = recorded()
    assert "Disturbed" not in report.text(results)
    results.servers["echo"]["cases"]["one-row/16"][1]["other_cores"] = 0.4
    text = report.text(results)
    assert "| one row, 16 connections: requests/s against a bare echo | ≥ 0.5 | 0.562 | met |" in text
    assert "| memory against the leanest peer's | ≤ 0.5 | 0.625 (textbook FastAPI) | **not met** |" in text
    assert "\n- **memory against the leanest peer's**: Of what one worker takes, " in text
    assert "- **1,000 rows of JSON" not in text  # it is met, or was not measured
    assert "- MLflow: it does not install: no such release" in text
    assert "- vetiver: not yet measured" in text
    assert "| Lectern | 2026-11-21, 10 × 5 s; 2026-11-21, 2 × 5 s | – | python 3.11 |" in text
    assert "**Preliminary**: some figures come from a short run (2 × 5 s)." in text
    assert "**Disturbed**: other programs kept up to 0.40 cores busy during a load." in text
    assert str(environments.ROOT) not in text


def test_results_add_to_what_is_there(tmp_path: Path) -> None:
    results, path = recorded(), tmp_path / "docs" / "benchmarks.json"
    results.write(path)
    again = Results.read(path)
    assert again == results
    again.add("flask", "one-row/16", {"rps": 1.23456789})
    assert again.samples("flask", "one-row/16", "rps") == [130, 1.23457]
    assert Results.read(tmp_path / "none.json") == Results()


def test_the_same_figures_draw_the_same_pictures(tmp_path: Path) -> None:
    for name in ("one", "two"):
        plots.draw(recorded(), tmp_path / name)
    drawn = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert drawn == ["memory.png", "memory.svg", "one-row.png", "one-row.svg", "thousand-rows.png", "thousand-rows.svg"]
    for name in drawn:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_guard_says_what_became_slower(capsys: pytest.CaptureFixture[str]) -> None:
    results = recorded()
    results.servers["mlflow"]["failed"] = None
    for name in ("lectern", "echo"):
        results.servers[name]["cases"]["one-row/16"][0] |= {"server_cores": 0.9, "other_cores": 0.3}
    assert guard.judged(results) == []
    printed = capsys.readouterr().out
    assert "the median ratio is 0.56 (at least 0.25; by round 0.50, 0.62)" in printed
    assert "Other programs kept up to 0.30 cores busy meanwhile: neither a pass nor a failure says much." in printed
    assert "processor time of such a request: 60 µs, the echo's 32 µs, 0.54 of ours" in printed
    results.servers["echo"]["cases"]["one-row/16"] = [{"rps": 90_000, "p99_ms": 1.0, "errors": 0}] * 2
    (failure,) = guard.judged(results)
    assert failure.startswith("Slower than it was: one row at 16 connections, requests/s: 15,000")

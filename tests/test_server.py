"""serving.server: how it begins, what it prints, and how it ends."""

import os
import signal
import socket
import stat
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from contract.answers import Answers
from contract.errors import SettingsRefused
from contract.store import Store
from serving.listening import LONGEST_PATH, bind, listening
from serving.running import find
from serving.settings import ServeSettings
from tests.live import (
    WAITS,
    Service,
    Times,
    Unpickled,
    descendants,
    model_processes,
    processes,
    publish,
    publish_graph,
    running,
    until,
)

SIGNALS = pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])


def assert_stopped(service: Service, code: int, family: list[int]) -> None:
    """It ended well, told so in its last line, and left no process and no listener behind."""
    assert (code, service.printed.splitlines()[-1]) == (0, "Stopped.")
    assert "Traceback" not in service.complaints
    until(lambda: not set(family) & set(processes()))
    with pytest.raises(httpx.ConnectError):
        service.client.get("/health")


# --- the address


def test_a_port_that_is_taken_is_refused_with_another_to_try() -> None:
    with bind(ServeSettings(port=0)) as listener:
        port = listener.getsockname()[1]
        message = (
            rf"^Port {port} on 127\.0\.0\.1 is taken: stop what listens there, or choose another, "
            rf"e\.g\. `make serve PORT={port + 1}`\.$"
        )
        with pytest.raises(SettingsRefused, match=message):
            bind(ServeSettings(port=port))
    bind(ServeSettings(port=port)).close()


@pytest.mark.parametrize(
    ("host", "reason"),
    [("192.0.2.1", "Cannot assign requested address"), ("::bad", "(Name or service not known|.*)"), ("a b", ".*")],
)
def test_an_address_that_is_not_of_this_machine_is_refused(host: str, reason: str) -> None:
    with pytest.raises(SettingsRefused, match=rf"^Cannot listen on {host} port 0: {reason}\.$"):
        bind(ServeSettings(host=host, port=0))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_taken_port_is_one_line_and_exit_code_1(store: Store, workers: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with running(store, port=port, workers=workers, announced=False) as service:
            assert service.process.wait(60) == 1
            assert service.printed == ""
            [line] = service.complaints.splitlines()
            assert line.startswith(f"lectern: Port {port} on 127.0.0.1 is taken: ")


# --- a unix socket in its place


def refusal(path: Path) -> str:
    with pytest.raises(SettingsRefused) as refused:
        bind(ServeSettings(socket=path))
    return str(refused.value)


def test_a_path_that_cannot_be_a_socket_is_refused(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 120)
    assert refusal(long).startswith(f"The path of the socket {long} has {len(str(long))} bytes, and this system takes ")
    assert refusal(long).endswith(f" {LONGEST_PATH}: choose a shorter one.")
    lost = tmp_path / "none" / "s"
    assert refusal(lost) == f"There is no folder {lost.parent} for the socket: make it, or choose another path."
    (tmp_path / "file").write_text("mine")
    for thing in (tmp_path / "file", tmp_path):
        assert refusal(thing) == f"{thing} is no socket, and stays as it is: choose another path."
    assert (tmp_path / "file").read_text() == "mine"
    assert refusal(Path("/proc/socket")).startswith("Cannot listen on the socket /proc/socket: ")


def test_the_longest_path_is_one_that_the_system_takes(tmp_path: Path) -> None:
    path = tmp_path / "s".ljust(LONGEST_PATH - len(str(tmp_path)) - 1, "s")
    assert len(str(path)) == LONGEST_PATH
    with bind(ServeSettings(socket=path)):
        assert path.is_socket()


def test_a_socket_that_nobody_listens_on_is_replaced_and_another_one_is_not(tmp_path: Path) -> None:
    settings = ServeSettings(socket=tmp_path / "s")
    bind(settings).close()
    assert (tmp_path / "s").is_socket()
    with bind(settings) as listener:
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
        taken = f"Another service listens on the socket {tmp_path / 's'}: stop it, or choose another path."
        assert refusal(tmp_path / "s") == taken
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
            for waiting in (one, other):
                waiting.setblocking(False)
                with suppress(BlockingIOError):
                    waiting.connect(str(tmp_path / "s"))
            assert refusal(tmp_path / "s") == taken


@pytest.mark.parametrize("workers", [1, 2])
def test_it_answers_on_a_socket_that_is_gone_afterwards(store: Store, tmp_path: Path, workers: int) -> None:
    publish_graph(store, "double")
    path = tmp_path / "s"
    with running(store, socket=path, workers=workers, host="0.0.0.0") as service:
        assert service.url == f"unix:{path}"
        until(lambda: service.complaints.count("answers now.") == workers)
        assert service.predict({"x": 1}).json()["prediction"] == 2.0
        [record] = find(store.root)
        assert (record.pid, record.address, record.url) == (service.process.pid, f"unix:{path}", "")
        assert record.answers
        family = descendants(service.process.pid)
        assert (service.stop(), service.printed.splitlines()[-1]) == (0, "Stopped.")
        until(lambda: not set(family) & set(processes()))
    assert not path.exists()
    assert not record.answers


def test_a_socket_that_another_service_has_taken_over_stays(tmp_path: Path) -> None:
    settings = ServeSettings(socket=tmp_path / "s")
    with listening(settings):
        (tmp_path / "s").unlink()
        other = bind(settings)
    with other:
        assert (tmp_path / "s").is_socket()


# --- what it prints


def test_it_prints_the_announcement_and_a_line_for_each_version(store: Store) -> None:
    publish_graph(store, "a")
    publish(store, "b", Times(2.0))
    with running(store) as service:
        for path in ("/models/a/predict", "/models/b/predict"):
            assert service.predict({"x": 1}, path).status_code == 200
            assert service.predict({"x": "no"}, path).status_code == 422
        assert service.client.get("/docs").status_code == 200
        assert service.client.get("/nothing").status_code == 404
        publish_graph(store, "a", 3.0)
        until(lambda: service.get("/models/a")["champion"] == 2)
        family = descendants(service.process.pid)
        assert_stopped(service, service.stop(), family)
        assert service.printed.startswith("Lectern answers at ")
        assert service.printed.partition("Ctrl-C stops it.")[2] == "\nStopped.\n"
        assert sorted(service.complaints.splitlines()) == [
            "lectern: a version 1 answers now.",
            "lectern: a version 2 answers now.",
            "lectern: b version 1 answers now.",
        ]


# --- how it ends


@pytest.mark.parametrize(("how", "workers"), [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGINT, 2)])
def test_it_stops_when_it_is_told_to(store: Store, how: signal.Signals, workers: int) -> None:
    publish_graph(store, "double", 2.0)
    publish(store, "triple", Times(3.0))
    with running(store, workers=workers, default_model="triple") as service:
        until(lambda: len(model_processes(service.process.pid)) == workers)
        until(lambda: service.complaints.count("triple version 1 answers now.") == workers)
        for _ in range(10):
            with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
                assert client.post("/predict", json={"x": 2}).json()["prediction"] == 6.0
        family = descendants(service.process.pid)
        assert len(family) >= 2 * workers
        assert_stopped(service, service.stop(how), family)
        assert service.printed.count("Stopped.") == 1


@SIGNALS
def test_requests_in_flight_are_answered_before_it_ends(store: Store, tmp_path: Path, how: signal.Signals) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        publish(store, name, Times(3.0, tmp_path / name))
        (tmp_path / name / "asked").unlink()
    with running(store) as service, ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(service.predict, {"x": WAITS}, f"/models/{name}/predict") for name in ("one", "other")]
        for name in ("one", "other"):
            until(lambda notes=tmp_path / name / "asked": str(WAITS) in notes.read_text())  # type: ignore[misc]
        family = descendants(service.process.pid)
        stopped = pool.submit(service.stop, how)
        try:
            until(lambda: refuses(service))
            assert not any(request.done() for request in asked)
        finally:
            for name in ("one", "other"):
                (tmp_path / name / "go").touch()
        assert [request.result().json()["prediction"] for request in asked] == [15.0, 15.0]
        assert_stopped(service, stopped.result(), family)


def refuses(service: Service) -> bool:
    """Whether it takes no more connections."""
    try:
        httpx.get(f"{service.url}/health/live", trust_env=False, timeout=60)
    except httpx.TransportError:
        return True
    return False


def test_a_model_that_hangs_while_it_loads_does_not_keep_it_from_ending(store: Store) -> None:
    publish_graph(store, "double")
    with running(store, load_timeout_s=86_400) as service:
        publish(store, "stuck", Unpickled(time.sleep, 1e6), answers=Answers([2.0, 2.0]))
        until(lambda: model_processes(service.process.pid))
        family = descendants(service.process.pid)
        assert_stopped(service, service.stop(signal.SIGTERM), family)


def test_it_can_be_stopped_before_it_has_begun(store: Store) -> None:
    publish(store, "stuck", Unpickled(time.sleep, 1e6), answers=Answers([2.0, 2.0]))
    with running(store, load_timeout_s=86_400, announced=False) as service:
        until(lambda: model_processes(service.process.pid))
        code = service.stop(signal.SIGTERM)
        assert (code, service.printed, service.complaints) == (0, "Stopped.\n", "")


# --- several processes


def test_several_workers_share_the_work_and_the_settings(store: Store) -> None:
    publish_graph(store, "double")
    publish_graph(store, "triple", 3.0)
    command = (sys.executable, "-m", "serving", "--model", "double", "--workers", "2")
    with running(store, command=command, max_rows=3) as service:

        def asked(rows: int = 1) -> tuple[int, str, int]:
            with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
                response = client.post("/predict", json=[{"x": 1}] * rows)
                version = response.headers.get("lectern-version", "0")
                return response.status_code, response.headers["x-request-id"][:12], int(version)

        until(lambda: service.complaints.count("answers now.") == 4)
        assert len(until(lambda: both({asked()[1] for _ in range(20)}))) == 2
        assert {asked(rows=4)[0] for _ in range(20)} == {422}
        publish_graph(store, "double", 5.0)
        until(lambda: service.complaints.count("double version 2 answers now.") == 2)
        assert {asked()[2] for _ in range(20)} == {2}
        family = descendants(service.process.pid)
        assert_stopped(service, service.stop(), family)
        assert sorted(set(service.complaints.splitlines())) == [
            "lectern: double version 1 answers now.",
            "lectern: double version 2 answers now.",
            "lectern: triple version 1 answers now.",
        ]


def both(found: set[str]) -> set[str]:
    return found if len(found) == 2 else set()


def test_a_worker_that_dies_is_replaced(store: Store) -> None:
    publish_graph(store, "double")
    with running(store, workers=2) as service:
        until(lambda: service.complaints.count("answers now.") == 2)
        first = until(lambda: two([child for child in descendants(service.process.pid) if command_line(child)]))
        os.kill(first[0], signal.SIGKILL)
        until(lambda: service.complaints.count("answers now.") == 3)
        assert service.predict({"x": 1}).json()["prediction"] == 2.0
        assert_stopped(service, service.stop(signal.SIGTERM), descendants(service.process.pid))


def two(processes: list[int]) -> list[int]:
    """The workers, once the process that made the announcement has ended."""
    return processes if len(processes) == 2 else []


def command_line(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text()

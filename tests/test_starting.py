"""serving.start: a service that a notebook begins, that survives its kernel, and that it finds again."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import httpx
import pytest

import serving
from contract.answers import Answers
from contract.errors import SettingsRefused, StartFailed
from contract.store import Store
from serving import starting
from serving.running import find
from tests.live import Unpickled, descendants, processes, publish, publish_graph, until

KERNEL = {"MPLBACKEND": "agg", "JPY_PARENT_PID": "1", "JUPYTERHUB_API_TOKEN": "secret", "LECTERN_TRAIN_STAGE": "/x"}
OTHERS = {"LECTERN_HOST": "0.0.0.0", "LECTERN_PORT": "1", "LECTERN_SOCKET": "/x/s", "LECTERN_KEYS": "/x/k"}
OTHERS |= {"LECTERN_TOKEN_KEYS": "/x/p", "LECTERN_MAX_ROWS": "7"}


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records and logs in the folder of the test, and no settings."""
    for name in [name for name in os.environ if name.startswith(("LECTERN_", "JUPYTERHUB_", "XDG_RUNTIME_DIR"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def begun(store: Store) -> Iterator[Store]:
    """A store with a model; whatever service of it a test begins is ended."""
    publish_graph(store, "double")
    yield store
    for found in find(store.root):
        serving.Service(found).stop()


def kernel(store: Store, code: str, **variables: str) -> "subprocess.Popen[str]":
    """Another process that begins a service, as the kernel of a notebook does, and tells its number."""
    script = f"import os, serving, signal\nservice = serving.start({str(store.root)!r})\n{code}"
    command = [sys.executable, "-W", "error", "-c", script]
    return subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True)


def told(process: "subprocess.Popen[str]") -> str:
    return process.communicate(timeout=120)[0].strip()


def test_it_survives_its_kernel_and_is_found_again(begun: Store) -> None:
    dying = "print(service.record.pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    first = kernel(begun, dying, **KERNEL | OTHERS)
    pid = int(told(first))
    assert first.returncode == -signal.SIGKILL
    service = serving.start(begun.root)
    assert (service.record.pid, service.running, service.store) == (pid, True, begun.root)
    assert service.url.startswith("http://127.0.0.1:")
    with httpx.Client(base_url=service.url, trust_env=False, timeout=60) as client:
        assert client.post("/predict", json={"x": 1}).json()["prediction"] == 2.0
        assert client.post("/predict", json=[{"x": 1}] * 8).status_code == 422  # the environment's other settings count
    inherited = dict(line.split("=", 1) for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line)
    assert not KERNEL.keys() & inherited.keys()
    assert inherited["LECTERN_STORE"] == str(begun.root)
    assert inherited["PATH"] == os.environ["PATH"]
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")
    assert "double version 1 answers now." in service.log()
    assert service.log(1) == "Ctrl-C stops it."

    for wanted, said in {"default_model": "double", "max_rows": 9}.items():
        asked: dict[str, Any] = {wanted: said}
        differs = (
            rf"^A service of .* runs at {service.url} with {wanted} .*, not {said}: stop it first, `serving\.start\("
        )
        with pytest.raises(SettingsRefused, match=differs):
            serving.start(begun.root, **asked)
    assert serving.start(begun.root, max_rows=7).record.pid == pid

    family = [pid, *descendants(pid)]
    service.stop()
    assert not service.running
    assert not set(family) & set(processes())
    service.stop()
    assert service.log(1) == "Stopped."
    assert repr(service) == f"Lectern has stopped; it answered from the store {begun.root}."
    assert service._repr_html_() == f"<p>Lectern has stopped; it answered from the store <code>{begun.root}</code>.</p>"
    assert find(begun.root) == []


def test_two_notebooks_at_once_begin_one(begun: Store) -> None:
    both = [kernel(begun, "print(service.record.pid)") for _ in range(2)]
    [pid] = {told(process) for process in both}
    assert [found.pid for found in find(begun.root)] == [int(pid)]


def test_it_says_what_answers_and_where(begun: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(begun, "broken", Unpickled(os.getcwd), answers=Answers([2.0, 2.0]))
    monkeypatch.chdir(begun.root.parent)
    begun.root.rename(begun.root.parent / "artifacts")
    store = begun.root.parent / "artifacts"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving.start(port=port, default_model="double") as service:
        assert service.url == f"http://127.0.0.1:{port}"
        lines = repr(service).splitlines()
        assert lines[:2] == [f"Lectern answers at {service.url}", f"from the store {store}"]
        assert lines[2].startswith("  broken           not served: ")
        assert lines[3:] == ["  double           version 1", "No version of broken answers; /models says why."]
        page = service._repr_html_()
        assert f'<a href="{service.url}/" target="_blank" rel="noopener">' in page
        assert f"<code>{escape(str(store))}</code>" in page
        assert "<td>double</td><td>version 1</td>" in page
        assert not [word for word in ("<script", "color", "style") if word in page]
        monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/")
        assert f'<a href="/user/ann/proxy/{port}/" ' in service._repr_html_()
    assert not service.running


def test_one_that_hangs_is_said_to_and_ended_all_the_same(begun: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    service = serving.start(begun.root)
    family = [service.record.pid, *descendants(service.record.pid)]
    os.killpg(service.record.pid, signal.SIGSTOP)
    assert repr(service).endswith("It does not answer; `.log()` may say why.")
    monkeypatch.setattr(starting, "_STOPS_WITHIN_S", 0.1)
    service.stop()
    until(lambda: not set(family) & set(processes()))
    assert find(begun.root) == []


def test_an_empty_store_is_no_error_and_says_what_to_do(store: Store) -> None:
    with serving.start(str(store.root)) as service:
        assert repr(service).splitlines()[2].startswith("The store is empty. `make train` or ")
        assert "<table>" not in service._repr_html_()


def test_one_that_ends_says_why(begun: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        why = rf"^The service of .* ended before it was ready\. Its log ends with:\nlectern: Port {port} on .* is taken"
        with pytest.raises(StartFailed, match=why):
            serving.start(begun.root, port=port)
    assert find(begun.root) == []


def test_one_that_is_not_ready_in_time_is_stopped(begun: Store) -> None:
    slow = Store(begun.root.with_name("slow"))
    publish(slow, "stuck", Unpickled(time.sleep, 1e6), answers=Answers([2.0, 2.0]))
    with pytest.raises(StartFailed, match=r"^It was not ready within 3 s, and was stopped\. It"):
        serving.start(slow.root, timeout_s=3)
    assert find(slow.root) == []


def test_a_model_that_is_slow_does_not_hold_up_the_others(begun: Store) -> None:
    publish(begun, "stuck", Unpickled(time.sleep, 1e6), answers=Answers([2.0, 2.0]))
    with serving.start(begun.root, timeout_s=5, load_timeout_s=600) as service:
        assert "stuck            not served: loading" in repr(service)


@pytest.mark.parametrize("name", ["host", "socket", "log", "shared_folder"])
def test_what_is_not_for_a_notebook_to_choose_is_refused(store: Store, name: str) -> None:
    wanted: dict[str, Any] = {name: "x"}
    with pytest.raises(SettingsRefused, match=rf"^start\(\) takes no {name}: it listens on this machine only"):
        serving.start(store.root, **wanted)


def test_unknown_settings_are_refused(store: Store) -> None:
    with pytest.raises(SettingsRefused, match=r"^LECTERN_WORKER=2 does not do: Extra inputs are not permitted\.$"):
        serving.start(store.root, worker=2)
    with pytest.raises(SettingsRefused, match=r"^LECTERN_WORKERS=0 does not do: "):
        serving.start(store.root, workers=0)
    assert find(store.root) == []


def test_without_a_folder_of_ones_own_it_says_so(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    (tmp_path / f"lectern-{os.getuid()}").write_text("")
    with pytest.raises(StartFailed, match="no folder for its log that is yours alone: set XDG_RUNTIME_DIR, or TMPDIR"):
        serving.start(store.root)


def test_a_log_that_is_gone_is_empty(store: Store, tmp_path: Path) -> None:
    record = serving.running.Running(1, "http://127.0.0.1:1", "", store.root, str(tmp_path / "gone.log"))
    assert serving.Service(record).log() == ""


def test_it_takes_little_to_import() -> None:
    code = "import json, sys, serving; serving.start; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"uvicorn", "fastapi", "starlette", "pandas", "httpx"} & set(json.loads(done.stdout))
    with pytest.raises(AttributeError, match="module 'serving' has no attribute 'stop'"):
        serving.stop  # noqa: B018

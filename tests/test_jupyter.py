"""The tile in JupyterLab: what jupyter-server-proxy is told, and the service behind a real Jupyter server."""

import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import httpx
import pytest
from jupyter_server_proxy.config import ServerProcess, make_handlers

from contract.store import Store
from serving.jupyter import ICON, setup
from serving.running import find
from tests.live import ROOT, processes, publish_graph, until
from tests.notebook_servers import HOME, Jupyter, jupyter_server

# --- what it is told


def test_its_entry_point_gives_what_the_proxy_takes() -> None:
    [found] = entry_points(group="jupyter_serverproxy_servers", name="lectern")
    assert found.load() is setup
    process = ServerProcess(name=found.name, **setup())
    assert process.command == [sys.executable, "-P", "-m", "serving.jupyter", "{unix_socket}"]
    assert (process.unix_socket, process.new_browser_tab, process.absolute_url) == (True, False, False)
    assert process.timeout == 60
    assert process.launcher_entry.title == "Lectern: your models"
    assert [handler[0] for handler in make_handlers(HOME, [process])] == ["/user/ann/lectern/(.*)", "/user/ann/lectern"]


def test_its_icon_is_a_small_picture_that_names_one_colour() -> None:
    assert Path(setup()["launcher_entry"]["icon_path"]) == ICON
    picture = ET.parse(ICON).getroot()
    assert picture.attrib["viewBox"] == "0 0 32 32"
    assert ICON.stat().st_size < 1_000
    assert {part.attrib["stroke"] for part in picture.iter() if "stroke" in part.attrib} == {"#2f7dc4"}


# --- behind a Jupyter server


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(tmp_path_factory.mktemp("jupyter") / "artifacts")
    publish_graph(store, "double")
    return store


@pytest.fixture(scope="module")
def jupyter(store: Store) -> Iterator[Jupyter]:
    with jupyter_server(store.root.parent) as found:
        yield found


def test_the_service_answers_in_a_folder_of_jupyter(jupyter: Jupyter) -> None:
    client = jupyter.client
    assert client.get("lectern/health").json()["detail"] == "Every model answers."
    assert [model["model"] for model in client.get("lectern/models").json()] == ["double"]
    assert client.post("lectern/models/double/predict", json={"x": 1}).json()["prediction"] == 2.0
    assert client.get("lectern/docs").status_code == 200
    assert client.post("lectern/models/double/traffic", json={}).status_code == 200
    assert client.post("lectern/models/double/traffic", content=b"{}").status_code == 415


def test_nobody_else_gets_through(jupyter: Jupyter) -> None:
    with httpx.Client(base_url=jupyter.client.base_url, trust_env=False) as stranger:
        assert stranger.get("lectern/health").status_code == 302
        assert stranger.post("lectern/models/double/predict", json={"x": 1}).status_code in (302, 403)


def test_it_is_in_the_launcher_with_its_icon(jupyter: Jupyter) -> None:
    [entry] = jupyter.client.get("server-proxy/servers-info").json()["server_processes"]
    assert entry["launcher_entry"]["title"] == "Lectern: your models"
    assert jupyter.client.get("server-proxy/icon/lectern").content == ICON.read_bytes()


def test_a_notebook_beside_it_finds_it_and_it_ends_with_jupyter(jupyter: Jupyter, store: Store) -> None:
    jupyter.client.get("lectern/health")
    [found] = find(store.root)
    assert found.socket
    assert found.answers
    os.kill(jupyter.process.pid, signal.SIGKILL)
    jupyter.process.wait()
    until(lambda: found.pid not in processes())
    until(lambda: not Path(found.socket).exists())


def test_what_is_refused_is_said_in_the_tab_and_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "s"
    command = [sys.executable, "-P", "-m", "serving.jupyter", str(path)]
    process = subprocess.Popen(command, env=os.environ | {"LECTERN_WROKERS": "1"}, cwd=ROOT, stderr=subprocess.PIPE)
    try:
        until(path.is_socket)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path), retries=3)) as client:
            answer = client.get("http://localhost/docs")
    finally:
        process.terminate()
        said = process.communicate(timeout=60)[1].decode()
    refusal = "LECTERN_WROKERS is no setting; did you mean LECTERN_WORKERS."
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/plain; charset=utf-8")
    assert answer.text == f"Lectern cannot be started: {refusal}\n\nMend it, and start JupyterLab again.\n"
    assert said.startswith(f"lectern: {refusal}\n")

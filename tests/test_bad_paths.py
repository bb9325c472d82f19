"""Paths that mean to lead elsewhere: each parameter of every route, spelled in all ways, opens no file of others."""

from __future__ import annotations

import http.client
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.store import Store
from serving.app import create_app
from serving.problems import MAX_BYTES, ProblemDocument
from serving.settings import ServeSettings
from tests.live import ROOT, publish_graph
from tests.test_app import served

CANARY = "swordfish"
DOTS = (
    "..",
    "%2e%2e",
    ".%2e",
    "%2e.",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "....",
    "..;",
)
SLASHES = ("/", "%2f", "%5c", "%252f", "%c0%af", "%ef%bc%8f", "%u2215", "//")
SPELLINGS = [
    *(dots + slash + "canary.txt" for dots in DOTS[:6] for slash in SLASHES[:6]),
    *(dots for dots in DOTS),
    *(slash.join([dots] * 8 + ["etc", "passwd"]) for dots in DOTS[:3] for slash in SLASHES[:3]),
    "..%2f..%2fetc%2fpasswd",
    "....//....//canary.txt",
    "file:///etc/passwd",
    "file:%2f%2f%2fetc%2fpasswd",
    "x%23/../../canary.txt",
    "x%3f/../canary.txt",
    "%5c%5chost%5cshare",
    "%5c%5c%3f%5cC:%5c",
    "C:/",
    "C:%5cwindows%5cwin.ini",
    "%00",
    "double%00",
    "double%00.txt",
    "double%0a",
    "double%20",
    "%20double",
    "double%2f1",
    "double%2f..%2fdouble",
    "double/versions/1/../../../canary.txt",
    ".promotions",
    ".staging-x",
    ".log",
    ".runs",
    "~",
    "~root",
    "$HOME",
    "%24%7BHOME%7D",
    "{{7*7}}",
    "%7B0.__class__%7D",
    "%25s%25n",
    "..%00/canary.txt",
    "..%0d%0aX-Injected:%201",
    "canary.txt",
    "con",
    "nul.txt",
    "x" * 4_000,
    "%ff%fe",
    "%d9%a3",
]
BODIES: dict[str, Any] = {"promote": {"version": 1}, "rollback": {}, "traffic": {"challenger": 0}}
Serving = tuple[httpx.Client, set[str], Path]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A service in this process, what it opens, and its store; beside that lies what nobody may read."""
    folder = tmp_path_factory.mktemp("paths")
    (folder / "canary.txt").write_text(CANARY)
    (folder / "store").mkdir()
    (folder / "store" / "canary.txt").write_text(CANARY)
    store = Store(folder / "store")
    publish_graph(store, "double")
    (store.root / "double" / "canary.txt").write_text(CANARY)
    opened, watching = set[str](), True

    def watch(event: str, given: tuple[Any, ...]) -> None:
        if watching and event in ("open", "os.listdir", "os.scandir") and isinstance(given[0], str | bytes | Path):
            opened.add(os.fsdecode(given[0]))

    with served(create_app(ServeSettings(store=store.root, prediction_log="none"))) as client:
        client.get("/openapi.json").raise_for_status()
        sys.addaudithook(watch)  # for good
        yield client, opened, store.root
        watching = False


def operations(client: httpx.Client) -> list[tuple[str, str]]:
    found = client.get("/openapi.json").json()["paths"]
    documented = [(method.upper(), path) for path, of in found.items() for method in of]
    more = [("POST", "/models/{model}/predict"), ("POST", "/models/{model}/versions/{version}/predict")]
    more += [
        ("GET", "/static/docs/{name}"),
        ("GET", "/static/pages/{name}"),
        ("GET", "/{name}"),
        ("POST", "/v{version}/predict"),
    ]
    return [(method, path) for method, path in documented + more if "{" in path]


def ask(connection: http.client.HTTPConnection, method: str, path: str) -> tuple[int, Any, bytes]:
    """Ask for a path as it is written: httpx would tidy it up."""
    body = None if method in ("GET", "DELETE") else json.dumps(BODIES.get(path.rpartition("/")[2], {"x": 1})).encode()
    connection.request(method, path, body, {"content-type": "application/json"})
    response = connection.getresponse()
    return response.status, response.headers, response.read()


def test_there_are_enough() -> None:
    assert len(set(SPELLINGS)) >= 90


def test_no_spelling_of_any_parameter_opens_a_file_that_is_not_its_own(serving: Serving) -> None:
    client, opened, root = serving
    usual = {"model": "double", "version": "1", "alias": "stable", "name": "20261121T060000Z-drift.html"}
    asked = 0
    with closing(http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)) as connection:
        for method, path in operations(client):
            for parameter in re.findall(r"{(\w+)}", path):
                others = {name: value for name, value in usual.items() if name != parameter}
                for spelling in SPELLINGS:
                    opened.clear()
                    place = path.format(**others, **{parameter: spelling})
                    status, headers, body = ask(connection, method, place)
                    asked += 1
                    assert status in (404, 405, 409, 422), place
                    assert headers["content-type"] == "application/problem+json", place
                    assert len(body) <= MAX_BYTES
                    found = ProblemDocument.model_validate_json(body)
                    assert (found.status, found.request_id) == (status, headers["x-request-id"])
                    assert CANARY.encode() not in body
                    assert str(root).encode() not in body
                    assert "x-injected" not in headers
                    assert not strangers(opened, root), place
    assert asked > 1_500


def strangers(opened: set[str], root: Path) -> list[str]:
    """Of what was opened all but the store's, and the code's; a name alone is one in a folder opened before."""
    code = [ROOT, *(Path(path) for path in sysconfig.get_paths().values()), Path(sys.base_prefix)]
    found = [Path(path) for path in opened]
    own = [path for path in found if len(path.parts) == 1 or any(map(path.is_relative_to, (root, *code)))]
    return [str(path) for path in found if path not in own or path.name == "canary.txt" or ".." in path.parts]


def test_the_watch_sees_what_is_opened(serving: Serving) -> None:
    client, opened, root = serving
    opened.clear()
    (root / "canary.txt").read_text()
    (root.parent / "canary.txt").read_text()
    assert len(strangers(opened, root)) == 2
    opened.clear()
    client.get("/models/double/versions/1").raise_for_status()
    assert {str(root / "double" / "1"), "manifest.json"} <= opened


def test_a_file_of_an_artifact_is_no_path(serving: Serving) -> None:
    client, _, root = serving
    for name in ("model.onnx", "manifest.json", "golden.json", "canary.txt"):
        for path in (f"/models/double/versions/1/{name}", f"/models/double/{name}", f"/static/pages/{name}"):
            assert client.get(path).status_code == 404
    (root / "double" / "1" / "report.html").write_text(CANARY)
    (root / "double" / "1" / "notebook.ipynb").write_text(CANARY)
    for name in ("notebook", "notebook.ipynb"):  # they are not in the manifest
        found = client.get(f"/models/double/versions/1/{name}")
        assert (found.status_code, found.json()["code"]) == (404, "no_notebook")

"""serving.app: the application as a value; every error as a problem; pages that reach nobody else."""

import asyncio
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, HTTPException

from contract.answers import Answers
from contract.errors import PredictionFailed, PublishFailed
from contract.store import Store
from serving.app import Lectern, create_app
from serving.problems import ProblemDocument
from serving.settings import ServeSettings
from tests.live import PATIENCE_S, Times, Unpickled, damage, once_there, publish, publish_graph, until


@contextmanager
def served(app: Lectern, *, read: bool = True, **config: Any) -> Iterator[httpx.Client]:
    """The application behind a real server in this process, by default with its store read."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, **config))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=PATIENCE_S) as client:
            until(lambda: not read or client.get("/health").json()["status"] != "loading")
            yield client
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)


@pytest.fixture
def app(store: Store) -> Lectern:
    publish_graph(store, "double")
    return create_app(ServeSettings(store=store.root))


def test_a_version_stays_while_others_are_asked_whether_its_caller_may(store: Store, tmp_path: Path) -> None:
    publish_graph(store, "double", 2.0)
    silent = tmp_path / "redis"
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(1) as pool:
        listener.bind(str(silent))
        listener.listen()
        listener.settimeout(PATIENCE_S)
        app = create_app(ServeSettings(store=store.root, limit_per_caller="9/day", limits_store=f"unix://{silent}"))
        with served(app) as client:
            version = app.registry.alias("double")
            asked = pool.submit(client.post, "/models/double/predict", json={"x": 1.5})
            connection, _ = listener.accept()  # and nothing is answered there
            assert app.registry._loop
            app.registry._loop.call_soon_threadsafe(version.retire)
            assert asked.result().json()["prediction"] == 3.0
            connection.close()
            with pytest.raises(PredictionFailed, match="does not answer any more"):
                version.predictor.answer_blocking({"x": [1.5]})


def framework(app: Lectern) -> FastAPI:
    return app.framework()


# --- a value


def test_importing_the_service_does_nothing_and_building_it_starts_nothing(store: Store) -> None:
    script = (
        "import sys, threading, os\n"
        "before = dict(os.environ)\n"
        "import serving\n"
        "assert sorted(n for n in sys.modules if n.startswith('serving')) == ['serving']\n"
        "from serving.app import create_app\n"
        "from serving.settings import ServeSettings\n"
        "create_app(ServeSettings())\n"
        "assert threading.active_count() == 1\n"
        "assert 'fastapi' not in sys.modules\n"
        "assert dict(os.environ) == before\n"
        "assert os.listdir() == []\n"
    )
    folder = store.root
    folder.mkdir()
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_answers_without_a_server_that_lets_it_live(app: Lectern) -> None:
    async def get(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(path)

    for _ in range(2):  # each time on an event loop of its own
        assert asyncio.run(get("/health")).json()["status"] == "loading"
    assert asyncio.run(get("/nothing")).json()["code"] == "not_found"


def test_who_asks_before_the_models_are_up_waits_for_them(app: Lectern, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.app.HEAD_START_S", PATIENCE_S)
    with served(app, read=False) as client:
        assert client.post("/predict", json={"x": 1}).json()["prediction"] == 2.0
        assert client.get("/health/live").json() == {"live": True}


def test_what_takes_long_to_load_keeps_nobody_from_asking_how_the_service_is(store: Store, tmp_path: Path) -> None:
    publish(store, "slow", Unpickled(once_there, tmp_path / "go", Times(2.0)), answers=Answers([2.0, 2.0]))
    with served(create_app(ServeSettings(store=store.root)), read=False) as client:
        assert client.get("/health/live").json() == {"live": True}
        assert client.get("/health/ready").json()["status"] == "loading"
        assert client.post("/predict", json={"x": 1}).json()["code"] == "version_failed"
        (tmp_path / "go").touch()
        until(lambda: client.post("/predict", json={"x": 1}).status_code == 200)


def test_two_applications_in_one_process_do_not_know_each_other(store: Store, app: Lectern) -> None:
    other = Store(store.root.parent / "other")
    publish_graph(other, "triple", 3.0)
    with served(app) as one, served(create_app(ServeSettings(store=other.root))) as another:
        assert one.post("/predict", json={"x": 1}).json()["prediction"] == 2.0
        assert another.post("/predict", json={"x": 1}).json()["prediction"] == 3.0
        assert one.post("/models/triple/predict", json={"x": 1}).status_code == 404


def test_the_same_version_says_the_same_by_every_path(store: Store, app: Lectern) -> None:
    publish_graph(store, "double", 3.0)
    with served(app) as client:
        first = client.post("/models/double/versions/1/predict", json={"x": 1})  # loaded now, by way of the framework
        then = client.post("/models/double/versions/1/predict", json={"x": 1})
        for response in (first, then):
            assert response.json() | {"id": ""} == first.json() | {"id": ""}
            assert set(response.headers) == set(first.headers)
        assert first.json()["version"] == 1


def test_it_is_ready_once_every_model_of_the_store_was_tried(store: Store, app: Lectern, tmp_path: Path) -> None:
    publish(store, "slow", Unpickled(once_there, tmp_path / "go", Times(2.0)), answers=Answers([2.0, 2.0]))
    with served(app, read=False) as client:
        until(lambda: client.post("/models/double/predict", json={"x": 1}).status_code == 200)
        assert client.get("/health/live").status_code == 200
        early = client.get("/health/ready")
        (tmp_path / "go").touch()
        assert early.status_code == 503
        assert early.json() == {
            "status": "loading",
            "detail": "The store is being read.",
            "models": {"double": 1, "slow": None},
        }
        until(lambda: client.get("/health/ready").status_code == 200)
        assert client.get("/health").json()["models"] == {"double": 1, "slow": 1}


# --- errors


@pytest.mark.parametrize(
    ("error", "status", "code", "detail"),
    [
        (RuntimeError("secret"), 500, "internal_error", "The service failed to answer this request."),
        (PublishFailed("secret"), 500, "internal_error", "The service failed to answer this request."),
        (
            PermissionError("secret"),
            503,
            "store_unreadable",
            "The store cannot be read at the moment; predictions go on.",
        ),
        (HTTPException(418, "I am a teapot."), 418, "refused", "I am a teapot."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_a_route_raises_is_a_problem(
    app: Lectern, error: Exception, status: int, code: str, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise error

    framework(app).add_api_route("/broken", broken)
    with served(app) as client, caplog.at_level(logging.ERROR):
        response = client.get("/broken")
        assert client.get("/health").json()["status"] == "ready"
    assert response.headers["content-type"] == "application/problem+json"
    found = ProblemDocument.model_validate_json(response.content)
    assert (response.status_code, found.status, found.code) == (status, status, code)
    assert found.detail.startswith(detail)
    assert found.request_id == response.headers["x-request-id"]
    told = [record.getMessage() for record in caplog.records if record.exc_info and record.exc_info[1] is error]
    assert told == [f"Request {found.request_id} failed in an unforeseen way."] * (status == 500)


def test_a_parameter_that_does_not_fit_is_a_problem(app: Lectern) -> None:
    def numbered(number: int) -> int:
        return number

    framework(app).add_api_route("/numbered", numbered)
    with served(app) as client:
        found = ProblemDocument.model_validate_json(client.get("/numbered?number=swordfish").content)
    assert (found.status, found.code) == (422, "invalid_request")
    fault = "Input should be a valid integer, unable to parse string as an integer"
    assert found.detail == f"'number' does not fit: {fault}. /docs says what this path takes."


def test_a_prediction_that_fails_as_nobody_foresaw_is_a_problem_and_logged(
    store: Store, app: Lectern, caplog: pytest.LogCaptureFixture
) -> None:
    with served(app) as client, caplog.at_level(logging.ERROR):
        predictor = app.registry.alias("double").predictor
        predictor._model = None  # type: ignore[attr-defined]  # as damaged as it can be made from here
        response = client.post("/predict", json=[{"x": 1}])
        found = ProblemDocument.model_validate_json(response.content)
    assert (found.status, found.code) == (500, "internal_error")
    [record] = caplog.records
    assert record.getMessage() == f"Request {found.request_id} failed in an unforeseen way."
    assert record.exc_info


# --- pages


class References(HTMLParser):
    """What a page loads, and its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)
        self.found += re.findall(r"\burl: '([^']+)'", page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in ("src", "href", "spec-url") and value]


PAGES = ("/", "/docs", "/redoc", "/models/double", "/models/double/versions", "/models/double/versions/1")


@pytest.mark.parametrize("root", ["", "/ml", "/a/b"])
def test_the_pages_are_whole_without_any_other_host(app: Lectern, root: str) -> None:
    with served(app, root_path=root) as client:
        for path in PAGES:
            page = client.get(path, headers={"accept": "text/html"})
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w+", page.text)
            references = References(page.text).found
            assert len(references) >= 3
            for reference in references:
                if reference.startswith("#"):
                    continue
                assert reference.startswith(".")
                found = urljoin(f"{root}{path}", reference)
                assert found.startswith(f"{root}/")
                answer = client.get(found.removeprefix(root), headers={"accept": "text/html,*/*;q=0.8"})
                assert (answer.status_code, found) == (404 if found.endswith("/notebook") else 200, found)
                assert answer.content
        assert client.get("/openapi.json").json()["servers"] == [{"url": "."}]
        assert client.post("/predict", json={"x": 1}).json()["prediction"] == 2.0
        assert client.post("/models/double/versions/1/predict", json={"x": 1}).json()["prediction"] == 2.0


def test_no_page_may_load_anything_from_elsewhere_even_if_its_scripts_would(app: Lectern) -> None:
    with served(app) as client:
        for path in PAGES:
            policy = client.get(path, headers={"accept": "text/html"}).headers["content-security-policy"]
            sources = dict(part.split(" ", 1) for part in policy.split("; "))
            assert sources.pop("default-src") == "'none'"
            assert sources["script-src"] == "'self'"
            if path not in ("/docs", "/redoc"):
                assert sources["style-src"] == "'self'"
            assert set(" ".join(sources.values()).split()) <= {"'self'", "'unsafe-inline'", "'none'", "data:", "blob:"}
        for path in ("/health", "/openapi.json", "/static/docs/swagger-ui.css"):
            assert "content-security-policy" not in client.get(path).headers


def test_a_broken_store_stops_no_page(store: Store) -> None:
    publish_graph(store, "double")
    damage(store.artifact("double"), "model.onnx")
    with served(create_app(ServeSettings(store=store.root, default_model="double"))) as client:
        for path in ("/docs", "/redoc", "/openapi.json", "/models", "/health"):
            assert client.get(path).status_code == 200

"""serving.routes: health, what is served and where it came from, and which path leads to which version."""

import json
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.store import Store
from serving.problems import ProblemDocument
from tests.live import Service, damage, publish_graph, running, until


def problem(response: httpx.Response) -> ProblemDocument:
    assert response.headers["content-type"] == "application/problem+json"
    found = ProblemDocument.model_validate_json(response.content, strict=True)
    assert (found.status, found.title) == (response.status_code, HTTPStatus(response.status_code).phrase)
    assert found.request_id == response.headers["x-request-id"]
    return found


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Models times (versions 1, 2, 3; 2 is broken), broken (1) and old (1, 2; 2 is broken); none is the default."""
    store = Store(tmp_path_factory.mktemp("mixed") / "store")
    for factor in (1.0, 2.0, 3.0):
        publish_graph(store, "times", factor, description=f"{factor:g} times x.", metrics={"r2": factor / 10})
    publish_graph(store, "broken")
    publish_graph(store, "old", 5.0)
    publish_graph(store, "old", 6.0)
    for model, version in (("times", 2), ("broken", 1), ("old", 2)):
        damage(store.artifact(model, version), "model.onnx")
    with running(store) as service:
        yield service


REASON = "model.onnx is not the file that was published: its SHA-256 differs from the manifest's."


# --- health


def test_a_service_whose_models_all_answer_is_ready(examples: Service) -> None:
    ready = {"status": "ready", "detail": "Every model answers.", "models": {"cardio": 1, "iris": 1}}
    assert examples.get("/health") == ready
    response = examples.client.get("/health/ready")
    assert (response.status_code, response.json()) == (200, ready)
    assert examples.get("/health/live") == {"live": True}


def test_a_service_of_which_one_model_does_not_answer_is_degraded_and_ready(mixed: Service) -> None:
    response = mixed.client.get("/health/ready")
    assert response.status_code == 200
    assert response.json() == {
        "status": "degraded",
        "detail": "No version of broken answers; /models says why.",
        "models": {"broken": None, "old": 1, "times": 3},
    }


@pytest.mark.parametrize(("strict", "status"), [(False, 200), (True, 503)])
def test_of_ten_models_nine_answer_where_one_is_broken(store: Store, strict: bool, status: int) -> None:
    names = [f"m{n}" for n in range(10)]
    for name in names:
        publish_graph(store, name, 2.0)
    damage(store.artifact("m4"), "golden.json")
    with running(store, strict_readiness=strict) as service:
        until(lambda: service.complaints.count("answers now.") == 9)
        answers = [service.predict({"x": 3}, f"/models/{name}/predict") for name in names]
        assert [answer.status_code for answer in answers] == [503 if name == "m4" else 200 for name in names]
        assert answers[4].json()["code"] == "version_failed"
        response = service.client.get("/health/ready")
        assert (response.status_code, response.json()["status"]) == (status, "degraded")
        publish_graph(store, "m4", 2.0)
        until(lambda: service.get("/health/ready")["status"] == "ready")
        assert service.client.get("/health/ready").status_code == 200


def test_a_service_goes_from_empty_to_failed_to_ready(store: Store) -> None:
    with running(store) as service:

        def health() -> tuple[int, str]:
            response = service.client.get("/health/ready")
            assert service.client.get("/health").status_code == 200
            return response.status_code, response.json()["status"]

        assert health() == (503, "empty")
        assert service.get("/health")["detail"] == (
            "The store is empty. `make train` or `lectern train NOTEBOOK` makes a version; it is served at once."
        )
        assert service.get("/models") == []
        found = problem(service.predict({"x": 1}))
        assert (found.status, found.code) == (404, "no_default_model")
        assert found.detail == "No default model is set (LECTERN_DEFAULT_MODEL); the models are none yet."

        ahead = Store(store.root.parent / "ahead")
        publish_graph(ahead, "double")
        damage(ahead.artifact("double"), "golden.json")
        (ahead.root / "double").rename(store.root / "double") if store.root.exists() else ahead.root.rename(store.root)
        until(lambda: health() == (503, "failed"))
        assert service.get("/health")["detail"] == "No version of any model can be served; /models says why."
        found = problem(service.predict({"x": 1}))
        assert (found.status, found.code) == (503, "version_failed")
        assert found.detail.startswith("Version 1 of 'double' cannot be served: golden.json is not the file that was ")

        publish_graph(store, "double")
        until(lambda: health() == (200, "ready"))
        assert service.predict({"x": 1}).json()["prediction"] == 2.0


# --- what is served


def test_the_models_are_listed_with_what_failed_and_why(mixed: Service) -> None:
    assert mixed.get("/models") == [
        {
            "model": "broken",
            "state": "failed",
            "champion": None,
            "versions": [1],
            "failed": [{"version": 1, "code": "checksum_mismatch", "reason": REASON}],
            "warnings": [],
            "description": "",
            "metrics": {},
            "aliases": {},
            "challenger": 0.0,
            "predict": "/models/broken/predict",
        },
        {
            "model": "old",
            "state": "ready",
            "champion": 1,
            "versions": [1, 2],
            "failed": [{"version": 2, "code": "checksum_mismatch", "reason": REASON}],
            "warnings": [],
            "description": "",
            "metrics": {},
            "aliases": {"champion": 1},
            "challenger": 0.0,
            "predict": "/models/old/predict",
        },
        mixed.get("/models/times"),
    ]
    times = mixed.get("/models/times")
    assert (times["champion"], times["versions"]) == (3, [1, 2, 3])
    assert (times["description"], times["metrics"]) == ("3 times x.", {"r2": 0.3})


def test_a_version_says_where_it_came_from(examples: Service, example_store: Store) -> None:
    for model in ("iris", "cardio"):
        manifest = example_store.artifact(model, 1).manifest
        found = examples.get(f"/models/{model}/versions/1")
        said = json.loads(manifest.model_dump_json(exclude={"manifest_format", "files"}))
        assert found == said | {"version": 1, "files": sorted(manifest.files), "warnings": []}
        assert found["run"]["kind"] == "papermill"
        assert found["parameters"]["seed"] == 0
        for path in (f"/models/{model}/signature", f"/models/{model}/versions/1/signature"):
            assert examples.get(path) == found["signature"]


def test_a_version_that_is_not_served_still_says_what_it_is(mixed: Service) -> None:
    assert mixed.get("/models/times/versions/2")["description"] == "2 times x."


def test_the_notebook_of_a_version_is_a_page_that_can_do_nothing(examples: Service, example_store: Store) -> None:
    page = examples.client.get("/models/iris/versions/1/notebook")
    assert page.content == example_store.artifact("iris", 1).read("report.html")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["x-content-type-options"] == "nosniff"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'; ")
    assert "allow-" not in policy
    assert "script-src" not in policy


def test_the_notebook_of_a_version_can_be_had_as_a_file(examples: Service, example_store: Store) -> None:
    wanted = {"accept": "application/x-ipynb+json"}
    file = examples.client.get("/models/iris/versions/1/notebook", headers=wanted)
    assert file.content == example_store.artifact("iris", 1).read("notebook.ipynb")
    assert file.headers["content-type"] == "application/x-ipynb+json"
    assert file.headers["content-disposition"] == 'attachment; filename="iris-1.ipynb"'


def test_a_version_exported_by_hand_has_no_notebook(mixed: Service) -> None:
    found = problem(mixed.client.get("/models/times/versions/1/notebook"))
    assert (found.status, found.code) == (404, "no_notebook")
    assert found.detail == "Version 1 of 'times' was exported by hand; no run was recorded."


# --- paths that predict


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/models/times/predict", 3),
        ("/models/times@champion/predict", 3),
        ("/models/times/versions/3/predict", 3),
        ("/models/times/versions/1/predict", 1),
        ("/models/old/predict", 1),
        ("/models/times%40champion/predict", 3),
        ("/models/%74imes/predict", 3),
    ],
)
def test_a_path_leads_to_a_version(mixed: Service, path: str, version: int) -> None:
    model = path.split("/")[2].partition("@")[0].replace("%40champion", "").replace("%74", "t")
    for _ in range(2):
        response = mixed.predict({"x": 7}, path)
        answer = response.json()
        assert (answer["model"], answer["version"]) == (model, version)
        assert answer["prediction"] == 7.0 * (version if model == "times" else 5)
        assert (response.headers["lectern-model"], response.headers["lectern-version"]) == (model, str(version))


@pytest.mark.parametrize("path", ["/predict", "/v1/predict", "/models/iris/predict", "/models/iris@champion/predict"])
def test_the_default_model_has_paths_of_its_own(examples: Service, path: str) -> None:
    answer = examples.predict(examples.get("/openapi.json")["components"]["schemas"]["iris-row"]["examples"][0], path)
    assert (answer.json()["model"], answer.json()["version"]) == ("iris", 1)


@pytest.mark.parametrize(
    ("path", "status", "code", "detail"),
    [
        ("/models/iris/predict", 404, "model_not_found", "There is no model 'iris'; the store holds broken, old"),
        ("/models/TIMES/predict", 404, "model_not_found", "There is no model 'TIMES'; the store holds "),
        ("/models/times/versions/4/predict", 404, "version_not_found", "Model 'times' has no version 4; the store h"),
        ("/models/iris/versions/1/predict", 404, "model_not_found", "There is no model 'iris'; "),
        ("/models/times@challenger/predict", 404, "alias_not_found", "Model 'times' has no alias 'challenger'; it "),
        ("/models/times@/predict", 404, "alias_not_found", "Model 'times' has no alias ''; it has champion."),
        ("/models/times@3/predict", 404, "alias_not_found", "Model 'times' has no alias '3'; "),
        ("/models/iris@champion/predict", 404, "model_not_found", "There is no model 'iris'; "),
        ("/predict", 404, "no_default_model", "No default model is set (LECTERN_DEFAULT_MODEL); the models are broken"),
        ("/v1/predict", 404, "no_default_model", "No default model is set "),
        ("/models/broken/predict", 503, "version_failed", f"Version 1 of 'broken' cannot be served: {REASON}"),
        ("/models/times/versions/2/predict", 503, "version_failed", f"Version 2 of 'times' cannot be served: {REASON}"),
        ("/models//predict", 404, "not_found", "There is nothing at this path; / has the models, /docs all there is."),
        ("/models/times/versions//predict", 404, "not_found", "There is nothing at this path; "),
    ],
)  # fmt: skip
def test_a_path_that_leads_nowhere_says_what_there_is(
    mixed: Service, path: str, status: int, code: str, detail: str
) -> None:
    found = problem(mixed.predict({"x": 1}, path))
    assert (found.status, found.code) == (status, code)
    assert found.detail.startswith(detail)


def test_a_version_of_the_default_model_that_there_is_not(examples: Service) -> None:
    found = problem(examples.predict({}, "/v2/predict"))
    assert found.detail == "Model 'iris' has no version 2; the store holds 1."


NO_VERSIONS = [
    "latest",
    "-1",
    "0",
    "01",
    "1e3",
    "1.0",
    "%D9%A3",
    "9" * 20,
    "+1",
    "%201",
    "1%20",
    "1%0a",
    "None",
    "x" * 500,
]


@pytest.mark.parametrize("version", NO_VERSIONS)
def test_what_is_no_number_of_a_version_is_not_found(examples: Service, version: str) -> None:
    for path in (f"/models/iris/versions/{version}", f"/models/iris/versions/{version}/signature"):
        found = problem(examples.client.get(path))
        assert (found.status, found.code) == (404, "version_not_found")
        assert found.detail.startswith("Model 'iris' has no version ")
        assert found.detail.endswith("; the store holds 1.")
        assert len(found.detail) < 100
    for path in (f"/models/iris/versions/{version}/predict", f"/v{version}/predict"):
        assert problem(examples.predict({}, path)).code == "version_not_found"


TRAVERSALS = [
    "..",
    "%2e%2e",
    ".%2e",
    "..%2f..%2fetc%2fpasswd",
    "%252e%252e%252f",
    "..%5c",
    "....//",
    "%c0%ae%c0%ae",
    "%ef%bc%8f",
    "file:///etc/passwd",
    "x%23/../../etc",
    "x%3f/../",
    "%5c%5chost%5cshare",
    "C:/",
    "%00",
    "iris%00",
    "iris%2f1",
    "iris/versions/1/../../../../etc/passwd",
    ".staging-x",
    "{{7*7}}",
    "%7B0.__class__%7D",
    "x" * 5000,
]


@pytest.mark.parametrize("spelling", TRAVERSALS, ids=lambda spelling: spelling[:30])
def test_no_spelling_of_a_path_leads_out_of_the_store(examples: Service, spelling: str) -> None:
    for method, path in (
        ("GET", f"/models/{spelling}"),
        ("GET", f"/models/{spelling}/signature"),
        ("POST", f"/models/{spelling}/predict"),
        ("GET", f"/models/{spelling}/versions/1"),
        ("GET", f"/models/{spelling}/versions/1/notebook"),
        ("GET", f"/models/iris/versions/{spelling}"),
        ("GET", f"/models/iris/versions/{spelling}/notebook"),
        ("POST", f"/models/iris/versions/{spelling}/predict"),
        ("GET", f"/static/docs/{spelling}"),
        ("GET", f"/{spelling}"),
    ):
        status, headers, body = raw(examples, method, path)
        if status == 307:  # a slash at the end is cut off, once
            assert headers["location"] == (examples.url + path).rstrip("/")
            status, headers, body = raw(examples, method, path.rstrip("/"))
        assert status == 404
        assert headers["content-type"] == "application/problem+json"
        assert ProblemDocument.model_validate_json(body).status == 404


def raw(service: Service, method: str, path: str) -> tuple[int, Any, bytes]:
    """Ask for a path as it is written: httpx would tidy it up."""
    import http.client

    url = httpx.URL(service.url)
    connection = http.client.HTTPConnection(url.host, url.port, timeout=60)
    try:
        connection.request(method, path, body=b"{}" if method == "POST" else None)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


# --- what is there for nobody


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
@pytest.mark.parametrize("path", ["/predict", "/models/iris/predict", "/models/iris/versions/1/predict", "/v1/predict"])
def test_predictions_are_asked_for_with_post(examples: Service, method: str, path: str) -> None:
    response = examples.client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    if method != "HEAD":
        found = problem(response)
        assert (found.code, found.detail) == ("method_not_allowed", "This path does not take this method.")


@pytest.mark.parametrize("path", ["/health", "/models", "/models/iris", "/models/iris/versions/1", "/openapi.json"])
def test_the_rest_is_read_with_get(examples: Service, path: str) -> None:
    for method in ("POST", "DELETE"):
        assert problem(examples.client.request(method, path)).status == 405


@pytest.mark.parametrize(
    "path", ["/nothing", "/models/iris/nothing", "/healthy", "/static/docs/nothing.js", "/docs/x", "/.env"]
)
def test_a_path_with_nothing_behind_it_says_where_to_look(examples: Service, path: str) -> None:
    found = problem(examples.client.get(path))
    assert (found.status, found.code) == (404, "not_found")
    assert found.detail == "There is nothing at this path; / has the models, /docs all there is."


def test_the_home_page_has_every_model(examples: Service) -> None:
    response = examples.client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    for name in ("cardio", "iris"):
        assert f'href="./models/{name}"' in response.text


def test_a_store_that_cannot_be_read_keeps_nobody_from_predicting(store: Store) -> None:
    publish_graph(store, "double")
    with running(store) as service:
        model: Path = (store.root / "double").rename(store.root / ".away")
        (store.root / "double").symlink_to("double")
        found = problem(service.client.get("/models/double/versions/1"))
        assert (found.status, found.code) == (503, "store_unreadable")
        assert found.detail == "The store cannot be read at the moment; predictions go on."
        until(lambda: service.get("/health")["status"] == "degraded")
        assert service.get("/health")["detail"] == (
            "The store cannot be read: Too many levels of symbolic links. What was loaded before goes on answering."
        )
        assert service.predict({"x": 1}).json()["prediction"] == 2.0
        (store.root / "double").unlink()
        model.rename(store.root / "double")
        until(lambda: service.get("/health")["status"] == "ready")
        assert service.complaints.count("\n") == 2
    (store.root.parent / "loop").symlink_to("loop")
    with running(store.root.parent / "loop") as service:
        response = service.client.get("/health/ready")
        assert (response.status_code, response.json()["status"]) == (503, "failed")
        assert "The store cannot be read: Too many levels of symbolic links." in service.printed

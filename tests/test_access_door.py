"""serving.access.door, .porter, .rules, .sight: who gets in, and as whom; what each right opens, route by route."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Route

from contract.deploying import Deployer
from contract.store import Store
from serving.access import key_file, rules
from serving.access.credentials import MOST_BYTES
from serving.access.rules import OPEN, RULES, asked
from serving.app import create_app
from serving.settings import ServeSettings
from tests.live import publish_graph, until
from tests.locked import AUDIENCE, ISSUER, RSA, bearer, locked, pem, token, written

PAGE = {"accept": "text/html"}


class Locked(NamedTuple):
    """A locked service with two models, of which `times` answers where none is named."""

    client: httpx.Client
    keys: dict[str, str]
    file: Path

    def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        """Ask as somebody who has a key; with rows where that is what the path takes."""
        body = {"json": {"x": 1.0}} if path.endswith("predict") else {"json": {}} if method == "POST" else {}
        headers = bearer(self.keys[who]) | more.pop("headers", {})
        return self.client.request(method, path, headers=headers, **body | more)

    def status(self, who: str, method: str, path: str) -> int:
        return self.ask(who, method, path).status_code


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("door")
    store, file = Store(folder / "store"), folder / "keys.json"
    for model in ("times", "times", "other"):
        publish_graph(store, model, 2.0)
    Deployer(store, "ada", lambda _: None).promote("times", 2)
    made = {
        "predicts": key_file.add(file, "predicts", ["predict"])[1],
        "reads": key_file.add(file, "reads", ["read"])[1],
        "admin": key_file.add(file, "admin", ["admin"])[1],
        "one": key_file.add(file, "one", ["predict", "read"], ["other"])[1],
        "owner": key_file.add(file, "owner", ["admin"], ["times"])[1],
        "revoked": key_file.add(file, "revoked", ["admin"])[1],
        "expired": key_file.add(file, "expired", ["admin"], lasts_s=0.001)[1],
    }
    key_file.revoke(file, "revoked")
    public = written(folder / "public.pem", pem(RSA))
    tokens = {"token_keys": public, "token_audience": AUDIENCE, "token_issuer": ISSUER}
    with locked(store, keys=file, default_model="times", limit_failed_keys="100000/minute", **tokens) as client:
        yield Locked(client, made, file)


# --- which right each route takes


def every_route(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Method and path of each route, also of the routers within."""
    for route in routes:
        if isinstance(route, Mount):
            yield "GET", f"{route.path}/"
        elif inner := getattr(route, "original_router", None):
            yield from every_route(inner.routes)
        else:
            assert isinstance(route, Route)
            yield from ((method, route.path) for method in (route.methods or ()) if method != "HEAD")


def test_every_route_stands_in_the_table_and_nothing_else(tmp_path: Path) -> None:
    app: FastAPI = create_app(ServeSettings(store=tmp_path, prediction_log="none")).framework()
    found = set(every_route(app.router.routes))
    assert len(found) > 30
    static = {one for one in found if one[1].startswith(rules.STATIC)}
    assert found - static == {(method, path) for path, by_method in RULES.items() for method in by_method}
    assert {("GET", path) for path in app.openapi()["paths"]} - found == {
        ("GET", path) for path, by_method in RULES.items() if "GET" not in by_method and path in app.openapi()["paths"]
    }


def test_a_route_is_found_as_the_framework_finds_it() -> None:
    def wanted(method: str, path: str, **more: Any) -> Any:
        return asked({"type": "http", "method": method, "path": path, **more}, "iris")

    assert wanted("POST", "/models/a@b/predict").model == "a"
    assert wanted("POST", "/predict").model == wanted("POST", "/v7/predict").model == "iris"
    assert wanted("HEAD", "/metrics") == wanted("GET", "/metrics")
    assert wanted("GET", "/below/models/x", root_path="/below").model == "x"
    for method, path in (("POST", "/metrics"), ("GET", "/models/a/b/c"), ("GET", "/models/"), ("PUT", "/models/a")):
        assert wanted(method, path).rule is None
    assert asked({"type": "http", "method": "POST", "path": "/predict"}, None).model == "*"


BY_RIGHT = [
    ("POST", "/predict", "predict"),
    ("POST", "/models/times/predict", "predict"),
    ("POST", "/models/times@champion/predict", "predict"),
    ("POST", "/models/times/versions/2/predict", "predict"),
    ("POST", "/models/times/versions/1/predict", "predict"),  # which is loaded for it
    ("POST", "/v2/predict", "predict"),
    ("POST", "/models/nothing/predict", "predict"),
    ("GET", "/", "read"),
    ("GET", "/docs", "read"),
    ("GET", "/openapi.json", "read"),
    ("GET", "/models", "read"),
    ("GET", "/models/times", "read"),
    ("GET", "/models/times/versions/1/signature", "read"),
    ("GET", "/models/times/history", "read"),
    ("GET", "/metrics", "read"),
    ("GET", "/health", "read"),
    ("POST", "/models/times/promote", "admin"),
    ("POST", "/models/times/traffic", "admin"),
    ("DELETE", "/models/times/aliases/none", "admin"),
]


@pytest.mark.parametrize(("method", "path", "right"), BY_RIGHT)
def test_each_right_opens_what_takes_it(service: Locked, method: str, path: str, right: str) -> None:
    assert service.client.request(method, path, json={} if method == "POST" else None).status_code == 401
    who = {"predicts": {"predict"}, "reads": {"read"}, "admin": {"admin", "read", "predict"}}
    for name, rights in who.items():
        assert (service.status(name, method, path) == 403) == (right not in rights), name
        assert service.status(name, method, path) != 401


def test_a_key_for_one_model_opens_that_one_alone(service: Locked) -> None:
    assert service.status("one", "POST", "/models/other/predict") == 200
    for path in ("/predict", "/v1/predict", "/models/times/predict", "/models/times/versions/1/predict"):
        assert service.status("one", "POST", path) == 403
    refused = [service.ask("one", "GET", f"/models/{name}").json() for name in ("times", "nothing")]
    assert refused[0] | {"request_id": ""} == refused[1] | {"request_id": ""}  # whether it is there is not told
    assert refused[0]["code"] == "forbidden"
    assert service.status("one", "GET", "/metrics") == 403  # it is of all models
    assert (
        service.ask("one", "GET", "/metrics")
        .json()["detail"]
        .startswith("Your key or token does not give the right to read all models;")
    )
    assert service.status("owner", "POST", "/models/other/traffic") == 403


def test_lists_have_what_the_caller_may_read_and_no_more(service: Locked) -> None:
    assert [model["model"] for model in service.ask("one", "GET", "/models").json()] == ["other"]
    assert [model["model"] for model in service.ask("reads", "GET", "/models").json()] == ["other", "times"]
    assert service.ask("one", "GET", "/health").json()["models"] == {"other": 1}
    assert "times" not in service.ask("one", "GET", "/models", headers=PAGE).text
    document = service.ask("one", "GET", "/openapi.json").json()
    assert "/models/other/predict" in document["paths"]
    assert "times" not in str(document["paths"].keys() | document["components"]["schemas"].keys())
    missing = service.ask("predicts", "POST", "/models/nothing/predict").json()
    assert missing["detail"] == "There is no model 'nothing'; the store holds other, times."


def test_what_is_open_says_no_more_than_whether_it_is_ready(service: Locked) -> None:
    assert service.client.get("/health/live").json() == {"live": True}
    told = service.client.get("/health/ready")
    assert (told.status_code, told.json()["status"], told.json()["models"]) == (200, "ready", {})
    assert service.client.get("/static/pages/style.css").status_code == 200
    assert {path for path, one in RULES.items() if OPEN in one.values()} == {
        "/favicon.ico",
        "/health/live",
        "/health/ready",
    }


# --- who is known


def wrong(service: Locked) -> dict[str, Any]:
    """Headers that are nobody's, by what is wrong."""
    good = service.keys["admin"]
    return {
        "none": [],
        "empty": [("Authorization", "")],
        "bearer alone": [("Authorization", "Bearer")],
        "no scheme": [("Authorization", good)],
        "another scheme": [("Authorization", f"Digest {good}")],
        "twice": [("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")],
        "twice, other names": [("Authorization", f"Bearer {good}"), ("authorization", "Bearer x")],
        "another header": [("X-API-Key", good)],
        "no ASCII": [("Authorization", "Bearer kéy".encode())],
        "no UTF-8": [("Authorization", b"Bearer k\xe9y")],
        "revoked": [("Authorization", f"Bearer {service.keys['revoked']}")],
        "expired": [("Authorization", f"Bearer {service.keys['expired']}")],
        "an id of nobody": [("Authorization", f"Bearer lk_{'0' * 12}{good[15:]}")],
        "too long by one": [("Authorization", f"Bearer {good}A")],
        "as long as may be": [("Authorization", "Bearer " + "x" * (MOST_BYTES - 7))],
        "64 kB": [("Authorization", "Bearer " + "x" * 60_000)],
        "many dots": [("Authorization", "Bearer " + "." * 50_000)],
        "dots": [("Authorization", "Bearer ..")],
        "basic, no base64": [("Authorization", "Basic ???")],
        "basic, no password": [("Authorization", b"Basic " + base64.b64encode(good.encode()))],
        "basic, no ASCII": [("Authorization", b"Basic " + base64.b64encode("x:kéy".encode()))],
        "a token by others": [("Authorization", f"Bearer {token(scope='admin', iss='others')}")],
    }


def test_whatever_is_wrong_the_answer_is_the_same(service: Locked) -> None:
    for path in ("/models/times/predict", "/models/times/versions/1/predict", "/models/none/predict", "/nowhere"):
        bodies = set()
        for why, headers in wrong(service).items():
            answer = service.client.post(path, json={"x": 1.0}, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="lectern"'), why
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["x-request-id"] == answer.json()["request_id"]
            bodies.add(answer.text.replace(answer.json()["request_id"], ""))
        assert len(bodies) == 1
        assert "unknown_caller" in bodies.pop()


def test_what_is_long_is_not_looked_at(service: Locked) -> None:
    door = create_app(ServeSettings(keys=service.file, prediction_log="none")).registry.door
    assert door is not None
    for content in (b"x" * 1_000_000, b"." * 100_000, b"lk_" + b"0" * 8_000, b"a." * 50_000 + b"a"):
        scope = {"type": "http", "method": "POST", "headers": [(b"authorization", b"Bearer " + content)]}
        began = time.perf_counter()
        assert door._caller(scope) is None
        assert time.perf_counter() - began < 1  # it takes microseconds; a machine may be busy


def test_a_browser_is_asked_for_the_key_and_a_program_is_not(service: Locked) -> None:
    page = service.client.get("/models", headers=PAGE)
    assert page.status_code == 401
    assert page.headers["www-authenticate"] == 'Basic realm="lectern", charset="UTF-8"'
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "times" not in page.text
    assert service.client.get("/models", headers={"accept": "*/*"}).headers["www-authenticate"].startswith("Bearer")
    post = service.client.post("/predict", json={}, headers=PAGE)
    assert post.headers["www-authenticate"].startswith("Bearer")  # a form's script says it better than a dialogue
    known = service.client.get("/models", headers=PAGE, auth=("whoever", service.keys["reads"]))
    assert known.status_code == 200
    assert "times" in known.text


def test_a_token_opens_what_its_scope_says(service: Locked) -> None:
    shown = bearer(token(scope="other:predict *:read"))
    for path, status in {"/models/other/predict": 200, "/predict": 403}.items():
        for _ in range(2):
            assert service.client.post(path, json={"x": 1.0}, headers=shown).status_code == status
    assert service.client.get("/models", headers=shown).status_code == 200
    basic = service.client.get("/models", auth=("ada", token(scope="read")))
    assert basic.status_code == 200


def test_who_changed_what_is_live_is_the_name_of_a_key(service: Locked) -> None:
    answer = service.ask("owner", "POST", "/models/times/promote", json={"version": 1, "force": True, "reason": "x"})
    assert answer.status_code == 200
    assert service.ask("owner", "GET", "/models/times/history").json()[-1]["by"] == "the service, for owner"
    behind = service.ask("owner", "POST", "/models/times/rollback", json={}, headers={"host": "models.example.org"})
    assert behind.status_code == 200  # the key is the proof, whatever the machine is called
    kind = {"content-type": "text/plain"}
    plain = service.ask("owner", "POST", "/models/times/rollback", json=None, content=b"{}", headers=kind)
    assert plain.status_code == 415


def test_who_is_turned_away_is_counted(service: Locked) -> None:
    def counted() -> list[float]:
        lines = service.ask("reads", "GET", "/metrics").text.splitlines()
        series = (
            'lectern_http_requests_total{method="GET",route="/models/{model}",status="4xx"}',
            'lectern_requests_total{alias="champion",model="other",status="4xx",version="1"}',
        )
        return [sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(one)) for one in series]

    before = counted()
    for _ in range(3):
        assert service.client.get("/models/times").status_code == 401
        assert service.client.post("/models/other/predict", json={"x": 1.0}).status_code == 401
    until(lambda: counted() == [count + 3 for count in before])


def test_the_document_says_what_opens_each_operation(service: Locked) -> None:
    document = service.ask("reads", "GET", "/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert {name: one["scheme"] for name, one in schemes.items()} == {"key": "bearer", "browser": "basic"}
    assert document["security"] == [{"key": []}, {"browser": []}]
    assert document["paths"]["/health/live"]["get"]["security"] == []
    operation = document["paths"]["/models/times/predict"]["post"]
    assert "security" not in operation
    assert {"401", "403"} <= operation["responses"].keys()


def test_where_there_is_no_door_nobody_is_asked(tmp_path: Path) -> None:
    app = create_app(ServeSettings(store=tmp_path, prediction_log="none"))
    assert app.registry.door is None
    assert "securitySchemes" not in app.framework().openapi()["components"]

"""The routes that change what is live, over a real service."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.routing import APIRoute

from contract.deploying import Deployer
from contract.errors import PromotionConflict
from contract.promotion_log import PromotionLog
from contract.store import Store
from serving.admin import Promote, create_admin
from serving.agreement import Agreement
from serving.metrics import Sheet
from serving.pages.rendering import page
from serving.problems import Problem
from serving.registry import Registry
from serving.settings import ServeSettings
from serving.shadow_report import facts, report
from tests.live import Service, damage, publish_graph, running, until

MODEL = "times"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Store]]:
    """A service over a store with a model for each test."""
    store = Store(tmp_path_factory.mktemp("admin") / "store")
    for factor in (1.0, 2.0, 3.0):
        publish_graph(store, MODEL, factor)
    with running(store, poll_s=30) as found:  # what a route changes is followed at once
        yield found, store


@pytest.fixture
def fresh(service: tuple[Service, Store]) -> tuple[Service, Deployer]:
    """The service, with version 2 the champion of a new log."""
    found, store = service
    deployer = Deployer(store, "somebody", lambda _: None)
    if store.promotions(MODEL).read().champion([]) != 2:
        deployer.promote(MODEL, 2)
    found.client.post(f"/models/{MODEL}/traffic", json={})
    until(lambda: found.get(f"/models/{MODEL}")["champion"] == 2)
    return found, deployer


def post(service: Service, path: str, **body: Any) -> tuple[int, Any]:
    answer = service.client.post(f"/models/{MODEL}/{path}", json=body)
    return answer.status_code, answer.json()


def test_a_promotion_is_live_at_once_and_so_is_the_way_back(fresh: tuple[Service, Deployer]) -> None:
    service, _ = fresh
    status, found = post(service, "promote", version=3, force=True, reason="looks good")
    assert (status, found["champion"], found["aliases"]) == (200, 3, {"champion": 3})
    until(lambda: service.predict({"x": 1.0}).json()["version"] == 3)
    status, found = post(service, "rollback", reason="it was not")
    assert (status, found["champion"]) == (200, 2)
    until(lambda: service.predict({"x": 1.0}).json()["version"] == 2)
    entries = service.get(f"/models/{MODEL}/history")[-2:]
    assert [(e["kind"], e["version"], e["before"], e["reason"]) for e in entries] == [
        ("promote", 3, 2, "looks good"),
        ("rollback", 2, 3, "it was not"),
    ]
    assert entries[0]["by"] == "the service, for 127.0.0.1"
    assert entries[1]["said"].startswith("rolled back to version 2 instead of 3, by the service, for 127.0.0.1 at 20")
    assert service.get(f"/models/{MODEL}/deployment")["promotions"] == entries[-1]["number"]


def test_the_gate_is_obeyed_unless_there_is_a_reason(fresh: tuple[Service, Deployer]) -> None:
    service, deployer = fresh
    status, found = post(service, "promote", version=1)
    assert (status, found["code"]) == (409, "not_compared")
    assert found["detail"].startswith("Version 1 of 'times' was not compared with version 2. Promote it with `force`")
    gate: dict[str, Any] = {"verdict": "kept", "reason": "accuracy 0.8 against 0.9", "table": []}
    deployer.keep(MODEL, 1, reason="worse", gate=gate)
    assert post(service, "promote", version=9)[1]["code"] == "version_not_found"
    status, found = post(service, "promote", version=1)
    assert (status, found["code"]) == (409, "kept_back")
    assert found["detail"].startswith("The gate kept version 1 of 'times' back: accuracy 0.8 against 0.9. Promote it")
    status, found = post(service, "promote", version=1, force=True)
    assert (status, found["detail"]) == (409, "What goes round the gate needs a `reason`.")
    deployer.keep(MODEL, 1, reason="asked again", gate=gate | {"verdict": "promoted"})
    assert post(service, "promote", version=1)[0] == 200
    assert post(service, "rollback")[0] == 200
    assert post(service, "promote", version=1)[0] == 200  # it has been champion
    assert post(service, "rollback")[0] == 200
    assert post(service, "promote", version=3, force=True, reason="x")[0] == 200
    assert post(service, "promote", version=2)[0] == 200  # as this one has, though it was never compared with 3


def test_who_expected_something_else_is_told(fresh: tuple[Service, Deployer]) -> None:
    service, _ = fresh
    status, found = post(service, "promote", version=3, force=True, reason="x", expected=1)
    assert (status, found["code"]) == (409, "promotion_conflict")
    assert found["detail"] == (
        "Model 'times' was changed meanwhile: champion is version 2, not version 1. Look at it, and try again."
    )
    assert post(service, "rollback", expected=1)[0] == 409


def test_a_version_that_does_not_prove_itself_is_not_promoted(fresh: tuple[Service, Deployer]) -> None:
    service, deployer = fresh
    number = publish_graph(deployer.store, MODEL, 9.0)
    damage(deployer.store.artifact(MODEL, number), "model.onnx")
    status, found = post(service, "promote", version=number, force=True, reason="x")
    assert (status, found["code"]) == (503, "version_failed")
    assert "model.onnx is not the file that was published" in found["detail"]
    assert service.get(f"/models/{MODEL}/deployment")["champion"] == 2
    shutil.rmtree(deployer.store.root / MODEL / str(number))


def test_what_the_service_would_not_load_is_not_promoted(fresh: tuple[Service, Deployer]) -> None:
    service, deployer = fresh
    other = publish_graph(deployer.store, "other", 9.0)
    shutil.copytree(deployer.store.artifact("other", other).folder, deployer.store.root / MODEL / "9")
    status, found = post(service, "promote", version=9, force=True, reason="x")
    assert (status, found["code"]) == (503, "version_failed")
    assert "The manifest is of a model 'other', not of 'times'." in found["detail"]
    for folder in ("other", f"{MODEL}/9"):
        shutil.rmtree(deployer.store.root / folder)


def test_who_was_compared_with_another_champion_is_not_promoted(store: Store) -> None:
    for factor in (1.0, 2.0, 3.0):
        publish_graph(store, MODEL, factor)
    deployer = Deployer(store, "somebody", lambda _: None)
    deployer.promote(MODEL, 1)
    deployer.keep(MODEL, 2, reason="by hand", gate={"verdict": "promoted", "table": []})

    class Busy(Store):
        """A store in which somebody promotes while the gate is asked."""

        def promotions(self, model: str) -> PromotionLog:
            log = super().promotions(model)
            found = log.history()
            if deployer.deployment(model).champion([]) == 1:
                log.history = lambda: (deployer.promote(MODEL, 3), found)[1]  # type: ignore[method-assign]
            return log

    router = create_admin(Registry(Busy(store.root), ServeSettings()))
    promote = next(route.endpoint for route in router.routes if isinstance(route, APIRoute) and "promote" in route.path)
    with pytest.raises(PromotionConflict, match="champion is version 3, not version 1"):
        promote(MODEL, Promote(version=2), Request({"type": "http"}))
    assert deployer.deployment(MODEL).champion([]) == 3
    with pytest.raises(Problem) as refused:
        promote(MODEL, Promote(version=2), Request({"type": "http"}))
    assert refused.value.code == "not_compared"


def test_canary_and_shadow_begin_and_end(fresh: tuple[Service, Deployer]) -> None:
    service, _ = fresh
    status, found = post(service, "traffic", challenger=10)
    assert (status, found["code"]) == (409, "promotion_refused")
    assert found["detail"].startswith("Model 'times' has no challenger; `lectern alias times challenger VERSION`")
    assert service.client.get(f"/models/{MODEL}/shadow").status_code in (200, 404)
    assert post(service, "promote", version=3, alias="challenger")[0] == 200
    status, found = post(service, "traffic", challenger=25, shadow=True)
    assert (status, found["challenger"], found["shadow"]) == (200, 25, True)
    until(lambda: service.get(f"/models/{MODEL}")["challenger"] == 25)
    answers = [service.predict({"x": float(n)}).json() for n in range(400)]
    assert all(answer["prediction"] == answer["version"] * n for n, answer in enumerate(answers))
    assert abs(Counter(answer["version"] for answer in answers)[3] - 100) <= 3
    headers = {"Lectern-Client": "ada"}
    same = {service.client.post("/predict", json={"x": 1.0}, headers=headers).json()["version"] for _ in range(20)}
    assert len(same) == 1
    champion = f"/models/{MODEL}@champion/predict"
    assert {service.predict({"x": 1.0}, champion).json()["version"] for _ in range(20)} == {2}
    seen = until(lambda: (found := service.get(f"/models/{MODEL}/shadow"))["rows"] >= 300 and found)
    assert (seen["champion"], seen["challenger"], seen["running"]) == (2, 3, True)
    assert seen["agreement"] < 0.02  # only 2 · 0 is 3 · 0
    assert seen["challenger_ms_per_row"] > 0
    assert all(row["challenger"] == pytest.approx(1.5 * row["champion"]) for row in seen["differing"])
    assert f'lectern_shadow_rows_total{{challenger="3",champion="2",model="{MODEL}",outcome="differ"}}' in (
        service.client.get("/metrics").text
    )
    shown = service.client.get(f"/models/{MODEL}/shadow", headers={"accept": "text/html,*/*"})
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h2>Version 3 in the shadow of version 2</h2>" in shown.text
    assert post(service, "promote", version=3, force=True, reason="better")[1]["challenger"] == 0
    until(lambda: service.get(f"/models/{MODEL}")["aliases"] == {"champion": 3})
    assert not service.get(f"/models/{MODEL}/shadow")["running"]


def test_an_alias_can_be_named_and_removed(fresh: tuple[Service, Deployer]) -> None:
    service, _ = fresh
    assert post(service, "promote", version=1, alias="stable")[1]["aliases"]["stable"] == 1
    until(lambda: service.predict({"x": 1.0}, f"/models/{MODEL}@stable/predict").status_code == 200)
    assert service.client.delete(f"/models/{MODEL}/aliases/stable").status_code == 200
    until(lambda: service.predict({"x": 1.0}, f"/models/{MODEL}@stable/predict").status_code == 404)
    answer = service.client.delete(f"/models/{MODEL}/aliases/stable")
    assert (answer.status_code, answer.json()["code"]) == (404, "alias_not_found")
    assert service.client.delete(f"/models/{MODEL}/aliases/champion").status_code == 409
    for name in ("7", "latest", "Stable", "a b", "x" * 40):
        assert post(service, "promote", version=1, alias=name)[0] == 422


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "'version' does not fit: Field required."),
        ({"version": "3"}, "'version' does not fit: Input should be a valid integer."),
        ({"version": 1, "secret-name": 1}, "The body has a field that is unknown."),
    ],
)
def test_what_does_not_fit_is_said_without_repeating_it(
    service: tuple[Service, Store], body: dict[str, Any], said: str
) -> None:
    status, found = post(service[0], "promote", **body)
    assert (status, found["detail"]) == (422, f"{said} /docs says what this path takes.")


def test_a_body_that_is_no_json_is_said_to_be_none(service: tuple[Service, Store]) -> None:
    kind = {"content-type": "application/json"}
    answer = service[0].client.post(f"/models/{MODEL}/promote", content=b"{", headers=kind)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


def test_a_page_without_rows_claims_no_agreement() -> None:
    found = Agreement(MODEL, 1, 2, failed=4)
    shown = facts(report(found, Sheet(), running=True))
    request = Request({"type": "http", "method": "GET", "path": f"/models/{MODEL}/shadow", "headers": []})
    text = bytes(page(request, "shadow.html", model=MODEL, **shown).body).decode()
    assert "No row has two answers to compare yet." in text
    assert "%" not in text


def test_pages_of_other_sites_change_nothing(service: tuple[Service, Store]) -> None:
    client, path = service[0].client, f"/models/{MODEL}/rollback"
    assert client.post(path, json={}, headers={"host": "elsewhere.example"}).status_code == 421
    assert client.post(path, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert client.get(f"/models/{MODEL}/history", headers={"host": "localhost:8000"}).status_code == 200
    assert client.get(f"/models/{MODEL}/history", headers={"host": "[::1]:8000"}).status_code == 200
    assert client.get(f"/models/{MODEL}/history", headers={"host": "[::1]"}).status_code == 200
    assert client.get(f"/models/{MODEL}/history", headers={"host": "LocalHost"}).status_code == 200


def test_a_service_that_others_reach_is_locked(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for factor in (1.0, 2.0):
        publish_graph(store, MODEL, factor)
    with running(store, host="0.0.0.0", insecure=True) as service:
        for path, body in {"promote": {"version": 1}, "rollback": {}, "traffic": {"challenger": 0}}.items():
            status, found = post(service, path, **body)
            assert (status, found["code"]) == (403, "admin_locked")
        for path in ("history", "shadow", "deployment"):
            assert service.client.get(f"/models/{MODEL}/{path}").status_code == 403
        assert service.predict({"x": 1.0}).json()["version"] == 2


def test_over_a_socket_any_name_will_do_and_a_page_still_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    publish_graph(store, MODEL, 1.0)
    with running(store, socket=tmp_path / "s", host="0.0.0.0") as service:
        behind = {"host": "hub.example"}
        path = f"/models/{MODEL}/traffic"
        assert service.client.post(path, json={}, headers=behind).status_code == 200
        assert service.client.get(f"/models/{MODEL}/history", headers=behind).status_code == 200
        plain = behind | {"content-type": "text/plain"}
        assert service.client.post(path, content=b"{}", headers=plain).status_code == 415

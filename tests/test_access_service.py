"""A service that others reach, as a user starts it: refused without keys, locked with them, quick to follow them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import expect

import serving
from contract.errors import RequestRefused, SettingsRefused
from contract.store import Store
from serving.access import key_file
from serving.client import Client
from serving.settings import ServeSettings
from tests.browsing import Browse
from tests.live import Service, publish_graph, running, until
from tests.locked import AUDIENCE, ISSUER, RSA, bearer, pem, token, written

WITHIN_S = 2.0
CANARIES = ("canary4711subject", "canarypassword4711")


class Locked(NamedTuple):
    """A locked service of two workers that logs all it can, and its keys."""

    service: Service
    store: Store
    file: Path
    keys: dict[str, str]
    aside: Path


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("access")
    store, file, aside = Store(folder / "store"), folder / "keys.json", folder / "aside"
    aside.mkdir()
    publish_graph(store, "times", 2.0)
    made = {name: key_file.add(file, name, ["admin"])[1] for name in ("ada", "bob", "eve")}
    given: dict[str, Any] = {"token_keys": written(folder / "public.pem", pem(RSA))}
    given |= {"token_audience": AUDIENCE, "token_issuer": ISSUER, "keys": file}
    with running(
        store,
        host="0.0.0.0",
        workers=2,
        logged=True,
        environment={"TMPDIR": str(aside)},
        log_inputs="full",
        access_log_share=1,
        log_format="json",
        limit_failed_keys="100000/minute",
        **given,
    ) as found:
        until(lambda: found.complaints.count("answers now.") == 2)
        yield Locked(found, store, file, made, aside)


def asked(locked: Locked, credential: str, times: int = 20) -> list[int]:
    """The statuses of some requests, each on a connection of its own, so that both workers get some."""
    service, found = locked.service, []
    for _ in range(times):
        answer = service.client.post("/predict", json={"x": 1.0}, headers=bearer(credential) | {"connection": "close"})
        found.append(answer.status_code)
    return found


def test_it_says_how_to_ask_and_shows_nobody_what_it_has(locked: Locked) -> None:
    printed = locked.service.printed
    assert "It is ready, and answers callers with a key: `lectern keys list` has them." in printed
    assert re.search(r'curl http://127\.0\.0\.1:\d+/models -H "Authorization: Bearer \$LECTERN_API_KEY"', printed)
    assert "times" not in printed.replace(str(locked.store.root), "")
    assert locked.service.client.get("/models").status_code == 401


def test_a_key_is_known_and_forgotten_by_every_worker_within_two_seconds(locked: Locked) -> None:
    _, shown = key_file.add(locked.file, "late", ["predict"])
    time.sleep(WITHIN_S)
    assert set(asked(locked, shown)) == {200}
    key_file.revoke(locked.file, "late")
    time.sleep(WITHIN_S)
    assert set(asked(locked, shown)) == {401}
    key, shown = key_file.add(locked.file, "brief", ["predict"], lasts_s=2.5)
    time.sleep(WITHIN_S)
    assert 200 in asked(locked, shown, 1)
    assert key.expires is not None
    time.sleep(max(0.0, key.expires.timestamp() - time.time()))
    assert set(asked(locked, shown)) == {401}


def test_the_client_shows_its_key_and_says_what_is_wrong(locked: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    url = locked.service.url
    with Client(url, key=locked.keys["ada"]) as client:
        assert client.model("times").predict({"x": 2.0})["prediction"] == 4.0
    monkeypatch.setenv("LECTERN_API_KEY", locked.keys["ada"])
    with Client(url) as client:
        assert client.models().index.tolist() == ["times"]
    with (
        Client(url, key="lk_nobody") as client,
        pytest.raises(RequestRefused, match=r"`Client\(key=…\)`, or LECTERN_API_KEY\.$"),
    ):
        client.models()
    _, limited = key_file.add(locked.file, "limited", ["read"], ["times"])
    time.sleep(WITHIN_S)
    with (
        Client(url, key=limited) as client,
        pytest.raises(RequestRefused, match="the right to predict this model") as refused,
    ):
        client.model("times").predict({"x": 2.0})
    assert refused.value.status == 403


def test_the_reader_of_the_document_can_send_a_key(locked: Locked, browse: Browse) -> None:
    page = browse(locked.service.url).page
    page.set_extra_http_headers(bearer(locked.keys["eve"]))  # else the browser asks in a window of its own
    page.goto("docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator("input[aria-label='auth-bearer-value']").fill(locked.keys["ada"])
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()
    page.set_extra_http_headers({})
    page.get_by_text("Predict with times, version 1").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    answer = page.locator(".live-responses-table .response")
    expect(answer.locator(".response-col_status")).to_contain_text("200")
    expect(page.locator("pre.curl")).to_contain_text("Authorization: Bearer lk_")


def test_a_page_has_the_code_that_sends_a_key(locked: Locked, browse: Browse) -> None:
    page = browse(locked.service.url).page
    page.set_extra_http_headers(bearer(locked.keys["eve"]))
    page.goto("models/times")
    expect(page.locator("[data-code=curl]")).to_contain_text('-H "Authorization: Bearer $LECTERN_API_KEY"')
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer")).to_contain_text("times version 1")
    code = page.locator("[data-code=curl]").inner_text()
    own = {"LECTERN_API_KEY": locked.keys["bob"], "PATH": os.environ["PATH"]}
    done = subprocess.run(["sh", "-c", code], env=own, capture_output=True, check=True)
    assert b'"prediction":2.0' in done.stdout
    page.get_by_text("Python", exact=True).click()
    expect(page.locator("[data-code=Python]")).to_contain_text("which sends the key in LECTERN_API_KEY")


def test_the_log_has_who_asked_and_nothing_has_what_they_showed(locked: Locked) -> None:
    service = locked.service
    subject, password = CANARIES
    shown = token(sub=subject)
    wrong = [f"lk_{'0' * 12}_{password}", f"{password}.x.y", password, shown[:-4]]
    for credential in (locked.keys["ada"], shown, *wrong):
        for path in ("/predict", "/models/times/promote", "/models/none/predict"):
            service.client.post(path, json={"x": 1.0}, headers=bearer(credential))
        service.client.get("/models/times", auth=(password, credential))
    from serving.prediction_log.database.opening import opened
    from serving.prediction_log.place import place_of

    place = place_of(ServeSettings(store=locked.store.root), locked.store)
    assert place is not None

    def callers() -> set[str]:
        with opened(place, patience_s=5).reading() as connection:
            return {row[0] for row in connection.exec_driver_sql("SELECT DISTINCT caller FROM predictions")}

    until(lambda: {"ada", subject} <= callers())
    assert service.stop(signal.SIGTERM) == 0
    written_to = [path for root in (locked.store.root, locked.aside, service.folder) for path in root.rglob("*")]
    everything = b"".join(path.read_bytes() for path in written_to if path.is_file())
    assert re.search(rb'"caller": ?"ada"', everything)
    own = [key.split("_", 2)[2] for key in locked.keys.values()]  # its own part may have any sign of base64url
    for secret in (*locked.keys.values(), *own, shown, shown.rpartition(".")[2], password):
        assert secret.encode() not in everything


# --- without keys


def refused(store: Path, *arguments: str, **variables: str) -> str:
    """What a service says that does not start."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("LECTERN_")}
    given = {"LECTERN_STORE": str(store), "LECTERN_PORT": "0", "HOME": str(store)} | variables
    command = [sys.executable, "-m", "serving", *arguments]
    done = subprocess.run(command, env=own | given, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def test_without_a_key_it_does_not_start_where_others_reach_it(tmp_path: Path) -> None:
    assert refused(tmp_path, "--host", "0.0.0.0") == (
        "lectern: On 0.0.0.0 others reach this service, and nobody has a key yet. Make a key for each caller with "
        "`lectern keys add NAME --scope predict`, or say that anybody may ask: `--insecure` (LECTERN_INSECURE=true).\n"
    )


def test_insecure_lets_anybody_ask_and_nobody_change_anything(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    publish_graph(store, "times", 2.0)
    with running(store, command=(sys.executable, "-m", "serving", "--insecure"), host="0.0.0.0") as service:
        assert service.predict({"x": 1.0}).json()["prediction"] == 2.0
        assert [model["model"] for model in service.get("/models")] == ["times"]
        changed = service.client.post("/models/times/rollback", json={})
        assert (changed.status_code, changed.json()["code"]) == (403, "admin_locked")


def test_a_service_that_a_notebook_starts_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsRefused, match=r"start\(\) takes no keys: it listens on this machine only"):
        serving.start(keys="keys.json")

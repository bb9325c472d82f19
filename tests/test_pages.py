"""The pages over HTTP: which versions are listed, what is wrong with some, and who is told how."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from contract.store import Store
from serving.catalogue import MOST_VERSIONS
from tests import gallery
from tests.live import Service, publish_graph, running
from tests.promoting import promotion
from tests.test_routes import problem

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
PAGE = {"accept": BROWSER}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """`rents` as in the gallery, and `times` with 103 versions, of which the manifest of 102 is damaged."""
    store = Store(tmp_path_factory.mktemp("pages") / "store")
    gallery.hang(store)
    for version in range(1, 104):
        publish_graph(store, "times", float(version), metrics={"r2": version / 1000}, description=f"The {version}th.")
    path = store.artifact("times", 102).folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"The 102th.", b"The 666th."))
    return store


@pytest.fixture(scope="module")
def service(store: Store) -> Iterator[Service]:
    with running(store) as found:
        yield found


def test_summaries_begin_with_the_newest_and_go_on_before_a_number(service: Service) -> None:
    found = service.get("/models/times/versions")
    assert [one["version"] for one in found] == list(range(103, 103 - MOST_VERSIONS, -1))
    assert found[0]["aliases"] == ["champion"]
    assert found[0]["metrics"] == {"r2": 0.103}
    assert datetime.fromisoformat(found[0]["created"]) == datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert [one["version"] for one in service.get("/models/times/versions?before=4")] == [3, 2, 1]
    assert service.get("/models/times/versions?before=1") == []
    shown = service.client.get("/models/times/versions", headers=PAGE).text
    assert '<a href="?before=4">Older versions</a>' in shown
    assert "Older versions" not in service.client.get("/models/times/versions?before=4", headers=PAGE).text
    assert "Compare two" not in service.client.get("/models/times/versions?before=2", headers=PAGE).text


def test_a_version_whose_manifest_is_damaged_stands_among_the_others(service: Service) -> None:
    found = service.get("/models/times/versions")[1]
    reason = "The manifest is not the one that was published: the SHA-256 at its end is another."
    assert found == {
        "version": 102,
        "created": None,
        "description": "",
        "metrics": {},
        "aliases": [],
        "failed": {"version": 102, "code": "checksum_mismatch", "reason": reason},
    }
    assert reason in service.client.get("/models/times/versions", headers=PAGE).text
    for path in ("/models/times/versions/102", "/models/times/compare?first=102&second=103"):
        assert problem(service.client.get(path)).code == "version_failed"


def test_a_manifest_that_was_written_anew_is_read_anew(service: Service, store: Store) -> None:
    path = store.artifact("times", 101).folder / "manifest.json"
    whole = path.read_bytes()
    assert service.get("/models/times/versions")[2]["description"] == "The 101th."
    try:
        path.write_bytes(whole[:-1])
        assert service.get("/models/times/versions")[2]["failed"]["code"] == "manifest_invalid"
    finally:
        path.write_bytes(whole)
    assert service.get("/models/times/versions")[2]["failed"] is None


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("first=1&second=9", 404, "version_not_found"),
        ("first=01&second=2", 404, "version_not_found"),
        ("first=latest&second=2", 404, "version_not_found"),
        ("first=-1&second=2", 404, "version_not_found"),
        ("first=%D9%A3&second=2", 404, "version_not_found"),
        ("first=..%2F..&second=2", 404, "version_not_found"),
        ("first=&second=2", 404, "version_not_found"),
        ("first=1" + "0" * 500 + "&second=2", 404, "version_not_found"),
        ("first=1", 422, "invalid_request"),
        ("", 422, "invalid_request"),
    ],
)
def test_what_cannot_be_compared_is_said(service: Service, query: str, status: int, code: str) -> None:
    path = f"/models/rents/compare?{query}"
    found = problem(service.client.get(path))
    assert (found.status, found.code) == (status, code)
    shown = service.client.get(path, headers=PAGE)
    assert (shown.status_code, shown.headers["content-type"]) == (status, "text/html; charset=utf-8")


def test_a_program_gets_a_problem_and_a_browser_a_page_of_it(service: Service) -> None:
    for path, status, code in (
        ("/nowhere", 404, "not_found"),
        ("/models/rent", 404, "model_not_found"),
        ("/models/times/versions?before=x", 422, "invalid_request"),
        ("/predict", 405, "method_not_allowed"),
    ):
        plain, shown = service.client.get(path), service.client.get(path, headers=PAGE)
        assert problem(plain).code == code
        assert shown.status_code == status
        assert f"<code>{code}</code>" in shown.text
        assert f"<code>{shown.headers['x-request-id']}</code>" in shown.text
        assert shown.headers.get("allow") == plain.headers.get("allow")
        assert shown.headers["vary"] == "accept"
    assert problem(service.client.post("/nowhere", headers=PAGE)).code == "not_found"


def test_the_same_path_is_a_page_or_a_document_and_the_page_has_a_tag(service: Service) -> None:
    for path in ("/models", "/models/rents", "/models/rents/versions", "/models/rents/versions/1",
                 "/models/rents/compare?first=1&second=2", "/models/rents/history"):  # fmt: skip
        plain, shown = service.client.get(path), service.client.get(path, headers=PAGE)
        assert plain.headers["content-type"] == "application/json"
        assert plain.headers.get("vary") == "accept" or plain.headers["cache-control"] == "no-store"
        assert shown.headers["content-type"] == "text/html; charset=utf-8"
        again = service.client.get(path, headers=PAGE | {"if-none-match": shown.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_the_history_shows_entries_that_others_wrote_and_damaged_ones(service: Service, store: Store) -> None:
    log = store.promotions("rents")
    log.append(promotion("keep", 3, before=2, gate={"verdict": "kept"}), after=log.read())
    number = log.append(promotion("keep", 3, before=2, gate={"reason": ["a", 1]}), after=log.read()).number
    (log.folder / f"{number:08}.json").write_text("{")
    shown = service.client.get("/models/rents/history", headers=PAGE)
    assert shown.status_code == 200
    assert "This entry cannot be read." in shown.text
    assert "version 3 was not promoted over 2" in shown.text
    (log.folder / f"{number:08}.json").unlink()

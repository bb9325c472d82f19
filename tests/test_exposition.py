"""serving.exposition: what Prometheus reads is what was counted, and it stays small whatever callers ask for."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from collections import Counter
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from contract.store import Store
from serving.app import create_app
from serving.exposition import MOST_VERSIONS, Exposition, Standing
from serving.metrics import BOUNDS_S, Sheet
from serving.routes import prediction_routes
from serving.settings import ServeSettings
from tests.live import PATIENCE_S, Times, damage, publish, publish_graph, running, until
from tests.test_app import served

PATHS = 2_000
MOST_SERIES = 5_000


def counted(text: str) -> dict[tuple[str, ...], float]:
    """The samples of an exposition by name and labels."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families(text)
        for sample in family.samples
    }


def shown(exposition: Exposition) -> dict[tuple[str, ...], float]:
    return counted(exposition.write("")[0].decode())


def test_requests_by_version_alias_and_status() -> None:
    sheet = Sheet(
        dropped=3, lines_dropped=4, deaths=Counter(crash=5), damaged=6, refused=Counter(row_quota=5), counted_apart=6
    )
    counts = sheet.of("iris", 1)
    counts.requests(200, [0.0003], 3, "champion")
    counts.requests(500, [20.0], 0)
    counts.requests(0, [0.0001], 0, "champion")
    counts.predictions["yes"] += 2
    counts.warnings["width"] += 2
    counts.failures["load_failed"] += 1
    counts.loads, counts.swaps = 7, 8
    counts.batches.restarts += 1
    counts.batches.asked(7)
    sheet.routes["GET /models/{model} 2xx"] += 9
    sheet.log.stored, sheet.log.dropped, sheet.log.withheld = 10, 11, 12
    sheet.gauges.in_flight, sheet.gauges.waiting = {"iris": {1: 13}}, {"iris": {1: 14}}
    sheet.gauges.lag_s, sheet.gauges.largest_lag_s, sheet.gauges.unobserved = 0.5, 1.5, 15
    found = shown(Exposition(sheet))
    assert found["lectern_requests_total", "champion", "iris", "2xx", "1"] == 1
    assert found["lectern_requests_total", "champion", "iris", "gone", "1"] == 1
    assert found["lectern_requests_total", "", "iris", "5xx", "1"] == 1
    assert found["lectern_rows_total", "iris", "1"] == 3
    assert found["lectern_predictions_total", "iris", "yes", "1"] == 2
    assert found["lectern_warnings_total", "width", "iris", "1"] == 2
    assert found["lectern_request_seconds_bucket", "0.0005", "iris", "1"] == 2
    assert found["lectern_request_seconds_bucket", "+Inf", "iris", "1"] == 3
    assert found["lectern_request_seconds_sum", "iris", "1"] == pytest.approx(20.0004)
    assert found["lectern_loads_total", "iris", "1"] == 7
    assert found["lectern_load_failures_total", "load_failed", "iris", "1"] == 1
    assert found["lectern_swaps_total", "iris", "1"] == 8
    assert found["lectern_child_restarts_total", "iris", "1"] == 1
    assert found["lectern_batch_rows_bucket", "5", "iris", "1"] == 0
    assert found["lectern_batch_rows_bucket", "10", "iris", "1"] == 1
    assert found["lectern_batch_rows_sum", "iris", "1"] == 7
    assert found["lectern_http_requests_total", "GET", "/models/{model}", "2xx"] == 9
    log = [found["lectern_log_rows_total", outcome] for outcome in ("stored", "dropped", "withheld")]
    assert log == [10, 11 + 3, 12]
    assert (found["lectern_unobserved_rows_total",], found["lectern_log_lines_dropped_total",]) == (3, 4)
    assert (found["lectern_refused_total", "row_quota"], found["lectern_limits_apart_total",]) == (5, 6)
    assert [found["lectern_worker_deaths_total", reason] for reason in ("crash", "memory")] == [5, 0]
    assert found["lectern_counts_damaged",] == 6
    assert found["lectern_requests_in_flight", "iris", "1"] == 13
    assert found["lectern_requests_waiting", "iris", "1"] == 14
    assert (found["lectern_loop_lag_seconds",], found["lectern_loop_lag_max_seconds",]) == (0.5, 1.5)
    assert found["lectern_waiting_rows",] == 15
    assert [value for (name, *_), value in found.items() if name == "lectern_build_info"] == [1]


def test_what_is_live_and_what_drifts() -> None:
    standing = {"iris": Standing({"champion": 1, "staging": 2}, {"checksum_mismatch": 2}, 1), "other": Standing({}, {})}
    found = shown(Exposition(Sheet(), standing, [("iris", 1, "width", 0.3, True), ("iris", 1, "length", 0.01, False)]))
    aliases = [found["lectern_alias_version", alias, "iris"] for alias in ("champion", "staging")]
    assert aliases == [1, 2]
    assert not any(name == "lectern_alias_version" and "other" in labels for name, *labels in found)
    assert found["lectern_versions_failed", "checksum_mismatch", "iris"] == 2
    damaged = [found["lectern_promotions_damaged", model] for model in ("iris", "other")]
    assert damaged == [1, 0]
    drift = [
        (found["lectern_drift_psi", name, "iris", "1"], found["lectern_drift_alarm", name, "iris", "1"])
        for name in ("width", "length")
    ]
    assert drift == [(0.3, 1), (0.01, 0)]


def test_of_many_versions_the_newest_are_shown_and_those_that_answer() -> None:
    sheet = Sheet()
    for number in range(1, 2 * MOST_VERSIONS + 1):
        sheet.of("iris", number).requests(200, [0.1], 1)
    sheet.of("iris", 999)  # nobody ever asked for it
    found = shown(Exposition(sheet, {"iris": Standing({"champion": 3}, {})}))
    versions = sorted(int(labels[-1]) for name, *labels in found if name == "lectern_rows_total")
    assert versions == [3, *range(MOST_VERSIONS + 1, 2 * MOST_VERSIONS + 1)]


def test_openmetrics_is_spoken_to_who_asks_for_it() -> None:
    content, kind = Exposition(Sheet()).write("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert content.endswith(b"# EOF\n")


@pytest.fixture
def store(store: Store) -> Store:
    """A store with a model of each kind."""
    publish_graph(store, "double")
    publish(store, "triple", Times(3.0))
    return store


def test_a_service_counts_what_it_loads_and_asks_of_models(store: Store) -> None:
    app = create_app(ServeSettings(store=store.root))
    with served(app) as client:
        assert client.post("/models/triple/predict", json=[{"x": 1}] * 7).status_code == 200
        assert client.post("/models/triple/predict", json={"x": 666}).json()["code"] == "model_crashed"
        assert client.post("/models/triple/predict", json={"x": 1}).status_code == 200

        def once_counted() -> dict[tuple[str, ...], float]:
            found = counted(client.get("/metrics").text)
            return found if found.get(("lectern_rows_total", "triple", "1")) == 8 else {}

        found = until(once_counted)
        assert found["lectern_child_restarts_total", "triple", "1"] == 1
        assert found["lectern_batch_rows_count", "triple", "1"] == 3
        assert found["lectern_batch_rows_sum", "triple", "1"] == 9
        assert found["lectern_requests_total", "champion", "triple", "5xx", "1"] == 1
        for model in ("double", "triple"):
            assert found["lectern_loads_total", model, "1"] == found["lectern_swaps_total", model, "1"] == 1
            assert found["lectern_requests_in_flight", model, "1"] == found["lectern_requests_waiting", model, "1"] == 0
        assert found["lectern_loop_lag_seconds",] >= 0


def test_a_version_that_cannot_be_loaded_is_counted_by_why(store: Store) -> None:
    damage(store.artifact("double", 1), "model.onnx")
    with served(create_app(ServeSettings(store=store.root))) as client:
        found = counted(client.get("/metrics").text)
        failures = {labels[0]: number for (name, *labels), number in found.items() if "load_failures" in name}
        assert failures == {"checksum_mismatch": 1}
        assert (found["lectern_loads_total", "double", "1"], found["lectern_swaps_total", "double", "1"]) == (0, 0)


def test_workers_tell_of_each_other_and_of_those_that_died(tmp_path: Path) -> None:
    store = Store(tmp_path / "graphs")
    publish_graph(store, "double")
    with running(store, workers=2, default_model="double", environment={"TMPDIR": str(tmp_path)}) as service:
        [folder] = tmp_path.glob("lectern-*/ended.lock")
        until(lambda: service.complaints.count("double version 1 answers now.") == 2)

        def asked(times: int) -> None:
            for _ in range(times):  # each on a connection of its own, so that both workers answer
                with httpx.Client(base_url=service.url, trust_env=False, timeout=PATIENCE_S) as client:
                    assert client.post("/predict", json={"x": 1}).status_code == 200

        def once(*sample: str, value: float) -> dict[tuple[str, ...], float]:
            def found() -> dict[tuple[str, ...], float]:
                with httpx.Client(base_url=service.url, trust_env=False, timeout=PATIENCE_S) as client:
                    answer = client.get("/metrics")
                assert answer.status_code == 200
                told = counted(answer.text)
                return told if told.get(sample) == value else {}

            return until(found)

        requests = ("lectern_requests_total", "champion", "double", "2xx", "1")
        asked(30)
        once(*requests, value=30)
        process = int(next(folder.parent.glob("counts-*.json")).name.split("-")[1])
        os.kill(process, signal.SIGKILL)
        assert once("lectern_worker_deaths_total", "crash", value=1)[requests] == 30
        until(lambda: service.complaints.count("double version 1 answers now.") == 3)
        line = f"lectern: Worker {process} died; another one takes its place."
        until(lambda: line in service.complaints)  # it is written by a thread of its own
        assert service.complaints.count(line) == 1
        asked(10)
        once(*requests, value=40)
        (folder.parent / "counts-1-2.json").write_bytes(b"")
        told = once("lectern_counts_damaged", value=1)
        assert (told[requests], told["lectern_requests_in_flight", "double", "1"]) == (40, 0)
        shutil.rmtree(folder.parent)
        assert counted(service.client.get("/metrics").text)[requests] <= 40
        assert service.predict({"x": 1}).status_code == 200
        until(lambda: "The counts of this worker cannot be written: No such file or directory." in service.complaints)


def test_whatever_is_asked_the_number_of_series_stays(store: Store) -> None:
    app = create_app(ServeSettings(store=store.root))
    draw = random.Random(7)
    signs = "abcdefghijklmnopqrstuvwxyz0123456789/@%._-"
    methods = ("GET", "POST", "PUT", "BREW", "OPTIONS")

    def drawn() -> tuple[str, str]:
        words = "".join(draw.choices(signs, k=draw.randint(1, 40))).replace("%", "%41")
        begin = draw.choice(["/", "/models/", "/models/double@", "/models/double/versions/", "/static/pages/", "/v"])
        return draw.choice(methods), begin + words + draw.choice(["", "/predict", "/history"])

    async def asked(requests: list[tuple[str, str]]) -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return [(await client.request(method, path)).status_code for method, path in requests]

    def series() -> set[tuple[str, ...]]:
        return {*counted(Exposition(app.registry.observation.sheet).write("")[0].decode())}

    statuses = asyncio.run(asked([drawn() for _ in range(PATHS // 2)]))
    assert {404, 405} <= {*statuses}
    some = series()
    asyncio.run(asked([drawn() for _ in range(PATHS // 2)]))
    assert series() == some
    assert len(some) < MOST_SERIES
    routes = {labels[1] for name, *labels in some if name == "lectern_http_requests_total"}
    own = {"/", "/docs", "/redoc", "/static/docs", "/static/pages", "none"}
    assert routes <= own | {*app.framework().openapi()["paths"]} | {
        route.path for route in prediction_routes(app.registry)
    }


def test_the_bounds_rise() -> None:
    assert [*BOUNDS_S] == sorted(BOUNDS_S)

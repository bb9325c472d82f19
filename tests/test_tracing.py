"""serving.tracing: a prediction is a span at a collector, part of its caller's trace, without a value of its rows."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from contract.errors import SettingsRefused
from contract.store import Store
from serving import tracing
from serving.app import create_app
from serving.loading import Served
from serving.observed import GONE, Observed
from serving.settings import ServeSettings
from serving.tracing import Traces
from tests.live import ROOT, publish_graph
from tests.test_app import served

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SECRET = 123_456.75


class Collector(ThreadingHTTPServer):
    """Takes what is sent to it, as a collector does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"

    @property
    def resources(self) -> list[Any]:
        return [found for body in self.bodies for found in ExportTraceServiceRequest.FromString(body).resource_spans]

    @property
    def spans(self) -> list[Span]:
        return [span for found in self.resources for scope in found.scope_spans for span in scope.spans]


class Taking(BaseHTTPRequestHandler):
    """One request to it."""

    server: Collector

    def do_POST(self) -> None:  # its name
        """Keep the body."""
        assert self.path == "/v1/traces"
        assert self.headers["content-type"] == "application/x-protobuf"
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@contextmanager
def traced(store: Store, url: str, share: float = 1.0) -> Iterator[Any]:
    """A service that sends its traces; all of them are there once it has ended."""
    settings = ServeSettings(store=store.root, trace_to=url, trace_share=share, prediction_log="none")
    with served(create_app(settings)) as client:
        yield client


def attributes(span: Span) -> dict[str, Any]:
    values = ((one.key, one.value) for one in span.attributes)
    return {key: getattr(value, str(value.WhichOneof("value"))) for key, value in values}


def test_a_prediction_is_a_span_of_its_caller_s_trace(store: Store, collector: Collector) -> None:
    publish_graph(store, "double")
    caller = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
    with traced(store, collector.url) as client:
        answer = client.post("/predict", json=[{"x": SECRET}, {"x": 2}], headers=caller)
        refused = client.post("/models/double/versions/1/predict", json={"x": "no"})
        client.post("/predict", content=f"x\n{SECRET}\n3\n", headers={"content-type": "text/csv"})
        client.post("/predict", json={"x": 1}, headers=caller | {"x-no-log": "1"})
    first, second, third = collector.spans
    assert (first.trace_id.hex(), first.parent_span_id.hex(), first.trace_state) == (TRACE, PARENT, "vendor=1")
    assert (first.name, first.kind) == ("predict double", Span.SPAN_KIND_SERVER)
    assert attributes(first) == {
        "lectern.model": "double",
        "lectern.version": 1,
        "lectern.alias": "champion",
        "lectern.rows": 2,
        "lectern.request_id": answer.headers["x-request-id"],
        "http.request.method": "POST",
        "http.response.status_code": 200,
    }
    assert first.start_time_unix_nano < first.end_time_unix_nano <= second.end_time_unix_nano
    assert (second.parent_span_id, attributes(second)["lectern.alias"]) == (b"", "")
    assert attributes(second)["http.response.status_code"] == refused.status_code == 422
    assert second.status.code == Status.STATUS_CODE_UNSET
    assert (attributes(third)["lectern.rows"], third.trace_id != second.trace_id) == (2, True)
    [service, *_] = [
        one.value.string_value for one in collector.resources[0].resource.attributes if one.key == "service.name"
    ]
    assert service == "lectern"
    assert not any(str(SECRET).encode() in body for body in collector.bodies)


def test_who_traces_its_request_decides_and_of_the_others_a_share_is(store: Store, collector: Collector) -> None:
    publish_graph(store, "double")
    with traced(store, collector.url, share=0.0) as client:
        for sampled in ("01", "00"):
            client.post("/predict", json={"x": 1}, headers={"traceparent": f"00-{TRACE}-{PARENT}-{sampled}"})
        client.post("/predict", json={"x": 1})
        client.post("/predict", json={"x": 1}, headers={"traceparent": b"00-zz-\xff"})
    [span] = collector.spans
    assert span.trace_id.hex() == TRACE


def test_what_failed_is_marked_and_who_left_has_no_status(collector: Collector) -> None:
    traces = Traces(collector.url, 1.0)
    scope = {"type": "http", "method": "POST", "path": "/models/iris/predict", "headers": []}
    served = cast("Served", SimpleNamespace(model="iris", version=1))
    traces.see([Observed(served, scope, "id", status, 0.5, time.perf_counter(), 0, None) for status in (500, GONE)])
    traces.stop()
    failed, gone = collector.spans
    assert (failed.status.code, gone.status.code) == (Status.STATUS_CODE_ERROR, Status.STATUS_CODE_UNSET)
    assert attributes(failed)["http.response.status_code"] == 500
    assert "http.response.status_code" not in attributes(gone)
    assert failed.end_time_unix_nano - failed.start_time_unix_nano == pytest.approx(0.5e9, abs=1e3)
    assert abs(failed.end_time_unix_nano - time.time_ns()) < 60e9


def test_a_collector_that_is_gone_holds_up_nothing(
    store: Store, collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracing, "_SENT_WITHIN_S", 0.2)
    publish_graph(store, "double")
    with traced(store, collector.url.replace("127.0.0.1", "127.255.255.254")) as client:  # nobody listens there
        for _ in range(3):
            assert client.post("/predict", json={"x": 1}).status_code == 200
    assert not collector.bodies
    told = [record.message for record in caplog.records if record.name.startswith("opentelemetry")]
    assert len(told) <= 2


# --- what is refused


@pytest.mark.parametrize("url", ["collector:4318", "ftp://collector/x", "http://", "http://[x", "http://x:99999"])
def test_an_address_that_nothing_can_be_sent_to_is_refused(url: str) -> None:
    with pytest.raises(SettingsRefused, match=r"^LECTERN_TRACE_TO=.* does not do: give an address with http:// or"):
        ServeSettings.read({"LECTERN_TRACE_TO": url})


@pytest.mark.parametrize("share", ["-0.1", "1.1", "nan", "all"])
def test_a_share_is_between_nothing_and_all(share: str) -> None:
    for name in ("LECTERN_TRACE_SHARE", "LECTERN_ACCESS_LOG_SHARE"):
        with pytest.raises(SettingsRefused, match=rf"^{name}={share} does not do: "):
            ServeSettings.read({name: share})


LACKS = """
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("opentelemetry.{missing}"):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Lacking())
"""


@pytest.mark.parametrize("missing", ["sdk", "exporter"])
def test_without_what_sends_traces_it_does_not_start(tmp_path: Path, missing: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(LACKS.format(missing=missing))
    own = {name: value for name, value in os.environ.items() if not name.startswith("LECTERN_")}
    own |= {"PYTHONPATH": str(tmp_path), "LECTERN_STORE": str(tmp_path), "LECTERN_PORT": "0"}
    own["LECTERN_TRACE_TO"] = "http://127.0.0.1:4318/v1/traces"
    command = [sys.executable, "-m", "serving"]
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=60, check=False)
    told = "LECTERN_TRACE_TO is set, and what sends traces is not installed: `pip install 'lectern[tracing]'` brings"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"lectern: {told} it.\n")
    tracing.needed(ServeSettings())

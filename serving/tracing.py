"""Tracing: a span for each prediction, made once it has been dealt with, and sent by OpenTelemetry in batches.

No value of a row is in it. Whether a request is traced is decided by its caller, who says so in `traceparent`; of
those without one a share is.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from contract.errors import SettingsRefused
from serving.observed import GONE, STREAMING, Observed, Observer
from serving.settings import ServeSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_SENT_WITHIN_S = 3
"""Longest time for what is left at the end, and for any one batch."""
_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
_FAILED = 500


def needed(settings: ServeSettings) -> None:
    """Look whether all is there that the settings ask for.

    Raises:
        SettingsRefused: it is not.
    """
    if settings.trace_to is not None and not all(map(_is_installed, _NEEDED)):
        raise SettingsRefused(
            f"{settings.variable('trace_to')} is set, and what sends traces is not installed: "
            "`pip install 'lectern[tracing]'` brings it."
        )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # what it is a part of is missing, too
        return False


class Traces(Observer):
    """Makes spans of predictions."""

    def __init__(self, url: str, share: float) -> None:
        self._url = url
        self._share = share
        self._provider: TracerProvider | None = None
        self._tracer: Any = None

    def see(self, some: Sequence[Observed]) -> None:
        """Make their spans; of a stream at its end."""
        if self._provider is None:  # here, as the imports take long
            self._begin()
        offset = time.time() - time.perf_counter()
        for one in some:
            if one.status != STREAMING and not one.withheld:
                caller = _caller(one)
                if caller is not None or random.random() < self._share:
                    self._span(one, caller, offset)

    def stop(self) -> None:
        """Send what is left, but do not wait long for who does not take it."""
        if self._provider is not None:
            sending = threading.Thread(target=self._provider.shutdown, name="lectern-traces", daemon=True)
            sending.start()
            sending.join(_SENT_WITHIN_S)

    def _begin(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import DEFAULT_ON

        service = {"service.name": "lectern", "service.version": version("lectern")}
        self._provider = TracerProvider(DEFAULT_ON, Resource.create(service), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(self._url, timeout=_SENT_WITHIN_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("lectern")

    def _span(self, one: Observed, caller: Any, offset: float) -> None:
        """Make a span of one request; `offset` is from the clock of its times to that of the wall, in seconds."""
        from opentelemetry.trace import SpanKind, StatusCode

        ended = one.ended + offset
        about = {
            "lectern.model": one.served.model,
            "lectern.version": one.served.version,
            "lectern.alias": one.alias,
            "lectern.rows": one.rows,
            "lectern.request_id": one.request_id,
            "http.request.method": one.scope["method"],
            "http.response.status_code": one.status,
        }
        if one.status == GONE:
            del about["http.response.status_code"]
        span = self._tracer.start_span(
            f"predict {one.served.model}", caller, SpanKind.SERVER, about, start_time=_ns(ended - one.seconds)
        )
        if one.status >= _FAILED:
            span.set_status(StatusCode.ERROR)
        span.end(_ns(ended))


def _caller(one: Observed) -> Any:
    """The span of the caller's that this one belongs to, as its headers say; None where they name none."""
    if (parent := one.header(b"traceparent")) is None:
        return None
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {"traceparent": parent, "tracestate": one.header(b"tracestate") or ""}
    found = TraceContextTextMapPropagator().extract(carrier)
    return found if get_current_span(found).get_span_context().is_valid else None


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)

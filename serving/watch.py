"""The watch: everything that looks at what was answered, beside what counts and compares it."""

from __future__ import annotations

from contract.store import Store
from serving.access_log import AccessLog
from serving.drift.watching import Drifts
from serving.metrics import Sheet
from serving.observed import Observer
from serving.prediction_log.writer import PredictionLog
from serving.settings import ServeSettings
from serving.tracing import Traces


class Watch:
    """What one process keeps of the requests it answered."""

    def __init__(self, store: Store, settings: ServeSettings, sheet: Sheet) -> None:
        self.log = PredictionLog(store, settings, sheet.log)
        self.drift = Drifts(store, settings)
        self.drift.log = self.log
        self.observers: list[Observer] = [self.drift, self.log]  # drift ends first, as it has something for the log
        if settings.access_log_share:
            self.observers.append(AccessLog(settings.access_log_share))
        if settings.trace_to is not None:
            self.observers.append(Traces(settings.trace_to, settings.trace_share))

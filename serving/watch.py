"""The watch: everything that looks at what was answered, beside what counts and compares it."""

from __future__ import annotations

from contract.store import Store
from serving.metrics import Sheet
from serving.observed import Observer
from serving.settings import ServeSettings


class Watch:
    """What one process keeps of the requests it answered."""

    def __init__(self, store: Store, settings: ServeSettings, sheet: Sheet) -> None:  # noqa: ARG002
        self.observers: list[Observer] = []

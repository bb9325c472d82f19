"""Usage: which of the versions that were loaded because a request named them are put away again."""

from __future__ import annotations

import time
from collections.abc import Mapping

from serving.loading import Served
from serving.settings import ServeSettings

Key = tuple[str, int]
"""A model and a version."""


class Usage:
    """When each pinned version was last asked, as far as its counts tell."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self._last: dict[Key, tuple[int, float]] = {}
        """The requests of a version, and since when there have been no more."""

    def surplus(self, pinned: Mapping[Key, Served]) -> list[Key]:
        """What to put away: what nobody asked for long, and of too many or too large ones the longest unused."""
        now = time.monotonic()
        for key, served in pinned.items():
            requests = sum(served.counts.statuses.values())
            if key not in self._last or self._last[key][0] != requests:
                self._last[key] = requests, now
        self._last = {key: seen for key, seen in self._last.items() if key in pinned}
        kept = sorted(pinned, key=lambda key: self._last[key][1])
        gone = [key for key in kept if now - self._last[key][1] > self.settings.pinned_idle_s]
        kept = kept[len(gone) :]
        while len(kept) > 1 and (
            len(kept) > self.settings.pinned_versions
            or sum(pinned[key].size_bytes for key in kept) > self.settings.pinned_bytes
        ):
            gone.append(kept.pop(0))
        return gone

"""A service, as a notebook sees it: where it is, and its models."""

from __future__ import annotations

import os
from html import escape
from typing import TYPE_CHECKING, Any, Self

from contract.errors import ServiceError
from contract.settings import PREFIX
from contract.showing import Table, figure
from serving.client import frames
from serving.client.connection import Connection
from serving.client.finding import USUAL, Place, find
from serving.client.model import Model, without_address

if TYPE_CHECKING:
    import pandas as pd

KEY = PREFIX + "API_KEY"
USUAL_TIMEOUT_S = 60.0
"""Longer than a model may take by the service's own settings, so that the service says what went wrong."""


class Client:
    """A running service. It is found and asked when that is needed, opens by itself, and may be closed at any time.

    client = Client()
    client.model("iris").predict(frame)
    """

    def __init__(self, url: str | None = None, *, key: str | None = None, timeout_s: float = USUAL_TIMEOUT_S) -> None:
        """Find a service.

        Args:
            url: its address, or `unix:/path/to.sock`; when not given, what LECTERN_URL says, else a service of the same
                store that runs on this machine, else port 8000.
            key: what it knows the caller by; LECTERN_API_KEY when not given, but for a service that nobody named. It is
                shown nowhere.
            timeout_s: the longest time to wait for any part of an answer.

        Raises:
            SettingsRefused: the address is none, or the key cannot be sent.
        """
        place = find(url)
        if place is None:  # whoever listens on the usual port; it is told no key that was not meant for it
            self._connection = Connection(Place(USUAL), key, timeout_s)
        else:
            self._connection = Connection(place, key or os.environ.get(KEY), timeout_s)

    @property
    def url(self) -> str:
        """Where the service is."""
        return str(self._connection.place)

    def models(self) -> pd.DataFrame:
        """What is served, by model: which version answers, whether any does, how many there are, and how good it is.

        `challenger` is the percentage of the requests that the challenger answers, `metric` the usual one of the task.
        """
        return frames.of_models(self._documents())

    def model(self, name: str, version: int | None = None) -> Model:
        """A model by its name, `iris`, by an alias, `iris@challenger`, or one version of it; nobody is asked yet.

        Raises:
            NameRefused: no model may be called that, or an alias and a version are both named.
        """
        return Model(self._connection, name, version)

    def close(self) -> None:
        """Close the connection; it opens again when it is needed."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _documents(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._connection.get("/models")
        return found

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    def _repr_html_(self) -> str:
        try:
            rows = [
                {"model": found["model"], "version": found["champion"] or "", "state": found["state"]}
                | {"usual metric": f"{metric} {figure(found['metrics'][metric])}" if metric else ""}
                for found in self._documents()
                for metric in [frames.usual_metric(found)]
            ]
            told = Table.of(rows).html() or "<p>The service has no models yet.</p>"
        except ServiceError as error:
            told = f"<p>{escape(without_address(error))}</p>"
        return f"<div>{told}</div>"

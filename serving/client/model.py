"""A model of a service: asked with rows, and what is known of it as frames."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic_core import from_json

from contract import describing
from contract.errors import AliasNotFound, LecternError, NameRefused, ServiceUnreachable
from contract.names import check_model_name
from contract.showing import listed, one_line
from contract.signature import Output, Signature
from serving.client import frames
from serving.client.answers import from_documents
from serving.client.asking import Asking, as_json
from serving.client.connection import Connection
from serving.client.given import one_row, rows_of
from serving.client.telling import told
from serving.client.values import plain

if TYPE_CHECKING:
    import pandas as pd


class Model:
    """What answers under a model's name, under one of its aliases, or one version of it."""

    def __init__(self, connection: Connection, name: str, version: int | None = None) -> None:
        """Name a model; nobody is asked yet.

        Args:
            connection: to the service.
            name: `iris`, or `iris@challenger` for an alias.
            version: its number; what answers under the name when not given.

        Raises:
            NameRefused: no model may be called that, or an alias and a version are both named.
        """
        model, _, self.alias = name.partition("@")
        self.name, self.version = check_model_name(model), version
        if self.alias and version is not None:
            raise NameRefused(f"'{name}' and version {version} may be two versions; name one of them.")
        self._connection = connection
        self._home = f"/models/{self.name}"
        self._of_versions: dict[int, Signature] = {}

    def predict(self, rows: Any) -> Any:
        """What the model says of rows.

        One row is a dict, or a Series with the fields as its labels; its answer is the service's own document, a dict.

        Many rows are a DataFrame of pandas or polars, a list of dicts, or, without names, an array or a list: the
        values of a model's only field, or for each row its values in the order of the fields. Their answers are a
        DataFrame of pandas with the index of the rows: `prediction`, `confidence`, `probabilities.…` or `scores.…`,
        `id` and `warnings`, and `attrs["version"]`. What is missing (NaN, None, NaT, NA) is sent as null.

        Raises:
            RowsRefused: these are no rows, or cannot be sent as they are.
            RequestRefused: the service refuses them, and says which; nothing is filled in or left out.
            ServiceUnreachable: it is not there, or was lost.
        """
        version = "" if self.version is None else f"/versions/{self.version}"
        alias = f"@{quote(self.alias, safe='')}" if self.alias else ""
        path = f"{self._home}{alias}{version}/predict"
        row = one_row(rows, self._signature)
        if row is not None:
            body = as_json(row)
            with self._connection.asked("POST", path, lambda: body) as response:
                return from_json(response.read())
        given = rows_of(rows, self._signature)
        if not len(given):
            nothing = from_documents([], self._signature().output)
            nothing.index = given.index
            return nothing
        return Asking(self._connection, path, given, self._output).answers()

    @property
    def signature(self) -> Signature:
        """What it takes and answers, as of now."""
        return self._signature()

    @property
    def example(self) -> dict[str, Any]:
        """A row that it can answer."""
        return dict(self._signature().example)

    def versions(self) -> pd.DataFrame:
        """All versions, the newest first.

        The columns are version, created (UTC), aliases (the names under which it answers), error (why it does not),
        description, and `metric_…` for each metric that any of them has.
        """
        found: list[dict[str, Any]] = []
        page = self._connection.get(f"{self._home}/versions")
        while page:
            found += page
            page = self._connection.get(f"{self._home}/versions", before=page[-1]["version"])
        return frames.of_versions(found)

    def aliases(self) -> dict[str, int]:
        """The version that answers for each name."""
        return dict(self._connection.get(self._home)["aliases"])

    def history(self) -> pd.DataFrame:
        """Every promotion, the first one first: what was done, when (UTC), by whom, why, and what the gate said."""
        return frames.of_history(self._connection.get(f"{self._home}/history"))

    def shadow(self) -> pd.DataFrame:
        """How far the challenger says the same as the champion on the same rows, as one row of figures.

        `attrs["said"]` counts the rows by what both said; `differing()` has those on which they differ.
        """
        return frames.of_shadow(self._connection.get(f"{self._home}/shadow"))

    def differing(self) -> pd.DataFrame:
        """The last rows on which champion and challenger differ, by id: `input.…`, and what both said."""
        return frames.of_differing(self._connection.get(f"{self._home}/shadow"), self._signature().names)

    def feedback(self, answers: Any, truth: Any, at: Any = None) -> dict[str, Any]:
        """Say what was true of predictions, once that is known; it may be said late, again, and in any order.

        Args:
            answers: what `predict` returned, or ids: a frame with a column `id`, one answer, or one or several ids.
            truth: for each what was true, as the model would have answered it: a Series or frame with the labels of
                the answers, of which some may be left out or missing, or a list in their order. Of one answer its own.
            at: when that became known, one moment or one for each; now when not given.

        Returns:
            How many were `new`, `changed` and `unchanged`, and how many of them the log does not have (yet).

        Raises:
            RowsRefused: nobody can tell which truth belongs to which answer.
            RequestRefused: the service refuses some, and says which, or keeps no log.
            ServiceUnreachable: it is not there, or was lost.
        """
        return told(answers, truth, at).send(self._connection)

    def quality(self, since: Any = None, *, over_time: bool = False) -> pd.DataFrame:
        """How good each version has been by what was said to be true, the newest first.

        The columns are rows, and for each metric its value now and when the version was trained, `metric_…` and
        `trained_…`. With `over_time` there is a row for each part of the time, which begins at `begin` (UTC).

        Args:
            since: a moment; only predictions made from then on.
            over_time: whether to part the time.
        """
        chosen = self._chosen(since=plain(since))
        return frames.of_quality(self._connection.get(f"{self._home}/quality", **chosen), over_time=over_time)

    def drift(self) -> pd.DataFrame:
        """How far the newest rows and answers are from those of the training, by field; what moved furthest first.

        The columns are kind (input or output), psi, p_value, alarm, and the shares of missing, unseen and out-of-range
        values now. `attrs` has the version, the state and the number of rows.
        """
        return frames.of_drift(self._connection.get(f"{self._home}/drift", **self._chosen()))

    def reports(self) -> pd.DataFrame:
        """What `lectern report` made of what it answered, the newest first: kind, when it was made (UTC), and name."""
        return frames.of_reports(self._connection.get(f"{self._home}/reports"))

    def _signature(self) -> Signature:
        version = self._number()
        return self._read(f"{self._home}/signature") if version is None else self._of_version(version)

    def _number(self) -> int | None:
        """The version that is named, or that an alias names now."""
        if self.version is not None or not self.alias:
            return self.version
        named = self.aliases()
        if self.alias not in named:
            raise AliasNotFound(self.name, self.alias, named)
        return named[self.alias]

    def _chosen(self, **parameters: Any) -> dict[str, Any]:
        """The parameters of a query that are given, among them the version."""
        found = parameters | {"version": self._number()}
        return {name: value for name, value in found.items() if value is not None}

    def _output(self, version: int) -> Output:
        return self._of_version(version).output

    def _of_version(self, version: int) -> Signature:
        if version not in self._of_versions:  # a version never changes
            self._of_versions[version] = self._read(f"{self._home}/versions/{version}/signature")
        return self._of_versions[version]

    def _read(self, path: str) -> Signature:
        with self._connection.asked("GET", path) as response:
            return Signature.model_validate_json(response.read())

    def __repr__(self) -> str:
        alias = f"@{self.alias}" if self.alias else ""
        return f"Model({self.name + alias!r}{'' if self.version is None else f', version={self.version}'})"

    def _repr_html_(self) -> str:
        alias = f"@{self.alias}" if self.alias else ""
        version = "" if self.version is None else f", version {self.version}"
        try:
            signature = self._signature()
            told = f"Takes {listed(signature.names)}. {describing.answer(signature.output)}"
        except LecternError as error:
            told = without_address(error)
        return f"<p><strong>{escape(self.name + alias + version)}</strong><br>{escape(one_line(told))}</p>"


def without_address(error: LecternError) -> str:
    """What an error says in a notebook, where the port of a service that is gone would be a difference."""
    return "The service does not answer." if isinstance(error, ServiceUnreachable) else str(error)

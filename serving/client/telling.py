"""Telling: what was true of predictions, each truth beside the id that its answer had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import from_json

from contract.errors import RequestRefused, RowsRefused
from serving.client.asking import as_json
from serving.client.connection import Connection
from serving.client.rows import Rows
from serving.client.values import plain

if TYPE_CHECKING:
    import pandas as pd

_AT_ONCE = 1_000
_TOO_MANY = {"body_too_large", "too_many_rows"}
_COUNTS = ("new", "changed", "unchanged", "unknown")


@dataclass(frozen=True)
class Told:
    """Entries to be sent, and what the caller calls each of them."""

    index: pd.Index[Any]
    entries: list[dict[str, Any]]

    def send(self, connection: Connection) -> dict[str, Any]:
        """What became of them, some sent at a time.

        Raises:
            RowsRefused: a text of them is none.
            RequestRefused: the service refuses some; what was sent before them is kept.
            ServiceUnreachable: it is not there, or was lost.
        """
        total: dict[str, Any] = dict.fromkeys(_COUNTS, 0) | {"unknown_ids": []}
        begin, size = 0, _AT_ONCE
        while begin < len(self.entries):
            try:
                found = self._sent(connection, slice(begin, begin + size))
            except RequestRefused as error:
                if size == 1 or not _TOO_MANY & {error.code, *(each["code"] for each in error.errors)}:
                    raise
                size //= 2
                continue
            begin += size
            total = {name: total[name] + found[name] for name in total}
        return total

    def _sent(self, connection: Connection, some: slice) -> dict[str, Any]:
        body = as_json(self.entries[some])
        with connection.asked("POST", "/feedback", lambda: body, labels=Rows(self.index[some])) as response:
            found: dict[str, Any] = from_json(response.read())
            return found


def told(answers: Any, truth: Any, at: Any = None) -> Told:
    """What was true of which prediction; what is missing is not known yet, and left out.

    Raises:
        RowsRefused: these are no answers, or nobody can tell which truth belongs to which.
    """
    import pandas as pd

    ids = _ids(answers)
    if ids is None:
        one = answers if isinstance(answers, str) else answers["id"]
        ids, truths = pd.Series([one], dtype=object), pd.Series([truth], dtype=object)
    else:
        truths = _beside(ids, truth, "truth")
    each = isinstance(at, pd.Series | pd.Index | list | tuple | np.ndarray)
    moments = _beside(ids, at, "at") if each else pd.Series([at] * len(ids), dtype=object)
    entries, places = [], []
    for place, (name, value, moment) in enumerate(zip(ids, map(_spelled, truths), map(plain, moments), strict=True)):
        if not isinstance(name, str):
            raise RowsRefused(f"An id is a text; {name!r:.60} is none.")
        if value is not None:
            entries.append({"id": name, "truth": value} | ({} if moment is None else {"at": moment}))
            places.append(place)
    return Told(ids.index[places], entries)


def _ids(answers: Any) -> pd.Series[Any] | None:
    """The ids of predictions; None where there is only one."""
    import pandas as pd

    named = isinstance(answers, Mapping) or (isinstance(answers, pd.Series) and "id" in answers.index)
    if isinstance(answers, str) or (named and "id" in answers):
        return None
    if isinstance(answers, pd.DataFrame | Mapping):
        if "id" not in answers:
            raise RowsRefused("These answers have no `id`; give what `predict` returned, or the ids themselves.")
        return answers["id"]
    if isinstance(answers, pd.Series):
        return answers
    if isinstance(answers, list | tuple | pd.Index | np.ndarray):
        return pd.Series(list(answers), dtype=object)
    raise RowsRefused(f"Give what `predict` returned, or ids; this is of the type {type(answers).__name__}.")


def _beside(ids: pd.Series[Any], given: Any, what: str) -> pd.Series[Any]:
    """A value for each id: by the labels of the rows where there are some, else in their order."""
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        rows = given.to_dict("records")
        given = given.iloc[:, 0] if given.shape[1] == 1 else pd.Series(rows, index=given.index, dtype=object)
    if isinstance(given, pd.Series):
        if given.index.equals(ids.index):
            return given
        if not (given.index.is_unique and ids.index.is_unique):
            raise RowsRefused(
                f"`{what}` has other labels than the answers, and some label stands twice; give it in the order of the "
                f"answers, without labels: `{what}.to_numpy()`."
            )
        strange = given.index.difference(ids.index, sort=False)
        if len(strange):
            label = Rows(strange).label(0) or strange[0]
            raise RowsRefused(f"`{what}` has a row {label} that the answers do not have.")
        return given.astype(object).reindex(ids.index)
    if not isinstance(given, list | tuple | pd.Index | np.ndarray):
        kind = type(given).__name__
        raise RowsRefused(
            f"`{what}` is a Series, a frame or a list, with one entry for each answer, not of type {kind}."
        )
    if len(given) != len(ids):
        raise RowsRefused(f"`{what}` has {len(given):,} entries, and there are {len(ids):,} answers.")
    return pd.Series(list(given), index=ids.index, dtype=object)


def _spelled(truth: Any) -> Any:
    return {str(name): plain(value) for name, value in truth.items()} if isinstance(truth, Mapping) else plain(truth)

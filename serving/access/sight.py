"""Sight: what of the models a caller is shown where a page or a document is about all of them."""

from __future__ import annotations

from dataclasses import replace

from starlette.types import Scope

from contract.errors import ModelNotFound
from serving.access.caller import ALL, Caller, caller_of
from serving.snapshot import Snapshot


def visible(snapshot: Snapshot, scope: Scope) -> Snapshot:
    """The snapshot with the models that who asks may read, and no other."""
    caller = caller_of(scope)
    if caller is None or caller.may("read", ALL):
        return snapshot
    models = {name: state for name, state in snapshot.models.items() if caller.may("read", name)}
    pinned = {key: served for key, served in snapshot.pinned.items() if key[0] in models}
    return replace(snapshot, models=models, pinned=pinned)


def without_others(error: Exception, scope: Scope) -> Exception:
    """An error that names no model which who asks may not read."""
    caller = caller_of(scope)
    if not isinstance(error, ModelNotFound) or caller is None or caller.may("read", ALL):
        return error
    return ModelNotFound(error.model, [name for name in error.known if name in caller.rights or ALL in caller.rights])


def may_predict(caller: Caller | None, model: str) -> bool:
    """Whether who asks may have rows of a model answered, and say what was true of them."""
    return caller is None or caller.may("predict", model)

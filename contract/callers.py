"""Callers: what those of one version would have to change in their requests to be answered by another."""

from __future__ import annotations

from contract.signature import Field, Signature


def changes(before: Signature, after: Signature) -> list[str]:
    """What a request to one version lacks, has too much or has otherwise for another, a clause for each field.

    Bounds and levels do not count: a value that one of them refuses is a matter of that row.
    """
    old, new = ({field.name: field for field in signature.inputs} for signature in (before, after))
    found = [f"'{name}' is new" for name in new if name not in old]
    found += [f"'{name}' is not taken any more" for name in old if name not in new]
    return found + [clause for name in old if name in new and (clause := _change(old[name], new[name]))]


def _change(old: Field, new: Field) -> str:
    if _kind(old) != _kind(new) and (old.type, new.type) != ("integer", "float"):
        return f"'{old.name}' is {_kind(new)} instead of {_kind(old)}"
    if old.nullable and not new.nullable:
        return f"'{old.name}' may not be null any more"
    return ""


def _kind(field: Field) -> str:
    """Its type as a request has it: a category is whatever its levels are."""
    if field.type == "category":
        return "string" if isinstance((field.levels or ("",))[0], str) else "category"
    return f"tensor of {'×'.join(map(str, field.shape))}" if field.shape else field.type

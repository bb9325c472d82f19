"""Narrowing: what a service holds rows to beyond the signature, as a signature; every form of rows obeys it alike.

A number that the graph would make infinite is none for this model, and an operator may refuse what no model saw.
"""

from __future__ import annotations

from typing import Any, Literal

from contract.manifest import Manifest
from contract.signature import Field, Signature

Unseen = Literal["warn", "refuse"]


def held(manifest: Manifest, unseen: Unseen) -> Signature:
    """What rows of a version must fit.

    Args:
        manifest: the version's.
        unseen: whether what the model never saw is answered with a warning, or refused; of dates and times it is
            warned either way.
    """
    graph, signature = manifest.runtime.onnx, manifest.signature
    fields = list(signature.inputs)
    if graph and graph.dtype == "float32":
        fields = [field.model_copy(update=_single(field)) for field in fields]
    if unseen == "refuse":
        fields = [field.model_copy(update=_as_seen(field)) for field in fields]
    return signature.model_copy(update={"inputs": tuple(fields)})


def _single(field: Field) -> dict[str, Any]:
    """A field of numbers as float32 has them; whole numbers all fit."""
    whole = field.dtype.lower().startswith(("int", "uint", "bool", "float16"))
    return {} if whole or field.type not in ("float", "tensor") else {"dtype": "float32"}


def _as_seen(field: Field) -> dict[str, Any]:
    """A field that takes only what the model saw."""
    if field.type == "string" and field.levels:
        return {"type": "category"}
    if field.type not in ("float", "integer", "tensor") or field.observed is None:
        return {}
    low, high = field.observed
    least, most = field.bounds or (low, high)
    return {"bounds": (max(low, least), min(high, most))}

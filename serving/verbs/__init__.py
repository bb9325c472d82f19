"""The verbs of this side; importing them registers each with the app."""

from __future__ import annotations

from serving.verbs import deploying, keys, log, pruning, scoring, serving, signing
from serving.verbs.base import app

__all__ = ["app", "deploying", "keys", "log", "pruning", "scoring", "serving", "signing"]

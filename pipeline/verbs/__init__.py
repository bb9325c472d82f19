"""The verbs of this side; importing them registers each with the app."""

from __future__ import annotations

from pipeline.verbs import deploying, looking, new, reporting, sweeping, training
from pipeline.verbs.base import app

__all__ = ["app", "deploying", "looking", "new", "reporting", "sweeping", "training"]

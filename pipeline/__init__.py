"""Makes artifacts: runs training notebooks and exports what they fitted."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from contract.errors import ExportRefused
    from pipeline.exporting import export
    from pipeline.exporting.display import Exported
    from pipeline.exporting.tagged import cells
    from pipeline.gating.versus import compare
    from pipeline.looking import leaderboard, versions
    from pipeline.running.records import runs

_ROOMS = {
    "ExportRefused": "contract.errors",
    "Exported": "pipeline.exporting.display",
    "cells": "pipeline.exporting.tagged",
    "compare": "pipeline.gating.versus",
    "export": "pipeline.exporting",
    "leaderboard": "pipeline.looking",
    "runs": "pipeline.running.records",
    "versions": "pipeline.looking",
}
__all__ = ["ExportRefused", "Exported", "cells", "compare", "export", "leaderboard", "runs", "versions"]


def __getattr__(name: str) -> Any:
    """Load what makes artifacts only when it is asked for: listing them needs neither pandas nor scikit-learn."""
    if name not in __all__:
        raise AttributeError(f"module 'pipeline' has no attribute '{name}'")
    return getattr(importlib.import_module(_ROOMS[name]), name)

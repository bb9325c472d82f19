"""Makes artifacts: runs training notebooks and exports what they fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.display import Exported
    from pipeline.exporting import export

__all__ = ["Exported", "export"]


def __getattr__(name: str) -> Any:
    """Load what makes artifacts only when it is asked for: listing them needs neither pandas nor scikit-learn."""
    if name not in __all__:
        raise AttributeError(f"module 'pipeline' has no attribute '{name}'")
    from pipeline import exporting

    return getattr(exporting, name)

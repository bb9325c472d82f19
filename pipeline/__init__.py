"""Makes artifacts: runs training notebooks and exports what they fitted."""

from pipeline.exporting import Exported, export

__all__ = ["Exported", "export"]

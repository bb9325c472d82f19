"""The settings of the side that makes artifacts."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from contract.settings import PREFIX, Settings


class TrainSettings(Settings):
    """How notebooks are run."""

    prefix = PREFIX + "TRAIN_"

    stage: Path | None = Field(None, description="set by the runner for the notebook it runs: where `export` writes")
    cell_timeout_s: int = Field(3600, ge=1, description="longest time one cell of a training notebook may take")
    load_timeout_s: float = Field(60, gt=0, description="longest time a just exported model may take to load again")

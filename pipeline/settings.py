"""The settings of the side that makes artifacts."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from contract.settings import PREFIX, Settings


class TrainSettings(Settings):
    """How notebooks are run."""

    prefix = PREFIX + "TRAIN_"

    stage: Path | None = Field(None, description="set by the runner for the notebook it runs: where `export` writes")
    notebook: Path | None = Field(None, description="set by the runner: the notebook it runs, for `cells`")
    timeout_s: int = Field(21600, ge=1, description="longest time a run of a training notebook may take")
    cell_timeout_s: int = Field(3600, ge=1, description="longest time one cell of a training notebook may take")
    load_timeout_s: float = Field(60, gt=0, description="longest time a just exported model may take to load again")
    max_output_bytes: int = Field(
        10485760, ge=1024, description="most that is kept of what a run prints, and again of what it displays"
    )
    max_printed_bytes: int = Field(1073741824, ge=1024, description="output at which a run is ended")

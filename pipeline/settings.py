"""The settings of the side that makes artifacts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import Field

from contract.limits import Limits
from contract.manifest import Policy
from contract.settings import PREFIX, Settings
from contract.signing import Signer
from contract.store import Store


class TrainSettings(Settings):
    """How notebooks are run."""

    prefix = PREFIX + "TRAIN_"

    stage: Path | None = Field(None, description="set by the runner for the notebook it runs: where `export` writes")
    notebook: Path | None = Field(None, description="set by the runner: the notebook it runs, for `cells`")
    signing_key: Path | None = Field(
        None, description="private key that signs what is published; `lectern signing new` makes one"
    )
    timeout_s: int = Field(21600, ge=1, description="longest time a run of a training notebook may take")
    cell_timeout_s: int = Field(3600, ge=1, description="longest time one cell of a training notebook may take")
    promote: Policy = Field(
        "if-better",
        description="when a new version becomes the champion: `if-better` (it is not worse), `always`, `never`",
    )
    tolerance: float = Field(0, ge=0, description="how much worse the deciding metric may be, in its own unit")
    limits: str | None = Field(
        None, description="what a candidate has to reach besides, as `accuracy>=0.9; sex: accuracy>=0.8`"
    )
    load_timeout_s: float = Field(60, gt=0, description="longest time a just exported model may take to load again")
    max_output_bytes: int = Field(
        10485760, ge=1024, description="most that is kept of what a run prints, and again of what it displays"
    )
    max_printed_bytes: int = Field(1073741824, ge=1024, description="output at which a run is ended")

    @classmethod
    def here(cls, store: Store | Path | str | None = None) -> Self:
        """The settings of this process, of which the store may be given: itself, or its folder.

        Raises:
            SettingsRefused: a variable LECTERN_TRAIN_… of the environment is unknown or has an unusable value.
        """
        root = store.root if isinstance(store, Store) else None if store is None else Path(store)
        return cls.read(os.environ, store=root)

    @property
    def loading(self) -> Limits:
        """What a version may cost that is loaded to be tried or compared."""
        return Limits(self.load_timeout_s, self.load_timeout_s, pickle=self.pickle or "any")

    def signer(self) -> Signer | None:
        """What signs the versions that are published, if they are to be signed.

        Raises:
            KeyRefused: the key is missing, or cannot sign.
        """
        return None if self.signing_key is None else Signer.read(self.signing_key)

"""The settings of the service."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from contract.limits import LEAST_MEMORY, Limits, PicklePolicy, usual_memory
from contract.settings import PREFIX, Settings

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class ServeSettings(Settings):
    """How the service listens, what it loads and what it accepts."""

    prefix = PREFIX
    foreign = (PREFIX + "TRAIN_", PREFIX + "URL", PREFIX + "API_KEY")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    socket: Path | None = Field(None, description="unix socket to listen on instead of an address")
    workers: int = Field(1, ge=1, le=64, description="server processes; each loads every model")
    default_model: str | None = Field(None, description="model behind `/predict`; the only one when not set")
    poll_s: Seconds = Field(0.25, description="how often the store is looked at for new versions")
    load_timeout_s: Seconds = Field(60, description="longest time a model may take to load")
    predict_timeout_s: Seconds = Field(30, description="longest time a model may take to answer a request")
    environment: Literal["warn", "refuse"] = Field(
        "warn", description="what to do with a joblib model that another Python or scikit-learn fitted"
    )
    model_memory_bytes: int = Field(
        default_factory=usual_memory,
        ge=LEAST_MEMORY,
        description="most memory the process of a model may take; half of the machine's when not set",
    )
    pinned_versions: int = Field(
        4, ge=1, description="versions kept loaded beside the champions because a request named them"
    )
    pinned_bytes: int = Field(1 << 30, ge=1, description="most bytes of their model files together")
    pinned_idle_s: Seconds = Field(600, description="how long one of them stays loaded when nobody asks for it")
    shared_folder: Path | None = Field(
        None, description="private folder in which the workers of one service share what they count"
    )
    log: Path | None = Field(None, description="file that it prints to, where `serving.start()` began it")
    max_body_bytes: int = Field(16 << 20, gt=0, description="largest body of a request")
    max_rows: int = Field(10_000, gt=0, description="most rows in one request")

    def variables(self) -> dict[str, str]:
        """The environment that says the same to another process."""
        return {self.variable(name): str(getattr(self, name)) for name in self.model_fields_set}

    @property
    def local(self) -> bool:
        """Whether it is reached from this machine only."""
        return self.socket is not None or only_this_machine(self.host)

    @property
    def limits(self) -> Limits:
        """What a version may cost, and which pickles are loaded."""
        usual: PicklePolicy = "any" if self.local else "known"
        return Limits(self.load_timeout_s, self.predict_timeout_s, self.model_memory_bytes, self.pickle or usual)


def only_this_machine(host: str) -> bool:
    """Whether what listens on `host` is reached from the same machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

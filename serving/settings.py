"""The settings of the service."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from contract.limits import LEAST_MEMORY, Limits, PicklePolicy, usual_memory
from contract.settings import PREFIX
from serving.limiting.settings import LimitSettings
from serving.slots import usual_slots
from serving.transport.settings import TransportSettings

DATABASES = ("postgresql://", "postgres://", "sqlite:///")
"""How the address of a prediction log may begin."""

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Share = Annotated[float, Field(ge=0, le=1)]
LogFormat = Literal["auto", "text", "json"]


class ServeSettings(TransportSettings, LimitSettings):
    """How the service listens, what it loads and what it accepts."""

    prefix = PREFIX
    foreign = (PREFIX + "TRAIN_", PREFIX + "URL", PREFIX + "API_KEY")

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    socket: Path | None = Field(None, description="unix socket to listen on instead of an address")
    workers: int = Field(1, ge=1, le=64, description="server processes; each loads every model")
    default_model: str | None = Field(None, description="model behind `/predict`; the only one when not set")
    strict_readiness: bool = Field(
        False,
        description="whether `/health/ready` is 503 also while the service is degraded, as where a model does not "
        "answer",
    )
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
    keys: Path | None = Field(
        None,
        description="file with the keys of callers, which `lectern keys add` writes; when not set, "
        "`~/.config/lectern/keys.json` where others than this machine reach the service",
    )
    token_secret: Path | None = Field(
        None, description="file with the secret, of 32 bytes or more, that signs the tokens of callers (HS256)"
    )
    token_keys: Path | None = Field(
        None, description="file with the public keys that check the tokens of callers: PEM, or a JWKS document"
    )
    token_audience: str | None = Field(None, description="audience that the tokens of callers have to name")
    token_issuer: str | None = Field(None, description="issuer that the tokens of callers have to name")
    insecure: bool = Field(
        False, description="whether anybody may ask, without a key, where others than this machine reach the service"
    )
    prediction_log: str | None = Field(
        None,
        description="where answers are logged: an SQLite file, a `postgresql://` address, or `none`; "
        "`.log/predictions.sqlite` in the store when not set",
    )
    log_inputs: Literal["none", "hash", "full"] = Field(
        "hash", description="what the log keeps of inputs and callers' addresses: `none`, a keyed `hash`, or `full`"
    )
    log_key: Path | None = Field(
        None, description="file with the secret of these hashes; the log makes one beside itself when not set"
    )
    log_days: int = Field(30, ge=0, le=36_500, description="days for which the log keeps what it holds; 0 keeps it all")
    log_queue_rows: int = Field(
        10_000, ge=1, description="most rows that wait to be logged; what comes beyond them is counted as dropped"
    )
    log_format: LogFormat = Field(
        "auto",
        description="how the service's own log is written: `text`, or `json` lines; `auto` is JSON where a pipe or a "
        "socket takes it, else text",
    )
    access_log_share: Share = Field(
        0, description="share of the requests that get a line in it; above 0, those that fail (5xx) all do"
    )
    trace_to: str | None = Field(
        None, description="where traces of predictions are sent, as OTLP over HTTP: `http://collector:4318/v1/traces`"
    )
    trace_share: Share = Field(
        1, description="share of the requests that are traced; who traces its own request decides that itself"
    )
    drift_level: float = Field(
        0.01, gt=0, lt=1, description="how often chance may raise an alarm of drift: the share of windows of a version"
    )
    drift_psi: float = Field(
        0.1, ge=0, description="population stability index below which a field raises no alarm, however sure it is"
    )
    drift_window_rows: int = Field(
        1000, ge=100, le=1_000_000, description="rows of a version that are held against its baseline, the newest"
    )
    drift_window_s: float = Field(
        86_400, gt=0, le=31_622_400, description="how far back the rows go where drift is asked for by time"
    )
    drift_webhook: str | None = Field(
        None, description="address that is told of new alarms of drift, by a POST of JSON that holds no input"
    )
    max_body_bytes: int = Field(16 << 20, gt=0, description="largest body of a request")
    max_rows: int = Field(10_000, gt=0, description="most rows in one request")
    queue_requests: int = Field(
        256,
        ge=1,
        description="most requests of one version that are worked on or wait, in each worker; more are refused (503)",
    )
    slots: int = Field(
        default_factory=usual_slots,
        ge=1,
        le=64,
        description="large requests of one version that are worked on at once, in each worker; "
        "one for each core that the process may use, from 2 to 8, when not set",
    )
    bodies_bytes: int = Field(
        256 << 20, ge=1, description="most bytes of large bodies that a worker holds at once; more are refused (503)"
    )
    streams: int = Field(32, ge=1, description="most streams that a worker answers at once; more are refused (503)")
    drain_s: float = Field(
        1,
        ge=0,
        le=600,
        description="how long it still answers after SIGTERM while it says it is not ready; Ctrl-C does not wait",
    )
    finish_s: Seconds = Field(
        30, description="how long it waits in the end for requests that it is at; those not done by then get 503"
    )
    silent_worker_s: Seconds = Field(
        20, description="how long a worker may be stuck before it is replaced, where there are several"
    )
    max_text_chars: int = Field(100_000, gt=0, description="longest text in a field of texts")
    unseen: Literal["warn", "refuse"] = Field(
        "warn",
        description="what to do with a row that has a number outside the range, or a text, that the model never saw: "
        "`warn` or `refuse`",
    )

    @field_validator("prediction_log")
    @classmethod
    def _is_a_database(cls, given: str | None) -> str | None:
        if given and "://" in given and (not given.startswith(DATABASES) or given in DATABASES):
            raise PydanticCustomError("no_database", f"give a file, none, or an address: {'…, '.join(DATABASES)}…")
        return given

    @field_validator("trace_to")
    @classmethod
    def _can_be_sent_to(cls, given: str | None) -> str | None:
        if given is not None and not is_web_address(given):
            raise PydanticCustomError("no_address", "give an address with http:// or https://, and a host")
        return given

    @field_validator("drift_webhook")
    @classmethod
    def _is_of_the_web(cls, given: str | None) -> str | None:
        if given is not None and ("@" in given or not is_web_address(given)):
            raise PydanticCustomError("no_address", "give an address with http:// or https:// and a host, and no user")
        return given

    def variables(self) -> dict[str, str]:
        """The environment that says the same to another process."""
        return {self.variable(name): str(getattr(self, name)) for name in self.model_fields_set}

    @property
    def local(self) -> bool:
        """Whether it is reached from this machine only."""
        return self.socket is not None or only_this_machine(self.host)

    @property
    def locked(self) -> bool:
        """Whether who asks has to say who that is."""
        return self.keys is not None or self.tokens or not (self.local or self.insecure)

    @property
    def tokens(self) -> bool:
        """Whether tokens of callers are believed."""
        return self.token_secret is not None or self.token_keys is not None

    @property
    def limits(self) -> Limits:
        """What a version may cost, and which pickles are loaded."""
        usual: PicklePolicy = "any" if self.local else "known"
        return Limits(self.load_timeout_s, self.predict_timeout_s, self.model_memory_bytes, self.pickle or usual)


def is_web_address(text: str) -> bool:
    """Whether something can be sent there over HTTP."""
    try:
        url = urlsplit(text)
        plain = text.isascii() and text.isprintable() and not set(text) & set(" \\")  # nobody reads it otherwise
        return plain and url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def only_this_machine(host: str) -> bool:
    """Whether what listens on `host` is reached from the same machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

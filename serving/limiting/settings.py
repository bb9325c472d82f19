"""The settings of limiting: how much who may ask for, and how much of a score is told."""

from __future__ import annotations

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from contract.settings import Settings
from serving.limiting.rules import parse

REDIS = ("redis://", "rediss://", "unix://")
"""How the address of a Redis may begin."""


class LimitSettings(Settings):
    """What of the service's settings is about how much is too much for one."""

    limit_per_caller: str | None = Field(
        None,
        description="most requests for predictions of a key, as `100/second; 50000/day`; of an address where no key is "
        "asked for",
    )
    limit_per_address: str | None = Field(
        None, description="most requests of an address, whatever they ask for and with which key"
    )
    quota_rows: str | None = Field(
        None, description="most rows that are answered for a key, as `100000/day`; for an address likewise"
    )
    limit_failed_keys: str = Field(
        "30/minute",
        description="most wrong keys of an address, where keys are asked for; each worker counts its own, unless "
        "there is a limits store",
    )
    limits_store: str | None = Field(
        None, description="Redis in which several workers count together: `redis://`, `rediss://` or `unix://`"
    )
    round_scores: int | None = Field(
        None, ge=0, le=15, description="decimal places to which probabilities and other scores are rounded"
    )
    top_scores: int | None = Field(
        None, ge=1, description="most classes whose probabilities or scores are answered, the largest; all when not set"
    )

    @field_validator("limit_per_caller", "limit_per_address", "quota_rows", "limit_failed_keys")
    @classmethod
    def _are_rules(cls, given: str | None) -> str | None:
        try:
            return given if given is None or parse(given) else None
        except ValueError as error:
            raise PydanticCustomError("no_limit", "{reason}", {"reason": str(error)}) from None

    @field_validator("limits_store")
    @classmethod
    def _is_redis(cls, given: str | None) -> str | None:
        if given is not None and not any(given.startswith(begin) and given != begin for begin in REDIS):
            raise PydanticCustomError("no_redis", f"give an address of Redis: {'…, '.join(REDIS)}…")
        return given

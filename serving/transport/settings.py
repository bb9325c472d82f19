"""The settings of the transport: what may come, how slowly, from where, and under which names."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from contract.settings import Settings

Patience = Annotated[float, Field(gt=0, le=3_600)]
ANY = "*"
"""Stands for all names, or all origins."""
_NAME = re.compile(r"\*|(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.IGNORECASE)


class TransportSettings(Settings):
    """What of the service's settings is about connections."""

    head_timeout_s: Patience = Field(10, description="longest time in which the head of a request has to come")
    body_timeout_s: Patience = Field(
        30, description="longest time in which a body may stand still, or come with fewer than 100 bytes a second"
    )
    answer_timeout_s: Patience = Field(30, description="longest time for which a caller may leave an answer unread")
    keep_alive_s: Patience = Field(
        75, description="how long a connection stays open between requests; longer than a proxy keeps its own"
    )
    max_connections: int = Field(
        2_500, ge=1, le=1_000_000, description="most connections of a worker; more are answered on `/health` only"
    )
    address_connections: int | None = Field(
        None,
        ge=1,
        description="most of them from one address; 500 when not set, but any number on this machine alone or behind "
        "a trusted proxy",
    )
    max_head_bytes: int = Field(32 << 10, ge=1024, description="largest head of a request: its address and headers")
    max_headers: int = Field(100, ge=10, description="most headers of a request")
    max_url_bytes: int = Field(8 << 10, ge=256, description="longest address of a request")
    hosts: str | None = Field(
        None,
        description="names under which it answers beside `localhost` and addresses, as `api.example.org, *.b.org`; "
        "`*` is any; when not set, none while it listens on this machine only, else any",
    )
    trusted_proxies: str | None = Field(
        None,
        description="proxies whose `X-Forwarded-For` and `-Proto` are believed, as `10.0.0.5, 10.1.0.0/16`; `unix`: "
        "whoever reaches the unix socket",
    )
    cors_origins: str | None = Field(
        None, description="origins whose pages may read the answers, as `https://app.example.org`; `*`: all"
    )
    cors_credentials: bool = Field(False, description="whether those pages may send what the browser knows of its user")
    tls_certificate: Path | None = Field(None, description="certificate, and those between it and its root, as PEM")
    tls_key: Path | None = Field(None, description="its key, as PEM; with both, the service speaks HTTPS")
    https_only: bool = Field(
        False, description="whether plain HTTP is sent to HTTPS, where a trusted proxy says that it was plain"
    )
    hsts_s: int = Field(
        0, ge=0, le=63_072_000, description="how long browsers shall come by HTTPS only, told by HTTPS; 0 says nothing"
    )

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, given: str | None) -> str | None:
        return _checked(
            given, lambda one: bool(_NAME.fullmatch(one)), "names without a port, as api.example.org, and commas"
        )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, given: str | None) -> str | None:
        return _checked(given, _is_network, "addresses or networks, as 10.0.0.5 or 10.1.0.0/16, and commas")

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, given: str | None) -> str | None:
        return _checked(given, _is_origin, "origins, as https://app.example.org, and commas; or * alone")

    @field_validator("cors_credentials")
    @classmethod
    def _are_of_known_origins(cls, allowed: bool, known: ValidationInfo) -> bool:
        if allowed and ANY in (known.data.get("cors_origins") or ""):
            told = "name the pages in LECTERN_CORS_ORIGINS: with *, any site could ask in the name of its visitors"
            raise PydanticCustomError("all_origins", told)
        return allowed


def listed(text: str) -> list[str]:
    """What stands between commas."""
    return [one for part in text.split(",") if (one := part.strip())]


def _checked(given: str | None, fits: Callable[[str], bool], wanted: str) -> str | None:
    if given is not None and not (listed(given) and all(map(fits, listed(given)))):
        raise PydanticCustomError("no_list", "give {wanted}", {"wanted": wanted})
    return given


def _is_network(text: str) -> bool:
    try:
        return text == "unix" or ip_network(text).prefixlen > 0
    except ValueError:
        return False


def _is_origin(text: str) -> bool:
    if text == ANY:
        return True
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and text == f"{url.scheme}://{url.netloc}"
    except ValueError:
        return False

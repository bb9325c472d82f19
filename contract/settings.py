"""Settings: how a frozen class of them is read from the environment, once, and where each value came from."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from contract.errors import SettingsRefused
from contract.limits import PicklePolicy
from contract.store import Store

PREFIX = "LECTERN_"
_PASSWORD = re.compile("(://[^/@:]*):[^/]*@")


class Settings(BaseModel):
    """What both sides set; a side's own class adds fields, each with a default and a description."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: ClassVar[str] = PREFIX
    """How the names of the fields that a subclass adds begin in the environment."""
    foreign: ClassVar[tuple[str, ...]] = ()
    """How the names begin that belong to another side."""

    store: Path | None = Field(None, description="folder of all artifacts; the nearest `artifacts/` when not set")
    pickle: PicklePolicy | None = Field(
        None,
        description="which joblib models are loaded: `never` any, only of `known` types, or `any`; "
        "when not set, `any` while the service listens on this machine only, else `known`",
    )
    trusted_keys: Path | None = Field(
        None, description="public key whose signatures of versions are believed, or folder of such keys"
    )
    require_signature: bool = Field(False, description="whether a version answers only if a trusted key signed it")

    @field_validator("require_signature")
    @classmethod
    def _can_be_checked(cls, required: bool, known: ValidationInfo) -> bool:
        if required and known.data.get("trusted_keys") is None:
            raise PydanticCustomError("no_keys", "set LECTERN_TRUSTED_KEYS too, the keys to check signatures with")
        return required

    def open_store(self) -> Store:
        """The store these settings name."""
        return Store(self.store) if self.store else Store.nearest(Path.cwd())

    @classmethod
    def read(cls, environment: Mapping[str, str], **given: Any) -> Self:
        """Build the settings from the environment; what is `given` (and not None) goes before it.

        Raises:
            SettingsRefused: a name is unknown, or a value does not fit.
        """
        known = {cls.variable(field): field for field in cls.model_fields}
        for name in environment:
            if name.startswith(cls.prefix) and name not in known and not name.startswith(cls.foreign):
                raise SettingsRefused(f"{name} is no setting{_nearest(name, known)}.")
        values = {field: environment[name] for name, field in known.items() if environment.get(name)}
        try:
            return cls(**values | {field: value for field, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field, found = str(first["loc"][0]), _shown(first["input"])
            raise SettingsRefused(f"{cls.variable(field)}={found} does not do: {first['msg']}.") from None

    @classmethod
    def variable(cls, field: str) -> str:
        """The environment variable of a field."""
        return (PREFIX if field in Settings.model_fields else cls.prefix) + field.upper()

    def table(self, environment: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
        """Name, value, source and description of every setting."""
        rows = []
        for field, info in type(self).model_fields.items():
            name = self.variable(field)
            source = self._source(field, environment.get(name, ""))
            rows.append((name, _shown(getattr(self, field)), source, info.description or ""))
        return rows

    def _source(self, field: str, text: str) -> str:
        if field not in self.model_fields_set:
            return "default"
        try:
            same = bool(text) and getattr(type(self)(**{field: text}), field) == getattr(self, field)
        except ValidationError:
            same = False
        return "environment" if same else "command line"


def _shown(value: object) -> str:
    """A value without the password of an address."""
    return _PASSWORD.sub(r"\1:***@", str(value))


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}" if near else ""

"""The file of keys of callers: what each may do. It holds no key, only the SHA-256 of its secret."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from contract.errors import AccessRefused
from contract.names import check_model_name
from serving.access.caller import ALL, Right, granted
from serving.access.followed import content_of
from serving.access.keys import ID_BYTES, PREFIX, SECRET_BYTES, Keyring, Known

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")

State = Literal["valid", "expired", "revoked"]


class Key(BaseModel):
    """One key, as the file has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = Field(pattern=f"^[0-9a-f]{{{2 * ID_BYTES}}}$")
    name: Annotated[str, Field(min_length=1, max_length=64)]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    rights: dict[str, list[Right]]
    created: AwareDatetime
    expires: AwareDatetime | None = None
    revoked: AwareDatetime | None = None

    @property
    def state(self) -> State:
        """Whether it opens anything."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= datetime.now(UTC) else "valid"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1] = 1
    keys: list[Key] = []


def usual_file() -> Path:
    """Where keys are kept unless somebody says otherwise: not in the store, as who trains may write there."""
    return Path.home() / ".config" / "lectern" / "keys.json"


def keyring(content: bytes, path: Path) -> Keyring:
    """The keys of a file that are not revoked.

    Raises:
        AccessRefused: it is no file of keys.
    """
    return {
        key.id.encode(): Known(
            key.name,
            bytes.fromhex(key.sha256),
            granted(key.rights),
            key.expires.timestamp() if key.expires else float("inf"),
        )
        for key in _read(content, path)
        if key.revoked is None
    }


def listed(path: Path) -> list[Key]:
    """All keys of a file, the oldest first; none where there is no file.

    Raises:
        AccessRefused: it cannot be read, or is no file of keys.
    """
    return _read(content_of(path), path) if path.exists() else []


def add(
    path: Path, name: str, rights: Sequence[Right], models: Sequence[str] = (), lasts_s: float | None = None
) -> tuple[Key, str]:
    """Make a key, and return it with what its owner is to send.

    Args:
        path: of the file, which is made where there is none.
        name: of who is to use it.
        rights: what they may do.
        models: with which models; all, also those to come, where none is named.
        lasts_s: after how long it expires.

    Raises:
        AccessRefused: it cannot be called that, or not be written.
        NameRefused: no model can be called that.
    """
    if not _NAME.fullmatch(name):
        raise AccessRefused(f"No key can be called '{name[:80]}': give up to 64 letters, digits, '.', '_', '@', '-'.")
    secret, now = secrets.token_urlsafe(SECRET_BYTES), datetime.now(UTC)
    key = Key(
        id=secrets.token_hex(ID_BYTES),
        name=name,
        sha256=hashlib.sha256(secret.encode()).hexdigest(),
        rights={model: list(rights) for model in [check_model_name(model) for model in models] or [ALL]},
        created=now,
        expires=None if lasts_s is None else now + timedelta(seconds=lasts_s),
    )

    def added(before: list[Key]) -> Iterable[Key]:
        if any(other.name == name and other.state == "valid" for other in before):
            raise AccessRefused(f"{path} has a key '{name}' already: revoke it first, or take another name.")
        return [*before, key]

    _change(path, added)
    return key, f"{PREFIX.decode()}{key.id}_{secret}"


def revoke(path: Path, named: str) -> list[Key]:
    """Revoke the keys of a name, or the one of an id; return those that were valid until now.

    Raises:
        AccessRefused: there is none such, or the file cannot be written.
    """
    revoked: list[Key] = []

    def changed(before: list[Key]) -> Iterable[Key]:
        meant = [key for key in before if named in (key.name, key.id) and key.revoked is None]
        if not meant:
            raise AccessRefused(f"{path} has no key '{named[:80]}' that is not revoked; `lectern keys list` has them.")
        revoked.extend(meant)
        now = datetime.now(UTC)
        return [key.model_copy(update={"revoked": now}) if key in meant else key for key in before]

    _change(path, changed)
    return revoked


def _read(content: bytes, path: Path) -> list[Key]:
    try:
        return _File.model_validate_json(content).keys
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise AccessRefused(f"{path} is no file of `lectern keys`: {place} {first['msg']}.") from None


def _change(path: Path, change: Callable[[list[Key]], Iterable[Key]]) -> None:
    """Put a changed file in place of the one there is, whole, while nobody else does."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(path.parent):
            content = _File(keys=[*change(listed(path))]).model_dump_json(indent=1).encode()
            descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # for its owner only
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(descriptor)
                Path(beside).replace(path.resolve())
            except BaseException:
                Path(beside).unlink()
                raise
    except OSError as error:
        raise AccessRefused(f"{path} cannot be written: {error.strerror}.") from None


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let nobody else write a file of keys here; what was renamed in it is durable at the end."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

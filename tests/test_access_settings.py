"""serving.access.door as the settings have it hung: which of them contradict each other, and that it follows files."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from contract.errors import AccessRefused, SettingsRefused
from serving.access import door as door_module
from serving.access import key_file
from serving.access import tokens as tokens_module
from serving.access.caller import CALLER
from serving.access.door import Door
from serving.access.followed import Followed
from serving.access.keys import Keyring
from serving.problems import Problem
from serving.settings import ServeSettings
from tests.live import until
from tests.locked import AUDIENCE, ISSUER, RSA, SECRET, bearer, pem, token, written
from tests.test_access_unlimited import CLIENT, scope

NAMED = {"token_audience": AUDIENCE, "token_issuer": ISSUER}


def door(**settings: Any) -> Door | None:
    return Door.of(ServeSettings(**settings))


def hung(**settings: Any) -> Door:
    found = door(**settings)
    assert found is not None
    return found


def test_what_contradicts_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file, secret = tmp_path / "keys.json", written(tmp_path / "secret", SECRET)
    public = written(tmp_path / "public", pem(RSA))
    key_file.add(file, "ada", ["read"])
    key_file.revoke(file, "ada")
    each: list[tuple[dict[str, Any], str]] = [
        ({"host": "::"}, "^On :: others reach this service, and nobody has a key yet"),
        ({"host": "models.example.org"}, "others reach this service"),
        ({"host": "0.0.0.0", "keys": file}, "keys.json has no key that is valid, so nobody could ask"),
        ({"keys": file}, "keys.json has no key that is valid, so nobody could ask"),
        ({"insecure": True, "keys": file}, "LECTERN_INSECURE lets anybody ask, and keys or tokens are set"),
        ({"insecure": True, "token_secret": secret}, "LECTERN_INSECURE lets anybody ask, and keys or tokens are set"),
        ({"token_secret": secret, "token_keys": public}, "are both set: tokens are of one family, leave out the other"),
        ({"token_secret": secret}, "set LECTERN_TOKEN_ISSUER and LECTERN_TOKEN_AUDIENCE"),
        ({"token_secret": secret, "token_issuer": ISSUER}, "set LECTERN_TOKEN_ISSUER and LECTERN_TOKEN_AUDIENCE"),
        ({"token_secret": secret, "token_audience": AUDIENCE}, "set LECTERN_TOKEN_ISSUER and LECTERN_TOKEN_AUDIENCE"),
    ]
    for settings, told in each:
        with pytest.raises(SettingsRefused, match=told):
            door(**settings)
    opened = [{}, {"socket": tmp_path / "s", "host": "0.0.0.0"}, {"host": "0.0.0.0", "insecure": True}]
    assert [door(**one) for one in opened] == [None, None, None]
    for settings in (
        {"token_secret": secret},
        {"token_keys": public, "host": "0.0.0.0"},
        {"token_secret": secret, "keys": file},
    ):
        assert hung(**settings, **NAMED).locked
    key_file.add(tmp_path / ".config" / "lectern" / "keys.json", "ada", ["read"])
    assert door() is None
    assert hung(host="0.0.0.0").locked


def test_a_key_that_ends_at_this_very_moment_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _ = key_file.add(tmp_path / "keys.json", "ada", ["read"], lasts_s=60)
    assert key.expires is not None
    moment = key.expires.timestamp()
    monkeypatch.setattr(time, "time", lambda: moment - 1)
    assert hung(keys=tmp_path / "keys.json").locked
    monkeypatch.setattr(time, "time", lambda: moment)
    with pytest.raises(SettingsRefused, match="has no key that is valid"):
        door(keys=tmp_path / "keys.json")


def test_without_what_checks_tokens_there_is_no_door_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens_module, "find_spec", lambda _: None)
    with pytest.raises(AccessRefused, match="what checks tokens is not installed"):
        door(token_secret=written(tmp_path / "secret", SECRET), **NAMED)


def test_who_shows_a_token_may_be_a_person_and_who_shows_a_key_is_none(tmp_path: Path) -> None:
    _, key = key_file.add(tmp_path / "keys.json", "ada", ["predict"])
    secret = written(tmp_path / "secret", SECRET)
    both = hung(keys=tmp_path / "keys.json", token_secret=secret, **NAMED)
    alone = hung(token_secret=secret, **NAMED)
    for by, shown, personal in (
        (both, key, False),
        (both, token(SECRET, "HS256"), True),
        (alone, token(SECRET, "HS256"), True),
    ):
        found = scope(**bearer(shown))
        assert by.passes(found, "iris")
        assert found[CALLER][:2] == ("ada", CLIENT[0])
        assert found[CALLER].personal is personal
    assert not alone.passes(scope(**bearer(key)), "iris")


def test_wrong_tokens_are_counted_as_wrong_keys_are(tmp_path: Path) -> None:
    secret = written(tmp_path / "secret", SECRET)
    alone = hung(token_secret=secret, limit_failed_keys="1/day", **NAMED)
    for status in (401, 429):
        with pytest.raises(Problem) as raised:
            asyncio.run(alone.enter(scope(**bearer("x")), "predict", "iris"))
        assert raised.value.status == status


def test_the_files_are_followed_until_it_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "LOOK_EVERY_S", 0.01)
    file = tmp_path / "keys.json"
    _, key = key_file.add(file, "ada", ["predict"])
    public = written(tmp_path / "public", pem(RSA))
    found = hung(keys=file, token_keys=public, **NAMED)
    assert found.trouble == ""
    found.start()
    assert [one.daemon for one in threading.enumerate() if one.name == "lectern-keys"] == [True]
    key_file.revoke(file, "ada")
    until(lambda: not found.passes(scope(**bearer(key)), "iris"))
    written(file, b"{")
    written(public, b"")
    until(lambda: found.trouble.count("What it held before counts for 300 s") == 2)
    assert "is no file of `lectern keys`" in found.trouble
    assert " holds 0 public keys" in found.trouble
    asyncio.run(found.stop())
    until(lambda: not [one for one in threading.enumerate() if one.name == "lectern-keys"])


def test_what_is_gone_counts_until_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key_file.add(tmp_path / "keys.json", "ada", ["read"])
    followed: Followed[Keyring] = Followed(tmp_path / "keys.json", key_file.keyring, {})
    (tmp_path / "keys.json").unlink()
    for moment, many in ((100.0, 1), (100.0, 1), (399.9, 1), (400.0, 0)):
        monkeypatch.setattr(time, "monotonic", lambda moment=moment: moment)
        followed.look()
        assert len(followed.value) == many


def test_a_redis_that_cannot_be_asked_is_its_trouble(tmp_path: Path) -> None:
    found = hung(limit_per_address="3/day", limits_store=f"unix://{tmp_path}/nowhere")

    async def ask() -> str:
        await found.enter(scope(), "predict", "iris")
        return found.trouble

    assert found.trouble == ""
    assert asyncio.run(ask()).startswith("Limits are counted by each worker alone, as Redis cannot be asked")

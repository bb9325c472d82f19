"""serving.prediction_log.place: what the setting says, and what nobody is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.errors import SettingsRefused
from serving.prediction_log.place import place_of
from serving.settings import ServeSettings

SECRET = "postgresql://scribe:Kanarienvogel@db.example.org:5432/watch?options=-csearch_path%3Dlectern"


def read(address: str, folder: Path) -> ServeSettings:
    return ServeSettings.read({"LECTERN_PREDICTION_LOG": address, "LECTERN_STORE": str(folder)})


@pytest.mark.parametrize(
    ("address", "file", "url", "key"),
    [
        ("", "store/.log/predictions.sqlite", "sqlite:///{}/store/.log/predictions.sqlite", "store/.log/key"),
        ("{}/a/log.db", "a/log.db", "sqlite:///{}/a/log.db", "a/key"),
        ("sqlite:///{}/a/log.db", "a/log.db", "sqlite:///{}/a/log.db", "a/key"),
        ("postgres://db/watch", None, "postgresql+psycopg://db/watch", "store/.log/key"),
        ("postgresql://db/watch", None, "postgresql+psycopg://db/watch", "store/.log/key"),
    ],
)
def test_a_place_is_a_file_or_an_address(tmp_path: Path, address: str, file: str | None, url: str, key: str) -> None:
    settings = read(address.format(tmp_path), tmp_path / "store")
    place = place_of(settings, settings.open_store())
    assert place is not None
    assert place.file == (file and tmp_path / file)
    assert (place.url, place.key) == (url.format(tmp_path), tmp_path / key)
    assert (place.asked, place.missing) == (bool(address), "")


@pytest.mark.parametrize("address", ["mysql://db/watch", "sqlite://", "sqlite:///", "postgresql://", "file:///a/b"])
def test_an_address_of_another_kind_is_refused(tmp_path: Path, address: str) -> None:
    expected = rf"^LECTERN_PREDICTION_LOG={address} does not do: give a file, none, or an address: postgresql://…, "
    with pytest.raises(SettingsRefused, match=expected):
        read(address, tmp_path)


def test_nobody_is_told_a_password(tmp_path: Path) -> None:
    settings = read(SECRET, tmp_path)
    place = place_of(settings, settings.open_store())
    shown = SECRET.replace("Kanarienvogel", "***")
    assert str(place) == shown
    rows = {name: value for name, value, _, _ in settings.table({})}
    assert rows["LECTERN_PREDICTION_LOG"] == shown
    with pytest.raises(SettingsRefused, match=r"=mysql://scribe:\*\*\*@db does not do"):
        read("mysql://scribe:Kanarienvogel@db", tmp_path)
    assert settings.variables()["LECTERN_PREDICTION_LOG"] == SECRET  # what workers need

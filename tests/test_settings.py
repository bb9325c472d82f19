"""contract.settings: read once from the environment, refused where they do not fit."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, ValidationError

from contract.errors import SettingsRefused
from contract.settings import PREFIX, Settings


class Ours(Settings):
    """The settings of a side."""

    foreign = (PREFIX + "THEIRS_",)

    port: int = Field(8000, ge=0, le=65535, description="port to listen on")
    quiet: bool = Field(False, description="whether to say nothing")
    name: str | None = None


class Theirs(Settings):
    """The settings of another side."""

    prefix = PREFIX + "THEIRS_"

    limit_s: float = Field(60, gt=0, description="longest time")


def test_without_an_environment_the_defaults_hold() -> None:
    found = Ours.read({})
    assert (found.store, found.port, found.quiet, found.name) == (None, 8000, False, None)


def test_the_environment_is_read_by_prefix_and_name() -> None:
    found = Ours.read({"LECTERN_PORT": "8080", "LECTERN_QUIET": "true", "LECTERN_STORE": "some/folder", "PORT": "1"})
    assert (found.port, found.quiet, found.store) == (8080, True, Path("some/folder"))
    assert Theirs.read({"LECTERN_THEIRS_LIMIT_S": "1.5", "LECTERN_STORE": "x"}) == Theirs(limit_s=1.5, store=Path("x"))


def test_what_is_given_goes_before_the_environment() -> None:
    environment = {"LECTERN_PORT": "8080", "LECTERN_NAME": "there"}
    found = Ours.read(environment, port=9000, name=None)
    assert (found.port, found.name) == (9000, "there")
    assert Ours.read({"LECTERN_PORT": "nonsense"}, port=9000).port == 9000


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert Ours.read({"LECTERN_PORT": "", "LECTERN_STORE": ""}) == Ours()


@pytest.mark.parametrize(
    ("environment", "given", "says"),
    [
        ({"LECTERN_PROT": "1"}, {}, "LECTERN_PROT is no setting; did you mean LECTERN_PORT."),
        ({"LECTERN_STOER": "1"}, {}, "LECTERN_STOER is no setting; did you mean LECTERN_STORE."),
        ({"LECTERN_XYZ_UVW_1234567890": "1"}, {}, "LECTERN_XYZ_UVW_1234567890 is no setting."),
        (
            {"LECTERN_PORT": "many"},
            {},
            "LECTERN_PORT=many does not do: Input should be a valid integer, unable to parse",
        ),
        ({"LECTERN_PORT": "-1"}, {}, "LECTERN_PORT=-1 does not do: Input should be greater than or equal to 0."),
        ({"LECTERN_QUIET": "perhaps"}, {}, "LECTERN_QUIET=perhaps does not do: Input should be a valid boolean"),
        ({}, {"port": 65536}, "LECTERN_PORT=65536 does not do: Input should be less than or equal to 65535."),
        ({}, {"prot": 1}, "LECTERN_PROT=1 does not do: Extra inputs are not permitted."),
    ],
)
def test_what_does_not_fit_is_refused(environment: dict[str, str], given: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        Ours.read(environment, **given)
    assert str(refused.value).startswith(says)


def test_a_side_refuses_what_is_unknown_to_it_but_not_what_is_another_sides() -> None:
    assert Ours.read({"LECTERN_THEIRS_LIMIT_S": "1", "LECTERN_THEIRS_NEW": "1"}) == Ours()
    assert Theirs.read({"LECTERN_PORT": "1"}) == Theirs()
    with pytest.raises(
        SettingsRefused, match=r"^LECTERN_THEIRS_LIMIT is no setting; did you mean LECTERN_THEIRS_LIMIT_S"
    ):
        Theirs.read({"LECTERN_THEIRS_LIMIT": "1"})


def test_settings_are_never_changed() -> None:
    with pytest.raises(ValidationError, match="Instance is frozen"):
        Ours().port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("environment", "given", "port", "quiet", "store"),
    [
        ({}, {}, ("8000", "default"), ("False", "default"), ("None", "default")),
        (
            {"LECTERN_PORT": "08080", "LECTERN_QUIET": "1", "LECTERN_STORE": "./there/"},
            {},
            ("8080", "environment"),
            ("True", "environment"),
            ("there", "environment"),
        ),
        (
            {"LECTERN_PORT": "many", "LECTERN_STORE": "there"},
            {"port": 9000, "quiet": True, "store": Path("here")},
            ("9000", "command line"),
            ("True", "command line"),
            ("here", "command line"),
        ),
    ],
)
def test_the_table_says_where_each_value_came_from(
    environment: dict[str, str],
    given: dict[str, Any],
    port: tuple[str, str],
    quiet: tuple[str, str],
    store: tuple[str, str],
) -> None:
    shared = {Settings.variable(field) for field in Settings.model_fields} - {"LECTERN_STORE"}
    table = Ours.read(environment, **given).table(environment)
    assert [row for row in table if row[0] not in shared] == [
        ("LECTERN_STORE", *store, "folder of all artifacts; the nearest `artifacts/` when not set"),
        ("LECTERN_PORT", *port, "port to listen on"),
        ("LECTERN_QUIET", *quiet, "whether to say nothing"),
        ("LECTERN_NAME", "None", "default", ""),
    ]


def test_the_store_is_the_one_that_is_set_else_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Ours(store=tmp_path / "there").open_store().root == tmp_path / "there"
    assert Ours().open_store().root == tmp_path / "artifacts"

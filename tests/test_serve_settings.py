"""serving.settings: what can be set, from where, and what is refused."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from contract.errors import SettingsRefused
from serving.settings import ServeSettings

UNITS = (
    *("_connections", "_headers", "_s", "_rows", "_bytes", "_versions", "_share", "_days", "_requests", "_chars"),
    *("slots", "streams"),
)


def test_without_a_word_it_suits_a_laptop() -> None:
    settings = ServeSettings.read({"PATH": "/bin", "HOME": "/root"})
    assert (settings.host, settings.port, settings.workers, settings.default_model) == ("127.0.0.1", 8000, 1, None)
    assert settings == ServeSettings()


def test_they_never_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ServeSettings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", ServeSettings.model_fields)
def test_each_is_described_and_names_its_unit(name: str) -> None:
    field = ServeSettings.model_fields[name]
    assert field.description
    if field.annotation in (int, float) and name not in ("port", "workers", "drift_level", "drift_psi"):
        assert name.endswith(UNITS)


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("LECTERN_HOST", "0.0.0.0", "0.0.0.0"),
        ("LECTERN_PORT", "5000", 5000),
        ("LECTERN_SOCKET", "/run/lectern.sock", Path("/run/lectern.sock")),
        ("LECTERN_WORKERS", "2", 2),
        ("LECTERN_DEFAULT_MODEL", "iris", "iris"),
        ("LECTERN_STORE", "/srv/models", Path("/srv/models")),
        ("LECTERN_POLL_S", "0.5", 0.5),
        ("LECTERN_LOAD_TIMEOUT_S", "5", 5.0),
        ("LECTERN_PREDICT_TIMEOUT_S", "1.5", 1.5),
        ("LECTERN_PINNED_VERSIONS", "1", 1),
        ("LECTERN_MAX_BODY_BYTES", "1000", 1000),
        ("LECTERN_MAX_ROWS", "10", 10),
    ],
)
def test_the_environment_sets_it(variable: str, text: str, value: object) -> None:
    field = variable.removeprefix("LECTERN_").lower()
    assert getattr(ServeSettings.read({variable: text}), field) == value
    assert getattr(ServeSettings.read({variable: ""}), field) == getattr(ServeSettings(), field)


def test_what_is_given_goes_before_the_environment() -> None:
    settings = ServeSettings.read({"LECTERN_PORT": "1", "LECTERN_HOST": "::1"}, port=2, host=None)
    assert (settings.port, settings.host) == (2, "::1")


def test_a_socket_is_reached_from_this_machine_only() -> None:
    assert not ServeSettings(host="0.0.0.0").local
    assert ServeSettings(host="0.0.0.0", socket=Path("s")).local
    assert ServeSettings(host="0.0.0.0", socket=Path("s")).limits.pickle == "any"


@pytest.mark.parametrize(
    ("variable", "suggestion"),
    [
        ("LECTERN_PROT", "LECTERN_PORT"),
        ("LECTERN_WORKER", "LECTERN_WORKERS"),
        ("LECTERN_STOER", "LECTERN_STORE"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(variable: str, suggestion: str) -> None:
    with pytest.raises(SettingsRefused, match=rf"^{variable} is no setting; did you mean {suggestion}\.$"):
        ServeSettings.read({variable: "1"})


def test_the_names_of_others_are_theirs() -> None:
    others = {"LECTERN_TRAIN_CELL_TIMEOUT_S": "1", "LECTERN_URL": "http://localhost:1", "lectern_port": "1"}
    assert ServeSettings.read(others) == ServeSettings()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LECTERN_PORT", "http"),
        ("LECTERN_PORT", "65536"),
        ("LECTERN_PORT", "-1"),
        ("LECTERN_WORKERS", "0"),
        ("LECTERN_WORKERS", "65"),
        ("LECTERN_POLL_S", "0"),
        ("LECTERN_LOAD_TIMEOUT_S", "-1"),
        ("LECTERN_PREDICT_TIMEOUT_S", "nan"),
        ("LECTERN_PREDICT_TIMEOUT_S", "inf"),
        ("LECTERN_PINNED_VERSIONS", "0"),
        ("LECTERN_MAX_BODY_BYTES", "1.5"),
        ("LECTERN_MAX_ROWS", "0"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(variable: str, text: str) -> None:
    with pytest.raises(SettingsRefused, match=f"^{variable}={re.escape(text)} does not do: Input should be "):
        ServeSettings.read({variable: text})


def printed(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("LECTERN_")}
    command = [sys.executable, "-m", "serving", *arguments]
    return subprocess.run(command, env=own | variables, capture_output=True, text=True, timeout=60, check=False)


def test_they_can_be_printed_with_value_and_source() -> None:
    done = printed("--settings", "--port", "5000", "--model", "iris", LECTERN_STORE="somewhere/", LECTERN_POLL_S="0.50")
    rows = [re.split(r"\s{2,}", line, maxsplit=3) for line in done.stdout.splitlines()]
    assert done.stderr == ""
    assert done.returncode == 0
    assert [row[0] for row in rows] == [ServeSettings.variable(field) for field in ServeSettings.model_fields]
    found = {row[0]: (row[1], row[2]) for row in rows}
    assert found["LECTERN_PORT"] == ("5000", "command line")
    assert found["LECTERN_DEFAULT_MODEL"] == ("iris", "command line")
    assert found["LECTERN_STORE"] == ("somewhere", "environment")
    assert found["LECTERN_POLL_S"] == ("0.5", "environment")
    assert found["LECTERN_HOST"] == ("127.0.0.1", "default")
    assert [row[3] for row in rows] == [field.description for field in ServeSettings.model_fields.values()]


@pytest.mark.parametrize(
    ("arguments", "variables", "line"),
    [
        (["--settings"], {"LECTERN_PROT": "1"}, "LECTERN_PROT is no setting; did you mean LECTERN_PORT."),
        (["--port=70000"], {}, "LECTERN_PORT=70000 does not do: Input should be less than or equal to 65535."),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_1(arguments: list[str], variables: dict[str, str], line: str) -> None:
    done = printed(*arguments, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"lectern: {line}\n")

"""`make browser`: a browser is installed where that can be, and nothing else fails where it cannot."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import browsing
from tests.checkouts import ROOT

NEEDED = ("env", "grep", "make", "mkdir", "sh", "tail", "touch", "true")
LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder with the Makefile, and in `bin` all the commands there are; the user is root."""
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in NEEDED:
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    command(tmp_path, "id", "echo 0")
    command(tmp_path, "sleep")
    return tmp_path


def command(machine: Path, name: str, *lines: str) -> None:
    path = machine / "bin" / name
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)


def make(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "PYTHON=true", *arguments],
        cwd=machine,
        env={"PATH": str(machine / "bin")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_tests_look_for_the_same_browsers() -> None:
    [names] = re.findall(r"^browsers = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert tuple(names.split()) == browsing.BROWSERS


@pytest.mark.parametrize("name", browsing.BROWSERS)
def test_a_machine_with_a_browser_is_left_as_it_is(machine: Path, name: str) -> None:
    command(machine, "apt-get", "exit 1")
    command(machine, name)
    done = make(machine, "browser")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("user", ["root", "somebody"])
def test_debian_gets_a_browser_without_a_question_and_in_silence(machine: Path, user: str) -> None:
    if user == "somebody":
        command(machine, "id", "echo 1000")
        command(machine, "sudo", 'test "$1" = -n || exit 1', "shift", 'SUDO=1 exec "$@"')
    bin_ = machine / "bin"
    command(
        machine,
        "apt-get",
        f'echo "$SUDO $DEBIAN_FRONTEND $*" >> {machine}/asked',
        f'case "$*" in *install*) test -e {machine}/twice || {{ echo >> {machine}/once; echo "{LOCKED}"; '
        f'case "$*" in *shell) ;; *) touch {machine}/twice;; esac; exit 100; }}',
        f"  touch {bin_}/chromium; /bin/chmod +x {bin_}/chromium;; esac",
    )
    done = make(machine, "browser")
    assert (done.returncode, done.stdout, done.stderr) == (0, "Browser: installing Chromium (apt-get)\n", "")
    asked = (machine / "asked").read_text().splitlines()
    before = "1" if user == "somebody" else ""
    packages = ["update", "chromium-headless-shell", "chromium", "update", "chromium-headless-shell"]
    assert [line.split()[-1] for line in asked] == packages, "a lock is waited for"
    assert all(line.startswith(f"{before} noninteractive --yes ") for line in asked)
    assert " install --no-install-recommends fonts-dejavu-core fonts-liberation " in asked[-1]
    assert make(machine, "browser").stdout == ""


def test_a_failure_is_told_with_its_end_and_stops_only_who_asked_for_a_browser(machine: Path) -> None:
    (machine / ".venv" / "bin").mkdir(parents=True)
    (machine / ".venv" / "bin" / "pytest").write_text("#!/bin/sh\necho tests run\n")
    (machine / ".venv" / "bin" / "pytest").chmod(0o755)
    command(machine, "getconf", "echo 1")
    command(
        machine, "apt-get", "echo first", "for n in 1 2 3 4 5; do echo; echo; echo; echo; done", "echo last; exit 100"
    )
    told = f"lectern: there is no browser on the PATH ({' '.join(browsing.BROWSERS)}), so the tests of pages"
    done = make(machine, "unit")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "tests run")
    assert "first" not in done.stderr
    assert "last" in done.stderr.splitlines()
    assert told in done.stderr
    assert make(machine, "browser").returncode != 0


def test_neither_is_tried_without_the_right_or_without_debian(machine: Path) -> None:
    without = make(machine, "browser")
    command(machine, "apt-get", f"touch {machine}/asked")
    command(machine, "id", "echo 1000")
    nobody = make(machine, "browser")
    command(machine, "sudo", "echo a password is required >&2; exit 1")
    refused = make(machine, "browser")
    assert not (machine / "asked").exists()
    for done in (without, nobody, refused):
        assert done.stdout == ""
        assert re.match(r"lectern: there is no browser .*; install Chromium or Chrome \(on Debian, .*\)\n", done.stderr)

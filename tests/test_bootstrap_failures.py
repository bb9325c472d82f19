"""Whatever can go wrong while bootstrap.py makes `.venv`, really going wrong, and the one line that it then says."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.checkouts import assert_refused, bare_checkout, bootstrap, environment, load, prepared_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return bare_checkout(tmp_path / "checkout")


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return prepared_checkout(tmp_path / "checkout")


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    """A port of our own where nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held


@pytest.fixture
def closed(bound: socket.socket) -> str:
    """The address of an index that refuses connections."""
    return "http://{}:{}/simple".format(*bound.getsockname())


@pytest.fixture
def silent(bound: socket.socket, closed: str) -> str:
    """The address of an index that takes connections and never answers."""
    bound.listen(64)
    return closed


def stamp(checkout: Path) -> str:
    return (checkout / ".venv" / ".lectern").read_text()


# --- what it is made from


def test_a_python_without_ensurepip_is_refused(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ModuleNotFoundError(\"No module named 'ensurepip'\")\n")
    done = bootstrap(checkout, PYTHONPATH=str(tmp_path))
    assert_refused(done, "cannot make an environment (No module named 'ensurepip')", "apt install python3-venv")
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_a_missing_file_is_named(checkout: Path, name: str) -> None:
    (checkout / name).unlink()
    done = bootstrap(checkout)
    assert_refused(done, "cannot be read", f"No such file or directory: '{checkout / name}'", "git checkout")


def test_a_broken_pyproject_is_shown(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text("<<<<<<< HEAD\n")
    done = bootstrap(checkout)
    assert_refused(done, "pyproject.toml and requirements.lock cannot be read (Invalid statement (at line 1")


def test_a_lock_without_uv_is_refused(prepared: Path) -> None:
    (prepared / "requirements.lock").write_text("numpy==2.4.6 \\\n    --hash=sha256:00\n")
    done = bootstrap(prepared)
    assert_refused(done, "requirements.lock does not pin uv; get it back (git checkout requirements.lock)")


def test_any_other_failure_ends_with_the_words_of_the_tool_and_its_log(prepared: Path) -> None:
    with (prepared / "requirements.lock").open("a") as lock:
        lock.write("not a requirement!\n")
    done = bootstrap(prepared)
    assert_refused(done, "installing requirements.lock failed: ", f"(log: {prepared / '.venv.log'})")
    assert "not a requirement!" in (prepared / ".venv.log").read_text()
    assert stamp(prepared) == "unfinished"


def test_a_tool_that_says_nothing_is_known_by_its_exit_code(checkout: Path) -> None:
    copy = load(checkout)
    with pytest.raises(copy.SetupError, match=r"^doing it failed: exit code 7 \(log: .*\.venv\.log\)$"):
        copy.step("Doing it", {}, sys.executable, "-c", "raise SystemExit(7)")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: No matching distribution\n\n[notice] A new pip\n", "No matching distribution"),
        (
            "Resolved\nerror: Failed to build `x`\n  cause: It said\n\n   TypeError: y\n\nhint: z\n",
            "Failed to build `x`: TypeError: y",
        ),
        ("first\nlast\n", "last"),
    ],
)
def test_the_last_words_are_those_that_say_why(checkout: Path, said: str, words: str) -> None:
    assert load(checkout).last_words(said) == words


# --- the network


def test_an_index_that_pip_cannot_reach(checkout: Path, closed: str) -> None:
    done = bootstrap(checkout, index=closed)
    found = "failed: the package index cannot be reached (Connection refused); check the network"
    assert_refused(done, "installing uv ", found, "PIP_INDEX_URL")
    steps = ("Making .venv with Python ", "Installing pip ", "Installing uv ")
    lines = done.stdout.splitlines()
    assert all(line.startswith(step) for line, step in zip(lines, steps, strict=True))
    assert all(re.search(r" \.\.\. [0-9.]+ s$", line) for line in lines)


def test_an_index_that_uv_cannot_reach_leaves_the_environment_as_it_was(prepared: Path, closed: str) -> None:
    (prepared / ".venv" / ".lectern").write_text("of an older lock")
    done = bootstrap(prepared, index=closed)
    found = "the package index cannot be reached (Connection refused)"
    assert_refused(done, f"installing requirements.lock failed: {found}")
    assert "Making" not in done.stdout
    assert stamp(prepared) == "of an older lock"


def test_an_unfinished_environment_is_made_anew(prepared: Path, closed: str) -> None:
    (prepared / ".venv" / ".lectern").write_text("unfinished")
    done = bootstrap(prepared, index=closed)
    assert done.stdout.startswith("Making .venv with Python ")
    assert not list(prepared.rglob("borrowed.pth"))
    assert stamp(prepared) == ""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "SSLError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate",
            "the certificate of the package index is not trusted",
        ),
        ("cause: invalid peer certificate: UnknownIssuer", "name the certificates of your network in PIP_CERT"),
        ("[Errno -2] Name or service not known')': /simple/uv/", "cannot be reached (Name or service not known)"),
        ("OSError('Tunnel connection failed: 407 Proxy", "cannot be reached (Tunnel connection failed)"),
        (
            "cause: error sending request for url (x)\n cause: Connection refused",
            "cannot be reached (Connection refused)",
        ),
        ("ERROR: [Errno 122] Disk quota exceeded: '/x/y'", "the disk is full (Disk quota exceeded: '/x/y')"),
        (
            "failed to open file `/x/y`: Permission denied (os error 13)",
            "no permission to write (`/x/y`: Permission denied)",
        ),
    ],
)
def test_what_tools_say_is_understood(checkout: Path, said: str, words: str) -> None:
    assert words in str(load(checkout).explain("Installing", said))


def test_what_pip_knows_of_the_network_is_told_to_uv(prepared: Path, tmp_path: Path) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text(
        "[global]\nindex-url = file:///a\nextra-index-url =\n  file:///b\n  file:///c\n[install]\nfind-links = /d /e\n"
    )
    told_of_network: Callable[[dict[str, str]], dict[str, str]] = load(prepared).told_of_network
    told = told_of_network(environment(PIP_CONFIG_FILE=str(settings), PIP_PROXY="f"))
    assert {name: value for name, value in told.items() if name.startswith(("UV_", "ALL"))} == {
        "ALL_PROXY": "f",
        "UV_DEFAULT_INDEX": "file:///a",
        "UV_FIND_LINKS": "/d,/e",
        "UV_HTTP_RETRIES": "0",
        "UV_INDEX": "file:///b file:///c",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    own = told_of_network(environment(PIP_CONFIG_FILE=str(settings), UV_INDEX_URL="file:///own"))
    assert "UV_DEFAULT_INDEX" not in own


# --- the disk


def test_a_full_disk(checkout: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    script = f"mount -t tmpfs -o size=2m none '{full}' && cp -r '{checkout}/.' '{full}' && cd '{full}' && exec \"$@\""
    small_disk = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    if (
        not shutil.which("unshare")
        or subprocess.run([*small_disk, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a small disk can only be mounted where this user may make namespaces")
    done = bootstrap(checkout, through=small_disk)
    assert_refused(done, "installing pip failed: the disk is full (No space left on device", "free about 2 GB")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_disk_that_is_full_when_the_stamp_is_written(checkout: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, Path("/dev/full").open("w") as full:
        full.write("stamp")
    said = str(load(checkout).explain("setting up .venv", str(caught.value)))
    assert said.startswith("setting up .venv failed: the disk is full (No space left on device); free about 2 GB")


def test_a_folder_that_may_not_be_written(checkout: Path) -> None:
    # root may write anywhere as long as it has CAP_DAC_OVERRIDE (1), which prctl takes out of the bounding set (24)
    drop = "os.geteuid() or ctypes.CDLL(None).prctl(24, 1) and sys.exit(77); os.execv(sys.argv[1], sys.argv[1:])"
    checkout.chmod(0o555)
    try:
        done = bootstrap(checkout, through=(sys.executable, "-c", f"import ctypes, os, sys; {drop}"))
    finally:
        checkout.chmod(0o755)
    if done.returncode == 77:
        pytest.skip("this root cannot give up its privileges")
    assert_refused(done, f"no permission to write (Permission denied: '{checkout / '.venv.log'}'); make that folder")


# --- two at once, and Ctrl-C


def test_the_second_of_two_waits_and_says_so(prepared: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    with (prepared / ".venv.log").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        command = [sys.executable, "bootstrap.py"]
        with subprocess.Popen(command, cwd=prepared, env=environment(), stdout=subprocess.PIPE, text=True) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "Waiting for another make, which is setting up .venv\n"
            (prepared / ".venv" / ".lectern").write_text(load(prepared).fingerprint())
            fcntl.flock(held, fcntl.LOCK_UN)
            assert second.stdout.read() == ""
    assert second.returncode == 0


def test_ctrl_c_ends_it_in_one_line(prepared: Path, silent: str) -> None:
    # tests that run in the background hand down a SIGINT that is ignored
    heed = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    with subprocess.Popen(
        [sys.executable, "-c", heed + "runpy.run_path('bootstrap.py', run_name='__main__')"],
        cwd=prepared,
        env=environment(silent),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        assert started.stdout is not None
        shown = ""
        while not shown.endswith("Installing requirements.lock ... "):
            shown += started.stdout.read(1)
        os.killpg(started.pid, signal.SIGINT)
        stdout, stderr = started.communicate(timeout=30)
    assert started.returncode == 130
    assert stderr == "lectern: interrupted while setting up .venv; run make again to go on\n"
    assert re.fullmatch(r"[0-9.]+ s\n", stdout)
    assert stamp(prepared) == "unfinished"

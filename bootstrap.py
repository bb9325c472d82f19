"""Make `.venv` from requirements.lock, and again whenever something it was made from has changed.

The life of a set-up: the stamp is right, done; else alone → environment → uv → packages → the project itself → stamp.

This runs on the machine's own python3, so it needs the standard library alone and keeps to the syntax of Python 3.6: an
old Python is to be told what is missing, not to fail at parsing. Imports stand inside the functions that need them,
because every task begins here and nearly always finds nothing to do.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent
PYPROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
STAMP = VENV / ".lectern"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
LOG = ROOT / ".venv.log"  # beside .venv, which may be made anew; two set-ups at once wait for each other at it
UNFINISHED = "unfinished"

UNREACHABLE = "the package index cannot be reached"
# what was found: what to do, and the words of a failing tool that show it
CAUSES = {
    "the disk is full": (
        "free about 2 GB for the project, the temporary folder and the cache of uv",
        ("No space left on device", "Disk quota exceeded"),
    ),
    "no permission to write": (
        "make that folder yours, or use a copy of the project that is",
        ("Permission denied", "Operation not permitted", "Read-only file system"),
    ),
    "the certificate of the package index is not trusted": (
        "name the certificates of your network in PIP_CERT",
        ("CERTIFICATE_VERIFY_FAILED", "invalid peer certificate", "UnknownIssuer"),
    ),
    UNREACHABLE: (
        "check the network, or name your own index and proxy in PIP_INDEX_URL and HTTPS_PROXY",
        (
            "Connection refused",
            "Connection reset",
            "Network is unreachable",
            "No route to host",
            "timed out",
            "Name or service not known",
            "Temporary failure in name resolution",
            "nodename nor servname",
            "Tunnel connection failed",
            "error sending request",
        ),
    ),
}

# pip's setting → uv's variable: what the user's pip knows of the network holds for uv too
UV_VARIABLES = {
    "cert": "SSL_CERT_FILE",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "no-index": "UV_NO_INDEX",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
}


class SetupError(Exception):
    """`.venv` cannot be made: one line that says what was asked, what was found, and what to do."""


class UnreachableError(SetupError):
    """The package index did not answer; nothing has been changed yet."""


def main() -> int:
    """Make `.venv` what the lock says it is, and return the exit code."""
    try:
        check_python(tuple(sys.version_info[:3]), sys.executable)
        stamp = fingerprint()
        if not up_to_date(stamp):
            with alone():
                if not up_to_date(stamp):  # the one we waited for may have done it
                    set_up(stamp)
    except SetupError as error:
        print(f"lectern: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"lectern: {explain('setting up .venv', str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lectern: interrupted while setting up .venv; run make again to go on", file=sys.stderr)
        return 130
    return 0


def check_python(version: "tuple[int, ...]", executable: str) -> None:
    """Refuse a Python that is older than the project."""
    if version < OLDEST:
        oldest, found = ".".join(map(str, OLDEST)), ".".join(map(str, version))
        raise SetupError(
            f"Python {oldest} or newer is needed, but {executable} is {found}; "
            f"install a newer one, or name it: make PYTHON=python{oldest}"
        )


def check_modules(executable: str) -> None:
    """Refuse a Python that cannot make environments, as Debian ships it."""
    import importlib

    try:
        for name in ("venv", "ensurepip"):
            importlib.import_module(name)
    except ImportError as error:
        raise SetupError(
            f"{executable} cannot make an environment ({error}); "
            "install what it lacks (Debian, Ubuntu: apt install python3-venv), then run make again"
        ) from error


def fingerprint() -> str:
    """Return a digest of all that `.venv` is made from."""
    import hashlib
    import json

    import tomllib

    try:
        project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
        lock = LOCK.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise SetupError(
            f"{PYPROJECT.name} and {LOCK.name} cannot be read ({error}); "
            f"mend the file or get it back (git checkout), then run make again"
        ) from error
    tables = json.dumps([project.get("project"), project.get("build-system")], sort_keys=True)
    parts = (lock, tables, str(VENV), str(sys.version_info[:3]))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def stamped() -> str:
    """Return what the last set-up left: its fingerprint, UNFINISHED, or nothing."""
    try:
        return STAMP.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def up_to_date(stamp: str) -> bool:
    """Whether `.venv` is whole and was made from just this."""
    return stamped() == stamp and PYTHON.exists()


@contextlib.contextmanager
def alone() -> "Iterator[None]":
    """Wait until no other set-up of this `.venv` is running, and keep others waiting."""
    import fcntl

    with LOG.open("ab") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another make, which is setting up .venv", flush=True)
            fcntl.flock(log, fcntl.LOCK_EX)
        log.truncate(0)
        yield


def set_up(stamp: str) -> None:
    """Bring `.venv` to the lock; any failure but an unreachable index leaves it stamped UNFINISHED, to be made anew."""
    before = stamped()
    if before == UNFINISHED or not usable():
        before = ""
        check_modules(sys.executable)
        title = "Making .venv with Python {}.{}.{}".format(*sys.version_info)
        bare = dict(os.environ)
        step(title, bare, sys.executable, "-m", "venv", "--clear", "--without-pip", VENV)
        step("Installing pip", bare, PYTHON, "-m", "ensurepip", "--default-pip")
    STAMP.write_text(UNFINISHED, encoding="utf-8")
    environment = told_of_network(dict(os.environ))
    version, pin = pinned_uv()
    pip = (PYTHON, "-m", "pip", "install", "--no-user", "--no-deps", "--require-hashes", "-r", "/dev/stdin")
    into = ("--python", PYTHON)
    try:
        step(f"Installing uv {version}", environment, *pip, told=pin)
        # compiled now, once and on every core, rather than by each process that imports a package first
        sync = (UV, "pip", "sync", *into, "--require-hashes", "--compile-bytecode", LOCK)
        step("Installing requirements.lock", environment, *sync)
    except UnreachableError:
        STAMP.write_text(before, encoding="utf-8")
        raise
    editable = ("--no-deps", "--no-build-isolation", "--editable", ROOT)
    step("Installing lectern itself", environment, UV, "pip", "install", *into, *editable)
    STAMP.write_text(stamp, encoding="utf-8")


def usable() -> bool:
    """Whether `.venv` was made whole, in this place, by this Python; then it only needs other packages."""
    import subprocess

    # the activation script names the place; pip's RECORD is the last that is written in making one
    place = r"VIRTUAL_ENV=[\"']?" + re.escape(str(VENV)) + r"[\"']?$"
    probe = "import importlib.metadata, sys; print(importlib.metadata.files('pip') and sys.version)"
    try:
        activate = (VENV / "bin" / "activate").read_text(encoding="utf-8")
        found = subprocess.run([str(PYTHON), "-c", probe], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return re.search(place, activate, re.MULTILINE) is not None and found.strip() == sys.version


def pinned_uv() -> "tuple[str, str]":
    """Return the version of uv in the lock, and its lines there with their hashes."""
    pin = re.search(r"^uv==([^ ]+)(?:.*\\\n)+.*\n", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    if pin is None:
        raise SetupError(f"{LOCK} does not pin uv; get it back (git checkout {LOCK.name}), then run make again")
    return pin.group(1), pin.group()


def told_of_network(environment: "dict[str, str]") -> "dict[str, str]":
    """Return the variables for pip and uv: the user's own, and for uv the network that their pip is set to use."""
    import ast
    import subprocess

    told = dict(environment, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", NO_COLOR="1")
    if any(name.startswith("UV_") and "INDEX" in name for name in environment):
        return told  # the user has told uv
    command = [str(PYTHON), "-m", "pip", "config", "list"]
    listed = subprocess.run(command, env=told, capture_output=True, text=True, check=False).stdout
    for level in (":env:", "install", "global"):
        for name, value in re.findall(rf"^{level}\.([a-z-]+)=(.*)$", listed, re.MULTILINE):
            if name in UV_VARIABLES:
                words = ast.literal_eval(value).split()
                told.setdefault(UV_VARIABLES[name], ("," if name == "find-links" else " ").join(words))
    if "UV_INDEX" in told:
        told["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip chooses; safe, because only a pinned hash is accepted
    return told


def step(title: str, environment: "dict[str, str]", *command: "Path | str", told: str = "") -> None:
    """Run one command while its title is shown, keep its output in the log, and say why it failed if it did."""
    import subprocess
    import time

    began = time.monotonic()
    try:
        print(title, end=" ... ", flush=True)
        done = subprocess.run(
            [str(word) for word in command],
            env=environment,
            cwd=str(ROOT),
            input=told,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    finally:
        print(f"{time.monotonic() - began:.1f} s", flush=True)
    with contextlib.suppress(OSError), LOG.open("a", encoding="utf-8") as log:  # the disk may be full
        log.write(f"{title}\n{done.stdout}\n")
    if done.returncode:
        raise explain(title, done.stdout.strip() or f"exit code {done.returncode}", f" (log: {LOG})")


def explain(title: str, said: str, log: str = "") -> SetupError:
    """Return the error that says in one line what the output of a failed step comes to."""
    asked = title[0].lower() + title[1:]
    for found, (advice, words) in CAUSES.items():
        for word in words:
            # the path at fault stands before the words (uv) or behind them (Python)
            shown = re.search(rf"(?:`[^`]*`: )?{word}(?:: '[^']*')?", said)
            if shown:
                kind = UnreachableError if found == UNREACHABLE else SetupError
                return kind(f"{asked} failed: {found} ({shown.group()}); {advice}, then run make again{log}")
    return SetupError(f"{asked} failed: {last_words(said)}{log}")


def last_words(said: str) -> str:
    """Return the line that begins an error, where a tool marks one so, and the line that ends its output."""
    lines = [line.strip() for line in said.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("hint:", "[notice]"))]
    error = next((line for line in lines if line.lower().startswith("error: ")), lines[-1])
    words = dict.fromkeys(re.sub(r"(?i)^(error|cause): ", "", line)[:200] for line in (error, lines[-1]))
    return ": ".join(words)


if __name__ == "__main__":
    sys.exit(main())

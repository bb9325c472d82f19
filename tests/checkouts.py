"""Copies of the checkout to run bootstrap.py in, with the variables of nobody in particular."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
LINE = re.compile(r"lectern: [^\n]+\n")


def bare_checkout(folder: Path) -> Path:
    """Make there a copy of what bootstrap.py looks at, without a `.venv`."""
    folder.mkdir()
    for name in ("bootstrap.py", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


def prepared_checkout(folder: Path) -> Path:
    """Make there the same with a `.venv` that borrows pip and uv from the one that runs the tests: it takes no time."""
    bare_checkout(folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=folder, check=True)
    [site_packages] = (folder / ".venv" / "lib").glob("python*/site-packages")
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / ".venv" / "bin" / "uv").symlink_to(Path(sysconfig.get_path("scripts")) / "uv")
    return folder


def load(checkout: Path) -> ModuleType:
    """Import that checkout's bootstrap.py, whose paths are the checkout's."""
    spec = importlib.util.spec_from_file_location("bootstrap_of_a_copy", checkout / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def environment(index: str = "", **variables: str) -> dict[str, str]:
    """Return the variables of a user who has told pip and uv nothing, apart from these and this index."""
    own = {name: value for name, value in os.environ.items() if not re.match("(?i)PIP_|UV_|.*_PROXY|PYTHONPATH", name)}
    own |= {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "1", "PIP_NO_CACHE_DIR": "1", "UV_HTTP_RETRIES": "0"}
    if index:
        own |= {"PIP_INDEX_URL": index, "UV_DEFAULT_INDEX": index, "UV_NO_CACHE": "1"}
    return own | variables


def bootstrap(
    checkout: Path, *, through: tuple[str, ...] = (), index: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run that checkout's bootstrap.py, through another command if one is given."""
    return subprocess.run(
        [*through, sys.executable, "bootstrap.py"],
        cwd=checkout,
        env=environment(index, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Assert that it failed with one line for the user, and that the line holds each of these."""
    assert done.returncode == 1, done
    assert LINE.fullmatch(done.stderr), done.stderr
    for word in words:
        assert word in done.stderr

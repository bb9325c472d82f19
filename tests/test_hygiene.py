"""What git does to notebooks at a commit (.pre-commit-config.yaml): the form that the tests ask for, and no network."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from notebooks import tidy
from tests.checkouts import ROOT

CONFIG = ROOT / ".pre-commit-config.yaml"
COMMITTED = [path.relative_to(ROOT) for path in tidy.notebooks([ROOT / "notebooks"])]
BIN = Path(sys.prefix, "bin")

Git = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the notebooks, the hooks and what these look at, whose tools are those that run the tests."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed, and nobody who commits lacks it")
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("__pycache__", ".ipynb*"))
    for name in (CONFIG.name, "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("contract", "pipeline", "serving"):  # ruff sorts imports by what is ours
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / ".gitignore").write_text("/.venv\n/.pre-commit\n/contract\n/pipeline\n/serving\n__pycache__\n")
    return tmp_path


@pytest.fixture
def git(checkout: Path) -> Git:
    """Run git there, as somebody who has told it nothing else, and with no way to the network."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PRE_COMMIT"))}
    own |= dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "ann") | {"EMAIL": "ann@localhost"}
    own |= {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PRE_COMMIT_HOME": str(checkout / ".pre-commit"),
    }
    own |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")

    def run(*command: str, program: str = "git") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *command], cwd=checkout, env=own, capture_output=True, text=True, timeout=600, check=False
        )

    assert run("init", "--quiet").returncode == 0
    assert run("add", "--all").returncode == 0
    return run


def mess(text: str) -> str:
    """The same notebook as papermill leaves it after a run."""
    notebook: dict[str, Any] = json.loads(text)
    notebook["metadata"] |= {"papermill": {"duration": 1.5}, "language_info": {"name": "python", "version": "3.11.7"}}
    for number, cell in enumerate(notebook["cells"]):
        cell |= {"id": f"random-{number}", "metadata": cell["metadata"] | {"papermill": {"duration": 0.5}}}
        if cell["cell_type"] == "code":
            output = {"name": "stdout", "output_type": "stream", "text": ["done\n"]}
            cell |= {"execution_count": number + 7, "outputs": [output]}
    return json.dumps(notebook)


def test_a_commit_is_stopped_and_brought_into_form_then_passes(checkout: Path, git: Git) -> None:
    assert git("install", program=str(BIN / "pre-commit")).returncode == 0
    training, tutorial, monitoring, module = (
        checkout / "notebooks" / name
        for name in ("training/iris.ipynb", "tutorials/01-first-api.ipynb", "monitoring/drift.ipynb", "mine.py")
    )
    clean = training.read_text()
    messy = [mess(path.read_text()) for path in (training, tutorial)]
    monitoring.parent.mkdir(exist_ok=True)
    for path, text in zip((training, tutorial, monitoring), [*messy, messy[0]], strict=True):
        path.write_text(text)
    module.write_text('"""Mine."""\n\nimport os\nx = {  }\n')
    assert git("add", "--all").returncode == 0

    stopped = git("commit", "--quiet", "--message", "first")
    assert stopped.returncode == 1, stopped.stderr
    assert stopped.stderr.count("files were modified by this hook") == 4
    assert training.read_text() == monitoring.read_text() == clean
    assert tutorial.read_text() == tidy.tidy(messy[1], outputs=True) != messy[1]
    assert tutorial.read_text().count('"done\\n"') > 3
    assert module.read_text() == '"""Mine."""\n\nx = {}\n'
    assert tidy.main(["--check", str(checkout / "notebooks")]) == 0

    changed = git("diff", "--name-only").stdout.split()
    assert sorted(changed) == sorted(
        str(path.relative_to(checkout)) for path in (training, tutorial, monitoring, module)
    )
    assert git("add", "--all").returncode == 0
    passed = git("commit", "--quiet", "--message", "first")
    assert passed.returncode == 0, passed.stderr
    assert git("diff", "HEAD", "--name-only").stdout == ""


def test_the_first_hook_alone_takes_what_a_run_left(tmp_path: Path) -> None:
    before = (ROOT / "notebooks" / "training" / "iris.ipynb").read_text()
    path = tmp_path / "iris.ipynb"
    path.write_text(mess(before))
    [stripping] = [hook for hook in hooks() if hook["id"] == "nbstripout"]
    program, *options = shlex.split(stripping["entry"])
    subprocess.run([BIN / Path(program).name, *options, path], check=True)
    clean, stripped = json.loads(before), json.loads(path.read_text())
    for number, cell in enumerate(clean["cells"]):
        assert stripped["cells"][number] == cell | {"id": f"random-{number}"}
    assert stripped["metadata"] == clean["metadata"]


def hooks() -> list[dict[str, Any]]:
    """The hooks in their order."""
    [repository] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local", "others are downloaded"
    found: list[dict[str, Any]] = repository["hooks"]
    return found


def test_nothing_is_downloaded_and_every_tool_is_that_of_the_project() -> None:
    for hook in hooks():
        assert hook["language"] == "system"
        command, *_ = hook["entry"].split()
        assert command.startswith(".venv/bin/")
        assert (BIN / Path(command).name).exists()


@pytest.mark.parametrize(
    "path", [*COMMITTED, *(Path("notebooks", name, "of/mine.ipynb") for name in tidy.KEEPS_OUTPUTS)], ids=str
)
def test_the_hooks_strip_what_the_rule_of_the_tests_strips(path: Path) -> None:
    [stripping] = [hook["files"] for hook in hooks() if hook["id"] == "nbstripout"]
    assert bool(re.search(stripping, path.as_posix())) is not tidy.keeps_outputs(ROOT / path)

"""The set-up says one thing in every file: pyproject.toml, the locks, environment.yml, the Makefile, the wheel."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.checkouts import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = ("requirements.lock", "requirements-serving.lock")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
COMMENTED = re.findall(r"^([a-z-]+):.* ## ", MAKEFILE, re.MULTILINE)


def asked(*extras: str) -> set[str]:
    """Return the names that pyproject.toml asks for, with these extras and those they include."""
    texts = [*PROJECT["dependencies"], *(text for extra in extras for text in PROJECT["optional-dependencies"][extra])]
    found = [Requirement(text) for text in texts]
    included = [extra for one in found if one.name == PROJECT["name"] for extra in one.extras]
    names: set[str] = {canonicalize_name(one.name) for one in found if one.name != PROJECT["name"]}
    return names | asked(*included) if included else names


def locked(name: str) -> dict[str, tuple[str, int]]:
    """Return what a lock pins: each name with its version and the number of its hashes."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    pins = [line.split(" --hash=sha256:") for line in re.sub(r" +", " ", text).splitlines()]
    requirements = [(Requirement(pin), hashes) for pin, *hashes in pins]
    return {canonicalize_name(one.name): (str(one.specifier), len(hashes)) for one, hashes in requirements}


# --- the locks


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_each_package_by_version_and_hash(name: str) -> None:
    for version, hashes in locked(name).values():
        assert re.fullmatch(r"==[^*,]+", version)
        assert hashes > 0


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_no_address_and_not_the_project(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"://|@|^-|^#", text, re.MULTILINE)
    assert PROJECT["name"] not in locked(name)


def test_the_lock_holds_all_that_is_asked_for() -> None:
    assert asked(*PROJECT["optional-dependencies"]) <= set(locked("requirements.lock")), "run make lock"


def test_each_extra_that_is_not_for_development_is_part_of_dev() -> None:
    assert asked("joblib") < asked("train") < asked("lab") < asked("dev")


def test_the_locked_versions_are_those_asked_for() -> None:
    pins = locked("requirements.lock")
    for text in [text for texts in PROJECT["optional-dependencies"].values() for text in texts] + PROJECT[
        "dependencies"
    ]:
        requirement = Requirement(text)
        if requirement.name != PROJECT["name"]:
            version = pins[canonicalize_name(requirement.name)][0].removeprefix("==")
            assert requirement.specifier.contains(version, prereleases=True), "run make lock"


def test_a_server_is_a_small_part_of_the_same_versions() -> None:
    serving = locked("requirements-serving.lock")
    assert serving.items() <= locked("requirements.lock").items(), "run make lock"
    assert asked() <= set(serving)
    assert not set(serving) & {"scikit-learn", "pandas", "scipy", "joblib", "jupyterlab", "ipykernel", "papermill"}


# --- conda


def test_conda_takes_everything_from_the_lock() -> None:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    *conda, pip = (described := yaml.safe_load(text))["dependencies"]
    [python] = [package for package in conda if package.startswith("python=")]
    assert described["name"] == PROJECT["name"]
    assert Requirement("python" + PROJECT["requires-python"]).specifier.contains(python.removeprefix("python="))
    assert {package for package in conda if package != python} == {"pip", "make"}
    # pip refuses an editable project beside hashes, so the command that installs it can only be told
    assert pip == {"pip": ["-r requirements.lock"]}
    assert "pip install --no-deps --no-build-isolation -e ." in text
    assert set(
        tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    ) <= asked("dev")


# --- make


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder whose `lectern` and `jupyter` only say how they were called."""
    folder = tmp_path / "with a space"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "notebooks" / "training").mkdir(parents=True)
    (folder / "notebooks" / "training" / "iris.ipynb").touch()
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("lectern", "jupyter"):
        command = folder / ".venv" / "bin" / name
        command.write_text(f'#!/bin/sh\necho "{name} $*"\nenv | grep ^LECTERN_ | sort\n')
        command.chmod(0o755)
    return folder


def make(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run make there as a user would, outside of any make, with a python3 that finds nothing to set up."""
    own = {name: value for name, value in os.environ.items() if not re.match("LECTERN_|MAKE|MFLAGS|PYTHON$", name)}
    return subprocess.run(
        ["make", "PYTHON=true", *arguments],
        cwd=folder,
        env=own | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_plain_make_lists_every_task(checkout: Path) -> None:
    listed = re.findall(r"^  make ([a-z-]+) +\S", make(checkout).stdout, re.MULTILINE)
    [phony] = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    defined = re.findall(r"^([a-z][a-z-]*):(?! export)", MAKEFILE, re.MULTILINE)
    assert listed == COMMENTED
    assert sorted(listed) == sorted(phony.split()) == sorted(defined)


@pytest.mark.parametrize("task", sorted(set(COMMENTED) - {"help", "clean"}))
def test_every_task_begins_with_the_set_up(checkout: Path, task: str) -> None:
    assert "true bootstrap.py" in make(checkout, "--dry-run", task).stdout.splitlines()[:4]


def test_a_machine_without_python_is_told_so(checkout: Path) -> None:
    done = make(checkout, "setup", "PYTHON=python-of-nobody")
    assert done.stderr.startswith("lectern: there is no python-of-nobody on the PATH; install Python 3.11 or newer")


@pytest.mark.parametrize("failing", ["ruff", "mypy", "pytest", ""])
def test_test_fails_where_any_check_does_and_tells_of_types_last(checkout: Path, failing: str) -> None:
    for name in ("ruff", "mypy", "pytest"):
        command = checkout / ".venv" / "bin" / name
        command.write_text(f"#!/bin/sh\necho '{name} ran'\nexit {3 if name == failing else 0}\n")
        command.chmod(0o755)
    done = make(checkout, "test", "--jobs=4", "browsers=sh")
    said = [line for line in done.stdout.splitlines() if not line.startswith("make")]
    lint = ["Lint: ruff check, ruff format --check", "ruff ran", "ruff ran"]
    whole = [*lint, "Unit: pytest", "pytest ran", "Types: mypy --strict", "mypy ran", "All checks passed."]
    assert said == {"ruff": lint[:2], "": whole}.get(failing, whole[:-1])
    assert (done.returncode == 0) == (not failing)


def test_ci_runs_exactly_make_test() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == "exec make test"


def test_variables_of_the_command_line_become_settings(checkout: Path) -> None:
    given = ("HOST=0.0.0.0", "PORT=9000", "WORKERS=2", "MODEL=iris", "STORE=elsewhere")
    assert make(checkout, "train", *given).stdout.splitlines() == [
        "Training: notebooks/training/iris.ipynb",
        "lectern train notebooks/training/iris.ipynb",
        "LECTERN_DEFAULT_MODEL=iris",
        "LECTERN_HOST=0.0.0.0",
        "LECTERN_PORT=9000",
        "LECTERN_STORE=elsewhere",
        "LECTERN_WORKERS=2",
    ]


def test_variables_of_the_environment_are_left_as_they_are(checkout: Path) -> None:
    done = make(checkout, "train", HOST="laptop", PORT="1", LECTERN_WORKERS="2")
    assert done.stdout.splitlines()[1:] == ["lectern train notebooks/training/iris.ipynb", "LECTERN_WORKERS=2"]


def test_training_takes_notebooks_and_parameters(checkout: Path) -> None:
    done = make(checkout, "train", "NOTEBOOK=a.ipynb b.ipynb", "PARAMS=trees=200 depth=3")
    assert done.stdout.splitlines()[1] == "lectern train a.ipynb b.ipynb -p trees=200 -p depth=3"


def test_serving_trains_only_when_the_store_has_no_version(checkout: Path) -> None:
    first = make(checkout, "serve").stdout.splitlines()
    assert first[0] == "The store 'artifacts' has no version yet: training two examples first."
    assert [line for line in first if line.startswith("lectern")] == [
        "lectern train notebooks/training/iris.ipynb",
        "lectern serve",
    ]
    (checkout / "artifacts" / "iris" / "1").mkdir(parents=True)
    (checkout / "artifacts" / "iris" / "1" / "manifest.json").touch()
    assert make(checkout, "serve").stdout.splitlines() == ["lectern serve"]
    assert "lectern train" in make(checkout, "serve", "STORE=elsewhere").stdout
    assert "lectern train" not in make(checkout, "serve", LECTERN_STORE="s3://bucket/store").stdout


def test_serving_does_not_wait_for_every_example(checkout: Path) -> None:
    for name in ("cardio", "churn"):
        (checkout / "notebooks" / "training" / f"{name}.ipynb").touch()
    two = "lectern train notebooks/training/cardio.ipynb notebooks/training/iris.ipynb"
    assert two in make(checkout, "serve").stdout.splitlines()
    assert "lectern train mine.ipynb" in make(checkout, "serve", "NOTEBOOK=mine.ipynb").stdout.splitlines()
    three = "lectern train notebooks/training/cardio.ipynb notebooks/training/churn.ipynb notebooks/training/iris.ipynb"
    assert three in make(checkout, "train").stdout.splitlines()


def test_a_training_that_fails_is_not_followed_by_a_service(checkout: Path) -> None:
    (checkout / ".venv" / "bin" / "lectern").write_text('#!/bin/sh\necho "lectern $*"\nexit 1\n')
    done = make(checkout, "serve")
    assert done.returncode != 0
    assert "lectern serve" not in done.stdout


def test_jupyterlab_is_told_where_the_store_is(checkout: Path) -> None:
    lab = make(checkout, "lab").stdout
    assert f"LECTERN_STORE={checkout}/artifacts" in lab.split("jupyter lab ")[1]
    assert f"LECTERN_STORE={checkout}/elsewhere" in make(checkout, "lab", "STORE=elsewhere").stdout
    assert "LECTERN_STORE=/absolute" in make(checkout, "lab", "STORE=/absolute").stdout
    assert "LECTERN_STORE=s3://bucket/store" in make(checkout, "lab", LECTERN_STORE="s3://bucket/store").stdout


def test_jupyterlab_begins_with_the_same_models_as_the_service(checkout: Path) -> None:
    first = make(checkout, "lab").stdout.splitlines()
    root = " --allow-root" if os.getuid() == 0 else ""
    assert [line for line in first if line.startswith(("lectern", "jupyter"))] == [
        "lectern train notebooks/training/iris.ipynb",
        f"jupyter lab{root} notebooks",
    ]
    (checkout / "artifacts" / "iris" / "1").mkdir(parents=True)
    (checkout / "artifacts" / "iris" / "1" / "manifest.json").touch()
    assert "lectern train" not in make(checkout, "lab").stdout


def test_clean_never_touches_the_store(checkout: Path) -> None:
    kept, gone = checkout / "artifacts" / "iris" / "__pycache__", checkout / "serving" / "__pycache__"
    for folder in (kept, gone):
        folder.mkdir(parents=True)
    assert make(checkout, "clean").returncode == 0
    assert kept.is_dir()
    assert not gone.exists()
    assert not (checkout / ".venv").exists()


# --- the wheel


def test_the_wheel_holds_the_packages_with_all_their_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    [wheel] = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [path for package in ("contract", "pipeline", "serving") for path in (ROOT / package).rglob("*")]
    made = re.compile(r"(^|/)(__pycache__|\..*)(/|$)")
    ours = {path.relative_to(ROOT).as_posix() for path in files if path.is_file()}
    assert held == {name for name in ours if not made.search(name)} | {"lectern.py"}

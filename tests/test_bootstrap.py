"""When bootstrap.py makes `.venv` anew, when it leaves it alone, and which Python it refuses."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.checkouts import ROOT, assert_refused, bare_checkout, bootstrap, load, prepared_checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return bare_checkout(tmp_path / "checkout")


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    return prepared_checkout(tmp_path / "checkout")


def test_an_environment_that_is_up_to_date_is_left_alone_in_silence(prepared: Path) -> None:
    (prepared / ".venv" / ".lectern").write_text(load(prepared).fingerprint())
    before = {path: path.lstat().st_mtime_ns for path in prepared.rglob("*")}
    done = bootstrap(prepared)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {path: path.lstat().st_mtime_ns for path in prepared.rglob("*")} == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("requirements.lock", "uv==", "uv==9."),
        ("pyproject.toml", "[project]\n", '[project]\nkeywords = ["new"]\n'),
        ("pyproject.toml", "[build-system]\n", '[build-system]\nbackend-path = ["new"]\n'),
    ],
)
def test_what_the_environment_is_made_from_changes_the_stamp(checkout: Path, name: str, old: str, new: str) -> None:
    before = load(checkout).fingerprint()
    text = (checkout / name).read_text(encoding="utf-8")
    assert old in text
    (checkout / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert load(checkout).fingerprint() != before


def test_another_place_and_another_python_change_the_stamp(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load(checkout).fingerprint()
    moved = checkout.rename(checkout.with_name("moved"))
    assert load(moved).fingerprint() != before
    moved.rename(checkout)
    monkeypatch.setattr(sys, "version_info", (3, 99, 0, "final", 0))
    assert load(checkout).fingerprint() != before


def test_the_settings_of_a_tool_do_not_change_the_stamp(checkout: Path) -> None:
    before = load(checkout).fingerprint()
    with (checkout / "pyproject.toml").open("a", encoding="utf-8") as pyproject:
        pyproject.write("\n[tool.another]\nsetting = 1\n")
    assert load(checkout).fingerprint() == before


def test_only_a_whole_environment_made_in_this_place_is_used_again(prepared: Path) -> None:
    assert load(prepared).usable()
    moved = prepared.rename(prepared.with_name("moved"))
    assert not load(moved).usable()
    moved.rename(prepared)
    [borrowed] = prepared.rglob("borrowed.pth")
    borrowed.unlink()  # and with it pip
    assert not load(prepared).usable()
    (prepared / ".venv" / "bin" / "activate").unlink()
    assert not load(prepared).usable()


def test_an_environment_of_another_python_is_not_used_again(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version", "3.99.0")
    assert not load(prepared).usable()


def test_an_environment_whose_python_is_gone_is_not_up_to_date(prepared: Path) -> None:
    copy = load(prepared)
    stamp = copy.fingerprint()
    (prepared / ".venv" / ".lectern").write_text(stamp)
    assert copy.up_to_date(stamp)
    (prepared / ".venv" / "bin" / "python").unlink()
    assert not copy.up_to_date(stamp)


def test_it_parses_and_loads_on_python_3_6() -> None:
    tree = ast.parse((ROOT / "bootstrap.py").read_text(encoding="utf-8"), feature_version=(3, 6))
    imports = {ast.unparse(node) for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
    plain = {"import contextlib", "import os", "import re", "import sys"}
    assert imports == plain | {"from collections.abc import Iterator", "from pathlib import Path"}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            arguments = [*node.args.args, *node.args.kwonlyargs, *filter(None, [node.args.vararg, node.args.kwarg])]
            for annotation in (node.returns, *(argument.annotation for argument in arguments)):
                # anything but a name is evaluated on loading, unless it is quoted
                assert isinstance(annotation, ast.Name | ast.Constant), ast.unparse(node)


def test_the_oldest_python_is_the_one_that_the_project_names(checkout: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert ">={}.{}".format(*load(checkout).OLDEST) == project["requires-python"]


def test_an_old_python_is_refused(checkout: Path) -> None:
    copy = load(checkout)
    copy.check_python((3, 11, 0), "/opt/python3")
    said = "Python 3.11 or newer is needed, but /opt/python3 is 3.10.13; install a newer one, or name it: make PYTHON="
    with pytest.raises(copy.SetupError, match=re.escape(said)):
        copy.check_python((3, 10, 13), "/opt/python3")


def test_an_old_python_is_refused_before_anything_else(checkout: Path) -> None:
    posing = "import runpy, sys; sys.version_info = (3, 9, 18); runpy.run_path('bootstrap.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", posing], cwd=checkout, capture_output=True, text=True, check=False)
    assert_refused(done, "Python 3.11 or newer is needed", "is 3.9.18")
    assert not (checkout / ".venv.log").exists()

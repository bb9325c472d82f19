"""The verbs of the pipeline, as `lectern`, as `python -m pipeline`, and where only a server is installed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import lectern
from contract.manifest import Runtime
from contract.signature import Field, Output, Signature
from contract.store import Store
from pipeline import verbs
from pipeline.verbs.giving import joined
from tests.conftest import WriteNotebook
from tests.live import until
from tests.samples import sealed

PARAMETERS = "factor: float = 2.0  # slope"
EXPORT = """
from pipeline import export

class Line:
    def predict(self, rows):
        return rows["x"] * factor

import pandas as pd
rows = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
export(Line(), "line", rows, rows["x"] * 2)
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, app: Any = lectern.app) -> Result:
    return CliRunner().invoke(app, list(arguments), prog_name="lectern", terminal_width=200)


def version_of(store: Store, name: str, **changes: Any) -> int:
    return store.publish(sealed(store, model=name, **changes))


# --- list and show


def test_list_shows_each_model_with_its_newest_version(example_store: Store) -> None:
    shown = run("list", "--store", str(example_store.root))
    assert (shown.exit_code, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines() if line.strip()]
    assert lines[0] == ["model", "version", "champion", "created", "runtime", "metrics", "versions"]
    for model in ("cardio", "iris"):
        assert any(line[:3] == [model, "1", "1"] for line in lines)


def test_list_speaks_json(example_store: Store) -> None:
    shown = run("list", "--json", "--store", str(example_store.root))
    cardio, iris = json.loads(shown.stdout)
    assert (cardio["model"], iris["model"]) == ("cardio", "iris")
    assert iris == {
        "model": "iris",
        "version": 1,
        "created": example_store.artifact("iris").manifest.created.isoformat(timespec="seconds"),
        "runtime": "onnx",
        "metrics": example_store.artifact("iris").manifest.metrics,
        "versions": 1,
        "aliases": {"champion": 1},
    }


def test_list_of_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    shown = run("list")
    assert shown.stdout == "The store artifacts is empty; `lectern train NOTEBOOK` makes the first version.\n"
    assert (shown.exit_code, run("list", "--json").stdout) == (0, "[]\n")


def test_list_shows_a_damaged_version_beside_the_others(store: Store) -> None:
    version_of(store, "good")
    version_of(store, "bad")
    (store.artifact("bad").folder / "manifest.json").write_text("{")
    bad, good = json.loads(run("list", "--json", "--store", str(store.root)).stdout)
    assert (bad["model"], bad["version"], bad["versions"]) == ("bad", 1, 1)
    assert bad["error"].startswith("The manifest does not end with its SHA-256")
    assert good["model"] == "good"
    shown = run("list", "--store", str(store.root)).stdout
    assert all(word in shown for word in ("error", "manifest", "SHA-256", "good"))


def test_show_tells_all_about_a_version(store: Store) -> None:
    fields = (
        Field(name="length", type="float", dtype="float64", nullable=True, unit="cm", bounds=(0, 9), observed=(1, 2.5)),
        Field(name="[red]", type="string", dtype="str", levels=("u", "v"), example="u"),
    )
    signature = Signature(container="frame", inputs=fields, output=Output(task="regression"))
    reason = "it cannot be converted"
    for number in (1, 2):
        version_of(
            store,
            "flower",
            signature=signature,
            description=f"Description {number}.",
            runtime=Runtime(format="joblib", reason=reason),
            metrics={"accuracy": 0.123456},
            parameters={"trees": 100, "note": "[b]x[/b]"},
        )
    shown = run("show", "flower", "1", "--store", str(store.root))
    assert (shown.exit_code, shown.stderr) == (0, "")
    head, description, runs_as, *tables = [line.rstrip() for line in shown.stdout.splitlines() if line.strip()]
    assert head == f"flower version 1, 2026-11-21 12:00 UTC  (store{os.sep}flower{os.sep}1)"
    assert (description, runs_as) == ("Description 1.", f"Runs as joblib: {reason}")
    rows = [line.split() for line in tables]
    assert rows[0] == ["field", "type", "unit", "allowed", "observed", "example"]
    assert ["length", "float", "or", "null", "cm", "0", "to", "9", "1", "to", "2.5"] in rows
    assert ["[red]", "string", "u,", "v", "u"] in rows
    assert ["Answers", "a", "number."] in rows
    assert ["accuracy", "0.1235"] in rows
    assert ["trees", "100"] in rows
    assert ["note", "[b]x[/b]"] in rows
    assert "Description 2." in run("show", "flower", "--store", str(store.root)).stdout


def test_show_speaks_json(store: Store) -> None:
    version_of(store, "iris")
    found = json.loads(run("show", "iris", "--json", "--store", str(store.root)).stdout)
    assert (found.pop("version"), found.pop("aliases")) == (1, ["champion"])
    assert found == store.artifact("iris").manifest.model_dump(mode="json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "rose"), "lectern: There is no model 'rose'; the store holds iris.\n"),
        (("show", "../iris"), "lectern: There is no model '../iris'; the store holds iris.\n"),
        (("show", "iris", "7"), "lectern: Model 'iris' has no version 7; the store holds 1.\n"),
        (("train", "gone.ipynb"), "lectern: Cannot read gone.ipynb: No such file or directory.\n"),
    ],
)
def test_what_is_refused_is_one_line_and_exit_code_1(store: Store, arguments: tuple[str, ...], message: str) -> None:
    version_of(store, "iris")
    refused = run(*arguments, "--store", str(store.root))
    assert (refused.exit_code, refused.stdout, refused.stderr) == (1, "", message)


def test_an_unknown_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LECTERN_TRAIN_CELL_TIMEOUT_S", "soon")
    for arguments in (("list",), ("show", "iris"), ("train", "x.ipynb")):
        refused = run(*arguments)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert refused.stderr.startswith("lectern: LECTERN_TRAIN_CELL_TIMEOUT_S=soon does not do: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train",), "Missing argument 'NOTEBOOK...'"),
        (("train", "x.ipynb", "-p", "trees"), "'trees' is not of the form NAME=VALUE."),
        (("train", "-p", "not a name", "x.ipynb"), "'not a name' is not of the form NAME=VALUE."),
        (("sweep", "x.ipynb", "--random", "0"), "Invalid value for '--random'"),
        (("show",), "Missing argument 'model'"),
        (("show", "iris", "first"), "unable to parse string as an integer"),
        (("list", "--jsn"), "No such option: --jsn"),
        (("lst",), "No such command 'lst'"),
    ],
)
def test_what_is_used_wrongly_is_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    wrong = run(*arguments)
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert message in " ".join(wrong.stderr.replace("│", " ").split())


# --- train


def test_train_says_what_it_made_and_whether_it_was_promoted(write_notebook: WriteNotebook, store: Store) -> None:
    one = write_notebook(PARAMETERS, EXPORT)
    made = run("train", str(one), "--store", str(store.root), "-p", "factor=3")
    assert made.exit_code == 0
    assert made.stdout == (
        "line version 1: r2 -0.75, mae 2, rmse 2.16, mape 0.5  (store/line/1)\n"
        "  champion now: no version was champion before\n"
    )
    assert store.artifact("line").manifest.parameters == {"factor": 3.0}

    again = run("train", str(one), "--store", str(store.root), "-p", "factor", "3.0")
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout == "line version 1 was made by the same run; --force trains again.\n"

    spoken = run("train", str(one), "--json", "--store", str(store.root))
    assert (spoken.exit_code, spoken.stderr) == (0, "")
    assert json.loads(spoken.stdout)["version"] == 2
    assert json.loads(spoken.stdout)["metrics"]["mae"] == 0.0
    assert json.loads(spoken.stdout)["recognised"] is False
    decision = json.loads(spoken.stdout)["decision"]
    assert (decision["verdict"], decision["metric"], decision["rows"]) == ("promoted", "r2", 3)

    (store.root / "line" / "promotions" / "00000002.json").unlink()  # as if the process had ended between the two
    assert store.promotions("line").read().aliases == {"champion": 1}
    for caught_up in (decision, None):
        recognised = json.loads(run("train", str(one), "--json", "--store", str(store.root)).stdout)
        assert (recognised["version"], recognised["recognised"], recognised["decision"]) == (2, True, caught_up)
        assert store.promotions("line").read().aliases == {"champion": 2}

    worse = run("train", str(one), "--store", str(store.root), "-p", "factor=4")
    assert worse.exit_code == 0
    assert worse.stdout.splitlines()[1] == (
        "  not promoted: r2 -6 against 1 of version 2, on 3 rows of version 3; "
        '`lectern promote line 3 --force --reason "…"` promotes it'
    )
    assert store.promotions("line").read().aliases == {"champion": 2}
    asked = run("train", str(one), "--store", str(store.root), "-p", "factor=5", "--promote", "always")
    assert asked.stdout.splitlines()[1] == (
        "  champion now: the policy is always to promote; nothing was compared with version 2"
    )
    aliases = json.loads(run("list", "--json", "--store", str(store.root)).stdout)[0]["aliases"]
    assert aliases == {"champion": 4}


def test_a_dry_run_says_what_would_run_and_runs_nothing(write_notebook: WriteNotebook, store: Store) -> None:
    one = write_notebook(f"{PARAMETERS}\ndb_password: str = 'default'\ndepth: int = 1", "open('ran', 'w')")
    given = one.with_name("params.yaml")
    given.write_text("depth: 3\ndb_password: hunter2\n")
    arguments = ("train", str(one), "-f", str(given), "-p", "depth=4", "--dry-run", "--store", str(store.root))
    shown = run(*arguments)
    assert (shown.exit_code, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert lines[0] == [str(one), "would", "run."]
    assert ["factor", "2.0", "default"] in lines
    assert ["depth", "4", "-p"] in lines
    assert any(line[:2] == ["db_password", '"***"'] for line in lines)
    [spoken] = json.loads(run(*arguments, "--json").stdout)
    assert spoken["parameters"]["db_password"] == {"value": "***", "source": str(given)}
    assert spoken["made_before"] is None
    assert not (one.parent / "ran").exists()
    assert not store.root.exists()


def test_a_dry_run_recognises_what_was_run_before(example_store: Store) -> None:
    notebook = str(Path(__file__).parents[1] / "notebooks" / "training" / "iris.ipynb")
    arguments = ("train", notebook, "--dry-run", "--store", str(example_store.root))
    [spoken] = json.loads(run(*arguments, "--json").stdout)
    assert spoken["made_before"] == {"model": "iris", "version": 1}
    assert f"{notebook} would not run: iris version 1 was made by the same run.\n" in run(*arguments).stdout
    assert f"{notebook} would run again: iris version 1 was" in run(*arguments, "--force").stdout
    [changed] = json.loads(run(*arguments, "--json", "-p", "seed=1").stdout)
    assert changed["made_before"] is None


def test_all_notebooks_are_checked_before_the_first_one_runs(write_notebook: WriteNotebook, store: Store) -> None:
    first = write_notebook(PARAMETERS, "open('ran', 'w')", name="first")
    second = write_notebook("depth: int = 1", name="second")
    refused = run("train", str(first), str(second), "-p", "factor=1", "--store", str(store.root))
    said = "lectern: second.ipynb: The notebook has no parameter 'factor'; it declares depth.\n"
    assert (refused.exit_code, refused.stdout, refused.stderr) == (1, "", said)
    assert not (first.parent / "ran").exists()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["x.ipynb", "-p", "a", "1", "-p", "b=2"], ["x.ipynb", "-p", "a=1", "-p", "b=2"]),
        (["-p", "a", "b=c", "--json"], ["-p", "a=b=c", "--json"]),
        (["-p", "a", "-1"], ["-p", "a=-1"]),
        (["-p", "a"], ["-p", "a"]),
        (["-p"], ["-p"]),
        (["-p", "a b", "c"], ["-p", "a b", "c"]),
        (["--", "-p", "a", "1"], ["--", "-p", "a", "1"]),
    ],
)
def test_the_value_of_a_parameter_may_be_a_word_of_its_own(given: list[str], expected: list[str]) -> None:
    assert joined(given) == expected


def test_train_stops_at_the_first_failure(write_notebook: WriteNotebook, store: Store) -> None:
    failing = write_notebook(PARAMETERS, "1 / 0", name="failing")
    other = write_notebook(PARAMETERS, "open('ran', 'w')", name="other")
    failed = run("train", str(failing), str(other), "--json", "--store", str(store.root))
    assert (failed.exit_code, failed.stdout) == (1, "")
    first, code, kept = failed.stderr.splitlines()
    assert first == f"lectern: {failing} failed in code cell 2 of 2: ZeroDivisionError: division by zero"
    assert code == "    1 / 0"
    assert Path(kept.partition(": ")[2]).is_file()
    assert not (other.parent / "ran").exists()


def test_an_interrupted_run_says_so_and_ends_with_130(write_notebook: WriteNotebook, store: Store) -> None:
    notebook = write_notebook(PARAMETERS, "open('ran', 'w').close()\nimport time\ntime.sleep(600)")
    command = [sys.executable, "-m", "pipeline", "train", str(notebook), "--store", str(store.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as runner:
        until((notebook.parent / "ran").exists)
        runner.send_signal(signal.SIGINT)
        said, complained = runner.communicate()
    assert (runner.returncode, said, complained.splitlines()[-1]) == (130, "", "lectern: interrupted.")
    assert list(store.root.iterdir()) == []


# --- the commands


def test_plain_lectern_lists_its_verbs() -> None:
    shown = run()
    words = (shown.stdout + shown.stderr).split()
    assert all(verb in words for verb in lectern.VERBS)
    assert shown.exit_code == 2


@pytest.mark.parametrize("verb", lectern.VERBS)
def test_the_help_of_each_verb_has_an_example(verb: str) -> None:
    shown = run(verb, "--help")
    assert shown.exit_code == 0
    assert f"Example: lectern {verb}" in " ".join(shown.stdout.split())


def test_each_side_has_the_verbs_that_are_said_to_be_its() -> None:
    own = {command.name or command.callback.__name__ for command in verbs.app.registered_commands if command.callback}
    assert own == {verb for verb, side in lectern.VERBS.items() if side == "pipeline"}


def test_the_pipeline_s_verbs_stand_alone_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline"]
    shown = subprocess.run([*command, "list", "--json"], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "[]\n", "")
    refused = subprocess.run([*command, "show", "iris"], capture_output=True, text=True, check=False)
    said = "lectern: There is no model 'iris'; the store is empty.\n"
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", said)
    wrong = subprocess.run(command, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert not (tmp_path / "artifacts").exists()


SERVER_ONLY = """
import sys
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)

sys.meta_path.insert(0, Missing())
import pipeline.verbs
import lectern
sys.argv[1:] = {arguments!r}
lectern.main()
"""
MISSING = {
    "sklearn",
    "pandas",
    "papermill",
    "nbformat",
    "nbconvert",
    "nbclient",
    "joblib",
    "cloudpickle",
    "skl2onnx",
} | {
    "scipy",
    "pyarrow",
    "matplotlib",
    "ipykernel",
    "traitlets",
}


@pytest.mark.parametrize("arguments", [["list", "--json"], ["show", "iris"]], ids=" ".join)
def test_a_server_s_installation_can_list_and_show(example_store: Store, arguments: list[str]) -> None:
    code = SERVER_ONLY.format(missing=MISSING, arguments=[*arguments, "--store", str(example_store.root)])
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "iris" in shown.stdout


def test_the_package_has_nothing_but_what_it_names() -> None:
    import pipeline

    assert {name for name in pipeline.__all__ if callable(getattr(pipeline, name))} == {
        "ExportRefused",
        "Exported",
        "cells",
        "compare",
        "export",
        "leaderboard",
        "runs",
        "versions",
    }
    with pytest.raises(AttributeError, match="module 'pipeline' has no attribute 'exprot'"):
        _ = pipeline.exprot

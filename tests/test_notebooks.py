"""The committed notebooks: their form, what those for training promise, and `notebooks/tidy.py`, which gives it."""

import ast
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from notebooks import tidy
from pipeline.running import parameters

HOME = Path(tidy.__file__).parent
COMMITTED = list(tidy.notebooks([HOME]))
TRAINING = [path for path in COMMITTED if path.parent.name == "training"]
TUTORIALS = [path for path in COMMITTED if path.parent.name == "tutorials"]


def read(path: Path) -> dict[str, Any]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(notebook, dict)
    return notebook


def code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


# --- their form


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_committed_notebook_is_valid_and_tidy(path: Path) -> None:
    nbformat.validate(read(path))
    text = path.read_bytes().decode()
    assert tidy.tidy(text, outputs=tidy.keeps_outputs(path)) == text, f"run: python notebooks/tidy.py {path}"


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_a_training_notebook_is_a_template_that_ends_with_export(path: Path) -> None:
    cells = code(read(path))
    declared = parameters.declared(nbformat.read(path, as_version=4))  # type: ignore[no-untyped-call]
    assert declared
    assert all(parameter.help for parameter in declared.values())
    assert [cell for cell in cells if cell["outputs"] or cell["execution_count"]] == []
    assert read(path)["cells"][-1] == cells[-1]
    match ast.parse("".join(cells[-1]["source"])).body[-1]:
        case ast.Expr(ast.Call(func=ast.Name("export"))):
            pass
        case other:
            pytest.fail(f"the last cell ends with `{ast.unparse(other)[:60]}`, not with export(…)")


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_a_training_notebook_reads_from_title_to_export_one_step_at_a_time(path: Path) -> None:
    cells = read(path)["cells"]
    assert cells[0]["source"][0].startswith(f"# {path.stem.capitalize()}: ")
    for before, cell in pairwise(cells):
        if cell["cell_type"] == "code":
            assert before["cell_type"] == "markdown", f"nothing is said before {cell['id']}"
    last = ast.parse("".join(cells[-1]["source"])).body[-1]
    assert isinstance(last, ast.Expr)
    assert isinstance(last.value, ast.Call)
    assert ast.literal_eval(last.value.args[1]) == path.stem


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_every_parameter_of_a_training_notebook_is_used(path: Path) -> None:
    source = "\n".join("".join(cell["source"]) for cell in code(read(path)))
    read_names = {
        node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    declared = set(parameters.declared(nbformat.read(path, as_version=4)))  # type: ignore[no-untyped-call]
    assert declared <= read_names
    assert "seed" in declared


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_was_run_from_top_to_bottom_and_kept_what_it_showed(path: Path) -> None:
    cells = code(read(path))
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert any(cell["outputs"] for cell in cells), "without outputs nbval would pass and compare nothing"


# --- what the training notebooks promise


def names_of(notebook: str, before: str, **given: Any) -> dict[str, Any]:
    """What a training notebook has defined when it comes to the cell that begins with `before`."""
    mpl.use("Agg")
    names: dict[str, Any] = {}
    for cell in code(read(HOME / "training" / f"{notebook}.ipynb")):
        source = "".join(cell["source"])
        if source.startswith(before):
            plt.close("all")
            return names
        exec(compile(source, f"{notebook} {cell['id']}", "exec"), names)
        if parameters.TAG in cell["metadata"].get("tags", []):
            names |= given
    pytest.fail(f"no cell of {notebook} begins with {before!r}")


def test_the_iris_forest_knows_the_two_flowers_of_the_documentation() -> None:
    iris = names_of("iris", "export(")
    fields = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    flowers = pd.DataFrame([[6.7, 3.0, 5.2, 2.3], [5.1, 3.5, 1.4, 0.2]], columns=fields)
    assert list(iris["model"].feature_names_in_) == fields
    assert len(iris["model"].estimators_) == 100
    assert [iris["names"][label] for label in iris["model"].predict(flowers)] == ["virginica", "setosa"]
    assert iris["model"].predict_proba(flowers)[1].tolist() == [1.0, 0.0, 0.0]
    assert iris["accuracy"] > 0.9


def test_cardio_says_that_its_patients_are_synthetic_and_is_as_good_as_on_real_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cardio = names_of("cardio", "export(")
    assert "Data: a synthetic sample of 5,000 patients (seed 0)" in capsys.readouterr().out
    assert 0.70 <= cardio["accuracy"] <= 0.76
    assert cardio["rule"] < cardio["accuracy"], "a model that one rule beats is a poor example"


def test_diabetes_is_in_the_units_of_the_clinic_and_better_than_the_mean() -> None:
    diabetes = names_of("diabetes", "export(")
    assert diabetes["patients"]["age"].between(18, 100).all()
    assert diabetes["patients"]["blood_pressure"].between(60, 140).all()
    assert list(diabetes["patients"]) == [name for name, _, _ in diabetes["FIELDS"].values()]
    assert diabetes["error"] < 0.85 * diabetes["rival"]
    assert diabetes["five_errors"] < 0.85 * diabetes["rival"]


def test_digits_reads_images_whose_pixels_were_laid_flat() -> None:
    digits = names_of("digits", "export(")
    images = digits["images"]
    assert images.shape[1:] == (8, 8)
    assert digits["flatten"](images).tolist() == [image.ravel().tolist() for image in images]
    assert digits["accuracy"] > 0.95


@pytest.fixture(scope="module")
def churn() -> dict[str, Any]:
    return names_of("churn", "export(")


def test_churn_is_worth_its_calls(churn: dict[str, Any]) -> None:
    assert 0.75 <= churn["area"] <= 0.85
    assert churn["recall"] > 2 * churn["called"].mean()
    assert churn["precision"] > 2 * churn["held_out"]["left"].mean()


def test_churn_says_that_its_customers_are_synthetic(capsys: pytest.CaptureFixture[str]) -> None:
    names_of("churn", "seen, held_out", rows=500)
    assert "Data: 500 synthetic customers (seed 0), " in capsys.readouterr().out


def test_churn_prepares_one_customer_as_it_does_among_many(churn: dict[str, Any]) -> None:
    customers = churn["customers"].head(50)
    together = churn["prepare"](customers)
    assert together["payment"].isin(["debit", "card", "invoice"]).all()
    for number in range(50):
        pd.testing.assert_frame_equal(churn["prepare"](customers.iloc[[number]]), together.iloc[[number]])


def test_churn_counts_time_from_its_reference_date(churn: dict[str, Any]) -> None:
    later = names_of("churn", "export(", reference_date="2026-07-01", rows=500)
    assert (later["prepare"](later["customers"])["log_months"] > np.log1p(5.9)).all()
    assert churn["prepare"](churn["customers"])["log_months"].min() < np.log1p(1)


def test_reviews_are_synthetic_and_pairs_of_words_help_with_negations(capsys: pytest.CaptureFixture[str]) -> None:
    reviews = names_of("reviews", "export(")
    assert "Data: 3,000 synthetic reviews (seed 0), " in capsys.readouterr().out
    assert reviews["reviews"]["text"].nunique() > 0.9 * len(reviews["reviews"])
    assert reviews["rival"] + 0.15 < reviews["accuracy"] < 0.95
    assert names_of("reviews", "export(", longest=1)["accuracy"] < reviews["accuracy"]


@pytest.fixture(scope="module")
def cardio() -> dict[str, Any]:
    return names_of("cardio", "if data is None")


@pytest.fixture(scope="module")
def public(cardio: dict[str, Any]) -> pd.DataFrame:
    """Patients who never lived, in all the columns of the public file."""
    patients: pd.DataFrame = cardio["synthetic_patients"](1000, seed=1)
    patients["age"] = patients["age"].round()
    patients.insert(0, "id", np.arange(1000))
    patients.insert(12 - 1, "active", 1)
    return patients


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_cardio_reads_the_public_file_with_either_separator(
    cardio: dict[str, Any], public: pd.DataFrame, tmp_path: Path, separator: str, encoding: str
) -> None:
    public.to_csv(tmp_path / "cardio_train.csv", sep=separator, index=False, encoding=encoding)
    found = cardio["read_patients"](tmp_path / "cardio_train.csv")
    pd.testing.assert_frame_equal(found, public.drop(columns=["id", "active"]), check_dtype=False)
    assert list(cardio["clean"](found).columns) == [*cardio["LIMITS"], "disease"]


def test_cardio_drops_duplicates_slips_of_the_pen_and_the_outermost(
    cardio: dict[str, Any], public: pd.DataFrame
) -> None:
    patients = public.drop(columns=["id", "active"]).astype(object)
    kept = cardio["clean"](patients)
    strange: list[dict[str, Any]] = [
        {"ap_hi": 16020},
        {"ap_hi": -120},
        {"ap_lo": 150},
        {"ap_lo": 50},
        {"height": 250},
        {"cholesterol": 4},
        {"age": "?"},
    ]
    first = patients.iloc[0].to_dict()
    slips = pd.DataFrame([{**first, **slip} for slip in strange])
    pd.testing.assert_frame_equal(cardio["clean"](pd.concat([patients, patients.head(50), slips])), kept)
    assert 850 < len(kept) < 950
    assert kept["age"].between(30, 65).all()
    assert kept.dtypes.astype(str).to_dict() == dict.fromkeys(kept, "int64") | {
        "height": "float64",
        "weight": "float64",
    }


def test_cardio_refuses_a_file_that_is_missing_or_another(cardio: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "cardio.csv"
    for missing in (path, tmp_path):
        with pytest.raises(
            FileNotFoundError, match=f"'data' asks for '{missing}', but there is no such file; download"
        ):
            cardio["read_patients"](missing)
    path.write_text("id;age;gender;height;weight;ap_hi;ap_lo;gluc;smoke;alco;active;target\n1;2;3\n")
    with pytest.raises(
        ValueError, match=r"it lacks the columns \['cholesterol', 'cardio'\]; its first line is 'id;age;"
    ):
        cardio["read_patients"](path)
    for content in (b"", b"\x89PNG\r\n\x1a\n\0\0\0\xff", b"x" * 10_000_000):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"it lacks the columns \['age', 'gender', .*leave 'data' out for a synth"
        ) as found:
            cardio["read_patients"](path)
        assert len(str(found.value)) < 600


def test_cardio_refuses_patients_in_other_units(cardio: dict[str, Any], public: pd.DataFrame) -> None:
    in_years = public.drop(columns=["id", "active"]).assign(age=50)
    with pytest.raises(ValueError, match=r"but of 1000 rows it left 0; check that age is in days"):
        cardio["clean"](in_years)
    with pytest.raises(ValueError, match=r"must leave 50 patients with the disease and 50 without"):
        cardio["clean"](public.assign(cardio=1))


# --- notebooks/tidy.py


def messy() -> dict[str, Any]:
    """A notebook as JupyterLab and papermill leave it."""
    timing = {"papermill": {"duration": 0.1}, "editable": True}
    stream = {"output_type": "stream", "name": "stdout"}
    return {
        "nbformat": 4,
        "nbformat_minor": 4,
        "metadata": {"kernelspec": {"name": "conda-me", "display_name": "mine"}, "papermill": {}, "widgets": {}},
        "cells": [
            {"cell_type": "markdown", "id": "b3a0", "metadata": timing, "source": "# Title\n\ntext\n"},
            {
                "cell_type": "code",
                "id": "b3a0",
                "metadata": timing | {"tags": ["parameters"], "jupyter": {"source_hidden": True}},
                "source": ["n: int = 1  # rows\n", "n\n"],
                "execution_count": 7,
                "outputs": [
                    stream | {"text": "one\ntw"},
                    stream | {"text": ["o\n", "three\n"]},
                    stream | {"text": "oh\n", "name": "stderr"},
                    stream | {"text": "four\n"},
                    {
                        "output_type": "execute_result",
                        "execution_count": 7,
                        "metadata": timing,
                        "data": {"text/plain": "1"},
                    },
                ],
            },
            {"cell_type": "code", "metadata": {}, "source": "not_run()", "execution_count": None, "outputs": []},
            {"cell_type": "code", "metadata": {"tags": []}, "source": "π = 3", "execution_count": 9, "outputs": []},
            {"cell_type": "code", "metadata": {}, "source": " \n", "execution_count": None, "outputs": []},
        ],
    }


@pytest.mark.parametrize("outputs", [True, False])
def test_tidy_is_idempotent_and_nbformat_agrees_with_its_form(outputs: bool) -> None:
    once = tidy.tidy(json.dumps(messy()), outputs=outputs)
    assert tidy.tidy(once, outputs=outputs) == once
    node = nbformat.reads(once, as_version=4)  # type: ignore[no-untyped-call]
    assert nbformat.writes(node).rstrip("\n") + "\n" == once  # type: ignore[no-untyped-call]


def test_tidy_renews_ids_and_metadata_and_drops_blank_cells() -> None:
    text = tidy.tidy(json.dumps(messy()), outputs=True)
    found = json.loads(text)
    assert [cell["id"] for cell in found["cells"]] == ["cell-000", "cell-001", "cell-002", "cell-003"]
    assert [cell["metadata"] for cell in found["cells"]] == [
        {},
        {"tags": ["parameters"], "jupyter": {"source_hidden": True}},
        {},
        {},
    ]
    assert found["metadata"].keys() == {"kernelspec", "language_info"}
    assert found["metadata"]["kernelspec"]["name"] == "python3"
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert found["cells"][0]["source"] == ["# Title\n", "\n", "text"]
    assert "π" in text


def test_tidy_numbers_the_cells_that_ran_and_merges_neighbouring_pieces_of_a_stream() -> None:
    cells = code(json.loads(tidy.tidy(json.dumps(messy()), outputs=True)))
    assert [cell["execution_count"] for cell in cells] == [1, None, 2]
    *streams, result = cells[0]["outputs"]
    assert [(stream["name"], stream["text"]) for stream in streams] == [
        ("stdout", ["one\n", "two\n", "three\n"]),
        ("stderr", ["oh\n"]),
        ("stdout", ["four\n"]),
    ]
    assert result == {
        "output_type": "execute_result",
        "execution_count": 1,
        "metadata": {},
        "data": {"text/plain": ["1"]},
    }


@pytest.mark.parametrize(
    ("folder", "kept"),
    [
        ("training", False),
        ("monitoring", False),
        ("tutorials", True),
        ("elsewhere", True),
        ("training/lectern/notebooks/tutorials", True),
        ("tutorials/lectern/notebooks/training/mine", False),
    ],
)
def test_tidy_strips_by_the_nearest_folder(folder: str, kept: bool, tmp_path: Path) -> None:
    path = tmp_path / folder / "a.ipynb"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(messy()))
    assert tidy.main([str(tmp_path)]) == 0
    cells = code(read(path))
    assert any(cell["outputs"] for cell in cells) is kept
    assert [cell["execution_count"] for cell in cells] == ([1, None, 2] if kept else [None, None, None])


def test_check_names_what_would_change_and_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, other = tmp_path / "a.ipynb", tmp_path / "b.ipynb"
    path.write_text(json.dumps(messy()))
    other.write_text(tidy.tidy(json.dumps(messy()), outputs=True))
    checkpoint = tmp_path / ".ipynb_checkpoints" / "a-checkpoint.ipynb"
    checkpoint.parent.mkdir()
    checkpoint.write_text("{}")
    before = path.read_bytes()

    assert tidy.main(["--check", str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"would change {path}\n"
    assert path.read_bytes() == before

    assert tidy.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"tidied {path}\n"
    assert tidy.main(["--check", str(path), str(other)]) == 0
    assert capsys.readouterr().out == ""

    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert tidy.main(["--check", str(path)]) == 1


def test_the_command_as_documented_looks_at_all_committed_notebooks_from_anywhere(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(tidy.__file__)), "--check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "FileNotFoundError"),
        ("{", "JSONDecodeError"),
        ("[]", "ValueError: it isn't of notebook format 4; open it in JupyterLab and save it"),
        ('{"nbformat": 3, "worksheets": []}', "ValueError: it isn't of notebook format 4"),
        ('{"nbformat": 4}', "KeyError: 'cells'"),
        ('{"nbformat": 4, "cells": [{"source": "x", "metadata": {}, "cell_type": "poem"}]}', "NotebookValidationError"),
    ],
)
def test_tidy_refuses_what_is_no_notebook(
    content: str | None, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SystemExit) as stopped:
        tidy.main([str(path)])
    assert stopped.value.code == 2
    assert f"{path} can't be read as a notebook: {reason}" in capsys.readouterr().err

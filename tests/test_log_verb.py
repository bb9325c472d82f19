"""The verb log, as `lectern` runs it, and what it writes into files."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet
import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

import lectern
from contract.answers import Answers
from contract.signature import Output
from serving.loading import Served
from serving.prediction_log import exporting, place
from serving.prediction_log.database import reading
from serving.prediction_log.database.reading import Wanted
from serving.prediction_log.database.tables import FEEDBACK
from serving.prediction_log.database.writing import write, write_counts
from tests.live import until
from tests.logged import database, logging_to, observed, row_to_write, rows_of, version

DAY_US = 86_400_000_000
NOW = int(time.time() * 1e6)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every verb is about this store, as it is by default."""
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LECTERN_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    output = Output(task="classification", labels=(0, 1), classes=("no", "yes"), scores="probabilities")
    return version(tmp_path_factory.mktemp("version"), output=output)


@pytest.fixture
def file(tmp_path: Path, served: Served) -> Path:
    """A log with four answers, of one of which the truth is known."""
    found = tmp_path / "store" / ".log" / "predictions.sqlite"
    unlike = {0: [{"field": "x", "kind": "out_of_range", "message": "…"}]}
    some = [
        observed(served, {"x": 1.0}, answers=Answers(["yes"], [[0.1, 0.9]]), request_id="a", x_subject_id="Ann Ω"),
        observed(served, {"x": 1e9}, answers=Answers(["no"], [[0.9, 0.1]]), request_id="b", unlike=unlike),
        observed(served, {"x": 1.0}, {"x": 2.0}, answers=Answers(["no", "yes"]), request_id="c", x_subject_id="Ann Ω"),
    ]
    with logging_to(found, tmp_path / "store", log_inputs="full") as (log, counts):
        log.see(some)
        until(lambda: counts.stored == 4)
    with database(found, tmp_path) as log_now, log_now.writing() as connection:
        connection.execute(insert(FEEDBACK).values(prediction_id="b", at=NOW, received=NOW, truth='"yes"'))
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(lectern.app, ["log", *arguments], prog_name="lectern", terminal_width=200)


def said(*arguments: str) -> str:
    """What is printed when it is done."""
    found = run(*arguments)
    assert (found.exit_code, found.stderr) == (0, ""), found.output
    return found.stdout


def documents(*arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(said(*arguments, "--json")))


def test_the_last_answers_are_a_table(file: Path) -> None:
    head, _, *rows = said("times").splitlines()
    assert head.split() == ["when", "id", "model", "alias", "ms", "prediction", "truth", "unlike"]
    assert rows[1].split()[2:] == ["b", "times", "1", "champion", "12.5", "no", "yes", "x"]
    assert [row.split()[2] for row in rows if row] == ["a", "b", "c-0", "c-1"]
    assert "c-0" not in said("times", "--last", "1")
    assert said("othr") == "The prediction log has no such rows; it has some of times.\n"


def test_the_same_as_json_is_what_was_answered(file: Path) -> None:
    one, other, *_ = documents("times")
    assert one | {"at": "", "caller": "", "subject": ""} == {
        "id": "a",
        "at": "",
        "model": "times",
        "version": 1,
        "alias": "champion",
        "latency_us": 12500,
        "prediction": "yes",
        "scores": {"no": 0.1, "yes": 0.9},
        "inputs": {"x": 1.0},
        "inputs_hash": None,
        "warnings": None,
        "caller": "",
        "subject": "",
        "gone": False,
        "truth": None,
        "truth_at": None,
    }
    assert (other["warnings"], other["truth"]) == ({"x": "out_of_range"}, "yes")
    assert other["truth_at"].endswith("+00:00")
    assert documents("other") == []


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        ("1d", None, 4),
        (None, "1h", 0),
        ("2000-01-01", "2999-01-01T00:00:00+02:00", 4),
        ("2999-01-01", None, 0),
    ],
)
def test_a_time_is_a_duration_or_a_moment(file: Path, since: str | None, until: str | None, found: int) -> None:
    arguments = [*(["--since", since] if since else []), *(["--until", until] if until else [])]
    assert len(documents("times", *arguments)) == found


def test_a_file_has_all_of_it_in_the_form_that_its_name_says(file: Path, tmp_path: Path) -> None:
    for name in ("f.parquet", "f.csv", "f.ndjson"):
        assert said("times", "--to", str(tmp_path / name)) == f"4 rows in {tmp_path / name}\n"
    table = pyarrow.parquet.read_table(tmp_path / "f.parquet")
    assert tuple(table.column_names) == exporting.PREDICTIONS
    assert str(table.schema.field("at").type) == str(table.schema.field("truth_at").type) == "timestamp[us, tz=UTC]"
    assert table["prediction"].to_pylist() == ['"yes"', '"no"', '"no"', '"yes"']
    assert table["truth"].to_pylist() == [None, '"yes"', None, None]
    assert table["gone"].to_pylist() == [False] * 4
    text = pyarrow.csv.read_csv(tmp_path / "f.csv")
    assert text.column_names == table.column_names
    assert text["id"].to_pylist() == ["a", "b", "c-0", "c-1"]
    lines = [json.loads(line) for line in (tmp_path / "f.ndjson").read_text().splitlines()]
    assert lines == documents("times")
    assert {path.name for path in tmp_path.iterdir()} == {"store", "f.parquet", "f.csv", "f.ndjson"}


def test_a_subject_gets_all_that_is_known_and_is_erased(file: Path, tmp_path: Path) -> None:
    assert [one["id"] for one in documents("--subject", "Ann Ω")] == ["a", "c-0", "c-1"]
    said("--subject", "Ann Ω", "--to", str(tmp_path / "f.ndjson"))
    assert len((tmp_path / "f.ndjson").read_text().splitlines()) == 3
    (file.parent / "predictions.sqlite.corrupt-1").write_text("")
    receipt = json.loads(said("--erase-subject", "Ann Ω"))
    assert (receipt["predictions"], receipt["feedback"]) == (3, 0)
    assert receipt["not_in_reach"] == [str(file.parent / "predictions.sqlite.corrupt-1")]
    assert [one["id"] for one in documents()] == ["b"]
    assert documents("--subject", "Ann Ω") == []


def test_what_is_too_old_goes_and_is_counted(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, young = NOW - 31 * DAY_US, NOW - 29 * DAY_US
    counted = {"model": "gone", "version": 1, "worker": "w", "rows": 3, "counts": '{"x": {}}'}
    with database(file, tmp_path) as found:
        write(found, [row_to_write(f"old-{n}", model="times", at=old) for n in range(2_100)])
        write(found, [row_to_write("young", model="other", at=young), row_to_write("o", model="other", at=old)])
        write_counts(found, [counted | {"began": at, "ended": at} for at in (old, young)])
        with found.writing() as connection:
            words = {"old-7": NOW, "young": NOW, "nobody's": old, "somebody's": young}
            facts = [{"prediction_id": n, "at": at, "received": at, "truth": "1"} for n, at in words.items()]
            connection.execute(insert(FEEDBACK), facts)
    told = "The prediction log let go of what was older than 30 days: "
    assert said("--prune") == f"{told}2,101 predictions, 2 of feedback, 1 counts of fields.\n"
    assert said("--prune") == f"{told}0 predictions, 0 of feedback, 0 counts of fields.\n"
    assert {row[0] for row in rows_of(file, tmp_path, "id")} == {"a", "b", "c-0", "c-1", "young"}
    assert {row[0] for row in rows_of(file, tmp_path, "prediction_id", "feedback")} == {"b", "young", "somebody's"}
    [(model, _)] = [(one["model"], one["counts"]) for one in documents("--counts")]
    assert model == "gone"
    assert said("gone", "--counts").splitlines()[2].split()[4:] == ["gone", "1", "3", "w", "1"]
    said("--counts", "--to", str(tmp_path / "counts.parquet"))
    assert pyarrow.parquet.read_table(tmp_path / "counts.parquet").num_rows == 1
    monkeypatch.setenv("LECTERN_LOG_DAYS", "0")
    refused = run("--prune")
    assert (refused.exit_code, "LECTERN_LOG_DAYS is 0: the log keeps all; set how many" in refused.stderr) == (1, True)


def test_pages_follow_each_other_without_a_gap(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE_ROWS", 7)
    with database(file, tmp_path) as found:
        write(found, [row_to_write(f"{n:03}", model="m", at=1_000 + n // 10, subject="s") for n in range(100)])
        for wanted in (Wanted("m"), Wanted(subject="s"), Wanted("m", since=1_000, until=1_010)):
            pages = list(reading.predictions(found, wanted))
            assert [row["id"] for page in pages for row in page] == [f"{n:03}" for n in range(100)]
            assert max(map(len, pages)) == 7
        between = reading.predictions(found, Wanted("m", since=1_003, until=1_005))
        assert [row["id"] for page in between for row in page] == [f"{n:03}" for n in range(30, 50)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--since", "yesterday"], 1, "'yesterday' is no duration"),
        (
            ["--to", "f.xlsx"],
            1,
            "'f.xlsx' is of no form that the log is written in; these are: .parquet, .csv, .ndjson.",
        ),
        (["--to", "/nowhere/f.csv"], 1, "Cannot write /nowhere/f.csv: No such file or directory."),
        (["--prune", "--counts"], 2, "give one of --counts, --subject, --erase-subject and --prune."),
        (["times", "--prune"], 2, "are about all models, at all times."),
    ],
)
def test_what_cannot_be_done_is_said(file: Path, arguments: list[str], code: int, message: str) -> None:
    found = run(*arguments)
    assert found.exit_code == code
    assert message in " ".join(found.stderr.replace("│", " ").split())


def test_where_there_is_no_log_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "There is no prediction log at " in run("times").stderr
    assert not (tmp_path / "store").exists()
    monkeypatch.setenv("LECTERN_PREDICTION_LOG", "none")
    assert run("times").stderr == "lectern: There is no prediction log: the setting says that there shall be none.\n"
    monkeypatch.delenv("LECTERN_PREDICTION_LOG")
    monkeypatch.setattr(place, "find_spec", lambda _: None)
    assert "'lectern[watch]' brings it." in run("times").stderr


def test_arrow_that_is_missing_is_named(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    assert (
        "f.parquet needs the package 'pyarrow'; 'lectern[watch]' brings it."
        in run("--to", str(tmp_path / "f.parquet")).stderr
    )
    assert [path.name for path in tmp_path.iterdir()] == ["store"]

"""serving.scoring, `lectern score`: a file of rows answered into another, whole or not at all."""

from __future__ import annotations

import io
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from contract.store import Store
from serving.tables import ARROW, CSV, NDJSON, PARQUET
from serving.verbs import app
from tests.forms import as_stream, body, said
from tests.live import Times, damage, publish, publish_graph
from tests.promoting import deployer

ROWS = [{"x": float(n)} for n in range(20_000)]


@pytest.fixture(autouse=True)
def models(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A model that doubles, and one that trebles in its second version."""
    publish_graph(store, "graph", 2.0)
    publish_graph(store, "graph", 3.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LECTERN_STORE", str(store.root))
    yield
    left = [path.name for path in tmp_path.iterdir() if "unfinished" in path.name]
    assert not left


def score(*arguments: str, given: bytes = b"") -> Result:
    return CliRunner().invoke(app, ["score", *arguments], input=given)


def piped(*arguments: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "serving", "score", *arguments]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(command, input=given, capture_output=True, check=False, env=environment)


def predictions(content: bytes, form: Any) -> list[float]:
    return [float(row["prediction"]) for row in said(content, form)]


@pytest.mark.parametrize(
    ("suffix", "form"), [(".csv", CSV), (".jsonl", NDJSON), (".arrows", ARROW), (".parquet", PARQUET)]
)
def test_a_file_is_answered_beside_itself(tmp_path: Path, suffix: str, form: Any) -> None:
    (tmp_path / f"rows{suffix}").write_bytes(body(form, ROWS))
    done = score("graph", f"rows{suffix}")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("20,000 rows answered by graph version 2 at ")
    assert done.stdout.endswith(f" rows/s, in rows.scored{suffix}\n")
    assert predictions((tmp_path / f"rows.scored{suffix}").read_bytes(), form) == [3 * row["x"] for row in ROWS]


def test_another_form_another_version_and_the_rows_beside_the_answers(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(body(CSV, ROWS))
    assert score("graph", "rows.csv", "-o", "answers.parquet", "--version", "1", "--echo").exit_code == 0
    found = pq.read_table(tmp_path / "answers.parquet")
    assert found.column_names == ["x", "prediction", "id", "warnings", "error"]
    assert found["prediction"].to_pylist() == [2 * row["x"] for row in ROWS]
    assert set(found["warnings"].to_pylist()) == {"", "x out_of_range"}


def test_files_of_arrow_are_read_and_written(tmp_path: Path) -> None:
    pd.DataFrame(ROWS).to_feather(tmp_path / "rows.arrow")
    done = score("graph", "rows.arrow")
    assert (done.exit_code, done.stderr) == (0, "")
    assert pd.read_feather(tmp_path / "rows.scored.arrow")["prediction"].tolist() == [3 * row["x"] for row in ROWS]


def test_a_model_in_a_process_of_its_own_answers_too(store: Store, tmp_path: Path) -> None:
    publish(store, "object", Times(5.0))
    (tmp_path / "rows.csv").write_bytes(body(CSV, ROWS[14:600]))
    assert score("object", "rows.csv").exit_code == 0
    assert predictions((tmp_path / "rows.scored.csv").read_bytes(), CSV) == [5 * row["x"] for row in ROWS[14:600]]


def test_standard_input_and_output() -> None:
    done = piped("graph", "-", "--from", "csv", given=body(CSV, ROWS[:3]))
    assert predictions(done.stdout, CSV) == [0.0, 3.0, 6.0]
    assert done.stderr.startswith(b"3 rows answered by graph version 2 at ")
    for to, form in (("ndjson", NDJSON), ("arrows", ARROW), ("parquet", PARQUET)):
        table = as_stream(pa.table({"x": [1.0]}))
        assert predictions(score("graph", "-", "--from", "arrows", "--to", to, given=table).stdout_bytes, form) == [3.0]


def test_a_bad_row_is_named_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    for suffix, form in ((".csv", CSV), (".jsonl", NDJSON), (".parquet", PARQUET), (".arrows", ARROW)):
        bad = {"x": "a"} if form is NDJSON else {"x": float("nan")}
        (tmp_path / f"rows{suffix}").write_bytes(body(form, [*ROWS, bad, *ROWS]))
        (tmp_path / f"rows.scored{suffix}").write_text("older")
        done = score("graph", f"rows{suffix}")
        assert (done.exit_code, done.stdout) == (1, "")
        told = "lectern: 'x' in row 20000 must be a number. What was answered before is in rows.scored"
        assert done.stderr == f"{told}{suffix}.part.\n"
        assert (tmp_path / f"rows.scored{suffix}").read_text() == "older"
        assert predictions((tmp_path / f"rows.scored{suffix}.part").read_bytes(), form) == [3 * r["x"] for r in ROWS]


def test_where_nothing_was_answered_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x\na\n")
    done = score("graph", "rows.csv")
    assert (done.exit_code, done.stderr) == (1, "lectern: 'x' in row 0 must be a number.\n")
    assert [path.name for path in tmp_path.glob("rows*")] == ["rows.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("graph", "rows.txt"),
            "'rows.txt' is of no form that can be scored; these are: .arrow, .arrows, .csv, .feather, ",
        ),
        (("graph", "rows.csv", "-o", "a.txt"), "'a.txt' is of no form that can be scored; these are: "),
        (("graph", "rows.csv", "--from", "xml"), "'xml' is of no form that can be scored; these are: "),
        (("graph", "-"), "Say what '-' holds, with --from for the rows and --to for answers: .arrow, "),
        (("graph", "gone.csv"), "Cannot score gone.csv into gone.scored.csv: No such file or directory.\n"),
        (("graph", "rows.csv", "-o", "no/a.csv"), "Cannot score rows.csv into no/a.csv: No such file or directory.\n"),
        (
            ("graph", "rows.csv", "-o", "./rows.csv"),
            "./rows.csv holds the rows themselves; name another file for the answers.\n",
        ),
        (("rose", "rows.csv"), "There is no model 'rose'; the store holds graph.\n"),
        (("graph", "rows.csv", "--version", "7"), "Model 'graph' has no version 7; the store holds 1, 2.\n"),
    ],
)
def test_what_cannot_be_scored_is_one_line(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "rows.csv").write_text("x\n1\n")
    done = score(*arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"lectern: {message}")
    assert (tmp_path / "rows.csv").read_text() == "x\n1\n"


def test_a_version_that_must_not_answer_is_passed_over(store: Store, tmp_path: Path) -> None:
    damage(store.artifact("graph", 2), "model.onnx")
    (tmp_path / "rows.csv").write_text("x\n1\n")
    done = score("graph", "rows.csv")
    assert "answered by graph version 1" in done.stdout
    assert done.stderr.startswith("lectern: graph version 2 is passed over: ")
    refused = score("graph", "rows.csv", "--version", "2")
    assert (refused.exit_code, refused.stdout) == (1, "")


def test_the_champion_answers_or_the_one_before(store: Store, tmp_path: Path) -> None:
    deployer(store).promote("graph", 1)
    (tmp_path / "rows.csv").write_text("x\n1\n")
    assert "answered by graph version 1" in score("graph", "rows.csv").stdout
    deployer(store).promote("graph", 2)
    publish_graph(store, "graph", 4.0)
    shutil.rmtree(store.artifact("graph", 2).folder)
    assert "answered by graph version 1" in score("graph", "rows.csv").stdout
    shutil.rmtree(store.artifact("graph", 1).folder)
    refused = score("graph", "rows.csv")
    assert refused.stderr == "lectern: 'graph' has no champion; `lectern promote graph VERSION` makes one.\n"


def test_a_terminal_is_shown_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_bytes(body(CSV, ROWS))
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "serving", "score", "graph", "rows.csv"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        shown = io.BytesIO()
        while True:
            try:
                part = os.read(terminal, 1 << 16)
            except OSError:  # the other end is closed
                break
            shown.write(part)
            if not part:
                break
        assert process.wait() == 0
    os.close(terminal)
    assert b"rows.csv" in shown.getvalue()
    assert b"kB" in shown.getvalue()

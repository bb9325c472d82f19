"""`lectern compare`: two versions on the same rows, and nothing changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import lectern
from tests.gated import KIND, MODEL, ROWS, Zoo


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def compare(zoo: Zoo, *arguments: str) -> Result:
    return CliRunner().invoke(lectern.app, ["compare", MODEL, *arguments, "--store", str(zoo.store.root)])


def test_two_versions_side_by_side(zoo: Zoo) -> None:
    before = len(zoo.store.promotions(MODEL).history())
    shown = compare(zoo, "2", "1", "--metric", "log_loss", "--slice", "width")
    assert (shown.exit_code, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines() if line.strip()]
    assert lines[0] == ["metric", "rows", "version", "2", "version", "1", "difference"]
    [decides] = [line for line in lines if line[1:2] == ["*"]]
    assert (decides[0], decides[-1]) == ("log_loss", "better")
    assert sum(line[0] == "log_loss" for line in lines) == 5
    assert lines[-1] == ["*", "decides;", "60", "rows", "of", "version", "1"]
    assert len(zoo.store.promotions(MODEL).history()) == before


def test_it_speaks_json_and_takes_rows_by_hand(zoo: Zoo) -> None:
    ROWS.assign(kind=KIND).to_parquet("rows.parquet")
    shown = compare(zoo, "1", "2", "--json", "--slice", "colour", "--data", "rows.parquet", "--target", "kind")
    assert (shown.exit_code, shown.stderr) == (0, "")
    found = json.loads(shown.stdout)
    assert (found["model"], found["versions"], found["rows"], found["rows_of"]) == (MODEL, [1, 2], 160, "rows.parquet")
    accuracy = found["table"][0]
    assert (accuracy["metric"], accuracy["champion"], accuracy["better"]) == ("accuracy", 1.0, False)
    assert [line["rows"] for line in found["table"] if "rows" in line] == [
        f"colour={name}" for name in ("blue", "green", "red")
    ]


def test_rows_left_out_are_told(zoo: Zoo) -> None:
    assert "Version 4 cannot answer" in compare(zoo, "4", "5").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("1", "99"), 1, "lectern: Model 'flower' has no version 99; the store holds"),
        (("1", "10"), 1, "lectern: Version 10 has another task than version 1: regression instead of classification."),
        (("1", "2", "--slice", "age"), 1, "lectern: The rows have no column 'age'; they have length, width."),
        (("1", "2", "--target", "kind"), 2, "--data and --target go together"),
    ],
)
def test_what_cannot_be_compared_says_why(zoo: Zoo, arguments: tuple[str, ...], code: int, message: str) -> None:
    refused = compare(zoo, *arguments)
    assert refused.exit_code == code
    assert message in " ".join(refused.stderr.replace("│", " ").split())

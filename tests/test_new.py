"""The verb `new` and the task of make that calls it: what they are given, and what they say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import lectern
from tests.test_scaffolding import ROOT, customers


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def new(*arguments: str) -> Result:
    return CliRunner().invoke(lectern.app, ["new", *arguments], prog_name="lectern", terminal_width=200)


def test_the_verb_says_what_it_found_and_what_to_do_next() -> None:
    customers().to_csv("rows.csv", index=False)
    done = new("churn", "--data", "rows.csv", "--target", "left")
    assert (done.exit_code, done.stderr) == (0, "")
    kept = customers()["left"].value_counts()
    assert done.stdout.splitlines() == [
        "Read: 200 rows, 13 columns",
        f"Task: classification of left: no ({kept['no']}), yes ({kept['yes']}), who knows (2)",
        f"Without a target, left out: {200 - kept.sum()} rows",
        "Too rare to be learned, left out: 1 class",
        "Columns: 2 numbers, 1 flag, 3 categories, 1 category of many levels, 1 free text, 2 dates",
        "Left out: customerID, another value in nearly every row: it names the row, and says nothing of a new one",
        "Left out: currency, the same value in every row",
        "Written: notebooks/training/churn.ipynb",
        "Next: lectern train notebooks/training/churn.ipynb",
        "  or: make train NOTEBOOK=notebooks/training/churn.ipynb",
    ]


def test_the_verb_shows_no_control_characters_and_quotes_for_the_shell() -> None:
    pd.DataFrame({"\x1b[31mred": range(40), "x": range(5, 45), "y": ["a", "b"] * 20}).to_csv("rows.csv", index=False)
    done = new("m", "--data", "rows.csv", "--target", "y", "--to", "my draft's.ipynb")
    assert "Left out: \\x1b[31mred, another" in done.stdout
    assert done.stdout.splitlines()[-1] == "Next: lectern train 'my draft'\"'\"'s.ipynb'"


def test_nothing_is_replaced_unless_asked() -> None:
    customers().to_csv("rows.csv", index=False)
    notebook = Path("notebooks", "training", "model.ipynb")
    again = ("model", "--data", "rows.csv", "--target", "left")
    assert new(*again).exit_code == 0
    notebook.write_text("mine")
    refused = new(*again)
    said = f"lectern: {notebook} is there already; give another --to, or --force to replace it.\n"
    assert (refused.exit_code, refused.stdout, refused.stderr) == (1, "", said)
    assert notebook.read_text() == "mine"
    assert new(*again, "--force", "--task", "classification").exit_code == 0
    assert notebook.read_text() != "mine"


def test_make_new_passes_on_what_it_is_given_word_for_word(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    command = tmp_path / ".venv" / "bin" / "lectern"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    command.chmod(0o755)
    target = 'it\'s "$(touch pwned)" `x` $HOME; price ($)'
    given = ["NAME=churn", "DATA=my rows.csv", f"TARGET={target}", "TASK=regression", "FORCE=1"]
    environment = {name: value for name, value in os.environ.items() if not re.match("MAKE|MFLAGS", name)}
    made = subprocess.run(
        ["make", "PYTHON=true", "new", *given], env=environment, capture_output=True, text=True, check=True
    )
    words = ["new", "churn", "--data", "my rows.csv", "--target", target, "--task", "regression", "--force"]
    assert made.stdout.splitlines() == words
    assert not (tmp_path / "pwned").exists()
    bare = subprocess.run(
        ["make", "PYTHON=true", "new"], env=environment | {"NAME": "laptop"}, capture_output=True, text=True, check=True
    )
    assert bare.stdout.splitlines() == ["new"]

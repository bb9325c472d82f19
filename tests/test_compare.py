"""`lectern compare`: two versions on the same rows, and nothing changes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import lectern
import pipeline
from contract.errors import NotComparable, VersionNotFound
from contract.metric_names import ROUNDING
from pipeline.gating.comparing import Compared, Comparison
from pipeline.gating.deciding import Decision
from pipeline.gating.limits import Check
from tests.gated import KIND, MODEL, ROWS, Zoo
from tests.test_showing import SCRIPT, in_a_notebook, is_tame


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LECTERN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
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


# --- in a notebook


def test_a_notebook_sees_what_a_shell_does(zoo: Zoo) -> None:
    found = pipeline.compare(MODEL, 2, 1, metric="log_loss", slice="width", store=zoo.store.root)
    said = compare(zoo, "2", "1", "--metric", "log_loss", "--slice", "width").stdout
    assert str(found).splitlines() == [line for line in said.splitlines() if line]
    assert {line.rows.partition("=")[0] for line in found.table} == {"", "width"}
    again = pipeline.compare(MODEL, 2, 1, metric="log_loss", slice="width", store=zoo.store)
    assert in_a_notebook(found) == in_a_notebook(again) == {"text/plain": str(found), "text/html": found._repr_html_()}
    assert found._repr_html_().count("font-weight:bold") == 1
    assert repr(found).startswith("Comparison(candidate=1, champion=2, metric='log_loss'")


def test_the_rows_may_be_a_frame(zoo: Zoo, tmp_path: Path) -> None:
    rows = ROWS.assign(kind=KIND)
    found = pipeline.compare(MODEL, 1, 2, slice="colour", data=rows, target="kind", store=zoo.store)
    assert (found.count, found.source, found.candidate) == (160, "the frame", 2)
    assert "kind" in rows, "the frame stays as it is"
    rows.to_csv(tmp_path / "rows.csv")
    read = pipeline.compare(MODEL, 1, 2, data="rows.csv", target="kind", store=zoo.store)
    assert read.table == tuple(line for line in found.table if not line.rows)
    with pytest.raises(NotComparable, match=r"^the frame has no column 'sort'; it has length, width, colour, kind\.$"):
        pipeline.compare(MODEL, 1, 2, data=rows, target="sort", store=zoo.store)
    with pytest.raises(NotComparable, match=r"^data and target go together: rows, and the name of their column"):
        pipeline.compare(MODEL, 1, 2, data=rows, store=zoo.store)
    with pytest.raises(VersionNotFound, match="Model 'flower' has no version 99"):
        pipeline.compare(MODEL, 1, 99, store=zoo.store)


LINES = (Compared("accuracy", 0.9, 0.8), Compared("log_loss", 0.5, 0.4), Compared("cost", None, 2.0))


def test_a_comparison_marks_what_decides_and_what_became_better() -> None:
    lines = (*LINES, Compared("accuracy", 1.0, 1.0 - ROUNDING / 2, "sex=F"))
    missed = Check("sex=F", "accuracy >= 0.97", 0.95, False)
    found = Comparison(4, 3, "accuracy", 1, "version 4", lines, (missed,), ("Version 3 cannot answer 4 of 5 rows.",))
    assert str(found).splitlines() == [
        "metric      rows   version 3  version 4  difference",
        "─" * 61,
        "accuracy *  all       0.9000     0.8000     -0.1000  ▼ worse",
        "log_loss    all       0.5000     0.4000     -0.1000  ▼ better",
        "cost        all                  2.0000",
        "accuracy    sex=F     1.0000     1.0000      -5e-13",
        "* decides; 1 row of version 4",
        "Version 3 cannot answer 4 of 5 rows.",
        "sex=F: accuracy is 0.95, >= 0.97 is asked for.",
    ]
    assert found._repr_html_().endswith(
        "</table><p>* decides; 1 row of version 4</p><ul><li>Version 3 cannot answer 4 of 5 rows.</li>"
        "<li>sex=F: accuracy is 0.95, &gt;= 0.97 is asked for.</li></ul></div>"
    )


def test_a_decision_shows_its_comparison() -> None:
    found = Decision("iris", 4, 3, "kept", "it is worse", Comparison(4, 3, "accuracy", 9, "version 4", LINES))
    shown = in_a_notebook(found)
    assert shown["text/plain"] == str(found)
    assert shown["text/html"].startswith(
        "<div><p><strong>iris version 4</strong><br>not promoted: it is worse; `lectern promote iris 4 --force"
    )
    assert shown["text/html"].count("<tr") == 4
    assert "<table>" not in Decision("iris", 1, None, "promoted", "it is the first")._repr_html_()


def test_no_name_of_a_comparison_becomes_markup_and_it_is_bounded() -> None:
    lines = (Compared(SCRIPT, 0.9, 0.8), *(Compared(SCRIPT, 0.5, 0.4, f"{SCRIPT}={n}") for n in range(500)))
    check = Check(SCRIPT, f"{SCRIPT} >= 1", 0.5, False)
    found = Comparison(4, 3, SCRIPT, 9, SCRIPT, lines, (check,), (SCRIPT,))
    for page in (found._repr_html_(), Decision(SCRIPT, 4, 3, "kept", SCRIPT, found)._repr_html_()):
        assert is_tame(page)
        assert page.count("<tr") == 51
        assert "<p>… and 451 more</p>" in page
        assert len(page) < 30_000
    assert "\x1b" not in str(found)

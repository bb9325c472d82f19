"""The survey of a file: how it is read, what its columns and its target are taken for, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.scaffolding import datafile
from pipeline.scaffolding.datafile import DataRefused, read
from pipeline.scaffolding.surveying import Survey, survey

ROWS = 60
RANDOM = np.random.default_rng(0)
BASIC = pd.DataFrame({"x": RANDOM.normal(size=ROWS), "y": [0, 1] * (ROWS // 2)})
HALF = ROWS // 2


def surveyed(tmp_path: Path, content: str | bytes | pd.DataFrame, target: str = "y", task: Any = None) -> Survey:
    path = tmp_path / "rows.csv"
    if isinstance(content, pd.DataFrame):
        content.to_csv(path, index=False)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return survey(read(path), target, task)


def lines(separator: str, header: str = "x{0}y") -> str:
    return "\n".join([header.format(separator), *(f"{i / 2}{separator}{i % 2}" for i in range(ROWS))])


# --- reading


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_the_separator_is_found(tmp_path: Path, separator: str, mark: str) -> None:
    found = surveyed(tmp_path, mark + lines(separator, '"x, or; so\tor|so"{0}y'))
    assert (found.file.separator, list(found.file.rows)) == (separator, ["x, or; so\tor|so", "y"])


def test_decimal_commas_are_numbers_where_a_comma_separates_nothing(tmp_path: Path) -> None:
    found = surveyed(tmp_path, lines(";").replace(".", ","))
    assert found.file.decimal == ","
    assert found.file.rows["x"].tolist() == [i / 2 for i in range(ROWS)]


def test_parquet_is_read_whatever_its_name(tmp_path: Path) -> None:
    BASIC.rename(columns={"x": 1, "y": 2}).to_parquet(tmp_path / "rows.csv")
    found = survey(read(tmp_path / "rows.csv"), "2")
    assert (found.file.parquet, found.file.whole, [column.name for column in found.columns]) == (True, True, ["1"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_of_a_long_file_only_the_first_rows_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "rows"
    BASIC.to_csv(path, index=False) if kind == "csv" else BASIC.to_parquet(path)
    assert read(path).whole
    monkeypatch.setattr(datafile, "LOOK_ROWS", 40)
    found = read(path)
    assert (len(found.rows), found.whole) == (40, False)
    assert survey(found, "y").columns[0].gaps, "further down there may be some"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give a file with a line of column names and a line for each row"),
        (b" \n\n", "is empty; give a file with a line of column names and a line for each row"),
        (b"x,y\n", "names columns and has no rows; there is nothing to learn from"),
        (b"5.1,3.5,setosa\n" * 30, r"has no header: its first line holds values \(5.1, 3.5, setosa\)"),
        (b"1,2\n" * 30, "has no header"),
        (b"x\n1\n2\n", "has one column only: its first line, 'x', holds no comma"),
        (b"x,y,x\n1,2,3\n", "has two columns called 'x'; give each a name of its own"),
        (b"x,y\n1,2\n1,2,3\n", "is no sound CSV file: line 3 has 3 values, but 2 columns are named"),
        (b"x,y\n1,2,3\n", "is no sound CSV file: its rows have more values than its first line has names"),
        (b"x,y\n1,2\n\xe9,1\n", r"is not UTF-8 \(line 3\); save it as UTF-8"),
        (b"x,y\n" + b"1,2\n" * 30_000 + b"\xe9,1\n", "is not UTF-8; save it as UTF-8"),
        ("x,y\n1,2\n".encode("utf-16"), "is no CSV file but UTF-16: save it as UTF-8"),
        (b"PK\x03\x04\0\0", "is no CSV file but an Excel file or another archive"),
        (b"\x1f\x8b\0", "is no CSV file but compressed: unpack it first"),
        (b'[{"x": 1}]', "is no CSV file but JSON"),
        (b"x,y\n\0,1", "is no text; give a CSV or a Parquet file"),
        (b"PAR1 and so on", "begins like a Parquet file and is none: "),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataRefused, match=message) as refused:
        surveyed(tmp_path, content)
    assert "\n" not in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataRefused, match=r"^Cannot read .*gone.csv: No such file or directory\.$"):
        read(tmp_path / "gone.csv")
    with pytest.raises(DataRefused, match=r"^Cannot read .*: Is a directory\.$"):
        read(tmp_path)


# --- the columns

NAMES, ONE = "another value in nearly every row", "the same value in every row"


@pytest.mark.parametrize(
    ("name", "values", "kind", "said"),
    [
        ("a", RANDOM.normal(size=ROWS), "number", {"gaps": False}),
        ("a", [None, *range(5, ROWS + 4)], "number", {"gaps": True}),
        ("a", [f"{i / 7:.2f}" if i % 20 else " " for i in range(ROWS)], "number", {"gaps": True, "written": True}),
        ("a", [float("inf"), *np.arange(1.5, ROWS)[: ROWS - 1]], "number", {"gaps": True, "infinite": True}),
        ("a", [True, False] * HALF, "flag", {"gaps": False}),
        ("a", [True, False, None] * (ROWS // 3), "category", {"gaps": True}),
        ("a", ["u", "v"] * HALF, "category", {"gaps": False}),
        ("a", [f"town{i % 31}" for i in range(2 * ROWS)], "levels", {}),
        ("a", [f"a box was late, number {i}" for i in range(ROWS)], "text", {}),
        ("a", ["2026-01-31", "2026-02-01"] * HALF, "date", {"format": "ISO8601", "timed": False, "zoned": False}),
        ("a", ["2026-01-31T10:00:00Z", "2026-02-01T00:00:00Z"] * HALF, "date", {"timed": True, "zoned": True}),
        ("a", ["31.01.2026", None] * HALF + ["1.2.2026"] * 2, "date", {"format": "%d.%m.%Y", "gaps": True}),
        ("a", ["01/31/2026 10:30", "02/01/2026 00:00"] * HALF, "date", {"format": "%m/%d/%Y %H:%M", "timed": True}),
        ("a", ["2026-13-45", "2026-01-01"] * HALF, "category", {}),
        ("a", ["01/02/2026", "03/04/2026"] * HALF, None, "dates in which day and month cannot be told apart"),
        ("order id", RANDOM.permutation(ROWS) * 7, None, NAMES),
        ("PassengerId", RANDOM.permutation(ROWS) * 7, None, NAMES),
        ("paid", RANDOM.permutation(ROWS) * 7, "number", {}),
        ("a", range(ROWS), None, NAMES),
        ("a", [f"c-{i}" for i in range(ROWS)], None, NAMES),
        ("a", [f"c-{i % 50}" for i in range(ROWS)], None, "50 different texts in 60 rows: too many to learn from"),
        ("a", [1] * ROWS, None, ONE),
        ("a", ["EUR"] * ROWS, None, ONE),
        ("a", [None] * ROWS, None, "no value at all"),
        ("a", [1.0, None] * HALF, None, "one value and gaps"),
        ("a", [2**63 + i % 9 for i in range(ROWS)], None, "whole numbers too large to be sent as such"),
        ("a", [0, 1] * HALF, None, "the same as the target: it would give the answer away"),
    ],
)
def test_a_column_is_taken_for_what_it_holds(
    tmp_path: Path, name: str, values: Sequence[Any], kind: str | None, said: Any
) -> None:
    frame = pd.DataFrame({name: values})
    frame["x"], frame["y"] = RANDOM.normal(size=len(frame)), [0, 1] * (len(frame) // 2)
    column = surveyed(tmp_path, frame).columns[0]
    assert (column.name, column.kind) == (name, kind)
    if kind is None:
        assert column.reason.startswith(said)
    else:
        assert {key: getattr(column, key) for key in said} == said


def test_columns_of_parquet_that_no_model_takes_are_left_out(tmp_path: Path) -> None:
    more = BASIC.assign(
        lists=pd.Series([[1, 2]] * ROWS, dtype=object), spans=pd.to_timedelta(range(ROWS), "D"), raw=[b"x"] * ROWS
    )
    more.to_parquet(tmp_path / "rows")
    left = {column.name: column.reason for column in survey(read(tmp_path / "rows"), "y").of(None)}
    assert left.keys() == {"lists", "spans", "raw"}
    assert left["spans"] == "durations, which no model takes as they are"


# --- the target


@pytest.mark.parametrize(
    ("values", "asked", "task", "made"),
    [
        ([0, 1] * HALF, None, "classification", ""),
        ([0, 1, None] * 20, None, "classification", "int"),
        (["no", "yes"] * HALF, None, "classification", ""),
        ([True, False] * HALF, None, "classification", ""),
        ([True, False, None] * 20, None, "classification", "bool"),
        (range(ROWS), None, "regression", ""),
        (RANDOM.normal(size=ROWS), None, "regression", ""),
        ([f"{i / 7:.2f}" for i in range(58)] + ["?", " "], None, "regression", ""),
        ([1, 2, 3] * 20, "regression", "regression", ""),
        ([True, False] * HALF, "regression", "regression", "float"),
        ([0.5, 1.5] * HALF, "classification", "classification", "str"),
    ],
)
def test_the_task_is_seen_from_the_target(tmp_path: Path, values: Any, asked: Any, task: str, made: str) -> None:
    target = surveyed(tmp_path, BASIC.assign(y=values), task=asked).target
    assert (target.task, target.made) == (task, made)


def test_classes_are_counted_and_rare_ones_known(tmp_path: Path) -> None:
    target = surveyed(tmp_path, BASIC.assign(y=pd.Series([*"a" * 30, *"b" * 26, "c", "c", None, None]))).target
    assert (target.classes, target.rare, target.unknown) == ((("a", 30), ("b", 26), ("c", 2)), ("c",), 2)


@pytest.mark.parametrize(
    ("values", "asked", "message"),
    [
        ([1] * ROWS, None, "^The column 'y' holds one value only, 1; there is nothing to tell apart"),
        ([None] * ROWS, None, "^The column 'y' of .* holds no value at all"),
        ([0, 1] * 5 + [None] * 50, None, "has 10 rows with a 'y'; at least 20 are needed"),
        ([float("inf"), *range(59)], None, "holds infinite numbers; leave those rows out of the file"),
        ([f"n{i}" for i in range(ROWS)], None, "60 different values in 60 rows, too many for classes; a class needs"),
        (RANDOM.normal(size=ROWS), "classification", "too many for classes; ask for a regression"),
        (["a", "b"] * HALF, "regression", "holds texts such as 'a', which no regression predicts"),
        (["a"] * 58 + ["b"] * 2, None, "has 2 classes, but only 1 with 4 rows or more; at least two are needed"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(tmp_path: Path, values: Any, asked: Any, message: str) -> None:
    with pytest.raises(DataRefused, match=message):
        surveyed(tmp_path, BASIC.assign(y=values), task=asked)


def test_a_target_that_is_no_column_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        DataRefused, match=r"has no column 'Prise'; did you mean ' price'\?; it has 'x', 'y', ' price'\.$"
    ):
        surveyed(tmp_path, BASIC.assign(**{" price": 1}), "Prise")
    with pytest.raises(DataRefused, match=r"has no column 'zzz'; it has .*'c17' and 2 more\.$"):
        surveyed(tmp_path, BASIC.assign(**{f"c{i}": 1 for i in range(20)}), "zzz")


def test_dates_are_no_target(tmp_path: Path) -> None:
    BASIC.assign(y=pd.date_range("2026-01-01", periods=ROWS)).to_parquet(tmp_path / "rows")
    with pytest.raises(DataRefused, match="The column 'y' holds dates; a target holds classes or numbers"):
        survey(read(tmp_path / "rows"), "y")


def test_a_file_with_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataRefused, match=r"Beside 'y', .* has no column to learn from \('x': the same value in every row"
    ):
        surveyed(tmp_path, BASIC.assign(x=1))

"""serving.client: a row arrives the same and its answer is the same, as JSON, as lines and through Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from contract.errors import RequestRefused, RowsRefused
from contract.signature import Field, Output, Signature
from contract.store import Store
from serving.client import Client, asking
from serving.client.rows import Rows
from serving.client.values import array, plain
from tests.live import Says, publish, running
from tests.test_kinds import MODELS, ODD_NAMES, saying

FLAT = (
    Field(name="ratio", type="float", dtype="float64", observed=(0, 1), nullable=True, example=0.5),
    Field(name="count", type="integer", dtype="Int64", nullable=True, example=3),
    Field(name="large", type="integer", dtype="uint64", example=2**64 - 1),
    Field(name="member", type="boolean", dtype="boolean", nullable=True, example=True),
    Field(name="town", type="string", dtype="str", levels=("Ulm",), nullable=True, example="Ulm"),
    Field(name="size", type="category", dtype="category", levels=("s", "m"), nullable=True, example="s"),
    Field(name="grade", type="category", dtype="category", levels=(3, 1, 2), nullable=True, example=1),
    Field(name="born", type="date", dtype="datetime64[us]", nullable=True, example="2000-02-29"),
    Field(name="at", type="datetime", dtype="datetime64[us]", nullable=True, example="2026-03-01T12:00:00"),
    Field(name="sent", type="datetime", dtype="datetime64[us, UTC]", nullable=True, example="2026-07-01T10:00:00Z"),
)
NESTED = (
    Field(name="image", type="tensor", dtype="float64", shape=(1, 2), nullable=True, example=[[0.5, 1.0]]),
    Field(name="mixed", type="category", dtype="object", levels=(1, 2.5, False, "x"), example="x"),
)
WAYS = ("document", "stream", "lines")
REPEATS = Says(  # answers with what it got
    predict=lambda rows: [
        "; ".join(str(value.tolist() if hasattr(value, "tolist") else value) for value in row)
        for row in zip(*(rows[name] for name in rows.columns), strict=True)
    ]
)


def repeating(*fields: Field) -> Signature:
    output = Output(task="classification", type="string")
    return Signature(container="frame", inputs=fields, output=output)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a service with models that say what they got, and with one of each kind of answer."""
    store = Store(tmp_path_factory.mktemp("client") / "store")
    publish(store, "flat", REPEATS, signature=repeating(*FLAT))
    publish(store, "nested", REPEATS, signature=repeating(*NESTED))
    for name in ANSWERING:
        fitted, signature = KINDS[name]
        publish(store, name, fitted, signature=signature)
    with running(store) as service, Client(service.url) as found:
        yield found


KINDS = MODELS | {
    "mixed": (
        Says(predict=lambda rows: [int(x > 5) for x in rows["x"]]),
        saying(task="classification", labels=(0, 1), classes=("no", True)),
    )
}
ANSWERING = [
    *("odd", "multilabel", "unnamed", "named", "pairs", "decision", "decisions", "threshold", "outliers", "clusters"),
    *("transform", "open", "mixed"),
]


def go(way: str, patch: pytest.MonkeyPatch) -> None:
    """Have few rows take this way, too."""
    if way != "document":
        patch.setattr(asking, "FEW_ROWS", 0)
    if way == "lines":
        patch.setattr(Rows, "table", lambda self: None)


def each_way(client: Client, model: str, rows: Any) -> list[pd.DataFrame]:
    found = []
    for way in WAYS:
        with pytest.MonkeyPatch.context() as patch:
            go(way, patch)
            found.append(client.model(model).predict(rows))
    return found


def assert_same_each_way(client: Client, model: str, rows: Any) -> pd.DataFrame:
    """Ask each way, and return the answers; only their ids are not the same."""
    first, *others = each_way(client, model, rows)
    for other in others:
        assert other.attrs == first.attrs == {"model": model, "version": 1}
        assert_frame_equal(other.drop(columns="id"), first.drop(columns="id"))
        assert other["id"].dtype == first["id"].dtype
    return first


MISSING = st.sampled_from([None, np.nan, pd.NA, pd.NaT])
MOMENTS = st.datetimes(datetime.fromisoformat("1700-01-01"), datetime.fromisoformat("2200-01-01"))
ZONES = st.sampled_from([timezone(timedelta(hours=2)), UTC])
CELLS = {
    "ratio": st.one_of(MISSING, st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 5).map(float)),
    "count": st.one_of(MISSING, st.integers(-(2**63), 2**63 - 1)),
    "large": st.integers(0, 2**64 - 1),
    "member": st.one_of(MISSING, st.booleans(), st.booleans().map(np.bool_)),
    "town": st.one_of(MISSING, st.text(st.characters(exclude_categories=["Cs"])), st.just("Ulm")),
    "size": st.one_of(MISSING, st.sampled_from(["s", "m"])),
    "grade": st.one_of(MISSING, st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 3]).map(np.int8)),
    "born": st.one_of(MISSING, st.dates(date(1, 1, 1))),
    "at": st.one_of(MISSING, MOMENTS, MOMENTS.map(pd.Timestamp), MOMENTS.map(np.datetime64)),
    "sent": st.one_of(MISSING, MOMENTS.flatmap(lambda at: ZONES.map(lambda zone: at.replace(tzinfo=zone)))),
}
ROWS = st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=4)


@given(rows=ROWS)
@settings(max_examples=settings().max_examples // 3)  # of a dozen requests each
def test_whatever_python_has_in_a_cell_arrives_the_same_each_way(client: Client, rows: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=object) for name in CELLS})
    expected = assert_same_each_way(client, "flat", frame)
    of_dicts = client.model("flat").predict(rows)
    assert_frame_equal(of_dicts.drop(columns="id"), expected.drop(columns="id"))
    for row, said in zip(rows, expected["prediction"], strict=True):
        assert client.model("flat").predict(row)["prediction"] == said


TYPED = {
    "ratio": ["float64", "float32", "float16", "Float64", "double[pyarrow]", "object"],
    "count": ["Int64", "Int8", "int64[pyarrow]", "object"],
    "large": ["uint64", "UInt64", "int8", "uint64[pyarrow]"],
    "member": ["boolean", "bool[pyarrow]", "object"],
    "town": ["str", "string", "string[pyarrow]", "category", "object"],
    "size": ["category", "str"],
    "grade": ["category", "Int64", "object"],
    "born": ["datetime64[ns]", "datetime64[s]", "timestamp[us][pyarrow]", "date32[day][pyarrow]"],
    "at": ["datetime64[ns]", "datetime64[ms]", "timestamp[ns][pyarrow]"],
    "sent": ["datetime64[ns, Europe/Berlin]", "datetime64[us, UTC]", "object"],
}
GIVEN: dict[str, list[Any]] = {
    "ratio": [0.5, None, 7.0],
    "count": [1, None, -3],
    "large": [1, 2, 3],
    "member": [True, None, False],
    "town": ["Ulm", None, "Bonn"],
    "size": ["s", None, "m"],
    "grade": [1, None, 3],
    "born": [pd.Timestamp("2000-02-29"), None, pd.Timestamp("1999-12-31")],
    "at": [pd.Timestamp("2026-03-01T12:00:00.25"), None, pd.Timestamp("2026-03-01")],
    "sent": [pd.Timestamp("2026-07-01T10:00", tz="Europe/Berlin"), None, pd.Timestamp("2026-01-01", tz="UTC")],
}


@pytest.mark.parametrize("number", range(6))
def test_every_type_of_column_arrives_the_same_each_way(client: Client, number: int) -> None:
    types = {name: some[number % len(some)] for name, some in TYPED.items()}
    columns = {
        name: pd.Series(values).dt.tz_convert("Europe/Berlin").astype(types[name])
        if "Berlin" in types[name]
        else pd.Series(values, dtype=types[name])
        for name, values in {**GIVEN, "sent": pd.to_datetime(GIVEN["sent"], utc=True)}.items()
    }
    frame = pd.DataFrame(columns)
    assert Rows(frame.index, frame).table() is not None
    said = assert_same_each_way(client, "flat", frame)
    assert said["prediction"].tolist() == [
        "0.5; 1; 1; True; Ulm; s; 1; 2000-02-29 00:00:00; 2026-03-01 12:00:00.250000; 2026-07-01 08:00:00+00:00",
        "nan; <NA>; 2; <NA>; nan; nan; nan; NaT; NaT; NaT",
        "7.0; -3; 3; False; Bonn; m; 3; 1999-12-31 00:00:00; 2026-03-01 00:00:00; 2026-01-01 00:00:00+00:00",
    ]
    assert said["warnings"].tolist() == ["", "", "ratio out_of_range; town unseen"]


def test_arrays_in_cells_and_levels_of_several_types_arrive_as_lines(client: Client) -> None:
    images = [np.array([[1, 2]]), np.array([[0.5, 1]], dtype=np.float32), None, [[np.int8(3), 4.5]]]
    frame = pd.DataFrame({"image": pd.Series(images, dtype=object), "mixed": [1, np.float64(2.5), False, "x"]})
    said = assert_same_each_way(client, "nested", frame)
    assert said["prediction"].tolist() == [
        "[[1.0, 2.0]]; 1",
        "[[0.5, 1.0]]; 2.5",
        "None; False",
        "[[3.0, 4.5]]; x",
    ]
    odd = pd.DataFrame({"image": pd.Series([np.array([[np.nan, 1]])], dtype=object), "mixed": "x"})
    for way in WAYS:
        with pytest.MonkeyPatch.context() as patch:
            go(way, patch)
            with pytest.raises(RequestRefused, match=r"^'image' in row 0 must be 1 list of 2 numbers, or null\.$"):
                client.model("nested").predict(odd)


def test_a_polars_frame_is_answered_as_a_pandas_frame(client: Client) -> None:
    columns: Any = {name: [values[0], values[1] if name != "large" else 2] for name, values in GIVEN.items()}
    frame = pl.DataFrame(columns).with_columns(pl.col("count").cast(pl.Int16), pl.col("size").cast(pl.Categorical))
    said = assert_same_each_way(client, "flat", frame.with_columns(pl.col("born").cast(pl.Date)))
    assert said["prediction"].tolist() == [
        "0.5; 1; 1; True; Ulm; s; 1; 2000-02-29 00:00:00; 2026-03-01 12:00:00.250000; 2026-07-01 08:00:00+00:00",
        "nan; <NA>; 2; <NA>; nan; nan; nan; NaT; NaT; NaT",
    ]


@pytest.mark.parametrize("name", ANSWERING)
def test_every_kind_of_answer_is_the_same_frame_each_way(client: Client, name: str) -> None:
    model = client.model(name)
    some = [value * 3 for value in (1.0, 2.0, 3.0)]
    rows = pd.DataFrame(dict.fromkeys(ODD_NAMES, some) if name == "odd" else {"x": some})
    said = assert_same_each_way(client, name, rows)
    none = model.predict(rows.iloc[:0])
    assert len(none) == 0
    assert none.dtypes.to_dict() == said.dtypes.to_dict()


def test_answers_have_the_columns_of_the_services_own_tables(client: Client) -> None:
    x = pd.DataFrame({"x": [1.0, 9.0]})
    columns = {name: list(client.model(name).predict(x).columns) for name in ("multilabel", "decisions", "named")}
    assert columns == {
        "multilabel": ["prediction", *(f"probabilities.{key}" for key in ("art", "law", "war")), "id", "warnings"],
        "decisions": ["prediction", *(f"scores.{key}" for key in ("art", "law", "war")), "id", "warnings"],
        "named": ["prediction.Höhe (m)", "prediction.$ref", "id", "warnings"],
    }
    assert client.model("multilabel").predict(x)["prediction"].tolist() == ["art", "art; war"]


UNSENDABLE = [float("inf"), -np.inf, 1j, timedelta(1), pd.Period("2026-01"), b"x", {"a": 1}, object()]


@pytest.mark.parametrize("value", UNSENDABLE, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("way", WAYS)
def test_what_json_cannot_say_is_refused_by_row_and_field(
    client: Client, way: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(way, monkeypatch)
    for dtype in [None, object] if not isinstance(value, complex) else [object]:
        column = pd.Series([0.5, value], dtype=dtype)
        frame = pd.DataFrame([client.model("flat").example] * 2).assign(ratio=column)
        with pytest.raises(RequestRefused, match=r"^'ratio' in row 1 must be a number, or null\.$"):
            client.model("flat").predict(frame)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [pd.Timestamp("2026-01-01"), pd.Timedelta(1), pd.Period("2026-01", "D")], ids=str)
def test_moments_are_texts_each_way_and_spans_of_time_are_nothing(
    client: Client, way: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(way, monkeypatch)
    frame = pd.DataFrame([client.model("flat").example]).assign(town=pd.Series([value]), count=1)
    if isinstance(value, pd.Timestamp):
        assert "; 2026-01-01T00:00:00" in client.model("flat").predict(frame)["prediction"][0]
    else:
        with pytest.raises(RequestRefused, match=r"^'town' in row 0 must be a text, or null\.$"):
            client.model("flat").predict(frame)
        with pytest.raises(RequestRefused, match=r"^'large' in row 0 must be a whole number\.$"):
            client.model("flat").predict(frame.assign(town="Ulm", large=pd.Series([value])))


@pytest.mark.parametrize("way", WAYS)
def test_half_a_letter_cannot_be_sent(client: Client, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    go(way, monkeypatch)
    frame = pd.DataFrame([client.model("flat").example]).assign(town=pd.Series(["\ud800"], dtype=object))
    with pytest.raises(RowsRefused, match=r"^A text in the rows cannot be sent: it holds one half of a surrogate pair"):
        client.model("flat").predict(frame)


def test_arrow_has_only_what_is_of_one_type_there_as_well() -> None:
    day = date(2026, 1, 1)
    mixed: list[list[Any]] = [[1, 2.5], [True, 1], ["a", 1], [[1, 2]], [{}], [2**64], [day, 5]]
    for some in mixed:
        assert array(pd.Series(some, dtype=object)) is None
    alike: list[list[Any]] = [
        [1, None],
        [0.5, np.nan],
        ["a", pd.NA],
        [None],
        [day, pd.Timestamp(day)],
        [True, np.bool_(0)],
    ]
    for some in alike:
        assert array(pd.Series(some, dtype=object)).to_pylist() == plain(some)  # type: ignore[union-attr]


def test_numbers_of_every_width_are_plain() -> None:
    given: list[Any] = [np.longdouble(0.5), np.float16(0.5), np.int64(-(2**63)), np.uint64(2**64 - 1), Decimal("0.5")]
    found = plain(given)
    assert found == [0.5, 0.5, -(2**63), 2**64 - 1, 0.5]
    assert [type(value) for value in found] == [float, float, int, int, float]
    assert plain(np.array(["a", None], dtype=object)) == ["a", None]
    assert plain(np.array(5)) == 5

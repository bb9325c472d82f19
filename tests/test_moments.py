"""serving.moments: which texts name a date or a time, and how each of them is spelt from then on."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import jsonschema_rs
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticCustomError

from contract.signature import Field
from serving.moments import Moments

DAY = Moments(Field(name="x", type="date", dtype="object"))
DAY_NS = Moments(Field(name="x", type="date", dtype="datetime64[ns]"))
LOCAL = Moments(Field(name="x", type="datetime", dtype="datetime64[us]"))
LOCAL_NS = Moments(Field(name="x", type="datetime", dtype="datetime64[ns]"))
ZONED = Moments(Field(name="x", type="datetime", dtype="datetime64[us, Europe/Berlin]"))
ZONED_NS = Moments(Field(name="x", type="datetime", dtype="datetime64[ns, UTC]"))

READ = [
    (DAY, "2026-11-21", "2026-11-21"),
    (DAY, "2028-02-29", "2028-02-29"),
    (DAY, "0001-01-01", "0001-01-01"),
    (DAY, "9999-12-31", "9999-12-31"),
    (DAY_NS, "1677-09-22", "1677-09-22"),
    (DAY_NS, "2262-04-11", "2262-04-11"),
    (LOCAL, "2026-11-21T14:30:00", "2026-11-21T14:30:00"),
    (LOCAL, "2026-11-21 14:30", "2026-11-21T14:30:00"),
    (LOCAL, "2026-11-21t14:30:05.5", "2026-11-21T14:30:05.500000"),
    (LOCAL, "2026-11-21T14:30:05.123456789", "2026-11-21T14:30:05.123456"),
    (LOCAL, "2026-11-21", "2026-11-21T00:00:00"),
    (LOCAL, "9999-12-31T23:59:59", "9999-12-31T23:59:59"),
    (LOCAL_NS, "2262-04-11T23:47:16.854775", "2262-04-11T23:47:16.854775"),
    (ZONED, "2026-11-21T14:30:00Z", "2026-11-21T14:30:00+00:00"),
    (ZONED, "2026-11-21 14:30z", "2026-11-21T14:30:00+00:00"),
    (ZONED, "2026-11-21T14:30:00+01:00", "2026-11-21T13:30:00+00:00"),
    (ZONED, "2026-11-21T23:30:00.25-0330", "2026-11-22T03:00:00.250000+00:00"),
    (ZONED, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59+00:00"),
    (ZONED_NS, "2262-04-11T14:00:00+14:00", "2262-04-11T00:00:00+00:00"),
]


@pytest.mark.parametrize(("moments", "text", "spelt"), READ, ids=lambda value: value if isinstance(value, str) else "")
def test_a_text_that_names_a_moment_gets_its_one_spelling(moments: Moments, text: str, spelt: str) -> None:
    assert moments.read(text) == spelt
    assert moments.read(spelt) == spelt


NO_DATES = [
    "",
    " ",
    "today",
    "1774137600",
    "1",
    "20261121",
    "2026-W47-6",
    "2026-325",
    "2026-11",
    "2026-1-2",
    "21.11.2026",
    "11/21/2026",
    "2026-02-30",
    "2027-02-29",
    "2026-13-01",
    "2026-00-10",
    "0000-01-01",
    "10000-01-01",
    "-2026-11-21",
    "+2026-11-21",
    " 2026-11-21",
    "2026-11-21 ",
    "2026-11-21\n",
    "２026-11-21",
    "2026-11-٢1",
    "2026-11-21" * 100_000,
]
NO_TIMES = [
    "2026-11-21T",
    "2026-11-21T14",
    "2026-11-21T24:00:00",
    "2026-11-21T14:60",
    "2026-11-21T23:59:60",
    "2026-11-21T14:30:00,5",
    "2026-11-21T14:30:00.",
    "2026-11-21T14:30:00.1234567890",
    "2026-11-21_14:30:00",
    "2026-11-21T1430",
    "14:30",
    "2026-11-21T14:30:00+25:00",
    "2026-11-21T14:30:00+01:60",
    "2026-11-21T14:30:00+01",
    "2026-11-21T14:30:00 +01:00",
    "2026-11-21T14:30:00[Europe/Berlin]",
    "2026-11-21T14:30:00 Europe/Berlin",
]


def refused(moments: Moments, text: str) -> str:
    with pytest.raises(PydanticCustomError) as caught:
        moments.read(text)
    return caught.value.type


@pytest.mark.parametrize("text", NO_DATES, ids=lambda text: repr(text[:40]))
def test_what_names_no_day_is_refused_by_all(text: str) -> None:
    for moments in (DAY, DAY_NS, LOCAL, LOCAL_NS, ZONED, ZONED_NS):
        assert refused(moments, text) == "invalid_date"


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_names_no_time_is_refused_by_all(text: str) -> None:
    for moments in (DAY, LOCAL, ZONED):
        assert refused(moments, text) == "invalid_date"


def test_a_time_has_an_offset_where_the_field_has_a_zone_and_none_where_it_has_none() -> None:
    for offset in ("Z", "+01:00", "+0100", "-00:00"):
        assert refused(LOCAL, f"2026-11-21T14:30:00{offset}") == "invalid_date"
    assert refused(ZONED, "2026-11-21T14:30:00") == "invalid_date"
    assert refused(ZONED, "2026-11-21") == "invalid_date"  # midnight, but where?
    assert refused(DAY, "2026-11-21T00:00:00Z") == "invalid_date"


def test_a_day_may_be_written_as_its_midnight_as_frames_write_it() -> None:
    for midnight in ("", "T00:00", "T00:00:00", " 00:00:00", "T00:00:00.000", "T00:00:00.000000000"):
        assert DAY.read(f"2026-11-21{midnight}") == "2026-11-21"
    for moment in ("T00:00:01", "T12:00", "T00:00:00.001"):
        assert refused(DAY, f"2026-11-21{moment}") == "invalid_date"


@pytest.mark.parametrize(
    ("moments", "text"),
    [
        (DAY_NS, "1677-09-21"),
        (DAY_NS, "2262-04-12"),
        (DAY_NS, "9999-12-31"),
        (DAY_NS, "0001-01-01"),
        (LOCAL_NS, "2262-04-11T23:47:16.854776"),
        (LOCAL_NS, "2262-04-12"),
        (LOCAL_NS, "1677-09-21T23:59:59"),
        (ZONED_NS, "2262-04-11T00:00:00-00:01"),
        (ZONED_NS, "1677-09-22T00:00:00+00:01"),
        (ZONED, "0001-01-01T00:00:00+14:00"),
        (ZONED, "9999-12-31T23:59:59-14:00"),
        (ZONED_NS, "0001-01-01T00:00:00+14:00"),
    ],
)
def test_a_moment_that_the_type_cannot_hold_is_out_of_range(moments: Moments, text: str) -> None:
    assert refused(moments, text) == "out_of_range"


@pytest.mark.parametrize("moments", [DAY_NS, LOCAL_NS, ZONED_NS], ids=["date", "local", "zoned"])
def test_pandas_holds_what_is_within_the_limits_of_nanoseconds(moments: Moments) -> None:
    assert moments.limits is not None
    zones = [", Pacific/Kiritimati", ", Etc/GMT+12"] if moments.kind == "zoned" else [""]
    for zone in zones:
        read = pd.to_datetime(list(moments.limits), format="ISO8601", utc=moments.kind == "zoned")
        held: Any = pd.Series(read).astype(f"datetime64[ns{zone}]")  # type: ignore[call-overload]  # it knows only UTC
        assert held.dt.year.tolist() == [1677, 2262]
        assert held.dt.hour.notna().all()


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(one=st.datetimes(), other=st.datetimes(), zone=ZONES)
def test_spellings_sort_as_their_moments_do(one: datetime, other: datetime, zone: timezone) -> None:
    assert (LOCAL.read(one.isoformat()) < LOCAL.read(other.isoformat())) == (one < other)
    assert (DAY.read(one.date().isoformat()) < DAY.read(other.date().isoformat())) == (one.date() < other.date())
    first, second = one.replace(year=2000, tzinfo=zone, day=1), other.replace(year=2000, tzinfo=UTC, day=1)
    assert (ZONED.read(first.isoformat()) < ZONED.read(second.isoformat())) == (first < second)


@given(moment=st.datetimes().filter(lambda moment: 1 < moment.year < 9999), zone=ZONES)
def test_what_python_writes_is_read_as_it_was_meant(moment: datetime, zone: timezone) -> None:
    assert datetime.fromisoformat(LOCAL.read(moment.isoformat())) == moment
    assert datetime.fromisoformat(LOCAL.read(str(moment))) == moment
    assert date.fromisoformat(DAY.read(str(moment.date()))) == moment.date()
    aware = moment.replace(tzinfo=zone)
    assert datetime.fromisoformat(ZONED.read(aware.isoformat())) == aware


NO_PATTERN_TELLS = {
    "2026-02-30",
    "2027-02-29",
    "2026-13-01",
    "2026-00-10",
    "0000-01-01",
    "2026-11-21T24:00:00",
    "2026-11-21T14:60",
    "2026-11-21T23:59:60",
    "2026-11-21T14:30:00+25:00",
}
SHOWN = [
    (DAY, "date", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    (LOCAL, "date-time-local", None),
    (ZONED, "date-time", None),
    (DAY_NS, "date", None),
    (LOCAL_NS, "date-time-local", None),
    (ZONED_NS, "date-time", None),
]


@pytest.mark.parametrize(("moments", "form", "pattern"), SHOWN)
def test_callers_are_told_the_same(moments: Moments, form: str, pattern: str | None) -> None:
    adapter = TypeAdapter[Any](moments.annotation, config=ConfigDict(strict=True))
    schema = adapter.json_schema()
    assert (schema["type"], schema["format"]) == ("string", form)
    assert pattern in (None, schema["pattern"])
    shown = jsonschema_rs.Draft202012Validator(schema)
    for text in {*(text for _, text, _ in READ), *NO_DATES, *NO_TIMES, "1676-12-31", "2263-01-01"} - NO_PATTERN_TELLS:
        try:
            moments.read(text)
        except PydanticCustomError:
            assert not shown.is_valid(text)
        else:  # the first and the last year of nanoseconds are not there as a whole
            assert shown.is_valid(text) or text[:4] in ("1677", "2262")


@pytest.mark.parametrize("value", [1774137600, 1774137600.5, True, [2026, 11, 21], {"year": 2026}], ids=str)
def test_nothing_but_a_text_is_a_moment(value: Any) -> None:
    for moments in (DAY, LOCAL, ZONED):
        adapter = TypeAdapter[Any](moments.annotation, config=ConfigDict(strict=True))
        with pytest.raises(ValueError, match="string_type"):
            adapter.validate_json(json.dumps(value))

"""Date-times as keys: they order as the moments do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.instants import comparable, instant, is_date_time, is_zoned, moment


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00"),
        ("2026-01-31t10:00:00.500z", "2026-01-31T10:00:00.5"),
        ("2026-01-31T10:00:00.000+02:00", "2026-01-31T08:00:00"),
        ("2025-12-31T23:30:00-01:00", "2026-01-01T00:30:00"),
        ("2026-12-31T23:59:60Z", "2027-01-01T00:00:00"),
        ("2026-01-31T10:00:00+0200", "2026-01-31T08:00:00"),
        ("2026-01-31T10:00:00.25-0130", "2026-01-31T11:30:00.25"),
        ("2026-01-31T10:00", "2026-01-31T10:00:00"),
        ("2026-01-31", "2026-01-31T00:00:00"),
        ("2026-02", "2026-02-01T00:00:00"),
        ("0999", "0999-01-01T00:00:00"),
    ],
)
def test_a_date_time_and_a_part_of_one_have_a_key(text: str, key: str) -> None:
    assert instant(text) == key
    assert comparable(text) == key


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "26", "2026-13-01", "2026-02-30", "2026-01-01T24:00:00Z", "2026-01-01T00:00:61Z"),
        *("2026-01-01T00:00:00+25:00", "2026-01-01T00:00:00+01:61", "0001-01-01T00:00:00+01:00"),
        *("2026-W05-1T12:00:00Z", "2026-01-31T12", "2026-01-31T12:00:00,5Z", "20260131T120000Z", "2026-031"),
        *("2026-01-01T00:00:00+02", "2026-01-01T00:00:00+02:", "2026-01-01T00:00:00+02:00:30"),
        *("2026-01-01T00:00:00Z ", "2026-01-01Z", "٢٠٢٦", "2026-01-01T00:00:00." + "1" * 100 + "Z"),
    ],
)
def test_everything_else_stands_for_itself(text: str) -> None:
    assert instant(text) is None
    assert comparable(text) == text


moments = st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30))  # noqa: DTZ001 - a zone is added
zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, moments, zones, zones)
def test_keys_order_as_the_moments_do(
    one: datetime, other: datetime, here: timezone, there: timezone
) -> None:
    first, second = one.replace(tzinfo=UTC), other.replace(tzinfo=UTC)
    keys = instant(first.astimezone(here).isoformat()), instant(second.astimezone(there).isoformat())
    assert keys[0] is not None
    assert keys[1] is not None
    assert (keys[0] < keys[1]) == (first < second)
    assert (keys[0] == keys[1]) == (first == second)


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31 10:00:00Z", "2026-01", "2026", "10:00:00Z"])
def test_a_part_of_a_date_time_is_no_whole_one(text: str) -> None:
    assert not is_date_time(text)
    assert not is_zoned(text)


@given(moments, zones, st.sampled_from(["", "seconds", "milliseconds", "microseconds"]))
def test_whatever_python_writes_is_the_moment_that_it_is(one: datetime, zone: timezone, spec: str) -> None:
    written = one.replace(tzinfo=UTC).astimezone(zone)
    text = written.isoformat(timespec=spec or "auto")
    assert is_zoned(text)
    assert moment(text) == datetime.fromisoformat(text)
    assert is_date_time(text[:19])
    assert not is_zoned(text[:19])
    assert moment(text[:19]) == written.replace(tzinfo=UTC, microsecond=0)

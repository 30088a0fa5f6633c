"""All edges of a stretch of time at once are those that one asks for one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.core.edges import Almanac, edges
from rota.core.hours import instant, moment
from rota.core.model import CapacityPolicy, Fleet, Override, Window
from rota.core.windows import interval_on, next_edge
from tests import builders
from tests.core.test_windows import (
    APIA,
    BERLIN,
    INSTANTS,
    LORD_HOWE,
    NEW_YORK,
    TIMES,
    ZONES,
    fleet_of,
    local,
    override,
    policies,
    utc,
    windows,
)

ST_JOHNS, BEIRUT = ZoneInfo("America/St_Johns"), ZoneInfo("Asia/Beirut")


def one_by_one(fleet: Fleet, start: datetime, end: datetime) -> tuple[datetime, ...]:
    found, edge = [], next_edge(fleet, start)
    while edge is not None and edge <= end:
        found.append(edge)
        edge = next_edge(fleet, edge)
    return tuple(found)


@st.composite
def overrides(draw: st.DrawFn, near: datetime) -> Override:
    start = near + timedelta(minutes=draw(st.integers(-60_000, 60_000)))
    made = override("Service", "web", None, "2026-01-01T00:00")
    return replace(
        made,
        start=draw(st.one_of(st.none(), st.just(start))),
        until=start + timedelta(microseconds=draw(st.integers(1, 10**13))),
    )


@settings(max_examples=150, deadline=None)
@given(data=st.data(), found=st.lists(policies(), max_size=3), start=INSTANTS, days=st.integers(0, 40))
def test_all_edges_are_those_that_one_asks_for_one_by_one(
    data: st.DataObject, found: list[CapacityPolicy], start: datetime, days: int
) -> None:
    exceptions = tuple(data.draw(st.lists(overrides(start), max_size=2)))
    fleet = replace(fleet_of(overrides=exceptions), policies=tuple(found))
    end = start + timedelta(days=days)
    assert edges(fleet, start, end) == one_by_one(fleet, start, end)


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        (BERLIN, "2026-03-26T01:00"),
        (BERLIN, "2026-10-22T01:00"),
        (NEW_YORK, "2026-10-29T01:00"),
        # Half an hour; one minute past midnight, back into the day before; at midnight; a date that is none.
        (LORD_HOWE, "2026-04-01T00:00"),
        (ST_JOHNS, "2006-10-26T00:00"),
        (BEIRUT, "2026-03-25T00:00"),
        (APIA, "2011-12-27T10:00"),
    ],
)
def test_where_the_clocks_change_every_pair_of_hours_has_the_edges_of_next_edge(
    zone: ZoneInfo, start: str
) -> None:
    hours = ("00:00", "00:15", "01:30", "02:00", "02:30", "03:00", "22:00", "23:30", "24:00")
    pairs = [(opens, closes) for opens in hours[:-1] for closes in hours if opens != closes]
    for opens, closes in pairs:
        fleet = fleet_of(builders.window(opens, closes), zone=zone)
        end = utc(start) + timedelta(days=8)
        assert edges(fleet, utc(start), end) == one_by_one(fleet, utc(start), end), (opens, closes)


@settings(max_examples=150, deadline=None)
@given(zone=st.sampled_from(ZONES), window=windows(), start=INSTANTS)
def test_a_window_has_the_span_of_every_date_around(zone: str, window: Window, start: datetime) -> None:
    civil, end = ZoneInfo(zone), start + timedelta(days=20)
    spans = [(instant(opens), instant(closes)) for opens, closes in Almanac(start, end).spans(window, civil)]
    dates = (start.date() + timedelta(days=offset) for offset in range(-2, 23))
    expected = [one for day in dates if (one := interval_on(window, day, civil)) is not None]
    touching = [one for one in expected if one.end > start and one.start < end]
    assert [(one.start, one.end) for one in touching] == [
        (opens, closes) for opens, closes in spans if closes > start and opens < end
    ]


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        # Open over the spring gap and the autumn repeat: the window's own ends, no edge in between.
        (BERLIN, "2026-03-28T12:00", "2026-03-29T12:00", ["2026-03-28T21:00", "2026-03-29T01:00"]),
        (BERLIN, "2026-10-24T12:00", "2026-10-25T12:00", ["2026-10-24T20:00", "2026-10-25T00:30"]),
        (NEW_YORK, "2026-03-07T12:00", "2026-03-08T12:00", ["2026-03-08T03:00", "2026-03-08T07:00"]),
    ],
)
def test_edges_where_the_clocks_change(zone: ZoneInfo, start: str, end: str, expected: list[str]) -> None:
    fleet = fleet_of(builders.window("22:00", "02:30", {"web": 5}), zone=zone)
    assert edges(fleet, utc(start), utc(end)) == tuple(utc(text) for text in expected)


def test_the_stretch_is_open_at_its_start_and_closed_at_its_end() -> None:
    fleet = fleet_of(builders.window("08:00", "20:00", {"web": 5}))
    opens, closes = local("2026-06-01T08:00"), local("2026-06-01T20:00")
    assert edges(fleet, opens, closes) == (closes,)
    assert edges(fleet, opens - timedelta(microseconds=1), closes - timedelta(microseconds=1)) == (opens,)
    assert edges(fleet, closes, closes) == ()


def test_equal_edges_are_one_and_overrides_count_to_the_microsecond() -> None:
    window = builders.window("08:00", "20:00", {"web": 5})
    exception = override("Host", "a", "2026-06-01T20:00", "2026-06-02T00:00", unschedulable=True)
    odd = replace(exception, name="odd", until=exception.until + timedelta(microseconds=1))
    fleet = fleet_of(window, replace(window, name="again", priority=1), overrides=(exception, odd))
    assert edges(fleet, local("2026-06-01T12:00"), local("2026-06-02T12:00")) == (
        local("2026-06-01T20:00"),
        exception.until,
        odd.until,
        local("2026-06-02T08:00"),
    )


def test_a_year_has_two_edges_a_day_and_all_lie_in_order() -> None:
    fleet = fleet_of(builders.window("07:00", "20:00", {"web": 5}))
    found = edges(fleet, utc("2026-06-01T12:00"), utc("2027-06-01T12:00"))
    assert len(found) == 2 * 365
    assert all(before < after for before, after in pairwise(found))
    assert {edge.astimezone(BERLIN).time() for edge in found} == {time(7), time(20)}
    assert all(edge.tzinfo is UTC for edge in found)


@given(start=INSTANTS, micro=st.integers(0, 999_999))
def test_a_moment_and_its_instant_are_the_same(start: datetime, micro: int) -> None:
    at = start.replace(microsecond=micro)
    assert instant(moment(at)) == at
    assert moment(at.astimezone(NEW_YORK)) == moment(at)


@settings(max_examples=60, deadline=None)
@given(zone=st.sampled_from(ZONES), opens=TIMES, closes=TIMES, year=st.integers(1950, 2060))
def test_over_a_whole_year_every_date_is_resolved_as_by_itself(
    zone: str, opens: str, closes: str, year: int
) -> None:
    civil, window = ZoneInfo(zone), builders.window(opens, closes)
    first = date(year, 1, 1)
    start = datetime.combine(first, time(0), UTC)
    spans = set(Almanac(start, start + timedelta(days=365)).spans(window, civil))
    for offset in range(366):
        one = interval_on(window, first + timedelta(days=offset), civil)
        assert one is None or (moment(one.start), moment(one.end)) in spans

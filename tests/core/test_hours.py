"""Schedules and dates: what cron names becomes instants by Debian's rule, and dates are exceptions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.core.edges import Almanac, edges
from rota.core.hours import instant, moment
from rota.core.model import Scheduled, Window
from rota.core.windows import in_force, is_open, next_edge, next_window_edge, opens_again, wanted
from tests import builders
from tests.core.test_edges import one_by_one
from tests.core.test_windows import (
    BERLIN,
    INSTANTS,
    LORD_HOWE,
    NEW_YORK,
    ZONES,
    fleet_of,
    local,
    utc,
)

SAO_PAULO, HAVANA, CAIRO = ZoneInfo("America/Sao_Paulo"), ZoneInfo("America/Havana"), ZoneInfo("Africa/Cairo")
HOUR = 3600.0


def scheduled(cron: str, duration: float = HOUR, **fields: object) -> Window:
    window = builders.window("00:00", "01:00", {"web": 5})
    return replace(window, hours=Scheduled(cron=cron, duration=duration), **fields)  # type: ignore[arg-type]


def openings(window: Window, zone: ZoneInfo, start: str, hours: float) -> list[str]:
    """When a window opens within so many hours, as the local clock shows it."""
    first = utc(start)
    last = first + timedelta(hours=hours)
    spans = Almanac(first, last).spans(window, zone)
    starts = (instant(opens) for opens, _ in spans)
    return [f"{at.astimezone(zone):%d %H:%M%z}" for at in starts if first <= at < last]


@pytest.mark.parametrize(
    ("cron", "zone", "start", "expected"),
    [
        # The spring gap: at the first instant after it, once, however many times fall into it.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200"]),
        ("0,30 2 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200"]),
        ("0 2,3 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200"]),
        ("30 2,3 * * *", BERLIN, "2026-03-28T12:00", ["29 03:00+0200", "29 03:30+0200"]),
        ("30 0 * * *", HAVANA, "2026-03-07T12:00", ["08 01:00-0400"]),
        ("30 0 * * *", CAIRO, "2026-04-23T12:00", ["24 01:00+0300"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03T00:00", ["04 02:30+1100"]),
        # The autumn repeat: the first occurrence only.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00", ["25 02:30+0200"]),
        ("30 1 * * *", NEW_YORK, "2026-10-31T12:00", ["01 01:30-0400"]),
        ("45 1 * * *", LORD_HOWE, "2026-04-04T00:00", ["05 01:45+1100"]),
        ("30 23 * * *", CAIRO, "2026-10-29T12:00", ["29 23:30+0300"]),
        # A rhythm runs through both.
        ("0 * * * *", BERLIN, "2026-03-28T23:30", ["29 01:00+0100", "29 03:00+0200", "29 04:00+0200"]),
        (
            "0 * * * *",
            BERLIN,
            "2026-10-24T23:30",
            ["25 02:00+0200", "25 02:00+0100", "25 03:00+0100"],
        ),
        ("*/30 2 * * *", BERLIN, "2026-03-28T12:00", []),
        (
            "*/30 2 * * *",
            BERLIN,
            "2026-10-24T12:00",
            ["25 02:00+0200", "25 02:30+0200", "25 02:00+0100", "25 02:30+0100"],
        ),
        # Half an hour to and fro, where cronsim by itself loses openings.
        ("0 */4 * * *", LORD_HOWE, "2026-10-03T15:00", ["04 04:00+1100"]),
        ("30 * * * *", LORD_HOWE, "2026-10-03T15:10", ["04 02:30+1100", "04 03:30+1100", "04 04:30+1100"]),
        ("0 */4 * * *", LORD_HOWE, "2026-04-04T15:00", ["05 04:00+1030"]),
    ],
)
def test_where_the_clocks_change(cron: str, zone: ZoneInfo, start: str, expected: list[str]) -> None:
    hours = 3 if "* * *" in cron[-9:] and cron.split()[1].startswith("*") else 24
    assert openings(scheduled(cron, 1.0), zone, start, hours) == expected


def test_a_schedule_asked_within_the_repeated_hour_does_not_begin_in_the_past() -> None:
    window = scheduled("30 2 * * *", 60.0)
    policy = builders.policy(windows=(window,))
    second_time = utc("2026-10-25T01:15")  # 02:15 CET, for the second time
    assert next_window_edge(policy, second_time) == local("2026-10-26T02:30")
    assert not is_open(window, second_time + timedelta(minutes=15), BERLIN)


def test_duration_is_time_that_passes() -> None:
    night = scheduled("0 22 * * *", 8 * HOUR)
    policy = builders.policy(windows=(night,))
    assert next_window_edge(policy, local("2026-03-28T23:00")) == local("2026-03-29T07:00")
    assert next_window_edge(policy, local("2026-10-24T23:00")) == local("2026-10-25T05:00")
    assert next_window_edge(policy, local("2026-06-01T23:00")) == local("2026-06-02T06:00")


def test_openings_that_overlap_or_touch_are_one() -> None:
    start = local("2026-06-01T00:00")
    fleet = fleet_of(scheduled("0 8-11 * * *", 1.5 * HOUR))
    assert edges(fleet, start, start + timedelta(days=1)) == (
        local("2026-06-01T08:00"),
        local("2026-06-01T12:30"),
    )
    touching = fleet_of(scheduled("0 8,9 * * *"))
    assert edges(touching, start, start + timedelta(days=1)) == (
        local("2026-06-01T08:00"),
        local("2026-06-01T10:00"),
    )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_schedule_that_is_always_open_has_no_edge(zone: str) -> None:
    fleet = fleet_of(scheduled("*/5 * * * *", 300.0), zone=ZoneInfo(zone))
    at = utc("2026-06-01T12:34")
    assert wanted(fleet, at)[next(iter(fleet.services))].count == 5
    assert next_edge(fleet, at) is None
    assert edges(fleet, at, at + timedelta(days=400)) == ()
    held = in_force(fleet.policies[0], fleet, at)
    assert (held.window, held.until, held.then) == ("day", None, None)


def test_daily_for_a_day_closes_only_where_a_date_is_longer() -> None:
    fleet = fleet_of(scheduled("0 0 * * *", 24 * HOUR))
    at = local("2026-06-01T12:00")
    assert edges(fleet, at, at + timedelta(days=365)) == (
        local("2026-10-25T23:00"),
        local("2026-10-26T00:00"),
    )
    assert next_edge(fleet, at) == local("2026-10-25T23:00")


@pytest.mark.parametrize(
    ("cron", "after", "edge"),
    [
        ("0 22 L * *", "2026-02-10T12:00", "2026-02-28T22:00"),
        ("0 22 LW * *", "2026-05-10T12:00", "2026-05-29T22:00"),
        ("0 22 * * fri#2", "2026-05-10T12:00", "2026-06-12T22:00"),
        ("0 22 * * 5L", "2026-05-10T12:00", "2026-05-29T22:00"),
        ("0 22 1 * mon", "2026-06-02T12:00", "2026-06-08T22:00"),  # Debian: either of both
        ("0 22 29 2 *", "2026-05-10T12:00", "2028-02-29T22:00"),
        ("0 22 29 2 */7", "2032-03-01T12:00", "2060-02-29T22:00"),  # every 28 years on a Sunday
    ],
)
def test_the_next_edge_is_found_however_rare(cron: str, after: str, edge: str) -> None:
    assert next_edge(fleet_of(scheduled(cron)), local(after)) == local(edge)


def test_a_schedule_that_never_comes_has_no_edge() -> None:
    never = scheduled("0 22 24 12 *", except_on=frozenset(date(year, 12, 24) for year in range(2000, 2101)))
    assert next_edge(fleet_of(never), local("2026-06-01T12:00")) is None
    assert not opens_again(never, local("2026-06-01T12:00"), BERLIN)


MONDAY_TO_FRIDAY = frozenset(range(5))


def test_dates_are_exceptions_from_the_days_of_the_week() -> None:
    window = builders.window(
        "08:00",
        "20:00",
        {"web": 5},
        days=MONDAY_TO_FRIDAY,
        except_on=frozenset({date(2026, 6, 3)}),
        also_on=frozenset({date(2026, 6, 6), date(2031, 6, 1)}),
    )
    days = [is_open(window, local(f"2026-06-{day:02}T12:00"), BERLIN) for day in range(1, 9)]
    assert days == [True, True, False, True, True, True, False, True]
    fleet = fleet_of(window)
    held = in_force(fleet.policies[0], fleet, local("2026-06-02T21:00"))
    assert held.until == local("2026-06-04T08:00")


def test_an_exception_is_the_date_on_which_a_window_starts() -> None:
    night = builders.window("22:00", "06:00", {"web": 5}, except_on=frozenset({date(2026, 6, 3)}))
    assert is_open(night, local("2026-06-03T05:00"), BERLIN)
    assert not is_open(night, local("2026-06-03T23:00"), BERLIN)
    assert not is_open(night, local("2026-06-04T05:00"), BERLIN)
    assert is_open(night, local("2026-06-04T23:00"), BERLIN)


def test_an_exception_of_a_schedule_removes_what_opens_on_that_date() -> None:
    window = scheduled("0 22 * * *", 8 * HOUR, except_on=frozenset({date(2026, 6, 3)}))
    assert is_open(window, local("2026-06-03T05:00"), BERLIN)
    assert not is_open(window, local("2026-06-03T23:00"), BERLIN)
    assert is_open(window, local("2026-06-04T22:00"), BERLIN)


def test_a_window_on_dates_only_is_found_years_ahead_and_then_never_again() -> None:
    dates = frozenset({date(2026, 12, 24), date(2044, 12, 24)})
    fleet = fleet_of(builders.window("08:00", "20:00", {"web": 5}, days=frozenset(), also_on=dates))
    (window,) = fleet.policies[0].windows
    found, at = [], local("2026-06-01T12:00")
    while (edge := next_edge(fleet, at)) is not None:
        found.append(edge)
        at = edge
    expected = [local(f"{year}-12-24T{hour}") for year in (2026, 2044) for hour in ("08:00", "20:00")]
    assert found == expected
    assert opens_again(window, expected[-1] - timedelta(seconds=1), BERLIN)
    assert not opens_again(window, expected[-1], BERLIN)


def test_the_next_edge_lies_behind_years_of_exceptions() -> None:
    first = date(2026, 1, 1)
    closed = frozenset(first + timedelta(days=day) for day in range(4000))
    fleet = fleet_of(builders.window("08:00", "20:00", {"web": 5}, except_on=closed))
    opens = first + timedelta(days=4000)
    assert next_edge(fleet, local("2026-06-01T12:00")) == local(f"{opens}T08:00")


def test_what_is_in_force_looks_past_months_of_equal_days() -> None:
    always = builders.window("00:00", "24:00", {"web": 5}, except_on=frozenset({date(2027, 5, 1)}))
    fleet = fleet_of(always)
    held = in_force(fleet.policies[0], fleet, local("2026-06-01T12:00"))
    assert (held.window, held.until, held.then) == ("day", local("2027-05-01T00:00"), "base")


FIELDS = st.tuples(
    st.sampled_from(["0", "30", "15,45", "*/20", "0-59/30"]),
    st.sampled_from(["2", "*", "0,23", "*/4", "1-3", "22"]),
    st.sampled_from(["*", "*", "L", "1,15", "*/7"]),
    st.sampled_from(["*", "*", "3,10", "2"]),
    st.sampled_from(["*", "*", "sun", "mon-fri", "6#1"]),
).map(" ".join)
DURATIONS = st.sampled_from([1.0, 600.0, 1800.0, HOUR, 8 * HOUR, 24 * HOUR, 40 * HOUR, 10 * 24 * HOUR])


@st.composite
def any_windows(draw: st.DrawFn, near: datetime) -> Window:
    """Windows by schedule, or by days, both with dates around an instant."""
    around = st.frozensets(st.integers(-4, 44).map(lambda day: near.date() + timedelta(days=day)), max_size=9)
    never = draw(around)
    if draw(st.booleans()):
        return scheduled(draw(FIELDS), draw(DURATIONS), except_on=never)
    start, end = draw(st.sampled_from([("02:30", "07:00"), ("22:00", "02:30"), ("00:00", "24:00")]))
    days = draw(st.frozensets(st.integers(0, 6)))
    return builders.window(start, end, {"web": 5}, days=days, except_on=never, also_on=draw(around) - never)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), zone=st.sampled_from(ZONES), start=INSTANTS, days=st.integers(0, 30))
def test_all_edges_are_those_that_one_asks_for_one_by_one(
    data: st.DataObject, zone: str, start: datetime, days: int
) -> None:
    fleet = fleet_of(data.draw(any_windows(start)), zone=ZoneInfo(zone))
    end = start + timedelta(days=days)
    found = edges(fleet, start, end)
    assert found == one_by_one(fleet, start, end)
    assert all(before < after for before, after in pairwise((start, *found)))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), zone=st.sampled_from(ZONES), start=INSTANTS)
def test_a_window_is_open_exactly_within_its_spans(data: st.DataObject, zone: str, start: datetime) -> None:
    window, civil = data.draw(any_windows(start)), ZoneInfo(zone)
    spans = Almanac(start, start + timedelta(days=5)).spans(window, civil)
    ends = [instant(at) for span in spans for at in span if moment(start) <= at]
    for at in [start, *ends[:20], *(end - timedelta(seconds=1) for end in ends[:20])]:
        if start <= at <= start + timedelta(days=5):
            assert is_open(window, at, civil) == any(opens <= moment(at) < closes for opens, closes in spans)


def test_an_instant_at_the_ends_of_time_is_no_trouble() -> None:
    fleet = fleet_of(scheduled("0 22 * * *"), builders.window("08:00", "20:00", {"web": 1}, name="other"))
    for year in (1971, 2100, 9000):
        assert next_edge(fleet, datetime(year, 1, 1, tzinfo=UTC)) is not None

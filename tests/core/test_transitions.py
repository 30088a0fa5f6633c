"""Every change of the clocks in every zone, 2025 to 2030: what opens and closes around it.

The changes are found by the zone data alone, and the expected instants by looking at a clock minute by minute
where that is what a rule says; nothing here resolves a time as the code under test does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from rota.core.edges import Almanac, edges
from rota.core.hours import instant, moment
from rota.core.model import Scheduled, Weekly, Window
from rota.core.windows import interval_on, is_open, next_edge
from tests import builders
from tests.core.test_edges import one_by_one
from tests.core.test_windows import fleet_of

FIRST, LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMES = files("tzdata").joinpath("zones").read_text("ascii").split()


class Change(NamedTuple):
    """The clocks of `zone` show `before` until the instant `at`, and `after` from then on."""

    zone: ZoneInfo
    at: datetime
    before: datetime
    after: datetime


@cache
def changes() -> tuple[Change, ...]:
    """One of each kind: zones whose clocks do the same at the same instant share it."""
    found: dict[tuple[datetime, datetime, datetime], Change] = {}
    for name in NAMES:
        zone = ZoneInfo(name)
        steps = [FIRST + 7 * DAY * number for number in range((LAST - FIRST).days // 7 + 2)]
        for left, right in pairwise(steps):
            if zone.utcoffset(left.astimezone(zone)) != zone.utcoffset(right.astimezone(zone)):
                change = bisected(zone, left, right)
                found.setdefault(change[1:], change)
    return tuple(found.values())


def bisected(zone: ZoneInfo, left: datetime, right: datetime) -> Change:
    """The change between two instants: a zone has at most one a week, which is asserted."""
    old, new = (shown(zone, at) - at.replace(tzinfo=None) for at in (left, right))
    while right - left > MINUTE:
        middle = left + (right - left) // 2 // MINUTE * MINUTE
        offset = shown(zone, middle) - middle.replace(tzinfo=None)
        assert offset in (old, new)
        left, right = (middle, right) if offset == old else (left, middle)
    at = right.replace(tzinfo=None)
    return Change(zone, right, at + old, at + new)


def shown(zone: ZoneInfo, at: datetime) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def first_shown(change: Change, civil: datetime) -> datetime:
    """When the clock shows `civil` or later for the first time, for a time within a day of a change."""
    old, new = (local - change.at.replace(tzinfo=None) for local in (change.before, change.after))
    early = (civil - old).replace(tzinfo=UTC)
    return early if early < change.at else max((civil - new).replace(tzinfo=UTC), change.at)


def times_around(change: Change) -> list[datetime]:
    """Clock times at both sides of a change, inside it, and at its ends."""
    low, high = sorted((change.before, change.after))
    middle = low + (high - low) / 2 // MINUTE * MINUTE
    ends = (low, middle, high)
    return sorted({*ends, *(one + shift for one in ends for shift in (-HOUR, -MINUTE, MINUTE, HOUR))})


def weekly(start: datetime, end: datetime) -> Window:
    """A window on every day between two clock times; midnight ends the day."""
    closes = None if end.time() == time(0) else end.time()
    hours = Weekly(days=frozenset(range(7)), start=start.time(), end=closes)
    return replace(builders.window("00:00", "01:00", {"web": 5}), hours=hours)


def scheduled(at: datetime, duration: float) -> Window:
    cron = f"{at.minute} {at.hour} * * *"
    return replace(weekly(at, at + HOUR), hours=Scheduled(cron=cron, duration=duration))


def test_there_are_changes_of_all_kinds() -> None:
    jumps = {change.after - change.before for change in changes()}
    assert {HOUR, -HOUR, HOUR / 2, -HOUR / 2} <= jumps
    assert len(changes()) > 200
    assert len({change.at for change in changes()}) > 60
    assert any({change.before.time(), change.after.time()} & {time(0)} for change in changes())


def test_a_window_starts_and_ends_when_the_clock_first_shows_it() -> None:
    for change in changes():
        for civil in times_around(change):
            lasting = weekly(civil, civil + 9 * HOUR)
            interval = interval_on(lasting, civil.date(), change.zone)
            assert interval is not None, (change, civil)
            assert interval.start == first_shown(change, civil), (change, civil)
            ending = weekly(civil - 9 * HOUR, civil)
            interval = interval_on(ending, (civil - 9 * HOUR).date(), change.zone)
            assert interval is not None
            assert interval.end == first_shown(change, civil), (change, civil)


def test_a_window_inside_of_a_gap_has_no_length_and_inside_of_a_repeat_opens_once() -> None:
    for change in changes():
        low, high = sorted((change.before, change.after))
        if low.date() != (high - MINUTE).date():
            continue
        interval = interval_on(weekly(low, high), low.date(), change.zone)
        if change.after > change.before:
            assert interval is None, change
        else:
            assert interval is not None
            assert interval.start == change.at - (high - low), change
            assert interval.end >= change.at, change


def test_no_opening_is_lost_or_doubled() -> None:
    for change in changes():
        for civil in times_around(change)[::4]:
            window = weekly(civil, civil + 5 * HOUR)
            start, end = change.at - 4 * DAY, change.at + 4 * DAY
            spans = Almanac(start, end).spans(window, change.zone)
            inside = [instant(opens) for opens, _ in spans if start <= instant(opens) < end]
            assert len(inside) in (7, 8, 9), (change, civil)
            assert all(timedelta(hours=21) <= after - before <= timedelta(hours=27)
                       for before, after in pairwise(inside))  # fmt: skip
            assert all(instant(opens) < instant(closes) for opens, closes in spans)


def test_edges_are_those_that_one_asks_for_and_is_open_agrees() -> None:
    for change in changes():
        times = times_around(change)
        for opens, closes in zip(times, times[5:], strict=False):
            window = weekly(opens, closes)
            fleet = fleet_of(window, zone=change.zone)
            start, end = change.at - DAY, change.at + DAY
            found = edges(fleet, start, end)
            assert found == one_by_one(fleet, start, end), (change, opens, closes)
            spans = Almanac(start, end).spans(window, change.zone)
            for at in (change.at - timedelta(microseconds=1), change.at, *found):
                following = next_edge(fleet, at)
                assert following is not None
                assert following > at
                expected = any(first <= moment(at) < last for first, last in spans)
                assert is_open(window, at, change.zone) == expected, (change, opens, closes, at)


def test_a_schedule_at_a_fixed_time_opens_exactly_as_the_equal_window() -> None:
    for change in changes():
        start, end = change.at - 2 * DAY, change.at + 2 * DAY
        almanac = Almanac(start, end)
        for civil in times_around(change)[::2]:
            by_days = almanac.spans(weekly(civil, civil + 9 * HOUR), change.zone)
            by_cron = almanac.spans(scheduled(civil, 60.0), change.zone)
            expected = [opens for opens, _ in by_days if start <= instant(opens) < end]
            assert [opens for opens, _ in by_cron if start <= instant(opens) < end] == expected, (
                change,
                civil,
            )
            window = scheduled(civil, 60.0)
            opened = instant(expected[1])
            assert is_open(window, opened, change.zone)
            assert is_open(window, opened + timedelta(seconds=59), change.zone)
            assert not is_open(window, opened + MINUTE, change.zone)
            assert not is_open(window, opened - timedelta(microseconds=1), change.zone)


def test_a_rhythm_opens_whenever_the_clock_shows_it() -> None:
    for change in changes():
        start, end = change.at - 3 * HOUR, change.at + 3 * HOUR
        for cron, minutes in (("*/20 * * * *", (0, 20, 40)), ("15 * * * *", (15,))):
            window = replace(weekly(change.at, change.at), hours=Scheduled(cron=cron, duration=1.0))
            spans = Almanac(start, end).spans(window, change.zone)
            steps = (start + MINUTE * number for number in range(6 * 60))
            expected = [at for at in steps if shown(change.zone, at).minute in minutes]
            assert [instant(at) for at, _ in spans if start <= instant(at) < end] == expected, (change, cron)


@pytest.mark.parametrize(
    ("zone", "day", "start", "end", "hours"),
    [
        ("Europe/Berlin", "2026-03-28", "22:00", "02:30", 4.0),
        ("Europe/Berlin", "2025-03-29", "22:00", "02:30", 4.0),
        ("America/New_York", "2025-03-08", "22:00", "02:30", 4.0),
        ("Europe/Berlin", "2026-03-29", "02:30", "07:00", 4.0),
        ("America/New_York", "2025-03-09", "02:30", "07:00", 4.0),
        ("Europe/Berlin", "2026-10-24", "22:00", "02:30", 4.5),
        ("Europe/Berlin", "2026-10-25", "02:30", "07:00", 5.5),
    ],
)
def test_the_known_traps(zone: str, day: str, start: str, end: str, hours: float) -> None:
    """22:00-02:30 lasts four hours on the spring night, not none; 02:30-07:00 does not stay open for 23."""
    interval = interval_on(builders.window(start, end), date.fromisoformat(day), ZoneInfo(zone))
    assert interval is not None
    assert (interval.end - interval.start) / HOUR == hours

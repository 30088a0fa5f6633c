"""Civil time: tables for the known traps, properties for everything between them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rota.core.hours import resolve
from rota.core.ids import WorkloadId
from rota.core.model import Amount, CapacityPolicy, Fleet, Override, Weekly, Window
from rota.core.windows import in_force, interval_on, is_open, next_edge, next_window_edge, wanted
from tests import builders

WEB = WorkloadId("shop", "web")
MONDAY, SATURDAY, SUNDAY = 0, 5, 6
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
LORD_HOWE, APIA = ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia")

ZONES = sorted(available_timezones())[::7]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def override(kind: str, name: str, start: str | None, until: str, **effect: object) -> Override:
    made = Override(
        namespace="shop",
        name="exception",
        target_kind=kind,
        target_name=name,
        start=None if start is None else local(start),
        until=local(until),
        reason="a test",
    )
    return replace(made, **effect)  # type: ignore[arg-type]


def fleet_of(*windows: Window, overrides: tuple[Override, ...] = (), **fields: object) -> Fleet:
    return builders.fleet(
        [builders.host("a")],
        [builders.service("web", 10)],
        policies=(builders.policy(windows=windows, **fields),),
        overrides=overrides,
    )


@pytest.mark.parametrize(
    ("zone", "day", "start", "end", "opens", "hours"),
    [
        # An ordinary day, and one that ends at its midnight.
        (BERLIN, "2026-06-01", "08:00", "20:00", "2026-06-01T06:00", 12),
        (BERLIN, "2026-06-01", "08:00", "24:00", "2026-06-01T06:00", 16),
        (BERLIN, "2026-06-01", "00:00", "24:00", "2026-05-31T22:00", 24),
        # The spring night: 02:00 CET is 03:00 CEST.
        (BERLIN, "2026-03-28", "22:00", "02:30", "2026-03-28T21:00", 4),
        (BERLIN, "2026-03-29", "02:30", "07:00", "2026-03-29T01:00", 4),
        (BERLIN, "2026-03-29", "02:00", "03:00", None, 0),
        (BERLIN, "2026-03-29", "02:15", "02:45", None, 0),
        (BERLIN, "2026-03-29", "01:00", "04:00", "2026-03-29T00:00", 2),
        (BERLIN, "2026-03-29", "00:00", "24:00", "2026-03-28T23:00", 23),
        # The autumn repeat: the first 02:30 counts, as a start and as an end.
        (BERLIN, "2026-10-25", "02:30", "07:00", "2026-10-25T00:30", 5.5),
        (BERLIN, "2026-10-24", "22:00", "02:30", "2026-10-24T20:00", 4.5),
        (BERLIN, "2026-10-25", "02:15", "02:45", "2026-10-25T00:15", 0.5),
        (BERLIN, "2026-10-25", "00:00", "24:00", "2026-10-24T22:00", 25),
        # America changes at 02:00 local, on other days.
        (NEW_YORK, "2026-03-07", "22:00", "02:30", "2026-03-08T03:00", 4),
        (NEW_YORK, "2026-03-08", "02:30", "07:00", "2026-03-08T07:00", 4),
        (NEW_YORK, "2026-11-01", "01:30", "03:00", "2026-11-01T05:30", 2.5),
        # Lord Howe moves by half an hour: 02:00 +10:30 is 02:30 +11 in October, back in April.
        (LORD_HOWE, "2026-10-04", "01:00", "03:00", "2026-10-03T14:30", 1.5),
        (LORD_HOWE, "2026-10-04", "02:15", "03:00", "2026-10-03T15:30", 0.5),
        (LORD_HOWE, "2026-10-04", "02:00", "02:30", None, 0),
        (LORD_HOWE, "2026-04-05", "01:45", "03:00", "2026-04-04T14:45", 1.75),
        (LORD_HOWE, "2026-04-05", "01:00", "01:45", "2026-04-04T14:00", 0.75),
        # Samoa has no 2011-12-30: it jumped over the date line at that midnight.
        (APIA, "2011-12-30", "08:00", "20:00", None, 0),
        (APIA, "2011-12-30", "00:00", "24:00", None, 0),
        (APIA, "2011-12-29", "20:00", "08:00", "2011-12-30T06:00", 4),
        (APIA, "2011-12-30", "20:00", "08:00", "2011-12-30T10:00", 8),
        (APIA, "2011-12-31", "08:00", "20:00", "2011-12-30T18:00", 12),
    ],
)
def test_a_window_is_resolved_to_utc_for_each_date(
    zone: ZoneInfo, day: str, start: str, end: str, opens: str | None, hours: float
) -> None:
    interval = interval_on(builders.window(start, end), date.fromisoformat(day), zone)
    if opens is None:
        assert interval is None
        return
    assert interval is not None
    assert (interval.start, interval.end - interval.start) == (utc(opens), timedelta(hours=hours))


def test_a_skipped_time_is_the_first_instant_after_the_gap_to_the_second() -> None:
    assert resolve(date(2026, 3, 29), time(2, 30), BERLIN) == utc("2026-03-29T01:00")
    assert resolve(date(2011, 12, 30), time(12), APIA) == utc("2011-12-30T10:00")
    assert resolve(date(2026, 10, 4), time(2, 1), LORD_HOWE) == utc("2026-10-03T15:30")


def test_a_window_is_half_open() -> None:
    window = builders.window("08:00", "20:00")
    second = timedelta(seconds=1)
    opens, closes = local("2026-06-01T08:00"), local("2026-06-01T20:00")
    table = [(opens - second, False), (opens, True), (closes - second, True), (closes, False)]
    assert [is_open(window, at, BERLIN) for at, _ in table] == [expected for _, expected in table]


def test_the_window_after_the_spring_gap_does_not_stay_open_until_the_next_day() -> None:
    window = builders.window("02:30", "07:00")
    assert is_open(window, local("2026-03-29T06:59"), BERLIN)
    assert not any(is_open(window, local(f"2026-03-29T{hour:02}:00"), BERLIN) for hour in range(7, 24))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-06-05T21:59", False),  # Friday
        ("2026-06-05T22:00", True),
        ("2026-06-06T05:59", True),  # Saturday morning still belongs to Friday
        ("2026-06-06T06:00", False),
        ("2026-06-06T22:00", False),  # Saturday evening has none of its own
        ("2026-06-05T05:00", False),  # Friday morning would belong to Thursday
    ],
)
def test_an_overnight_window_belongs_to_the_day_it_starts_on(at: str, expected: bool) -> None:
    friday_night = builders.window("22:00", "06:00", days=frozenset({4}))
    assert is_open(friday_night, local(at), BERLIN) is expected


def test_days_of_the_week_are_those_of_the_zone_not_of_utc() -> None:
    monday = builders.window("00:00", "01:00", days=frozenset({MONDAY}))
    assert is_open(monday, utc("2026-05-31T22:30"), BERLIN)  # a Sunday in UTC
    assert not is_open(monday, utc("2026-06-01T22:30"), BERLIN)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-06-03T07:59", "2 by window day-night/base"),
        ("2026-06-03T08:00", "5 by window day-night/day"),
        ("2026-06-03T12:00", "9 by window day-night/lunch"),
        ("2026-06-03T13:00", "5 by window day-night/day"),
        ("2026-06-03T20:00", "2 by window day-night/base"),
        ("2026-06-06T12:00", "2 by window day-night/base"),  # Saturday
    ],
)
def test_the_open_window_of_highest_priority_that_names_a_workload_holds(at: str, expected: str) -> None:
    workdays = frozenset(range(5))
    fleet = fleet_of(
        builders.window("08:00", "20:00", {"web": 5}, days=workdays),
        builders.window("12:00", "13:00", {"web": 9}, name="lunch", priority=1, days=workdays),
        builders.window("00:00", "24:00", {"other": 7}, name="unrelated", priority=9),
        base=builders.amounts({"web": 2}),
    )
    want = wanted(fleet, local(at))[WEB]
    assert f"{want.count} by {want.rule}" == expected


def test_without_any_rule_the_workloads_own_replicas_hold() -> None:
    want = wanted(fleet_of(builders.window("08:00", "20:00", {"other": 1})), local("2026-06-01T12:00"))[WEB]
    assert (want.count, want.rule) == (10, "replicas")


def test_the_window_of_one_policy_beats_the_base_of_another() -> None:
    base = builders.policy(name="a-base", base=builders.amounts({"web": 2}))
    nights = builders.policy(name="nights", windows=(builders.window("08:00", "20:00", {"web": 7}),))
    fleet = replace(fleet_of(), policies=(base, nights))
    assert wanted(fleet, local("2026-06-01T12:00"))[WEB].count == 7
    assert wanted(fleet, local("2026-06-01T21:00"))[WEB].count == 2


@pytest.mark.parametrize(
    ("percent", "of", "expected"),
    [(25, 10, 3), (30, 10, 3), (1, 10, 1), (0, 10, 0), (150, 3, 5), (100, 7, 7)],
)
def test_a_percentage_is_of_the_workloads_replicas_and_rounded_up(
    percent: int, of: int, expected: int
) -> None:
    window = builders.window("00:00", "24:00")
    window = replace(window, replicas={WEB: Amount(value=percent, percent=True)})
    fleet = builders.fleet(
        [builders.host("a")], [builders.service("web", of)], (builders.policy(windows=(window,)),)
    )
    assert wanted(fleet, local("2026-06-01T12:00"))[WEB].count == expected


@pytest.mark.parametrize(
    ("start", "at", "expected"),
    [
        (None, "2026-06-01T09:00", "30 by override exception"),
        ("2026-06-01T10:00", "2026-06-01T09:59", "5 by window day-night/day"),
        ("2026-06-01T10:00", "2026-06-01T10:00", "30 by override exception"),
        ("2026-06-01T10:00", "2026-06-01T11:59", "30 by override exception"),
        ("2026-06-01T10:00", "2026-06-01T12:00", "5 by window day-night/day"),
    ],
)
def test_an_override_of_replicas_holds_from_its_start_until_its_end(
    start: str | None, at: str, expected: str
) -> None:
    surge = override("Service", "web", start, "2026-06-01T12:00", replicas=Amount(value=30))
    fleet = fleet_of(builders.window("08:00", "20:00", {"web": 5}), overrides=(surge,))
    want = wanted(fleet, local(at))[WEB]
    assert f"{want.count} by {want.rule}" == expected


@pytest.mark.parametrize(
    ("forced", "at", "expected"),
    [("day", "2026-06-01T22:00", 5), ("base", "2026-06-01T12:00", 2), ("night", "2026-06-01T12:00", 1)],
)
def test_an_override_forces_one_window_or_the_base(forced: str, at: str, expected: int) -> None:
    fleet = fleet_of(
        builders.window("08:00", "20:00", {"web": 5}),
        builders.window("20:00", "21:00", {"web": 1}, name="night"),
        base=builders.amounts({"web": 2}),
        overrides=(override("CapacityPolicy", "day-night", None, "2026-06-02T12:00", window=forced),),
    )
    assert wanted(fleet, local(at))[WEB].count == expected
    assert wanted(fleet, local(at), overrides=False)[WEB].count != expected
    (policy,) = fleet.policies
    held = in_force(policy, fleet, local(at))
    assert (held.window, held.forced_by) == (forced, fleet.overrides[0])


def test_an_override_of_another_namespace_or_kind_is_not_ours() -> None:
    foreign = replace(
        override("Service", "web", None, "2026-06-02T12:00", replicas=Amount(value=30)), namespace="other"
    )
    host = override("Host", "web", None, "2026-06-02T12:00", unschedulable=True)
    assert wanted(fleet_of(overrides=(foreign, host)), local("2026-06-01T12:00"))[WEB].count == 10


@pytest.mark.parametrize(
    ("at", "window", "until", "then"),
    [
        ("2026-06-01T12:00", "day", "2026-06-01T20:00", "base"),
        ("2026-06-01T20:00", "base", "2026-06-02T08:00", "day"),
        ("2026-06-05T21:00", "base", "2026-06-08T08:00", "day"),  # over the weekend
        ("2026-03-28T21:00", "base", "2026-03-30T08:00", "day"),  # over the change of the clocks
    ],
)
def test_what_is_in_force_says_until_when_and_what_comes_then(
    at: str, window: str, until: str, then: str
) -> None:
    fleet = fleet_of(builders.window("08:00", "20:00", {"web": 5}, days=frozenset(range(5))))
    held = in_force(fleet.policies[0], fleet, local(at))
    assert (held.window, held.until, held.then) == (window, local(until), then)


def test_what_is_in_force_looks_past_edges_at_which_nothing_changes() -> None:
    six_days = builders.window("00:00", "24:00", {"web": 5}, days=frozenset(range(6)))
    fleet = fleet_of(six_days)
    held = in_force(fleet.policies[0], fleet, local("2026-06-01T00:00"))
    assert (held.window, held.until, held.then) == ("day", local("2026-06-07T00:00"), "base")


def test_a_window_that_is_always_open_never_ends() -> None:
    fleet = fleet_of(builders.window("00:00", "24:00", {"web": 5}))
    held = in_force(fleet.policies[0], fleet, local("2026-06-01T12:00"))
    assert (held.window, held.until, held.then) == ("day", None, None)


@pytest.mark.parametrize(
    ("zone", "at", "edge"),
    [
        # A weekly window that the change of the clocks swallows once.
        ("Europe/Berlin", "2026-03-22T02:00:00+00:00", "2026-04-05T00:15:00+00:00"),
        ("Europe/Berlin", "2026-03-28T12:00:00+00:00", "2026-04-05T00:15:00+00:00"),
    ],
)
def test_the_next_edge_is_found_after_a_week_without_one(zone: str, at: str, edge: str) -> None:
    sundays = builders.window("02:15", "02:45", {"web": 1}, days=frozenset({SUNDAY}))
    policy = builders.policy(zone=ZoneInfo(zone), windows=(sundays,))
    assert next_window_edge(policy, datetime.fromisoformat(at)) == datetime.fromisoformat(edge)


def test_without_windows_and_overrides_there_is_no_edge() -> None:
    assert next_edge(fleet_of(), local("2026-06-01T12:00")) is None


def test_an_override_ends_and_begins_at_an_edge_also_years_ahead() -> None:
    far = override("Service", "web", "2031-01-01T00:00", "2032-01-01T00:00", replicas=Amount(value=1))
    fleet = fleet_of(overrides=(far,))
    begins = next_edge(fleet, local("2026-06-01T12:00"))
    assert begins == local("2031-01-01T00:00")
    assert next_edge(fleet, begins) == local("2032-01-01T00:00")
    assert next_edge(fleet, local("2032-01-01T00:00")) is None


TIMES = st.integers(0, 95).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
INSTANTS = st.integers(0, 32 * 365 * 86400).map(
    lambda seconds: datetime(2005, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    return builders.window(
        draw(TIMES),
        draw(st.one_of(TIMES, st.just("24:00"))),
        {"web": draw(st.integers(0, 9))},
        name=draw(st.sampled_from(("a", "b", "c"))),
        days=frozenset(draw(st.sets(st.integers(0, 6), min_size=1))),
        priority=draw(st.integers(0, 2)),
    )


@st.composite
def policies(draw: st.DrawFn) -> CapacityPolicy:
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    made = draw(st.lists(windows(), max_size=3, unique_by=lambda one: one.name))
    return builders.policy(zone=zone, windows=tuple(made))


@settings(max_examples=300, deadline=None)
@given(policy=policies(), at=INSTANTS)
@example(
    policy=builders.policy(zone=APIA, windows=(builders.window("08:00", "20:00"),)),
    at=utc("2011-12-30T09:00"),
)
def test_the_next_edge_always_lies_ahead(policy: CapacityPolicy, at: datetime) -> None:
    fleet = replace(fleet_of(), policies=(policy,))
    for _ in range(6):
        edge = next_edge(fleet, at)
        if edge is None:
            hours = [one.hours for one in policy.windows if isinstance(one.hours, Weekly)]
            assert all(one.start == (one.end or time(0)) for one in hours)
            return
        assert edge > at
        at = edge


@settings(max_examples=200, deadline=None)
@given(policy=policies(), at=INSTANTS, shares=st.lists(st.floats(0, 0.999), min_size=3, max_size=3))
def test_what_is_wanted_is_constant_between_two_edges(
    policy: CapacityPolicy, at: datetime, shares: list[float]
) -> None:
    fleet = replace(fleet_of(), policies=(policy,))
    edge = next_edge(fleet, at) or at + timedelta(days=30)
    inside = [at + (edge - at) * share for share in shares] + [edge - timedelta(seconds=1)]
    expected = wanted(fleet, at)
    assert all(wanted(fleet, instant) == expected for instant in inside if at <= instant < edge)
    assert {in_force(policy, fleet, instant).window for instant in inside if at <= instant < edge} <= {
        in_force(policy, fleet, at).window
    }


@settings(max_examples=400, deadline=None)
@given(zone=st.sampled_from(ZONES), window=windows(), at=INSTANTS)
def test_windows_of_every_zone_are_half_open_and_never_negative(
    zone: str, window: Window, at: datetime
) -> None:
    civil, second = ZoneInfo(zone), timedelta(seconds=1)
    for offset in range(3):
        interval = interval_on(window, at.date() + timedelta(days=offset), civil)
        if interval is None:
            continue
        assert interval.start < interval.end <= interval.start + timedelta(hours=49)
        assert is_open(window, interval.start, civil)
        assert is_open(window, interval.end - second, civil)
        assert interval.contains(interval.start)
        assert not interval.contains(interval.end)


@settings(max_examples=300, deadline=None)
@given(
    zone=st.sampled_from(ZONES), day=st.dates(date(2005, 1, 1), date(2036, 12, 31)), start=TIMES, end=TIMES
)
def test_later_wall_clock_times_never_resolve_to_earlier_instants(
    zone: str, day: date, start: str, end: str
) -> None:
    first, last = sorted((time.fromisoformat(start), time.fromisoformat(end)))
    civil = ZoneInfo(zone)
    assert (
        resolve(day, first, civil)
        <= resolve(day, last, civil)
        < resolve(day + timedelta(days=2), first, civil)
    )


@pytest.mark.parametrize("zone", ZONES)
def test_a_round_trip_gives_the_wall_clock_back_outside_gaps(zone: str) -> None:
    civil = ZoneInfo(zone)
    for month in range(1, 13):
        shown = resolve(date(2026, month, 15), time(12), civil).astimezone(civil)
        assert (shown.day, shown.time()) == (15, time(12))

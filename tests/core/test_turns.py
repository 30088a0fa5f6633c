"""Turns of a policy: what is in force, until when, and every change over a long time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.core.model import Fleet
from rota.core.windows import BASE, in_force, open_windows, turns
from tests import builders
from tests.core.test_hours import any_windows, scheduled
from tests.core.test_windows import INSTANTS, fleet_of, local, override

ALWAYS = builders.window("00:00", "24:00", {"web": 5}, name="always", priority=10)
HIDDEN = builders.window("07:00", "20:00", {"web": 2}, name="b")


def named(fleet: Fleet, at: datetime) -> str:
    """The window that holds, by looking at this instant alone."""
    (policy,) = fleet.policies
    forcing = [each for each in fleet.overrides_in_force(at) if each.window is not None]
    if forcing:
        name = str(min(forcing, key=str).window)
        return name if any(window.name == name for window in policy.windows) else BASE
    return next((window.name for window in open_windows(policy, at)), BASE)


@pytest.mark.parametrize(("year", "found"), [(2027, True), (2031, True), (2035, False)])
def test_a_change_is_found_behind_thousands_of_hidden_edges(year: int, found: bool) -> None:
    closed = date(year, 11, 20)
    fleet = fleet_of(replace(ALWAYS, except_on=frozenset({closed})), HIDDEN)
    held = in_force(fleet.policies[0], fleet, local("2026-11-23T17:00"))
    expected = (local(f"{closed}T00:00"), BASE) if found else (None, None)
    assert (held.window, held.until, held.then) == ("always", *expected)


def test_a_year_of_turns_is_the_day_on_which_one_window_is_closed() -> None:
    fleet = fleet_of(replace(ALWAYS, except_on=frozenset({date(2027, 11, 20)})), HIDDEN)
    start = local("2026-11-23T17:00")
    found = [
        (turn.at, turn.before, turn.after)
        for turn in turns(fleet.policies[0], fleet, start, start + timedelta(days=366))
    ]
    assert found == [
        (local("2027-11-20T00:00"), "always", BASE),
        (local("2027-11-20T07:00"), BASE, "b"),
        (local("2027-11-20T20:00"), "b", BASE),
        (local("2027-11-21T00:00"), BASE, "always"),
    ]


def test_nothing_ever_changes_is_said_at_once_the_second_time() -> None:
    fleet = fleet_of(ALWAYS, HIDDEN)
    at = local("2026-11-23T17:00")
    in_force(fleet.policies[0], fleet, at)
    began = perf_counter()
    for second in range(50):
        assert in_force(fleet.policies[0], fleet, at + timedelta(seconds=second)).until is None
    # Some milliseconds; the slack is for a machine that is busy with other tests.
    assert perf_counter() - began < 1


def test_a_year_of_a_dense_schedule_takes_no_time_to_walk() -> None:
    fleet = fleet_of(scheduled("*/5 * * * *", 60.0), HIDDEN)
    start = local("2026-11-23T17:00")
    began = perf_counter()
    assert len(list(turns(fleet.policies[0], fleet, start, start + timedelta(days=366)))) > 90_000
    # Half a second, where asking edge by edge took eight.
    assert perf_counter() - began < 6


def test_dense_schedules_that_something_hides_for_years_are_not_looked_through() -> None:
    dense = [replace(scheduled("*/5 * * * *", 60.0 + number), name=f"w{number}") for number in range(20)]
    fleet = fleet_of(replace(ALWAYS, except_on=frozenset({date(2030, 11, 20)})), *dense)
    began = perf_counter()
    held = in_force(fleet.policies[0], fleet, local("2026-11-23T17:00"))
    assert (held.until, held.then) == (local("2030-11-20T00:00"), "w0")
    # A second, where all openings of four years would take half a minute.
    assert perf_counter() - began < 6


@settings(max_examples=100, deadline=None)
@given(data=st.data(), start=INSTANTS)
def test_turns_are_where_what_holds_changes(data: st.DataObject, start: datetime) -> None:
    windows = [
        replace(data.draw(any_windows(start)), name=name, priority=data.draw(st.integers(0, 2)))
        for name in ("one", "two")
    ]
    forced = [
        replace(
            override("CapacityPolicy", "day-night", None, "2026-01-01T00:00"),
            name=name,
            window=data.draw(st.sampled_from(["one", "two", BASE, "gone"])),
            replicas=None,
            start=start + timedelta(hours=data.draw(st.integers(-30, 60))),
            until=start + timedelta(hours=data.draw(st.integers(61, 90))),
        )
        for name in data.draw(st.lists(st.sampled_from("xy"), max_size=2, unique=True))
    ]
    fleet = fleet_of(*windows, overrides=tuple(forced))
    (policy,) = fleet.policies
    end = start + timedelta(days=4)
    found = list(turns(policy, fleet, start, end))
    before, since = named(fleet, start), start
    for turn in found:
        assert turn.before == before != turn.after
        assert named(fleet, turn.at - timedelta(microseconds=1)) == before
        assert named(fleet, turn.at) == turn.after
        middle = since + (turn.at - since) / 2
        assert named(fleet, middle) == before
        before, since = turn.after, turn.at
    assert named(fleet, end) == before
    held = in_force(policy, fleet, start)
    assert held.window == named(fleet, start)
    if found:
        assert (held.until, held.then) == (found[0].at.astimezone(UTC), found[0].after)

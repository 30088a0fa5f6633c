"""Civil time: which windows are open at an instant, when the next edge is, what is wanted now.

A window is a half-open interval on the local civil line, resolved to UTC for each date by itself,
never by pairing two schedules. A start or end inside a spring gap is the first instant after it; in
an autumn repeat it is the first occurrence. Offsets are those of the instant judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rota.core.model import Amount, CapacityPolicy, Fill, Fleet, Override, Service, Window, WorkloadId

BASE = "base"
Chosen = tuple[tuple[CapacityPolicy, tuple[Window, ...]], ...]
"""The policies in the order of their names, each with those of its windows that count."""

_DAY = timedelta(days=1)
_DAYS_AHEAD = 16
"""A weekly pattern repeats within 7 days, or 14 where the clocks skip one; the rest is for zone offsets."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open span of UTC instants."""

    start: datetime
    end: datetime

    def contains(self, at: datetime) -> bool:
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What one policy asks for at an instant: a window's name or `base`, and until when.

    `until` is the next instant at which another window of this policy holds, `then` its name;
    both None where nothing will ever change.
    """

    policy: CapacityPolicy
    window: str
    until: datetime | None
    then: str | None
    forced_by: Override | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """How many instances of a workload are wanted, and which rule says so.

    With `fill` the count is its least: placement finds out what is left over beyond that.
    """

    count: int
    rule: str
    fill: Fill | None = None


def resolve(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC instant at which a wall clock in `zone` shows `day` `at` for the first time.

    A time that the day skips resolves to the first instant after the gap.
    """
    naive = datetime.combine(day, at)
    later = naive.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if later.astimezone(zone).replace(tzinfo=None) == naive:
        return later
    # In a gap, fold=1 reads the clock with the offset after the jump: it lies before the transition.
    earlier = naive.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _transition_between(earlier, later, zone)


def _transition_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first whole second in (before, after] with the offset of `after`, by bisection."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def interval_on(window: Window, day: date, zone: ZoneInfo) -> Interval | None:
    """The span of `window` that belongs to the local date `day`; None where it has no length."""
    if day.weekday() not in window.days:
        return None
    overnight = window.end is None or window.end < window.start
    end = resolve(day + _DAY if overnight else day, window.end or time(0), zone)
    start = resolve(day, window.start, zone)
    return Interval(start, end) if start < end else None


def _not_yet_over(window: Window, at: datetime, zone: ZoneInfo) -> Interval | None:
    """The interval of `window` that contains `at`, else the first one after it."""
    first = at.astimezone(zone).date() - 2 * _DAY
    days = (first + offset * _DAY for offset in range(_DAYS_AHEAD + 3))
    intervals = (interval_on(window, day, zone) for day in days)
    return next((interval for interval in intervals if interval is not None and interval.end > at), None)


def is_open(window: Window, at: datetime, zone: ZoneInfo) -> bool:
    """Whether `window` is open at the UTC instant `at`."""
    interval = _not_yet_over(window, at, zone)
    return interval is not None and interval.start <= at


def open_windows(policy: CapacityPolicy, at: datetime) -> tuple[Window, ...]:
    """The open windows of a policy, highest priority first, then by name."""
    opened = [window for window in policy.windows if is_open(window, at, policy.zone)]
    return tuple(sorted(opened, key=lambda window: (-window.priority, window.name)))


def next_window_edge(policy: CapacityPolicy, after: datetime) -> datetime | None:
    """The first start or end of a window of `policy` that lies strictly after `after`."""
    intervals = (_not_yet_over(window, after, policy.zone) for window in policy.windows)
    return min(
        (one.start if one.start > after else one.end for one in intervals if one is not None), default=None
    )


def in_force(policy: CapacityPolicy, fleet: Fleet, at: datetime) -> InForce:
    """What `policy` asks for at `at`, and when that changes next."""
    name, forced = _window_name(policy, fleet, at)
    instant = at
    for _ in range(2 * (_DAYS_AHEAD * len(policy.windows) + len(fleet.overrides)) + 1):
        edge = _next_policy_edge(policy, fleet, instant)
        if edge is None:
            break
        then, _by = _window_name(policy, fleet, edge)
        if then != name:
            return InForce(policy=policy, window=name, until=edge, then=then, forced_by=forced)
        instant = edge
    return InForce(policy=policy, window=name, until=None, then=None, forced_by=forced)


def next_edge(fleet: Fleet, after: datetime) -> datetime | None:
    """The first instant strictly after `after` at which what is wanted may change."""
    edges = [next_window_edge(policy, after) for policy in fleet.policies]
    edges += [instant for override in fleet.overrides for instant in (override.start, override.until)]
    return min((edge for edge in edges if edge is not None and edge > after), default=None)


def wanted(fleet: Fleet, at: datetime, *, overrides: bool = True) -> Mapping[WorkloadId, Want]:
    """The number of instances of every workload at `at`, with the rule that gives it.

    An Override in force; else the open window of highest priority that names the workload, of any
    policy; else a policy's base; else the workload's own `replicas`. With `overrides` False the
    Overrides are left out, which is what the guard compares.
    """
    active = fleet.overrides_in_force(at) if overrides else ()
    chosen = tuple(
        (policy, chosen_windows(policy, open_windows(policy, at), active)) for policy in by_name(fleet)
    )
    return {workload: want_of(service, chosen, active) for workload, service in fleet.services.items()}


def want_of(service: Service, chosen: Chosen, active: tuple[Override, ...]) -> Want:
    """What is wanted of one workload while these windows count and these Overrides are in force."""
    override = _replicas_override(active, service.id)
    if override is not None and override.replicas is not None:
        return _want(override.replicas, service.replicas, f"override {override.name}")
    return _by_policy(chosen, service.id, service.replicas)


def _by_policy(chosen: Chosen, workload: WorkloadId, replicas: int) -> Want:
    candidates = [
        (-window.priority, policy.name, window.name, window.replicas[workload])
        for policy, windows in chosen
        for window in windows
        if workload in window.replicas
    ]
    if candidates:
        _, policy_name, window_name, amount = min(candidates, key=lambda candidate: candidate[:3])
        return _want(amount, replicas, f"window {policy_name}/{window_name}")
    for policy, _windows in chosen:
        if workload in policy.base:
            return _want(policy.base[workload], replicas, f"window {policy.name}/{BASE}")
    return Want(count=replicas, rule="replicas")


def _want(amount: Amount | Fill, replicas: int, rule: str) -> Want:
    if isinstance(amount, Fill):
        return Want(count=amount.min, rule=rule, fill=amount)
    return Want(count=amount.of(replicas), rule=rule)


def by_name(fleet: Fleet) -> list[CapacityPolicy]:
    """The policies in the order in which they break ties."""
    return sorted(fleet.policies, key=lambda policy: (policy.namespace, policy.name))


def _replicas_override(active: tuple[Override, ...], workload: WorkloadId) -> Override | None:
    matching = (override for override in active if replaces(override, workload))
    return min(matching, key=str, default=None)


def chosen_windows(
    policy: CapacityPolicy, opened: tuple[Window, ...], active: tuple[Override, ...]
) -> tuple[Window, ...]:
    """The windows of `policy` that count: the open ones, or the one that an Override in force names."""
    forced = _forced_window(policy, active)
    if forced is None:
        return opened
    return tuple(window for window in policy.windows if window.name == forced.window)


def _forced_window(policy: CapacityPolicy, active: tuple[Override, ...]) -> Override | None:
    matching = (override for override in active if forces(override, policy))
    return min(matching, key=str, default=None)


def forces(override: Override, policy: CapacityPolicy) -> bool:
    """Whether `override`, while in force, says which window of `policy` counts."""
    return override.target_kind == "CapacityPolicy" and (override.namespace, override.target_name) == (
        policy.namespace,
        policy.name,
    )


def replaces(override: Override, workload: WorkloadId) -> bool:
    """Whether `override`, while in force, says how many instances of `workload` are wanted."""
    return (
        override.target_kind == "Service"
        and (override.namespace, override.target_name) == workload
        and override.replicas is not None
    )


def _window_name(policy: CapacityPolicy, fleet: Fleet, at: datetime) -> tuple[str, Override | None]:
    active = fleet.overrides_in_force(at)
    forced = _forced_window(policy, active)
    chosen = chosen_windows(policy, open_windows(policy, at), active)
    return (chosen[0].name if chosen else BASE), forced


def _next_policy_edge(policy: CapacityPolicy, fleet: Fleet, after: datetime) -> datetime | None:
    edges = [next_window_edge(policy, after)]
    edges += [
        instant
        for override in fleet.overrides
        if forces(override, policy)
        for instant in (override.start, override.until)
    ]
    return min((edge for edge in edges if edge is not None and edge > after), default=None)

"""Civil time: which windows are open at an instant, when the next edge is, what is wanted now.

A window of weekly hours is a half-open interval on the local civil line, resolved to UTC for each date by
itself, never by pairing two schedules; one of a cron schedule opens for a length of time. `hours` says how
clock times become instants. Offsets are those of the instant judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from heapq import merge
from itertools import chain, groupby, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rota.core.edges import Almanac, Pattern, touching
from rota.core.hours import (
    DAY,
    Span,
    instant,
    moment,
    open_by_schedule,
    opens_on,
    overnight,
    resolve,
    scheduled_span,
)
from rota.core.ids import WorkloadId
from rota.core.model import Amount, CapacityPolicy, Fill, Fleet, Override, Scheduled, Service, Weekly, Window

BASE = "base"
Chosen = tuple[tuple[CapacityPolicy, tuple[Window, ...]], ...]
"""The policies in the order of their names, each with those of its windows that count."""

_DAYS_AHEAD = 16
"""A weekly pattern repeats within 7 days, or 14 where the clocks skip one; the rest is for zone offsets."""
_NEAR = (timedelta(days=2), timedelta(days=16))
_FAR = timedelta(days=5 * 366)
"""So far is looked for a turn: most come within a day, and what is farther is looked through in pieces."""
_PIECE = timedelta(days=64)


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
    both None where nothing changes within five years.
    """

    policy: CapacityPolicy
    window: str
    until: datetime | None
    then: str | None
    forced_by: Override | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Growth that begins before the edge at which it is wanted: how many, by which rule from when.

    `patient`: others leave at that edge and do not yield, so that nobody else is to be stopped for it.
    """

    count: int
    rule: str
    at: datetime
    patient: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """How many instances of a workload are wanted, and which rule says so.

    With `fill` the count is its least: placement finds out what is left over beyond that. `lead` is how many
    seconds before the rule begins to hold the growth that it asks for begins; None where that is learnt.
    While an edge is near, `ahead` is what of `count` is only due at it; `leaves` are as many as it takes
    away. With `yields_at`, the instant of that edge, these make room for what grows at it; `keeps` is the
    most that it leaves of what makes room, None where it takes nothing.
    """

    count: int
    rule: str
    fill: Fill | None = None
    lead: float | None = None
    ahead: Ahead | None = None
    leaves: int = 0
    yields_at: datetime | None = None
    keeps: int | None = None

    @property
    def due(self) -> int:
        """How many are to run now."""
        return self.count - (self.ahead.count if self.ahead is not None else 0)


def interval_on(window: Window, day: date, zone: ZoneInfo) -> Interval | None:
    """The span of `window`, of weekly hours, that belongs to the local date `day`.

    None where it has no length, or does not open on that date.
    """
    hours = window.hours
    assert isinstance(hours, Weekly), "a schedule may open many times on a date"
    if not opens_on(window, hours, day):
        return None
    end = resolve(day + DAY if overnight(hours) else day, hours.end or time(0), zone)
    start = resolve(day, hours.start, zone)
    return Interval(start, end) if start < end else None


def _not_yet_over(window: Window, at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime | None] | None:
    """Start and end of the interval of `window` that contains `at`, else of the first one after it.

    The end is None where it does not end within ten years.
    """
    if isinstance(window.hours, Scheduled):
        span = scheduled_span(window.hours, window.except_on, zone, at)
        return None if span is None else (instant(span[0]), None if span[1] is None else instant(span[1]))
    for day in _dates_from(window, window.hours, at.astimezone(zone).date() - 2 * DAY):
        interval = interval_on(window, day, zone)
        if interval is not None and interval.end > at:
            return interval.start, interval.end
    return None


def _dates_from(window: Window, hours: Weekly, first: date) -> Iterator[date]:
    """Dates from `first` on, among them all on which a window of weekly hours may be the next to open."""
    for offset in range(_DAYS_AHEAD + 3):
        yield first + offset * DAY
    if window.also_on or window.except_on:
        # From here on only stated dates differ from the weeks looked at, and weeks behind all exceptions.
        after = first + (_DAYS_AHEAD + 3) * DAY
        calm = max(after, max(window.except_on, default=after))
        weekly = (after + offset * DAY for offset in range((calm - after).days + _DAYS_AHEAD + 3))
        ahead = (day for day in weekly if opens_on(window, hours, day))
        yield from merge(ahead, sorted(day for day in window.also_on if day >= after))


def is_open(window: Window, at: datetime, zone: ZoneInfo) -> bool:
    """Whether `window` is open at the UTC instant `at`."""
    if isinstance(window.hours, Scheduled):
        return open_by_schedule(window.hours, window.except_on, zone, at)
    day = at.astimezone(zone).date()
    # Where clocks go back over midnight, the date after may have begun; where one is skipped, two are over.
    intervals = (interval_on(window, day + offset * DAY, zone) for offset in (0, -1, -2, 1))
    return any(interval is not None and interval.contains(at) for interval in intervals)


def opens_again(window: Window, at: datetime, zone: ZoneInfo) -> bool:
    """Whether `window` is open at `at` or opens at any time after it."""
    return _not_yet_over(window, at, zone) is not None


def open_windows(policy: CapacityPolicy, at: datetime) -> tuple[Window, ...]:
    """The open windows of a policy, highest priority first, then by name."""
    opened = [window for window in policy.windows if is_open(window, at, policy.zone)]
    return tuple(sorted(opened, key=lambda window: (-window.priority, window.name)))


def next_window_edge(policy: CapacityPolicy, after: datetime) -> datetime | None:
    """The first start or end of a window of `policy` that lies strictly after `after`."""
    intervals = (_not_yet_over(window, after, policy.zone) for window in policy.windows)
    edges = (start if start > after else end for start, end in filter(None, intervals))
    return min((edge for edge in edges if edge is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """An instant at which another window of a policy holds, or `base`."""

    at: datetime
    before: str
    after: str


class _Ranking(NamedTuple):
    """What decides which window of a policy holds, each by name, highest first: what forces one in so long
    a span, then the windows by themselves. It tells policies apart that hold otherwise, and nothing else."""

    forcing: tuple[tuple[str, Override], ...]
    windows: tuple[tuple[str, Pattern], ...]

    @classmethod
    def of(cls, policy: CapacityPolicy, fleet: Fleet) -> _Ranking:
        known = {window.name for window in policy.windows}
        forcing = sorted((each for each in fleet.overrides if forces(each, policy)), key=str)
        ranked = sorted(policy.windows, key=lambda window: (-window.priority, window.name))
        return cls(
            tuple((each.window if each.window in known else BASE, each) for each in forcing),
            tuple(
                (each.name, Pattern(policy.zone, each.hours, each.also_on, each.except_on)) for each in ranked
            ),
        )

    def turns(self, start: datetime, end: datetime) -> Iterator[Turn]:
        """Every turn in (start, end], in order."""
        for (_, before), (at, after) in pairwise(self.holding(moment(start), moment(end))):
            if before != after:
                yield Turn(at=instant(at), before=before, after=after)

    def holding(self, first: int, last: int) -> Iterator[tuple[int, str]]:
        """What holds at `first`, and from each edge on that comes after it, up to `last`."""
        names = [name for name, _ in (*self.forcing, *self.windows)]
        flips = merge(*self._flips(first, last))
        held: set[int] = set()
        nothing = (first, False, len(names))
        for at, together in groupby(chain([nothing], flips), key=lambda flip: max(flip[0], first)):
            if at > last:
                return
            for _, opens, rank in together:
                (held.add if opens else held.discard)(rank)
            yield at, names[min(held)] if held else BASE

    def _flips(self, first: int, last: int) -> Iterator[Sequence[tuple[int, bool, int]]]:
        """The flips of each rank from `first` to `last`, down to one that holds all the time."""
        almanac = Almanac(instant(first), instant(last))
        forcing = ((almanac.span(override),) for _, override in self.forcing)
        windows = (almanac.spans_of(pattern) for _, pattern in self.windows)
        every: Iterable[Sequence[Span]] = chain(forcing, windows)
        for rank, spans in enumerate(every):
            found = tuple(_flips(rank, touching(spans, first, last)))
            yield found
            if len(found) == 2 and found[0][0] <= first and last < found[1][0]:
                return


def _flips(rank: int, spans: Iterable[Span]) -> Iterator[tuple[int, bool, int]]:
    """When what is of a rank begins to hold and when it ends; spans that overlap or touch are one."""
    closes: int | None = None
    for start, end in spans:
        if closes is None or start > closes:
            if closes is not None:
                yield closes, False, rank
            yield start, True, rank
        closes = end if closes is None else max(closes, end)
    if closes is not None:
        yield closes, False, rank


def turns(policy: CapacityPolicy, fleet: Fleet, start: datetime, end: datetime) -> Iterator[Turn]:
    """Every turn of a policy in (start, end], in order. An edge at which the same window holds on is none."""
    return _Ranking.of(policy, fleet).turns(start, end)


def in_force(policy: CapacityPolicy, fleet: Fleet, at: datetime) -> InForce:
    """What `policy` asks for at `at`, and when that changes next."""
    ranking = _Ranking.of(policy, fleet)
    forced = _forced_window(policy, fleet.overrides_in_force(at))
    turn = next((turn for ahead in _NEAR for turn in ranking.turns(at, at + ahead)), None)
    turn = turn or _far_turn(ranking, at.astimezone(UTC).date() + DAY)
    if turn is not None:
        return InForce(policy=policy, window=turn.before, until=turn.at, then=turn.after, forced_by=forced)
    _, name = next(ranking.holding(moment(at), moment(at)))
    return InForce(policy=policy, window=name, until=None, then=None, forced_by=forced)


@lru_cache(maxsize=256)
def _far_turn(ranking: _Ranking, day: date) -> Turn | None:
    """The first turn after the beginning of a date in UTC. Remembered, for every pass of a day asks again."""
    start = datetime.combine(day, time(0), UTC)
    pieces = (start + number * _PIECE for number in range(_FAR // _PIECE + 1))
    return next((turn for piece in pieces for turn in ranking.turns(piece, piece + _PIECE)), None)


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
        (-window.priority, policy.name, window.name, window.replicas[workload], window.lead)
        for policy, windows in chosen
        for window in windows
        if workload in window.replicas
    ]
    if candidates:
        _, policy_name, window_name, amount, lead = min(candidates, key=lambda candidate: candidate[:3])
        return _want(amount, replicas, f"window {policy_name}/{window_name}", lead)
    for policy, _windows in chosen:
        if workload in policy.base:
            return _want(policy.base[workload], replicas, f"window {policy.name}/{BASE}")
    return Want(count=replicas, rule="replicas")


def _want(amount: Amount | Fill, replicas: int, rule: str, lead: float | None = None) -> Want:
    if isinstance(amount, Fill):
        return Want(count=amount.min, rule=rule, fill=amount, lead=lead)
    return Want(count=amount.of(replicas), rule=rule, lead=lead)


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

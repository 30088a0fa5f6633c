"""Windows that are open at one time with equal priority for one workload: which of them would hold?

Windows of one zone that open on days of the week alone are compared on its civil week, where daylight saving
changes nothing: resolving civil times keeps their order. All others, and windows of different zones, are
compared as instants over fixed years, so that validity does not depend on the day of the check.

Many workloads have windows that open alike: what was found of some hours and dates holds for all of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from rota.core.edges import Almanac, Pattern
from rota.core.hours import instant, moment
from rota.core.ids import WorkloadId
from rota.core.model import CapacityPolicy, Weekly, Window
from rota.manifest.document import Manifest
from rota.manifest.problem import Problem
from rota.manifest.window import DAYS

_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
_YEAR: Final = 2028  # a leap year, and as good as any other
_YEARS: Final = range(2026, 2034)
"""Where dates, calendars and schedules are compared; the years of stated dates come on top."""
_EARLIEST: Final = timedelta(hours=14)  # so long before UTC a year begins somewhere
_MAX_SPANS: Final = 3_000_000
"""So many openings are compared in one repository: some seconds of work."""

_Meeting = tuple[int, int, str]
"""Which two of the windows compared, the one that stands earlier first, and the words for when they meet."""
_Place = tuple[str, int, int]


class _Claim(NamedTuple):
    """One window of one policy. Claims are in the order of their places."""

    manifest: Manifest
    policy: CapacityPolicy
    number: int

    @property
    def window(self) -> Window:
        return self.policy.windows[self.number]

    @property
    def plain(self) -> bool:
        """Whether the window opens on days of the week and on nothing else."""
        window = self.window
        return isinstance(window.hours, Weekly) and not window.also_on and not window.except_on

    @property
    def place(self) -> _Place:
        return (*self.manifest.order, self.number)

    @property
    def pattern(self) -> Pattern:
        window = self.window
        return Pattern(self.policy.zone, window.hours, window.also_on, window.except_on)

    def years(self) -> Iterator[int]:
        """The years of the dates that the window states one by one."""
        stated: Mapping[str, Any] = self.manifest.document.raw["spec"]["windows"][self.number]
        for key in ("also", "except"):
            for text in stated.get(key, {}).get("dates", ()):
                yield int(text[:4])

    def __str__(self) -> str:
        return f"{self.window.name} of CapacityPolicy {self.policy}"


class _Span(NamedTuple):
    """A half-open stretch of a line, in minutes of the week or in microseconds since 1970."""

    start: int
    end: int
    order: int


def overlapping_windows(policies: Iterable[tuple[Manifest, CapacityPolicy]]) -> Iterator[Problem]:
    """One problem for each pair of windows found, at the later of the two."""
    contested: dict[tuple[WorkloadId, int], list[_Claim]] = {}
    for manifest, policy in policies:
        for number, window in enumerate(policy.windows):
            for workload in window.replicas:
                contested.setdefault((workload, window.priority), []).append(_Claim(manifest, policy, number))
    comparison = _Comparison()
    told: set[tuple[_Place, _Place]] = set()
    judged: set[tuple[_Place, ...]] = set()
    for (workload, _), claims in contested.items():
        # Most windows contest several workloads with the same others.
        places = tuple(claim.place for claim in claims)
        if len(claims) == 1 or places in judged:
            continue
        judged.add(places)
        for earlier, later, when in comparison.conflicts(claims):
            pair = (earlier.place, later.place)
            if pair not in told:
                told.add(pair)
                yield _problem(earlier, later, workload, when)
        if comparison.spans > _MAX_SPANS:
            message = (
                f"windows of equal priority for one workload open more than {_MAX_SPANS:,} times in the years"
                f" from {_YEARS[0]} to {_YEARS[-1]}, those that open alike counted once: too often to"
                " compare them all"
            )
            mend = "Give them different priorities, or let them open less often."
            yield claims[-1].manifest.problem(("spec", "windows"), message, mend)
            return


def _problem(earlier: _Claim, later: _Claim, workload: WorkloadId, when: str) -> Problem:
    message = (
        f"window {later} overlaps window {earlier} {when};"
        f" both state {workload} with priority {later.window.priority}"
    )
    mend = "Give one of them a higher priority, or other hours."
    return later.manifest.problem(("spec", "windows", later.number), message, mend)


class _Comparison:
    """Compares the claims of many workloads; what it has found once it keeps. `spans` counts its work."""

    def __init__(self) -> None:
        self.spans = 0
        self._almanacs: dict[int, Almanac] = {}
        self._found: dict[tuple[tuple[Pattern, ...], tuple[int, ...]], tuple[_Meeting, ...]] = {}

    def conflicts(self, claims: Sequence[_Claim]) -> Iterator[tuple[_Claim, _Claim, str]]:
        """Pairs of claims, the one that stands earlier first, with the words for when they meet."""
        years = tuple(sorted({year for claim in claims for year in claim.years()}))
        key = (tuple(claim.pattern for claim in claims), years)
        if key not in self._found:
            self._found[key] = tuple(self._meetings(claims, years))
        for first, second, when in self._found[key]:
            yield claims[first], claims[second], when

    def _meetings(self, claims: Sequence[_Claim], stated: Iterable[int]) -> Iterator[_Meeting]:
        by_zone: dict[str, list[int]] = {}
        for order, claim in enumerate(claims):
            if claim.plain:
                by_zone.setdefault(claim.policy.zone.key, []).append(order)
        for orders in by_zone.values():
            spans = [span for order in orders for span in _week(claims[order].window, order)]
            for first, second, start, end in _meetings(spans):
                yield first, second, f"on {_weekly(start)}-{_clock(end)}"
        if all(claim.plain for claim in claims):
            if len(by_zone) > 1:
                yield from self._dated(claims, [_YEAR])
        elif not _apart(claims):
            yield from self._dated(claims, sorted({*_YEARS, *stated}))

    def _dated(self, claims: Sequence[_Claim], years: Iterable[int]) -> Iterator[_Meeting]:
        """The pairs that meet in one of the `years`, but for those that the civil week has judged."""
        refused: set[int] = set()
        for year in years:
            first = moment(datetime(year, 1, 1, tzinfo=UTC) - _EARLIEST)
            spans = [
                _Span(start, end, order)
                for order, claim in enumerate(claims)
                if order not in refused
                for start, end in self._almanac(year).spans(claim.window, claim.policy.zone)
                if start >= first
            ]
            self.spans += len(spans)
            if self.spans > _MAX_SPANS:
                return
            for earlier, later, start, end in _meetings(spans):
                one, other = claims[earlier], claims[later]
                if not (one.plain and other.plain and one.policy.zone.key == other.policy.zone.key):
                    refused.add(later)
                    yield earlier, later, _dated(one, other, instant(start), instant(end))

    def _almanac(self, year: int) -> Almanac:
        if year not in self._almanacs:
            self._almanacs[year] = Almanac(
                datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
            )
        return self._almanacs[year]


def _apart(claims: Sequence[_Claim]) -> bool:
    """Whether no exception matters: on the civil week of one zone nothing meets, even if each window opened
    on all of the weekdays on which it ever does."""
    if len({claim.policy.zone.key for claim in claims}) > 1:
        return False
    if not all(isinstance(claim.window.hours, Weekly) for claim in claims):
        return False
    spans = [span for order, claim in enumerate(claims) for span in _week(claim.window, order)]
    return next(_meetings(spans), None) is None


def _meetings(spans: list[_Span]) -> Iterator[tuple[int, int, int, int]]:
    """Of overlapping spans, the orders of at least one pair each, with the start and end of the overlap."""
    spans.sort()
    longest = spans[0] if spans else None
    for span in spans[1:]:
        assert longest is not None
        if span.start < longest.end and span.order != longest.order:
            first, second = sorted((longest.order, span.order))
            yield first, second, span.start, min(span.end, longest.end)
        longest = max(longest, span, key=lambda each: each.end)


def _week(window: Window, order: int) -> Iterator[_Span]:
    hours = window.hours
    assert isinstance(hours, Weekly), "only windows of weekly hours are compared on the week"
    start = hours.start.hour * 60 + hours.start.minute
    end = _DAY if hours.end is None else hours.end.hour * 60 + hours.end.minute
    length = end - start if end > start else end - start + _DAY
    for day in hours.days.union(each.weekday() for each in window.also_on):
        opens = day * _DAY + start
        closes = opens + length
        yield _Span(opens, min(closes, _WEEK), order)
        if closes > _WEEK:
            yield _Span(0, closes - _WEEK, order)


def _weekly(minute: int) -> str:
    return f"{DAYS[minute // _DAY]} {_clock(minute)}"


def _clock(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def _dated(one: _Claim, other: _Claim, start: datetime, end: datetime) -> str:
    """`such as 2026-12-25 07:00 to 20:00 Europe/Berlin`, in UTC where their zones differ."""
    same = one.policy.zone.key == other.policy.zone.key
    zone, name = (one.policy.zone, one.policy.zone.key) if same else (UTC, "UTC")
    begin, until = start.astimezone(zone), end.astimezone(zone)
    clock = "%H:%M:%S" if begin.second or until.second else "%H:%M"
    shown_end = until.strftime(clock if begin.date() == until.date() else f"%Y-%m-%d {clock}")
    return f"such as {begin.strftime(f'%Y-%m-%d {clock}')} to {shown_end} {name}"

"""When a window is open: weekly hours, cron schedules and dates, resolved on the calendar of a zone.

A clock time becomes an instant for each date by itself: inside a spring gap it is the first instant after
the gap, in an autumn repeat the first occurrence. A schedule follows Debian's rule: one that names minutes
and hours has fixed clock times, treated the same; one whose minute or hour begins with `*` runs through both
changes. Instants are whole microseconds since 1970, for sums and sorts of them are cheap.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import chain
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cronsim import CronSim

from rota.core.model import Scheduled, Weekly, Window

Span = tuple[int, int]
"""A half-open span between two moments."""

DAY = timedelta(days=1)

REACH = 3
"""No window of weekly hours is open so many days away, in UTC, from the local date on which it opened."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY_LENGTH = DAY // _MICROSECOND
_MINUTE = 60 * 1_000_000
_RAREST = 50 * 12
"""Months to look ahead for an opening: 29 February falls on a given weekday at least every 40 years."""
_FIRST_YEAR, _LAST_YEAR = date.min.year, date.max.year - 1
_LONGEST = 10 * 12
"""Months after which openings that follow each other without a break are taken to do so for ever."""


def moment(at: datetime) -> int:
    """An aware instant as microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """A moment as an instant in UTC."""
    return _EPOCH + at * _MICROSECOND


@lru_cache(maxsize=4096)
def resolve(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC instant at which a wall clock in `zone` shows `day` `at` for the first time.

    A time that the day skips resolves to the first instant after the gap. Remembered, for pass after pass
    asks for the same few dates.
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


def opens_on(window: Window, hours: Weekly, day: date) -> bool:
    """Whether a window of weekly `hours` opens on the local date `day`, its exceptions included."""
    return (day.weekday() in hours.days and day not in window.except_on) or day in window.also_on


def overnight(hours: Weekly) -> bool:
    """Whether weekly hours end on the date after the one they begin on."""
    return hours.end is None or hours.end < hours.start


@dataclass(frozen=True, slots=True)
class _Pattern:
    """What a schedule says of a date, and of the clock on it.

    `times` are minutes after midnight, in order; `near` are its `months` and those beside them.
    `runs_through` as Debian has it: what it names is not a clock time but a rhythm.
    """

    times: Sequence[int]
    months: frozenset[int]
    near: frozenset[int]
    matches: Callable[[date], bool]
    runs_through: bool

    def falls_on(self, day: date) -> bool:
        return day.month in self.months and self.matches(day)


@lru_cache(maxsize=1024)
def _pattern(cron: str) -> _Pattern:
    """The pattern of a schedule of five fields, which manifests have judged sound."""
    # Only what it says of dates and clock times: iterated over a zone, cronsim loses openings where
    # clocks change by half an hour, and begins in the past within a repeated hour.
    parsed = CronSim(cron, datetime(2000, 1, 1))  # noqa: DTZ001
    minute, hour, *_ = cron.split()
    return _Pattern(
        times=[of * 60 + at for of in sorted(parsed.hours) for at in sorted(parsed.minutes)],
        months=frozenset(parsed.months),
        near=frozenset((month + beside) % 12 + 1 for month in parsed.months for beside in (-2, -1, 0)),
        matches=parsed.match_day,
        runs_through=minute.startswith("*") or hour.startswith("*"),
    )


@dataclass(frozen=True)
class Calendar:
    """Consecutive dates of one zone."""

    zone: ZoneInfo
    first: date
    days: int

    @cached_property
    def midnights(self) -> Sequence[int]:
        """The moment at which each date begins, with those of the two days after the last one."""
        return [self._resolve(day, time(0)) for day in range(self.days + 2)]

    @cached_property
    def plain(self) -> Sequence[bool]:
        """Whether each date lasts 24 hours: then a clock time is that long after its midnight."""
        return [
            after - before == _DAY_LENGTH
            for before, after in zip(self.midnights, self.midnights[1:], strict=False)
        ]

    def spans(self, window: Window) -> Iterable[Span]:
        """The spans of `window` that belong to these dates, in order, without those of no length."""
        hours = window.hours
        if isinstance(hours, Weekly):
            return self._weekly(hours, self._dates(window, hours))
        return merged(self.openings(hours, window.except_on), _length(hours))

    def openings(self, hours: Scheduled, except_on: frozenset[date]) -> Iterator[int]:
        """The moments at which a schedule opens on these dates, in order."""
        pattern = _pattern(hours.cron)
        after_midnight = [at * _MINUTE for at in pattern.times]
        falls = [
            pattern.falls_on(day) and day not in except_on
            for day in (self.first + number * DAY for number in range(-1, self.days + 1))
        ]
        if not any(falls):
            return
        for number in range(self.days):
            # Where clocks go back over midnight, a date has minutes of the ones beside it.
            if self.plain[number] or not any(falls[number : number + 3]):
                if falls[number + 1]:
                    midnight = self.midnights[number]
                    yield from (midnight + after for after in after_midnight)
            elif pattern.runs_through:
                yield from self._run_through(number, pattern, except_on)
            elif falls[number + 1]:
                clock = (time(*divmod(at, 60)) for at in pattern.times)
                yield from sorted({self._resolve(number, at) for at in clock})

    def _run_through(self, number: int, pattern: _Pattern, except_on: frozenset[date]) -> Iterator[int]:
        """The moments of one date at which the wall clock shows what `pattern` names, minute by minute."""
        times = frozenset(pattern.times)
        for at in range(self.midnights[number], self.midnights[number + 1], _MINUTE):
            shown = instant(at).astimezone(self.zone)
            if shown.hour * 60 + shown.minute in times:
                day = shown.date()
                if pattern.falls_on(day) and day not in except_on:
                    yield at

    def _dates(self, window: Window, hours: Weekly) -> Iterable[int]:
        """The numbers of the dates on which a window of weekly hours opens."""
        weekday = self.first.weekday()
        weekly = (day for day in range(self.days) if (weekday + day) % 7 in hours.days)
        if not window.also_on and not window.except_on:
            return weekly
        also, never = self._numbers(window.also_on), self._numbers(window.except_on)
        return sorted(also.union(day for day in weekly if day not in never))

    def _numbers(self, dates: frozenset[date]) -> set[int]:
        return {number for day in dates if 0 <= (number := (day - self.first).days) < self.days}

    def _weekly(self, hours: Weekly, dates: Iterable[int]) -> Iterator[Span]:
        """What `windows.interval_on` gives for each of the `dates`."""
        opens, closes = hours.start, hours.end or time(0)
        after_midnight = _since_midnight(opens), _since_midnight(closes)
        midnights, plain, ahead = self.midnights, self.plain, int(overnight(hours))
        for day in dates:
            last = day + ahead
            start = midnights[day] + after_midnight[0] if plain[day] else self._resolve(day, opens)
            end = midnights[last] + after_midnight[1] if plain[last] else self._resolve(last, closes)
            if start < end:
                yield start, end

    def _resolve(self, number: int, at: time) -> int:
        return moment(resolve(self.first + number * DAY, at, self.zone))


def openings_a_day(hours: Scheduled) -> int:
    """How often a schedule opens on each date that it names."""
    return len(_pattern(hours.cron).times)


def merged(openings: Iterable[int], length: int) -> Iterator[Span]:
    """The spans of openings of equal length: those that overlap or touch are one."""
    begin = end = None
    for at in openings:
        if end is None or at > end:
            if begin is not None and end is not None:
                yield begin, end
            begin = at
        end = at + length
    if begin is not None and end is not None:
        yield begin, end


def days_open(hours: Weekly | Scheduled) -> int:
    """So many dates before an instant a window that is open then may have opened, at most."""
    return REACH if isinstance(hours, Weekly) else REACH + -(-_length(hours) // _DAY_LENGTH)


def scheduled_span(
    hours: Scheduled, except_on: frozenset[date], zone: ZoneInfo, at: datetime
) -> tuple[int, int | None] | None:
    """The span of a schedule that contains `at`, else the first one after it; None in half a century.

    Its end is None where openings follow each other without a break for ten years.
    """
    now, day = moment(at), at.astimezone(zone).date()
    near = _around(hours, except_on, zone, day)
    index = bisect_right(near.ends, now)
    if index + 1 < len(near.ends):  # the last one may go on
        return near.starts[index], near.ends[index]
    first = _month_of(day - days_open(hours) * DAY)
    for month in range(first, first + _RAREST):
        spans = _of_month(hours, except_on, zone, month)
        index = bisect_right(spans.ends, now)
        if index < len(spans.ends):
            start, end = spans.starts[index], spans.ends[index]
            last = index + 1 == len(spans.ends)
            return start, _prolonged(hours, except_on, zone, month, end) if last else end
    return None


def open_by_schedule(hours: Scheduled, except_on: frozenset[date], zone: ZoneInfo, at: datetime) -> bool:
    """Whether a span of a schedule contains `at`."""
    now = moment(at)
    near = _around(hours, except_on, zone, at.astimezone(zone).date())
    index = bisect_right(near.ends, now)
    return index < len(near.ends) and near.starts[index] <= now


def _prolonged(
    hours: Scheduled, except_on: frozenset[date], zone: ZoneInfo, month: int, end: int
) -> int | None:
    """The end of the last span of a month, with those of later months that follow without a break."""
    for later in range(month + 1, month + _LONGEST):
        spans = _of_month(hours, except_on, zone, later)
        if spans.starts:
            if spans.starts[0] > end:
                return end
            end = max(end, spans.ends[0])
            if len(spans.starts) > 1:
                return end
        elif end < moment(resolve(_first_of(later + 1), time(0), zone)):
            return end
    return None


def _month_of(day: date) -> int:
    return day.year * 12 + day.month - 1


def _first_of(month: int) -> date:
    year, of_year = divmod(month, 12)
    return date(year, of_year + 1, 1)


class _Spans(NamedTuple):
    """Spans in order: they are kept by the thousand, and so take a tenth of the room of pairs."""

    starts: Sequence[int]
    ends: Sequence[int]

    @classmethod
    def of(cls, hours: Scheduled, except_on: frozenset[date], calendar: Calendar) -> _Spans:
        """The spans of a schedule that open on the dates of a calendar."""
        spans = merged(calendar.openings(hours, except_on), _length(hours))
        flat = array("q", chain.from_iterable(spans))
        return cls(flat[::2], flat[1::2])


_NO_SPANS = _Spans((), ())


@lru_cache(maxsize=1024)
def _around(hours: Scheduled, except_on: frozenset[date], zone: ZoneInfo, day: date) -> _Spans:
    """The spans of a schedule that open on the dates around `day`: all that may be open on it, and more."""
    before = days_open(hours)
    # Where clocks go back over midnight, the date after `day` has begun before the last instant of `day`.
    return _Spans.of(hours, except_on, Calendar(zone, day - before * DAY, before + 2))


def _of_month(hours: Scheduled, except_on: frozenset[date], zone: ZoneInfo, month: int) -> _Spans:
    """The spans that open in a month, counted from the year 0; none where the calendar itself ends."""
    year, of_year = divmod(month, 12)
    if of_year + 1 not in _pattern(hours.cron).near or not _FIRST_YEAR < year < _LAST_YEAR:
        return _NO_SPANS
    return _spans_of_month(hours, except_on, zone, month)


@lru_cache(maxsize=1024)
def _spans_of_month(hours: Scheduled, except_on: frozenset[date], zone: ZoneInfo, month: int) -> _Spans:
    first = _first_of(month)
    return _Spans.of(hours, except_on, Calendar(zone, first, (_first_of(month + 1) - first).days))


def _length(hours: Scheduled) -> int:
    return round(hours.duration * 1_000_000)


def _since_midnight(at: time) -> int:
    """How long after midnight a clock shows `at`, in microseconds, on a date without a change."""
    since = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
    return since // _MICROSECOND

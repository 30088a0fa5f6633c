"""Every edge of a stretch of time at once, for those who look a year ahead.

`windows` judges one instant and resolves the few dates around it. Over a year the same midnights would be
resolved thousands of times; here each is resolved once for its zone, and a time of day is added to it where
the clocks do not change on that date. Instants are whole microseconds since 1970: sums and sorts are cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from rota.core.model import Fleet, Override, Window
from rota.core.windows import resolve

Span = tuple[int, int]
"""A half-open span between two moments."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_DAY_LENGTH = _DAY // _MICROSECOND
_REACH = 3 * _DAY
"""No window that begins on a date is open three days away from that date in UTC, whatever the zone."""


def moment(at: datetime) -> int:
    """An aware instant as microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """A moment as an instant in UTC."""
    return _EPOCH + at * _MICROSECOND


def edges(fleet: Fleet, start: datetime, end: datetime) -> tuple[datetime, ...]:
    """Every instant in (start, end] at which what is wanted may change, in order.

    The same as asking `windows.next_edge` again and again, but hundreds of times faster.
    """
    almanac = Almanac(start, end)
    found = {
        at
        for policy in fleet.policies
        for window in policy.windows
        for span in almanac.spans(window, policy.zone)
        for at in span
    }
    found.update(at for override in fleet.overrides for at in almanac.span(override))
    first, last = moment(start), moment(end)
    return tuple(instant(at) for at in sorted(found) if first < at <= last)


class Almanac:
    """The dates around a stretch of time, in every zone that is asked for.

    It remembers what it has resolved, and nothing else: equal questions have equal answers.
    """

    def __init__(self, start: datetime, end: datetime) -> None:
        self._first = start.astimezone(UTC).date() - _REACH
        self._days = (end.astimezone(UTC).date() + _REACH - self._first).days
        self._before, self._after = moment(start) - 1, moment(end) + 1
        self._calendars: dict[ZoneInfo, _Calendar] = {}
        self._spans: dict[tuple[ZoneInfo, frozenset[int], time, time | None], Sequence[Span]] = {}

    def spans(self, window: Window, zone: ZoneInfo) -> Sequence[Span]:
        """All spans of `window` in order that touch the stretch, and perhaps a few around it."""
        key = (zone, window.days, window.start, window.end)
        if key not in self._spans:
            if zone not in self._calendars:
                self._calendars[zone] = _Calendar(zone, self._first, self._days)
            self._spans[key] = tuple(self._calendars[zone].spans(window))
        return self._spans[key]

    def span(self, override: Override) -> Span:
        """The span in which an Override is in force; what lies outside of the stretch is cut off."""
        start = self._before if override.start is None else max(moment(override.start), self._before)
        return start, min(moment(override.until), self._after)


@dataclass(frozen=True)
class _Calendar:
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

    def spans(self, window: Window) -> Iterator[Span]:
        """What `windows.interval_on` gives for each date, without dates on which there is none."""
        overnight = window.end is None or window.end < window.start
        opens, closes = window.start, window.end or time(0)
        after_midnight = _length(opens), _length(closes)
        midnights, plain, ahead = self.midnights, self.plain, int(overnight)
        weekday = self.first.weekday()
        for day in range(self.days):
            if (weekday + day) % 7 not in window.days:
                continue
            last = day + ahead
            start = midnights[day] + after_midnight[0] if plain[day] else self._resolve(day, opens)
            end = midnights[last] + after_midnight[1] if plain[last] else self._resolve(last, closes)
            if start < end:
                yield start, end

    def _resolve(self, day: int, at: time) -> int:
        return moment(resolve(self.first + day * _DAY, at, self.zone))


def _length(at: time) -> int:
    """How long after midnight a clock shows `at`, in microseconds, on a date without a change."""
    since = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second, microseconds=at.microsecond)
    return since // _MICROSECOND

"""Every edge of a stretch of time at once, for those who look a year ahead.

`windows` judges one instant and resolves the few dates around it. Over a year the same midnights would be
resolved thousands of times; here each is resolved once for its zone, and a time of day is added to it where
the clocks do not change on that date.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rota.core.hours import DAY, REACH, Calendar, Span, days_open, instant, moment
from rota.core.model import Fleet, Override, Scheduled, Weekly, Window

_NEAR = 32
"""The spans of a stretch of at most so many dates are kept for the next pass, which asks for the same."""


class Pattern(NamedTuple):
    """When a window opens, whatever it is called and asks for."""

    zone: ZoneInfo
    hours: Weekly | Scheduled
    also_on: frozenset[date]
    except_on: frozenset[date]


def edges(fleet: Fleet, start: datetime, end: datetime) -> tuple[datetime, ...]:
    """Every instant in (start, end] at which what is wanted may change, in order.

    The same as asking `windows.next_edge` again and again, but hundreds of times faster.
    """
    almanac = Almanac(start, end)
    first, last = moment(start), moment(end)
    found: set[int] = set()
    for policy in fleet.policies:
        for window in policy.windows:
            for span in touching(almanac.spans(window, policy.zone), first, last):
                found.update(span)
    found.update(at for override in fleet.overrides for at in almanac.span(override))
    return tuple(instant(at) for at in sorted(found) if first < at <= last)


def touching(spans: Sequence[Span], first: int, last: int) -> Sequence[Span]:
    """Those of the spans of a window that end at `first` or later and begin at `last` or earlier."""
    begin = bisect_left(spans, first, key=lambda span: span[1])
    return spans[begin : bisect_right(spans, last, key=lambda span: span[0])]


def _resolved(calendar: Calendar, pattern: Pattern) -> Sequence[Span]:
    _, hours, also_on, except_on = pattern
    window = Window(name="", hours=hours, replicas={}, also_on=also_on, except_on=except_on)
    return tuple(calendar.spans(window))


_kept = lru_cache(maxsize=256)(_resolved)


class Almanac:
    """The dates around a stretch of time, in every zone that is asked for.

    It remembers what it has resolved, and nothing else: equal questions have equal answers.
    """

    def __init__(self, start: datetime, end: datetime) -> None:
        self._start, self._last = start.astimezone(UTC).date(), end.astimezone(UTC).date() + REACH * DAY
        self._before, self._after = moment(start) - 1, moment(end) + 1
        self._calendars: dict[tuple[ZoneInfo, int], Calendar] = {}
        self._spans: dict[Pattern, Sequence[Span]] = {}

    def spans(self, window: Window, zone: ZoneInfo) -> Sequence[Span]:
        """All spans of `window` in order that touch the stretch, and perhaps a few around it.

        One that is open all the time has a single span, from somewhere before it to somewhere behind.
        """
        return self.spans_of(Pattern(zone, window.hours, window.also_on, window.except_on))

    def spans_of(self, pattern: Pattern) -> Sequence[Span]:
        """The same for whatever window opens by `pattern`."""
        if pattern not in self._spans:
            calendar = self._calendar(pattern.zone, days_open(pattern.hours))
            self._spans[pattern] = (_kept if calendar.days <= _NEAR else _resolved)(calendar, pattern)
        return self._spans[pattern]

    def _calendar(self, zone: ZoneInfo, before: int) -> Calendar:
        """The dates of the stretch and so many days before it."""
        if (zone, before) not in self._calendars:
            first = self._start - before * DAY
            self._calendars[zone, before] = Calendar(zone, first, (self._last - first).days)
        return self._calendars[zone, before]

    def span(self, override: Override) -> Span:
        """The span in which an Override is in force; what lies outside of the stretch is cut off."""
        start = self._before if override.start is None else max(moment(override.start), self._before)
        return start, min(moment(override.until), self._after)

"""Dates, times and durations of iCalendar: when an event begins and ends, where nothing of it recurs."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from rota.manifest.problem import shown
from rota.manifest.zones import zone

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""What a calendar states outside of these years is a slip of the pen."""

Line = tuple[int, str, str]
"""The number of a line in the file, its parameters that matter, and its value."""

_TIME: Final = re.compile(
    "([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z?))?(?:/[0-9A-Z+-]{1,32})?"
)
_DURATION: Final = re.compile(
    "([+-]?)P(?=.)(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    "(?:T(?=.)(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?"
)
_LONGEST: Final = timedelta(days=366 * 200)


class CalendarRefused(ValueError):
    """Why a calendar file gives no dates: a sentence without its full stop, and how to mend it."""

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.message, self.mend = message, mend


def instant_of(text: str, parameters: str, name: str, number: int) -> date:
    """A date, or a time: of a zone, or without one where it means whatever zone is asked for."""
    found = _TIME.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        day = date(int(found[1]), int(found[2]), int(found[3]))
        clock = time(int(found[4]), int(found[5]), int(found[6])) if found[4] else None
    except ValueError:
        raise CalendarRefused(f"line {number}: {name} is no date or time: {shown(text)}") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        message = f"line {number}: {name} is in the year {day.year}"
        raise CalendarRefused(message, f"Years from {FIRST_YEAR} to {LAST_YEAR} are read.")
    if clock is None:
        return day
    named = parameters.partition(";TZID=")[2].partition(";")[0]
    civil = UTC if found[7] else zone(named) if named else None
    return datetime.combine(day, clock, civil)


def span_of(start: Line, end: Line | None, duration: Line | None) -> tuple[date, date]:
    """Start and end of an event. Raises CalendarRefused for one that ends before it starts."""
    begins = _instant(start, "DTSTART")
    if end is not None:
        ends = _instant(end, "DTEND")
        if _kind(begins) != _kind(ends):
            message = f"line {end[0]}: DTEND and DTSTART are not of one kind"
            raise CalendarRefused(message, "Give two dates, two times with a zone, or two without one.")
        if ends < begins:
            raise CalendarRefused(f"line {end[0]}: DTEND lies before DTSTART", "Swap them.")
        return begins, ends
    if duration is not None:
        return begins, begins + _length(duration, isinstance(begins, datetime))
    return begins, begins if isinstance(begins, datetime) else begins + timedelta(days=1)


def _instant(line: Line, name: str) -> date:
    number, parameters, value = line
    return instant_of(value.strip(), parameters, name, number)


def _kind(at: date) -> tuple[bool, bool]:
    return isinstance(at, datetime), isinstance(at, datetime) and at.tzinfo is not None


def _length(line: Line, timed: bool) -> timedelta:
    """How long an event lasts, in whole days where it has no times."""
    number, _, value = line
    found = _DURATION.fullmatch(value.strip().upper())
    if found is None:
        raise CalendarRefused(f"line {number}: DURATION cannot be read: {shown(value)}", "One day is P1D.")
    weeks, days, hours, minutes, seconds = (int(found[part] or 0) for part in range(2, 7))
    length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    if found[1] == "-" and length:
        raise CalendarRefused(f"line {number}: DURATION is less than nothing", "Swap start and end.")
    if length > _LONGEST:
        raise CalendarRefused(f"line {number}: DURATION is more than 200 years")
    return length if timed else timedelta(days=-(-length // timedelta(days=1)))

"""Which recurrence rules of iCalendar are read, and how much work each of them is.

A rule that can never come again is searched for until the year 9999, so only forms are read of which it is
plain that they do come: what calendars are made of, in any interval.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

FIRST_OF_RULES, END_OF_RULES = date(2020, 1, 1), date(2061, 1, 1)
"""Between these dates rules count; none is followed any further."""

_DAYS: Final = {"YEARLY": 365, "MONTHLY": 28, "WEEKLY": 7, "DAILY": 1}
_PER_DAY: Final = {"HOURLY": 24, "MINUTELY": 1440, "SECONDLY": 86400}
_PART: Final = re.compile("([A-Z]+)=([A-Z0-9,+-]{1,400})")
_WEEKDAY: Final = re.compile("([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_NUMBERS: Final = {
    "INTERVAL": 1000,
    "COUNT": 1_000_000,
    "BYMONTH": 12,
    "BYMONTHDAY": 31,
    "BYYEARDAY": 365,
    "BYWEEKNO": 52,
    "BYSETPOS": 366,
    "BYHOUR": 23,
    "BYMINUTE": 59,
    "BYSECOND": 59,
}
_FROM_ZERO: Final = frozenset(("BYHOUR", "BYMINUTE", "BYSECOND"))
_SIGNED: Final = frozenset(("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"))
_OTHERS: Final = frozenset(("FREQ", "UNTIL", "WKST", "BYDAY"))
_OF_THE_CLOCK: Final = frozenset(("BYHOUR", "BYMINUTE", "BYSECOND"))
_READ: Final = {
    "DAILY": ((), ("BYDAY",), ("BYMONTH",), ("BYDAY", "BYMONTH")),
    "WEEKLY": ((), ("BYDAY",), ("BYMONTH",), ("BYDAY", "BYMONTH")),
    "MONTHLY": (
        *((), ("BYDAY",), ("BYMONTHDAY",), ("BYDAY", "BYMONTHDAY")),
        *(("BYMONTH",), ("BYDAY", "BYMONTH"), ("BYMONTH", "BYMONTHDAY"), ("BYDAY", "BYMONTH", "BYMONTHDAY")),
        *(("BYDAY", "BYSETPOS"), ("BYDAY", "BYMONTH", "BYSETPOS")),
    ),
    "YEARLY": (
        *((), ("BYDAY",), ("BYMONTH",), ("BYMONTHDAY",), ("BYYEARDAY",), ("BYWEEKNO",)),
        *(("BYDAY", "BYMONTH"), ("BYMONTH", "BYMONTHDAY"), ("BYDAY", "BYMONTHDAY"), ("BYDAY", "BYWEEKNO")),
        *(("BYDAY", "BYMONTH", "BYMONTHDAY"), ("BYDAY", "BYSETPOS"), ("BYDAY", "BYMONTH", "BYSETPOS")),
    ),
}
_STATE_DATES: Final = "State its dates by themselves."


class RuleRefused(ValueError):
    """Why a rule is not read, and how to mend it."""

    def __init__(self, message: str, mend: str = _STATE_DATES) -> None:
        super().__init__(message)
        self.mend = mend


def cost(rule: str, start: date) -> tuple[int, int]:
    """At most so many steps that a rule of an event on `start` takes, and so often that it comes in the years
    that count.

    Raises RuleRefused for a rule that is not one, never ends though it comes several times a day, or is
    of a form that may never come.
    """
    parts = _parts(rule)
    frequency = parts["FREQ"][0]
    interval = int(parts.get("INTERVAL", ["1"])[0])
    until = _until(parts["UNTIL"][0]) if "UNTIL" in parts else END_OF_RULES
    begins = start.date() if isinstance(start, datetime) else start
    days = max((min(until, END_OF_RULES) - begins).days + 1, 1)
    limit = int(parts["COUNT"][0]) if "COUNT" in parts else days * 86400
    stated = tuple(sorted(key for key in parts if key.startswith("BY") and key not in _OF_THE_CLOCK))
    if frequency in _PER_DAY:
        if not {"COUNT", "UNTIL"} & parts.keys():
            raise RuleRefused(f"the rule FREQ={frequency} never ends", "Give it UNTIL or COUNT.")
        if stated or _OF_THE_CLOCK & parts.keys():
            what = ", ".join(stated) or "clock times"
            raise RuleRefused(f"rules of FREQ={frequency} with {what} are not read")
        times = min(days * _PER_DAY[frequency] // interval + 1, limit)
        return times, times
    if stated not in _READ[frequency] or not _comes(frequency, interval, parts):
        raise RuleRefused(f"a rule of FREQ={frequency} with {', '.join(stated)} as it is may never come")
    periods = days // (_DAYS[frequency] * interval) + 1
    a_day = 1
    for key in _OF_THE_CLOCK & parts.keys():
        a_day *= len(parts[key])
    in_a_period = _in_a_period(frequency, parts)
    dates = min(periods * in_a_period, days) * a_day
    # What comes before the years that count is stepped over, and is no date.
    counted = max((min(until, END_OF_RULES) - max(begins, FIRST_OF_RULES)).days + 1, 1)
    periods_counted = counted // (_DAYS[frequency] * interval) + 1
    given = min(periods_counted * in_a_period, counted) * a_day
    return periods * (10 if frequency == "YEARLY" else 1) + dates, min(given, limit)


def _parts(rule: str) -> dict[str, list[str]]:
    """The parts of a rule, each a list of texts that were judged one by one."""
    parts: dict[str, list[str]] = {}
    for text in rule.strip().upper().removesuffix(";").split(";"):
        found = _PART.fullmatch(text)
        if found is None or found[1] in parts or not _sound(found[1], found[2].split(",")):
            raise RuleRefused(f"RRULE has a part that cannot be read: {text[:40]!a}", "")
        parts[found[1]] = found[2].split(",")
    if {"COUNT", "UNTIL"} <= parts.keys():
        raise RuleRefused("RRULE has both COUNT and UNTIL", "Keep one of them.")
    if parts.get("FREQ", [""])[0] not in {**_DAYS, **_PER_DAY}:
        raise RuleRefused("RRULE has no FREQ that is known", "")
    return parts


def _sound(key: str, values: list[str]) -> bool:
    if key in _OTHERS:
        # UNTIL is judged where it is used; the others need one word each.
        return all(map(_WEEKDAY.fullmatch, values)) if key == "BYDAY" else len(values) == 1
    if key not in _NUMBERS or not all(re.fullmatch("[+-]?[0-9]{1,7}", value) for value in values):
        return False
    numbers = [int(value) for value in values]
    least = -_NUMBERS[key] if key in _SIGNED else 0 if key in _FROM_ZERO else 1
    several = key.startswith("BY")
    return (several or len(numbers) == 1) and all(
        least <= number <= _NUMBERS[key] and (number or key in _FROM_ZERO) for number in numbers
    )


def _until(text: str) -> date:
    found = re.fullmatch("([0-9]{4})([0-9]{2})([0-9]{2})(T[0-9]{6}Z?)?", text)
    try:
        if found is not None:
            return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        pass
    raise RuleRefused(f"UNTIL is no date or time: {text[:40]!a}", "")


def _comes(frequency: str, interval: int, parts: dict[str, list[str]]) -> bool:
    """Whether a rule surely comes again, within a few years."""
    weekdays = (_WEEKDAY.fullmatch(value) for value in parts.get("BYDAY", ()))
    ordinals = [int(found[1] or 0) for found in weekdays if found is not None]
    months = [int(month) for month in parts.get("BYMONTH", ())]
    days = [abs(int(day)) for day in parts.get("BYMONTHDAY", ())]
    if interval > 1 and frequency != "YEARLY" and (months or (frequency == "DAILY" and ordinals)):
        return False
    if any(ordinals):
        most = 52 if frequency == "YEARLY" and not months else 5 if interval == 1 else 4
        others = {"BYMONTHDAY", "BYSETPOS", "BYWEEKNO"} & parts.keys()
        if frequency in ("DAILY", "WEEKLY") or others or max(map(abs, ordinals)) > most or not all(ordinals):
            return False
    if days:
        longest = 28 if interval > 1 or ordinals else max((_longest(month) for month in months), default=31)
        if min(days) > longest or (interval > 1 and ordinals):
            return False
    places = [abs(int(place)) for place in parts.get("BYSETPOS", ())]
    return not places or max(places) <= 4 * len(ordinals)


def _longest(month: int) -> int:
    return 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31


def _in_a_period(frequency: str, parts: dict[str, list[str]]) -> int:
    """At most so many dates of one year, month, week or day."""
    if frequency == "DAILY":
        return 1
    weekdays = len(parts.get("BYDAY", "."))
    if frequency == "WEEKLY":
        return weekdays
    months = len(parts.get("BYMONTH", "." * 12)) if frequency == "YEARLY" else 1
    if "BYMONTHDAY" in parts:
        return len(parts["BYMONTHDAY"]) * months
    if "BYWEEKNO" in parts:
        return len(parts["BYWEEKNO"]) * 7
    if "BYDAY" in parts:
        return weekdays * 5 * months
    return len(parts.get("BYYEARDAY", parts.get("BYMONTH", ".")))

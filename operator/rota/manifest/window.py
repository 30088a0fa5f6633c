"""One window of a CapacityPolicy: its hours or its schedule, and the dates that are exceptions from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from rota.core.hours import DAY, instant, openings_a_day, resolve, scheduled_span
from rota.core.ids import WorkloadId
from rota.core.model import Amount, Fill, Scheduled, Weekly, Window
from rota.core.windows import interval_on
from rota.manifest.calendars import FIRST_DATE, LAST_DATE
from rota.manifest.exceptions import exceptions
from rota.manifest.problem import Pointer, shown
from rota.manifest.quantity import seconds
from rota.manifest.reader import Reader

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WEEKLY: Final = ("days", "start", "end")
_SCHEDULE: Final = ("schedule", "duration")
_FIELDS: Final = {
    "minute": "Minutes are 0 to 59.",
    "hour": "Hours are 0 to 23.",
    "day-of-month": "Days are 1 to 31, or L for the last.",
    "month": "Months are 1 to 12, or jan to dec.",
    "day-of-week": "Days are 0 to 7, where both ends are Sunday, or sun to sat.",
}
_SHORTEST: Final = 60.0
_LONGEST: Final = 31 * 86400.0
_LONGEST_LEAD: Final = 6 * 3600.0
_OFTENEST: Final = 288
_BY_SCHEDULE: Final = "A window opens by days, start and end, or by schedule and duration."


Replicas = Mapping[WorkloadId, Amount | Fill]


def window(
    reader: Reader, here: Pointer, stated: Mapping[str, Any], zone: ZoneInfo | None, replicas: Replicas
) -> Window | None:
    """The window that stands at `here`; None where it has no hours, with the reasons in the reader."""
    known = len(reader.problems)
    hours = _hours(reader, here, stated)
    also, never = exceptions(reader, here, stated, zone)
    lead = _lead(reader, here, stated)
    if hours is None or zone is None or len(reader.problems) > known:
        return None
    found = Window(
        name=stated["name"],
        hours=hours,
        also_on=also,
        except_on=never,
        priority=stated.get("priority", 0),
        lead=lead,
        replicas=replicas,
        source=reader.source(here),
    )
    judged = not reader.calendars.cut and (also or never or isinstance(hours, Scheduled) or not hours.days)
    if judged and not _ever_opens(found, zone):
        _report_never(reader, here, stated)
    return found


def _hours(reader: Reader, here: Pointer, stated: Mapping[str, Any]) -> Weekly | Scheduled | None:
    weekly = [key for key in _WEEKLY if key in stated]
    by_schedule = [key for key in _SCHEDULE if key in stated]
    if weekly and by_schedule:
        message = f"states both {weekly[0]} and {by_schedule[0]}"
        reader.report((*here, by_schedule[0]), message, _BY_SCHEDULE, at_key=True)
    elif by_schedule:
        return _scheduled(reader, here, stated)
    elif weekly:
        return _weekly(reader, here, stated)
    else:
        reader.report(here, "states no hours", _BY_SCHEDULE)
    return None


def _weekly(reader: Reader, here: Pointer, stated: Mapping[str, Any]) -> Weekly | None:
    missing = [key for key in ("start", "end") if key not in stated]
    for key in missing:
        reader.report(here, f"{key} is missing")
    if "days" not in stated and "also" not in stated:
        reader.report(here, "days is missing", "Only a window with also may leave it out.")
    days: list[str] = stated.get("days", [])
    for index, day in enumerate(days):
        if day in days[:index]:
            reader.report((*here, "days", index), f"{day} is given twice", "Keep one of them.")
    if missing:
        return None
    if stated["start"] == stated["end"]:
        mend = 'A whole day is "00:00" to "24:00".'
        reader.report((*here, "end"), "start and end are equal: the window has no length", mend)
    return Weekly(
        days=frozenset(DAYS.index(day) for day in days),
        start=time.fromisoformat(stated["start"]),
        end=None if stated["end"] == "24:00" else time.fromisoformat(stated["end"]),
    )


def _scheduled(reader: Reader, here: Pointer, stated: Mapping[str, Any]) -> Scheduled | None:
    missing = [key for key in _SCHEDULE if key not in stated]
    for key in missing:
        reader.report(here, f"{key} is missing", "A schedule says when it opens, duration for how long.")
    if "also" in stated:
        message = "also gives dates, for which a schedule has no hours"
        reader.report((*here, "also"), message, "Write a window with start and end for them.", at_key=True)
    duration = seconds(stated["duration"]) if "duration" in stated else _SHORTEST
    if duration < _SHORTEST:
        reader.report((*here, "duration"), "must be at least 1m", "Nothing is started for less.")
    if duration > _LONGEST:
        reader.report((*here, "duration"), "must be at most 744h, which is 31 days")
    if missing or not _sound_schedule(reader, (*here, "schedule"), stated["schedule"]):
        return None
    return Scheduled(cron=stated["schedule"], duration=duration)


def _sound_schedule(reader: Reader, here: Pointer, cron: str) -> bool:
    """Whether a schedule can be read; reports what keeps it from that."""
    fields = cron.split()
    if len(fields) != len(_FIELDS):
        message = f"a schedule has five fields ({', '.join(_FIELDS)}), and {shown(cron)} has {len(fields)}"
        reader.report(here, message, 'Every day at 22:00 is "0 22 * * *".')
        return False
    for number, (name, text) in enumerate(zip(_FIELDS, fields, strict=True)):
        if not _readable(" ".join(text if at == number else "*" for at in range(len(_FIELDS)))):
            reader.report(here, f"the field {name} cannot be read: {shown(text)}", _FIELDS[name])
            return False
    if not _readable(cron):
        reader.report(here, f"the schedule {shown(cron)} names dates that no year has: it never opens")
        return False
    times = openings_a_day(Scheduled(cron=cron, duration=1.0))
    if times > _OFTENEST:
        message = f"it opens {times:,} times a day, and the limit is {_OFTENEST}"
        reader.report(here, message, "A window that is open all day has days, start and end.")
    return times <= _OFTENEST


def _readable(cron: str) -> bool:
    try:
        CronSim(cron, datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


def _lead(reader: Reader, here: Pointer, stated: Mapping[str, Any]) -> float | None:
    if stated.get("lead", "auto") == "auto":
        return None
    lead = seconds(stated["lead"])
    if lead > _LONGEST_LEAD:
        reader.report((*here, "lead"), "must be at most 6h", "Growth so early is a window of its own.")
    return lead


@cache
def _probes() -> tuple[date, ...]:
    return tuple(FIRST_DATE + number * DAY for number in range((LAST_DATE - FIRST_DATE).days + 1))


def _ever_opens(window: Window, zone: ZoneInfo) -> bool:
    """Whether a window opens in the years in which calendars are resolved, or on a date that it states."""
    if isinstance(window.hours, Weekly):
        days = (*sorted(window.also_on), *_probes())
        return any(interval_on(window, day, zone) is not None for day in days)
    span = scheduled_span(window.hours, window.except_on, zone, resolve(FIRST_DATE, time(0), zone))
    return span is not None and instant(span[0]).astimezone(zone).date() <= LAST_DATE


def _report_never(reader: Reader, here: Pointer, stated: Mapping[str, Any]) -> None:
    if "except" in stated:
        message = f"except leaves nothing of window {stated['name']}: it never opens"
        reader.report((*here, "except"), message, "Remove the window, or except less.", at_key=True)
    else:
        message = f"window {stated['name']} never opens: no date up to {LAST_DATE.year} has these hours"
        reader.report(here, message, "Remove the window, or give it other hours.")

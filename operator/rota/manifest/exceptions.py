"""The dates that are exceptions from the hours of a window: stated, holidays, events of calendar files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

from rota.manifest.calendars import FIRST_DATE, LAST_DATE, holiday_dates, last_known_year
from rota.manifest.ics_times import CalendarRefused
from rota.manifest.problem import Pointer, shown
from rota.manifest.reader import Reader

FIRST_YEAR, LAST_YEAR = 2020, 2100
"""Dates and times outside of these years are slips of the pen."""

_STATE_THEM: Final = "State them in dates, or in a calendar file."


def exceptions(
    reader: Reader, here: Pointer, stated: Mapping[str, Any], zone: ZoneInfo | None
) -> tuple[frozenset[date], frozenset[date]]:
    """The dates of `also` and of `except`, without any that is in both: a stated date beats a calendar,
    and of two calendars the one that closes holds."""
    dates: dict[str, frozenset[date]] = {}
    calendars: dict[str, frozenset[date]] = {}
    for key in ("also", "except"):
        given: Mapping[str, Any] = stated.get(key, {})
        if key in stated and not {"dates", "holidays", "ics"} & given.keys():
            reader.report((*here, key), "gives no dates", "State dates, holidays or ics.")
        dates[key] = frozenset(_stated_dates(reader, (*here, key, "dates"), given.get("dates", [])))
        calendars[key] = _holidays(reader, (*here, key, "holidays"), given) | _ics(
            reader, (*here, key, "ics"), given, zone
        )
    for day in sorted(dates["also"] & dates["except"]):
        message = f"{day} stands in also.dates and in except.dates"
        reader.report((*here, "except", "dates"), message, "Keep one of them.")
    also = dates["also"] | (calendars["also"] - calendars["except"] - dates["except"])
    return also, dates["except"] | (calendars["except"] - dates["also"])


def _stated_dates(reader: Reader, here: Pointer, stated: list[str]) -> Iterator[date]:
    seen: set[str] = set()
    for index, text in enumerate(stated):
        if text in seen:
            reader.report((*here, index), f"the date {text} is given twice", "Keep one of them.")
            continue
        seen.add(text)
        if sound_year(reader, (*here, index), text):
            try:
                yield date.fromisoformat(text)
            except ValueError:
                reader.report((*here, index), f"there is no date {shown(text)}")


def sound_year(reader: Reader, here: Pointer, text: str) -> bool:
    """Whether a date or time is in a year that anyone means; reports it otherwise."""
    year = int(text[:4])
    if not FIRST_YEAR <= year <= LAST_YEAR:
        message = f"the year must lie between {FIRST_YEAR} and {LAST_YEAR}, but is {year}"
        reader.report(here, message)
    return FIRST_YEAR <= year <= LAST_YEAR


def _holidays(reader: Reader, here: Pointer, given: Mapping[str, Any]) -> frozenset[date]:
    if "holidays" not in given:
        return frozenset()
    country, subdivision = given["holidays"]["country"], given["holidays"].get("subdivision")
    try:
        whole = holiday_dates(country, None)
    except LookupError as error:
        message = f"no holidays are known of a country {shown(country)}"
        mend = str(error.args[0]) or "Write its code of two letters, such as DE."
        reader.report((*here, "country"), message, mend)
        return frozenset()
    found = whole if subdivision is None else _of_part(reader, here, country, subdivision)
    if found is whole and not found:
        reader.report((*here, "country"), f"no holidays of {country} are known", _STATE_THEM)
    elif found and max(found).year < LAST_DATE.year:
        reader.warn(here, f"no holidays of {country} are known after {max(found).year}", _STATE_THEM)
    elif found and (last := last_known_year(found)) < LAST_DATE.year:
        reader.warn(here, f"not all holidays of {country} are known after {last}", _STATE_THEM)
    return found


def _of_part(reader: Reader, here: Pointer, country: str, subdivision: str) -> frozenset[date]:
    """The holidays of a part of a country that is known."""
    try:
        return holiday_dates(country, subdivision)
    except LookupError as error:
        message = f"{country} has no subdivision {shown(subdivision)}"
        reader.report((*here, "subdivision"), message, str(error.args[0]))
        return frozenset()


def _ics(reader: Reader, here: Pointer, given: Mapping[str, Any], zone: ZoneInfo | None) -> frozenset[date]:
    if "ics" not in given or zone is None:
        return frozenset()
    path = given["ics"]
    if any(step in ("", ".", "..") for step in path.split("/")):
        message = f"{shown(path)} is no path of this repository"
        mend = "Write it from the folder that manifests are read from, without .. in it."
        reader.report(here, message, mend)
        return frozenset()
    if any(step.startswith(".") for step in path.split("/")):
        # A folder is read without what is hidden, so that a commit must not be read with it either.
        message = f"{shown(path)} is hidden: files and folders whose names begin with a dot are not read"
        reader.report(here, message, "Give it a name without the dot.")
        return frozenset()
    try:
        found = reader.calendars.dates(path, zone)
    except CalendarRefused as refusal:
        reader.report(here, f"the calendar {shown(path)} cannot be used: {refusal.message}", refusal.mend)
        return frozenset()
    if not found and not reader.calendars.cut:
        message = f"the calendar {shown(path)} gives no date from {FIRST_DATE.year} to {LAST_DATE.year}"
        if here[-2] == "also":
            reader.report(here, message, "Leave it out, or give it events.")
        else:
            reader.warn(here, message, "Leave it out, or give it events.")
    return found

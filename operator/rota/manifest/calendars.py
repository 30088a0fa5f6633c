"""Dates that are not written in a manifest: public holidays, and events of calendar files.

Both are resolved when a manifest is loaded, over years that are always the same: whether a commit is valid
must not depend on the day on which it is judged.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache, cached_property
from typing import Final
from zoneinfo import ZoneInfo

from rota.manifest.discovery import MAX_FILE_BYTES
from rota.manifest.ics_rules import END_OF_RULES
from rota.manifest.ics_text import MAX_OCCURRENCES, reduced
from rota.manifest.ics_times import CalendarRefused
from rota.manifest.problem import did_you_mean, shown
from rota.manifest.tree import Entry, Tree

FIRST_DATE: Final = date(2020, 1, 1)
LAST_DATE: Final = date(2060, 12, 31)
"""Between these calendars are resolved, both included."""
MAX_CALENDARS: Final = 50
MAX_WORK: Final = MAX_OCCURRENCES
"""So many files and events may a repository use: how many, not which of them was read before, decides."""

_DAY: Final = timedelta(days=1)
_LFS: Final = b"version https://git-lfs.github.com/"
_MOST_NAMED: Final = 12
_NOT_READ: Final = "not read"


@cache
def holiday_dates(country: str, subdivision: str | None) -> frozenset[date]:
    """The public holidays of a country, or of one of its parts. Raises LookupError with a hint, or ''."""
    # Imported here because most repositories name no country.
    from holidays import country_holidays, list_supported_countries  # noqa: PLC0415

    known = list_supported_countries(include_aliases=False)
    if country not in known:
        raise LookupError(_country_meant(country, known))
    parts = known[country]
    if subdivision is not None and subdivision not in parts:
        code = subdivision.upper().removeprefix(f"{country}-")
        names = getattr(country_holidays(country), "subdivisions_aliases", {})
        if meant := code if code in parts else names.get(subdivision):
            raise LookupError(f"Did you mean {shown(meant)}?")
        others = " and others" if parts[_MOST_NAMED:] else ""
        named = f"{country} has {', '.join(parts[:_MOST_NAMED])}{others}."
        mend = named if parts else f"{country} has none: leave it out."
        raise LookupError(did_you_mean(subdivision.upper(), parts) or mend)
    years = range(FIRST_DATE.year, LAST_DATE.year + 1)
    with warnings.catch_warnings():
        # Of some countries not all of these years are known; those that are count.
        warnings.simplefilter("ignore")
        found = country_holidays(country, subdiv=subdivision, years=years)
    return frozenset(day for day in found if FIRST_DATE <= day <= LAST_DATE)


def last_known_year(found: frozenset[date]) -> int:
    """The last year that has about as many holidays as the fuller years have; 0 where there are none."""
    years = Counter(day.year for day in found)
    counts = sorted(years.values(), reverse=True)
    return max(
        (year for year, count in years.items() if 3 * count >= 2 * counts[len(counts) // 4]), default=0
    )


def _country_meant(stated: str, known: Mapping[str, object]) -> str:
    from holidays.registry import COUNTRIES  # noqa: PLC0415

    names = {name: codes[1] for name, codes in COUNTRIES.items() if codes[1] in known}
    plain = stated.lower().replace(" ", "_").replace("-", "_")
    code = stated.upper() if stated.upper() in known else names.get(plain)
    code = code or next((codes[1] for codes in COUNTRIES.values() if stated.upper() in codes[2:]), None)
    return f"Did you mean {shown(code)}?" if code else did_you_mean(stated.upper(), known)


@dataclass(frozen=True, slots=True)
class Events:
    """When the events of a calendar are: start, and end, which belongs to it no more.

    Dates for those that last whole days, otherwise times; one without an offset is in whatever zone is asked.
    `work` is how much of it the file was, in events.
    """

    spans: tuple[tuple[date, date], ...]
    work: int = 0

    def dates(self, zone: ZoneInfo) -> frozenset[date]:
        """The local dates of `zone` that any of them touches, within the years that count."""
        found: set[date] = set()
        begun = FIRST_DATE
        for start, end in sorted(
            (_local(start, zone), _last_local(start, end, zone)) for start, end in self.spans
        ):
            # However many events overlap, each date is looked at once.
            first, last = max(start, begun), min(end, LAST_DATE)
            found.update(first + number * _DAY for number in range((last - first).days + 1))
            begun = max(begun, last + _DAY)
        return frozenset(found)


def _local(at: date, zone: ZoneInfo) -> date:
    if not isinstance(at, datetime):
        return at
    return (at if at.tzinfo is None else at.astimezone(zone)).date()


def _last_local(start: date, end: date, zone: ZoneInfo) -> date:
    """The last local date of an event; one without a length has that on which it is."""
    if not isinstance(end, datetime):
        return max(end - _DAY, _local(start, zone))
    shown_end = end if end.tzinfo is None else end.astimezone(zone)
    inside = shown_end.date() - _DAY if shown_end.time() == time(0) else shown_end.date()
    return max(inside, _local(start, zone))


def events(content: bytes) -> Events:
    """The events of an iCalendar file within the years that count. Raises CalendarRefused."""
    if content.startswith(_LFS):
        raise CalendarRefused("it is in Git LFS, which nothing is read from", "Store it in Git itself.")
    found = reduced(content)
    try:
        series = tuple(_expanded(found.series)) if found.series is not None else ()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        raise CalendarRefused("an event of it contradicts itself, or is no event of iCalendar") from None
    return Events((*found.spans, *series), found.work)


def _expanded(text: str) -> Iterator[tuple[date, date]]:
    """Start and end of every occurrence that was not called off."""
    # Imported here because they take longer than loading a repository without calendar files.
    from icalendar import Calendar  # noqa: PLC0415
    from icalendar.timezone import tzp  # noqa: PLC0415
    from recurring_ical_events import of  # noqa: PLC0415

    from rota.manifest.ics_zones import PackageZones  # noqa: PLC0415

    tzp.use(PackageZones())
    for event in of(Calendar.from_ical(text)).between(FIRST_DATE, END_OF_RULES):
        if str(event.get("STATUS", "")).upper() != "CANCELLED":
            yield event["DTSTART"].dt, event["DTEND"].dt


@dataclass
class Calendars:
    """The calendar files of one tree, by their paths below the folder that manifests are read from.

    `read_before` holds what earlier trees gave, by blob id; `used` is filled with the identity of every
    path that was asked for, so that whoever asked can tell whether the answer still holds. Once there are
    too many files or events, `cut` is set, and the files that are left are taken to be empty: `excess` then
    refuses the tree as a whole.
    """

    tree: Tree
    root: str
    read_before: Mapping[str, Events | CalendarRefused] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)
    read: dict[str, Events | CalendarRefused] = field(default_factory=dict)
    cut: bool = False
    _dates: dict[tuple[str, str], frozenset[date]] = field(default_factory=dict)

    @cached_property
    def _entries(self) -> Mapping[str, Entry]:
        prefix = f"{self.root}/" if self.root else ""
        return {
            entry.path.removeprefix(prefix): entry
            for entry in self.tree.entries
            if entry.path.startswith(prefix)
        }

    def taken(self) -> Mapping[str, str]:
        """What was asked for since this was asked last."""
        used, self.used = self.used, {}
        return used

    def kept(self, paths: Iterable[str]) -> Mapping[str, Events | CalendarRefused]:
        """What is known of the files at `paths`, by blob id, for the next tree."""
        known = {**self.read_before, **self.read}
        return {blob: known[blob] for blob in self._blobs(paths) if blob in known}

    def excess(self, paths: Iterable[str]) -> str:
        """What is too much about the files at `paths`, all that this tree uses; empty where nothing is."""
        used = self._blobs(paths)
        if len(used) > MAX_CALENDARS:
            return f"{len(used)} calendar files are used, and the limit is {MAX_CALENDARS}"
        if _work(self.kept(paths).values()) > MAX_WORK:
            return f"the calendar files that are used have more than {MAX_WORK:,} events together"
        return ""

    def _blobs(self, paths: Iterable[str]) -> set[str]:
        entries = (self._entries.get(path) for path in paths)
        return {entry.blob_id for entry in entries if entry is not None and not _unreadable(entry)}

    def identity(self, path: str) -> str:
        """What stands at `path`: equal for equal contents, empty where there is nothing."""
        entry = self._entries.get(path)
        return "" if entry is None else f"{entry.kind} {entry.blob_id}"

    def dates(self, path: str, zone: ZoneInfo) -> frozenset[date]:
        """The local dates that the calendar file at `path` gives. Raises CalendarRefused."""
        self.used[path] = self.identity(path)
        entry = self._entries.get(path)
        if entry is None:
            near = (each for each in self._entries if each.endswith(".ics"))
            mend = did_you_mean(path, near) or "Paths begin at the folder that manifests are read from."
            raise CalendarRefused("there is no such file", mend)
        if refusal := _unreadable(entry):
            raise refusal
        found = self._events(entry)
        if found is None:
            self.used[path] = _NOT_READ
            return frozenset()
        if isinstance(found, CalendarRefused):
            raise CalendarRefused(found.message, found.mend)
        key = (entry.blob_id, zone.key)
        if key not in self._dates:
            self._dates[key] = found.dates(zone)
        return self._dates[key]

    def _events(self, entry: Entry) -> Events | CalendarRefused | None:
        """What a file holds, None where too much was read before it."""
        blob = entry.blob_id
        if blob not in self.read:
            if len(self.read) >= MAX_CALENDARS or _work(self.read.values()) > MAX_WORK:
                self.cut = True
                return None
            self.read[blob] = self.read_before.get(blob) or self._read(entry)
        return self.read[blob]

    def _read(self, entry: Entry) -> Events | CalendarRefused:
        try:
            return events(self.tree.read((entry,))[entry.blob_id])
        except CalendarRefused as refusal:
            return refusal


def _work(found: Iterable[Events | CalendarRefused]) -> int:
    return sum(each.work for each in found if isinstance(each, Events))


def _unreadable(entry: Entry) -> CalendarRefused | None:
    if entry.kind != "file":
        message = f"it is a {entry.kind}: symlinks and submodules are not followed"
        return CalendarRefused(message, "Put the file itself there.")
    if entry.size > MAX_FILE_BYTES:
        message = f"it has {entry.size:,} bytes, and the limit is {MAX_FILE_BYTES:,}"
        return CalendarRefused(message, "Leave out the events of long ago, or split it.")
    return None


@dataclass(frozen=True, slots=True)
class _NoTree:
    """A tree without files."""

    revision: str = ""
    entries: tuple[Entry, ...] = ()

    def read(self, entries: object) -> Mapping[str, bytes]:  # noqa: ARG002
        return {}


def no_calendars() -> Calendars:
    """For documents that stand by themselves."""
    return Calendars(_NoTree(), "")

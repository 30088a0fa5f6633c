"""The text of an iCalendar file: judged line by line, and cut down to what says when something is.

The libraries that expand recurrences trust their input: some rules keep them busy until the year 9999, some
for ever, and a time zone that a file defines stays with the process. So they see only events, of these only
the properties that are dates and rules, and of rules only the forms that are known to come again soon. Most
events come once: these are read here, for the libraries take a thousand times as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from rota.manifest.ics_rules import RuleRefused, cost
from rota.manifest.ics_times import CalendarRefused, Line, instant_of, span_of
from rota.manifest.problem import shown
from rota.manifest.zones import meant, zones

MAX_OCCURRENCES: Final = 100_000
"""So many events may there be, each time that one comes counted: some seconds of work."""

_STEPS: Final = 8
"""So many steps of a rule are as much work as one event."""
_MAX_STEPS: Final = 200_000
_MAX_DEPTH: Final = 8
_LINE: Final = re.compile(r'([A-Za-z0-9-]+)((?:;(?:[^":]|"[^"]*")*)?):(.*)', re.DOTALL)
_PARAMETER: Final = re.compile(r';([A-Za-z0-9-]+)=("[^"]*"|[^";]*)')
_TIMES: Final = frozenset(("DTSTART", "DTEND", "RDATE", "EXDATE", "RECURRENCE-ID"))
_SERIES: Final = frozenset(("RRULE", "RDATE", "EXDATE"))
_KEPT: Final = _TIMES | _SERIES | {"DURATION", "UID", "SEQUENCE", "STATUS"}
_CHANGES: Final = 100  # of whole series; each is looked through for every date of its series


@dataclass(slots=True)
class _Event:
    """One event: its kept lines by property, each with its number in the file."""

    number: int
    lines: dict[str, list[Line]] = field(default_factory=dict)

    def first(self, name: str) -> Line | None:
        """Of what can only be once, the first counts."""
        return self.lines[name][0] if name in self.lines else None

    @property
    def uid(self) -> str | None:
        line = self.first("UID")
        return line[2].strip() if line is not None else None

    @property
    def cancelled(self) -> bool:
        line = self.first("STATUS")
        return line is not None and line[2].strip().upper() == "CANCELLED"


@dataclass(frozen=True, slots=True)
class Reduced:
    """What a calendar comes to: the spans of events that come once, and a text of all others that is safe to
    expand, None where there are none. `work` is how often events come, at most, and what leads up to it."""

    spans: tuple[tuple[date, date], ...]
    series: str | None
    work: int


def reduced(content: bytes) -> Reduced:
    """The events of a calendar, judged. Raises CalendarRefused."""
    events = _events(_lines(content))
    _refuse_twins(events)
    changed = {event.uid for event in events if "RECURRENCE-ID" in event.lines}
    spans: list[tuple[date, date]] = []
    series: list[str] = []
    steps = occurrences = changes = 0
    for order, event in enumerate(events):
        span = _span(event)
        if "RECURRENCE-ID" in event.lines:
            for name in _SERIES & event.lines.keys():
                del event.lines[name]
            changes += ";RANGE=" in event.lines["RECURRENCE-ID"][0][1]
        more_steps, more = _work(event, span[0])
        steps, occurrences = steps + more_steps, occurrences + more
        if occurrences > MAX_OCCURRENCES or steps > _MAX_STEPS or changes > _CHANGES:
            raise _too_many()
        if event.lines.keys() & _SERIES or event.uid in changed:
            series += _rewritten(event, order)
        elif not event.cancelled:
            spans.append(span)
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//rota//EN")
    text = "\r\n".join((*head, *series, "END:VCALENDAR", "")) if series else None
    return Reduced(tuple(spans), text, occurrences + steps // _STEPS)


def _too_many() -> CalendarRefused:
    message = f"its events come more than {MAX_OCCURRENCES:,} times, or are too much work to follow"
    return CalendarRefused(message, "Leave out what is not needed.")


def _refuse_twins(events: Iterable[_Event]) -> None:
    """Of two whole events with one identity only one would count."""
    first: dict[str, int] = {}
    for event in events:
        if event.uid is not None and "RECURRENCE-ID" not in event.lines:
            if event.uid in first:
                message = f"line {event.number}: an event has the UID of the one in line {first[event.uid]}"
                raise CalendarRefused(message, "Give each event a UID of its own.")
            first[event.uid] = event.number


def _work(event: _Event, start: date) -> tuple[int, int]:
    """At most so many steps, and so often, that an event takes to follow, and comes."""
    steps, occurrences = 0, 1
    for number, _, rule in event.lines.get("RRULE", ()):
        try:
            more_steps, more = cost(rule, start)
        except RuleRefused as error:
            raise CalendarRefused(f"line {number}: {error}", error.mend) from None
        steps, occurrences = steps + more_steps, occurrences + more
    stated = sum(value.count(",") + 1 for _, _, value in event.lines.get("RDATE", ()))
    return steps, occurrences + stated


def _lines(content: bytes) -> list[tuple[int, str]]:
    """The unfolded lines with the numbers of their first ones."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CalendarRefused("it is not UTF-8", "Save it as UTF-8.") from None
    parts: list[tuple[int, list[str]]] = []
    for number, line in enumerate(re.split("\r\n|\n|\r", text), 1):
        if line.startswith((" ", "\t")) and parts:
            parts[-1][1].append(line[1:])
        elif line.strip():
            parts.append((number, [line]))
    return [(number, "".join(pieces)) for number, pieces in parts]


def _events(lines: Iterable[tuple[int, str]]) -> list[_Event]:
    """The events that stand in the calendar itself; everything else is skipped."""
    events: list[_Event] = []
    opened: list[str] = []
    closed = False
    for number, line in lines:
        found = _LINE.fullmatch(line)
        if found is None:
            raise CalendarRefused(f"line {number} is not a property such as NAME:VALUE")
        name, parameters, value = found[1].upper(), found[2], found[3]
        if not opened and (name, value.upper()) != ("BEGIN", "VCALENDAR"):
            raise CalendarRefused(f"line {number} stands outside of a calendar: it must be BEGIN:VCALENDAR")
        if name == "BEGIN":
            if closed or len(opened) >= _MAX_DEPTH:
                problem = "begins a second calendar" if closed else "is nested too deep"
                raise CalendarRefused(f"line {number} {problem}")
            opened.append(value.strip().upper())
            if opened == ["VCALENDAR", "VEVENT"]:
                events.append(_Event(number))
        elif name == "END":
            if opened.pop() != value.strip().upper():
                raise CalendarRefused(f"line {number} ends what did not begin before it")
            closed = not opened
        elif opened == ["VCALENDAR", "VEVENT"] and name in _KEPT:
            events[-1].lines.setdefault(name, []).append((number, _parameters(parameters, number), value))
        elif name == "METHOD" and value.strip().upper() == "CANCEL":
            message = f"line {number}: METHOD is CANCEL, so its events do not take place"
            raise CalendarRefused(message, "Export the calendar itself.")
        elif name == "EXRULE" or (name == "CALSCALE" and value.strip().upper() != "GREGORIAN"):
            raise CalendarRefused(f"line {number}: {name} is not read")
    if opened or not closed:
        raise CalendarRefused(f"it ends before END:{opened[-1]}" if opened else "it is empty")
    return events


def _parameters(text: str, number: int) -> str:
    """The parameters that matter to dates; of time zones only names that are known everywhere."""
    kept = ""
    for key, quoted in _PARAMETER.findall(text):
        name, value = key.upper(), quoted.strip('"')
        if name == "TZID":
            kept += f";TZID={_zone(value, number)}"
        elif name in ("VALUE", "RANGE") and re.fullmatch("[A-Za-z-]{1,20}", value):
            kept += f";{name}={value.upper()}"
    return kept


def _zone(name: str, number: int) -> str:
    if name in zones():
        return name
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON  # noqa: PLC0415

    if name in WINDOWS_TO_OLSON:
        return str(WINDOWS_TO_OLSON[name])
    mend = meant(name) or "Name one of IANA, such as Europe/Berlin."
    raise CalendarRefused(f"line {number}: there is no time zone {shown(name)}", mend)


def _span(event: _Event) -> tuple[date, date]:
    """When an event begins and ends for the first time; every other time of it is judged too."""
    start = event.first("DTSTART")
    if start is None:
        raise CalendarRefused(f"line {event.number}: an event has no DTSTART")
    for name in _TIMES & event.lines.keys():
        for number, parameters, value in event.lines[name]:
            for part in value.split(","):
                instant_of(part.strip(), parameters, name, number)
    return span_of(start, event.first("DTEND"), event.first("DURATION"))


def _rewritten(event: _Event, order: int) -> list[str]:
    """An event of its kept lines; one without an identity gets one of its own."""
    lines: Mapping[str, list[Line]] = event.lines
    text = ["BEGIN:VEVENT"]
    if "UID" not in lines:
        text.append(f"UID:rota-{order}")
    for name, stated in lines.items():
        # Of what can only be once, the first counts.
        for _, parameters, value in stated if name in _SERIES else stated[:1]:
            if name != "SEQUENCE" or re.fullmatch("[0-9]{1,9}", value):
                text.append(f"{name}{parameters}:{value.strip()}")
    return [*text, "END:VEVENT"]

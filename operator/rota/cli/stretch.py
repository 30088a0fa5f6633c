"""Words of the command line for a stretch of time: its ends, what fails in it, how long things take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from rota.cli.workspace import FIRST_YEAR, LAST_YEAR, instant
from rota.core.forecast.days import zone_of
from rota.core.hours import resolve
from rota.core.model import Fleet
from rota.errors import Fatal
from rota.manifest.problem import did_you_mean
from rota.manifest.quantity import seconds
from rota.simulation.run import Fault
from rota.simulation.times import Span

LONGEST = timedelta(days=366)
_DAY = timedelta(days=1)
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile("[0-9]{2}:[0-9]{2}(?::[0-9]{2})?")
_LOCAL = re.compile(f"({_DATE.pattern})[T ]({_CLOCK.pattern})")
_OFFSET = re.compile("[0-9]{2}:[0-9]{2}")
_DURATION = re.compile("(?:([0-9]{1,4})d)?((?:[0-9]{1,6}(?:[.][0-9]{1,3})?(?:ms|h|m|s))*)")


def ends_of(begins: str | None, ends: str | None, now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """[from, to): from the midnight after `now` and for one day, where nothing else is said."""
    if begins is None:
        start = resolve(now.astimezone(zone).date() + _DAY, time(0), zone)
    else:
        start = _end_of_stretch("--from", begins, zone)
    if ends is None:
        end = resolve(start.astimezone(zone).date() + _DAY, start.astimezone(zone).time(), zone)
    else:
        end = _end_of_stretch("--to", ends, zone)
    if end <= start:
        raise Fatal(f"--to {ends}: it must come after --from, which is {_shown(start, zone)}.")
    if end - start > LONGEST:
        raise Fatal(f"from {_shown(start, zone)} to {_shown(end, zone)}: at most {LONGEST.days} days.")
    return start, end


def faults(texts: Sequence[str], fleet: Fleet, start: datetime, end: datetime) -> tuple[Fault, ...]:
    """Each `HOST@TIME[+DURATION]`, in the order of their times."""
    found = [_fault(text, fleet, start, end) for text in texts]
    return tuple(sorted(found, key=lambda one: (one.at, one.host)))


def spans(
    option: str, texts: Iterable[str], images: Iterable[str], default: Mapping[str, Span]
) -> dict[str, Span]:
    """Each `[IMAGE=]LOW[..HIGH]` by image, on top of `default`; "" is for all that are not named."""
    result = dict(default)
    known = sorted(set(images))
    for text in texts:
        image, equals, amount = text.rpartition("=")
        if equals and image not in known:
            hint = did_you_mean(image, known)
            raise Fatal(f"{option} {text}: no workload uses the image {image!r}. {hint}".strip())
        low, dots, high = amount.partition("..")
        first = _seconds(low)
        last = _seconds(high) if dots else first
        if first is None or last is None:
            raise Fatal(f"{option} {text}: {amount!r} is not a duration or a range. Write 5s, or 2s..20s.")
        if first > last or (first == 0 and last > 0):
            raise Fatal(
                f"{option} {text}: a range begins above 0 and does not end before it begins: 2s..20s."
            )
        result[image] = Span(first, last)
    return result


def _fault(text: str, fleet: Fleet, start: datetime, end: datetime) -> Fault:
    host, at, when = text.partition("@")
    if not at or not host or not when:
        raise Fatal(f"--fail {text!r}: write HOST@TIME or HOST@TIME+DURATION, such as h2@10:00+30m.")
    if host not in fleet.hosts:
        hint = did_you_mean(host, fleet.hosts) or f"Hosts are: {', '.join(sorted(fleet.hosts))}."
        raise Fatal(f"--fail {text}: there is no host {host!r}. {hint}")
    moment, plus, tail = when.rpartition("+")
    length: float | None = None
    if not plus or _OFFSET.fullmatch(tail):
        moment = when
    else:
        length = _seconds(tail)
        if not length:
            raise Fatal(f"--fail {text}: {tail!r} is not a duration above 0. Write 90s, 30m, 1h30m or 2d.")
    zone = zone_of(fleet)
    begins = _moment(f"--fail {text}", moment, zone, start)
    if not start <= begins < end:
        raise Fatal(
            f"--fail {text}: {_shown(begins, zone)} lies outside of the time that is simulated, "
            f"{_shown(start, zone)} to {_shown(end, zone)}. Move it, or --from and --to."
        )
    return Fault(host=host, at=begins, seconds=length)


def _moment(option: str, text: str, zone: ZoneInfo, start: datetime) -> datetime:
    """A time of day is the first one from `start` on; the rest says which day it means."""
    try:
        if _CLOCK.fullmatch(text):
            clock, day = time.fromisoformat(text), start.astimezone(zone).date()
            today = resolve(day, clock, zone)
            return today if today >= start else resolve(day + _DAY, clock, zone)
        if local := _LOCAL.fullmatch(text):
            return resolve(date.fromisoformat(local[1]), time.fromisoformat(local[2]), zone)
        return instant(text)
    except (ValueError, Fatal) as error:
        raise Fatal(
            f"{option}: {text!r} is not a time. Write HH:MM, YYYY-MM-DDTHH:MM ({zone.key}), or RFC 3339 with "
            "an offset: 2026-06-01T07:00:00+02:00."
        ) from error


def _end_of_stretch(option: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        if _DATE.fullmatch(text) and FIRST_YEAR <= int(text[:4]) <= LAST_YEAR:
            return resolve(date.fromisoformat(text), time(0), zone)
        if local := _LOCAL.fullmatch(text):
            return resolve(date.fromisoformat(local[1]), time.fromisoformat(local[2]), zone)
        return instant(text)
    except (ValueError, Fatal) as error:
        raise Fatal(
            f"{option} {text}: not a date or a time. Write 2026-06-01 (its midnight in {zone.key}), "
            "2026-06-01T07:00, or RFC 3339 with an offset."
        ) from error


def _seconds(text: str) -> float | None:
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    return 86400.0 * int(match[1] or 0) + seconds(match[2])


def _shown(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %Y-%m-%d %H:%M} {zone.key}"

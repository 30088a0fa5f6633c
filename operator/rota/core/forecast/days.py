"""Local days: a stretch of time from midnight to midnight, of 23 or 25 hours where the clocks change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from struct import pack
from zoneinfo import ZoneInfo

from rota.core.forecast.instant import Forecast, Instant
from rota.core.hours import resolve
from rota.core.model import Fleet

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
# From here rather than from the machine's files, which may be missing or broken.
_UTC = ZoneInfo.from_file(
    BytesIO(b"TZif" + bytes(16) + pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"), key="UTC"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One local day of a forecast, or the part of it that the forecast covers.

    `opening` is what holds when it begins, `instants` those in it that anybody could see; the one at its
    very beginning is among them only where it is an edge or a lead.
    """

    date: date
    start: datetime
    end: datetime
    opening: Instant
    instants: tuple[Instant, ...]
    whole: bool

    @property
    def hours(self) -> float:
        return (self.end - self.start) / _HOUR


def zone_of(fleet: Fleet) -> ZoneInfo:
    """The zone in which a fleet's days are told: that of its first policy, UTC without any."""
    return fleet.policies[0].zone if fleet.policies else _UTC


def stretch(first: date, days: int, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """So many local days from the midnight that begins `first`, as instants in UTC."""
    return midnight(first, zone), midnight(first + days * _DAY, zone)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a local day begins."""
    return resolve(day, time(0), zone).astimezone(UTC)


def days_of(forecast: Forecast) -> Iterator[Day]:
    """The forecast cut at local midnights."""
    day = forecast.start.astimezone(forecast.zone).date()
    opening = forecast.instants[0]
    while (begins := midnight(day, forecast.zone)) < forecast.end:
        ends = midnight(day + _DAY, forecast.zone)
        start, end = max(begins, forecast.start), min(ends, forecast.end)
        here = [one for one in forecast.instants if start <= one.at < end]
        opening = next((one for one in here if one.at == start), opening)
        seen = tuple(one for one in here if not one.silent and (one.at > start or _is_event(one)))
        whole = (start, end) == (begins, ends)
        yield Day(date=day, start=start, end=end, opening=opening, instants=seen, whole=whole)
        opening = here[-1] if here else opening
        day += _DAY


def _is_event(one: Instant) -> bool:
    """Whether something happens at an instant, rather than only holds from it on."""
    return bool(one.turns or one.overrides or one.leads)

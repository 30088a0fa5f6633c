"""Instants of a forecast on the clock of its zone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from rota.core.forecast.instant import Forecast, Instant

_MOST = 3
"""So many times stand in a line that sums up; the rest is counted."""


def duration(length: timedelta) -> str:
    """A length of time as manifests state it: `1h30m`, `10m`, `45s`; to the second that has begun."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def local(at: datetime, forecast: Forecast, *, dated: bool = True) -> str:
    """An instant on the clock of the forecast's zone, to the minute that has begun."""
    shown = at.astimezone(forecast.zone)
    return f"{shown:%a %Y-%m-%d %H:%M}" if dated else f"{shown:%H:%M}"


def local_list(instants: Sequence[Instant], forecast: Forecast, dated: bool) -> str:
    """`from 20:00`, or `from 07:00, 20:00 and 3 more`."""
    times = list(dict.fromkeys(local(one.at, forecast, dated=dated) for one in instants))
    more = f" and {len(times) - _MOST} more" if len(times) > _MOST else ""
    return f"from {', '.join(times[:_MOST])}{more}"

"""`rota windows`: which window holds now, and the edges to come, in the policy's zone and in UTC.

Dates on which the clocks change are marked: they have 23 or 25 hours, or whatever the change makes of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import click

from rota.cli.tables import table
from rota.cli.workspace import Place, instant, load_fleet, tree_options, workspace
from rota.core.hours import DAY, resolve
from rota.core.model import CapacityPolicy, Fleet
from rota.core.quantities import format_time
from rota.core.windows import Turn, in_force, turns
from rota.errors import Fatal

FARTHEST = timedelta(days=366)


@click.command()
@tree_options
@click.option(
    "--next", "ahead", default="24h", show_default=True, metavar="DURATION", help="How far to look."
)
@click.option("--now", metavar="TIME", help="Look from there instead of from this moment.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def windows(place: Place, ahead: str, now: str | None, output: str) -> None:
    """The window in force of every policy, and its next edges."""
    with workspace(place) as work:
        fleet, _ = load_fleet(work.tree(place.rev), place.path)
    start, length = instant(now), _duration(ahead)
    rows = [
        (policy, turn) for policy in fleet.policies for turn in turns(policy, fleet, start, start + length)
    ]
    zones = dict.fromkeys(policy.zone for policy in fleet.policies)
    odd = [(zone, *one) for zone in zones for one in odd_dates(zone, start, start + length)]
    if output == "json":
        document = {**_document(fleet, start, rows), "dates": _dates(odd)}
        click.echo(json.dumps(document, indent=2, sort_keys=True))
        return
    if not fleet.policies:
        click.echo("there is no CapacityPolicy, so no window ever opens or closes", err=True)
        return
    for policy in fleet.policies:
        current = in_force(policy, fleet, start)
        forced = f", forced by Override {current.forced_by}" if current.forced_by is not None else ""
        click.echo(f"{policy}: {current.window} at {_local(start, policy)} ({policy.zone.key}){forced}")
    lines = [
        (str(policy), _local(turn.at, policy), format_time(turn.at), f"{turn.before} -> {turn.after}")
        for policy, turn in rows
    ]
    click.echo(table(("POLICY", "LOCAL", "UTC", "EDGE"), lines) if lines else f"no edge within {ahead}")
    for zone, day, hours in odd:
        click.echo(f"{day:%a %Y-%m-%d} has {hours:g} hours in {zone.key}: the clocks change")


def odd_dates(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[date, float]]:
    """The local dates from `start` to `end` that do not last 24 hours, with the hours that they do."""
    day, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    while day <= last:
        hours = (resolve(day + DAY, time(0), zone) - resolve(day, time(0), zone)) / timedelta(hours=1)
        if hours != 24:
            yield day, hours
        day += DAY


def _dates(odd: list[tuple[ZoneInfo, date, float]]) -> list[dict[str, object]]:
    return [{"timeZone": zone.key, "date": day.isoformat(), "hours": hours} for zone, day, hours in odd]


def _document(fleet: Fleet, start: datetime, rows: list[tuple[CapacityPolicy, Turn]]) -> dict[str, object]:
    return {
        "apiVersion": "rota/v1",
        "kind": "Windows",
        "now": format_time(start),
        "windows": [
            {"policy": str(policy), "window": in_force(policy, fleet, start).window}
            for policy in fleet.policies
        ],
        "edges": [
            {
                "policy": str(policy),
                "at": format_time(turn.at.astimezone(policy.zone)),
                "utc": format_time(turn.at),
                "from": turn.before,
                "to": turn.after,
            }
            for policy, turn in rows
        ],
    }


def _local(at: datetime, policy: CapacityPolicy) -> str:
    clock = "%H:%M:%S" if at.second else "%H:%M"
    return at.astimezone(policy.zone).strftime(f"%a %Y-%m-%d {clock} %Z")


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?", text)
    if not text or match is None:
        raise Fatal(f"--next {text!r} is not a duration. Write 24h, 7d or 1h30m.")
    days, hours, minutes = (int(part or 0) for part in match.groups())
    ahead = timedelta(days=days, hours=hours, minutes=minutes)
    if ahead > FARTHEST:
        raise Fatal(f"--next {text}: the farthest is {FARTHEST.days}d.")
    return ahead

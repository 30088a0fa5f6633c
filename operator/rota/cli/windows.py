"""`rota windows`: which window holds now, and the edges to come, in the policy's zone and in UTC."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from rota.cli.tables import table
from rota.cli.workspace import Place, instant, load_fleet, tree_options, workspace
from rota.core.model import CapacityPolicy, Fleet
from rota.core.quantities import format_time
from rota.core.windows import in_force
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
    start = instant(now)
    rows = [
        (policy, at, before, after)
        for policy in fleet.policies
        for at, before, after in edges(policy, fleet, start, _duration(ahead))
    ]
    if output == "json":
        click.echo(json.dumps(_document(fleet, start, rows), indent=2, sort_keys=True))
        return
    if not fleet.policies:
        click.echo("there is no CapacityPolicy, so no window ever opens or closes", err=True)
        return
    for policy in fleet.policies:
        current = in_force(policy, fleet, start)
        forced = f", forced by Override {current.forced_by}" if current.forced_by is not None else ""
        click.echo(f"{policy}: {current.window} at {_local(start, policy)} ({policy.zone.key}){forced}")
    lines = [
        (str(policy), _local(at, policy), format_time(at), f"{before} -> {after}")
        for policy, at, before, after in rows
    ]
    click.echo(table(("POLICY", "LOCAL", "UTC", "EDGE"), lines) if lines else f"no edge within {ahead}")


def edges(
    policy: CapacityPolicy, fleet: Fleet, start: datetime, ahead: timedelta
) -> Iterator[tuple[datetime, str, str]]:
    """The edges of `policy` in (start, start + ahead]: when, from which window, to which."""
    current = in_force(policy, fleet, start)
    while current.until is not None and current.then is not None and current.until <= start + ahead:
        yield current.until.astimezone(UTC), current.window, current.then
        current = in_force(policy, fleet, current.until)


def _document(
    fleet: Fleet, start: datetime, rows: list[tuple[CapacityPolicy, datetime, str, str]]
) -> dict[str, object]:
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
                "at": format_time(at.astimezone(policy.zone)),
                "utc": format_time(at),
                "from": before,
                "to": after,
            }
            for policy, at, before, after in rows
        ],
    }


def _local(at: datetime, policy: CapacityPolicy) -> str:
    return at.astimezone(policy.zone).strftime("%a %Y-%m-%d %H:%M %Z")


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?", text)
    if not text or match is None:
        raise Fatal(f"--next {text!r} is not a duration. Write 24h, 7d or 1h30m.")
    days, hours, minutes = (int(part or 0) for part in match.groups())
    ahead = timedelta(days=days, hours=hours, minutes=minutes)
    if ahead > FARTHEST:
        raise Fatal(f"--next {text}: the farthest is {FARTHEST.days}d.")
    return ahead

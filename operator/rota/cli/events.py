"""`rota events`: what was done and what was not, from the status branch, or from the daemon as it happens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import click

from rota.cli.read import reading, status_files
from rota.cli.server import Server, server_at, server_option
from rota.cli.subject import Subject, subject_of
from rota.cli.workspace import Place, repository_options
from rota.errors import Retryable
from rota.report.documents import EVENTS_PATH
from rota.report.event_lines import event_line, read_events

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two questions to the daemon: short while things happen, longer and longer while not."""
PATIENCE_SECONDS = 120.0
"""A daemon that has not answered for so long, since it is restarted for instance, is given up."""

Row = Mapping[str, Any]


@click.command()
@click.argument("subject", metavar="[KIND/NAME]", required=False)
@repository_options
@server_option
@click.option("-n", "--lines", type=click.IntRange(1), metavar="N", help="Only the last N.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens; asks the daemon.")
def events(
    place: Place, subject: str | None, server: str | None, lines: int | None, output: str, follow: bool
) -> None:
    """What happened, oldest first: of everything, or of service/shop/web, host/h1, or the fleet.

    With --server from the daemon, which knows of seconds ago; else from the status branch.
    """
    if server is not None or follow:
        _from_server(server_at(server), subject, lines, output, follow=follow)
        return
    files = status_files(place)
    with reading("status.json"):
        about = subject_of(subject, json.loads(files["status.json"])) if subject is not None else None
    _show(_chosen(read_events(files.get(EVENTS_PATH, b"")), about, lines), output)


def _from_server(
    server: Server, subject: str | None, lines: int | None, output: str, *, follow: bool
) -> None:
    about = subject_of(subject, server.ask("/status")) if subject is not None else None
    answer = server.ask("/events")
    with reading("the answer"):
        rows = _chosen(answer["items"], about, lines)
    if not follow:
        _show(rows, output)
        return
    for row in rows:
        _tell(row, output)
    for one in _coming(server, answer):
        if about is None or about.concerns(one):
            _tell(one, output)


def _chosen(rows: list[dict[str, Any]], about: Subject | None, lines: int | None) -> list[dict[str, Any]]:
    found = [row for row in rows if about is None or about.concerns(row)]
    return found[-lines:] if lines is not None else found


def _show(rows: list[dict[str, Any]], output: str) -> None:
    if output == "json":
        document = {"apiVersion": "rota/v1", "kind": "EventList", "items": rows}
        click.echo(json.dumps(document, indent=2, sort_keys=True))
        return
    for row in rows:
        click.echo(event_line(row))
    if not rows:
        click.echo("nothing is noted of it", err=True)


def _tell(row: Row, output: str) -> None:
    """One event as it comes: a line of text, or of JSON."""
    click.echo(json.dumps(row, sort_keys=True) if output == "json" else event_line(row))


def _coming(server: Server, answer: Row) -> Iterator[Row]:
    """What is noted after `answer`, until the daemon is gone for good.

    A daemon that was restarted counts anew and gives all it has: what was told already is left out.
    """
    told = {json.dumps(row, sort_keys=True) for row in answer["items"]}
    pause, silent = SHORTEST_PAUSE, 0.0
    waiting = threading.Event()
    while True:
        waiting.wait(pause)
        try:
            answer = server.ask("/events", after=str(answer["next"]))
        except Retryable:
            silent += pause
            if silent > PATIENCE_SECONDS:
                raise
            pause = min(pause * 2, LONGEST_PAUSE)
            continue
        rows = {json.dumps(row, sort_keys=True): row for row in answer["items"]}
        fresh = [row for key, row in rows.items() if key not in told]
        told = told | rows.keys() if len(rows) < len(told) else set(rows)
        silent = 0.0
        pause = SHORTEST_PAUSE if fresh else min(pause * 1.5, LONGEST_PAUSE)
        yield from fresh

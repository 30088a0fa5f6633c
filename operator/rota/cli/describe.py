"""`rota describe`: everything that is known of one host, one workload, or the fleet, on one screen."""

from __future__ import annotations

import json

import click

from rota.cli.read import reading, status_files
from rota.cli.subject import FLEET, HOST, subject_of
from rota.cli.workspace import Place, load, repository_options, workspace
from rota.core.ids import WorkloadId
from rota.core.model import Service
from rota.report.description import describe_fleet, describe_host, describe_workload
from rota.report.description_text import description_text
from rota.report.documents import EVENTS_PATH
from rota.report.event_lines import read_events

LAST_EVENTS = 10


@click.command()
@click.argument("subject", metavar="KIND/NAME")
@repository_options
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def describe(place: Place, subject: str, output: str) -> None:
    """One thing in full: service/shop/web, host/h1, or fleet; also a name that only one thing has."""
    files = status_files(place)
    with reading("status.json"):
        about = subject_of(subject, json.loads(files["status.json"]))
    last = [row for row in read_events(files.get(EVENTS_PATH, b"")) if about.concerns(row)][-LAST_EVENTS:]
    with reading("status.json, or a file beside it,"):
        if about.kind == FLEET:
            document = describe_fleet(files, last)
        elif about.kind == HOST:
            document = describe_host(files, about.name, last)
        else:
            document = describe_workload(files, about.name, _stated(place, about.name), last)
        text = description_text(document)
    click.echo(json.dumps(document, indent=2, sort_keys=True) if output == "json" else text)


def _stated(place: Place, name: str) -> Service | None:
    """What the manifests say of a workload; None where they are invalid, or do not have it any more."""
    with workspace(place) as work:
        fleet = load(work.tree(place.rev), place.path).fleet
    return fleet.services.get(WorkloadId.parse(name)) if fleet is not None else None

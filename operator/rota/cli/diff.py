"""`rota diff`: what is desired against what was observed last, from the repository and its status branch."""

from __future__ import annotations

import json

import click

from rota.cli.main import NO
from rota.cli.subject import workload_named
from rota.cli.workspace import Place, decided, instant, load_fleet, observation, repository_options, workspace
from rota.core.ids import WorkloadId
from rota.report.difference import difference_document, difference_text


@click.command()
@click.argument("service", required=False, metavar="[SERVICE]")
@repository_options
@click.option("-n", "--namespace", metavar="NAMESPACE", help="The namespace, where only a name is given.")
@click.option("--now", metavar="TIME", help="Default: the time of the newest commit of the status branch.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def diff(place: Place, service: str | None, namespace: str | None, now: str | None, output: str) -> None:
    """How what runs differs from what the manifests ask for. Exit 1 if it does, 0 if not."""
    with workspace(place) as work:
        fleet, _ = load_fleet(work.tree(place.rev), place.path)
        status = work.status()
        observed, ledger = observation(status, fleet)
        at = instant(now, status)
    decision = decided(fleet, observed, ledger, at)
    only = None
    if service is not None:
        known = {*fleet.services, *(one.workload for one in observed.containers())}
        only = WorkloadId.parse(workload_named(service, namespace, map(str, known)))
    document = difference_document(fleet, observed, ledger, decision, only)
    if status is None:
        click.echo(f"there is no status branch {place.status_branch} yet: nothing is known to run", err=True)
    if output == "json":
        click.echo(json.dumps(document, indent=2, sort_keys=True))
    elif document["workloads"]:
        click.echo(difference_text(document))
        click.echo("What would be done about it: rota plan", err=True)
    if document["workloads"]:
        raise click.exceptions.Exit(NO)

"""`rota why`: what every host says of a workload, from the repository and its status branch alone."""

from __future__ import annotations

import json

import click

from rota.cli.main import NO, UNPLACED
from rota.cli.workspace import (
    Place,
    exhaustively,
    instant,
    load_fleet,
    note_unsearched,
    observation,
    repository_options,
    workspace,
)
from rota.core.ids import WorkloadId
from rota.core.model import Fleet
from rota.core.observed import Now
from rota.core.why import Explanation, explain
from rota.manifest.problem import did_you_mean
from rota.report.explanation import explanation_document, render_explanation


@click.command()
@click.argument("workload", metavar="NAMESPACE/NAME")
@repository_options
@click.option("-n", "--namespace", metavar="NAMESPACE", help="The namespace, where only a name is given.")
@click.option("--now", metavar="TIME", help="Default: the time of the newest commit of the status branch.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def why(place: Place, workload: str, namespace: str | None, now: str | None, form: str) -> None:
    """Why a workload is where it is, or nowhere: what each host says, and what would make it fit.

    Exit 4 if an instance of it has no place.
    """
    with workspace(place) as work:
        fleet, _ = load_fleet(work.tree(place.rev), place.path)
        status = work.status()
        observed, ledger = observation(status, fleet)
        at = instant(now, status)
    name = _named(workload, namespace, fleet)
    told = explain(name, fleet, observed, ledger, Now(wall=at, mono=0.0), exhaustively)
    _show(told, form)
    if told.unplaced:
        note_unsearched(told.decision, fleet)
        raise click.exceptions.Exit(UNPLACED)


def _show(told: Explanation, form: str) -> None:
    if form == "json":
        click.echo(json.dumps(explanation_document(told), indent=2, sort_keys=True))
    else:
        click.echo(render_explanation(told), nl=False)


def _named(text: str, namespace: str | None, fleet: Fleet) -> WorkloadId:
    """The workload that is meant: by namespace and name, or by a name that only one has. Exit 1 for none."""
    known = sorted(fleet.services)
    if "/" in text:
        found = [one for one in known if str(one) == text and namespace in (None, one.namespace)]
    else:
        found = [one for one in known if one.name == text and namespace in (None, one.namespace)]
    if len(found) == 1:
        return found[0]
    if found:
        which = " or ".join(map(str, found))
        raise click.UsageError(f"{text} is in several namespaces: name {which}.")
    within = f" in namespace {namespace}" if namespace is not None else ""
    full = "/" in text or namespace is None
    hint = did_you_mean(
        text if full else f"{namespace}/{text}",
        [str(one) if "/" in text or not full else one.name for one in known],
    )
    said = f"there is no workload {text}{within}. {hint}".strip()
    click.echo(f"{said} See what there is: rota get workloads", err=True)
    raise click.exceptions.Exit(NO)

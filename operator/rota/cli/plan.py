"""`rota plan`: what a change does, from the repository and its status branch alone."""

from __future__ import annotations

import json

import click

from rota.cli.main import NO, UNPLACED
from rota.cli.workspace import (
    Place,
    Workspace,
    decided,
    instant,
    load,
    load_fleet,
    observation,
    repository_options,
    workspace,
)
from rota.core.observed import Now
from rota.errors import Stalled
from rota.manifest.checks import dated_findings
from rota.manifest.load import Loaded
from rota.report.diff import compare
from rota.report.plan import Plan, plan_document, plan_of, render_text


@click.command()
@repository_options
@click.option("--base", metavar="REV", help="Compare with this; default: the revision applied last.")
@click.option("--at", "at", metavar="TIME", help="What it does at that time instead of now.")
@click.option("--now", metavar="TIME", help="Default: the time of the newest commit of the status branch.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--exit-code", is_flag=True, help="Exit 1 if anything would change.")
def plan(place: Place, base: str | None, at: str | None, now: str | None, form: str, exit_code: bool) -> None:
    """What the repository as it stands (or --rev) would do to the fleet."""
    with workspace(place) as work:
        made = _plan(work, place, base, at or now)
    if form == "json":
        click.echo(json.dumps(plan_document(made), indent=2, sort_keys=True))
    else:
        click.echo(render_text(made), nl=False)
    if made.unplaced:
        raise click.exceptions.Exit(UNPLACED)
    if exit_code and (made.changes or made.diffs):
        raise click.exceptions.Exit(NO)


def _plan(work: Workspace, place: Place, base: str | None, at: str | None) -> Plan:
    fleet, head = load_fleet(work.tree(place.rev), place.path)
    status = work.status()
    observed, ledger = observation(status, fleet)
    clock = instant(at, status)
    known = status.files if status is not None else {f"hosts/{name}.json" for name in fleet.hosts}
    new = [name for name in sorted(fleet.hosts) if f"hosts/{name}.json" not in known]
    decision = decided(fleet, observed, ledger, clock)
    base_commit, before = _base(work, base, place.path, ledger.applied.revision if ledger.applied else None)
    described = (
        f"status {status.commit[:7]}"
        if status is not None
        else f"no branch {place.status_branch} yet, nothing running"
    )
    return plan_of(
        fleet,
        decision,
        Now(wall=clock, mono=0.0),
        head=fleet.revision,
        base=base_commit,
        observed=described,
        diffs=compare(before.documents, head.documents) if before is not None else (),
        warnings=(
            *(f"Host {name} is new: taken as its manifest declares it, with nothing running" for name in new),
            *(str(one) for one in dated_findings(fleet, clock)),
        ),
    )


def _base(work: Workspace, base: str | None, path: str, applied: str | None) -> tuple[str, Loaded | None]:
    """The revision to compare with: the one named, else the one applied last where it is here."""
    if base is None and applied is None:
        return "", None
    try:
        tree = work.tree(base if base is not None else applied)
    except Stalled:
        if base is not None:
            raise
        return "", None
    return tree.revision, load(tree, path)

"""`rota plan`: what a change does, from the repository and its status branch alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import click

from rota.cli.main import NO, UNPLACED
from rota.cli.workspace import (
    FIRST_YEAR,
    LAST_YEAR,
    Place,
    Workspace,
    exhaustively,
    instant,
    load,
    load_fleet,
    note_unsearched,
    observation,
    repository_options,
    workspace,
)
from rota.core.forecast.days import stretch, zone_of
from rota.core.forecast.instant import Forecast
from rota.core.forecast.settle import Snapshot
from rota.core.forecast.walk import forecast, losses_for
from rota.core.model import Fleet
from rota.core.observed import Now
from rota.errors import Fatal, Stalled
from rota.manifest.checks import dated_findings
from rota.manifest.load import Loaded
from rota.report.diff import compare
from rota.report.edges import COMING_DAY
from rota.report.forecast import forecast_text
from rota.report.forecast_document import forecast_document
from rota.report.markdown import forecast_markdown, plan_markdown
from rota.report.plan import Plan, plan_document, plan_of, render_text

_MOMENT = timedelta(microseconds=1)
FORMATS = ["text", "json", "markdown", "svg"]


@click.command()
@repository_options
@click.option("--base", metavar="REV", help="Compare with this; default: the revision applied last.")
@click.option("--at", "at", metavar="TIME", help="What it does at that time instead of now.")
@click.option("--day", metavar="DATE", help="What it comes to over every edge of that day, from midnight.")
@click.option("--week", metavar="DATE", help="The same over seven days from that date.")
@click.option("--now", metavar="TIME", help="Default: the time of the newest commit of the status branch.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    metavar="FORMAT",
    help="text, json, markdown, or svg, which draws a forecast.",
)
@click.option("--exit-code", is_flag=True, help="Exit 1 if anything would change.")
def plan(
    place: Place, day: str | None, week: str | None, form: str, exit_code: bool, **when: str | None
) -> None:
    """What the repository as it stands (or --rev) would do to the fleet."""
    asked = _Asked.of(day, week, form, exit_code=exit_code, **when)
    with workspace(place) as work:
        if asked.first is not None:
            _forecast(work, place, asked.first, asked)
            return
        made = _plan(work, place, asked)
    match form:
        case "json":
            click.echo(json.dumps(plan_document(made), indent=2, sort_keys=True))
        case "markdown":
            click.echo(plan_markdown(made), nl=False)
        case _:
            click.echo(render_text(made), nl=False)
    if made.unplaced:
        raise click.exceptions.Exit(UNPLACED)
    if exit_code and (made.changes or made.diffs):
        raise click.exceptions.Exit(NO)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What was asked for: a plan at an instant, or a forecast of so many days from the `first` one."""

    form: str
    base: str | None
    at: str | None
    first: date | None
    days: int

    @classmethod
    def of(
        cls, day: str | None, week: str | None, form: str, *, exit_code: bool, **when: str | None
    ) -> _Asked:
        """Read the flags. Raises Fatal where they contradict each other."""
        base, at, now = when["base"], when["at"], when["now"]
        if day is not None and week is not None:
            raise Fatal("--day and --week are two forecasts. Ask for one of them.")
        first = _date(day or week, "--day" if day is not None else "--week")
        if first is None and form == "svg":
            raise Fatal("--format svg draws a forecast. Add --day DATE or --week DATE.")
        if first is not None and (base is not None or at is not None or exit_code):
            raise Fatal(
                "--base, --at and --exit-code belong to a plan of one instant, and --day and --week are "
                "forecasts. Leave one or the other out."
            )
        return cls(form=form, base=base, at=at or now, first=first, days=1 if day is not None else 7)


def _date(text: str | None, flag: str) -> date | None:
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or len(text) != len("2026-06-01"):
        raise Fatal(f"{flag} {text!r} is not a date. Write it as 2026-06-01.")
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise Fatal(
            f"{flag} {text!r} is out of range: the year must lie between {FIRST_YEAR} and {LAST_YEAR}."
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What both a plan and a forecast stand on. `new` are hosts that the status branch does not know;
    `dated`: the instant `clock` was stated, or is that of a status branch, and not just the time of day."""

    fleet: Fleet
    head: Loaded
    snapshot: Snapshot
    observed: str
    clock: datetime
    dated: bool
    new: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before anything else: which hosts are only declared, which dates are past."""
        new = (
            f"Host {name} is new: taken as its manifest declares it, with nothing running"
            for name in self.new
        )
        return (*new, *(str(one) for one in dated_findings(self.fleet, self.clock)))

    def seen_from(self, start: datetime, zone: ZoneInfo) -> str:
        """What a forecast from `start` on stands on, and as of when."""
        if not self.dated:
            return self.observed
        before = self.clock < start
        gap = ", before the first day: taken to stay as it is until then" if before else ""
        return f"{self.observed}, {self.clock.astimezone(zone):%a %Y-%m-%d %H:%M}{gap}"


def _stage(work: Workspace, place: Place, asked: _Asked) -> _Stage:
    fleet, head = load_fleet(work.tree(place.rev), place.path)
    status = work.status()
    observed, ledger = observation(status, fleet)
    known = status.files if status is not None else {f"hosts/{name}.json" for name in fleet.hosts}
    described = (
        f"status {status.commit[:7]}"
        if status is not None
        else f"no branch {place.status_branch} yet, nothing running"
    )
    return _Stage(
        fleet=fleet,
        head=head,
        snapshot=Snapshot(observed=observed, ledger=ledger),
        observed=described,
        clock=instant(asked.at, status),
        dated=asked.at is not None or status is not None,
        new=tuple(name for name in sorted(fleet.hosts) if f"hosts/{name}.json" not in known),
    )


def _forecast(work: Workspace, place: Place, first: date, asked: _Asked) -> None:
    """Print the forecast of the days that were asked for."""
    stage = _stage(work, place, asked)
    span = stretch(first, asked.days, zone_of(stage.fleet))
    made = forecast(stage.fleet, stage.snapshot, span, losses=losses_for(stage.fleet), solver=exhaustively)
    observed, warnings = stage.seen_from(made.start, made.zone), stage.warnings
    match asked.form:
        case "json":
            document = forecast_document(made, stage.fleet.revision, observed, warnings)
            click.echo(json.dumps(document, indent=2, sort_keys=True))
        case "markdown":
            click.echo(forecast_markdown(made, observed, warnings), nl=False)
        case "svg":
            from rota.report.timeline import timeline  # noqa: PLC0415 (a template engine: only for pictures)

            click.echo(timeline(made), nl=False)
        case _:
            click.echo(forecast_text(made, observed, warnings), nl=False)
    if not made.fits:
        raise click.exceptions.Exit(UNPLACED)
    if not made.complete:
        raise click.exceptions.Exit(NO)


def _plan(work: Workspace, place: Place, asked: _Asked) -> Plan:
    stage = _stage(work, place, asked)
    fleet, clock, ledger = stage.fleet, stage.clock, stage.snapshot.ledger
    ahead = _coming_day(stage)
    note_unsearched(ahead.decision, fleet)
    applied = ledger.applied.revision if ledger.applied else None
    base_commit, before = _base(work, asked.base, place.path, applied)
    return plan_of(
        fleet,
        ahead.decision,
        Now(wall=clock, mono=0.0),
        ahead,
        head=fleet.revision,
        base=base_commit,
        observed=stage.observed,
        diffs=compare(before.documents, stage.head.documents) if before is not None else (),
        warnings=stage.warnings,
    )


def _coming_day(stage: _Stage) -> Forecast:
    """The 24 hours from the instant of the plan, with the edge a whole day ahead, as `rota windows` tells it;
    losses are played through only where the fleet asks."""
    span = (stage.clock, stage.clock + COMING_DAY + _MOMENT)
    return forecast(stage.fleet, stage.snapshot, span, solver=exhaustively)


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

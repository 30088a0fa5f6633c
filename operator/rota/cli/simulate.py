"""`rota simulate`: the fleet in memory, through days in seconds, with failures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import click
import structlog

from rota.cli.main import NO
from rota.cli.simulated import render
from rota.cli.stretch import ends_of, faults, spans
from rota.cli.workspace import (
    Place,
    exhaustively,
    instant,
    load_fleet,
    observation,
    repository_options,
    workspace,
)
from rota.core.forecast.days import zone_of
from rota.core.model import Fleet
from rota.core.observed import EngineFacts
from rota.simulation.report import document
from rota.simulation.run import Setup
from rota.simulation.run import simulate as play
from rota.simulation.times import Times

_RANGE = "[IMAGE=]LOW[..HIGH]"


@click.command()
@repository_options
@click.option("--from", "begins", metavar="TIME|DATE", help="Default: the coming midnight.")
@click.option("--to", "ends", metavar="TIME|DATE", help="Default: a day later.")
@click.option("--now", metavar="TIME", help="Default: the time of the newest commit of the status branch.")
@click.option(
    "--fail",
    "fails",
    multiple=True,
    metavar="HOST@TIME[+DURATION]",
    help="The host is down from then on, for so long or to the end: h2@10:00+30m. Repeatable.",
)
@click.option("--seed", default=1, show_default=True, help="Another seed draws other times.")
@click.option("--start", multiple=True, metavar=_RANGE, help="Create and start. Default: 0.5s..2s.")
@click.option("--pull", multiple=True, metavar=_RANGE, help="Pull an image. Default: 5s..60s.")
@click.option("--healthy", multiple=True, metavar=_RANGE, help="From running to healthy. Default: 2s..20s.")
@click.option("--stop", multiple=True, metavar=_RANGE, help="From signal to exit. Default: 1s..10s.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--events", is_flag=True, help="List what happened, too.")
def simulate(place: Place, seed: int, output: str, *, events: bool, **words: Any) -> None:
    """Play the fleet through a stretch of time: the real operator, hosts in memory, clocks moved by hand.

    It starts from nothing an hour before, and is judged from --from on. Times are drawn log-uniformly from
    the ranges. Days and times of day are those of the first policy's zone. Exit 1 if an edge was missed that
    was to be met or had no room, if something was below its floor without a fault, or if Rota itself stopped
    more than a budget allows. With --fail a host is cut off; what it had is started elsewhere once it is
    lost.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    setup = _setup(place, seed, words)
    report = play(setup, _progress(setup) if sys.stderr.isatty() else None)
    if output == "json":
        click.echo(json.dumps(document(report, events=events), indent=2, sort_keys=True))
    else:
        click.echo(render(report, events=events))
    if not report.kept:
        raise click.exceptions.Exit(NO)


def _progress(setup: Setup) -> Callable[[datetime], None]:
    """One line on the terminal that says which hour is being played, wiped at the end."""
    shown = ""

    def tell(at: datetime) -> None:
        nonlocal shown
        text = "" if at >= setup.end else f"{at.astimezone(setup.zone):%a %Y-%m-%d %H}:00"
        if text != shown:
            shown = text
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)

    return tell


def _setup(place: Place, seed: int, words: Mapping[str, Any]) -> Setup:
    """What the options ask for, of the repository and of what its status branch knows of the hosts."""
    with workspace(place) as work:
        fleet, _ = load_fleet(work.tree(place.rev), place.path)
        status = work.status()
        observed, _ = observation(status, fleet)
        now = instant(words["now"], status)
    zone = zone_of(fleet)
    start, end = ends_of(words["begins"], words["ends"], now, zone)
    known = {name: view.engine for name, view in observed.hosts.items() if view.engine is not None}
    setup = Setup(
        fleet=fleet,
        start=start,
        end=end,
        zone=zone,
        seed=seed,
        times=_times(words, fleet),
        faults=faults(words["fails"], fleet, start, end),
        known=known,
        solver=exhaustively,
    )
    _note_unknown(fleet, known)
    return setup


def _times(words: Mapping[str, Any], fleet: Fleet) -> Times:
    images = [one.container.image for one in fleet.services.values()]
    usual = Times()
    return Times(
        **{
            name: spans(f"--{name}", words[name], images, getattr(usual, name))
            for name in ("start", "pull", "healthy", "stop")
        }
    )


def _note_unknown(fleet: Fleet, known: dict[str, EngineFacts]) -> None:
    """Say which hosts are only guessed at."""
    guessed = [
        name
        for name, host in sorted(fleet.hosts.items())
        if name not in known and (host.cpu is None or host.memory is None)
    ]
    if guessed:
        click.echo(
            f"rota: how large {', '.join(guessed)} will be is not known: taken as 4 cores and 8Gi where "
            "nothing is declared. Declare spec.capacity of the Host.",
            err=True,
        )

"""`rota demo`: the example repository on a fleet, a whole day in a few minutes."""

from __future__ import annotations

import shlex
import sys

import click
import structlog
from rich.console import Console

from rota.demo.day import play
from rota.errors import Fatal

HOSTS_VARIABLE = "ROTA_LAB_HOSTS"
FAULTS_VARIABLE = "ROTA_LAB_FAULTS"


@click.command()
@click.option(
    "--hosts",
    envvar=HOSTS_VARIABLE,
    metavar="h1=URL,h2=URL,h3=URL",
    help="Docker Engines to use for the hosts of the example; without, engines in memory.",
)
@click.option(
    "--faults",
    envvar=FAULTS_VARIABLE,
    metavar="COMMAND",
    help="Called as COMMAND cut h2 and COMMAND heal h2; without, no host of --hosts is cut off.",
)
@click.option(
    "--seconds",
    default=180.0,
    show_default=True,
    type=click.FloatRange(min=30),
    help="How long the day takes.",
)
def demo(hosts: str | None, faults: str | None, seconds: float) -> None:
    """Show a day: the web tier by day, the batch pool by night, a commit, a killed container, a lost host."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    code = play(_endpoints(hosts), shlex.split(faults or ""), seconds, Console())
    if code:
        raise click.exceptions.Exit(code)


def _endpoints(text: str | None) -> dict[str, str]:
    if not text:
        return {}
    pairs = [entry.partition("=") for entry in text.split(",")]
    endpoints = {name: endpoint for name, _, endpoint in pairs}
    if set(endpoints) != {"h1", "h2", "h3"} or not all(endpoints.values()):
        raise Fatal(f"--hosts {text!r}: the example has the hosts h1, h2 and h3; give each an endpoint.")
    return endpoints

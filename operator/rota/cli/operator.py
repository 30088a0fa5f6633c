"""`rota operator`: the daemon. Flag > `ROTA_*` > `--config` file > default, one name in three spellings."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import structlog

from rota.app import Daemon
from rota.cli.main import FAILED, NO, TIMED_OUT, UNPLACED
from rota.cli.settings import daemon_options, read_settings
from rota.cli.token import api_token
from rota.clock import Clock, ShiftedClock, SystemClock
from rota.core.observed import HostState
from rota.errors import Fatal
from rota.reconcile import Pass
from rota.report.plan import plan_of, render_text
from rota.report.text import one_line
from rota.settings import DaemonSettings
from rota.web.access import Access
from rota.web.api import api_routes
from rota.web.server import WebServer
from rota.web.webhook import Hooks, application

MOST_ONCE_WAITS = 60.0
"""Seconds that `--once` waits where something has no place: for a back-off, not for the end of a rollout."""


@click.command(context_settings={"auto_envvar_prefix": "ROTA"})
@daemon_options
@click.option("--once", is_flag=True, help="Bring the fleet to what is wanted now, then end.")
@click.option(
    "--dry-run", is_flag=True, help="Observe and decide, change nothing; with --once print the plan."
)
@click.option(
    "--clock", "clock_text", metavar="START[xSPEED]", help="Shift and speed up wall time, for drills."
)
@click.option("--timeout", default=600.0, show_default=True, help="Seconds that --once may take.")
def operator(once: bool, clock_text: str | None, timeout: float, **options: Any) -> None:
    """Follow a repository and keep its fleet as it says.

    With --listen it takes webhooks and answers events, logs and exec. On loopback whoever asks may read;
    exec, and any other address, need the token in ROTA_API_TOKEN, or in the file that ROTA_API_TOKEN_FILE
    names.
    """
    settings = read_settings(options)
    clock: Clock = ShiftedClock.parse(clock_text) if clock_text else SystemClock()
    configure_logging()
    _check_folder(settings.data)
    with Daemon(settings, clock) as daemon:
        signals = _stop_on_signals(daemon)
        if not once:
            _serve(daemon, settings)
            return
        last, late = _run_once(daemon, clock, timeout, dry_run=settings.dry_run)
    # Only now: an exit code is raised, and the daemon would take that for a failure and push no last status.
    if signals:
        raise click.exceptions.Exit(128 + signals[0])
    if late:
        click.echo(f"rota: not done within {timeout:g}s; what is under way goes on", err=True)
        raise click.exceptions.Exit(TIMED_OUT)
    _report(last, settings)


def _serve(daemon: Daemon, settings: DaemonSettings) -> None:
    log = structlog.get_logger()
    server = None
    if settings.web.port is not None:
        hooks = Hooks(wake=daemon.poll_now, age=daemon.seconds_since_pass)
        address = settings.web.address
        api = api_routes(daemon.answers.views(), Access(address=address, token=api_token()))
        server = WebServer(application(hooks, settings.web.github_secret, api), address, settings.web.port)
        server.start()
        log.info("listening", address=address, port=server.port)
    log.info("operator started", repo=settings.git.repo, branch=settings.git.branch)
    daemon.controller.run()
    if server is not None:
        server.stop()
    log.info("operator stopped; every container goes on running")


def _check_folder(data: Path) -> None:
    """Say now, and in one sentence, what would fail later: the folder that the daemon keeps its mirror in."""
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Fatal(
            f"--data {data} cannot be made: {error.strerror}. Name a folder that may be written to."
        ) from error
    if not os.access(data, os.W_OK | os.X_OK):
        raise Fatal(
            f"--data {data} may not be written to. Name another folder, or give the operator the right."
        )


def _run_once(daemon: Daemon, clock: Clock, timeout: float, *, dry_run: bool) -> tuple[Pass | None, bool]:
    """Passes until nothing more comes of waiting: the last one, and whether that took too long."""
    began = clock.now().mono
    late = False

    def enough(last: Pass) -> bool:
        nonlocal late
        done = _settled(last, dry_run=dry_run)
        late = not done and clock.now().mono - began > timeout
        return done or late

    return daemon.controller.run(until=enough), late


def _report(last: Pass | None, settings: DaemonSettings) -> None:
    """What came of `--once`, as text and as the exit code."""
    if last is None:
        raise click.exceptions.Exit(FAILED)
    status = last.status
    for problem in status.source.problems:
        warning = "" if problem.severity == "error" else " (warning)"
        place = f"{problem.path}:{problem.line}:{problem.column}"
        click.echo(one_line(f"{place}: {problem.message}{warning}"), err=True)
    if last.decision is None or last.fleet is None:
        click.echo(f"rota: {status.source.message}", err=True)
        raise click.exceptions.Exit(NO if status.source.problems else FAILED)
    if settings.dry_run:
        click.echo(render_text(plan_of(last.fleet, last.decision, last.now)), nl=False)
    if last.decision.unplaced:
        raise click.exceptions.Exit(UNPLACED)
    if not status.ready and not settings.dry_run:
        click.echo(f"rota: {status.conditions[0].message}", err=True)
        raise click.exceptions.Exit(NO)


def _settled(last: Pass, *, dry_run: bool) -> bool:
    """Whether nothing more comes of waiting: done, held, or without a revision to act on."""
    if last.status.source.reason and last.decision is None:
        return True
    if last.decision is None or (last.decision.held is not None and last.decision.held.passing):
        return False
    if any(host.view.state is HostState.UNKNOWN for host in last.status.hosts):
        return False  # a host that has neither answered nor failed: what is held back tells nothing of it yet
    if dry_run or last.decision.held is not None:
        return True
    if any(host.view.stopping or host.view.pending for host in last.status.hosts):
        return False  # what is half done would be left so
    if last.status.ready:
        return True
    due = last.decision.requeue_after
    doubted = any(host.view.state is HostState.SUSPECT for host in last.status.hosts)
    waiting = last.decision.actions or doubted or (due is not None and due <= MOST_ONCE_WAITS)
    return bool(last.decision.unplaced) and not waiting


def _stop_on_signals(daemon: Daemon) -> list[int]:
    """SIGTERM and SIGINT end the loop between two passes; a second one is the system's. Those that came."""
    came: list[int] = []

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        came.append(number)
        # On a thread of its own: this one may hold, right now, the very lock that stopping needs.
        threading.Thread(target=daemon.controller.stop, name="rota-stop").start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return came


def configure_logging() -> None:
    """Lines for people on a terminal, JSON elsewhere; on stderr, so that stdout stays data."""
    renderer: Callable[..., Any]
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    else:
        renderer = structlog.processors.JSONRenderer(sort_keys=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

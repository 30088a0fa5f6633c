"""`rota check`: can Rota reach and write what it needs, before the daemon has to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import click

from rota.app import credentials_of, docker_engines
from rota.cli.main import NO
from rota.cli.settings import daemon_options, read_settings
from rota.clock import Clock, SystemClock
from rota.core.model import Fleet, Host
from rota.engine.port import Engine, EngineError
from rota.engine.runner import HostSetup
from rota.errors import RotaError
from rota.gitrepo.source import Poll, Source
from rota.manifest.load import Loader
from rota.report.text import one_line
from rota.settings import DaemonSettings

MOST_AT_ONCE = 32
PUSH_LOOKS = 3
MOST_CLOCK_SECONDS = 2.0
"""What two clocks may differ by."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    good: bool
    what: str
    detail: str


@click.command(context_settings={"auto_envvar_prefix": "ROTA"})
@daemon_options
def check(**options: Any) -> None:
    """Look at git, the right to push, every Engine and its clock, registry logins, and the time zones.

    Exit 1 if anything is missing.
    """
    settings = read_settings({**options, "dry_run": True})
    bad = 0
    for finding in _findings(settings):
        bad += not finding.good
        click.echo(one_line(f"{'ok ' if finding.good else 'NO '} {finding.what}: {finding.detail}"))
    if bad:
        click.echo(f"{bad} thing{'s'[: bad != 1]} to mend before the operator can do its work", err=True)
        raise click.exceptions.Exit(NO)


def _findings(settings: DaemonSettings) -> Iterator[Finding]:
    git = settings.git
    credentials = credentials_of(git)
    with tempfile.TemporaryDirectory(prefix="rota-check-") as scratch:
        try:
            source = Source(git.repo, git.branch, git.status_branch, Path(scratch), credentials=credentials)
            tips = source.poll()
            loaded = Loader().load(source.checkout(tips.head), git.path)
        except RotaError as error:
            yield Finding(False, "git", str(error))
            return
        yield Finding(True, "git", f"{git.branch} is at {tips.head[:12]}")
        yield _push_right(source, git.status_branch, tips)
    if loaded.fleet is None:
        errors = (problem for problem in loaded.problems if problem.severity == "error")
        yield from (Finding(False, "manifests", str(problem)) for problem in errors)
        return
    count = len(loaded.documents)
    yield Finding(True, "manifests", f"{count} valid")
    yield from _zones(loaded.fleet)
    yield from _registries(settings)
    yield from _hosts(loaded.fleet, settings)


def _push_right(source: Source, branch: str, tips: Poll) -> Finding:
    """A daemon may write the branch in the very moment of looking: then it is looked at once more."""
    said = ""
    for _ in range(PUSH_LOOKS):
        try:
            source.rehearse_push(tips)
        except RotaError as error:
            said, tips = str(error), source.poll()
        else:
            return Finding(True, f"push to {branch}", "allowed")
    return Finding(False, f"push to {branch}", said)


def _zones(fleet: Fleet) -> Iterator[Finding]:
    for zone in sorted({policy.zone.key for policy in fleet.policies}):
        yield Finding(True, f"time zone {zone}", f"known, by tzdata {version('tzdata')}")


def _registries(settings: DaemonSettings) -> Iterator[Finding]:
    if settings.registry_config is None:
        return
    try:
        docker_engines(settings.tls, settings.registry_config)
    except RotaError as error:
        yield Finding(False, "registry logins", str(error))
        return
    yield Finding(True, "registry logins", f"{settings.registry_config} is readable")


def _hosts(fleet: Fleet, settings: DaemonSettings) -> Iterator[Finding]:
    open_engine = docker_engines(settings.tls)  # nothing is pulled here, so no login is needed

    def look(host: Host) -> list[Finding]:
        engine = open_engine(HostSetup(name=host.name, endpoint=host.endpoint, tls=host.tls))
        try:
            return list(_host(host, engine, SystemClock()))
        except EngineError as error:
            return [Finding(False, f"host {host.name}", f"{host.endpoint}: {error}")]
        finally:
            engine.close()

    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        for findings in pool.map(look, (fleet.hosts[name] for name in sorted(fleet.hosts))):
            yield from findings


def _host(host: Host, engine: Engine, clock: Clock) -> Iterator[Finding]:
    facts = engine.facts()
    open_door = " (plain TCP: whoever reaches it is root there)" if _is_plain(host) else ""
    yield Finding(True, f"host {host.name}", f"Docker {facts.version}, API {facts.api_version}{open_door}")
    yield clock_finding(host.name, engine, clock)


def clock_finding(host: str, engine: Engine, clock: Clock) -> Finding:
    """Whether the clock of a host and ours say the same, as far as the way there and back lets one tell."""
    asked = clock.now()
    theirs = engine.clock()
    took = clock.now().mono - asked.mono
    off = (theirs - asked.wall).total_seconds() - took / 2
    unsure = took / 2
    what = f"clock of {host}"
    if abs(off) - unsure <= MOST_CLOCK_SECONDS:
        return Finding(True, what, f"within {MOST_CLOCK_SECONDS:g} s of ours")
    way = "ahead of" if off > 0 else "behind"
    mend = "Set both by NTP: windows open by ours, certificates and logs go by theirs"
    return Finding(False, what, f"{abs(off):.0f} s {way} ours. {mend}")


def _is_plain(host: Host) -> bool:
    return host.endpoint.startswith("tcp://") and host.tls is None

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
from rota.core.model import Fleet, Host
from rota.engine.port import EngineError
from rota.engine.runner import HostSetup
from rota.errors import RotaError
from rota.gitrepo.source import Poll, Source
from rota.manifest.load import Loader
from rota.report.text import one_line
from rota.settings import DaemonSettings

MOST_AT_ONCE = 32


class Finding(NamedTuple):
    """One thing that was looked at."""

    good: bool
    what: str
    detail: str


@click.command(context_settings={"auto_envvar_prefix": "ROTA"})
@daemon_options
def check(**options: Any) -> None:
    """Look at git, the right to push, every Engine, and the time zones. Exit 1 if anything is missing."""
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
    yield from _hosts(loaded.fleet, settings)


def _push_right(source: Source, branch: str, tips: Poll) -> Finding:
    try:
        source.rehearse_push(tips)
    except RotaError as error:
        return Finding(False, f"push to {branch}", str(error))
    return Finding(True, f"push to {branch}", "allowed")


def _zones(fleet: Fleet) -> Iterator[Finding]:
    for zone in sorted({policy.zone.key for policy in fleet.policies}):
        yield Finding(True, f"time zone {zone}", f"known, by tzdata {version('tzdata')}")


def _hosts(fleet: Fleet, settings: DaemonSettings) -> Iterator[Finding]:
    open_engine = docker_engines(settings.tls)

    def look(host: Host) -> Finding:
        engine = open_engine(HostSetup(name=host.name, endpoint=host.endpoint, tls=host.tls))
        try:
            facts = engine.facts()
        except EngineError as error:
            return Finding(False, f"host {host.name}", f"{host.endpoint}: {error}")
        finally:
            engine.close()
        open_door = " (plain TCP: whoever reaches it is root there)" if _is_plain(host) else ""
        return Finding(
            True, f"host {host.name}", f"Docker {facts.version}, API {facts.api_version}{open_door}"
        )

    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        yield from pool.map(look, (fleet.hosts[name] for name in sorted(fleet.hosts)))


def _is_plain(host: Host) -> bool:
    return host.endpoint.startswith("tcp://") and host.tls is None

"""The composition root: settings in, a daemon out. The only module that names concrete engines."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING

from rota.answers import Answers
from rota.clock import Clock
from rota.controller import Controller
from rota.engine.port import Engine, EngineError, Trouble
from rota.engine.runner import HostSetup, Runner
from rota.errors import Fatal, Stalled
from rota.exact import on_demand
from rota.gitrepo.credentials import Credentials
from rota.gitrepo.source import Source
from rota.gitrepo.status_branch import StatusBranch, StatusTip
from rota.gitrepo.worker import GitOptions, GitWorker, Pace
from rota.reconcile import Limits, Pass, Reconciler
from rota.settings import DaemonSettings, GitSettings

if TYPE_CHECKING:
    from docker.tls import TLSConfig

FLUSH_SECONDS = 10.0
SEARCH_SECONDS = 3.0
"""For an exhaustive search of a small fleet that has no room: less than a person would wait, since a pass
must come back to hosts that fail meanwhile."""
OpenEngine = Callable[[HostSetup], Engine]


class Daemon:
    """Everything that runs in one operator, put together. A context manager: leaving it stops all threads.

    Containers are left as they are.
    """

    def __init__(
        self,
        settings: DaemonSettings,
        clock: Clock,
        *,
        open_engine: OpenEngine | None = None,
        on_pass: Callable[[Pass], None] | None = None,
    ) -> None:
        self._clock = clock
        settings.data.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(settings.data)
        try:
            opens = open_engine or docker_engines(settings.tls, settings.registry_config)
            source, branch = _repository(settings)
        except Fatal:
            self._lock.close()
            raise
        options = GitOptions(
            applied_of=_applied_revision,
            interval=settings.git.interval,
            path=settings.git.path,
            pace=Pace(settings.git.status_interval),
            read_only=settings.dry_run,
        )
        self._engines: dict[str, Engine] = {}
        self._runner = Runner(self._noting(opens), clock, self._wake)
        self._git = GitWorker(source, branch, clock, self._wake, options)
        limits = Limits(pause_file=settings.pause_file, dry_run=settings.dry_run)
        self.controller = Controller(
            Reconciler(self._git, self._runner, clock, limits, on_demand(SEARCH_SECONDS)),
            clock,
            on_pass=on_pass,
        )
        self.answers = Answers(lambda: self.controller.last, self._engines.get)

    def __enter__(self) -> Daemon:
        self._git.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.close()
        if kind is None:
            self._git.flush(FLUSH_SECONDS)
        self._git.close()
        self._lock.close()

    def poll_now(self) -> None:
        """What a webhook does: look at the repository at once."""
        self._git.wake()

    def seconds_since_pass(self) -> float | None:
        """The age of the last pass; None before the first."""
        passed_at = self.controller.passed_at
        return None if passed_at is None else self._clock.now().mono - passed_at

    def _noting(self, open_engine: OpenEngine) -> OpenEngine:
        """As `open_engine`; logs and commands are asked of the Engine that was opened last for a host."""

        def opened(setup: HostSetup) -> Engine:
            self._engines[setup.name] = open_engine(setup)
            return self._engines[setup.name]

        return opened

    def _wake(self) -> None:
        self.controller.wake()


def docker_engines(tls: Path | None, registry_config: Path | None = None) -> OpenEngine:
    """Opens Docker Engines; a Host's `tls: NAME` is the folder `tls`/NAME with ca.pem, cert.pem, key.pem.

    `registry_config` holds the logins of private registries; `Fatal` where it cannot be used.
    """
    from rota.engine.docker import DockerEngine  # noqa: PLC0415 - slow; commands that only read do without
    from rota.engine.registry_logins import RegistryLogins  # noqa: PLC0415

    logins = RegistryLogins(registry_config)

    def open_engine(setup: HostSetup) -> Engine:
        return DockerEngine(setup.endpoint, lambda: _certificate(setup, tls), logins)

    return open_engine


def _certificate(setup: HostSetup, tls: Path | None) -> TLSConfig | None:
    from docker.tls import TLSConfig  # noqa: PLC0415

    if setup.tls is None:
        return None
    if tls is None:
        raise EngineError(
            Trouble.UNUSABLE,
            f"its manifest names the certificate {setup.tls!r}; start the operator with --tls",
        )
    authority, certificate, key = (tls / setup.tls / name for name in ("ca.pem", "cert.pem", "key.pem"))
    for file in (authority, certificate, key):
        if not file.is_file():
            raise EngineError(
                Trouble.UNUSABLE, f"its manifest names the certificate {setup.tls!r}, and {file} is missing"
            )
    return TLSConfig(client_cert=(str(certificate), str(key)), ca_cert=str(authority), verify=True)


def credentials_of(git: GitSettings) -> Credentials:
    """What the git server asks for, from the daemon's own settings."""
    return Credentials(
        username=git.username,
        password=git.password,
        ssh_key_file=git.ssh_key,
        known_hosts_file=git.known_hosts,
        ca_file=git.ca_file,
    )


def _repository(settings: DaemonSettings) -> tuple[Source, StatusBranch]:
    git = settings.git
    try:
        source = Source(
            git.repo, git.branch, git.status_branch, settings.data, credentials=credentials_of(git)
        )
    except Stalled as error:
        raise Fatal(str(error)) from error
    operator_id = settings.operator_id or _operator_id(settings.data)
    branch = StatusBranch(source.mirror, git.status_branch, operator_id, take_over=settings.take_over)
    return source, branch


def _operator_id(data: Path) -> str:
    """The name of this operator on the status branch: made once, kept with its data."""
    path = data / "operator-id"
    if not path.exists() or not path.read_text().strip():
        fresh = path.with_suffix(".new")
        fresh.write_text(f"{uuid.uuid4()}\n")
        fresh.replace(path)
    return path.read_text().strip()


def _lock(data: Path) -> IO[str]:
    """One daemon per data folder. The lock ends with the process, however it ends."""
    lock = (data / "lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise Fatal(
            f"another operator (see {data / 'lock'}) uses the data folder {data}. Stop it, or give this one "
            "another --data."
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _applied_revision(tip: StatusTip) -> str | None:
    """The revision that held when the status was written; None where it does not say, or not readably."""
    try:
        applied = json.loads(tip.files["status.json"])["source"]["applied"]
    except (KeyError, ValueError, TypeError):
        return None
    return applied if isinstance(applied, str) and applied else None

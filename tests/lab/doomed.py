"""An operator that is killed by its own changes: `python -m tests.lab.doomed REPOSITORY DATA REVISION`.

Each daemon runs in a process of its own, forked from one that has everything imported, and ends by SIGKILL
right after it made a change that none before it had made: it took effect, and nobody heard the answer. What
is only done again is passed over, so that each gets one step further. This goes on until one finds nothing to
change any more. The changes stand in DATA/changes, one a line.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from rota.app import Daemon
from rota.clock import SystemClock
from rota.core.observed import HostState
from rota.engine.docker import DockerEngine
from rota.engine.port import Engine
from rota.engine.runner import HostSetup
from rota.reconcile import Pass
from rota.settings import DaemonSettings, GitSettings
from tests.lab.waiting import wait_for

CHANGES = ("pull", "create_volume", "create", "start", "set_restarts", "signal", "remove")
MOST_DEATHS = 60
LOCK_SECONDS = 10.0


class Doomed:
    """An Engine that kills this process once it was changed as never before."""

    def __init__(self, engine: Engine, changes: Path) -> None:
        self._engine = engine
        self._changes = changes

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._engine, name)
        return self._fatal(name, call) if name in CHANGES else call

    def _fatal(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **named: Any) -> Any:
            answer = call(*arguments, **named)
            what = (getattr(one, "name", one) for one in (*arguments, *named.values()))
            change = " ".join(map(str, (name, *what)))
            with self._changes.open("a+") as noted:
                noted.seek(0)
                if change in noted.read().splitlines():
                    return answer
                noted.write(f"{change}\n")
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return made


def operate(repository: str, data: Path, revision: str) -> None:
    """Run a daemon until `revision` is what runs, if it lives so long."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger("error"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )

    def opened(setup: HostSetup) -> Any:
        return Doomed(DockerEngine(setup.endpoint), data / "changes")

    def is_done(last: Pass) -> bool:
        applied = last.status.source.applied == revision
        at_rest = all(
            host.state is HostState.REACHABLE and not host.view.stopping for host in last.status.hosts
        )
        nothing_left = last.decision is not None and not last.decision.changes
        return applied and at_rest and nothing_left and last.status.ready

    git = GitSettings(repo=repository, interval=1.0, status_interval=1.0)
    with Daemon(DaemonSettings(git=git, data=data), SystemClock(), open_engine=opened) as daemon:
        daemon.controller.run(until=is_done)


def main(repository: str, data: str, revision: str) -> int:
    """0 once a daemon got through, 1 where one failed in another way, or too many were killed."""
    for _ in range(MOST_DEATHS):
        wait_for(lambda: _is_free(Path(data) / "lock"), LOCK_SECONDS, "what a dead daemon had begun to end")
        child = os.fork()
        if child == 0:
            operate(repository, Path(data), revision)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            return abs(os.waitstatus_to_exitcode(status))
    return 1


def _is_free(lock: Path) -> bool:
    """Whether nobody holds the data folder: a git that was about to begin has it for an instant longer."""
    with lock.open("a+") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

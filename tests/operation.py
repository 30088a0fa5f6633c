"""A whole daemon for tests: real threads, a real repository, engines in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from rota.app import Daemon
from rota.clock import Clock, SystemClock
from rota.core.observed import ContainerState
from rota.engine.memory import MemoryEngine
from rota.engine.port import ListedContainer
from rota.engine.runner import HostSetup
from rota.reconcile import Pass
from rota.settings import DaemonSettings, GitSettings
from tests.gitrepo.origin import Origin, git
from tests.lab.waiting import wait_for

SECONDS = 20.0
STATUS = "rota/status"
FLEET = """\
apiVersion: rota/v1
kind: Fleet
metadata: {name: shop, uid: 7f3c9a12}
spec: {}
"""
HOST = """\
apiVersion: rota/v1
kind: Host
metadata: {name: NAME}
spec: {endpoint: "tcp://NAME:2375"}
"""
SERVICE = """\
apiVersion: rota/v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  replicas: 4
  update: {minHealthyTime: 100ms}
  container: {image: "web:1"}
  resources: {requests: {cpu: 500m, memory: 1Gi}}
"""


def fleet(**others: str) -> dict[str, str]:
    """The manifests of two hosts and one service; `others` add to them or replace them, by file name."""
    files = {f"{name}.yaml": HOST.replace("NAME", name) for name in ("h1", "h2")}
    return {
        "fleet.yaml": FLEET,
        "web.yaml": SERVICE,
        **files,
        **{f"{name}.yaml": text for name, text in others.items()},
    }


class Machines:
    """The engines of a fleet; they outlive every daemon."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.engines: dict[str, MemoryEngine] = {}

    def open(self, setup: HostSetup) -> MemoryEngine:
        if setup.name not in self.engines:
            self.engines[setup.name] = MemoryEngine(setup.name, self.clock)
        return self.engines[setup.name]

    @property
    def writes(self) -> int:
        return sum(engine.writes for engine in self.engines.values())

    def containers(self) -> list[tuple[MemoryEngine, ListedContainer]]:
        return [(engine, one) for engine in self.engines.values() for one in engine.all_containers()]

    def running(self) -> list[str]:
        """The names of all that run."""
        return sorted(one.name for _, one in self.containers() if one.state is ContainerState.RUNNING)


class Operation:
    """One daemon that runs on a thread of its own, from `with` to its end."""

    def __init__(
        self, origin: Origin, data: Path, machines: Machines, *, clock: Clock | None = None, **settings: Any
    ) -> None:
        repository = GitSettings(repo=origin.url, interval=0.2, status_interval=0.1)
        self.passes: list[Pass] = []
        self._settings = DaemonSettings(git=repository, data=data, **settings)
        self._machines = machines
        self._clock = clock or SystemClock()
        self._thread = threading.Thread(target=self._run, name="operation")
        self._started = threading.Event()
        self._errors: list[BaseException] = []
        self.daemon: Daemon

    def __enter__(self) -> Operation:
        self._thread.start()
        assert self._started.wait(SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and self._errors:
            raise self._errors[0]

    def stop(self) -> None:
        """What SIGTERM does."""
        if not self._errors:
            self.daemon.controller.stop()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()

    @property
    def last(self) -> Pass:
        return self.passes[-1]

    def await_pass(self, condition: Callable[[Pass], object], what: str) -> Pass:
        """The first pass from now on that is as it should be."""

        def met() -> Pass | None:
            if self._errors:
                raise self._errors[0]
            return self.passes[-1] if self.passes and condition(self.passes[-1]) else None

        found = wait_for(met, SECONDS, what)
        assert found is not None
        return found

    def await_ready(self, revision: str) -> Pass:
        return self.await_pass(
            lambda one: one.status.source.applied == revision and one.status.ready,
            f"{revision[:7]} to be Ready",
        )

    def a_few_passes(self, count: int = 3) -> None:
        """Have it look at everything some more times."""
        for _ in range(count):
            before = len(self.passes)
            self.daemon.controller.wake()
            wait_for(lambda before=before: len(self.passes) > before, SECONDS, "another pass")

    def _run(self) -> None:
        try:
            with Daemon(
                self._settings, self._clock, open_engine=self._machines.open, on_pass=self.passes.append
            ) as self.daemon:
                self._started.set()
                self.daemon.controller.run()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self._errors.append(error)
            self._started.set()


def status_of(origin: Origin) -> dict[str, Any]:
    """The status.json that stands on the status branch."""
    return dict(json.loads(git(origin.path, "show", f"{STATUS}:status.json")))


def has_status(origin: Origin) -> bool:
    return bool(git(origin.path, "for-each-ref", f"refs/heads/{STATUS}"))

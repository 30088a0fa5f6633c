"""`python -m benchmarks.watching.watchers rota|sdk PORT…`: one process that watches, and what it saw as JSON.

`rota` is the daemon's own runner on Docker's adapter. `sdk` asks each host through a client of the Docker
SDK, on a pool of threads: what one would write without it.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import docker

import rota.app  # all that a daemon has in memory, too
from benchmarks.figures import timed
from benchmarks.watching.fleet import CONTAINERS, NAME, UID, host_name
from rota.cli.main import collect_rarely
from rota.clock import SystemClock
from rota.core.model import FailureSettings
from rota.core.observed import HostState, HostView
from rota.engine.runner import FleetSetup, HostSetup, Runner
from rota.reconcile import paced

DEATHS = 300
SECONDS = 60.0
SDK_THREADS = 32


def complete(views: Mapping[str, HostView]) -> bool:
    """Every host answers and was looked at."""
    return all(
        one.state is HostState.REACHABLE and len(one.containers) == CONTAINERS for one in views.values()
    )


class Watch:
    """A runner, and what it sees."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.runner = Runner(rota.app.docker_engines(None), SystemClock(), self._changed)
        self._news = threading.Condition()
        self.setups = [
            HostSetup(name=host_name(at), endpoint=endpoint(port), tls=None) for at, port in enumerate(ports)
        ]

    def begin(self) -> float:
        """Watch from now on; when that was."""
        began = time.monotonic()
        failure = paced(FailureSettings(), len(self.setups))
        self.runner.configure(FleetSetup(name=NAME, uid=UID, failure=failure), self.setups)
        return began

    def await_all(self, condition: Callable[[Mapping[str, HostView]], bool] = complete) -> float:
        """When everything was seen. Looked at now and then: to look after each change would be much work."""
        pause, until = threading.Event(), time.monotonic() + SECONDS
        while not condition(self.runner.views()):
            if time.monotonic() > until:
                raise TimeoutError(f"not within {SECONDS:g} s")
            pause.wait(0.02)
        return time.monotonic()

    def await_view(self, name: str, condition: Callable[[HostView], object]) -> float:
        """When `condition` held of the view of a host."""
        with self._news:
            if not self._news.wait_for(lambda: condition(self.runner.views()[name]), SECONDS):
                raise TimeoutError(f"not within {SECONDS:g} s")
            return time.monotonic()

    def _changed(self) -> None:
        with self._news:
            self._news.notify_all()


def _rota(ports: list[int]) -> dict[str, Any]:
    collect_rarely()  # as every command does
    seen: dict[str, Any] = {"before": _mebibytes("VmRSS")}
    watch = Watch(ports)
    began = watch.begin()
    seen["observed"] = watch.await_all() - began
    pause = threading.Event()
    while ask(ports[0], "GET", "/streams") < len(ports):
        pause.wait(0.05)
    seen["listening"] = time.monotonic() - began
    chance = random.Random(1)
    seen["deaths"] = []
    for host, slot in _some(chance, len(ports)):
        name = host_name(host)
        told = ask(ports[host], "POST", f"/die?slot={slot}")
        at = watch.await_view(name, lambda view, slot=slot: not view.containers[slot].running)  # type: ignore[misc]
        seen["deaths"].append(at - told)
        pause.wait(chance.random() * 0.1)
    seen["resident"], seen["peak"] = _mebibytes("VmRSS"), _mebibytes("VmHWM")
    seen["threads"] = threading.active_count()
    return seen


def _some(chance: random.Random, hosts: int) -> list[tuple[int, int]]:
    """Containers, each once."""
    places = [(host, slot) for host in range(hosts) for slot in range(CONTAINERS)]
    return chance.sample(places, min(DEATHS, len(places)))


def _sdk(ports: list[int]) -> dict[str, Any]:
    clients: dict[int, docker.APIClient] = {}

    def look(port: int) -> int:
        if port not in clients:
            clients[port] = docker.APIClient(base_url=endpoint(port), version="1.41", timeout=10)
            clients[port].info()
        return len(clients[port].containers(all=True))

    def sweep() -> None:
        with ThreadPoolExecutor(SDK_THREADS) as pool:
            assert sum(pool.map(look, ports)) == len(ports) * CONTAINERS

    return {
        "before": _mebibytes("VmRSS"),
        "observed": timed(sweep),
        "again": timed(sweep),
        "resident": _mebibytes("VmRSS"),
    }


def endpoint(port: int) -> str:
    return f"tcp://127.0.0.1:{port}"


def ask(port: int, method: str, path: str) -> float:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path)
        return float(connection.getresponse().read())


def _mebibytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(one for one in lines if one.startswith(field)).split()[1]) / 1024


if __name__ == "__main__":
    watcher = {"rota": _rota, "sdk": _sdk}[sys.argv[1]]
    json.dump(watcher([int(port) for port in sys.argv[2:]]), sys.stdout)

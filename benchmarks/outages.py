"""What needs hosts that fail: the lab, with Docker Swarm beside Rota on the same hosts and images."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import Figures
from tests.lab.hosts import Lab
from tests.lab.operator import (
    WEB,
    Repository,
    fleet_manifests,
    healthy,
    ids,
    instances,
    operating,
    slots,
    web_manifest,
)
from tests.lab.waiting import wait_for

RUNS = 5
SWARM_RUNS = 3
COUNT = 6
SOON, SWARM_SECONDS = 60.0, 180.0
QUICK = "{lostAfter: 3s}"
SERVICE = "com.docker.swarm.service.name"
SECOND = 1_000_000_000


def outage(figures: Figures) -> None:
    """A host's cable is pulled → all six web servers healthy on the other two."""
    with Lab.up(3, name="outage", log=lambda _: None) as lab:
        figures.row("link down → all healthy elsewhere, defaults", _rota(lab, "{}"), "s", "15")
        figures.row("  with lostAfter 3s", _rota(lab, QUICK), "s", "6")
        figures.row("  Docker Swarm, defaults, same hosts and image", _swarm(lab), "s")


def engine_restart(figures: Figures) -> None:
    """dockerd killed and started → everything healthy; and what was rescheduled meanwhile."""
    with Lab.up(3, name="outage", log=lambda _: None) as lab, _shop(lab, "{}") as whole:
        times, changed = [], 0
        for run in range(RUNS):
            host = f"h{run % 3 + 1}"
            before = _places(lab)
            lab.kill(host)
            began = time.perf_counter()
            lab.start(host)
            wait_for(lambda: healthy(lab, "shop/web") == COUNT, SOON, "all healthy again")
            times.append(time.perf_counter() - began)
            whole()
            changed += len(before ^ _places(lab))
    figures.row("dockerd killed and started → all its containers healthy", times, "s")
    figures.row("  containers or ports that differ after five times", [float(changed)], "", "0")


def _rota(lab: Lab, failure: str) -> list[float]:
    times = []
    with _shop(lab, failure) as whole:
        for run in range(RUNS):
            cut, *others = sorted(lab.hosts, key=lambda name, run=run: (int(name[1:]) - 1 - run) % 3)
            assert ids(lab, "shop/web", cut), f"{cut} runs nothing that could be lost"
            lab.cut(cut)
            began = time.perf_counter()
            wait_for(lambda others=others: healthy(lab, "shop/web", *others) == COUNT, SOON, "all elsewhere")
            times.append(time.perf_counter() - began)
            lab.heal(cut)
            whole()
    return times


@contextmanager
def _shop(lab: Lab, failure: str) -> Iterator[Any]:
    """Six web servers kept by an operator; gives a function that waits until all is as it should be."""
    lab.mend_all()
    lab.clear_all()
    with tempfile.TemporaryDirectory() as scratch:
        repository = Repository(Path(scratch), lab.hosts)
        repository.write(**fleet_manifests(lab.hosts, failure), web=web_manifest(COUNT))
        commit = repository.push("six")

        def is_whole() -> bool:
            return slots(lab, "shop/web") == list(range(COUNT)) and repository.ready(commit)

        with operating(repository, Path(scratch)):
            wait_for(is_whole, SOON, "six web servers")
            yield lambda: wait_for(is_whole, SOON, "duplicates to be settled")


def _places(lab: Lab) -> set[tuple[str, str, int]]:
    """Which container is where, and on which port."""
    return {(host, row["Id"], row["Ports"][0]["PublicPort"]) for host, row in instances(lab, "shop/web")}


def _swarm(lab: Lab) -> list[float]:
    """The same for a replicated service of a swarm of these hosts; h1 is its manager and is not cut off."""
    lab.mend_all()
    lab.clear_all()
    _join(lab)
    times = []
    for run in range(SWARM_RUNS):
        cut, other = ("h2", "h3") if run % 2 else ("h3", "h2")
        wait_for(lambda: _nodes_ready(lab) == len(lab.hosts), SWARM_SECONDS, "all nodes to be ready")
        service = _ask(lab, "h1", "POST", "/services/create", _swarm_service())["ID"]
        wait_for(lambda: _tasks(lab, *lab.hosts) == COUNT, SWARM_SECONDS, "the service to be healthy")
        assert _tasks(lab, cut), f"{cut} runs no task that could be lost"
        lab.cut(cut)
        began = time.perf_counter()
        wait_for(lambda other=other: _tasks(lab, "h1", other) == COUNT, SWARM_SECONDS, "all elsewhere")
        times.append(time.perf_counter() - began)
        lab.heal(cut)
        _ask(lab, "h1", "DELETE", f"/services/{service}")
        wait_for(lambda: _tasks(lab, *lab.hosts) == 0, SWARM_SECONDS, "the service to be gone")
    for host in lab.hosts:
        _ask(lab, host, "POST", "/swarm/leave?force=true")
    return times


def _join(lab: Lab) -> None:
    first, *others = lab.hosts.values()
    listen = {"ListenAddr": f"{first.address}:2377", "AdvertiseAddr": first.address}
    _ask(lab, first.name, "POST", "/swarm/init", listen)
    token = _ask(lab, first.name, "GET", "/swarm")["JoinTokens"]["Worker"]
    for host in others:
        join = {
            "ListenAddr": f"{host.address}:2377",
            "AdvertiseAddr": host.address,
            "RemoteAddrs": [f"{first.address}:2377"],
            "JoinToken": token,
        }
        _ask(lab, host.name, "POST", "/swarm/join", join)


def _swarm_service() -> dict[str, Any]:
    """What `web_manifest` says, in Swarm's words."""
    check = {"Test": ["CMD", "/app", "health"], "Interval": SECOND, "Timeout": 2 * SECOND, "Retries": 3}
    container = {"Image": WEB, "Args": ["serve"], "Healthcheck": check}
    return {
        "Name": "web",
        "TaskTemplate": {"ContainerSpec": container},
        "Mode": {"Replicated": {"Replicas": COUNT}},
        "EndpointSpec": {"Ports": [{"TargetPort": 8080, "Protocol": "tcp", "PublishMode": "host"}]},
    }


def _nodes_ready(lab: Lab) -> int:
    return sum(one["Status"]["State"] == "ready" for one in _ask(lab, "h1", "GET", "/nodes"))


def _tasks(lab: Lab, *on: str) -> int:
    """The healthy containers of the service on these hosts, by the Engines' own word."""
    return sum(
        row["Labels"].get(SERVICE) == "web" and "(healthy)" in row["Status"]
        for host in on
        for row in lab.containers(host, running_only=True)
    )


def _ask(lab: Lab, host: str, method: str, path: str, body: object | None = None) -> Any:
    status, answer = lab.api(host, method, path, body)
    if status >= 300:
        raise RuntimeError(f"{method} {path} on {host}: code {status}, {answer}")
    return answer
